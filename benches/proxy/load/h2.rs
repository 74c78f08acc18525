//! A client of HTTP/2: several requests at a time on one connection.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::task::JoinSet;

use super::tally::Tally;
use super::{Clients, Phase};
use crate::Failure;

/// Asks on one connection until the round is over.
pub(super) async fn drive(clients: Arc<Clients>, index: usize) -> Tally {
    let mut tally = Tally::default();
    let sender = match connect(&clients, &mut tally).await {
        Ok(sender) => sender,
        Err(cause) => {
            tally.wrong(&cause.to_string());
            return tally;
        }
    };
    let mut streams = JoinSet::new();
    for stream in 0..clients.streams {
        let turn = (index * clients.streams + stream) * 7;
        streams.spawn(ask(Arc::clone(&clients), sender.clone(), turn));
    }
    while let Some(one) = streams.join_next().await {
        match one {
            Ok(one) => tally.add(one),
            Err(cause) => tally.wrong(&cause.to_string()),
        }
    }
    tally
}

async fn connect(
    clients: &Clients,
    tally: &mut Tally,
) -> Result<SendRequest<Empty<Bytes>>, Failure> {
    let stream = clients.connect(&clients.connector(), tally).await?;
    let io = TokioIo::new(stream);
    let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await?;
    // A connection that breaks fails its requests.
    tokio::spawn(async move { connection.await.is_ok() });
    Ok(sender)
}

async fn ask(
    clients: Arc<Clients>,
    mut sender: SendRequest<Empty<Bytes>>,
    mut turn: usize,
) -> Tally {
    let mut tally = Tally::default();
    loop {
        let phase = clients.phase();
        if phase == Phase::Over || tally.is_hopeless() {
            return tally;
        }
        let token = clients.next_fresh(phase);
        let request = match clients.questions.http2(turn, &token) {
            Ok(Some(request)) => request,
            Ok(None) => return tally,
            Err(cause) => {
                tally.wrong(&cause.to_string());
                return tally;
            }
        };
        let start = Instant::now();
        let answer = answer(&mut sender, request).await;
        let verdict = match answer {
            Ok((status, body)) => {
                let seen = (status, body.as_ref());
                clients.questions.check(turn, clients.expected, seen)
            }
            Err(cause) => Err(cause.to_string()),
        };
        tally.answered(phase, start, verdict);
        turn += 1;
    }
}

async fn answer(
    sender: &mut SendRequest<Empty<Bytes>>,
    request: http::Request<Empty<Bytes>>,
) -> Result<(u16, Bytes), Failure> {
    sender.ready().await?;
    let answer = sender.send_request(request).await?;
    let status = answer.status().as_u16();
    Ok((status, answer.into_body().collect().await?.to_bytes()))
}

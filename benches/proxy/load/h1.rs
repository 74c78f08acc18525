//! A client of HTTP/1.1, written by hand: it must cost less than what it measures.

use std::sync::Arc;
use std::time::Instant;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::question::find;
use super::tally::Tally;
use super::{Clients, Connecting, Phase};
use crate::Failure;

/// Asks until the round is over.
pub(super) async fn drive(clients: Arc<Clients>, index: usize) -> Tally {
    let mut client = Client {
        connector: clients.connector(),
        stream: None,
        request: Vec::with_capacity(4 * 1024),
        input: Vec::with_capacity(16 * 1024),
        tally: Tally::default(),
    };
    // So that clients do not ask for the same in step.
    let mut turn = index * 7;
    loop {
        let phase = clients.phase();
        if phase == Phase::Over || client.tally.is_hopeless() {
            return client.tally;
        }
        let token = clients.next_fresh(phase);
        if !clients.questions.http1(turn, &token, &mut client.request) {
            return client.tally;
        }
        let start = Instant::now();
        let verdict = match client.ask(&clients).await {
            Ok(answer) => {
                let body = client.input.get(answer.head..).unwrap_or_default();
                let seen = (answer.status, body);
                let verdict = clients.questions.check(turn, clients.expected, seen);
                if answer.closes || clients.connecting != Connecting::Kept {
                    client.stream = None;
                }
                verdict
            }
            Err(cause) => {
                client.stream = None;
                Err(cause.to_string())
            }
        };
        client.tally.answered(phase, start, verdict);
        turn += 1;
        if let Some(pause) = clients.pause {
            tokio::time::sleep(pause).await;
        }
    }
}

struct Client {
    connector: TlsConnector,
    stream: Option<TlsStream<TcpStream>>,
    request: Vec<u8>,
    input: Vec<u8>,
    tally: Tally,
}

struct Answer {
    status: u16,
    /// Where the body begins.
    head: usize,
    closes: bool,
}

impl Client {
    async fn ask(&mut self, clients: &Clients) -> Result<Answer, Failure> {
        let stream = match &mut self.stream {
            Some(stream) => stream,
            gone => {
                let stream = clients.connect(&self.connector, &mut self.tally).await?;
                gone.insert(stream)
            }
        };
        stream.write_all(&self.request).await?;
        stream.flush().await?;
        self.input.clear();
        loop {
            if stream.read_buf(&mut self.input).await? == 0 {
                return Err("the connection ended before the answer did".into());
            }
            if let Some((answer, length)) = parse(&self.input)?
                && self.input.len() >= answer.head + length
            {
                return Ok(answer);
            }
        }
    }
}

/// The head of an answer and the length of its body, once the head is whole.
fn parse(input: &[u8]) -> Result<Option<(Answer, usize)>, Failure> {
    let Some(end) = find(input, b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = input.get(..end).unwrap_or_default();
    let status = head.get(9..12).ok_or("no status")?;
    let mut answer = Answer {
        status: std::str::from_utf8(status)?.parse()?,
        head: end + 4,
        closes: false,
    };
    let mut length = None;
    for line in head.split(|byte| *byte == b'\n') {
        if let Some(value) = value(line, b"content-length:") {
            length = Some(std::str::from_utf8(value)?.trim().parse()?);
        } else if let Some(value) = value(line, b"connection:") {
            answer.closes = value.trim_ascii().eq_ignore_ascii_case(b"close");
        }
    }
    let length = length.ok_or("an answer without a length")?;
    Ok(Some((answer, length)))
}

/// The value in `line`, if it begins with this name and a colon.
fn value<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = line.split_at_checked(name.len())?;
    start.eq_ignore_ascii_case(name).then_some(rest)
}

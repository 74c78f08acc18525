//! Connections: how they begin, how long they may last, how they end.

use std::sync::Arc;
use std::time::Duration;

use portcullis::proxy::listen::{CloseReason, HandshakeFailure, ListenEvent};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Notify;

use crate::clients::Client;
use crate::gate::{OWN, Setup};
use crate::vault::{Reply, json, soon};

const GET: &str = "/secrets/n/?api-version=7.4";
const SHORT: Duration = Duration::from_millis(50);

#[tokio::test]
async fn a_slow_head_ends_the_connection() {
    let world = Setup::default()
        .limits(|limits| limits.header_read_timeout = SHORT)
        .start()
        .await;
    let mut client = world.client(OWN).await;
    // The time counts from the first byte, not from the connection, nor from the last request.
    assert_eq!(client.get(OWN, GET).await.status(), 200);
    client.send("GET /sec").await;
    client.closed().await;
    world
        .event(ListenEvent::Closed(CloseReason::HeadTimeout))
        .await;
    assert_eq!(world.notes().requests, 1);
}

#[tokio::test]
async fn an_idle_connection_is_closed_but_not_one_with_a_request() {
    let sign = Arc::new(Notify::new());
    let waiting = sign.clone();
    let world = Setup::script(move |_| Reply::After(waiting.clone(), json("{}")))
        .limits(|limits| limits.idle_timeout = SHORT)
        .start()
        .await;
    let mut idle = world.client(OWN).await;
    let mut busy = world.client(OWN).await;
    busy.send(format!("GET {GET} HTTP/1.1\r\nHost: {OWN}\r\n\r\n"))
        .await;
    world.vault.has_seen(1).await;
    // It is as old as the busy one, and gone.
    idle.closed().await;
    sign.notify_one();
    assert_eq!(busy.answer().await.status(), 200);
    busy.closed().await;
    let idle = ListenEvent::Closed(CloseReason::Idle);
    world
        .noted(|notes| notes.events.iter().filter(|event| **event == idle).count() == 2)
        .await;
}

#[tokio::test]
async fn handshakes_that_fail_are_told_apart() {
    let world = Setup::default()
        .limits(|limits| limits.handshake_timeout = SHORT)
        .start()
        .await;
    let failed = |failure| ListenEvent::HandshakeFailed(failure);
    let mut silent = TcpStream::connect(world.address).await.unwrap();
    soon(silent.read(&mut [0; 1])).await.unwrap();
    world.event(failed(HandshakeFailure::Timeout)).await;

    let mut plain = TcpStream::connect(world.address).await.unwrap();
    plain.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    world.event(failed(HandshakeFailure::NotTls)).await;

    drop(TcpStream::connect(world.address).await.unwrap());
    world.event(failed(HandshakeFailure::Disconnected)).await;

    let strangers = crate::pki::Pki::new().client(&["http/1.1"]);
    assert!(
        Client::connect(world.address, strangers, OWN)
            .await
            .is_err()
    );
    world.event(failed(HandshakeFailure::Alert)).await;

    let incompatible = world.pki.client(&["spdy/1"]);
    assert!(
        Client::connect(world.address, incompatible, OWN)
            .await
            .is_err()
    );
    world.event(failed(HandshakeFailure::Incompatible)).await;
    assert!(!world.notes().events.contains(&ListenEvent::Opened));
}

#[tokio::test]
async fn a_client_without_alpn_speaks_http_1() {
    let world = Setup::default().start().await;
    let mut client = Client::connect(world.address, world.pki.client(&[]), OWN)
        .await
        .unwrap();
    assert_eq!(client.get(OWN, GET).await.status(), 200);
    // An HTTP/2 preface is no request then.
    assert_eq!(
        client
            .ask("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
            .await
            .status(),
        400
    );
}

#[tokio::test]
async fn further_clients_wait_while_all_connections_are_taken() {
    let world = Setup::default()
        .limits(|limits| limits.max_connections = 1)
        .start()
        .await;
    let mut first = world.client(OWN).await;
    let address = world.address;
    let config = world.pki.client(&["http/1.1"]);
    let second = tokio::spawn(Client::connect(address, config, OWN));
    assert_eq!(first.get(OWN, GET).await.status(), 200);
    assert_eq!(first.get(OWN, GET).await.status(), 200);
    let opened = |events: &[ListenEvent]| {
        events
            .iter()
            .filter(|event| **event == ListenEvent::Opened)
            .count()
    };
    assert_eq!(opened(&world.notes().events), 1);
    assert!(!second.is_finished());
    drop(first);
    let mut second = soon(second).await.unwrap().unwrap();
    assert_eq!(second.get(OWN, GET).await.status(), 200);
    assert_eq!(opened(&world.notes().events), 2);
}

#[tokio::test]
async fn draining_finishes_what_is_in_flight_and_takes_nothing_new() {
    let sign = Arc::new(Notify::new());
    let waiting = sign.clone();
    let world = Setup::script(move |_| Reply::After(waiting.clone(), json("{}")))
        .start()
        .await;
    let mut idle = world.client(OWN).await;
    let mut busy = world.client(OWN).await;
    busy.send(format!("GET {GET} HTTP/1.1\r\nHost: {OWN}\r\n\r\n"))
        .await;
    world.vault.has_seen(1).await;
    world.start_draining();
    idle.closed().await;
    assert!(TcpStream::connect(world.address).await.is_err());
    sign.notify_one();
    let answer = busy.answer().await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.text(), "{}");
    busy.closed().await;
    assert_eq!(world.drained().await.aborted, 0);
}

#[tokio::test]
async fn draining_cuts_what_outlives_the_grace() {
    let world = Setup::script(|_| Reply::Hold(Vec::new()))
        .limits(|limits| limits.drain_grace = SHORT)
        .start()
        .await;
    let mut busy = world.client(OWN).await;
    busy.send(format!("GET {GET} HTTP/1.1\r\nHost: {OWN}\r\n\r\n"))
        .await;
    world.vault.has_seen(1).await;
    world.start_draining();
    assert_eq!(world.drained().await.aborted, 1);
    busy.closed().await;
    world.noted(|notes| notes.abandoned == 1).await;
    world.vault.was_left(1).await;
}

#[tokio::test]
async fn what_works_for_a_client_that_went_away_is_dropped() {
    let world = Setup::script(|_| Reply::Hold(Vec::new())).start().await;
    let mut client = world.client(OWN).await;
    client
        .send(format!("GET {GET} HTTP/1.1\r\nHost: {OWN}\r\n\r\n"))
        .await;
    world.vault.has_seen(1).await;
    drop(client);
    world.noted(|notes| notes.abandoned == 1).await;
    world.vault.was_left(1).await;
    assert_eq!(world.notes().outcomes, []);
}

#[tokio::test]
async fn a_client_that_never_takes_its_answer_loses_the_connection_and_lets_go_of_the_vault() {
    let large = crate::vault::answer("200 OK", &[], &"x".repeat(64 * 1024 * 1024));
    let short = Duration::from_millis(400);
    let world = Setup::script(move |_| Reply::Keep(large.clone()))
        .limits(|limits| (limits.total_timeout, limits.body_read_timeout) = (short, short))
        .start()
        .await;
    let mut client = world.client(OWN).await;
    client
        .send(format!("GET {GET} HTTP/1.1\r\nHost: {OWN}\r\n\r\n"))
        .await;
    world.vault.has_seen(1).await;
    world.event(ListenEvent::Closed(CloseReason::Stalled)).await;
    world.vault.was_left(1).await;
}

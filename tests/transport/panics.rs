//! A service that panics: its connection ends, over HTTP/2 its stream, and nothing else.

use portcullis::proxy::listen::{CloseReason, ListenEvent};

use crate::frames::{GOAWAY, HEADERS, RST_STREAM};
use crate::gate::{OWN, PANICS, PANICS_LATE, Setup};
use crate::http2::{connect, request};
use crate::vault::{Reply, answer};

const GET: &str = "/secrets/n/?api-version=7.4";

#[tokio::test]
async fn over_http1_the_connection_ends_without_an_answer() {
    let world = Setup::default().start().await;
    let mut bystander = world.client(OWN).await;
    assert_eq!(bystander.get(OWN, GET).await.status(), 200);
    let mut client = world.client(OWN).await;
    let request = format!("GET {PANICS} HTTP/1.1\r\nHost: {OWN}\r\n\r\n");
    // What was sent behind it is not answered either.
    client.send(request.repeat(2)).await;
    client.closed().await;
    world.event(ListenEvent::Closed(CloseReason::Aborted)).await;
    assert_eq!(world.notes().abandoned, 1);
    assert_eq!(bystander.get(OWN, GET).await.status(), 200);
}

#[tokio::test]
async fn a_panic_while_an_answer_is_relayed_breaks_it_off() {
    let text = |_: &_| Reply::Keep(answer("200 OK", &["Content-Type: text/plain"], "text"));
    let world = Setup::script(text).start().await;
    let mut client = world.client(OWN).await;
    let request = format!("GET {PANICS_LATE} HTTP/1.1\r\nHost: {OWN}\r\n\r\n");
    client.send(request).await;
    client.closed().await;
    assert_eq!(world.vault.journal().len(), 1);
    world.event(ListenEvent::Closed(CloseReason::Aborted)).await;
    let mut client = world.client(OWN).await;
    assert_eq!(client.get(OWN, GET).await.status(), 200);
}

#[tokio::test]
async fn over_http2_the_stream_is_reset_and_the_others_go_on() {
    let world = Setup::default().start().await;
    let mut raw = connect(&world).await;
    request(&mut raw, 1, PANICS).await;
    request(&mut raw, 3, GET).await;
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let frame = raw.next(&[HEADERS, RST_STREAM, GOAWAY]).await.unwrap();
        seen.push((frame.stream, frame.kind));
    }
    seen.sort_unstable();
    assert_eq!(seen, [(1, RST_STREAM), (3, HEADERS)]);
    request(&mut raw, 5, GET).await;
    let frame = raw.next(&[HEADERS, GOAWAY]).await.unwrap();
    assert_eq!((frame.kind, frame.stream), (HEADERS, 5));
    assert_eq!(world.notes().abandoned, 1);
}

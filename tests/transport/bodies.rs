//! Request bodies: streamed, bounded, and drained when nobody wants them.

use portcullis::proxy::body::{BodyEnd, BodyOutcome};
use portcullis::proxy::upstream::UpstreamErrorKind;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::gate::{OWN, REFUSED, Setup};
use crate::vault::{Reply, json, soon};

const PUT: &str = "PUT /secrets/n?api-version=7.4 HTTP/1.1\r\nHost: contoso.vault.azure.net\r\n";

#[tokio::test]
async fn a_body_keeps_its_length_and_an_empty_one_has_one() {
    let world = Setup::default().start().await;
    let mut client = world.client(OWN).await;
    let answer = client
        .ask(format!(
            "{PUT}Content-Length: 13\r\n\r\n{{\"value\":\"v\"}}"
        ))
        .await;
    assert_eq!(answer.status(), 200);
    let backup =
        "POST /keys/k/backup?api-version=7.4 HTTP/1.1\r\nHost: contoso.vault.azure.net\r\n";
    assert_eq!(client.ask(format!("{backup}\r\n")).await.status(), 200);
    assert_eq!(
        client
            .ask(format!("{backup}Content-Length: 0\r\n\r\n"))
            .await
            .status(),
        200
    );
    let journal = world.vault.journal();
    assert_eq!(journal[0].body, b"{\"value\":\"v\"}");
    assert_eq!(journal[0].header("transfer-encoding"), None);
    for (seen, length) in journal.iter().zip(["13", "0", "0"]) {
        assert_eq!(seen.header("content-length"), Some(length));
    }
}

#[tokio::test]
async fn a_body_declared_too_large_is_refused_before_anything_is_sent() {
    let world = Setup::default()
        .limits(|limits| limits.max_body_bytes = 100)
        .start()
        .await;
    let mut client = world.client(OWN).await;
    let answer = client
        .ask(format!(
            "{PUT}Content-Length: 101\r\n\r\n{}",
            "x".repeat(101)
        ))
        .await;
    assert_eq!(answer.refusal(), (413, "request_too_large"));
    assert_eq!(world.vault.connections(), 0);
    assert_eq!(
        world.notes().errors,
        [(UpstreamErrorKind::RequestTooLarge, false)]
    );
}

#[tokio::test]
async fn a_chunked_body_that_grows_too_large_is_cut_off() {
    let world = Setup::default()
        .limits(|limits| limits.max_body_bytes = 100)
        .start()
        .await;
    let mut client = world.client(OWN).await;
    client
        .send(format!("{PUT}Transfer-Encoding: chunked\r\n\r\n"))
        .await;
    client.send(format!("40\r\n{}\r\n", "x".repeat(64))).await;
    world.vault.has_seen(1).await;
    client.send(format!("40\r\n{}\r\n", "x".repeat(64))).await;
    let answer = client.answer().await;
    assert_eq!(answer.refusal(), (413, "request_too_large"));
    world.vault.was_left(1).await;
    let journal = world.vault.journal();
    assert_eq!((journal.len(), journal[0].complete), (1, false));
    assert_eq!(
        world.notes().errors,
        [(UpstreamErrorKind::RequestTooLarge, true)]
    );
}

#[tokio::test]
async fn a_body_that_does_not_come_is_408() {
    let world = Setup::default()
        .limits(|limits| limits.body_read_timeout = std::time::Duration::from_millis(50))
        .start()
        .await;
    let mut client = world.client(OWN).await;
    let answer = client
        .ask(format!("{PUT}Content-Length: 5\r\n\r\nabc"))
        .await;
    assert_eq!(answer.refusal(), (408, "request_timeout"));
    client.closed().await;
}

#[tokio::test]
async fn a_body_that_breaks_off_never_ends_cleanly_at_the_vault() {
    let world = Setup::default().start().await;
    for framing in ["Content-Length: 10", "Transfer-Encoding: chunked"] {
        let mut client = world.client(OWN).await;
        client
            .send(format!("{PUT}{framing}\r\n\r\n2\r\nab\r\n"))
            .await;
        let so_far = world.vault.journal().len();
        world.vault.has_seen(so_far.max(1)).await;
        drop(client);
    }
    world.vault.was_left(2).await;
    assert!(world.vault.journal().iter().all(|seen| !seen.complete));
}

#[tokio::test]
async fn an_answer_to_a_refused_upload_can_be_read_and_the_connection_used_again() {
    let world = Setup::default().start().await;
    let mut client = world.client(OWN).await;
    let large = "x".repeat(700 * 1024);
    let head = REFUSED_PUT.replace("{length}", &large.len().to_string());
    let answer = client.ask(head.clone() + &large).await;
    assert_eq!(answer.refusal(), (403, "refused"));
    // The body comes after the answer.
    assert_eq!(client.ask(&head).await.refusal(), (403, "refused"));
    client.send(&large).await;
    assert_eq!(client.get(OWN, REFUSED).await.refusal(), (403, "refused"));
    assert_eq!(world.vault.connections(), 0);
}

const REFUSED_PUT: &str = "PUT /secrets/refused?api-version=7.4 HTTP/1.1\r\n\
    Host: contoso.vault.azure.net\r\nContent-Length: {length}\r\n\r\n";

#[tokio::test]
async fn a_refused_client_that_asked_first_is_not_told_to_go_on() {
    let world = Setup::default().start().await;
    let mut client = world.client(OWN).await;
    let head = REFUSED_PUT
        .replace("{length}", "100")
        .replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.ask(head).await.refusal(), (403, "refused"));
    client.closed().await;
}

#[tokio::test]
async fn an_allowed_client_that_asked_first_is_told_to_go_on() {
    let world = Setup::default().start().await;
    let mut client = world.client(OWN).await;
    let head = format!("{PUT}Content-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    assert_eq!(client.ask(head).await.status(), 100);
    assert_eq!(client.ask("abc").await.status(), 200);
    let seen = &world.vault.journal()[0];
    assert_eq!((&*seen.body, seen.header("expect")), (&b"abc"[..], None));
}

#[tokio::test]
async fn the_end_of_an_answer_is_observed() {
    let world = Setup::script(|_| Reply::Keep(json("{\"a\":1}")))
        .start()
        .await;
    let mut client = world.client(OWN).await;
    assert_eq!(
        client.get(OWN, "/secrets?api-version=7.4").await.status(),
        200
    );
    let complete = BodyOutcome {
        end: BodyEnd::Complete,
        bytes: 7,
    };
    world.noted(|notes| notes.outcomes == [complete]).await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_does_not_end_cleanly_for_an_old_client_either() {
    let head = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n";
    let begun = format!("{head}3\r\nabc\r\n").into_bytes();
    let world = Setup::script(move |_| Reply::Cut(begun.clone()))
        .start()
        .await;
    let mut stream = world.client(OWN).await.into_stream();
    let request = format!("GET /secrets/n/?api-version=7.4 HTTP/1.0\r\nHost: {OWN}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // HTTP/1.0 has no chunks: the end of the connection is the end of the body, and only the
    // missing close_notify tells that it is not the whole body.
    let end = soon(stream.read_to_end(&mut answer)).await;
    assert!(answer.starts_with(b"HTTP/1.0 200"), "{answer:?}");
    assert_eq!(end.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
}

//! HTTP/1 as attackers write it.

use portcullis::proxy::HeadDefect;
use portcullis::proxy::listen::{CloseReason, ListenEvent};

use crate::gate::{OWN, REFUSED, Setup, World};
use crate::vault::{Reply, json};

const GET: &str = "/secrets/n/?api-version=7.4";

/// Sends bytes on a connection of their own and expects a 400 of the HTTP layer, the end of the
/// connection, and that no request came of it.
async fn is_refused_as(world: &World, request: &str, defect: HeadDefect) {
    let mut client = world.client(OWN).await;
    let answer = client.ask(request).await;
    assert_eq!(answer.status(), 400, "{request:?}");
    client.closed().await;
    world.event(ListenEvent::RequestRefused(defect)).await;
    assert_eq!(world.notes().requests, 0, "{request:?}");
}

#[tokio::test]
async fn an_ordinary_request_arrives_as_it_was_authorized() {
    let world = Setup::default().start().await;
    let mut client = world.client(OWN).await;
    let answer = client
        .ask(format!(
            "GET //secrets/Name?api%2Dversion=7.4 HTTP/1.1\r\nHost: {OWN}:443\r\n\
             User-Agent: test\r\nX-Forwarded-For: 10.0.0.1\r\nCookie: a=b\r\n\
             x-ms-client-request-id: 17\r\nConnection: keep-alive, x-hop\r\nx-hop: 1\r\n\r\n"
        ))
        .await;
    assert_eq!((answer.status(), answer.text()), (200, "{}"));
    let seen = &world.vault.journal()[0];
    assert_eq!(
        seen.request_line(),
        "GET /secrets/Name?api-version=7.4 HTTP/1.1"
    );
    let mut names: Vec<&str> = seen
        .head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(':').map(|(name, _)| name))
        .collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "authorization",
            "host",
            "user-agent",
            "x-ms-client-request-id"
        ]
    );
    assert_eq!(seen.header("host"), Some(OWN));
    assert_eq!(
        seen.header("authorization"),
        Some("Bearer header.payload.signature")
    );
}

#[tokio::test]
async fn two_framings_are_refused_and_nothing_is_smuggled() {
    let world = Setup::default().start().await;
    for framing in [
        "Content-Length: 4\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 4",
        "Content-Length: 4\r\nContent-Length: 4",
        "Content-Length: 4\r\nContent-Length: 44",
    ] {
        let request = format!(
            "PUT {GET} HTTP/1.1\r\nHost: {OWN}\r\n{framing}\r\n\r\n0\r\n\r\n\
             GET {GET} HTTP/1.1\r\nHost: {OWN}\r\n\r\n"
        );
        is_refused_as(&world, &request, HeadDefect::AmbiguousFraming).await;
    }
    let coded = format!(
        "PUT {GET} HTTP/1.1\r\nHost: {OWN}\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"
    );
    is_refused_as(&world, &coded, HeadDefect::BadFraming).await;
    assert_eq!(world.vault.journal().len(), 0);
}

#[tokio::test]
async fn lines_with_two_readings_are_refused() {
    let world = Setup::default().start().await;
    for (request, defect) in [
        (
            format!("GET {GET} HTTP/1.1\r\nHost: {OWN}\r\nX: a\r\n b\r\n\r\n"),
            HeadDefect::BadHeaderLine,
        ),
        (
            format!("GET {GET} HTTP/1.1\r\nHost : {OWN}\r\n\r\n"),
            HeadDefect::BadHeaderLine,
        ),
        (
            format!("GET {GET} HTTP/1.1\nHost: {OWN}\n\n"),
            HeadDefect::BadLine,
        ),
        (
            format!("GET {GET} HTTP/1.1\r\nHost: {OWN}\r\nX: \x1b[2J\r\n\r\n"),
            HeadDefect::BadLine,
        ),
        (
            format!("GET /secrets/a#/../b?api-version=7.4 HTTP/1.1\r\nHost: {OWN}\r\n\r\n"),
            HeadDefect::Fragment,
        ),
        (
            format!("GET  {GET} HTTP/1.1\r\nHost: {OWN}\r\n\r\n"),
            HeadDefect::BadRequestLine,
        ),
    ] {
        is_refused_as(&world, &request, defect).await;
    }
    assert_eq!(world.vault.journal().len(), 0);
}

#[tokio::test]
async fn a_host_that_is_doubled_absent_or_foreign_reaches_nothing() {
    let world = Setup::default().start().await;
    let public = world.public();
    for (head, refusal) in [
        (
            format!("GET {GET} HTTP/1.1\r\nHost: {OWN}\r\nHost: {OWN}"),
            (400, "header"),
        ),
        (
            format!("GET {GET} HTTP/1.1\r\nHost: {OWN}\r\nHost: evil.test"),
            (400, "header"),
        ),
        (format!("GET {GET} HTTP/1.1"), (421, "bad_host")),
        (format!("GET {GET} HTTP/1.0"), (421, "bad_host")),
        (
            format!("GET {GET} HTTP/1.1\r\nHost: {OWN}.evil.test"),
            (421, "bad_host"),
        ),
        // It is served here, but the handshake named another.
        (
            format!("GET {GET} HTTP/1.1\r\nHost: {public}"),
            (421, "bad_host"),
        ),
        (
            format!("GET {GET} HTTP/1.1\r\nHost: {OWN}:8443"),
            (421, "unknown_vault"),
        ),
        (
            format!("GET https://evil.test{GET} HTTP/1.1\r\nHost: {OWN}"),
            (421, "bad_host"),
        ),
        (
            format!("GET http://{OWN}{GET} HTTP/1.1\r\nHost: {OWN}"),
            (421, "bad_host"),
        ),
    ] {
        let answer = world.client(OWN).await.ask(format!("{head}\r\n\r\n")).await;
        assert_eq!(answer.refusal(), refusal, "{head:?}");
    }
    assert_eq!(world.vault.journal().len(), 0);
    let absolute = format!("GET https://{OWN}:443{GET} HTTP/1.1\r\nHost: {OWN}\r\n\r\n");
    assert_eq!(world.client(OWN).await.ask(absolute).await.status(), 200);
    assert_eq!(
        world.vault.journal()[0].request_line(),
        format!("GET {GET} HTTP/1.1")
    );
}

#[tokio::test]
async fn refused_headers_and_methods_reach_nothing() {
    let world = Setup::default().start().await;
    for (head, refusal) in [
        (
            format!("POST {REFUSED} HTTP/1.1\r\nX-HTTP-Method: DELETE"),
            (400, "header"),
        ),
        (
            format!("GET {GET} HTTP/1.1\r\nX_Http_Request: DELETE"),
            (400, "header"),
        ),
        (
            format!("GET {GET} HTTP/1.1\r\nConnection: authorization"),
            (400, "header"),
        ),
        (
            format!("GET {GET} HTTP/1.1\r\nUpgrade: websocket\r\nConnection: upgrade"),
            (400, "header"),
        ),
        (format!("GET {GET} HTTP/1.1\r\nTE: gzip"), (400, "header")),
        (
            format!("GET {GET} HTTP/1.1\r\nAuthorization: Bearer a\r\nAuthorization: Bearer b"),
            (400, "header"),
        ),
        (
            format!("GET {GET} HTTP/1.1\r\nContent-Length: 1\r\nX: "),
            (400, "header"),
        ),
        (
            format!("PUT {GET} HTTP/1.0\r\nContent-Length: 1\r\nX: "),
            (400, "header"),
        ),
        (format!("TRACE {GET} HTTP/1.1"), (400, "route")),
        (format!("CONNECT {OWN}:443 HTTP/1.1"), (400, "route")),
        (
            "GET /secrets/a%2f..%2fb?api-version=7.4 HTTP/1.1".into(),
            (400, "route"),
        ),
    ] {
        let request = format!("{head}\r\nHost: {OWN}\r\n\r\n");
        let answer = world.client(OWN).await.ask(request).await;
        assert_eq!(answer.refusal(), refusal, "{head:?}");
    }
    assert_eq!(world.vault.journal().len(), 0);
}

#[tokio::test]
async fn a_request_inside_a_refused_body_is_not_a_request() {
    let world = Setup::default().start().await;
    let mut client = world.client(OWN).await;
    let smuggled = format!("GET /secrets/smuggled?api-version=7.4 HTTP/1.1\r\nHost: {OWN}\r\n\r\n");
    let refused = format!(
        "PUT {REFUSED} HTTP/1.1\r\nHost: {OWN}\r\nContent-Length: {}\r\n\r\n{smuggled}",
        smuggled.len()
    );
    let next = format!("GET {GET} HTTP/1.1\r\nHost: {OWN}\r\n\r\n");
    // In one write, and in two, so that the body is late.
    client.send(format!("{refused}{next}")).await;
    assert_eq!(client.answer().await.refusal(), (403, "refused"));
    assert_eq!(client.answer().await.status(), 200);
    let (early, late) = refused.split_at(refused.len() - 20);
    assert_eq!(client.ask(early).await.refusal(), (403, "refused"));
    client.send(late).await;
    assert_eq!(client.ask(&next).await.status(), 200);
    let lines: Vec<String> = world
        .vault
        .journal()
        .iter()
        .map(|seen| seen.request_line().to_owned())
        .collect();
    assert_eq!(lines, vec![format!("GET {GET} HTTP/1.1"); 2]);
}

#[tokio::test]
async fn a_chunked_body_ends_the_connection() {
    let world = Setup::script(|_| Reply::Keep(json("{}"))).start().await;
    let mut client = world.client(OWN).await;
    let answer = client
        .ask(format!(
            "PUT /secrets/n?api-version=7.4 HTTP/1.1\r\nHost: {OWN}\r\n\
             Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n\
             GET {GET} HTTP/1.1\r\nHost: {OWN}\r\n\r\n"
        ))
        .await;
    assert_eq!(answer.status(), 200);
    assert_eq!(answer.header("connection"), Some("close"));
    client.closed().await;
    let journal = world.vault.journal();
    assert_eq!(journal.len(), 1);
    assert_eq!(journal[0].body, b"abc");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_431() {
    let world = Setup::default().start().await;
    let large = "x".repeat(40 * 1024);
    for request in [
        format!("GET {GET} HTTP/1.1\r\nHost: {OWN}\r\nX: {large}\r\n\r\n"),
        format!("GET {GET} HTTP/1.1\r\nHost: {OWN}\r\nX: {large}"),
    ] {
        let mut client = world.client(OWN).await;
        assert_eq!(client.ask(request).await.status(), 431);
        client.closed().await;
    }
    let many = "X: y\r\n".repeat(101);
    let request = format!("GET {GET} HTTP/1.1\r\nHost: {OWN}\r\n{many}\r\n");
    assert_eq!(world.client(OWN).await.ask(request).await.status(), 431);
    assert_eq!(world.notes().requests, 0);
    world
        .event(ListenEvent::Closed(CloseReason::Protocol))
        .await;
}

//! Too much of one thing: the right status, and what it held is free again.

use std::time::Duration;

use portcullis::dev::people;

use crate::frames::{
    CONTINUATION, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RST_STREAM, Received, fields, frame,
};
use crate::site::{SECRET, Setup, Site};
use crate::stand::Then;

#[tokio::test]
async fn heads_that_are_too_large_are_431() {
    let site = Site::start().await;
    let large = "x".repeat(40 * 1024);
    for attack in [
        format!("GET {SECRET} HTTP/1.1\r\n{{H}}X: {large}\r\n\r\n{{GET}}"),
        format!("GET {SECRET} HTTP/1.1\r\n{{H}}{large}: x\r\n\r\n{{GET}}"),
        // Without an end, too.
        format!("GET {SECRET} HTTP/1.1\r\n{{H}}X: {large}"),
        format!(
            "GET {SECRET} HTTP/1.1\r\n{{H}}{}\r\n{{GET}}",
            "X: y\r\n".repeat(101)
        ),
        format!(
            "GET {SECRET} HTTP/1.1\r\n{{H}}{}\r\n{{GET}}",
            "X: y\r\n".repeat(3000)
        ),
    ] {
        site.is_unreadable(&attack, 431).await;
    }
    let most = "X: y\r\n".repeat(98);
    let head = site.written(&format!("GET {SECRET} HTTP/1.1\r\n{{H}}{most}"));
    assert_eq!(site.ask(&head).await.status, 200);
}

#[tokio::test]
async fn targets_that_are_too_long_are_414() {
    let site = Site::start().await;
    for length in [8193, 20_000] {
        let token = "x".repeat(length - "/secrets?api-version=7.4&$skiptoken=".len());
        let target = format!("/secrets?api-version=7.4&$skiptoken={token}");
        let attack = format!("GET {target} HTTP/1.1\r\n{{H}}\r\n");
        site.is_refused(&attack, (414, "target_too_long"), Then::GoesOn)
            .await;
        let path = format!("/secrets/{}?api-version=7.4", "x".repeat(length));
        let attack = format!("GET {path} HTTP/1.1\r\n{{H}}\r\n");
        site.is_refused(&attack, (414, "target_too_long"), Then::GoesOn)
            .await;
        site.forget();
        let mut client = site.http2("localhost").await;
        let bearer = format!("Bearer {}", site.token(people::ADMIN));
        let url = format!("{}{target}", site.world.url());
        let request = http::Request::get(url).header("authorization", bearer);
        site.refused(&client.ask(request).await, (414, "target_too_long"));
    }
    // One that is longer than any head may be.
    let attack = format!("GET /{} HTTP/1.1\r\n{{H}}\r\n{{GET}}", "x".repeat(40_000));
    site.is_unreadable(&attack, 431).await;
}

#[tokio::test]
async fn bodies_that_are_too_large_are_413() {
    let mut setup = Setup::default();
    setup.limits.max_body_bytes = 1000;
    let site = setup.start().await;
    let put =
        "PUT /secrets/smuggled?api-version=7.4 HTTP/1.1\r\n{H}Content-Type: application/json\r\n";
    let body = format!("{{\"value\":\"{}\"}}", "x".repeat(990));
    assert_eq!(body.len(), 1002);
    let attack = format!("{put}Content-Length: 1002\r\n\r\n{body}");
    site.is_refused(&attack, (413, "body_too_large"), Then::Either)
        .await;
    // What is only announced is refused, too, and what announces more than there is room for.
    for length in ["1001", "1000000000000", "18446744073709551613"] {
        let attack = format!("{put}Content-Length: {length}\r\n\r\n{{}}");
        site.forget();
        let mut wire = site.wire().await;
        let reply = wire.ask(site.written(&attack)).await;
        site.refused(&reply, (413, "body_too_large"));
        drop(wire);
        site.stands(&attack).await;
    }
    // Without an announcement the head may have gone to the vault; nothing came of it.
    let chunked = format!("{put}Transfer-Encoding: chunked\r\n\r\n3ea\r\n{body}\r\n0\r\n\r\n");
    let mut wire = site.wire().await;
    let reply = wire.ask(site.written(&chunked)).await;
    assert_eq!(reply.status, 413);
    wire.closed().await;
    let url = "/secrets/smuggled?api-version=7.4";
    assert_eq!(site.get(people::ADMIN, url).await.status, 404);
    site.works("a large body").await;
}

/// An administrator's request with more fields than its own.
fn head_with(site: &Site, more: &[(&str, String)]) -> Vec<u8> {
    let mut list = vec![
        (":method", "GET".to_owned()),
        (":scheme", "https".to_owned()),
        (":authority", site.host()),
        (":path", SECRET.to_owned()),
        (
            "authorization",
            format!("Bearer {}", site.token(people::ADMIN)),
        ),
    ];
    list.extend_from_slice(more);
    fields(&list)
}

#[tokio::test]
async fn lists_of_headers_that_are_too_large_never_become_requests() {
    let site = Site::start().await;
    let value = "x".repeat(1000);
    let large: Vec<_> = (0..33).map(|_| ("x", value.clone())).collect();
    let many: Vec<_> = (0..2000).map(|_| ("x", String::new())).collect();
    for (what, block) in [
        ("large", head_with(&site, &large)),
        ("many", head_with(&site, &many)),
    ] {
        let mut raw = site.raw().await;
        let (mut kind, mut parts) = (HEADERS, block.chunks(16_000).peekable());
        while let Some(part) = parts.next() {
            let end = if parts.peek().is_none() {
                END_HEADERS
            } else {
                0
            };
            let flags = if kind == HEADERS {
                END_STREAM | end
            } else {
                end
            };
            raw.flood(&frame(kind, flags, 1, part)).await;
            kind = CONTINUATION;
        }
        let Received { kind, payload, .. } =
            raw.next(&[HEADERS, RST_STREAM, GOAWAY]).await.unwrap();
        if kind == HEADERS {
            // `:status: 431`, spelled out with a name from the static table (RFC 7541 §6.2.1).
            assert!(
                payload[0] == 0x48 || payload[0] == 0x08,
                "{what}: {payload:?}"
            );
        }
        assert_eq!(site.new_decisions().len(), 0, "{what}");
        site.stands(what).await;
        site.forget();
    }
}

#[tokio::test]
async fn references_to_the_table_of_headers_count_in_full() {
    let site = Site::start().await;
    // The table makes fields short, not small: each reference to it counts in full.
    let mut bomb = head_with(&site, &[]);
    bomb.extend([0x40, 1, b'x', 127, 0x81, 0x1d]);
    bomb.extend([b'y'; 3840]);
    bomb.extend([0xbe; 5000]);
    let mut raw = site.raw().await;
    raw.flood(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &bomb))
        .await;
    raw.next(&[HEADERS, RST_STREAM, GOAWAY]).await.unwrap();
    assert_eq!(site.new_decisions().len(), 0);
    site.stands("a bomb of headers").await;
}

#[tokio::test]
async fn streams_beyond_the_limit_are_refused_and_the_others_go_on() {
    let mut setup = Setup::default();
    setup.limits.max_concurrent_streams = 3;
    let site = setup.start().await;
    let block = fields(&[
        (":method", "PUT".to_owned()),
        (":scheme", "https".to_owned()),
        (":authority", site.host()),
        (":path", "/secrets/smuggled?api-version=7.4".to_owned()),
        (
            "authorization",
            format!("Bearer {}", site.token(people::NOBODY)),
        ),
    ]);
    let mut raw = site.raw().await;
    raw.next(&[4]).await.unwrap();
    // Nobody's requests are answered without their bodies; these have no token to be answered for.
    let open = fields(&[
        (":method", "PUT".to_owned()),
        (":scheme", "https".to_owned()),
        (":authority", site.host()),
        (":path", "/secrets/held?api-version=7.4".to_owned()),
        (
            "authorization",
            format!("Bearer {}", site.token(people::ADMIN)),
        ),
    ]);
    for stream in [1, 3, 5] {
        raw.send(&frame(HEADERS, END_HEADERS, stream, &open)).await;
    }
    site.until_news(3).await;
    raw.send(&frame(HEADERS, END_HEADERS, 7, &block)).await;
    let refused = raw.next(&[HEADERS, RST_STREAM, GOAWAY]).await.unwrap();
    let refused_stream = 7;
    assert_eq!((refused.kind, refused.stream), (RST_STREAM, 7));
    assert_eq!(refused.error(), refused_stream);
    // One that ends makes room.
    raw.send(&frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])).await;
    raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, 9, &block))
        .await;
    let answered = raw.next(&[HEADERS, GOAWAY]).await.unwrap();
    assert_eq!((answered.kind, answered.stream), (HEADERS, 9));
    drop(raw);
    site.works("streams").await;
}

#[tokio::test]
async fn a_body_that_does_not_come_is_408_and_frees_its_connection() {
    let mut setup = Setup::default();
    setup.limits.body_read_timeout = Duration::from_millis(100);
    let site = setup.start().await;
    let put = "PUT /secrets/smuggled?api-version=7.4 HTTP/1.1\r\n{H}Content-Length: 5\r\n\r\nabc";
    let mut wire = site.wire().await;
    let reply = wire.ask(site.written(put)).await;
    assert_eq!(reply.status, 408);
    wire.closed().await;
    site.works("a body that does not come").await;
}

//! HTTP/1 that two servers in a row would read in two ways.

use portcullis::dev::people;
use serde_json::Value;

use crate::site::{SECRET, Site};
use crate::stand::Then;

/// A request with a body, up to its headers; an administrator's.
const PUT: &str = "PUT /secrets/smuggled?api-version=7.4 HTTP/1.1\r\n{H}";

/// The same of somebody who may do nothing.
const REFUSED: &str = "PUT /secrets/smuggled?api-version=7.4 HTTP/1.1\r\n{N}";

#[tokio::test]
async fn two_framings_are_malformed() {
    let site = Site::start().await;
    for framing in [
        "Content-Length: 5\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 5",
        "transfer-encoding:chunked\r\nX: y\r\ncontent-length:0",
        "Content-Length: 5\r\nContent-Length: 5",
        "Content-Length: 5\r\nContent-Length: 50",
        "Content-Length: 0\r\ncONTENT-lENGTH: 5",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
    ] {
        let attack = format!("{PUT}{framing}\r\n\r\n0\r\n\r\n{{GET}}");
        site.is_malformed(&attack, "ambiguous_framing").await;
    }
}

#[tokio::test]
async fn a_length_that_is_no_plain_number_is_malformed() {
    let site = Site::start().await;
    for length in [
        "",
        " ",
        "+5",
        "-5",
        "5, 5",
        "5,5",
        "5 5",
        "5;",
        "0x5",
        "5e0",
        "5.0",
        "\u{ff15}",
        "\t5",
        "5\t",
        "5 ",
        "  5",
        "18446744073709551616",
        "99999999999999999999999999",
    ] {
        let attack = format!("{PUT}Content-Length: {length}\r\n\r\n0\r\n\r\n{{GET}}");
        site.is_malformed(&attack, "bad_framing").await;
    }
}

#[tokio::test]
async fn a_transfer_coding_that_is_not_chunked_to_the_letter_is_malformed() {
    let site = Site::start().await;
    for coding in [
        "",
        "identity",
        "chunked, identity",
        "identity, chunked",
        "gzip, chunked",
        "chunked, chunked",
        "chunked,",
        ",chunked",
        "xchunked",
        "chunkedx",
        "x chunked",
        "chunked;q=1",
        "\"chunked\"",
        "'chunked'",
        "\tchunked",
        " chunked",
        "chunked ",
        "chunked\t",
        "\r\n chunked",
        "chun\u{212a}ed",
        "\u{a0}chunked",
    ] {
        let attack = format!("{PUT}Transfer-Encoding: {coding}\r\n\r\n0\r\n\r\n{{GET}}");
        site.is_malformed(&attack, "bad_framing").await;
    }
    for coding in ["chunked\u{b}", "\u{b}chunked", "chunked\0", "chunked\u{c}"] {
        let attack = format!("{PUT}Transfer-Encoding: {coding}\r\n\r\n0\r\n\r\n{{GET}}");
        site.is_malformed(&attack, "bad_line").await;
    }
    // HTTP/1.0 has no transfer codings.
    let attack = PUT.replace("HTTP/1.1", "HTTP/1.0");
    let attack = format!("{attack}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n{{GET}}");
    site.is_unreadable(&attack, 400).await;
}

#[tokio::test]
async fn a_header_that_hides_in_another_is_malformed() {
    let site = Site::start().await;
    for lines in [
        "Transfer-Encoding : chunked",
        "Transfer-Encoding\t: chunked",
        " Transfer-Encoding: chunked",
        "X: y\r\n Transfer-Encoding: chunked",
        "X: y\r\n\tTransfer-Encoding: chunked",
        "Transfer-Encoding",
        ": chunked",
        "Transfer Encoding: chunked",
        "Transfer-Encoding(): chunked",
        "Tr\u{e4}nsfer-Encoding: chunked",
        "\"Transfer-Encoding\": chunked",
        "{\"a\": 1}",
    ] {
        let attack = format!("{PUT}{lines}\r\n\r\n0\r\n\r\n{{GET}}");
        site.is_malformed(&attack, "bad_header_line").await;
    }
    for lines in [
        "X: y\nTransfer-Encoding: chunked",
        "X: y\rTransfer-Encoding: chunked",
        "X: y\r\rTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\n",
        "X: y\0Transfer-Encoding: chunked",
        "X\0: y",
        "X: \u{1b}]0;evil\u{7}",
        "X: \u{8}\u{8}",
        "X: \u{7f}",
    ] {
        let attack = format!("{PUT}{lines}\r\n\r\n0\r\n\r\n{{GET}}");
        site.is_malformed(&attack, "bad_line").await;
    }
    // The head ends with a bare LF; what follows is not its body.
    let attack = format!("{PUT}Content-Length: 5\r\n\n0\r\n\r\n{{GET}}");
    site.is_malformed(&attack, "bad_line").await;
    let attack = format!("{PUT}Content-Length: 5\n\r\n0\r\n\r\n{{GET}}");
    site.is_malformed(&attack, "bad_line").await;
}

#[tokio::test]
async fn a_request_line_of_another_protocol_is_malformed() {
    let site = Site::start().await;
    for line in [
        "GET {S}",
        "GET {S} HTTP/0.9",
        "GET {S} HTTP/1",
        "GET {S} HTTP/1.2",
        "GET {S} HTTP/1.10",
        "GET {S} HTTP/01.1",
        "GET {S} HTTP/2.0",
        "GET {S} HTTP/3",
        "GET {S} http/1.1",
        "GET {S} HTTPS/1.1",
        "GET {S} HTTP/1.1 ",
        " GET {S} HTTP/1.1",
        "GET  {S} HTTP/1.1",
        "GET {S}  HTTP/1.1",
        "G\u{cb}T {S} HTTP/1.1",
        "GET{S} HTTP/1.1",
        "GET: {S} HTTP/1.1",
        "GET {S}\u{2028} HTTP/1.1",
        "GET /secrets/app-api\u{a0}key?api-version=7.4 HTTP/1.1",
        "PRI * HTTP/2.0",
        "",
    ] {
        let line = line.replace("{S}", SECRET);
        let attack = format!("{line}\r\n{{H}}\r\n{{GET}}");
        site.is_malformed(&attack, "bad_request_line").await;
    }
    for line in [
        "GET\t{S}\tHTTP/1.1\0",
        "GET {S} HTTP/1.1\r",
        "GET {S}\u{b}HTTP/1.1",
        "GET /secrets/\0?api-version=7.4 HTTP/1.1",
        "GET /secrets/\u{1b}[2J?api-version=7.4 HTTP/1.1",
    ] {
        let line = line.replace("{S}", SECRET);
        let attack = format!("{line}\r\n{{H}}\r\n{{GET}}");
        site.is_malformed(&attack, "bad_line").await;
    }
    let attack = format!("GET {SECRET} HTTP/1.1\n{{H}}\r\n{{GET}}");
    site.is_malformed(&attack, "bad_line").await;
    let attack = format!("GET {SECRET}#/../x HTTP/1.1\r\n{{H}}\r\n{{GET}}");
    site.is_malformed(&attack, "fragment").await;
    // A whole preface of HTTP/2, where the handshake agreed on HTTP/1.1.
    let attack = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{GET}";
    site.is_malformed(attack, "bad_request_line").await;
}

#[tokio::test]
async fn a_wish_for_another_protocol_is_refused() {
    let site = Site::start().await;
    for lines in [
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
        "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Connection: upgrade\r\nUpgrade: TLS/1.2",
        "Upgrade: foo",
        "Upgrade: ",
        "TE: gzip",
        "TE: trailers, deflate;q=0.5",
        "Expect: 200-ok",
        "Expect: 100-continue, 200-ok",
        "Expect: ",
        "Connection: close, authorization",
        "Connection: host",
    ] {
        let attack = format!("GET {SECRET} HTTP/1.1\r\n{{H}}{lines}\r\n\r\n");
        let then = if lines.starts_with("Connection: close") {
            Then::Ends
        } else {
            Then::GoesOn
        };
        site.is_refused(&attack, (400, "bad_header"), then).await;
    }
}

#[tokio::test]
async fn methods_that_are_not_key_vaults_are_refused() {
    let site = Site::start().await;
    for (line, reason) in [
        (format!("TRACE {SECRET}"), "unknown_operation"),
        (format!("TRACK {SECRET}"), "unknown_operation"),
        (format!("OPTIONS {SECRET}"), "unknown_operation"),
        // The target of CONNECT is a host and a port, and of others it is not.
        (format!("CONNECT {SECRET}"), "unknown_operation"),
        ("OPTIONS *".to_owned(), "bad_path"),
        ("GET *".to_owned(), "bad_path"),
        (format!("get {SECRET}"), "unknown_operation"),
        ("PROPFIND /".to_owned(), "bad_path"),
    ] {
        let attack = format!("{line} HTTP/1.1\r\n{{H}}\r\n");
        site.is_refused(&attack, (400, reason), Then::GoesOn).await;
    }
}

#[tokio::test]
async fn connect_opens_no_tunnel() {
    let site = Site::start().await;
    let host = site.host();
    for target in [&*host, "evil.example:443", "127.0.0.1:22"] {
        let attack = format!("CONNECT {target} HTTP/1.1\r\n{{H}}\r\n");
        let verdict = if target == host {
            (400, "bad_path")
        } else {
            (421, "bad_host")
        };
        // What follows is a request to us; it is not sent through.
        site.is_refused(&attack, verdict, Then::GoesOn).await;
    }
}

#[tokio::test]
async fn http_1_0_has_no_bodies_and_needs_a_host() {
    let site = Site::start().await;
    for (attack, verdict) in [
        (
            "PUT /secrets/smuggled?api-version=7.4 HTTP/1.0\r\n{H}Content-Length: 5\r\n\r\n01234",
            (400, "bad_header"),
        ),
        (
            "PUT /secrets/smuggled?api-version=7.4 HTTP/1.0\r\n{H}Connection: keep-alive\r\n\
             Content-Length: 5\r\n\r\n01234",
            (400, "bad_header"),
        ),
        (
            "GET /secrets/app-api-key?api-version=7.4 HTTP/1.0\r\n\r\n",
            (421, "bad_host"),
        ),
        (
            "GET /secrets/app-api-key?api-version=7.4 HTTP/1.1\r\n\r\n",
            (421, "bad_host"),
        ),
    ] {
        let goes_on = attack.contains("keep-alive") || attack.contains("HTTP/1.1");
        let then = if goes_on { Then::GoesOn } else { Then::Ends };
        site.is_refused(attack, verdict, then).await;
    }
    // Behind a request that ends the connection nothing is read.
    let attack = format!("GET {SECRET} HTTP/1.0\r\n{{N}}\r\n{{GET}}");
    site.is_refused(&attack, (403, "no_assignment"), Then::Ends)
        .await;
}

#[tokio::test]
async fn what_is_single_may_not_come_twice() {
    let site = Site::start().await;
    for (line, verdict) in [
        ("Content-Type: application/json", (400, "bad_header")),
        ("User-Agent: curl", (400, "bad_header")),
        ("x-ms-client-request-id: 1", (400, "bad_header")),
        (
            "If-Modified-Since: Sun, 22 Nov 2026 00:00:00 GMT",
            (400, "bad_header"),
        ),
    ] {
        let attack = format!("GET {SECRET} HTTP/1.1\r\n{{H}}{line}\r\n{line}\r\n\r\n");
        site.is_refused(&attack, verdict, Then::GoesOn).await;
    }
    let token = site.token(people::ADMIN);
    for line in [
        format!("Authorization: Bearer {token}"),
        "Authorization: Basic eDp5".to_owned(),
        "AUTHORIZATION: ".to_owned(),
    ] {
        let attack = format!("GET {SECRET} HTTP/1.1\r\n{{H}}{line}\r\n\r\n");
        site.is_refused(&attack, (401, "bad_token"), Then::GoesOn)
            .await;
    }
    let attack = format!("GET {SECRET} HTTP/1.1\r\n{{H}}Host: evil.example\r\n\r\n");
    site.is_refused(&attack, (421, "bad_host"), Then::GoesOn)
        .await;
}

#[tokio::test]
async fn a_request_inside_a_refused_body_is_never_one() {
    let site = Site::start().await;
    let hidden = site.written("{GET}");
    let length = hidden.len();
    let chunk = format!("{length:x}\r\n{hidden}\r\n0\r\n\r\n");
    let unauthenticated = format!(
        "PUT /secrets/smuggled?api-version=7.4 HTTP/1.1\r\nHost: {}\r\n",
        site.host()
    );
    for (head, verdict) in [
        (REFUSED, (403, "no_assignment")),
        (&*unauthenticated, (401, "no_token")),
        (
            "PUT /secrets/a/b/c/d?api-version=7.4 HTTP/1.1\r\n{H}",
            (400, "unknown_operation"),
        ),
        (
            "GET /secrets/app-api-key?api-version=7.4 HTTP/1.1\r\n{H}",
            (400, "bad_body"),
        ),
    ] {
        let attack = format!("{head}Content-Length: {length}\r\n\r\n{hidden}");
        site.is_refused(&attack, verdict, Then::GoesOn).await;
        // A client that asked first has nothing underway; who sends all the same may be cut off.
        let attack =
            format!("{head}Content-Length: {length}\r\nExpect: 100-continue\r\n\r\n{hidden}");
        site.is_refused(&attack, verdict, Then::Either).await;
        let attack = format!("{head}Transfer-Encoding: chunked\r\n\r\n{chunk}{hidden}");
        site.is_refused(&attack, verdict, Then::Ends).await;
    }
}

/// Chunked bodies that some read in another way, or that do not end.
const BAD_CHUNKS: [&str; 24] = [
    "5\r\nab\r\n0\r\n\r\n{GET}",
    "1\r\nab\r\n0\r\n\r\n{GET}",
    "2\r\nab\n0\r\n\r\n{GET}",
    "2\r\nab0\r\n\r\n{GET}",
    "2\nab\r\n0\r\n\r\n{GET}",
    "2\rab\r\n0\r\n\r\n{GET}",
    "-2\r\nab\r\n0\r\n\r\n{GET}",
    "+2\r\nab\r\n0\r\n\r\n{GET}",
    "0x2\r\nab\r\n0\r\n\r\n{GET}",
    " 2\r\nab\r\n0\r\n\r\n{GET}",
    "\r\nab\r\n0\r\n\r\n{GET}",
    "g\r\nab\r\n0\r\n\r\n{GET}",
    "2 2\r\nab\r\n0\r\n\r\n{GET}",
    "2\0\r\nab\r\n0\r\n\r\n{GET}",
    "2;x\nab\r\n0\r\n\r\n{GET}",
    "2;x=\"\n\"\r\nab\r\n0\r\n\r\n{GET}",
    "2;x=\"\r\n\"\r\nab\r\n0\r\n\r\n{GET}",
    "10000000000000002\r\nab\r\n0\r\n\r\n{GET}",
    "fffffffffffffffffffff\r\nab\r\n0\r\n\r\n{GET}",
    "2\r\nab\r\n0\r\nX: y\nZ: z\r\n\r\n{GET}",
    "2\r\nab\r\n0\r\n X: folded\r\n\r\n{GET}",
    "2\r\nab\r\n0\r\nX : y\r\n\r\n{GET}",
    "2\r\nab\r\n0\r\nno colon\r\n\r\n{GET}",
    "2\r\nab\r\n0\n\r\n{GET}",
];

#[tokio::test]
async fn a_chunked_body_is_the_last_of_its_connection_however_it_is_written() {
    let site = Site::start().await;
    let long = format!("2;{}\r\nab\r\n0\r\n\r\n{{GET}}", "x".repeat(64 * 1024));
    let many = format!("2\r\nab\r\n0\r\n{}\r\n{{GET}}", "X: y\r\n".repeat(2000));
    for chunks in BAD_CHUNKS.into_iter().chain([&*long, &*many]) {
        let attack = format!("{REFUSED}Transfer-Encoding: chunked\r\n\r\n{chunks}");
        site.forget();
        let mut wire = site.wire().await;
        let reply = wire.ask(site.written(&attack)).await;
        site.refused(&reply, (403, "no_assignment"));
        site.and_then(&attack, wire, Then::Ends).await;
    }
}

#[tokio::test]
async fn a_chunked_body_that_is_broken_does_nothing_at_the_vault() {
    let site = Site::start().await;
    for chunks in BAD_CHUNKS {
        let body = chunks
            .replace("ab", r#"{"value":"x"}"#)
            .replacen('2', "d", 1);
        let attack = format!(
            "{PUT}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n{body}"
        );
        let mut wire = site.wire().await;
        wire.send(site.written(&attack)).await;
        wire.finish().await;
        // Whether or not its head had gone to the vault by then, nothing came of it.
        let reply = site
            .get(people::ADMIN, "/secrets/smuggled?api-version=7.4")
            .await;
        assert_eq!(reply.status, 404, "{chunks:?}");
        let hidden = site.news();
        let hidden: Vec<_> = hidden
            .iter()
            .filter(|entry| entry.path_and_query == SECRET)
            .collect();
        assert!(hidden.is_empty(), "{chunks:?}: {hidden:?}");
        site.works(chunks).await;
    }
}

#[tokio::test]
async fn trailers_and_extensions_are_not_passed_on() {
    let site = Site::start().await;
    let body = r#"{"value":"x"}"#;
    let attack = format!(
        "{PUT}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\nTrailer: Host\r\n\r\n\
         d;ext=1\r\n{body}\r\n0;last\r\nHost: evil.example\r\nAuthorization: Bearer x\r\n\
         X-HTTP-Method: DELETE\r\nTransfer-Encoding: gzip\r\nContent-Length: 7\r\n\r\n{{GET}}"
    );
    let mut wire = site.wire().await;
    let reply = wire.ask(site.written(&attack)).await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let (_, entry) = site.forwarded();
    assert_eq!(entry.host, Some(site.own_host()));
    for name in ["x-http-method", "trailer", "te"] {
        assert!(!entry.header_names.iter().any(|n| n == name), "{entry:?}");
    }
    site.and_then("trailers", wire, Then::Ends).await;
    assert_eq!(
        site.get(people::ADMIN, "/secrets/smuggled?api-version=7.4")
            .await
            .json()["value"],
        Value::from("x")
    );
}

#[tokio::test]
async fn what_proxies_tell_each_other_is_believed_by_nobody_and_passed_to_nobody() {
    let site = Site::start().await;
    let headers = [
        "x-envoy-original-path: /secrets/public",
        "X-Original-URL: /secrets/public",
        "X-Rewrite-URL: /secrets/public",
        "X-Forwarded-Prefix: /x",
        "X-Forwarded-For: 127.0.0.1",
        "X_Forwarded_For: 127.0.0.1",
        "X-Forwarded-User: admin",
        "X-Forwarded-Groups: system:masters",
        "X-Remote-User: admin",
        "X-MS-CLIENT-PRINCIPAL-ID: 1f8b3c6d-92a7-4e50-8c4f-d7e01b5a6923",
        "X-Real-IP: 127.0.0.1",
        "Forwarded: for=127.0.0.1;proto=https",
        "X-Client-Cert: x",
        "X-SSL-Client-Verify: SUCCESS",
        "x-portcullis-decision-id: 1",
        "x-portcullis-reason: ok_assignment",
        "User-Agent: kube-probe/1.30",
        "Cookie: session=admin",
        "Proxy-Authorization: Basic eDp5",
        "Cache-Control: only-if-cached",
        "Max-Forwards: 0",
        "Range: bytes=0-1",
    ]
    .join("\r\n");
    let attack = format!("GET {SECRET} HTTP/1.1\r\n{{N}}{headers}\r\n\r\n");
    site.is_refused(&attack, (403, "no_assignment"), Then::GoesOn)
        .await;
    let allowed = format!("GET {SECRET} HTTP/1.1\r\n{{H}}{headers}\r\n\r\n");
    site.forget();
    let reply = site.wire().await.ask(site.written(&allowed)).await;
    assert_eq!(reply.status, 200);
    let (record, entry) = site.forwarded();
    assert_eq!(record["client"]["ip"], "127.0.0.1");
    let mut names = entry.header_names;
    names.sort_unstable();
    // Told by its prefix: such headers may be the vault's own, which knows none of that name.
    let azure = "x-ms-client-principal-id";
    let expected = [
        "accept-encoding",
        "authorization",
        "host",
        "user-agent",
        azure,
    ];
    assert_eq!(names, expected);
}

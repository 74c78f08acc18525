//! Answers of a vault with two readings: none of them becomes an answer to a client, nor part of
//! the next one.

use crate::gate::{OWN, Setup};
use crate::vault::{Reply, json};

const GET: &str = "/secrets/n/?api-version=7.4";

/// What the second request is answered.
const HONEST: &str = "{\"honest\":true}";

/// One request to a vault that answers `bytes`, and one behind it, which the vault answers
/// honestly. Returns the status and body of the first.
async fn answered(bytes: &[u8]) -> (u16, Option<Vec<u8>>) {
    let bytes = bytes.to_vec();
    let world = Setup::script(move |seen| match seen.number {
        0 => Reply::Keep(bytes.clone()),
        _ => Reply::Keep(json(HONEST)),
    })
    .limits(|limits| limits.first_byte_timeout = std::time::Duration::from_secs(1))
    .start()
    .await;
    let mut client = world.client(OWN).await;
    let first = client.get(OWN, GET).await;
    // On a connection of its own, and so is what the first left behind at the vault.
    let mut other = world.client(OWN).await;
    let second = other.get(OWN, GET).await;
    assert_eq!((second.status(), second.text()), (200, HONEST));
    (first.status(), first.body)
}

#[tokio::test]
async fn framings_with_two_readings_are_502() {
    for framing in [
        "Content-Length: 2\r\nTransfer-Encoding: chunked",
        "Transfer-Encoding: chunked\r\nContent-Length: 2",
        "Content-Length: 2\r\nContent-Length: 2",
        "Content-Length: 2\r\nContent-Length: 7",
        "Content-Length: 2, 2",
        "Content-Length: +2",
        "Content-Length: -2",
        "Content-Length: 0x2",
        "Content-Length: 2 2",
        "Content-Length: 99999999999999999999",
        "Content-Length:",
        "Transfer-Encoding : chunked",
        " Transfer-Encoding: chunked",
        "X: y\r\n Transfer-Encoding: chunked",
        "X: y\0",
        "X\0: y",
        "X: y\rTransfer-Encoding: chunked",
        "Transfer-Encoding(): chunked",
        "no colon",
        ": empty",
        "WWW-Authenticate: Bearer a=\"b\"\r\nWWW-Authenticate: Bearer c=\"d\"",
    ] {
        let text = format!("HTTP/1.1 200 OK\r\n{framing}\r\n\r\n2\r\n{{}}\r\n0\r\n\r\n");
        let (status, _) = answered(text.as_bytes()).await;
        assert_eq!(status, 502, "{framing:?}");
    }
}

#[tokio::test]
async fn status_lines_of_no_protocol_are_502() {
    for line in [
        "HTTP/0.9 200 OK",
        "HTTP/1.2 200 OK",
        "HTTP/2 200",
        "http/1.1 200 OK",
        "HTTP/1.1 2000 OK",
        "HTTP/1.1 20 OK",
        "HTTP/1.1 abc OK",
        "HTTP/1.1  200 OK",
        "HTTP/1.1 200 O\0K",
        "ICY 200 OK",
        "{\"value\":\"x\"}",
        "GET / HTTP/1.1",
    ] {
        let text = format!("{line}\r\nContent-Length: 2\r\n\r\n{{}}");
        let (status, _) = answered(text.as_bytes()).await;
        assert_eq!(status, 502, "{line:?}");
    }
}

#[tokio::test]
async fn what_an_answer_has_too_much_is_no_part_of_the_next_one() {
    let smuggled = "HTTP/1.1 200 OK\r\nContent-Length: 17\r\n\r\n{\"smuggled\":true}";
    for (head, expected) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", 200),
        (
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            200,
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n", 204),
        ("HTTP/1.1 304 Not Modified\r\n\r\n", 304),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404),
    ] {
        let (status, body) = answered(format!("{head}{smuggled}").as_bytes()).await;
        assert_eq!(status, expected, "{head:?}");
        let body = body.unwrap_or_default();
        assert!(!body.ends_with(b"true}"), "{head:?}");
    }
    // A status without a body that announces one all the same.
    for head in ["204 No Content", "304 Not Modified"] {
        let text = format!("HTTP/1.1 {head}\r\nContent-Length: 17\r\n\r\n{{\"smuggled\":true}}");
        let (_, body) = answered(text.as_bytes()).await;
        assert_eq!(body.unwrap_or_default(), b"", "{head}");
    }
}

#[tokio::test]
async fn chunks_with_two_readings_end_nothing_cleanly() {
    for chunks in [
        "2\n{}\r\n0\r\n\r\n",
        "-2\r\n{}\r\n0\r\n\r\n",
        "+2\r\n{}\r\n0\r\n\r\n",
        "0x2\r\n{}\r\n0\r\n\r\n",
        "g\r\n{}\r\n0\r\n\r\n",
        "2;x\n{}\r\n0\r\n\r\n",
        "10000000000000002\r\n{}\r\n0\r\n\r\n",
        "2\r\n{}0\r\n\r\n",
        "2\r\n{}\n0\r\n\r\n",
        "1\r\n{}\r\n0\r\n\r\n",
        "2\r\n{}\r\n0\r\nX : y\r\nno colon\r\n\r\n",
    ] {
        // An answer of the vault's own type passes as it comes, so it has begun by then.
        let head =
            "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n";
        let (status, body) = answered(format!("{head}{chunks}").as_bytes()).await;
        let whole = (status, body.as_deref()) == (200, Some(b"{}"));
        assert!(!whole, "{chunks:?}");
    }
}

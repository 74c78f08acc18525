//! HTTP/2 that no library writes.

use portcullis::dev::people;

use crate::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RST_STREAM, Raw, fields, frame,
};
use crate::site::{SECRET, Site};
use crate::wire::connect;

/// What becomes of a request.
#[derive(Clone, Copy, Debug)]
enum End {
    /// The library resets the stream or ends the connection; there was nothing to decide on.
    Malformed,
    /// The pipeline refuses it.
    Refused(u16, &'static str),
}

use End::{Malformed, Refused};

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

impl Site {
    pub(crate) async fn raw(&self) -> Raw {
        Raw::begin(connect(self, self.address(), "localhost", b"h2").await).await
    }

    /// The fields of an administrator's request.
    fn as_admin(&self, method: &str, path: &str) -> Fields {
        let token = format!("Bearer {}", self.token(people::ADMIN));
        owned(&[
            (":method", method),
            (":scheme", "https"),
            (":authority", &self.host()),
            (":path", path),
            ("authorization", &token),
        ])
    }

    /// Sends frames on a connection of their own, and checks what becomes of their request.
    async fn ends(&self, what: &str, frames: &[u8], end: End) {
        self.forget();
        let mut raw = self.raw().await;
        raw.send(frames).await;
        let told = raw.next(&[HEADERS, RST_STREAM, GOAWAY]).await.unwrap();
        let records = self.new_decisions();
        match end {
            Malformed => {
                assert_ne!(told.kind, HEADERS, "{what}: answered: {records:#?}");
                assert!(records.is_empty(), "{what}: {records:#?}");
            }
            Refused(status, reason) => {
                assert_eq!(told.kind, HEADERS, "{what}: {told:?}");
                assert_eq!(records.len(), 1, "{what}");
                assert_eq!(records[0]["status"], status, "{what}: {}", records[0]);
                assert_eq!(records[0]["reason"], reason, "{what}");
            }
        }
        self.stands(what).await;
    }

    async fn head_ends(&self, what: &str, head: &Fields, end: End) {
        let head = frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields(head));
        self.ends(what, &head, end).await;
    }
}

fn owned(fields: &[(&str, &str)]) -> Fields {
    let owned = |(name, value): &(&str, &str)| (name.as_bytes().into(), value.as_bytes().into());
    fields.iter().map(owned).collect()
}

fn set(fields: &mut Fields, name: &str, value: &str) {
    let found = fields.iter_mut().find(|(n, _)| n == name.as_bytes());
    found.unwrap().1 = value.into();
}

fn without(fields: &Fields, name: &str) -> Fields {
    let kept = |(n, _): &&(Vec<u8>, Vec<u8>)| n != name.as_bytes();
    fields.iter().filter(kept).cloned().collect()
}

#[tokio::test]
async fn a_pseudo_header_that_is_twice_late_unknown_or_missing_is_malformed() {
    let site = Site::start().await;
    let good = site.as_admin("GET", SECRET);
    for name in [":method", ":scheme", ":path"] {
        let what = format!("no {name}");
        site.head_ends(&what, &without(&good, name), Malformed)
            .await;
    }
    for (name, value) in [
        (":method", "DELETE"),
        (":scheme", "https"),
        (":path", "/secrets/app-db-password?api-version=7.4"),
        (":authority", "evil.example"),
        (":evil", "1"),
        (":status", "200"),
        (":", "1"),
        (":protocol", "websocket"),
    ] {
        // Before the regular ones, and behind them.
        for at in [4, 5] {
            let mut head = good.clone();
            head.insert(at, (name.into(), value.into()));
            let what = format!("{name} at {at}");
            site.head_ends(&what, &head, Malformed).await;
        }
    }
    let late: Fields = [good[4].clone()]
        .into_iter()
        .chain(good[..4].to_vec())
        .collect();
    site.head_ends("regular before pseudo", &late, Malformed)
        .await;
}

#[tokio::test]
async fn a_path_is_a_path() {
    let site = Site::start().await;
    for (path, end) in [
        ("", Malformed),
        ("secrets/app-api-key?api-version=7.4", Malformed),
        ("?api-version=7.4", Refused(400, "bad_path")),
        (
            "https://localhost/secrets/app-api-key?api-version=7.4",
            Malformed,
        ),
        ("*", Refused(400, "bad_path")),
        ("/secrets/app api-key?api-version=7.4", Malformed),
        ("/secrets/app-api-key\0?api-version=7.4", Malformed),
        ("/secrets/app-api-key\r\nX: y?api-version=7.4", Malformed),
        (
            "/secrets/app\u{2028}?api-version=7.4",
            Refused(400, "bad_path"),
        ),
        (
            "/secrets/../keys/signing?api-version=7.4",
            Refused(400, "bad_path"),
        ),
        (
            "/secrets/%2e%2e/keys?api-version=7.4",
            Refused(400, "bad_path"),
        ),
        (
            "/secrets\\app-api-key?api-version=7.4",
            Refused(400, "bad_path"),
        ),
        (
            "/secrets;x/app-api-key?api-version=7.4",
            Refused(400, "bad_path"),
        ),
        (
            "/secrets/app-api-key?api-version=7.4&api-version=7.4",
            Refused(400, "bad_query"),
        ),
    ] {
        let mut head = site.as_admin("GET", "");
        set(&mut head, ":path", path);
        site.head_ends(path, &head, end).await;
    }
}

#[tokio::test]
async fn an_authority_is_one_host() {
    let site = Site::start().await;
    let good = site.as_admin("GET", SECRET);
    for (authority, end) in [
        ("", Malformed),
        ("evil.example", Refused(421, "bad_host")),
        ("user@localhost", Refused(421, "bad_host")),
        ("localhost localhost", Malformed),
        ("localhost\0", Malformed),
        ("localhost/secrets", Malformed),
    ] {
        let mut head = good.clone();
        set(&mut head, ":authority", authority);
        site.head_ends(authority, &head, end).await;
    }
    for hosts in [
        vec!["evil.example"],
        vec!["localhost", "localhost"],
        vec![""],
    ] {
        let mut head = good.clone();
        head.extend(
            hosts
                .iter()
                .map(|host| (b"host".to_vec(), host.as_bytes().to_vec())),
        );
        let what = format!("host {hosts:?}");
        site.head_ends(&what, &head, Refused(421, "bad_host")).await;
    }
    let none = without(&good, ":authority");
    site.head_ends("no host", &none, Refused(421, "bad_host"))
        .await;
    let mut plain = good.clone();
    set(&mut plain, ":scheme", "http");
    site.head_ends("http", &plain, Refused(421, "bad_host"))
        .await;
}

#[tokio::test]
async fn headers_of_http_1_are_malformed() {
    let site = Site::start().await;
    for (name, value) in [
        ("connection", "close"),
        ("connection", "authorization"),
        ("keep-alive", "timeout=5"),
        ("proxy-connection", "keep-alive"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "h2c"),
        ("te", "gzip"),
        ("te", "trailers, gzip"),
        ("X-Upper", "1"),
        ("x y", "1"),
        ("x:y", "1"),
        ("x\r\ny", "1"),
        ("x\0", "1"),
        ("", "1"),
        ("x", "a\r\nb: c"),
        ("x", "a\nb: c"),
        ("x", "a\0"),
        ("x", "\u{1b}[2J"),
    ] {
        let mut head = site.as_admin("GET", SECRET);
        head.push((name.into(), value.into()));
        let what = format!("{name:?}: {value:?}");
        site.head_ends(&what, &head, Malformed).await;
    }
    for (name, value, reason) in [
        ("x-http-method", "DELETE", "method_override"),
        ("expect", "200-ok", "bad_header"),
        ("content-type", "a/b", "bad_header"),
    ] {
        let mut head = site.as_admin("GET", SECRET);
        head.extend([(name.into(), value.into()), (name.into(), value.into())]);
        site.head_ends(name, &head, Refused(400, reason)).await;
    }
}

#[tokio::test]
async fn connect_is_not_offered() {
    let site = Site::start().await;
    let token = format!("Bearer {}", site.token(people::ADMIN));
    let host = site.host();
    let plain = |authority: &str| {
        owned(&[
            (":method", "CONNECT"),
            (":authority", authority),
            ("authorization", &token),
        ])
    };
    site.head_ends("CONNECT", &plain(&host), Refused(400, "bad_path"))
        .await;
    let away = plain("evil.example:443");
    site.head_ends("CONNECT away", &away, Refused(421, "bad_host"))
        .await;
    // Extended CONNECT (RFC 8441), which the settings do not offer.
    let mut extended = site.as_admin("CONNECT", SECRET);
    extended.insert(4, (":protocol".into(), "websocket".into()));
    site.head_ends("extended CONNECT", &extended, Malformed)
        .await;
    for method in ["TRACE", "OPTIONS", "BREW"] {
        let head = site.as_admin(method, SECRET);
        let end = Refused(400, "unknown_operation");
        site.head_ends(method, &head, end).await;
    }
}

#[tokio::test]
async fn a_length_is_the_length_of_the_data() {
    let site = Site::start().await;
    let put = |lengths: &[&str]| {
        let mut head = site.as_admin("PUT", "/secrets/smuggled?api-version=7.4");
        let length = |length: &&str| (b"content-length".to_vec(), length.as_bytes().to_vec());
        head.extend(lengths.iter().map(length));
        fields(&head)
    };
    let data = br#"{"value":"x"}"#;
    for (lengths, body) in [
        (&["13"][..], None),
        (&["14"], Some(&data[..])),
        (&["12"], Some(data)),
        (&["0"], Some(data)),
        (&["13", "13"], Some(data)),
        (&["13", "12"], Some(data)),
        (&["-13"], Some(data)),
        (&["+13"], Some(data)),
        (&["0xd"], Some(data)),
        (&["13, 13"], Some(data)),
        (&[""], Some(data)),
        (&["99999999999999999999"], Some(data)),
    ] {
        let what = format!("{lengths:?}");
        let mut raw = site.raw().await;
        let frames = match body {
            None => frame(HEADERS, END_HEADERS | END_STREAM, 1, &put(lengths)),
            Some(data) => [
                frame(HEADERS, END_HEADERS, 1, &put(lengths)),
                frame(DATA, END_STREAM, 1, data),
            ]
            .concat(),
        };
        raw.send(&frames).await;
        raw.next(&[HEADERS, RST_STREAM, GOAWAY]).await.unwrap();
        // Whether or not its head had gone to the vault by then, nothing came of it.
        let url = "/secrets/smuggled?api-version=7.4";
        let reply = site.get(people::ADMIN, url).await;
        assert_eq!(reply.status, 404, "{what}: {}", reply.text());
        site.works(&what).await;
    }
}

#[tokio::test]
async fn headers_in_pieces_that_do_not_belong_together_end_the_connection() {
    let site = Site::start().await;
    let block = fields(&site.as_admin("GET", SECRET));
    let whole = END_HEADERS | END_STREAM;
    for (what, frames) in [
        ("HEADERS on stream 0", frame(HEADERS, whole, 0, &block)),
        (
            "HEADERS on an even stream",
            frame(HEADERS, whole, 2, &block),
        ),
        ("DATA on an idle stream", frame(DATA, END_STREAM, 1, b"x")),
        (
            "CONTINUATION alone",
            frame(CONTINUATION, END_HEADERS, 1, &block),
        ),
        (
            "DATA between HEADERS and CONTINUATION",
            [
                frame(HEADERS, 0, 1, &block[..20]),
                frame(DATA, 0, 1, b"x"),
                frame(CONTINUATION, END_HEADERS, 1, &block[20..]),
            ]
            .concat(),
        ),
        (
            "CONTINUATION of another stream",
            [
                frame(HEADERS, END_STREAM, 1, &block[..20]),
                frame(CONTINUATION, END_HEADERS, 3, &block[20..]),
            ]
            .concat(),
        ),
        (
            "an older stream",
            [
                frame(HEADERS, 0, 5, &block[..20]),
                frame(HEADERS, whole, 3, &block),
            ]
            .concat(),
        ),
    ] {
        site.ends(what, &frames, Malformed).await;
    }
}

#[tokio::test]
async fn frames_that_break_the_protocol_end_the_connection() {
    let site = Site::start().await;
    let block = fields(&site.as_admin("GET", SECRET));
    let whole = END_HEADERS | END_STREAM;
    for (what, frames) in [
        (
            "a table index that is not there",
            frame(HEADERS, whole, 1, &[0xff, 0xff, 0x03]),
        ),
        (
            "a block that ends within a field",
            frame(HEADERS, whole, 1, &block[..20]),
        ),
        (
            "padding that is longer than the frame",
            frame(HEADERS, whole | 8, 1, &[200, 1, 2]),
        ),
        (
            "a frame larger than announced",
            frame(DATA, 0, 1, &[0; 20_000]),
        ),
        ("SETTINGS of a wrong size", frame(4, 0, 0, &[0; 5])),
        ("WINDOW_UPDATE by nothing", frame(8, 0, 0, &[0; 4])),
        (
            "a window beyond 2^31",
            frame(8, 0, 0, &[0x7f, 0xff, 0xff, 0xff]),
        ),
        ("PING of a wrong size", frame(6, 0, 0, &[0; 7])),
        (
            "PUSH_PROMISE from a client",
            frame(5, END_HEADERS, 1, &[0; 8]),
        ),
    ] {
        site.ends(what, &frames, Malformed).await;
    }
}

#[tokio::test]
async fn trailers_are_not_headers() {
    let site = Site::start().await;
    let head = fields(&site.as_admin("PUT", "/secrets/smuggled?api-version=7.4"));
    let data = frame(DATA, 0, 1, br#"{"value":"x"}"#);
    let trailers = |trailers: &[(&str, &str)]| {
        [
            frame(HEADERS, END_HEADERS, 1, &head),
            data.clone(),
            frame(HEADERS, END_HEADERS | END_STREAM, 1, &fields(trailers)),
        ]
        .concat()
    };
    // A pseudo-header has no place there.
    let mut raw = site.raw().await;
    raw.send(&trailers(&[(":path", "/secrets/other?api-version=7.4")]))
        .await;
    let told = raw.next(&[HEADERS, RST_STREAM, GOAWAY]).await.unwrap();
    let url = "/secrets/smuggled?api-version=7.4";
    if told.kind != HEADERS {
        assert_eq!(site.get(people::ADMIN, url).await.status, 404);
    }
    assert_eq!(
        site.get(people::ADMIN, "/secrets/other?api-version=7.4")
            .await
            .status,
        404
    );
    site.forget();
    // Others are read and forgotten.
    let mut raw = site.raw().await;
    let sent = [("host", "evil.example"), ("x-http-method", "DELETE")];
    raw.send(&trailers(&sent)).await;
    raw.next(&[HEADERS]).await.unwrap();
    let (_, entry) = site.forwarded();
    assert_eq!(entry.host, Some(site.own_host()));
    assert!(
        !entry
            .header_names
            .iter()
            .any(|name| name == "x-http-method")
    );
    site.stands("trailers").await;
}

//! HTTP/2, with frames written by hand where a library would not write them.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis::proxy::listen::{CloseReason, ListenEvent};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::clients::Client;
use crate::gate::{OWN, Setup, World};
use crate::vault::{Reply, soon};

const GET: &str = "/secrets/n/?api-version=7.4";

const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
pub(crate) const GOAWAY: u8 = 7;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

async fn stream(world: &World) -> TlsStream<TcpStream> {
    soon(Client::connect(
        world.address,
        world.pki.client(&["h2"]),
        OWN,
    ))
    .await
    .unwrap()
    .into_stream()
}

async fn client(world: &World) -> SendRequest<Full<Bytes>> {
    let io = TokioIo::new(stream(world).await);
    let (sender, connection) = handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    sender
}

async fn ask(
    client: &mut SendRequest<Full<Bytes>>,
    request: http::request::Builder,
    body: &'static str,
) -> (StatusCode, Option<String>) {
    let request = request.body(Full::from(body)).unwrap();
    let response = soon(client.send_request(request)).await.unwrap();
    let why = response.headers().get("x-why");
    let why = why.map(|why| why.to_str().unwrap().to_owned());
    let status = response.status();
    // A body that breaks off is an error here.
    soon(response.into_body().collect()).await.unwrap();
    (status, why)
}

/// A frame as it is on the wire.
fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend_from_slice(payload);
    frame
}

/// Header fields as literals without compression (RFC 7541 §6.2.2).
fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            assert!(text.len() < 127);
            block.push(u8::try_from(text.len()).unwrap());
            block.extend_from_slice(text.as_bytes());
        }
    }
    block
}

/// A connection on which every frame is written by hand.
pub(crate) struct Raw(TlsStream<TcpStream>);

impl Raw {
    pub(crate) async fn connect(world: &World) -> Self {
        let mut raw = Self(stream(world).await);
        raw.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
        raw.send(&frame(SETTINGS, 0, 0, &[])).await;
        raw
    }

    async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
        self.0.flush().await.unwrap();
    }

    pub(crate) async fn request(&mut self, stream: u32, path: &str) {
        let block = fields(&[
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", OWN),
            (":path", path),
        ]);
        let flags = END_HEADERS | END_STREAM;
        self.send(&frame(HEADERS, flags, stream, &block)).await;
    }

    /// The next frame that is one of `kinds`: its kind, stream and payload.
    pub(crate) async fn next(&mut self, kinds: &[u8]) -> Option<(u8, u32, Vec<u8>)> {
        soon(async {
            loop {
                let mut head = [0; 9];
                self.0.read_exact(&mut head).await.ok()?;
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                let mut payload = vec![0; usize::try_from(length).unwrap()];
                self.0.read_exact(&mut payload).await.ok()?;
                if kinds.contains(&head[3]) {
                    let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
                    return Some((head[3], stream, payload));
                }
            }
        })
        .await
    }
}

#[tokio::test]
async fn requests_pass_on_one_connection() {
    let world = Setup::default().start().await;
    let mut client = client(&world).await;
    for _ in 0..3 {
        let request = Request::get(format!("https://{OWN}{GET}"));
        assert_eq!(ask(&mut client, request, "").await, (StatusCode::OK, None));
    }
    let put = Request::put(format!("https://{OWN}/secrets/n?api-version=7.4"));
    assert_eq!(ask(&mut client, put, "body").await, (StatusCode::OK, None));
    let journal = world.vault.journal();
    assert_eq!(journal[0].request_line(), format!("GET {GET} HTTP/1.1"));
    assert_eq!(journal[3].body, b"body");
    assert_eq!(journal[3].header("content-length"), Some("4"));
}

#[tokio::test]
async fn an_authority_and_a_host_that_differ_are_refused() {
    let world = Setup::default().start().await;
    let mut client = client(&world).await;
    for (uri, host) in [
        (format!("https://{OWN}{GET}"), "evil.test"),
        (format!("https://evil.test{GET}"), OWN),
        (format!("http://{OWN}{GET}"), OWN),
    ] {
        let request = Request::get(uri).header("host", host);
        let refusal = (StatusCode::MISDIRECTED_REQUEST, Some("bad_host".into()));
        assert_eq!(ask(&mut client, request, "").await, refusal);
    }
    let same = Request::get(format!("https://{OWN}{GET}")).header("host", OWN);
    assert_eq!(ask(&mut client, same, "").await.0, StatusCode::OK);
    assert_eq!(world.vault.journal().len(), 1);
}

#[tokio::test]
async fn a_body_where_none_may_be_and_other_methods_are_refused() {
    let world = Setup::default().start().await;
    let mut client = client(&world).await;
    let get = Request::get(format!("https://{OWN}{GET}"));
    let refusal = (StatusCode::BAD_REQUEST, Some("header".into()));
    assert_eq!(ask(&mut client, get, "body").await, refusal);
    let trace = Request::builder()
        .method("TRACE")
        .uri(format!("https://{OWN}{GET}"));
    let refusal = (StatusCode::BAD_REQUEST, Some("route".into()));
    assert_eq!(ask(&mut client, trace, "").await, refusal);
    let connect = Request::builder()
        .method("CONNECT")
        .uri(format!("{OWN}:443"));
    let request = connect.body(Full::default()).unwrap();
    let response = soon(client.send_request(request)).await;
    assert!(response.is_err() || !response.unwrap().status().is_success());
    assert_eq!(world.vault.connections(), 0);
}

#[tokio::test]
async fn a_path_without_a_slash_reaches_nothing() {
    let world = Setup::default().start().await;
    for path in ["secrets/n/?api-version=7.4", "*", "?api-version=7.4", "//x"] {
        let mut raw = Raw::connect(&world).await;
        raw.request(1, path).await;
        // Either the library resets the stream or the service refuses.
        let (_, stream, _) = raw.next(&[HEADERS, RST_STREAM, GOAWAY]).await.unwrap();
        assert!(stream <= 1);
    }
    assert_eq!(world.vault.connections(), 0);
}

#[tokio::test]
async fn a_fragment_is_neither_authorized_nor_sent() {
    let world = Setup::default().start().await;
    let mut raw = Raw::connect(&world).await;
    raw.request(1, "/secrets/a?api-version=7.4#/../b").await;
    raw.next(&[HEADERS, RST_STREAM, GOAWAY]).await.unwrap();
    for seen in world.vault.journal() {
        assert_eq!(
            seen.request_line(),
            "GET /secrets/a?api-version=7.4 HTTP/1.1"
        );
    }
}

#[tokio::test]
async fn connection_headers_are_malformed() {
    let world = Setup::default().start().await;
    for (name, value) in [
        ("connection", "authorization"),
        ("transfer-encoding", "chunked"),
        ("upgrade", "websocket"),
        ("te", "gzip"),
        ("X-Upper", "1"),
    ] {
        let mut raw = Raw::connect(&world).await;
        let block = fields(&[
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", OWN),
            (":path", GET),
            (name, value),
        ]);
        raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block))
            .await;
        let (kind, ..) = raw.next(&[HEADERS, RST_STREAM, GOAWAY]).await.unwrap();
        assert_ne!(kind, HEADERS, "{name}");
    }
    assert_eq!(world.notes().requests, 0);
}

#[tokio::test]
async fn limits_are_announced() {
    let world = Setup::default()
        .limits(|limits| limits.max_concurrent_streams = 7)
        .start()
        .await;
    let mut raw = Raw::connect(&world).await;
    let (_, _, settings) = raw.next(&[SETTINGS]).await.unwrap();
    let setting = |wanted: u8| {
        settings
            .chunks(6)
            .find(|setting| setting[..2] == [0, wanted])
            .map(|setting| u32::from_be_bytes(setting[2..].try_into().unwrap()))
    };
    let (max_concurrent_streams, max_header_list_size, enable_connect_protocol) = (3, 6, 8);
    assert_eq!(setting(max_concurrent_streams), Some(7));
    assert_eq!(setting(max_header_list_size), Some(32 * 1024));
    assert_ne!(setting(enable_connect_protocol), Some(1));
}

#[tokio::test]
async fn a_flood_of_resets_ends_the_connection() {
    let world = Setup::script(|_| Reply::Hold(Vec::new())).start().await;
    let mut raw = Raw::connect(&world).await;
    let mut flood = Vec::new();
    let block = fields(&[
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", OWN),
        (":path", GET),
    ]);
    for request in 0..2000 {
        let stream = 2 * request + 1;
        flood.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, &block));
        flood.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
    }
    // The server may be gone before all of it is written.
    let _gone = raw.0.write_all(&flood).await;
    let _gone = raw.0.flush().await;
    let enhance_your_calm = [0, 0, 0, 11];
    if let Some((_, _, payload)) = raw.next(&[GOAWAY]).await {
        assert_eq!(payload[4..8], enhance_your_calm);
    }
    world
        .event(ListenEvent::Closed(CloseReason::Protocol))
        .await;
    assert!(world.notes().requests < 2000);
}

#[tokio::test]
async fn a_flood_of_empty_data_and_of_header_fragments_is_bounded() {
    let world = Setup::default().start().await;
    let head = fields(&[
        (":method", "PUT"),
        (":scheme", "https"),
        (":authority", OWN),
        (":path", "/secrets/n?api-version=7.4"),
    ]);
    let mut raw = Raw::connect(&world).await;
    raw.send(&frame(HEADERS, 0, 1, &head)).await;
    let continuation = 9;
    let fragment = frame(continuation, 0, 1, &fields(&[("x", &"y".repeat(100))]));
    // 100 KiB of headers that never end, where 32 KiB are allowed.
    let _gone = raw.0.write_all(&fragment.repeat(1000)).await;
    let _gone = raw.0.flush().await;
    world
        .event(ListenEvent::Closed(CloseReason::Protocol))
        .await;
    assert_eq!(world.notes().requests, 0);

    let mut raw = Raw::connect(&world).await;
    raw.send(&frame(HEADERS, END_HEADERS, 1, &head)).await;
    let empty = frame(DATA, 0, 1, &[]);
    let _gone = raw.0.write_all(&empty.repeat(50_000)).await;
    let _gone = raw.0.flush().await;
    let protocol = ListenEvent::Closed(CloseReason::Protocol);
    world
        .noted(|notes| {
            notes
                .events
                .iter()
                .filter(|event| **event == protocol)
                .count()
                == 2
        })
        .await;
}

#[tokio::test]
async fn an_idle_connection_is_told_to_go() {
    let world = Setup::default()
        .limits(|limits| limits.idle_timeout = std::time::Duration::from_millis(50))
        .start()
        .await;
    let mut raw = Raw::connect(&world).await;
    let (_, _, payload) = raw.next(&[GOAWAY]).await.unwrap();
    let no_error = [0; 4];
    assert_eq!(payload[4..8], no_error);
    drop(raw);
    world.event(ListenEvent::Closed(CloseReason::Idle)).await;
}

#[tokio::test]
async fn a_client_that_resets_its_stream_is_gone() {
    let world = Setup::script(|_| Reply::Hold(Vec::new())).start().await;
    let mut raw = Raw::connect(&world).await;
    raw.request(1, GET).await;
    world.vault.has_seen(1).await;
    raw.send(&frame(RST_STREAM, 0, 1, &[0, 0, 0, 8])).await;
    world.noted(|notes| notes.abandoned == 1).await;
    world.vault.was_left(1).await;
}

#[tokio::test]
async fn an_answer_that_breaks_off_resets_the_stream() {
    let begun = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{".to_vec();
    let world = Setup::script(move |_| Reply::Cut(begun.clone()))
        .start()
        .await;
    let mut raw = Raw::connect(&world).await;
    raw.request(1, GET).await;
    let (kind, ..) = raw.next(&[HEADERS, RST_STREAM]).await.unwrap();
    assert_eq!(kind, HEADERS);
    let (kind, stream, _) = raw.next(&[RST_STREAM]).await.unwrap();
    assert_eq!((kind, stream), (RST_STREAM, 1));
}

#[tokio::test]
async fn a_client_that_never_takes_its_answer_loses_the_connection() {
    let short = std::time::Duration::from_millis(200);
    let world = Setup::default()
        .limits(|limits| (limits.total_timeout, limits.body_read_timeout) = (short, short))
        .start()
        .await;
    let mut raw = Raw::connect(&world).await;
    // SETTINGS_INITIAL_WINDOW_SIZE is 0: no byte of a body may be sent.
    let no_room = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    raw.send(&no_room).await;
    raw.request(1, GET).await;
    raw.next(&[HEADERS]).await.unwrap();
    world.event(ListenEvent::Closed(CloseReason::Stalled)).await;
}

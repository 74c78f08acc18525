//! HTTP/2, with frames written by hand where a library would not write them.

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis::proxy::listen::{CloseReason, ListenEvent};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use crate::clients::Client;
use crate::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, GOAWAY, HEADERS, PING,
    RST_STREAM, Raw, SETTINGS, fields, frame,
};
use crate::gate::{OWN, Setup, World};
use crate::vault::{Reply, soon};

const GET: &str = "/secrets/n/?api-version=7.4";

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

pub(crate) async fn connect(world: &World) -> Raw {
    Raw::begin(stream(world).await).await
}

fn get(path: &str) -> Vec<u8> {
    fields(&[
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", OWN),
        (":path", path),
    ])
}

pub(crate) async fn request(raw: &mut Raw, stream: u32, path: &str) {
    let flags = END_HEADERS | END_STREAM;
    raw.send(&frame(HEADERS, flags, stream, &get(path))).await;
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
        let mut raw = connect(&world).await;
        request(&mut raw, 1, path).await;
        // Either the library resets the stream or the service refuses.
        let told = raw.next(&[HEADERS, RST_STREAM, GOAWAY]).await.unwrap();
        assert!(told.stream <= 1);
    }
    assert_eq!(world.vault.connections(), 0);
}

#[tokio::test]
async fn a_fragment_is_neither_authorized_nor_sent() {
    let world = Setup::default().start().await;
    let mut raw = connect(&world).await;
    request(&mut raw, 1, "/secrets/a?api-version=7.4#/../b").await;
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
        let mut raw = connect(&world).await;
        let block = [get(GET), fields(&[(name, value)])].concat();
        raw.send(&frame(HEADERS, END_HEADERS | END_STREAM, 1, &block))
            .await;
        let told = raw.next(&[HEADERS, RST_STREAM, GOAWAY]).await.unwrap();
        assert_ne!(told.kind, HEADERS, "{name}");
    }
    assert_eq!(world.notes().requests, 0);
}

#[tokio::test]
async fn limits_are_announced() {
    let world = Setup::default()
        .limits(|limits| limits.max_concurrent_streams = 7)
        .start()
        .await;
    let mut raw = connect(&world).await;
    let settings = raw.next(&[SETTINGS]).await.unwrap().payload;
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
    let mut raw = connect(&world).await;
    let mut flood = Vec::new();
    let block = get(GET);
    for request in 0..2000 {
        let stream = 2 * request + 1;
        flood.extend(frame(HEADERS, END_HEADERS | END_STREAM, stream, &block));
        flood.extend(frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]));
    }
    raw.flood(&flood).await;
    if let Some(told) = raw.next(&[GOAWAY]).await {
        assert_eq!(told.error(), ENHANCE_YOUR_CALM);
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
    let mut raw = connect(&world).await;
    raw.send(&frame(HEADERS, 0, 1, &head)).await;
    let fragment = frame(CONTINUATION, 0, 1, &fields(&[("x", &"y".repeat(100))]));
    // 100 KiB of headers that never end, where 32 KiB are allowed.
    raw.flood(&fragment.repeat(1000)).await;
    world
        .event(ListenEvent::Closed(CloseReason::Protocol))
        .await;
    assert_eq!(world.notes().requests, 0);

    let mut raw = connect(&world).await;
    raw.send(&frame(HEADERS, END_HEADERS, 1, &head)).await;
    let empty = frame(DATA, 0, 1, &[]);
    raw.flood(&empty.repeat(50_000)).await;
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
    let mut raw = connect(&world).await;
    let no_error = 0;
    assert_eq!(raw.next(&[GOAWAY]).await.unwrap().error(), no_error);
    drop(raw);
    world.event(ListenEvent::Closed(CloseReason::Idle)).await;
}

#[tokio::test]
async fn a_client_that_resets_its_stream_is_gone() {
    let world = Setup::script(|_| Reply::Hold(Vec::new())).start().await;
    let mut raw = connect(&world).await;
    request(&mut raw, 1, GET).await;
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
    let mut raw = connect(&world).await;
    request(&mut raw, 1, GET).await;
    let told = raw.next(&[HEADERS, RST_STREAM]).await.unwrap();
    assert_eq!(told.kind, HEADERS);
    let told = raw.next(&[RST_STREAM]).await.unwrap();
    assert_eq!((told.kind, told.stream), (RST_STREAM, 1));
}

#[tokio::test]
async fn a_client_that_never_takes_its_answer_loses_the_connection() {
    let short = std::time::Duration::from_millis(200);
    let world = Setup::default()
        .limits(|limits| (limits.total_timeout, limits.body_read_timeout) = (short, short))
        .start()
        .await;
    let mut raw = connect(&world).await;
    // SETTINGS_INITIAL_WINDOW_SIZE is 0: no byte of a body may be sent.
    let no_room = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0]);
    raw.send(&no_room).await;
    request(&mut raw, 1, GET).await;
    raw.next(&[HEADERS]).await.unwrap();
    world.event(ListenEvent::Closed(CloseReason::Stalled)).await;
}

#[tokio::test]
async fn a_client_that_goes_on_sending_but_takes_no_answer_loses_the_connection() {
    let short = std::time::Duration::from_millis(200);
    let world = Setup::default()
        .limits(|limits| (limits.total_timeout, limits.body_read_timeout) = (short, short))
        .start()
        .await;
    let mut raw = connect(&world).await;
    raw.send(&frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0, 0])).await;
    request(&mut raw, 1, GET).await;
    let ping = frame(PING, 0, 0, b"are you?");
    // Each is answered, so that something moves all the time.
    soon(async {
        raw.send(&ping).await;
        while raw.next(&[PING]).await.is_some() && raw.flood(&ping).await {}
    })
    .await;
    world.event(ListenEvent::Closed(CloseReason::Stalled)).await;
}

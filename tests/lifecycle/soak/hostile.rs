//! What the hostile ones do.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Request;
use http_body_util::Empty;
use hyper::body::Bytes;
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis::dev::people;
use portcullis::dev::pki::Pki;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Field;
use crate::ask::soon;

/// Two requests that somebody might take for one, or the other way round.
const SMUGGLED: [&str; 5] = [
    "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "Content-Length: 0\r\nContent-Length: 60\r\n\r\n",
    "X: a\r\n folded\r\n\r\n",
    "X: a\nY: b\r\n\r\n",
];

/// Requests begun and taken back on one connection; more than an honest client would.
const RESETS: usize = 80;

pub(super) fn base64(text: &str) -> String {
    URL_SAFE_NO_PAD.encode(text)
}

async fn tls(pki: &Pki, address: SocketAddr, protocol: &[u8]) -> TlsStream<TcpStream> {
    let mut config = pki.client_config().unwrap();
    config.alpn_protocols = vec![protocol.to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let connecting = TlsConnector::from(Arc::new(config)).connect(name, stream);
    soon(connecting).await.unwrap()
}

async fn http1(field: &Field) -> TlsStream<TcpStream> {
    tls(&field.world.pki, field.running.address, b"http/1.1").await
}

/// A connection of HTTP/2, and what keeps it going.
pub(super) async fn http2(
    pki: &Pki,
    address: SocketAddr,
) -> (
    http2::SendRequest<Empty<Bytes>>,
    impl Future<Output = hyper::Result<()>> + Send + use<>,
) {
    let stream = TokioIo::new(tls(pki, address, b"h2").await);
    soon(http2::handshake(TokioExecutor::new(), stream))
        .await
        .unwrap()
}

fn host(address: SocketAddr) -> String {
    format!("localhost:{}", address.port())
}

/// A request with two readings, and behind it one that should never be seen.
pub(super) async fn smuggles(field: &Field, count: u64) {
    let mut stream = http1(field).await;
    let which = usize::try_from(count).unwrap() % SMUGGLED.len();
    let (host, token) = (host(field.running.address), field.token(people::ADMIN));
    let head = format!("HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n");
    let first = format!("PUT /secrets/soak-smuggled?api-version=7.4 {head}");
    let second = format!("GET /secrets/soak-hidden?api-version=7.4 {head}\r\n");
    let text = format!("{first}{}{second}", SMUGGLED[which]);
    stream.write_all(text.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    // The connection may be reset behind the answer, which is what is looked at.
    let _end = soon(stream.read_to_end(&mut answer)).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 "), "{which}: {answer}");
    assert_eq!(answer.matches("HTTP/1.1").count(), 1, "{which}: {answer}");
}

/// Connections that end before they begin, at each of a few points.
pub(super) async fn hangs_up(field: &Field, count: u64) {
    let mut stream = TcpStream::connect(field.running.address).await.unwrap();
    let begin: &[u8] = match count % 3 {
        0 => b"",
        1 => b"\x16\x03\x01\x02\x00\x01\x00",
        _ => b"GET / HTTP/1.1\r\n\r\n",
    };
    stream.write_all(begin).await.unwrap();
}

/// Requests that are taken back as soon as they are made.
pub(super) async fn resets(field: &Field, count: u64) {
    if !count.is_multiple_of(20) {
        return;
    }
    let (mut sender, connection) = http2(&field.world.pki, field.running.address).await;
    let driver = tokio::spawn(connection);
    let (host, token) = (
        host(field.running.address),
        field.token(people::SECRETS_USER),
    );
    for number in 0..RESETS {
        let uri = format!("https://{host}/secrets/soak-reset-{count}-{number}?api-version=7.4");
        let request = Request::get(uri).header("authorization", format!("Bearer {token}"));
        if sender.ready().await.is_err() {
            break;
        }
        let sent = sender.send_request(request.body(Empty::new()).unwrap());
        let _never = tokio::time::timeout(Duration::from_millis(1), sent).await;
    }
    drop(sender);
    // Refused or ended in order: either will do.
    let _ended = soon(driver).await.unwrap();
}

/// A head that does not end. The proxy ends the connection.
pub(super) async fn dribbles(field: &Field, _count: u64) {
    let mut stream = http1(field).await;
    stream
        .write_all(b"GET /secrets/soak-slow HTTP/1.1\r\nHo")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _end = soon(stream.read_to_end(&mut answer)).await;
    let answer = String::from_utf8(answer).unwrap();
    assert!(!answer.contains(" 200 "), "{answer}");
}

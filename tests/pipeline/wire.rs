//! Clients that write what no client library would: HTTP/1.1 byte by byte, HTTP/2 with a choice of
//! authority.

use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis::dev::people::Person;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::site::{Reply, Site, soon};

/// An HTTP/1.1 connection.
pub(crate) struct Wire {
    pub(crate) stream: TlsStream<TcpStream>,
    buffer: BytesMut,
    /// The head of the last answer, byte for byte.
    pub(crate) head: String,
}

/// A connection whose handshake names `name` and speaks `protocol`.
pub(crate) async fn connect(
    site: &Site,
    address: SocketAddr,
    name: &str,
    protocol: &[u8],
) -> TlsStream<TcpStream> {
    let mut config = site.world.pki.client_config().unwrap();
    config.alpn_protocols = vec![protocol.to_vec()];
    let stream = TcpStream::connect(address).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let connector = TlsConnector::from(Arc::new(config));
    soon(connector.connect(name, stream)).await.unwrap()
}

impl Site {
    /// A connection whose handshake names `localhost`.
    pub(crate) async fn wire(&self) -> Wire {
        self.wire_to("localhost").await
    }

    /// A connection whose handshake names `name`; an address is not named.
    pub(crate) async fn wire_to(&self, name: &str) -> Wire {
        Wire::new(connect(self, self.address(), name, b"http/1.1").await)
    }

    /// A connection past the proxy.
    pub(crate) async fn wire_to_vault(&self) -> Wire {
        let address = self.world.vault.address();
        Wire::new(connect(self, address, self.vault_host(), b"http/1.1").await)
    }

    /// The head of a request with a token of `person`, without its empty line.
    pub(crate) fn head(&self, person: Person, request_line: &str) -> String {
        self.head_to(&self.host(), person, request_line)
    }

    pub(crate) fn head_to(&self, host: &str, person: Person, request_line: &str) -> String {
        let token = self.token(person);
        format!("{request_line} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n")
    }

    /// Sends a head on a connection of its own.
    pub(crate) async fn ask(&self, head: &str) -> Reply {
        self.wire().await.ask(format!("{head}\r\n")).await
    }

    /// A GET by `person` under the vault's own name, on a connection of its own.
    pub(crate) async fn get_as_own(&self, person: Person, path_and_query: &str) -> Reply {
        let head = self.head_to(&self.own_host(), person, &format!("GET {path_and_query}"));
        let mut wire = self.wire_to(self.vault_host()).await;
        wire.ask(format!("{head}\r\n")).await
    }

    /// An HTTP/2 connection whose handshake names `name`.
    pub(crate) async fn http2(&self, name: &str) -> Http2 {
        let stream = TokioIo::new(connect(self, self.address(), name, b"h2").await);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), stream)
            .await
            .unwrap();
        tokio::spawn(connection);
        Http2(sender)
    }
}

impl Wire {
    fn new(stream: TlsStream<TcpStream>) -> Self {
        Self {
            stream,
            buffer: BytesMut::new(),
            head: String::new(),
        }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    pub(crate) async fn ask(&mut self, bytes: impl AsRef<[u8]>) -> Reply {
        self.send(bytes).await;
        self.answer().await
    }

    /// Reads the next answer, which must have a whole head.
    pub(crate) async fn answer(&mut self) -> Reply {
        self.try_answer().await.expect("an answer")
    }

    /// Reads the next answer; `None` if the connection ends before its head has.
    pub(crate) async fn try_answer(&mut self) -> Option<Reply> {
        let head = self.until(b"\r\n\r\n").await?;
        self.head = String::from_utf8(head.to_vec()).unwrap();
        let (status_line, fields) = self.head.split_once("\r\n").unwrap();
        let status: u16 = status_line.split(' ').nth(1).unwrap().parse().unwrap();
        let mut headers = HeaderMap::new();
        for line in fields.split("\r\n").filter(|line| !line.is_empty()) {
            let (name, value) = line.split_once(':').unwrap();
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_str(value.trim()).unwrap());
        }
        let body = self.body(status, &headers).await;
        Some(Reply {
            status,
            headers,
            body,
        })
    }

    async fn body(&mut self, status: u16, headers: &HeaderMap) -> Option<Bytes> {
        if matches!(status, 100..=199 | 204 | 304) {
            return Some(Bytes::new());
        }
        let length = headers.get("content-length");
        if let Some(length) = length.map(|value| value.to_str().unwrap().parse().unwrap()) {
            return self.exactly(length).await;
        }
        assert_eq!(headers["transfer-encoding"], "chunked", "{}", self.head);
        let mut body = BytesMut::new();
        loop {
            let size = self.until(b"\r\n").await?;
            let size = std::str::from_utf8(&size).unwrap().trim();
            let size = usize::from_str_radix(size, 16).unwrap();
            let chunk = self.exactly(size + 2).await?;
            if size == 0 {
                return Some(body.freeze());
            }
            body.extend_from_slice(&chunk[..size]);
        }
    }

    /// Reads up to and with `end`; `None` if the connection ends before.
    async fn until(&mut self, end: &[u8]) -> Option<Bytes> {
        loop {
            let found = self.buffer.windows(end.len()).position(|part| part == end);
            if let Some(at) = found {
                return Some(self.buffer.split_to(at + end.len()).freeze());
            }
            self.more().await?;
        }
    }

    pub(crate) async fn exactly(&mut self, length: usize) -> Option<Bytes> {
        while self.buffer.len() < length {
            self.more().await?;
        }
        Some(self.buffer.split_to(length).freeze())
    }

    async fn more(&mut self) -> Option<()> {
        let read = soon(self.stream.read_buf(&mut self.buffer)).await;
        matches!(read, Ok(1..)).then_some(())
    }

    /// Reads a head and leaves the body where it is.
    pub(crate) async fn answer_head(&mut self) -> String {
        let head = self.until(b"\r\n\r\n").await.expect("an answer");
        String::from_utf8(head.to_vec()).unwrap()
    }

    /// Waits for the end of the connection, whatever comes before it.
    pub(crate) async fn finish(&mut self) {
        while self.more().await.is_some() {}
    }

    /// Waits for the end of the connection; fails the test if there is more to read.
    pub(crate) async fn closed(&mut self) {
        self.finish().await;
        assert!(self.buffer.is_empty(), "{:?}", self.buffer);
    }
}

/// An HTTP/2 connection.
pub(crate) struct Http2(SendRequest<Full<Bytes>>);

impl Http2 {
    pub(crate) async fn ask(&mut self, request: http::request::Builder) -> Reply {
        self.send(request, Bytes::new()).await
    }

    pub(crate) async fn send(&mut self, request: http::request::Builder, body: Bytes) -> Reply {
        let request: Request<Full<Bytes>> = request.body(Full::new(body)).unwrap();
        let response: Response<_> = soon(self.0.send_request(request)).await.unwrap();
        let (head, body) = response.into_parts();
        let body = soon(body.collect()).await.ok();
        Reply {
            status: head.status.as_u16(),
            headers: head.headers,
            body: body.map(|body| body.to_bytes()),
        }
    }
}

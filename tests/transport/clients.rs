//! Clients that write whatever bytes a test wants.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::vault::{read_exactly, read_until, soon};

/// An HTTP/1.1 client over TLS.
pub(crate) struct Client<S = TcpStream> {
    stream: TlsStream<S>,
    buffer: Vec<u8>,
}

/// An answer as it came.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) head: String,
    /// `None` if it broke off.
    pub(crate) body: Option<Vec<u8>>,
}

impl Answer {
    pub(crate) fn status(&self) -> u16 {
        self.head.split(' ').nth(1).unwrap().parse().unwrap()
    }

    /// The value of a header, byte for byte but for the space after the colon.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.split("\r\n").skip(1).find_map(|line| {
            let (found, value) = line.split_once(": ")?;
            found.eq_ignore_ascii_case(name).then_some(value)
        })
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(self.body.as_deref().unwrap()).unwrap()
    }

    /// Status and the test service's reason.
    pub(crate) fn refusal(&self) -> (u16, &str) {
        (self.status(), self.header("x-why").unwrap_or_default())
    }
}

impl Client {
    pub(crate) async fn connect(
        address: SocketAddr,
        config: Arc<ClientConfig>,
        name: &'static str,
    ) -> io::Result<Self> {
        Self::over(TcpStream::connect(address).await?, config, name).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Client<S> {
    /// Begins a handshake on a connection that is there.
    pub(crate) async fn over(
        stream: S,
        config: Arc<ClientConfig>,
        name: &'static str,
    ) -> io::Result<Self> {
        let name = ServerName::try_from(name).unwrap();
        let stream = TlsConnector::from(config).connect(name, stream).await?;
        Ok(Self {
            stream,
            buffer: Vec::new(),
        })
    }

    pub(crate) fn into_stream(self) -> TlsStream<S> {
        self.stream
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
        self.stream.flush().await.unwrap();
    }

    /// Reads the next answer, which must at least have a head.
    pub(crate) async fn answer(&mut self) -> Answer {
        soon(self.next()).await.expect("an answer")
    }

    /// Sends a request and reads its answer.
    pub(crate) async fn ask(&mut self, request: impl AsRef<[u8]>) -> Answer {
        self.send(request).await;
        self.answer().await
    }

    /// A GET of `path` with this `Host`.
    pub(crate) async fn get(&mut self, host: &str, path: &str) -> Answer {
        self.ask(format!("GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n"))
            .await
    }

    /// Waits for the end of the connection; fails the test if an answer comes before.
    pub(crate) async fn closed(&mut self) {
        let more = soon(async {
            let mut rest = Vec::new();
            // However it ends: in order, or cut.
            let _how = self.stream.read_to_end(&mut rest).await;
            rest
        })
        .await;
        let more = [std::mem::take(&mut self.buffer), more].concat();
        assert_eq!(String::from_utf8_lossy(&more), "");
    }

    async fn next(&mut self) -> Option<Answer> {
        let head = read_until(&mut self.stream, &mut self.buffer, b"\r\n\r\n").await?;
        let mut answer = Answer {
            head: String::from_utf8(head).unwrap(),
            body: None,
        };
        let length = match answer.header("content-length") {
            Some(length) => length.parse().unwrap(),
            None if answer.header("transfer-encoding") == Some("chunked") => {
                answer.body = self.chunks().await;
                return Some(answer);
            }
            None => 0,
        };
        answer.body = read_exactly(&mut self.stream, &mut self.buffer, length).await;
        Some(answer)
    }

    async fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line = read_until(&mut self.stream, &mut self.buffer, b"\r\n").await?;
            let size = usize::from_str_radix(std::str::from_utf8(&line).ok()?.trim(), 16).ok()?;
            let chunk = read_exactly(&mut self.stream, &mut self.buffer, size + 2).await?;
            body.extend_from_slice(&chunk[..size]);
            if size == 0 {
                return Some(body);
            }
        }
    }
}

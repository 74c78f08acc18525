//! The baseline: a forwarder on hyper that checks nothing.
//!
//! It is what is left of Portcullis without everything that Portcullis is for: the same crates in
//! the same versions, the same TLS, the same limits of the HTTP libraries and the same client pool.
//! End-to-end headers are copied, bodies are streamed, and nothing is looked at.

use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use clap::Args;
use http::header::{CONNECTION, HeaderName, TE, TRAILER, TRANSFER_ENCODING, UPGRADE};
use http::{HeaderMap, Request, Response, Uri, Version};
use hyper::body::Incoming;
use hyper::rt::{Read, ReadBufCursor, Write};
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{Connected, Connection};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls_pki_types::ServerName;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::client::TlsStream;
use tokio_rustls::{TlsAcceptor, TlsConnector};
use tower_service::Service;

use crate::{Failure, say, tls};

/// As Portcullis has it by default.
const MAX_HEADER_BYTES: usize = 32 * 1024;
const MAX_STREAMS: u32 = 100;
const MAX_ANSWER_HEAD_BYTES: usize = 64 * 1024;
const MAX_IDLE: usize = 32;
const IDLE: Duration = Duration::from_secs(60);
const KEEP_ALIVE: Duration = Duration::from_secs(90);
const KEEP_ALIVE_ANSWER: Duration = Duration::from_secs(10);

/// Headers about one connection (RFC 9110 §7.6.1).
static HOP_BY_HOP: [HeaderName; 8] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-authenticate"),
    HeaderName::from_static("proxy-authorization"),
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

#[derive(Args, Debug)]
pub(crate) struct Arguments {
    /// The certificate chain, PEM
    #[arg(long)]
    certificate: PathBuf,
    /// Its private key, PEM
    #[arg(long)]
    private_key: PathBuf,
    /// The CA of the vault, PEM
    #[arg(long)]
    ca: PathBuf,
    /// The vault's host name
    #[arg(long)]
    host: String,
    /// Where the vault is
    #[arg(long)]
    vault: SocketAddr,
    /// One thread that does everything, instead of a pool of workers
    #[arg(long)]
    single: bool,
}

/// Serves until the process is ended; the first line of standard output is the address.
///
/// The number of workers is tokio's: `TOKIO_WORKER_THREADS`, or one for each core.
pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let mut builder = if arguments.single {
        tokio::runtime::Builder::new_current_thread()
    } else {
        tokio::runtime::Builder::new_multi_thread()
    };
    builder.enable_all().build()?.block_on(serve(arguments))
}

async fn serve(arguments: &Arguments) -> Result<(), Failure> {
    let protocols = [tls::H2, tls::HTTP_1_1];
    let config = tls::server(&arguments.certificate, &arguments.private_key, &protocols)?;
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let forwarder = Arc::new(Forwarder::new(arguments)?);
    let servers = Arc::new(Servers::new());
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    say(&listener.local_addr()?.to_string())?;
    loop {
        let (stream, _) = listener.accept().await?;
        let acceptor = acceptor.clone();
        let forwarder = Arc::clone(&forwarder);
        let servers = Arc::clone(&servers);
        // A connection that breaks is its client's affair.
        tokio::spawn(async move { servers.converse(stream, acceptor, forwarder).await.is_ok() });
    }
}

struct Servers {
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl Servers {
    fn new() -> Self {
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            .header_read_timeout(None)
            .max_header_size(MAX_HEADER_BYTES)
            .max_buf_size(MAX_HEADER_BYTES);
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(MAX_STREAMS)
            .max_header_list_size(u32::try_from(MAX_HEADER_BYTES).unwrap_or(u32::MAX))
            .keep_alive_interval(KEEP_ALIVE)
            .keep_alive_timeout(KEEP_ALIVE_ANSWER);
        Self { http1, http2 }
    }

    async fn converse(
        &self,
        stream: TcpStream,
        acceptor: TlsAcceptor,
        forwarder: Arc<Forwarder>,
    ) -> Result<(), Failure> {
        stream.set_nodelay(true)?;
        let stream = acceptor.accept(stream).await?;
        let http2 = stream.get_ref().1.alpn_protocol() == Some(tls::H2);
        let stream = TokioIo::new(stream);
        let service = service_fn(move |request| {
            let forwarder = Arc::clone(&forwarder);
            async move { forwarder.forward(request).await }
        });
        if http2 {
            self.http2.serve_connection(stream, service).await?;
        } else {
            self.http1.serve_connection(stream, service).await?;
        }
        Ok(())
    }
}

struct Forwarder {
    client: Client<Connector, Incoming>,
    authority: http::uri::Authority,
    host: http::HeaderValue,
}

impl Forwarder {
    fn new(arguments: &Arguments) -> Result<Self, Failure> {
        let config = tls::client(&arguments.ca, tls::HTTP_1_1)?;
        let connector = Connector {
            address: arguments.vault,
            name: ServerName::try_from(arguments.host.clone())?,
            tls: TlsConnector::from(Arc::new(config)),
        };
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(MAX_IDLE)
            .http1_max_buf_size(MAX_ANSWER_HEAD_BYTES)
            .set_host(false)
            .build(connector);
        Ok(Self {
            client,
            authority: arguments.host.parse()?,
            host: arguments.host.parse()?,
        })
    }

    async fn forward(&self, request: Request<Incoming>) -> io::Result<Response<Incoming>> {
        let (mut parts, body) = request.into_parts();
        let path = parts.uri.path_and_query().cloned();
        parts.uri = Uri::builder()
            .scheme("https")
            .authority(self.authority.clone())
            .path_and_query(path.ok_or(io::ErrorKind::InvalidInput)?)
            .build()
            .map_err(io::Error::other)?;
        parts.version = Version::HTTP_11;
        end_to_end(&mut parts.headers);
        // HTTP/2 has no such header.
        parts.headers.insert(http::header::HOST, self.host.clone());
        let answer = self.client.request(Request::from_parts(parts, body));
        let mut answer = answer.await.map_err(io::Error::other)?;
        end_to_end(answer.headers_mut());
        *answer.version_mut() = Version::default();
        Ok(answer)
    }
}

fn end_to_end(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in HOP_BY_HOP.iter().chain(&named) {
        headers.remove(name);
    }
}

#[derive(Clone)]
struct Connector {
    address: SocketAddr,
    name: ServerName<'static>,
    tls: TlsConnector,
}

impl Service<Uri> for Connector {
    type Response = VaultStream;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<VaultStream>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        let connector = self.clone();
        Box::pin(async move {
            let stream = TcpStream::connect(connector.address).await?;
            stream.set_nodelay(true)?;
            let stream = connector.tls.connect(connector.name, stream).await?;
            Ok(VaultStream(TokioIo::new(stream)))
        })
    }
}

/// A connection to the vault; the pool wants to be told about it.
struct VaultStream(TokioIo<TlsStream<TcpStream>>);

impl Connection for VaultStream {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl Read for VaultStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, out)
    }
}

impl Write for VaultStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
}

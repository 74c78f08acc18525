//! A small HTTPS server: what the embedded issuer and the embedded vault have in common.
//!
//! It promises bounds and a clean end: so many connections, so long for a handshake and for a
//! request head, and a stop that lets answers in flight finish but waits for them only so long.

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt as _, Empty, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;

use super::StartError;

const MAX_CONNECTIONS: usize = 256;
const MAX_CONCURRENT_STREAMS: u32 = 128;
const HANDSHAKE: Duration = Duration::from_secs(10);
/// Also how long a kept-alive HTTP/1 connection may be without a request.
const HEADER_READ: Duration = Duration::from_secs(60);
const BODY_READ: Duration = Duration::from_secs(30);
/// How long answers in flight may go on once the server is told to stop.
const GRACE: Duration = Duration::from_secs(5);

/// The body of an answer.
pub(super) type Body = UnsyncBoxBody<Bytes, io::Error>;

/// A body that is sent whole.
pub(super) fn whole(bytes: impl Into<Bytes>) -> Body {
    let bytes = bytes.into();
    if bytes.is_empty() {
        return Empty::new().map_err(never).boxed_unsync();
    }
    Full::new(bytes).map_err(never).boxed_unsync()
}

/// Why a request body was not read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    /// The client broke off, or took too long.
    Incomplete,
    /// It is longer than allowed.
    TooLong,
}

/// Reads a request body of at most `limit` bytes.
pub(super) async fn read_body(body: Incoming, limit: usize) -> Result<Bytes, BodyError> {
    match timeout(BODY_READ, Limited::new(body, limit).collect()).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(BodyError::TooLong),
        Ok(Err(_)) | Err(_) => Err(BodyError::Incomplete),
    }
}

fn never(error: Infallible) -> io::Error {
    match error {}
}

/// The connection is to be broken off instead of answered.
#[derive(Debug, thiserror::Error)]
#[error("the connection is broken off on purpose")]
pub(super) struct BrokenOff;

/// The client's end of one connection.
#[derive(Debug)]
pub(super) struct Peer {
    /// The host name of the TLS handshake (SNI).
    pub(super) server_name: Option<Box<str>>,
}

/// Answers requests.
pub(super) trait Service: Send + Sync + 'static {
    /// Answers one request.
    fn answer(
        self: Arc<Self>,
        peer: Arc<Peer>,
        request: Request<Incoming>,
    ) -> impl Future<Output = Result<Response<Body>, BrokenOff>> + Send;
}

/// A bound port on which nothing is served yet.
#[derive(Debug)]
pub(super) struct Bound {
    listener: TcpListener,
    address: SocketAddr,
}

impl Bound {
    /// Binds `port` of 127.0.0.1; 0 lets the system choose.
    pub(super) async fn bind(port: u16) -> Result<Self, StartError> {
        let failed = |source| StartError::Bind { port, source };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .await
            .map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        Ok(Self { listener, address })
    }

    /// The address clients connect to.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until stopped.
    pub(super) fn serve<S: Service>(
        self,
        tls: Arc<rustls::ServerConfig>,
        service: Arc<S>,
    ) -> Running {
        let (stop, stopped) = oneshot::channel();
        let address = self.address;
        let task = tokio::spawn(accept(self.listener, tls.into(), service, stopped));
        Running {
            address,
            stop: Some(stop),
            task,
        }
    }
}

/// A server at work. Dropping it ends the server and its connections at once.
#[derive(Debug)]
pub(super) struct Running {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Running {
    /// The address clients connect to.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Stops listening, lets answers in flight finish for a few seconds, and ends the rest.
    pub(super) async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            // The task may have ended by itself; then there is nobody to tell.
            let _ = stop.send(());
        }
        let _ = (&mut self.task).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The task owns the connections: they are aborted with it.
        self.task.abort();
    }
}

async fn accept<S: Service>(
    listener: TcpListener,
    tls: TlsAcceptor,
    service: Arc<S>,
    mut stopped: oneshot::Receiver<()>,
) {
    let graceful = GracefulShutdown::new();
    let permits = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        let next = async {
            let permit = Arc::clone(&permits).acquire_owned().await.ok()?;
            let (stream, _) = listener.accept().await.ok()?;
            Some((permit, stream))
        };
        let next = tokio::select! {
            next = next => next,
            _ = &mut stopped => break,
        };
        while connections.try_join_next().is_some() {}
        let Some((permit, stream)) = next else {
            // A client that went away before it was accepted.
            tokio::task::yield_now().await;
            continue;
        };
        connections.spawn(connection(
            stream,
            tls.clone(),
            Arc::clone(&service),
            graceful.watcher(),
            permit,
        ));
    }
    drop(listener);
    // Whatever outlives the grace is aborted when the set is dropped.
    let _ = timeout(GRACE, graceful.shutdown()).await;
}

async fn connection<S: Service>(
    stream: TcpStream,
    tls: TlsAcceptor,
    service: Arc<S>,
    watcher: Watcher,
    _permit: OwnedSemaphorePermit,
) {
    // Small answers must not wait for an acknowledgement of the handshake's last bytes.
    let _ = stream.set_nodelay(true);
    let Ok(Ok(stream)) = timeout(HANDSHAKE, tls.accept(stream)).await else {
        return;
    };
    let (_, session) = stream.get_ref();
    let peer = Arc::new(Peer {
        server_name: session.server_name().map(Box::from),
    });
    let mut http = auto::Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ);
    http.http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_CONCURRENT_STREAMS);
    let service =
        service_fn(move |request| Arc::clone(&service).answer(Arc::clone(&peer), request));
    let connection = http.serve_connection(TokioIo::new(stream), service);
    // A client may break off as it likes; that is no event for a development server.
    let _ = watcher.watch(connection).await;
}

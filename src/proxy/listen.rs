//! The client's side: accepting, who is there, TLS, limits, draining.
//!
//! Every connection is a task that holds a permit of its listener: when all are taken, further
//! clients wait in the kernel's backlog. A connection lives as long as requests are in flight on
//! it, or for the idle time; a request that outlives every limit of its own takes the connection
//! with it. When a client goes away, what works for it is dropped.

mod connection;
mod forwarded;
mod handshakes;
mod origin;
mod place;
pub mod proxy_protocol;
mod socket;

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use rustls::ServerConfig;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::JoinSet;

use self::connection::Server;
use self::origin::Entrance;
use self::place::Place;
use self::socket::{Accepted, Socket};
use super::HeadDefect;
use super::body::{RequestBody, ResponseBody};
use super::drain::Drain;
use super::workers::{Worker, least_loaded};
use crate::attributes::Connection;
use crate::config::{self, Address, Limits, Network};
use crate::snapshot::Snapshot;
use crate::tls::TlsError;

/// How long to wait after accepting failed: long enough for a descriptor to come free.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How long connections that are cut may take to be gone.
const ABORT_LIMIT: Duration = Duration::from_secs(1);

/// The port of https.
const HTTPS_PORT: u16 = 443;

/// Who is on the other end of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The port the client came to. A Unix socket has none; its clients call vaults as they do
    /// everywhere, by the port of https.
    pub local_port: u16,
    /// The proxy that handed the connection or request on, and said who the client is.
    pub via: Option<IpAddr>,
    /// The process at the other end of a Unix socket.
    pub credentials: Option<Credentials>,
    /// The host name in the TLS handshake.
    pub sni: Option<Box<str>>,
    /// The rest, about which conditions may ask too.
    pub connection: Connection,
}

/// Who the kernel says was at the other end of a Unix socket when it connected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub uid: u32,
    /// The first group.
    pub gid: u32,
    /// The process, where the system tells it.
    pub pid: Option<i32>,
}

/// Why a listener could not be set up.
#[derive(Debug, Error)]
pub enum ListenError {
    /// The address cannot be bound.
    #[error("listener `{listener}` cannot bind {address}: {cause}")]
    Bind {
        /// The listener.
        listener: Arc<str>,
        /// The address.
        address: Address,
        /// What went wrong.
        cause: io::Error,
    },
    /// The certificate or key cannot be used.
    #[error("listener `{listener}`: {cause}")]
    Tls {
        /// The listener.
        listener: Arc<str>,
        /// What went wrong.
        cause: TlsError,
    },
}

/// Something that happened to a connection, for metrics and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ListenEvent {
    /// A connection could not be accepted: too few descriptors, or the client is gone.
    AcceptFailed,
    /// A connection ended.
    Closed(CloseReason),
    /// A TLS handshake failed; no connection was opened.
    HandshakeFailed(HandshakeFailure),
    /// A connection was opened: its handshake is done.
    Opened,
    /// A connection was closed at once, as its address has all it may have.
    Refused,
    /// A request head was refused with 400 before it became a request.
    RequestRefused(HeadDefect),
}

impl From<HandshakeFailure> for ListenEvent {
    fn from(failure: HandshakeFailure) -> Self {
        Self::HandshakeFailed(failure)
    }
}

/// Why a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CloseReason {
    /// It was cut: the grace of draining was over, or something broke here.
    Aborted,
    /// It was closed in order, by the client or after an answer that closes.
    Ended,
    /// A request head did not arrive in time.
    HeadTimeout,
    /// There was no request for too long.
    Idle,
    /// It broke, or the client broke the protocol.
    Protocol,
    /// A request outlived every limit.
    Stalled,
}

impl CloseReason {
    /// Every reason, for initialising metrics.
    pub const ALL: [Self; 6] = [
        Self::Aborted,
        Self::Ended,
        Self::HeadTimeout,
        Self::Idle,
        Self::Protocol,
        Self::Stalled,
    ];

    /// The stable text of this reason.
    pub const fn as_label(self) -> &'static str {
        match self {
            Self::Aborted => "aborted",
            Self::Ended => "ended",
            Self::HeadTimeout => "head_timeout",
            Self::Idle => "idle",
            Self::Protocol => "protocol",
            Self::Stalled => "stalled",
        }
    }
}

/// Why a TLS handshake failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HandshakeFailure {
    /// The client refused us, most often our certificate.
    Alert,
    /// The client's certificate was refused, or it showed none where one is required.
    Certificate,
    /// The client went away.
    Disconnected,
    /// There were too many, and this was the oldest.
    GaveWay,
    /// Nothing in common: version, cipher suite, application protocol.
    Incompatible,
    /// It was not TLS.
    NotTls,
    /// A process that may not connect.
    PeerCredentials,
    /// The client broke the protocol.
    Protocol,
    /// A peer that must begin by a header of the PROXY protocol did not.
    ProxyHeader,
    /// It took too long.
    Timeout,
}

impl HandshakeFailure {
    /// Every failure, for initialising metrics.
    pub const ALL: [Self; 10] = [
        Self::Alert,
        Self::Certificate,
        Self::Disconnected,
        Self::GaveWay,
        Self::Incompatible,
        Self::NotTls,
        Self::PeerCredentials,
        Self::Protocol,
        Self::ProxyHeader,
        Self::Timeout,
    ];

    /// The stable text of this failure.
    pub const fn as_label(self) -> &'static str {
        match self {
            Self::Alert => "alert",
            Self::Certificate => "certificate",
            Self::Disconnected => "disconnected",
            Self::GaveWay => "gave_way",
            Self::Incompatible => "incompatible",
            Self::NotTls => "not_tls",
            Self::PeerCredentials => "peer_credentials",
            Self::Protocol => "protocol",
            Self::ProxyHeader => "proxy_header",
            Self::Timeout => "timeout",
        }
    }
}

/// What draining left behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Drained {
    /// Connections that were cut because their requests outlived the grace.
    pub aborted: usize,
}

/// A listener that is bound and not yet served.
pub struct BoundListener {
    name: Arc<str>,
    socket: Socket,
    address: Option<SocketAddr>,
    configured: Address,
    tls: Snapshot<ServerConfig>,
    limits: Limits,
    entrance: Entrance,
    place: Place,
}

impl std::fmt::Debug for BoundListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BoundListener")
            .field("name", &self.name)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl BoundListener {
    /// Binds the address; port 0 lets the system choose. Each handshake is answered with what `tls`
    /// holds then. Clients are told apart by the ranges of `network`. Must be called in a tokio
    /// runtime.
    ///
    /// # Errors
    /// [`ListenError::Bind`].
    pub async fn bind(
        listener: &config::Listener,
        tls: Snapshot<ServerConfig>,
        network: &Arc<Network>,
        limits: &Limits,
    ) -> Result<Self, ListenError> {
        let name = listener.name.clone();
        let bind_error = |cause| ListenError::Bind {
            listener: name.clone(),
            address: listener.address.clone(),
            cause,
        };
        let socket = Socket::bind(&listener.address).await.map_err(bind_error)?;
        let address = socket.local_addr().map_err(bind_error)?;
        Ok(Self {
            name,
            socket,
            address,
            configured: listener.address.clone(),
            tls,
            limits: limits.clone(),
            entrance: Entrance::of(listener),
            place: Place::new(listener, network),
        })
    }

    /// Where it is, in words: the address it is bound to, or the path of its socket.
    pub fn place(&self) -> String {
        self.address.map_or_else(
            || self.configured.to_string(),
            |address| address.to_string(),
        )
    }

    /// The address it is bound to; a Unix socket has none.
    pub const fn local_addr(&self) -> Option<SocketAddr> {
        self.address
    }

    /// Serves until `drain` starts and what was in flight is done, or the grace is over.
    ///
    /// Each connection is served by one of `workers`, of which there must be one. Its service answers
    /// a request, in a future that is dropped when the client goes away. `on_event` is told what
    /// happens to connections.
    pub async fn serve<S, A, E>(
        self,
        workers: Vec<Worker<S>>,
        on_event: E,
        mut drain: Drain,
    ) -> Drained
    where
        S: Fn(Arc<Peer>, Request<RequestBody>) -> A + Clone + Send + Sync + 'static,
        A: Future<Output = Response<ResponseBody>> + Send + 'static,
        E: Fn(ListenEvent) + Clone + Send + Sync + 'static,
    {
        let permits = Arc::new(Semaphore::new(self.limits.max_connections));
        let port = self.address.map_or(HTTPS_PORT, |address| address.port());
        let server = Server::new(self.entrance, self.place, port, self.limits, self.tls);
        let server = Arc::new(server);
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                biased;
                () = drain.started() => break,
                accepted = accept(&self.socket, &permits) => accepted,
            };
            // Finished tasks are forgotten as we go.
            while connections.try_join_next().is_some() {}
            let worker = least_loaded(&workers);
            let (Ok((accepted, permit)), Some(worker)) = (accepted, worker) else {
                // Descriptors run out and come back; the loop must not end over it.
                on_event(ListenEvent::AcceptFailed);
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            };
            let held = (permit, worker.occupy());
            let (server, service) = (Arc::clone(&server), worker.service().clone());
            let (on_event, drain) = (on_event.clone(), drain.clone());
            let task = async move {
                match accepted.into_stream() {
                    Ok(stream) => server.run(stream, service, on_event, drain).await,
                    Err(_cause) => on_event(ListenEvent::AcceptFailed),
                }
                drop(held);
            };
            connections.spawn_on(task, worker.runtime());
        }
        drop(self.socket);
        finish(connections, server.limits().drain_grace).await
    }
}

/// The next connection, not yet bound to a runtime.
async fn accept(
    socket: &Socket,
    permits: &Arc<Semaphore>,
) -> io::Result<(Accepted, OwnedSemaphorePermit)> {
    let permit = permits
        .clone()
        .acquire_owned()
        .await
        .map_err(io::Error::other)?;
    Ok((socket.accept().await?, permit))
}

/// Waits for the connections, which were told to finish, and cuts those that do not.
async fn finish(mut connections: JoinSet<()>, grace: Duration) -> Drained {
    let done = async { while connections.join_next().await.is_some() {} };
    let _over = tokio::time::timeout(grace, done).await;
    let aborted = connections.len();
    // A thread that stands still, waiting for a disk, ends no connection of its own.
    let _stuck = tokio::time::timeout(ABORT_LIMIT, connections.shutdown()).await;
    Drained { aborted }
}

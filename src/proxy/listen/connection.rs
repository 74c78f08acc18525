//! One client connection, from its handshake to its end.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONNECTION, EXPECT, HeaderValue, TRANSFER_ENCODING};
use http::{Request, Response, Version};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulConnection;
use rustls::ServerConfig;
use tokio::task::coop::unconstrained;
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::handshakes::Handshakes;
use super::origin::{self, Entrance, Holder, Origin};
use super::place::Place;
use super::socket::Stream;
use super::{CloseReason, HandshakeFailure, ListenEvent, Peer};
use crate::config::Limits;
use crate::proxy::activity::{Activity, InFlight, Lapse};
use crate::proxy::body::{Leftover, RelayError, RequestBody, ResponseBody};
use crate::proxy::drain::Drain;
use crate::proxy::gate::Gate;
use crate::proxy::shares::{Share, Shares};
use crate::snapshot::Snapshot;
use crate::tls;

/// The smallest buffer hyper works with.
const MIN_BUFFER_BYTES: usize = 8 * 1024;

/// Streams a client may reset before we saw to them, and streams we may have to reset for its
/// errors, before the connection is ended (RUSTSEC-2024-0003, CVE-2025-8671). Honest clients reset
/// a stream now and then.
const MAX_RESET_STREAMS: usize = 64;

/// How long a connection that was told to end may take to say so.
const CLOSING_TIME: Duration = Duration::from_secs(5);

/// What the connections of one listener have in common.
pub(super) struct Server {
    entrance: Entrance,
    place: Arc<Place>,
    port: u16,
    limits: Limits,
    tls: Snapshot<ServerConfig>,
    handshakes: Arc<Handshakes>,
    /// How many connections each client has.
    clients: Arc<Shares<Holder>>,
    http1: http1::Builder,
    http2: http2::Builder<TokioExecutor>,
}

impl Server {
    pub(super) fn new(
        entrance: Entrance,
        place: Place,
        port: u16,
        limits: Limits,
        tls: Snapshot<ServerConfig>,
    ) -> Self {
        let max_header_bytes = usize::try_from(limits.max_header_bytes).unwrap_or(usize::MAX);
        let mut http1 = http1::Builder::new();
        http1
            .timer(TokioTimer::new())
            // The time a head may take is watched by the gate, which knows when one begins.
            .header_read_timeout(None)
            .max_header_size(max_header_bytes)
            // The number of headers is hyper's own limit, a hundred. To say so here would have it
            // zero another piece of memory for each request.
            .max_buf_size(max_header_bytes.max(MIN_BUFFER_BYTES));
        let mut http2 = http2::Builder::new(TokioExecutor::new());
        http2
            .timer(TokioTimer::new())
            .max_concurrent_streams(limits.max_concurrent_streams)
            .max_header_list_size(limits.max_header_bytes)
            .max_pending_accept_reset_streams(MAX_RESET_STREAMS)
            .max_local_error_reset_streams(MAX_RESET_STREAMS)
            // A peer that vanished without a word is found out.
            .keep_alive_interval(limits.idle_timeout)
            .keep_alive_timeout(limits.handshake_timeout);
        Self {
            entrance,
            place: Arc::new(place),
            port,
            handshakes: Arc::new(Handshakes::new(limits.max_connections)),
            clients: Arc::new(Shares::new(limits.max_connections_per_address)),
            limits,
            tls,
            http1,
            http2,
        }
    }

    pub(super) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Serves one connection to its end.
    pub(super) async fn run<S, A, E>(
        self: Arc<Self>,
        stream: Stream,
        service: S,
        on_event: E,
        drain: Drain,
    ) where
        S: Fn(Arc<Peer>, Request<RequestBody>) -> A + Send + 'static,
        A: Future<Output = Response<ResponseBody>> + Send + 'static,
        E: Fn(ListenEvent) + Clone + Send + Sync + 'static,
    {
        let known = match self.greet(&stream) {
            Ok(known) => known,
            Err(event) => return on_event(event),
        };
        let holder = known.as_ref().map(|known| known.origin.holder());
        let mut place = self.handshakes.begin(holder, Instant::now());
        let mut waiting = drain.clone();
        let (stream, peer, _known) = tokio::select! {
            // Nobody's request is lost by ending a handshake.
            () = waiting.started() => return,
            () = place.gave_way() => return on_event(HandshakeFailure::GaveWay.into()),
            outcome = tokio::time::timeout(
                self.limits.handshake_timeout,
                self.receive(stream, known),
            ) => match outcome.unwrap_or_else(|_late| Err(HandshakeFailure::Timeout.into())) {
                Ok(received) => received,
                Err(event) => return on_event(event),
            },
        };
        drop(place);
        let mut open = Open::new(on_event);
        open.reason = self
            .converse(stream, peer, service, &open.on_event, drain)
            .await;
    }

    /// What is known without reading a byte; nothing of who is announced by a load balancer.
    fn greet(&self, stream: &Stream) -> Result<Option<Known>, ListenEvent> {
        let origin = self.entrance.at_once(stream)?;
        origin.map(|origin| self.admit(origin)).transpose()
    }

    fn admit(&self, origin: Origin) -> Result<Known, ListenEvent> {
        let share = self.clients.take(origin.holder());
        let share = share.ok_or(ListenEvent::Refused)?;
        Ok(Known {
            origin,
            _share: share,
        })
    }

    /// Everything before the first request: who connects, and the TLS handshake.
    async fn receive(
        &self,
        mut stream: Stream,
        known: Option<Known>,
    ) -> Result<(TlsStream<Stream>, Peer, Known), ListenEvent> {
        let known = match known {
            Some(known) => known,
            None => self.admit(origin::announced(&mut stream).await?)?,
        };
        let acceptor = TlsAcceptor::from(self.tls.load());
        let handshake = acceptor.accept(stream).await;
        let stream = handshake.map_err(|cause| classify(&cause))?;
        let peer = self.peer(&stream, known.origin)?;
        Ok((stream, peer, known))
    }

    /// Who is on the other end, for as long as the connection lasts.
    fn peer(&self, stream: &TlsStream<Stream>, origin: Origin) -> Result<Peer, HandshakeFailure> {
        let (_, session) = stream.get_ref();
        let leaf = session.peer_certificates().and_then(<[_]>::first);
        let certificate = leaf
            .map(|leaf| tls::client_certificate(leaf))
            .transpose()
            .map_err(|_unreadable| HandshakeFailure::Certificate)?;
        let protocol = protocol(session.protocol_version());
        Ok(Peer {
            local_port: self.port,
            via: origin.via,
            credentials: origin.credentials,
            sni: session.server_name().map(Into::into),
            connection: self.place.connection(origin.address, protocol, certificate),
        })
    }

    async fn converse<S, A, E>(
        &self,
        stream: TlsStream<Stream>,
        peer: Peer,
        service: S,
        on_event: &E,
        drain: Drain,
    ) -> CloseReason
    where
        S: Fn(Arc<Peer>, Request<RequestBody>) -> A + Send + 'static,
        A: Future<Output = Response<ResponseBody>> + Send + 'static,
        E: Fn(ListenEvent) + Clone + Send + Sync + 'static,
    {
        let (_, session) = stream.get_ref();
        let http2 = session.alpn_protocol() == Some(tls::H2);
        let peer = Arc::new(peer);
        let activity = Activity::new(&self.limits);
        let answering = activity.clone();
        let limits = self.limits.clone();
        let speaks_for_others = self.place.believes(&peer);
        let place = speaks_for_others.then(|| Arc::clone(&self.place));
        let answer = service_fn(move |request: Request<Incoming>| {
            let peer = match &place {
                None => Arc::clone(&peer),
                Some(place) => place.behind(&peer, request.headers()),
            };
            answer(&service, peer, request, &limits, answering.begin())
        });
        if http2 {
            let io = TokioIo::new(stream);
            let connection = self.http2.serve_connection(io, answer);
            return drive(connection, &activity, drain).await;
        }
        let refused = on_event.clone();
        let io = TokioIo::new(Gate::new(
            stream,
            usize::try_from(self.limits.max_header_bytes).unwrap_or(usize::MAX),
            activity.clone(),
            Box::new(move |defect| refused(ListenEvent::RequestRefused(defect))),
        ));
        let connection = self.http1.serve_connection(io, answer);
        drive(connection, &activity, drain).await
    }
}

/// Who connects, and the share of connections that is held for it.
struct Known {
    origin: Origin,
    _share: Share<Holder>,
}

/// An open connection: one event when it begins, one when it is gone, however it goes.
struct Open<E: Fn(ListenEvent)> {
    on_event: E,
    reason: CloseReason,
}

impl<E: Fn(ListenEvent)> Open<E> {
    fn new(on_event: E) -> Self {
        on_event(ListenEvent::Opened);
        Self {
            on_event,
            reason: CloseReason::Aborted,
        }
    }
}

impl<E: Fn(ListenEvent)> Drop for Open<E> {
    fn drop(&mut self) {
        (self.on_event)(ListenEvent::Closed(self.reason));
    }
}

/// Has `service` answer one request.
fn answer<S, A>(
    service: &S,
    peer: Arc<Peer>,
    request: Request<Incoming>,
    limits: &Limits,
    in_flight: Arc<InFlight>,
) -> impl Future<Output = Result<Response<Tracked>, Infallible>> + Send + 'static + use<S, A>
where
    S: Fn(Arc<Peer>, Request<RequestBody>) -> A,
    A: Future<Output = Response<ResponseBody>> + Send + 'static,
{
    let http1 = request.version() < Version::HTTP_2;
    // SECURITY: after a chunked body the gate does not know where the next head begins.
    let last = http1 && request.headers().contains_key(TRANSFER_ENCODING);
    let leftover = if http1 && !request.headers().contains_key(EXPECT) {
        Leftover::Drain
    } else {
        Leftover::Leave
    };
    let body_in_flight = in_flight.clone();
    let request = request.map(|body| RequestBody::arriving(body, limits, leftover, body_in_flight));
    let answer = service(peer, request);
    async move {
        let mut response = answer.await;
        if last {
            let close = HeaderValue::from_static("close");
            response.headers_mut().insert(CONNECTION, close);
        }
        Ok(response.map(|body| Tracked {
            body,
            _in_flight: in_flight,
        }))
    }
}

/// An answer's body, which keeps its request in flight until it is gone.
struct Tracked {
    body: ResponseBody,
    _in_flight: Arc<InFlight>,
}

impl Body for Tracked {
    type Data = Bytes;
    type Error = RelayError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RelayError>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Drives a connection until it ends, is out of time, or has drained.
async fn drive<C: GracefulConnection>(
    connection: C,
    activity: &Activity,
    mut drain: Drain,
) -> CloseReason {
    let mut connection = pin!(connection);
    let mut draining = false;
    let mut alarm = pin!(tokio::time::sleep_until(activity.set_alarm()));
    let lapse = loop {
        tokio::select! {
            biased;
            outcome = connection.as_mut() => return reason(&outcome),
            () = drain.started(), if !draining => {
                draining = true;
                connection.as_mut().graceful_shutdown();
            }
            () = activity.changed() => alarm.as_mut().reset(activity.set_alarm()),
            // SECURITY: unconstrained, since a client that always has something to read for us uses up
            // what this task may do at once, and with that used up no timer fires.
            () = unconstrained(alarm.as_mut()) => {
                if let Some(lapse) = activity.lapse() {
                    break lapse;
                }
                alarm.as_mut().reset(activity.set_alarm());
            }
        }
    };
    match lapse {
        Lapse::Head => CloseReason::HeadTimeout,
        Lapse::Stalled => CloseReason::Stalled,
        Lapse::Idle => {
            // In order, so that a client knows that a request it is about to send was not begun.
            connection.as_mut().graceful_shutdown();
            let _late = tokio::time::timeout(CLOSING_TIME, connection).await;
            CloseReason::Idle
        }
    }
}

const fn reason<E>(outcome: &Result<(), E>) -> CloseReason {
    match outcome {
        Ok(()) => CloseReason::Ended,
        Err(_) => CloseReason::Protocol,
    }
}

const fn protocol(version: Option<rustls::ProtocolVersion>) -> &'static str {
    match version {
        Some(rustls::ProtocolVersion::TLSv1_3) => "TLSv1.3",
        // The configuration allows no other.
        _ => "TLSv1.2",
    }
}

fn classify(cause: &io::Error) -> HandshakeFailure {
    let tls = cause
        .get_ref()
        .and_then(|inner| inner.downcast_ref::<rustls::Error>());
    match tls {
        None => HandshakeFailure::Disconnected,
        Some(rustls::Error::AlertReceived(_)) => HandshakeFailure::Alert,
        Some(
            rustls::Error::InvalidCertificate(_)
            | rustls::Error::InvalidCertRevocationList(_)
            | rustls::Error::NoCertificatesPresented,
        ) => HandshakeFailure::Certificate,
        Some(rustls::Error::InvalidMessage(_)) => HandshakeFailure::NotTls,
        Some(rustls::Error::PeerIncompatible(_) | rustls::Error::NoApplicationProtocol) => {
            HandshakeFailure::Incompatible
        }
        Some(_) => HandshakeFailure::Protocol,
    }
}

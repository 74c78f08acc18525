//! The administration listener: plain HTTP with `/livez`, `/readyz` and `/metrics`.
//!
//! It is for the machine it runs on, or for a network of its own: it asks nobody for a token, and
//! says nothing a token would be needed for. It has its own small limits, so that it answers when
//! the other listeners are full, and cannot be used to fill the process.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderValue, X_CONTENT_TYPE_OPTIONS};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use thiserror::Error;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::metrics::Metrics;

/// Open connections; more wait in the kernel's backlog.
const MAX_CONNECTIONS: usize = 64;

/// From the first byte of a request, or from the end of the one before, to the end of its headers.
const HEADER_READ_LIMIT: Duration = Duration::from_secs(10);

/// How long a connection lives at most; a scraper opens another.
const CONNECTION_LIMIT: Duration = Duration::from_secs(300);

/// Bytes of request headers; the least hyper takes.
const MAX_HEADER_BYTES: usize = 8 * 1024;

/// How long answers may go on after a stop.
const STOP_LIMIT: Duration = Duration::from_secs(2);

/// How long accepting rests when the system has no descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The listener could not be set up.
#[derive(Debug, Error)]
#[error("cannot listen on `{address}` for administration: {cause}")]
pub struct AdminError {
    address: SocketAddr,
    cause: std::io::Error,
}

/// What must hold for the process to be sent requests.
///
/// A check is asked at every look, so it must be cheap and must not block. What it says is shown to
/// anyone who can reach the listener: it names no principal and no secret.
#[derive(Default)]
pub struct Readiness {
    checks: Vec<(&'static str, Check)>,
}

type Check = Box<dyn Fn() -> Outcome + Send + Sync>;

/// What one check said: that it holds, perhaps with a note for the operator, or why it does not.
type Outcome = Result<Option<String>, String>;

/// What the checks said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    outcomes: Vec<(&'static str, Outcome)>,
}

/// The administration listener, bound and not yet served.
#[derive(Debug)]
pub struct AdminListener {
    listener: TcpListener,
    address: SocketAddr,
}

struct Pages {
    metrics: Arc<Metrics>,
    readiness: Readiness,
}

impl Readiness {
    /// No checks: always ready.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a check, which says `Err` with the reason in words while it does not hold.
    #[must_use]
    pub fn check(
        self,
        name: &'static str,
        holds: impl Fn() -> Result<(), String> + Send + Sync + 'static,
    ) -> Self {
        self.check_with_note(name, move || holds().map(|()| None))
    }

    /// Adds a check like [`Self::check`] that can hold and still have something to tell: trouble
    /// that will make it fail unless somebody sees to it.
    #[must_use]
    pub fn check_with_note(
        mut self,
        name: &'static str,
        holds: impl Fn() -> Result<Option<String>, String> + Send + Sync + 'static,
    ) -> Self {
        self.checks.push((name, Box::new(holds)));
        self
    }

    /// Asks every check.
    pub fn report(&self) -> Report {
        let ask = |(name, holds): &(&'static str, Check)| (*name, holds());
        Report {
            outcomes: self.checks.iter().map(ask).collect(),
        }
    }
}

impl fmt::Debug for Readiness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.checks.iter().map(|(name, _)| name))
            .finish()
    }
}

impl Report {
    /// Whether every check holds.
    pub fn is_ready(&self) -> bool {
        self.outcomes.iter().all(|(_, outcome)| outcome.is_ok())
    }

    /// `{"ready":false,"checks":[{"name":"keys","ok":false,"note":null,"reason":"…"}]}`.
    fn to_json(&self) -> String {
        let check = |(name, outcome): &(&str, Outcome)| {
            serde_json::json!({
                "name": name,
                "ok": outcome.is_ok(),
                "note": outcome.as_ref().ok(),
                "reason": outcome.as_ref().err(),
            })
        };
        serde_json::json!({
            "ready": self.is_ready(),
            "checks": self.outcomes.iter().map(check).collect::<Vec<_>>(),
        })
        .to_string()
    }
}

impl AdminListener {
    /// Binds `address`; port 0 lets the system choose.
    ///
    /// # Errors
    /// [`AdminError`] if the address cannot be bound.
    pub async fn bind(address: SocketAddr) -> Result<Self, AdminError> {
        let refused = |cause| AdminError { address, cause };
        let listener = TcpListener::bind(address).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        Ok(Self { listener, address })
    }

    /// The address that was bound.
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is ready, and then ends what is being answered, two seconds at most.
    pub async fn serve(
        self,
        metrics: Arc<Metrics>,
        readiness: Readiness,
        stop: impl Future<Output = ()>,
    ) {
        let pages = Arc::new(Pages { metrics, readiness });
        let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let graceful = GracefulShutdown::new();
        tokio::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                accepted = accept(&self.listener, &places) => {
                    if let Some((stream, place)) = accepted {
                        spawn_connection(stream, place, Arc::clone(&pages), &graceful);
                    }
                }
            }
        }
        drop(self.listener);
        if timeout(STOP_LIMIT, graceful.shutdown()).await.is_err() {
            tracing::debug!("administration connections were cut");
        }
    }
}

/// Waits for a place and then for a connection, so that the backlog holds the rest.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, place)),
        Err(error) => {
            tracing::warn!(%error, "cannot accept an administration connection");
            tokio::time::sleep(ACCEPT_PAUSE).await;
            None
        }
    }
}

fn spawn_connection(
    stream: TcpStream,
    place: OwnedSemaphorePermit,
    pages: Arc<Pages>,
    graceful: &GracefulShutdown,
) {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = pages.answer(&request);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_READ_LIMIT)
        .max_buf_size(MAX_HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service);
    let connection = graceful.watch(connection);
    tokio::spawn(async move {
        let _place = place;
        // A scraper that goes away is no event.
        let _ = timeout(CONNECTION_LIMIT, connection).await;
    });
}

impl Pages {
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        const TEXT: &str = "text/plain; charset=utf-8";
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = page(StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET or HEAD\n".into());
            let allowed = HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(ALLOW, allowed);
            return response;
        }
        match request.uri().path() {
            "/livez" => page(StatusCode::OK, TEXT, "ok\n".into()),
            "/readyz" => {
                let report = self.ready();
                let status = if report.is_ready() {
                    StatusCode::OK
                } else {
                    StatusCode::SERVICE_UNAVAILABLE
                };
                page(status, "application/json", report.to_json())
            }
            "/metrics" => {
                self.ready();
                let metrics = self.metrics.render();
                page(
                    StatusCode::OK,
                    "text/plain; version=0.0.4; charset=utf-8",
                    metrics,
                )
            }
            _ => page(StatusCode::NOT_FOUND, TEXT, "not found\n".into()),
        }
    }

    /// Asks the checks and exports what they said.
    fn ready(&self) -> Report {
        let report = self.readiness.report();
        self.metrics.ready(report.is_ready());
        report
    }
}

fn page(status: StatusCode, content_type: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

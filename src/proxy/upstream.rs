//! The vault's side: one operation becomes one request, and its answer comes back.
//!
//! The request is sent at most once. The connection pool may try again only when a pooled
//! connection turned out to be closed before the request was begun on it: hyper then hands the
//! whole request back, untouched (`TrySendError::take_message`); once a single byte may have left,
//! it does not.

mod answer;
mod error;
mod inspect;

use std::time::Duration;

use http::header::{CONTENT_LENGTH, HeaderValue};
use http::{HeaderMap, Method, Request, Response, Uri, Version};
use http_body::Body;
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::{CaptureConnection, capture_connection};
use hyper_util::rt::{TokioExecutor, TokioTimer};
use tokio::time::Instant;

pub use self::answer::ForwardedResponse;
pub use self::error::{UpstreamError, UpstreamErrorKind};
pub use self::inspect::InspectionAnswer;
use super::body::{BodyProgress, RequestBody};
use super::connect::{Connector, ConnectorError, OwnAddresses};
use super::headers;
use super::links::Links;
use crate::config::{self, Limits};
use crate::keyvault::{Authority, Operation};
use crate::rbac::Permit;
use crate::secret::BearerToken;

/// The largest head of a vault's answer; a usual one has about 1 KiB.
const MAX_ANSWER_HEAD_BYTES: usize = 64 * 1024;

/// Headers of a vault's answer; a usual one has about 15.
const MAX_ANSWER_HEADERS: usize = 100;

/// What of a client's request goes along with the operation.
pub struct ForwardRequest {
    /// The client's headers; what is sent of them, [`headers`] decides.
    pub headers: HeaderMap,
    /// The token to send.
    pub token: BearerToken,
    /// The client's body.
    pub body: RequestBody,
    /// When the client's request is out of time: its arrival plus `Limits::total_timeout`.
    pub deadline: Instant,
    /// The name by which the client came, as selected by [`super::host`].
    pub public: Authority,
}

impl std::fmt::Debug for ForwardRequest {
    /// SECURITY: without the headers, among which the client's token stands in clear.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ForwardRequest")
            .field("public", &self.public)
            .finish_non_exhaustive()
    }
}

/// One vault, with its connections.
pub struct Upstream {
    client: Client<Connector, RequestBody>,
    authority: Authority,
    rewrite_ids: bool,
    body_read_timeout: Duration,
    first_byte_timeout: Duration,
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Upstream")
            .field("authority", &self.authority)
            .finish_non_exhaustive()
    }
}

impl Upstream {
    /// Prepares to reach `vault`; no connection is made yet. `own` are the addresses of our own
    /// listeners, which the vault must not resolve to.
    ///
    /// # Errors
    /// [`ConnectorError`]: the CA file, the system's roots or its DNS configuration.
    pub fn new(
        vault: &config::Vault,
        limits: &Limits,
        own: OwnAddresses,
    ) -> Result<Self, ConnectorError> {
        let connector = Connector::new(vault, limits.connect_timeout, own)?;
        let client = Client::builder(TokioExecutor::new())
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(limits.pool_idle_timeout)
            .pool_max_idle_per_host(limits.pool_max_idle)
            .http1_max_buf_size(MAX_ANSWER_HEAD_BYTES)
            .http1_max_headers(MAX_ANSWER_HEADERS)
            .set_host(false)
            // See the module's text: only what was never begun.
            .retry_canceled_requests(true)
            .build(connector);
        Ok(Self {
            client,
            authority: vault.authority.clone(),
            rewrite_ids: vault.rewrite_ids,
            body_read_timeout: limits.body_read_timeout,
            first_byte_timeout: limits.first_byte_timeout,
        })
    }

    /// What the vault calls itself.
    pub const fn authority(&self) -> &Authority {
        &self.authority
    }

    /// Sends the permitted operation to the vault and prepares its answer for the client. The
    /// permit is used up.
    ///
    /// Method, path and query are the operation's. Cancelling the future aborts the request.
    ///
    /// # Errors
    /// [`UpstreamError`], which also says whether the vault may have seen the request.
    pub async fn forward(
        &self,
        permit: Permit,
        request: ForwardRequest,
    ) -> Result<ForwardedResponse, UpstreamError> {
        let links = Links::new(
            self.authority.clone(),
            request.public.clone(),
            self.rewrite_ids,
        );
        request
            .body
            .check_declared_length()
            .map_err(|defect| UpstreamError::unsent(defect.into()))?;
        let deadline = request.deadline;
        let request = self
            .prepare(permit.operation(), request, &links)
            .map_err(|_| UpstreamError::unsent(UpstreamErrorKind::Unrepresentable))?;
        let response = self.send(request, deadline).await?;
        answer::relay(response, &links, deadline)
            .await
            .map_err(UpstreamError::sent)
    }

    fn prepare(
        &self,
        operation: &Operation,
        request: ForwardRequest,
        links: &Links,
    ) -> Result<Request<RequestBody>, http::Error> {
        let uri = Uri::builder()
            .scheme("https")
            .authority(self.authority.to_string())
            .path_and_query(operation.path_and_query())
            .build()?;
        let mut headers =
            headers::to_vault(&request.headers, &request.token, &self.authority, links)?;
        let method = method(operation);
        // Where a body is usual its absence must be said; hyper leaves it to the reader.
        if request.body.is_end_stream() && !matches!(method, Method::GET | Method::DELETE) {
            headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
        }
        let mut prepared = Request::new(request.body);
        *prepared.method_mut() = method;
        *prepared.uri_mut() = uri;
        *prepared.version_mut() = Version::HTTP_11;
        *prepared.headers_mut() = headers;
        Ok(prepared)
    }

    async fn send(
        &self,
        mut request: Request<RequestBody>,
        deadline: Instant,
    ) -> Result<Response<Incoming>, UpstreamError> {
        let progress = request.body().progress();
        let connection = capture_connection(&mut request);
        let observed = connection.clone();
        let outcome = tokio::select! {
            biased;
            outcome = self.client.request(request) => outcome,
            () = self.out_of_patience(connection, &progress) => {
                let kind = progress
                    .failure()
                    .map_or(UpstreamErrorKind::FirstByteTimeout, Into::into);
                return Err(UpstreamError::sent(kind));
            }
            () = tokio::time::sleep_until(deadline) => {
                let sent = observed.connection_metadata().is_some();
                return Err(UpstreamError::new(UpstreamErrorKind::Deadline, sent));
            }
        };
        outcome.map_err(|cause| {
            let sent = observed.connection_metadata().is_some();
            UpstreamError::from_client(&cause, progress.failure(), sent)
        })
    }

    /// Waits as long as a vault may take for its first byte.
    ///
    /// Connecting has its own limit. While the body is on its way, the client sets the pace, within
    /// its own limit; then the vault has its whole time.
    async fn out_of_patience(&self, mut connection: CaptureConnection, progress: &BodyProgress) {
        drop(connection.wait_for_connection_metadata().await);
        let _slow = tokio::time::timeout(self.body_read_timeout, progress.ended()).await;
        tokio::time::sleep(self.first_byte_timeout).await;
    }
}

fn method(operation: &Operation) -> Method {
    use crate::keyvault::Method as Verb;
    match operation.kind().row().method {
        Verb::DELETE => Method::DELETE,
        Verb::GET => Method::GET,
        Verb::PATCH => Method::PATCH,
        Verb::POST => Method::POST,
        Verb::PUT => Method::PUT,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_on_its_way_does_not_print_its_token() {
        let mut headers = HeaderMap::new();
        let value = HeaderValue::from_static("Bearer canary.canary.canary");
        headers.insert(http::header::AUTHORIZATION, value);
        let request = ForwardRequest {
            headers,
            token: BearerToken::new("canary.canary.canary"),
            body: RequestBody::from(bytes::Bytes::from_static(b"canary")),
            deadline: Instant::now(),
            public: "kv.example".parse().unwrap(),
        };
        assert!(!format!("{request:?}").contains("canary"));
    }
}

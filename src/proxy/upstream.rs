//! The vault's side: one operation becomes one request, and its answer comes back.
//!
//! The request is sent at most once. It is tried again only when a connection that was used before
//! turned out to be closed before the request was begun on it: hyper then hands the whole request
//! back, untouched (`TrySendError::take_message`); once a single byte may have left, it does not.

mod answer;
mod error;
mod inspect;
mod lane;
mod pool;

use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, HeaderValue};
use http::uri::InvalidUri;
use http::{HeaderMap, Method, Request, Response, Uri, Version};
use http_body::Body;
use tokio::task::coop::unconstrained;
use tokio::time::Instant;

pub use self::answer::ForwardedResponse;
pub use self::error::{UpstreamError, UpstreamErrorKind};
pub use self::inspect::InspectionAnswer;
use self::lane::Lane;
pub(super) use self::lane::VaultBody;
use self::pool::Pool;
use super::body::{BodyProgress, RequestBody};
use super::connect::{Connector, ConnectorError, Ourselves};
use super::headers;
use super::links::Links;
use crate::config::{self, Limits};
use crate::keyvault::{Authority, Operation};
use crate::rbac::Permit;
use crate::secret::BearerToken;

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

/// One vault, with the connections of one thread to it.
pub struct Upstream {
    pool: Arc<Pool>,
    authority: Authority,
    /// The same as the `Host` header has it.
    host: HeaderValue,
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
    /// Prepares to reach `vault`; no connection is made yet. `own` is what our own
    /// listeners are known by, which the vault must not turn out to be.
    ///
    /// # Errors
    /// [`ConnectorError`]: the CA file, the system's roots or its DNS configuration.
    pub fn new(
        vault: &config::Vault,
        limits: &Limits,
        own: Ourselves,
    ) -> Result<Self, ConnectorError> {
        let connector = Connector::new(vault, limits.connect_timeout, own)?;
        Ok(Self {
            pool: Pool::new(Arc::new(connector), limits),
            authority: vault.authority.clone(),
            host: HeaderValue::try_from(vault.authority.to_string())
                .map_err(|_| ConnectorError::Host(vault.authority.clone()))?,
            rewrite_ids: vault.rewrite_ids,
            body_read_timeout: limits.body_read_timeout,
            first_byte_timeout: limits.first_byte_timeout,
        })
    }

    /// The same vault, reached in the same way, with connections of its own: for another thread.
    #[must_use]
    pub fn with_own_connections(&self) -> Self {
        Self {
            pool: self.pool.emptied(),
            authority: self.authority.clone(),
            host: self.host.clone(),
            ..*self
        }
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
    ) -> Result<Request<RequestBody>, InvalidUri> {
        let uri = Uri::try_from(operation.path_and_query())?;
        let mut headers = headers::to_vault(&request.headers, &request.token, &self.host, links);
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
    ) -> Result<Response<VaultBody>, UpstreamError> {
        let progress = request.body().progress();
        loop {
            let lane = tokio::time::timeout_at(deadline, self.pool.lane())
                .await
                .map_err(|_| UpstreamError::unsent(UpstreamErrorKind::Deadline))?
                .map_err(|cause| UpstreamError::no_lane(&cause))?;
            let may_be_stale = lane.is_used();
            match self.exchange(lane, request, &progress, deadline).await {
                Ok(response) => return Ok(response),
                Err(NoAnswer::NeverBegun(returned)) if may_be_stale => request = *returned,
                Err(NoAnswer::NeverBegun(_)) => {
                    return Err(UpstreamError::unsent(UpstreamErrorKind::Protocol));
                }
                Err(NoAnswer::Failed(error)) => return Err(error),
            }
        }
    }

    /// Sends the request on `lane` and waits, within every limit, for the head of the answer.
    async fn exchange(
        &self,
        lane: Box<Lane>,
        request: Request<RequestBody>,
        progress: &BodyProgress,
        deadline: Instant,
    ) -> Result<Response<VaultBody>, NoAnswer> {
        // SECURITY: unconstrained, since a vault from which there is always something to read, such
        // as one early hint after the other, uses up what this task may do before it has to let
        // others, and with that used up no timer would ever fire.
        let patience = unconstrained(self.out_of_patience(progress, deadline));
        let outcome = tokio::select! {
            biased;
            outcome = lane.exchange(request, &self.pool) => outcome,
            kind = patience => {
                return Err(NoAnswer::Failed(UpstreamError::sent(kind)));
            }
        };
        outcome.map_err(|mut cause| match cause.take_message() {
            Some(request) => NoAnswer::NeverBegun(Box::new(request)),
            None => NoAnswer::Failed(UpstreamError::broken(cause.error(), progress.failure())),
        })
    }

    /// Waits as long as a vault may take for its first byte, but not beyond `deadline`; says which
    /// of the limits it was.
    ///
    /// While the body is on its way, the client sets the pace, within its own limit; then the vault
    /// has its whole time.
    async fn out_of_patience(
        &self,
        progress: &BodyProgress,
        deadline: Instant,
    ) -> UpstreamErrorKind {
        if !progress.has_ended() {
            let limit = Instant::now() + self.body_read_timeout;
            let _slow = tokio::time::timeout_at(limit.min(deadline), progress.ended()).await;
        }
        let first_byte = Instant::now() + self.first_byte_timeout;
        tokio::time::sleep_until(first_byte.min(deadline)).await;
        if deadline <= first_byte {
            return UpstreamErrorKind::Deadline;
        }
        progress
            .failure()
            .map_or(UpstreamErrorKind::FirstByteTimeout, Into::into)
    }
}

/// Why an exchange brought no answer.
enum NoAnswer {
    Failed(UpstreamError),
    /// Nothing was written: here is the request again.
    NeverBegun(Box<Request<RequestBody>>),
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
            token: BearerToken::new("canary.canary.canary").unwrap(),
            body: RequestBody::from(bytes::Bytes::from_static(b"canary")),
            deadline: Instant::now(),
            public: "kv.example".parse().unwrap(),
        };
        assert!(!format!("{request:?}").contains("canary"));
    }
}

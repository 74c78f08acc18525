//! Questions about an object's metadata, asked before a request is decided.

use std::fmt;

use bytes::Bytes;
use http::header::RETRY_AFTER;
use http::uri::InvalidUri;
use http::{Method, Request, StatusCode, Uri, Version};
use tokio::time::Instant;

use super::answer::{check_framing, check_status, collect_until};
use super::{Upstream, UpstreamError, UpstreamErrorKind};
use crate::keyvault::ApiVersion;
use crate::proxy::body::RequestBody;
use crate::proxy::headers;
use crate::proxy::links::Coding;
use crate::rbac::{Inspection, InspectionStep};
use crate::secret::BearerToken;

/// The largest answer that is read. A page of 25 versions, each with 15 tags of the largest size,
/// has less than 400 KiB.
const MAX_BYTES: usize = 1024 * 1024;

/// What the vault answered to a question.
pub struct InspectionAnswer {
    /// The status.
    pub status: StatusCode,
    /// How many seconds the vault wants to be left alone.
    pub retry_after_seconds: Option<u32>,
    /// The body, without a content coding.
    pub body: Bytes,
}

impl fmt::Debug for InspectionAnswer {
    /// Says nothing of the content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InspectionAnswer")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl Upstream {
    /// Asks the vault one question of an inspection, as the caller to whom `token` belongs, over
    /// the same connections as everything else. The answer is for deciding, never for a client.
    ///
    /// Cancelling the future aborts the question.
    ///
    /// # Errors
    /// [`UpstreamError`], if there is no answer before `deadline` or none that can be read whole.
    pub async fn inspect(
        &self,
        inspection: &Inspection,
        question: InspectionStep<'_>,
        api_version: &ApiVersion,
        token: &BearerToken,
        deadline: Instant,
    ) -> Result<InspectionAnswer, UpstreamError> {
        let request = self
            .question(inspection.path_and_query(question, api_version), token)
            .map_err(|_| UpstreamError::unsent(UpstreamErrorKind::Unrepresentable))?;
        let response = self.send(request, deadline).await?;
        let (parts, body) = response.into_parts();
        check_status(parts.status)
            .and_then(|()| check_framing(&parts.headers))
            .map_err(UpstreamError::sent)?;
        // No coding was accepted; undoing one all the same would be work for an attacker to give.
        if Coding::of(&parts.headers).ok() != Some(Coding::Identity) {
            return Err(UpstreamError::sent(UpstreamErrorKind::AnswerCoding));
        }
        let body = collect_until(body, MAX_BYTES, deadline)
            .await
            .map_err(UpstreamError::sent)?;
        let seconds = parts.headers.get(RETRY_AFTER);
        Ok(InspectionAnswer {
            status: parts.status,
            // The other form, a date, is not what Key Vault sends.
            retry_after_seconds: seconds.and_then(|value| value.to_str().ok()?.parse().ok()),
            body,
        })
    }

    fn question(
        &self,
        path_and_query: String,
        token: &BearerToken,
    ) -> Result<Request<RequestBody>, InvalidUri> {
        let uri = Uri::try_from(path_and_query)?;
        let mut request = Request::new(RequestBody::empty());
        *request.method_mut() = Method::GET;
        *request.uri_mut() = uri;
        *request.version_mut() = Version::HTTP_11;
        *request.headers_mut() = headers::of_question(token, &self.host);
        Ok(request)
    }
}

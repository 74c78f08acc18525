//! From the vault's answer to the client's.

use bytes::{Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{HeaderMap, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::Instant;

use super::UpstreamErrorKind;
use crate::proxy::body::ResponseBody;
use crate::proxy::headers::{self, ClientHeaders};
use crate::proxy::links::{Coding, Links, MAX_ANSWER_BYTES, decode};

/// Headers that speak of the exact bytes of a body, and lie once it was rewritten.
const ABOUT_BYTES: [HeaderName; 5] = [
    CONTENT_LENGTH,
    HeaderName::from_static("content-md5"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("digest"),
    HeaderName::from_static("repr-digest"),
];

/// The vault's answer, ready for the client.
#[derive(Debug)]
pub struct ForwardedResponse {
    /// What the client gets.
    pub response: Response<ResponseBody>,
    /// The role assignment that the vault says it decided by; for the record only.
    pub rbac_assignment_id: Option<HeaderValue>,
}

/// Turns an answer's head into the client's, and its body into a stream or, where links may be in
/// it, into rewritten bytes.
pub(super) async fn relay(
    response: Response<Incoming>,
    links: &Links,
    deadline: Instant,
) -> Result<ForwardedResponse, UpstreamErrorKind> {
    let (parts, body) = response.into_parts();
    check_status(parts.status)?;
    let ClientHeaders {
        mut headers,
        rbac_assignment_id,
    } = headers::to_client(&parts.headers)?;
    links.rewrite_headers(&mut headers)?;
    let body = if links.rewrites() && may_be_json(&headers) && !body.is_end_stream() {
        let bytes = rewrite(body, parts.status, &mut headers, links, deadline).await?;
        ResponseBody::from(bytes)
    } else {
        ResponseBody::relay(body, deadline)
    };
    let mut response = Response::new(body);
    *response.status_mut() = parts.status;
    *response.headers_mut() = headers;
    Ok(ForwardedResponse {
        response,
        rbac_assignment_id,
    })
}

/// SECURITY: clients take their token along when they follow a redirect.
fn check_status(status: StatusCode) -> Result<(), UpstreamErrorKind> {
    if status.is_informational() {
        return Err(UpstreamErrorKind::Upgrade);
    }
    if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
        return Err(UpstreamErrorKind::Redirect);
    }
    Ok(())
}

/// Whether a client would look for links in this answer. Some read an answer without a type as
/// JSON.
fn may_be_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else {
        return true;
    };
    // What cannot be read cannot be ruled out.
    value
        .to_str()
        .map_or(true, |text| text.to_ascii_lowercase().contains("json"))
}

async fn rewrite(
    body: Incoming,
    status: StatusCode,
    headers: &mut HeaderMap,
    links: &Links,
    deadline: Instant,
) -> Result<Bytes, UpstreamErrorKind> {
    let coding = Coding::of(headers)?;
    let collected = tokio::time::timeout_at(deadline, collect(body))
        .await
        .map_err(|_| UpstreamErrorKind::Deadline)??;
    let plain = decode(coding, collected)?;
    headers.remove(CONTENT_ENCODING);
    // The client gets other bytes than the vault sent, if only without the coding.
    let rewritten = match links.rewrite(&plain) {
        Ok(rewritten) => rewritten,
        // Nobody follows a link in an error.
        Err(_) if !status.is_success() => None,
        Err(_) if plain.is_empty() => None,
        Err(defect) => return Err(defect.into()),
    };
    if rewritten.is_some() || coding != Coding::Identity {
        for name in ABOUT_BYTES {
            headers.remove(name);
        }
    }
    Ok(rewritten.map_or(plain, Bytes::from))
}

async fn collect(mut body: Incoming) -> Result<Bytes, UpstreamErrorKind> {
    let mut collected = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| UpstreamErrorKind::AnswerAborted)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if collected.len() + data.len() > MAX_ANSWER_BYTES {
            return Err(UpstreamErrorKind::AnswerTooLarge);
        }
        collected.extend_from_slice(&data);
    }
    Ok(collected.freeze())
}

//! From the vault's answer to the client's.

use bytes::Bytes;
use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, TRANSFER_ENCODING,
};
use http::{HeaderMap, Response, StatusCode};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::time::Instant;

use super::{UpstreamErrorKind, VaultBody};
use crate::proxy::body::ResponseBody;
use crate::proxy::headers::{self, ClientHeaders};
use crate::proxy::links::{Coding, Links, MAX_ANSWER_BYTES, decode};
use crate::secret::WipedBytes;

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
    /// The innermost error code of a refusal, where its body could be looked at; for the record
    /// and the metrics only.
    pub error_code: Option<Box<str>>,
}

/// A refusal of the vault that is larger is not looked into. Its usual ones have 1 KiB.
const MAX_REFUSAL_BYTES: u64 = 16 * 1024;

/// Turns an answer's head into the client's, and its body into a stream or, where links may be in
/// it, into rewritten bytes.
pub(super) async fn relay(
    response: Response<VaultBody>,
    links: &Links,
    deadline: Instant,
) -> Result<ForwardedResponse, UpstreamErrorKind> {
    let (parts, body) = response.into_parts();
    check_status(parts.status)?;
    check_framing(&parts.headers)?;
    let ClientHeaders {
        mut headers,
        rbac_assignment_id,
    } = headers::to_client(parts.headers)?;
    links.rewrite_headers(&mut headers)?;
    let mut code = None;
    let body = if links.rewrites() && may_be_json(&headers) && !body.is_end_stream() {
        let rewriting = rewrite(body, parts.status, &mut headers, links, deadline);
        let bytes = Box::pin(rewriting).await?;
        if parts.status == StatusCode::FORBIDDEN {
            code = error_code(Coding::Identity, &bytes);
        }
        ResponseBody::from(bytes)
    } else if parts.status == StatusCode::FORBIDDEN && is_small(&body) {
        let bytes = Box::pin(collect_until(body, MAX_ANSWER_BYTES, deadline)).await?;
        code = Coding::of(&headers)
            .ok()
            .and_then(|coding| error_code(coding, &bytes));
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
        error_code: code,
    })
}

fn is_small(body: &VaultBody) -> bool {
    body.size_hint()
        .exact()
        .is_some_and(|length| length <= MAX_REFUSAL_BYTES)
}

/// The innermost `code` of an error in Key Vault's shape. It tells a refusal by role assignments
/// from one by the vault's firewall.
fn error_code(coding: Coding, body: &Bytes) -> Option<Box<str>> {
    let plain = decode(coding, body.clone()).ok()?;
    let document: serde_json::Value = serde_json::from_slice(&plain).ok()?;
    let inner = document.pointer("/error/innererror/code");
    let code = inner
        .or_else(|| document.pointer("/error/code"))?
        .as_str()?;
    Some(code.into())
}

/// SECURITY: clients take their token along when they follow a redirect.
pub(super) fn check_status(status: StatusCode) -> Result<(), UpstreamErrorKind> {
    if status.is_informational() {
        return Err(UpstreamErrorKind::Upgrade);
    }
    if status.is_redirection() && status != StatusCode::NOT_MODIFIED {
        return Err(UpstreamErrorKind::Redirect);
    }
    Ok(())
}

/// SECURITY: what is coded otherwise, hyper takes as it comes and to the end of the connection, and
/// the client would get the coded bytes without a word about the coding.
pub(super) fn check_framing(headers: &HeaderMap) -> Result<(), UpstreamErrorKind> {
    let mut codings = headers.get_all(TRANSFER_ENCODING).iter();
    match (codings.next(), codings.next()) {
        (None, _) => Ok(()),
        (Some(coding), None) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => Ok(()),
        (Some(_), _) => Err(UpstreamErrorKind::AnswerHeaders),
    }
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
    body: VaultBody,
    status: StatusCode,
    headers: &mut HeaderMap,
    links: &Links,
    deadline: Instant,
) -> Result<Bytes, UpstreamErrorKind> {
    let coding = Coding::of(headers)?;
    let collected = collect_until(body, MAX_ANSWER_BYTES, deadline).await?;
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
    Ok(rewritten.map_or(plain, WipedBytes::into_bytes))
}

/// Reads at most `max_bytes`, at most until `deadline`.
pub(super) async fn collect_until(
    body: VaultBody,
    max_bytes: usize,
    deadline: Instant,
) -> Result<Bytes, UpstreamErrorKind> {
    tokio::time::timeout_at(deadline, collect(body, max_bytes))
        .await
        .map_err(|_| UpstreamErrorKind::Deadline)?
}

async fn collect(mut body: VaultBody, max_bytes: usize) -> Result<Bytes, UpstreamErrorKind> {
    let mut collected = WipedBytes::default();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| UpstreamErrorKind::AnswerAborted)?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        if collected.len() + data.len() > max_bytes {
            return Err(UpstreamErrorKind::AnswerTooLarge);
        }
        collected.extend_from_slice(&data);
    }
    Ok(collected.into_bytes())
}

//! Which headers a request may have, and which cross in either direction.
//!
//! Towards the vault headers pass by an allow-list: what a client invents to sway a proxy, a cache
//! or the vault stays here. Towards the client everything passes but what belongs to one
//! connection, what would tell the client about our connection to the vault, and our own names.

use http::header::{
    ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST,
    HeaderMap, HeaderName, HeaderValue, IF_MODIFIED_SINCE, IF_UNMODIFIED_SINCE, TE,
    TRANSFER_ENCODING, UPGRADE, USER_AGENT, WWW_AUTHENTICATE,
};
use http::request::Parts;
use http::{Method, Version};
use http_body::Body;
use thiserror::Error;

use super::links::Links;
use crate::secret::BearerToken;
use crate::traceparent::TraceParent;

/// Header names that ask for another verb than the request line has, with `_` folded to `-`.
///
/// Azure: a POST with `X-HTTP-Method` or `X-HTTP-Request` is documented to run as that verb
/// <https://learn.microsoft.com/azure/key-vault/general/authentication-requests-and-responses>.
const METHOD_OVERRIDES: [&str; 4] = [
    "x-http-method",
    "x-http-request",
    "x-http-method-override",
    "x-method-override",
];

/// Requests may have each of these once at most.
const SINGLE: [(HeaderName, &str); 8] = [
    (AUTHORIZATION, "authorization"),
    (CONTENT_LENGTH, "content-length"),
    (CONTENT_TYPE, "content-type"),
    (HOST, "host"),
    (IF_MODIFIED_SINCE, "if-modified-since"),
    (IF_UNMODIFIED_SINCE, "if-unmodified-since"),
    (USER_AGENT, "user-agent"),
    // The record has one of them, and the vault's log might have the other.
    (
        HeaderName::from_static("x-ms-client-request-id"),
        "x-ms-client-request-id",
    ),
];

/// The longest path and query, in bytes. The longest that clients send have a `$skiptoken` of a few
/// hundred; RFC 9112 §3 has servers take 8000.
const MAX_TARGET_BYTES: usize = 8192;

/// Headers that `Connection` may not name: dropping one would change what the request means.
const NOT_PER_CONNECTION: [&str; 5] = [
    "authorization",
    "content-length",
    "content-type",
    "host",
    "transfer-encoding",
];

/// Which role assignment the vault decided by.
const RBAC_ASSIGNMENT_ID: &str = "x-ms-keyvault-rbac-assignment-id";

/// How old the vault's role data were.
const RBAC_CACHE: &str = "x-ms-keyvault-rbac-cache";

/// The headers this proxy answers with; nobody else may.
const OUR_PREFIX: &str = "x-portcullis-";

/// Why a request's headers were refused.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum HeaderError {
    /// A body where Key Vault has none.
    #[error("a {0} request must not have a body")]
    Body(&'static str),
    /// `Connection` is unreadable or names a header that does not belong to one connection.
    #[error("the connection header names a header that it may not name")]
    Connection,
    /// An expectation other than `100-continue`.
    #[error("the expect header has an unknown expectation")]
    Expect,
    /// Both `Content-Length` and `Transfer-Encoding`, or a body in HTTP/1.0.
    #[error("the request body has no single framing")]
    Framing,
    /// A header that asks for another verb.
    #[error("headers that override the method are not supported")]
    MethodOverride,
    /// A header that must be single.
    #[error("the {0} header occurs more than once")]
    Repeated(&'static str),
    /// A path and query that are longer than any client's.
    #[error("the request target is longer than {MAX_TARGET_BYTES} bytes")]
    Target,
    /// A transfer coding the client wants in the answer.
    #[error("the te header may only say trailers")]
    Te,
    /// A wish to change the protocol.
    #[error("the connection cannot be upgraded")]
    Upgrade,
}

/// Why an answer of the vault cannot be passed on.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum AnswerHeaderError {
    /// Both `Content-Length` and `Transfer-Encoding`, or a length that is no plain number.
    #[error("the vault's answer has no single framing")]
    Framing,
    /// A header that clients read once.
    #[error("the vault's answer has more than one {0} header")]
    Repeated(&'static str),
}

/// The headers of an answer, as the client may have them.
#[derive(Clone, Debug)]
pub struct ClientHeaders {
    /// What is passed on.
    pub headers: HeaderMap,
    /// The role assignment that the vault decided by, which is not passed on.
    pub rbac_assignment_id: Option<HeaderValue>,
}

/// Refuses a request whose headers have two readings or ask for what is not offered.
///
/// `Host` is looked at more closely by [`super::host`], `Authorization` by `authn`.
///
/// # Errors
/// [`HeaderError`], every one of which is a 400.
pub fn inspect(request: &Parts, body: &impl Body) -> Result<(), HeaderError> {
    let headers = &request.headers;
    let target = request.uri.path_and_query();
    if target.is_some_and(|target| target.as_str().len() > MAX_TARGET_BYTES) {
        return Err(HeaderError::Target);
    }
    // SECURITY: what was authorized as one verb must not run as another. Servers that take their
    // headers from CGI-like variables cannot tell `_` from `-`.
    if headers.keys().any(is_method_override) {
        return Err(HeaderError::MethodOverride);
    }
    inspect_repeated(headers)?;
    if headers.contains_key(UPGRADE) {
        return Err(HeaderError::Upgrade);
    }
    inspect_connection(headers)?;
    if !all_values_are(headers, TE, "trailers") {
        return Err(HeaderError::Te);
    }
    if !all_values_are(headers, EXPECT, "100-continue") {
        return Err(HeaderError::Expect);
    }
    inspect_body(request, body)
}

fn inspect_repeated(headers: &HeaderMap) -> Result<(), HeaderError> {
    // Hardly any request has a name twice, whichever it is.
    if headers.len() == headers.keys_len() {
        return Ok(());
    }
    for (name, text) in SINGLE {
        if headers.get_all(name).iter().nth(1).is_some() {
            return Err(HeaderError::Repeated(text));
        }
    }
    Ok(())
}

fn is_method_override(name: &HeaderName) -> bool {
    let name = name.as_str();
    // Most names are too short, or have nothing of these in them.
    if name.len() < "http-method".len() || !(name.contains("http") || name.contains("method")) {
        return false;
    }
    let folded = name.replace('_', "-");
    METHOD_OVERRIDES.contains(&folded.as_str())
        // Frameworks have spellings of their own.
        || folded.contains("http-method")
        || folded.contains("method-override")
}

fn inspect_connection(headers: &HeaderMap) -> Result<(), HeaderError> {
    for value in headers.get_all(CONNECTION) {
        let text = value.to_str().map_err(|_| HeaderError::Connection)?;
        // SECURITY: a client that can have us drop a header can have us send another request than
        // the one we authorized.
        let forbidden = text.split(',').any(|name| {
            NOT_PER_CONNECTION
                .iter()
                .any(|kept| kept.eq_ignore_ascii_case(name.trim()))
        });
        if forbidden {
            return Err(HeaderError::Connection);
        }
    }
    Ok(())
}

fn all_values_are(headers: &HeaderMap, name: HeaderName, expected: &str) -> bool {
    headers
        .get_all(name)
        .iter()
        .all(|value| value.as_bytes().eq_ignore_ascii_case(expected.as_bytes()))
}

fn inspect_body(request: &Parts, body: &impl Body) -> Result<(), HeaderError> {
    let headers = &request.headers;
    let chunked = headers.contains_key(TRANSFER_ENCODING);
    if chunked && headers.contains_key(CONTENT_LENGTH) {
        return Err(HeaderError::Framing);
    }
    let has_body = chunked || !body.is_end_stream();
    if has_body && request.version < Version::HTTP_11 {
        return Err(HeaderError::Framing);
    }
    match request.method {
        Method::DELETE if has_body => Err(HeaderError::Body("DELETE")),
        Method::GET if has_body => Err(HeaderError::Body("GET")),
        _ => Ok(()),
    }
}

/// The headers of the request to the vault, whose name is `host`, made anew from the client's.
pub fn to_vault(
    client: &HeaderMap,
    token: &BearerToken,
    host: &HeaderValue,
    links: &Links,
) -> HeaderMap {
    // Hop-by-hop first: what `Connection` names goes before anything of ours is added.
    let dropped = named_by_connection(client);
    let mut headers = HeaderMap::with_capacity(client.len() + 2);
    for (name, value) in client {
        if is_for_vault(name) && !dropped.contains(name) {
            headers.append(name, value.clone());
        }
    }
    if TraceParent::from_headers(&headers).is_none() {
        // W3C: a `traceparent` that is broken, or not passed on, takes its `tracestate` along.
        headers.remove("traceparent");
        headers.remove("tracestate");
    }
    if links.rewrites() {
        // Rewriting needs plain text; saying so is stronger than saying nothing.
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    }
    headers.insert(HOST, host.clone());
    headers.insert(AUTHORIZATION, token.header().clone());
    headers
}

/// The headers of a question of our own to the vault, asked with the caller's token. Nothing else
/// of the caller's goes along.
pub fn of_question(token: &BearerToken, host: &HeaderValue) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(5);
    headers.insert(HOST, host.clone());
    headers.insert(AUTHORIZATION, token.header().clone());
    headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    // The vault's own log tells it apart from what the caller sent.
    let agent = concat!("portcullis/", env!("CARGO_PKG_VERSION"));
    headers.insert(USER_AGENT, HeaderValue::from_static(agent));
    headers
}

fn is_for_vault(name: &HeaderName) -> bool {
    let name = name.as_str();
    let azure = name.starts_with("x-ms-") && !name.starts_with("x-ms-keyvault-");
    azure || may_be_told_to_vault(name)
}

/// What a client may tell the vault, besides `x-ms-*`.
///
/// `commandname` and `parametersetname` are what the Azure CLI adds.
fn may_be_told_to_vault(name: &str) -> bool {
    matches!(
        name,
        "accept"
            | "accept-encoding"
            | "accept-language"
            | "content-type"
            | "user-agent"
            | "if-match"
            | "if-modified-since"
            | "if-none-match"
            | "if-unmodified-since"
            | "commandname"
            | "parametersetname"
            | "traceparent"
            | "tracestate"
    )
}

/// The headers of an answer that the client may have; the others are taken out of them.
///
/// # Errors
/// [`AnswerHeaderError`], if the answer can be read in two ways.
pub fn to_client(mut headers: HeaderMap) -> Result<ClientHeaders, AnswerHeaderError> {
    for (name, text) in [
        (CONTENT_LENGTH, "content-length"),
        // SDKs join two challenges into one that means something else.
        (WWW_AUTHENTICATE, "www-authenticate"),
    ] {
        if headers.get_all(name).iter().nth(1).is_some() {
            return Err(AnswerHeaderError::Repeated(text));
        }
    }
    // SECURITY: the length would go on to the client, for a body of another length, or in a form
    // that not every client reads alike: the HTTP library takes `2, 2` for 2.
    if let Some(length) = headers.get(CONTENT_LENGTH)
        && (headers.contains_key(TRANSFER_ENCODING) || !is_plain_number(length))
    {
        return Err(AnswerHeaderError::Framing);
    }
    let rbac_assignment_id = headers.get(RBAC_ASSIGNMENT_ID).cloned();
    let mut dropped = named_by_connection(&headers);
    let others = headers.keys().filter(|name| !is_for_client(name.as_str()));
    dropped.extend(others.cloned());
    for name in &dropped {
        headers.remove(name);
    }
    Ok(ClientHeaders {
        headers,
        rbac_assignment_id,
    })
}

fn is_plain_number(value: &HeaderValue) -> bool {
    !value.is_empty() && value.as_bytes().iter().all(u8::is_ascii_digit)
}

fn is_for_client(name: &str) -> bool {
    !is_not_for_client(name)
        && name != RBAC_ASSIGNMENT_ID
        && name != RBAC_CACHE
        && !name.starts_with(OUR_PREFIX)
}

/// Headers about one connection (RFC 9110 §7.6.1), and those that an answer of a vault must not
/// bring to a client of ours.
fn is_not_for_client(name: &str) -> bool {
    matches!(
        name,
        "alt-svc"
            | "connection"
            | "keep-alive"
            | "proxy-authenticate"
            | "proxy-authorization"
            | "proxy-connection"
            | "set-cookie"
            | "te"
            | "trailer"
            | "transfer-encoding"
            | "upgrade"
    )
}

/// The headers that `Connection` says belong to one connection.
fn named_by_connection(headers: &HeaderMap) -> Vec<HeaderName> {
    headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|text| text.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect()
}

#[cfg(test)]
mod tests;

//! A request body that a condition depends on: read whole, read strictly, and written anew.
//!
//! SECURITY: what was decided on must be what the vault reads. A body that two readers could read
//! in two ways is refused, and the vault gets what we understood, not what the client wrote.

use std::fmt;

use bytes::Bytes;
use http::HeaderMap;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http_body_util::BodyExt;
use thiserror::Error;
use tokio::time::Instant;
use zeroize::Zeroizing;

use super::{RequestBody, RequestBodyError};
use crate::json::{Json, Object};
use crate::secret::WipedBytes;

mod spelling;
mod types;

/// A body, as it was understood.
pub(crate) struct Document {
    /// What it says; always an object.
    pub(crate) json: Zeroizing<Json>,
    /// The same, as it is to be sent.
    pub(crate) bytes: Bytes,
}

impl fmt::Debug for Document {
    /// SECURITY: it may hold the value of a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Document")
    }
}

/// Why a body cannot be decided on. The texts repeat nothing of it.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BodyDefect {
    /// It is compressed.
    #[error("the request body must not have a content coding, because it is decided on")]
    Coding,
    /// It is not declared to be JSON in UTF-8.
    #[error("the request body must be application/json in utf-8, because it is decided on")]
    ContentType,
    /// It is not one JSON object, or has a member twice.
    #[error("the request body must be one JSON object in which no member occurs twice")]
    Malformed,
    /// It cannot be read to its end.
    #[error(transparent)]
    Read(#[from] RequestBodyError),
    /// It has a member whose name is one of Key Vault's in another case.
    #[error("the request body has a member that must be spelled `{0}`")]
    Spelling(&'static str),
    /// It has a member of another type than Key Vault's.
    #[error("the request body has a member `{0}` of the wrong type")]
    Type(&'static str),
}

/// Reads `body` to its end, within its own limits and until `deadline`; `None` if it is empty.
///
/// # Errors
/// [`BodyDefect`], if it cannot be read or could be read in two ways.
pub(crate) async fn inspect(
    headers: &HeaderMap,
    body: &mut RequestBody,
    deadline: Instant,
) -> Result<Option<Document>, BodyDefect> {
    let bytes = tokio::time::timeout_at(deadline, collect(body))
        .await
        .map_err(|_| RequestBodyError::TimedOut)??;
    if bytes.is_empty() {
        return Ok(None);
    }
    check_headers(headers)?;
    let json = Json::parse(&bytes).map_err(|_| BodyDefect::Malformed)?;
    let json = Zeroizing::new(json);
    let Json::Object(members) = &*json else {
        return Err(BodyDefect::Malformed);
    };
    check_members(members)?;
    let mut written = WipedBytes::with_capacity(bytes.len());
    json.write(&mut written)
        .map_err(|_| BodyDefect::Malformed)?;
    let bytes = written.into_bytes();
    Ok(Some(Document { json, bytes }))
}

async fn collect(body: &mut RequestBody) -> Result<WipedBytes, RequestBodyError> {
    let mut collected = WipedBytes::default();
    while let Some(frame) = body.frame().await {
        // Trailers were dropped on the way here.
        if let Ok(data) = frame?.into_data() {
            collected.extend_from_slice(&data);
        }
    }
    Ok(collected)
}

fn check_members(members: &Object) -> Result<(), BodyDefect> {
    for (name, value) in members {
        spelling::check(name)?;
        types::check(name, value)?;
        // Below, the names are the client's own, and the vault tells their case.
        if **name != *"tags" {
            check_value(value)?;
        }
    }
    Ok(())
}

fn check_value(value: &Json) -> Result<(), BodyDefect> {
    match value {
        Json::Object(members) => check_members(members),
        Json::Array(items) => items.iter().try_for_each(check_value),
        Json::Bool(_) | Json::Null | Json::Number(_) | Json::String(_) => Ok(()),
    }
}

fn check_headers(headers: &HeaderMap) -> Result<(), BodyDefect> {
    let is_identity =
        |value: &http::HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if !headers.get_all(CONTENT_ENCODING).iter().all(is_identity) {
        return Err(BodyDefect::Coding);
    }
    // A second one was refused earlier.
    let content_type = headers.get(CONTENT_TYPE);
    let text = content_type.and_then(|value| value.to_str().ok());
    if text.is_some_and(is_json_in_utf8) {
        Ok(())
    } else {
        Err(BodyDefect::ContentType)
    }
}

/// Whether a `Content-Type` is `application/json`, with no parameter but a charset of UTF-8.
fn is_json_in_utf8(text: &str) -> bool {
    let mut parts = text.split(';').map(str::trim);
    let is_json = parts
        .next()
        .is_some_and(|kind| kind.eq_ignore_ascii_case("application/json"));
    let is_utf8 = |parameter: &str| {
        let charset = parameter
            .split_once('=')
            .filter(|(name, _)| name.trim().eq_ignore_ascii_case("charset"));
        charset.is_some_and(|(_, value)| {
            let value = value.trim().trim_matches('"');
            value.eq_ignore_ascii_case("utf-8") || value.eq_ignore_ascii_case("utf8")
        })
    };
    is_json && parts.filter(|part| !part.is_empty()).all(is_utf8)
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn headers(content_type: &'static str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        headers
    }

    async fn read(headers: &HeaderMap, text: &[u8]) -> Result<Option<Document>, BodyDefect> {
        let mut body = RequestBody::from(Bytes::copy_from_slice(text));
        let deadline = Instant::now() + std::time::Duration::from_secs(60);
        inspect(headers, &mut body, deadline).await
    }

    async fn sent(text: &str) -> Result<String, BodyDefect> {
        let document = read(&headers("application/json"), text.as_bytes()).await?;
        Ok(String::from_utf8(document.unwrap().bytes.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn what_is_sent_is_what_was_read() {
        for (text, expected) in [
            (" { \"value\" : \"a\\/b\" } ", r#"{"value":"a/b"}"#),
            (
                r#"{"v\u0061lue":"\u00e9\ud83d\udd12"}"#,
                "{\"value\":\"\u{e9}\u{1f512}\"}",
            ),
            (
                r#"{"value":"x","tags":{"Tags":"1","tags":"2"}}"#,
                r#"{"tags":{"Tags":"1","tags":"2"},"value":"x"}"#,
            ),
            (
                r#"{"Hsm":true,"key":{"kty":"RSA"}}"#,
                r#"{"Hsm":true,"key":{"kty":"RSA"}}"#,
            ),
            (r#"{"future_member":null}"#, r#"{"future_member":null}"#),
        ] {
            assert_eq!(sent(text).await.as_deref(), Ok(expected), "{text}");
        }
    }

    #[tokio::test]
    async fn what_has_two_readings_is_refused() {
        for text in [
            r#"{"value":"a","value":"b"}"#,
            r#"{"value":"a","v\u0061lue":"b"}"#,
            r#"{"attributes":{"enabled":true,"enabled":false}}"#,
            r#"{"tags":{"a":"1","a":"2"}}"#,
            r#"{"value":"a"} {}"#,
            r#"{"value":"a"},"#,
            r#"{"value":"a",}"#,
            r#"{'value':'a'}"#,
            r#"{"value":"a" /* b */}"#,
            r#"{"value":NaN}"#,
            r#"{"value":"\ud800"}"#,
            "\u{feff}{}",
            "[]",
            "\"value\"",
            "null",
            "value=a",
            " ",
        ] {
            assert_eq!(sent(text).await, Err(BodyDefect::Malformed), "{text}");
        }
        let latin_1 = b"{\"value\":\"\xe9\"}";
        let read = read(&headers("application/json"), latin_1).await;
        assert_eq!(read.err(), Some(BodyDefect::Malformed));
    }

    #[tokio::test]
    async fn only_json_in_utf_8_is_read() {
        for text in [
            "application/json",
            "Application/JSON",
            "application/json; charset=utf-8",
            "application/json;charset=\"UTF-8\"",
            "application/json;",
        ] {
            assert!(read(&headers(text), b"{}").await.is_ok(), "{text}");
        }
        for text in [
            "text/plain",
            "application/json; charset=utf-16",
            "application/json; charset=utf-8; charset=utf-16",
            "application/json; charset",
            "application/json; profile=x",
            "application/jsonp",
            "application/x-www-form-urlencoded",
            "",
        ] {
            let defect = read(&headers(text), b"{}").await.err();
            assert_eq!(defect, Some(BodyDefect::ContentType), "{text}");
        }
        let defect = read(&HeaderMap::new(), b"{}").await.err();
        assert_eq!(defect, Some(BodyDefect::ContentType));
    }

    #[tokio::test]
    async fn a_content_coding_is_refused() {
        for (coding, is_good) in [("identity", true), ("gzip", false), ("identity, br", false)] {
            let mut headers = headers("application/json");
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding));
            let read = read(&headers, b"{}").await;
            let expected = if is_good {
                None
            } else {
                Some(BodyDefect::Coding)
            };
            assert_eq!(read.err(), expected, "{coding}");
        }
    }

    #[tokio::test]
    async fn an_empty_body_is_none() {
        assert!(read(&HeaderMap::new(), b"").await.unwrap().is_none());
    }

    #[tokio::test]
    async fn a_document_does_not_print_itself() {
        let document = read(&headers("application/json"), br#"{"value":"canary"}"#).await;
        assert!(!format!("{document:?}").contains("canary"));
    }
}

//! The requests, made beforehand as far as that goes, and what their answers must be.

use bytes::Bytes;
use http::header::{ACCEPT, ACCEPT_ENCODING, AUTHORIZATION, USER_AGENT};
use http::{HeaderMap, HeaderName, HeaderValue, Request, Uri};
use http_body_util::Empty;

use super::Token;
use crate::Failure;

/// How many secrets are asked for in turn.
const NAMES: usize = 32;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");

/// Questions about [`NAMES`] secrets.
pub(super) struct Questions {
    names: Vec<Question>,
    /// With the known token, if there is one.
    headers: HeaderMap,
    fresh: Vec<String>,
}

struct Question {
    /// What the right answer has in it.
    marker: Vec<u8>,
    uri: Uri,
    /// HTTP/1.1 without a token and without its end.
    head: Vec<u8>,
    /// HTTP/1.1 with the known token, or without one if there is none.
    known: Vec<u8>,
}

impl Questions {
    pub(super) fn new(
        host: &str,
        token: Option<&str>,
        fresh: Vec<String>,
    ) -> Result<Self, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip, deflate"));
        let agent = "azsdk-python-keyvault-secrets/4.10.0 Python/3.13.5";
        headers.insert(USER_AGENT, HeaderValue::from_static(agent));
        let id = "3b1f9c5e-8d24-11f0-a7c3-0242ac120002";
        headers.insert(REQUEST_ID, HeaderValue::from_static(id));
        let names = (0..NAMES)
            .map(|index| Question::new(host, &format!("payments-db-{index}"), &headers, token))
            .collect::<Result<_, _>>()?;
        if let Some(token) = token {
            headers.insert(AUTHORIZATION, bearer(token)?);
        }
        Ok(Self {
            names,
            headers,
            fresh,
        })
    }

    pub(super) const fn has_fresh(&self) -> bool {
        !self.fresh.is_empty()
    }

    pub(super) const fn fresh_count(&self) -> usize {
        self.fresh.len()
    }

    fn question(&self, turn: usize) -> Option<&Question> {
        self.names.get(turn % NAMES)
    }

    /// The request in HTTP/1.1, written to `output`; `false` if there are no more tokens.
    pub(super) fn http1(&self, turn: usize, token: &Token, output: &mut Vec<u8>) -> bool {
        output.clear();
        let Some(question) = self.question(turn) else {
            return false;
        };
        match token {
            Token::Exhausted => return false,
            Token::Known => output.extend_from_slice(&question.known),
            Token::Fresh(index) => {
                let Some(token) = self.fresh.get(*index) else {
                    return false;
                };
                output.extend_from_slice(&question.head);
                output.extend_from_slice(b"authorization: Bearer ");
                output.extend_from_slice(token.as_bytes());
                output.extend_from_slice(b"\r\n\r\n");
            }
        }
        true
    }

    /// The request in HTTP/2; `None` if there are no more tokens.
    pub(super) fn http2(
        &self,
        turn: usize,
        token: &Token,
    ) -> Result<Option<Request<Empty<Bytes>>>, Failure> {
        let Some(question) = self.question(turn) else {
            return Ok(None);
        };
        let mut headers = self.headers.clone();
        match token {
            Token::Exhausted => return Ok(None),
            Token::Known => {}
            Token::Fresh(index) => {
                let token = self.fresh.get(*index).ok_or("no such token")?;
                headers.insert(AUTHORIZATION, bearer(token)?);
            }
        }
        let mut request = Request::new(Empty::new());
        *request.uri_mut() = question.uri.clone();
        *request.headers_mut() = headers;
        Ok(Some(request))
    }

    /// Whether a 200 with `body` answers the question; of other answers only the status counts.
    pub(super) fn check(
        &self,
        turn: usize,
        expected: u16,
        (status, body): (u16, &[u8]),
    ) -> Result<(), String> {
        if status != expected {
            let text = String::from_utf8_lossy(body);
            return Err(format!("{status} instead of {expected}: {text}"));
        }
        if status != 200 {
            return Ok(());
        }
        let marker = self.question(turn).map(|question| &question.marker);
        if marker.is_some_and(|marker| find(body, marker).is_some()) {
            return Ok(());
        }
        let text = String::from_utf8_lossy(body);
        Err(format!("another secret than the one asked for: {text}"))
    }
}

impl Question {
    fn new(
        host: &str,
        name: &str,
        headers: &HeaderMap,
        token: Option<&str>,
    ) -> Result<Self, Failure> {
        let target = format!("/secrets/{name}?api-version=7.4");
        let mut head = format!("GET {target} HTTP/1.1\r\nhost: {host}\r\n").into_bytes();
        for (name, value) in headers {
            head.extend_from_slice(name.as_str().as_bytes());
            head.extend_from_slice(b": ");
            head.extend_from_slice(value.as_bytes());
            head.extend_from_slice(b"\r\n");
        }
        let mut known = head.clone();
        if let Some(token) = token {
            known.extend_from_slice(format!("authorization: Bearer {token}\r\n").as_bytes());
        }
        known.extend_from_slice(b"\r\n");
        Ok(Self {
            marker: format!("/secrets/{name}/").into_bytes(),
            uri: format!("https://{host}{target}").parse()?,
            head,
            known,
        })
    }
}

fn bearer(token: &str) -> Result<HeaderValue, Failure> {
    let mut value = HeaderValue::from_str(&format!("Bearer {token}"))?;
    // Clients keep it out of HPACK's table.
    value.set_sensitive(true);
    Ok(value)
}

/// Where `needle` begins.
pub(super) fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack
        .windows(needle.len())
        .position(|window| window == needle)
}

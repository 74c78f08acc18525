//! Answers on order: the vault as it behaves on a bad day.
//!
//! A [`Script`] is queued for a path and used up by the next authenticated request for it. It
//! either replaces the answer or alters the genuine one, and says how the answer is sent: whole, in
//! chunks, compressed, late, or broken off. All of it is real behaviour of a real server; nothing
//! of the proxy is imitated.

use std::collections::VecDeque;
use std::io::{self, Write as _};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use futures_util::stream::{self, StreamExt as _};
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, LOCATION, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::dev::server::{Body, BrokenOff, whole};

use super::failure::Failure;

/// Scripts that may wait at once.
const MAX_QUEUED: usize = 1024;

/// What is answered.
#[derive(Debug)]
enum Content {
    /// What the vault would answer anyway.
    Genuine,
    /// This instead.
    Canned(StatusCode, Bytes),
    /// Nothing: the connection is closed.
    Nothing,
}

/// How the body is sent.
#[derive(Debug)]
enum Delivery {
    /// In one piece, with its length.
    Whole,
    /// In pieces of this size, without a length.
    Chunked(usize),
    /// So many bytes of the announced length, then the connection breaks.
    BrokenOff(usize),
    /// So many bytes of the announced length, then nothing until released.
    Stalled(usize, oneshot::Receiver<()>),
}

/// One answer on order.
#[derive(Debug)]
pub struct Script {
    content: Content,
    next_link: Option<Box<str>>,
    headers: HeaderMap,
    gzip: bool,
    delivery: Delivery,
    first_byte: Option<oneshot::Receiver<()>>,
}

/// Lets an answer go on that [`Script::held`] or [`Script::stalled`] keeps back. Dropping it does
/// the same.
#[derive(Debug)]
pub struct Release(oneshot::Sender<()>);

impl Release {
    /// Lets the answer go on.
    pub fn release(self) {
        // The client may be gone; then there is no answer to let go.
        let _ = self.0.send(());
    }
}

impl Script {
    const fn of(content: Content, headers: HeaderMap) -> Self {
        Self {
            content,
            next_link: None,
            headers,
            gzip: false,
            delivery: Delivery::Whole,
            first_byte: None,
        }
    }

    /// The answer the vault would give anyway, to be altered by the methods below.
    pub fn genuine() -> Self {
        Self::of(Content::Genuine, HeaderMap::new())
    }

    /// Any answer with a JSON body.
    pub fn json(status: StatusCode, body: &Value) -> Self {
        let content = Content::Canned(status, body.to_string().into());
        Self::of(content, HeaderMap::new())
    }

    /// Closes the connection without an answer.
    pub fn disconnected() -> Self {
        Self::of(Content::Nothing, HeaderMap::new())
    }

    /// 429 as Key Vault gives it. Azure: observed ones have no `Retry-After`.
    pub fn throttled(retry_after: Option<Duration>) -> Self {
        let failure = Failure::throttled(None);
        let mut script = Self::json(failure.status, &failure.body());
        if let Some(wait) = retry_after {
            script.headers.insert(RETRY_AFTER, wait.as_secs().into());
        }
        script
    }

    /// 403 with `message` and the inner error `inner`, such as `ForbiddenByRbac`.
    pub fn forbidden(inner: &str, message: &str) -> Self {
        let body = json!({ "error": {
            "code": "Forbidden",
            "message": message,
            "innererror": { "code": inner },
        }});
        Self::json(StatusCode::FORBIDDEN, &body)
    }

    /// 401 with this `WWW-Authenticate`, such as one with a claims challenge.
    pub fn challenged(challenge: HeaderValue) -> Self {
        let message = "[TokenExpired] Error validating token: 'S2S12086'.";
        let body = json!({ "error": { "code": "Unauthorized", "message": message } });
        Self::json(StatusCode::UNAUTHORIZED, &body).header(WWW_AUTHENTICATE, challenge)
    }

    /// 307 to `location`.
    pub fn redirected(location: HeaderValue) -> Self {
        Self::json(StatusCode::TEMPORARY_REDIRECT, &json!({})).header(LOCATION, location)
    }

    /// Sets a header of the answer.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Puts `link` where the genuine list has its `nextLink`, or has none.
    #[must_use]
    pub fn next_link(mut self, link: &str) -> Self {
        self.next_link = Some(link.into());
        self
    }

    /// Compresses the body with gzip, whatever the client accepts.
    #[must_use]
    pub const fn gzip(mut self) -> Self {
        self.gzip = true;
        self
    }

    /// Sends the body in pieces of `size` bytes, without a `Content-Length`.
    #[must_use]
    pub fn chunked(mut self, size: usize) -> Self {
        self.delivery = Delivery::Chunked(size.max(1));
        self
    }

    /// Announces the whole body, sends `bytes` of it and breaks off.
    #[must_use]
    pub fn broken_off(mut self, bytes: usize) -> Self {
        self.delivery = Delivery::BrokenOff(bytes);
        self
    }

    /// Announces the whole body, sends `bytes` of it and the rest when released.
    #[must_use]
    pub fn stalled(mut self, bytes: usize) -> (Self, Release) {
        let (sender, receiver) = oneshot::channel();
        self.delivery = Delivery::Stalled(bytes, receiver);
        (self, Release(sender))
    }

    /// Sends nothing, not even the status, until released.
    #[must_use]
    pub fn held(mut self) -> (Self, Release) {
        let (sender, receiver) = oneshot::channel();
        self.first_byte = Some(receiver);
        (self, Release(sender))
    }

    /// The status that replaces the genuine answer; `None` if the vault has to do what it is asked.
    pub(super) const fn canned_status(&self) -> Option<StatusCode> {
        match &self.content {
            Content::Genuine => None,
            Content::Canned(status, _) => Some(*status),
            Content::Nothing => Some(StatusCode::OK),
        }
    }

    /// Plays the script over `response`: the genuine one, or a bare one of
    /// [`Self::canned_status`] with the usual headers.
    pub(super) async fn play(self, response: Response<Bytes>) -> Result<Response<Body>, BrokenOff> {
        if let Some(first_byte) = self.first_byte {
            // An error means that the release was dropped: the answer goes on then, too.
            let _ = first_byte.await;
        }
        let (mut head, genuine) = response.into_parts();
        let mut body = match self.content {
            Content::Genuine => genuine,
            Content::Canned(_, body) => body,
            Content::Nothing => return Err(BrokenOff),
        };
        if let Some(link) = self.next_link {
            body = with_next_link(&body, &link).unwrap_or(body);
        }
        if self.gzip {
            body = compressed(&body).map_err(|_| BrokenOff)?;
            head.headers
                .insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        head.headers.extend(self.headers);
        if matches!(
            self.delivery,
            Delivery::BrokenOff(_) | Delivery::Stalled(..)
        ) {
            head.headers.insert(CONTENT_LENGTH, body.len().into());
        }
        Ok(Response::from_parts(head, deliver(body, self.delivery)))
    }
}

fn with_next_link(body: &[u8], link: &str) -> Option<Bytes> {
    let mut list: Value = serde_json::from_slice(body).ok()?;
    list.as_object_mut()?
        .insert("nextLink".to_owned(), link.into());
    Some(list.to_string().into())
}

fn compressed(body: &[u8]) -> io::Result<Bytes> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish().map(Bytes::from)
}

fn deliver(mut body: Bytes, delivery: Delivery) -> Body {
    match delivery {
        Delivery::Whole => whole(body),
        Delivery::Chunked(size) => {
            let mut pieces = Vec::new();
            while !body.is_empty() {
                let piece = body.split_to(size.min(body.len()));
                pieces.push(Ok(Frame::data(piece)));
            }
            StreamBody::new(stream::iter(pieces)).boxed_unsync()
        }
        Delivery::BrokenOff(bytes) => {
            let first = body.split_to(bytes.min(body.len()));
            let breaking = async {
                // The server writes out what it has while the body is not ready, and only then.
                tokio::task::yield_now().await;
                Err(io::ErrorKind::ConnectionAborted.into())
            };
            two_parts(first, breaking)
        }
        Delivery::Stalled(bytes, released) => {
            let first = body.split_to(bytes.min(body.len()));
            let rest = async {
                let _ = released.await;
                Ok(Frame::data(body))
            };
            two_parts(first, rest)
        }
    }
}

fn two_parts(
    first: Bytes,
    rest: impl Future<Output = io::Result<Frame<Bytes>>> + Send + 'static,
) -> Body {
    let first = stream::iter([Ok(Frame::data(first))]);
    StreamBody::new(first.chain(stream::once(rest))).boxed_unsync()
}

/// The scripts that wait for their request.
#[derive(Debug, Default)]
pub(super) struct Scripts(Mutex<VecDeque<(Box<str>, Script)>>);

impl Scripts {
    /// Queues `script` for the next request for `path`. The oldest goes if too many wait.
    pub(super) fn queue(&self, path: &str, script: Script) {
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if queue.len() >= MAX_QUEUED {
            queue.pop_front();
        }
        queue.push_back((trimmed(path).into(), script));
    }

    /// Takes the first script for `path`.
    pub(super) fn take(&self, path: &str) -> Option<Script> {
        let path = trimmed(path);
        let mut queue = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let place = queue
            .iter()
            .position(|(wanted, _)| wanted.eq_ignore_ascii_case(path))?;
        queue.remove(place).map(|(_, script)| script)
    }
}

/// The path without the slashes that mean nothing at its ends.
fn trimmed(path: &str) -> &str {
    path.trim_matches('/')
}

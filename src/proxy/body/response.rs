//! What a client is answered: bytes of ours, or the vault's as they come.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::Full;
use thiserror::Error;
use tokio::task::coop::{Unconstrained, unconstrained};
use tokio::time::{Instant, Sleep};

use crate::proxy::pipeline::InProgress;
use crate::proxy::upstream::VaultBody;

/// Why an answer that was being relayed broke off. The client's stream is aborted.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum RelayError {
    /// The request's whole time is over.
    #[error("the answer did not end in time")]
    Deadline,
    /// The vault broke it off.
    #[error("the vault broke off its answer")]
    Vault,
}

/// How sending an answer ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyEnd {
    /// The client went away before the end.
    ClientGone,
    /// All of it was handed to the connection.
    Complete,
    /// The request's whole time was over.
    Deadline,
    /// The vault broke it off.
    VaultAborted,
}

impl BodyEnd {
    /// Every ending, for initialising metrics.
    pub const ALL: [Self; 4] = [
        Self::ClientGone,
        Self::Complete,
        Self::Deadline,
        Self::VaultAborted,
    ];

    /// The stable text of this ending.
    pub const fn as_label(self) -> &'static str {
        match self {
            Self::ClientGone => "client_gone",
            Self::Complete => "complete",
            Self::Deadline => "deadline",
            Self::VaultAborted => "vault_aborted",
        }
    }
}

/// What became of an answer's body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyOutcome {
    /// How it ended.
    pub end: BodyEnd,
    /// How many bytes were handed to the connection.
    pub bytes: u64,
}

type Observer = Box<dyn FnOnce(BodyOutcome) + Send>;

/// The body of an answer.
pub struct ResponseBody {
    source: Source,
    sent_bytes: u64,
    observer: Option<Observer>,
    _holding: Option<InProgress>,
}

enum Source {
    Memory(Full<Bytes>),
    Vault {
        body: VaultBody,
        deadline: Instant,
        /// Set once the vault had to be waited for.
        timer: Option<Pin<Box<Unconstrained<Sleep>>>>,
        /// Set once the vault broke off.
        broken: bool,
    },
}

impl From<Source> for ResponseBody {
    fn from(source: Source) -> Self {
        Self {
            source,
            sent_bytes: 0,
            observer: None,
            _holding: None,
        }
    }
}

impl ResponseBody {
    /// The vault's answer as it comes, until `deadline`.
    pub(in crate::proxy) fn relay(body: VaultBody, deadline: Instant) -> Self {
        Self::from(Source::Vault {
            body,
            deadline,
            timer: None,
            broken: false,
        })
    }

    /// Has `observer` told what becomes of this body: exactly once, also if it is dropped.
    ///
    /// A second observer replaces the first, which is told nothing.
    #[must_use]
    pub fn observed(mut self, observer: impl FnOnce(BodyOutcome) + Send + 'static) -> Self {
        self.observer = Some(Box::new(observer));
        self
    }

    /// Has the request count as in progress until this body is gone.
    #[must_use]
    pub(in crate::proxy) fn holding(mut self, held: InProgress) -> Self {
        self._holding = Some(held);
        self
    }

    fn finish(&mut self, end: BodyEnd) {
        if let Some(observer) = self.observer.take() {
            let bytes = self.sent_bytes;
            observer(BodyOutcome { end, bytes });
        }
    }
}

impl From<Bytes> for ResponseBody {
    fn from(bytes: Bytes) -> Self {
        Self::from(Source::Memory(Full::new(bytes)))
    }
}

impl fmt::Debug for ResponseBody {
    /// Says nothing of the content.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ResponseBody")
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = RelayError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RelayError>>> {
        let this = self.get_mut();
        let frame = loop {
            let frame = match &mut this.source {
                Source::Memory(body) => std::task::ready!(Pin::new(body).poll_frame(cx))
                    .and_then(Result::ok)
                    .map(Ok),
                Source::Vault { broken: true, .. } => Some(Err(RelayError::Vault)),
                Source::Vault {
                    body,
                    deadline,
                    timer,
                    broken,
                } => match Pin::new(body).poll_frame(cx) {
                    Poll::Ready(Some(Err(_))) => {
                        // What came before the break is to reach the client, and is sent while the
                        // body is waited for.
                        *broken = true;
                        cx.waker().wake_by_ref();
                        return Poll::Pending;
                    }
                    // A vault that never has to be waited for is out of time too.
                    Poll::Ready(Some(_)) if Instant::now() >= *deadline => {
                        Some(Err(RelayError::Deadline))
                    }
                    Poll::Ready(frame) => frame.and_then(Result::ok).map(Ok),
                    Poll::Pending => {
                        // Unconstrained: reading may have used up what this task may do at once.
                        let timer = timer.get_or_insert_with(|| {
                            Box::pin(unconstrained(tokio::time::sleep_until(*deadline)))
                        });
                        std::task::ready!(timer.as_mut().poll(cx));
                        Some(Err(RelayError::Deadline))
                    }
                },
            };
            match frame {
                // Trailers are no part of Key Vault's protocol.
                Some(Ok(frame)) if !frame.is_data() => {}
                other => break other,
            }
        };
        match &frame {
            Some(Ok(data)) => {
                let length = data.data_ref().map_or(0, Bytes::len) as u64;
                this.sent_bytes = this.sent_bytes.saturating_add(length);
                if this.is_end_stream() {
                    this.finish(BodyEnd::Complete);
                }
            }
            Some(Err(RelayError::Deadline)) => this.finish(BodyEnd::Deadline),
            Some(Err(RelayError::Vault)) => this.finish(BodyEnd::VaultAborted),
            None => this.finish(BodyEnd::Complete),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Memory(body) => body.is_end_stream(),
            Source::Vault { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Memory(body) => body.size_hint(),
            Source::Vault { body, .. } => body.size_hint(),
        }
    }
}

impl Drop for ResponseBody {
    fn drop(&mut self) {
        let end = match &self.source {
            Source::Vault { broken: true, .. } => BodyEnd::VaultAborted,
            // An empty body is never polled.
            _ if self.is_end_stream() => BodyEnd::Complete,
            Source::Vault { .. } | Source::Memory(_) => BodyEnd::ClientGone,
        };
        self.finish(end);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use http_body_util::BodyExt;

    use super::*;

    type Told = Arc<Mutex<Vec<BodyOutcome>>>;

    fn observed(bytes: &'static [u8]) -> (ResponseBody, Told) {
        let told = Told::default();
        let listener = told.clone();
        let body = ResponseBody::from(Bytes::from_static(bytes))
            .observed(move |outcome| listener.lock().unwrap().push(outcome));
        (body, told)
    }

    fn outcome(end: BodyEnd, bytes: u64) -> BodyOutcome {
        BodyOutcome { end, bytes }
    }

    #[tokio::test]
    async fn an_observer_is_told_once_of_the_end() {
        let (body, told) = observed(b"abc");
        assert_eq!(body.collect().await.unwrap().to_bytes(), "abc");
        assert_eq!(*told.lock().unwrap(), [outcome(BodyEnd::Complete, 3)]);
    }

    #[tokio::test]
    async fn an_observer_is_told_of_a_client_that_went_away() {
        let (body, told) = observed(b"abc");
        drop(body);
        assert_eq!(*told.lock().unwrap(), [outcome(BodyEnd::ClientGone, 0)]);
    }

    #[tokio::test]
    async fn an_empty_body_is_complete_without_being_read() {
        let (body, told) = observed(b"");
        drop(body);
        assert_eq!(*told.lock().unwrap(), [outcome(BodyEnd::Complete, 0)]);
    }
}

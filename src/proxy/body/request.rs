//! What a client sends: bounded in size and time, and drained if nobody wants it.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::OnceLock;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use thiserror::Error;
use tokio::sync::Notify;
use tokio::time::{Instant, Sleep};

use crate::config::Limits;
use crate::proxy::activity::InFlight;

/// Why a request body could not be read to its end.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum RequestBodyError {
    /// The client broke it off, or it is malformed.
    #[error("the request body broke off")]
    Broken,
    /// It did not arrive in time.
    #[error("the request body did not arrive in time")]
    TimedOut,
    /// It has more bytes than are allowed.
    #[error("the request body is too large")]
    TooLarge,
}

/// How far the reading of a request body has come; shared with whoever needs to know after the
/// body itself was given away.
#[derive(Debug, Default)]
pub struct BodyProgress {
    ending: OnceLock<Result<(), RequestBodyError>>,
    ended: Notify,
}

impl BodyProgress {
    /// Why reading failed, if it did.
    pub fn failure(&self) -> Option<RequestBodyError> {
        self.ending.get().and_then(|ending| ending.err())
    }

    /// Whether the body was read to its end, or reading it failed.
    pub fn has_ended(&self) -> bool {
        self.ending.get().is_some()
    }

    /// Waits until the body was read to its end, or reading it failed.
    pub async fn ended(&self) {
        let notified = self.ended.notified();
        if !self.has_ended() {
            notified.await;
        }
    }

    fn end(&self, ending: Result<(), RequestBodyError>) {
        // Only the first ending counts; a body may be asked again after its end.
        let _again = self.ending.set(ending);
        self.ended.notify_waiters();
    }
}

/// A request body.
///
/// Reading it fails past its limit of bytes or of time; trailers are dropped. A body that is
/// dropped before its end is drained within the same limits, in the background, so that the client
/// gets to read the answer and may use the connection again.
#[derive(Debug)]
pub struct RequestBody {
    source: Source,
    /// `None` for a body that did not come from the network.
    client: Option<Client>,
    read_bytes: u64,
    progress: Arc<BodyProgress>,
}

#[derive(Debug)]
enum Source {
    Memory(Full<Bytes>),
    Network(Incoming),
}

#[derive(Debug)]
struct Client {
    /// Keeps the connection from counting as idle.
    in_flight: Arc<InFlight>,
    max_bytes: u64,
    deadline: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    leftover: Leftover,
}

/// What becomes of a body that nobody reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::proxy) enum Leftover {
    /// It is read and thrown away.
    Drain,
    /// The protocol deals with it: HTTP/2 resets the stream, and a client that expects
    /// `100 Continue` has sent nothing.
    Leave,
}

impl RequestBody {
    /// An empty body.
    pub fn empty() -> Self {
        Self::from(Bytes::new())
    }

    /// A body that arrives now, at the end of its request's headers.
    pub(in crate::proxy) fn arriving(
        incoming: Incoming,
        limits: &Limits,
        leftover: Leftover,
        in_flight: Arc<InFlight>,
    ) -> Self {
        Self {
            source: Source::Network(incoming),
            client: Some(Client {
                in_flight,
                max_bytes: limits.max_body_bytes,
                deadline: Instant::now() + limits.body_read_timeout,
                timer: None,
                leftover,
            }),
            read_bytes: 0,
            progress: Arc::default(),
        }
    }

    /// How far reading has come, to be asked after the body was given away.
    pub fn progress(&self) -> Arc<BodyProgress> {
        self.progress.clone()
    }

    /// Checks the length the client declared, before a byte is read.
    ///
    /// # Errors
    /// [`RequestBodyError::TooLarge`], if it is more than is allowed.
    pub fn check_declared_length(&self) -> Result<(), RequestBodyError> {
        let declared = self.size_hint().lower();
        match &self.client {
            Some(client) if declared > client.max_bytes => Err(RequestBodyError::TooLarge),
            Some(_) | None => Ok(()),
        }
    }

    fn poll_source(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        match &mut self.source {
            Source::Memory(body) => match Pin::new(body).poll_frame(cx) {
                Poll::Ready(frame) => Poll::Ready(frame.and_then(Result::ok).map(Ok)),
                Poll::Pending => Poll::Pending,
            },
            Source::Network(body) => Pin::new(body)
                .poll_frame(cx)
                .map_err(|_| RequestBodyError::Broken),
        }
    }

    /// Counts a frame; `None` for one that is not passed on.
    fn admit(&mut self, frame: Frame<Bytes>) -> Option<Result<Frame<Bytes>, RequestBodyError>> {
        let data = frame.into_data().ok()?;
        self.read_bytes = self.read_bytes.saturating_add(data.len() as u64);
        match &self.client {
            Some(client) if self.read_bytes > client.max_bytes => {
                Some(Err(RequestBodyError::TooLarge))
            }
            Some(_) | None => Some(Ok(Frame::data(data))),
        }
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(client) = &mut self.client else {
            return Poll::Pending;
        };
        let deadline = client.deadline;
        client
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)))
            .as_mut()
            .poll(cx)
    }
}

impl From<Bytes> for RequestBody {
    /// A body we hold, without limits.
    fn from(bytes: Bytes) -> Self {
        Self {
            source: Source::Memory(Full::new(bytes)),
            client: None,
            read_bytes: 0,
            progress: Arc::default(),
        }
    }
}

impl Body for RequestBody {
    type Data = Bytes;
    type Error = RequestBodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, RequestBodyError>>> {
        let this = self.get_mut();
        if let Some(failure) = this.progress.failure() {
            return Poll::Ready(Some(Err(failure)));
        }
        let outcome = loop {
            match this.poll_source(cx) {
                Poll::Ready(Some(Ok(frame))) => {
                    if let Some(admitted) = this.admit(frame) {
                        break Some(admitted);
                    }
                }
                Poll::Ready(other) => break other,
                Poll::Pending if this.poll_timer(cx).is_ready() => {
                    break Some(Err(RequestBodyError::TimedOut));
                }
                Poll::Pending => return Poll::Pending,
            }
        };
        match &outcome {
            Some(Err(failure)) => this.progress.end(Err(*failure)),
            Some(Ok(_)) if this.is_end_stream() => this.progress.end(Ok(())),
            Some(Ok(_)) => {}
            None => this.progress.end(Ok(())),
        }
        Poll::Ready(outcome)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Memory(body) => body.is_end_stream(),
            Source::Network(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Memory(body) => body.size_hint(),
            Source::Network(body) => body.size_hint(),
        }
    }
}

impl Drop for RequestBody {
    fn drop(&mut self) {
        // Whoever waits for the end of this body need not wait any longer.
        // A chunked body only shows its end when it was read up to there.
        let ended = self.is_end_stream() || self.progress.ending.get() == Some(&Ok(()));
        self.progress.end(if ended {
            Ok(())
        } else {
            Err(RequestBodyError::Broken)
        });
        let Some(client) = self.client.take() else {
            return;
        };
        if ended || client.leftover == Leftover::Leave {
            return;
        }
        let empty = Source::Memory(Full::default());
        if let Source::Network(incoming) = std::mem::replace(&mut self.source, empty)
            && let Ok(runtime) = tokio::runtime::Handle::try_current()
        {
            runtime.spawn(drain(incoming, client, self.read_bytes));
        }
    }
}

/// Reads and forgets what is left of a body. Past a limit the body is let go, which closes the
/// connection.
async fn drain(mut incoming: Incoming, client: Client, mut read_bytes: u64) {
    let reading = async {
        while read_bytes <= client.max_bytes {
            let Some(Ok(frame)) = incoming.frame().await else {
                break;
            };
            let length = frame.data_ref().map_or(0, Bytes::len);
            read_bytes = read_bytes.saturating_add(length as u64);
        }
    };
    // Running out of time has the same end.
    let _late = tokio::time::timeout_at(client.deadline, reading).await;
    drop(client.in_flight);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_in_memory_reports_its_end() {
        let body = RequestBody::from(Bytes::from_static(b"{}"));
        let progress = body.progress();
        assert_eq!(body.size_hint().exact(), Some(2));
        assert_eq!(body.collect().await.unwrap().to_bytes(), "{}");
        progress.ended().await;
        assert_eq!(progress.failure(), None);
    }

    #[tokio::test]
    async fn a_body_dropped_early_lets_nobody_wait() {
        let body = RequestBody::from(Bytes::from_static(b"{}"));
        let progress = body.progress();
        drop(body);
        progress.ended().await;
        assert_eq!(progress.failure(), Some(RequestBodyError::Broken));
    }

    #[test]
    fn an_empty_body_is_at_its_end() {
        assert!(RequestBody::empty().is_end_stream());
        assert_eq!(RequestBody::empty().check_declared_length(), Ok(()));
    }
}

//! One connection to the vault and the exchange on it.
//!
//! A lane is driven by the task of the request that has it: there is no task of the connection's
//! own, so an exchange costs no wake-ups between tasks, and a request that is dropped takes its
//! connection with it. The price is that nobody looks at an idle lane; [`super::pool`] does so
//! before it hands one out, and now and then. And while a client does not take an answer that came
//! before its own body had ended, that body is not sent on.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderMap, TRANSFER_ENCODING};
use http::{Request, Response};
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use hyper::client::conn::http1::{Builder, Connection, SendRequest};

use super::pool::Pool;
use crate::proxy::body::RequestBody;
use crate::proxy::connect::VaultStream;

/// A connection to the vault that one request has, or none.
pub(super) struct Lane {
    sender: SendRequest<RequestBody>,
    /// `None` once it has ended: it must not be polled then.
    connection: Option<Connection<VaultStream, RequestBody>>,
    /// Whether an exchange was completed on it.
    used: bool,
}

impl Lane {
    /// Begins HTTP/1.1 on a new connection.
    pub(super) async fn open(
        settings: &Builder,
        stream: VaultStream,
    ) -> Result<Box<Self>, hyper::Error> {
        let (sender, connection) = settings.handshake(stream).await?;
        Ok(Box::new(Self {
            sender,
            connection: Some(connection),
            used: false,
        }))
    }

    /// Whether an exchange was completed on it, so that the vault may close it at any time.
    pub(super) const fn is_used(&self) -> bool {
        self.used
    }

    /// Reads and writes what can be read and written.
    fn drive(&mut self, cx: &mut Context<'_>) {
        if let Some(connection) = &mut self.connection
            && Pin::new(connection).poll(cx).is_ready()
        {
            // What waits for this connection is told why by its end.
            self.connection = None;
        }
    }

    /// Whether a request can be sent on it, after a look at what the vault did meanwhile.
    pub(super) fn is_idle(&mut self, cx: &mut Context<'_>) -> bool {
        self.drive(cx);
        self.connection.is_some() && self.sender.is_ready()
    }

    /// Sends `request` and waits for the head of the answer, whose body then has the lane.
    ///
    /// # Errors
    /// Whatever hyper says; with the request itself if nothing of it was written.
    pub(super) async fn exchange(
        mut self: Box<Self>,
        request: Request<RequestBody>,
        pool: &Arc<Pool>,
    ) -> Result<Response<VaultBody>, TrySendError<Request<RequestBody>>> {
        let mut answer = pin!(self.sender.try_send_request(request));
        let connection = &mut self.connection;
        let response = poll_fn(|cx| {
            if let Some(open) = connection
                && Pin::new(open).poll(cx).is_ready()
            {
                *connection = None;
            }
            answer.as_mut().poll(cx)
        })
        .await?;
        let mut response = response.map(|incoming| VaultBody {
            incoming,
            lane: Some((self, Arc::clone(pool))),
        });
        // Nobody will read an empty body. SECURITY: one that is empty by its status, and by its
        // headers is not, may be followed by bytes that would pass for the next answer.
        if response.body().is_end_stream() {
            if says_nothing_follows(response.headers()) {
                response.body_mut().release();
            } else {
                response.body_mut().lane = None;
            }
        }
        Ok(response)
    }
}

/// Whether an answer's headers leave no doubt that it has no body.
fn says_nothing_follows(headers: &HeaderMap) -> bool {
    let mut lengths = headers.get_all(CONTENT_LENGTH).iter();
    !headers.contains_key(TRANSFER_ENCODING) && lengths.all(|length| length == "0")
}

/// The body of the vault's answer. When it has been read to its end, its lane goes back to the pool.
pub(in crate::proxy) struct VaultBody {
    incoming: Incoming,
    lane: Option<(Box<Lane>, Arc<Pool>)>,
}

impl VaultBody {
    /// Gives the lane back once nothing more is to come on it.
    fn release(&mut self) {
        // Who waits on an idle lane is nobody: the task at hand must not be kept, nor woken.
        if let Some((mut lane, pool)) = self.lane.take()
            && lane.is_idle(&mut Context::from_waker(Waker::noop()))
        {
            lane.used = true;
            pool.put(lane);
        }
    }
}

impl Body for VaultBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = self.get_mut();
        let Some((lane, _)) = &mut this.lane else {
            return Pin::new(&mut this.incoming).poll_frame(cx);
        };
        // Only the connection brings frames, so there is nobody to be woken by; and asking is what
        // makes it read on.
        let mut nobody = Context::from_waker(Waker::noop());
        let mut frame = Pin::new(&mut this.incoming).poll_frame(&mut nobody);
        if frame.is_pending() {
            lane.drive(cx);
            frame = Pin::new(&mut this.incoming).poll_frame(&mut nobody);
        }
        let frame = ready!(frame);
        match &frame {
            Some(Err(_)) => this.lane = None,
            Some(Ok(_)) if !this.incoming.is_end_stream() => {}
            Some(Ok(_)) | None => this.release(),
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}

//! The gate before the HTTP/1 parser: it sees raw request heads and lets whole, strict ones by.
//!
//! An HTTP library is lenient where it is safe for a server of its own: it prefers
//! `Transfer-Encoding` to `Content-Length` in silence, ends lines at a bare LF, cuts off fragments.
//! A proxy has neighbours who may read the same bytes in another way, so what has two readings is
//! refused here, with 400 and an end of the connection.
//!
//! The gate hands over one head at a time, then as many bytes as its body has. After a chunked body
//! it no longer knows where a head begins, so the connection must end with that request:
//! [`super::listen`] sees to it.

mod head;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use self::head::Framing;
pub use self::head::HeadDefect;
use super::activity::Activity;

/// What the parser is given instead of a refused head: it answers 400 to it and closes.
const NOT_A_REQUEST: &[u8] = b"\0\r\n\r\n";

/// Where the gate stands in the stream of requests.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// In a head, of which this many bytes were searched for the end.
    Head(usize),
    /// A checked head of this many bytes is being handed over; then comes its body.
    Release(usize, Framing),
    /// In a body with this many bytes to come.
    Body(u64),
    /// In a chunked body, or in a head that is too large: everything goes to the parser.
    Open,
    /// A head was refused; nothing more is read.
    Refused,
}

/// A connection whose request heads are checked before they are parsed.
pub(super) struct Gate<T> {
    inner: T,
    place: Place,
    /// What was read and may not be handed over yet: part of a head, or more than one request.
    buffer: BytesMut,
    max_head_bytes: usize,
    activity: Arc<Activity>,
    on_refusal: Box<dyn Fn(HeadDefect) + Send>,
}

impl<T> Gate<T> {
    /// Watches `inner`; a head of more than `max_head_bytes` is left to the parser to refuse.
    pub(super) fn new(
        inner: T,
        max_head_bytes: usize,
        activity: Arc<Activity>,
        on_refusal: Box<dyn Fn(HeadDefect) + Send>,
    ) -> Self {
        Self {
            inner,
            place: Place::Head(0),
            buffer: BytesMut::new(),
            max_head_bytes,
            activity,
            on_refusal,
        }
    }

    /// Hands over what may be handed over. `false` if more must be read first.
    fn advance(&mut self, out: &mut ReadBuf<'_>) -> bool {
        loop {
            match self.place {
                Place::Head(searched) => {
                    if !self.advance_head(searched) {
                        return false;
                    }
                }
                Place::Release(length, framing) => {
                    let given = give(&mut self.buffer, length, out);
                    self.place = match (length - given, framing) {
                        (0, Framing::Length(0)) => Place::Head(0),
                        (0, Framing::Length(length)) => Place::Body(length),
                        (0, Framing::Chunked) => Place::Open,
                        (left, framing) => Place::Release(left, framing),
                    };
                    return true;
                }
                Place::Body(left) => {
                    let most = usize::try_from(left).unwrap_or(usize::MAX);
                    let given = give(&mut self.buffer, most, out);
                    let left = left.saturating_sub(given as u64);
                    self.place = match left {
                        0 => Place::Head(0),
                        left => Place::Body(left),
                    };
                    return given > 0;
                }
                Place::Open | Place::Refused => return give(&mut self.buffer, usize::MAX, out) > 0,
            }
        }
    }

    /// Looks for the end of a head. `false` if there is none yet.
    fn advance_head(&mut self, searched: usize) -> bool {
        // RFC 9112 §2.2: an empty line before a request line is a slip of old clients.
        if searched == 0 && self.buffer.starts_with(b"\r\n") {
            self.buffer.advance(2);
        }
        if self.buffer.is_empty() || *self.buffer == *b"\r" {
            return false;
        }
        let Some(length) = head::end(&self.buffer, searched) else {
            self.activity.head_started();
            let too_large = self.buffer.len() > self.max_head_bytes;
            self.place = if too_large {
                Place::Open
            } else {
                Place::Head(self.buffer.len())
            };
            return too_large;
        };
        let checked = head::check(self.buffer.get(..length).unwrap_or_default());
        self.place = match checked {
            Ok(framing) => Place::Release(length, framing),
            Err(defect) => {
                (self.on_refusal)(defect);
                self.buffer.clear();
                self.buffer.extend_from_slice(NOT_A_REQUEST);
                Place::Refused
            }
        };
        true
    }
}

/// Where the stream stands after `arrived`, if all of it may be handed over as it is: the whole of a
/// head with at most its body, or part of a body. Nearly every read is that.
fn after(place: Place, arrived: &[u8]) -> Option<Place> {
    let in_body = |left: u64, bytes: usize| match left.checked_sub(bytes as u64)? {
        0 => Some(Place::Head(0)),
        left => Some(Place::Body(left)),
    };
    match place {
        Place::Head(0) if !arrived.starts_with(b"\r\n") => {
            let length = head::end(arrived, 0)?;
            let (head, body) = arrived.split_at_checked(length)?;
            match head::check(head).ok()? {
                Framing::Length(left) => in_body(left, body.len()),
                Framing::Chunked => Some(Place::Open),
            }
        }
        Place::Body(left) => in_body(left, arrived.len()),
        Place::Open => Some(Place::Open),
        Place::Head(_) | Place::Release(..) | Place::Refused => None,
    }
}

/// Moves up to `most` bytes from `buffer` to `out`; returns how many.
fn give(buffer: &mut BytesMut, most: usize, out: &mut ReadBuf<'_>) -> usize {
    let length = buffer.len().min(most).min(out.remaining());
    out.put_slice(buffer.get(..length).unwrap_or_default());
    buffer.advance(length);
    length
}

impl<T: AsyncRead + Unpin> AsyncRead for Gate<T> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if out.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        while !this.advance(out) {
            if matches!(this.place, Place::Refused) {
                // The parser has all it will get.
                return Poll::Ready(Ok(()));
            }
            let before = out.filled().len();
            ready!(Pin::new(&mut this.inner).poll_read(cx, out))?;
            let arrived = out.filled().get(before..).unwrap_or_default();
            if arrived.is_empty() {
                // The end, perhaps within a head: the parser is to see what there was of it.
                give(&mut this.buffer, usize::MAX, out);
                return Poll::Ready(Ok(()));
            }
            if this.buffer.is_empty()
                && let Some(place) = after(this.place, arrived)
            {
                this.place = place;
                return Poll::Ready(Ok(()));
            }
            this.buffer.extend_from_slice(arrived);
            out.set_filled(before);
        }
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Gate<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, bytes)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

#[cfg(test)]
mod tests;

//! What a client connection is doing, so that it can be closed for doing nothing.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::config::Limits;

/// Stands for "no head has begun".
const NEVER: u64 = u64::MAX;

/// Why a connection is out of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lapse {
    /// A request head did not arrive in time.
    Head,
    /// There was no request for too long.
    Idle,
    /// Requests are in flight and not a byte has moved for longer than any may take.
    Stalled,
}

/// The state of one connection, in milliseconds since it was opened.
///
/// Counters and times, each of which may be read while another changes: a limit may be noticed one
/// event late, never missed.
#[derive(Debug)]
pub(super) struct Activity {
    opened: Instant,
    in_flight: AtomicUsize,
    /// When the number of requests in flight last became zero or stopped being zero.
    turned: AtomicU64,
    /// When a head began that is not complete yet.
    head: AtomicU64,
    /// When a byte last moved in either direction.
    moved: AtomicU64,
    changed: Notify,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            opened: Instant::now(),
            in_flight: AtomicUsize::new(0),
            turned: AtomicU64::new(0),
            head: AtomicU64::new(NEVER),
            moved: AtomicU64::new(0),
            changed: Notify::new(),
        })
    }

    /// A request has arrived; it is in flight until the last clone of the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Arc<InFlight> {
        self.head.store(NEVER, Ordering::Relaxed);
        if self.in_flight.fetch_add(1, Ordering::Relaxed) == 0 {
            self.turned.store(self.now(), Ordering::Relaxed);
        }
        self.changed.notify_one();
        Arc::new(InFlight(self.clone()))
    }

    /// The first byte of a request head is here.
    pub(super) fn head_started(&self) {
        let begun =
            self.head
                .compare_exchange(NEVER, self.now(), Ordering::Relaxed, Ordering::Relaxed);
        if begun.is_ok() {
            self.changed.notify_one();
        }
    }

    /// Waits until a limit may have moved.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// When this connection is out of time if nothing happens, and why.
    pub(super) fn deadline(&self, limits: &Limits) -> (Instant, Lapse) {
        let turned = self.turned.load(Ordering::Relaxed);
        if self.in_flight.load(Ordering::Relaxed) > 0 {
            let moved = self.moved.load(Ordering::Relaxed).max(turned);
            // A request may wait for its whole time without a byte moving here.
            let patience = limits.total_timeout + limits.body_read_timeout;
            return (self.at(moved, patience), Lapse::Stalled);
        }
        match self.head.load(Ordering::Relaxed) {
            NEVER => (self.at(turned, limits.idle_timeout), Lapse::Idle),
            begun => (
                // A pipelined head may have waited while another request was answered.
                self.at(begun.max(turned), limits.header_read_timeout),
                Lapse::Head,
            ),
        }
    }

    fn at(&self, since: u64, limit: Duration) -> Instant {
        self.opened + Duration::from_millis(since) + limit
    }

    fn now(&self) -> u64 {
        u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(NEVER - 1)
    }
}

/// Proof that a request is in flight on a connection.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Activity>);

impl Drop for InFlight {
    fn drop(&mut self) {
        let activity = &self.0;
        if activity.in_flight.fetch_sub(1, Ordering::Relaxed) == 1 {
            activity.turned.store(activity.now(), Ordering::Relaxed);
        }
        activity.changed.notify_one();
    }
}

/// A connection whose bytes are noticed.
#[derive(Debug)]
pub(super) struct Watched<T> {
    pub(super) inner: T,
    pub(super) activity: Arc<Activity>,
}

impl<T> Watched<T> {
    fn moved<R>(&self, outcome: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if outcome.is_ready() {
            let activity = &self.activity;
            activity.moved.store(activity.now(), Ordering::Relaxed);
        }
        outcome
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Watched<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let outcome = Pin::new(&mut self.inner).poll_read(cx, out);
        self.moved(outcome)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Watched<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let outcome = Pin::new(&mut self.inner).poll_write(cx, bytes);
        self.moved(outcome)
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
        let outcome = Pin::new(&mut self.inner).poll_write_vectored(cx, bytes);
        self.moved(outcome)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }
}

//! What a client connection is doing, so that it can be closed for doing nothing.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::{Relaxed, SeqCst};
use std::sync::atomic::{AtomicU64, AtomicUsize};
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
/// event late, never missed. Whoever watches the connection is woken only for what brings its
/// deadline forward; most events put it off, and an alarm that rings too early is set again.
#[derive(Debug)]
pub(super) struct Activity {
    opened: Instant,
    patience: Patience,
    /// For when the alarm is set.
    alarm: AtomicU64,
    in_flight: AtomicUsize,
    /// When the number of requests in flight last became zero or stopped being zero.
    turned: AtomicU64,
    /// When a head began that is not complete yet.
    head: AtomicU64,
    /// When a byte last moved in either direction.
    moved: AtomicU64,
    changed: Notify,
}

/// The limits of a connection, in milliseconds.
#[derive(Clone, Copy, Debug)]
struct Patience {
    head: u64,
    idle: u64,
    stalled: u64,
}

impl Patience {
    fn of(limits: &Limits) -> Self {
        Self {
            head: millis(limits.header_read_timeout),
            idle: millis(limits.idle_timeout),
            // A request may wait for its whole time without a byte moving here.
            stalled: millis(limits.total_timeout + limits.body_read_timeout),
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(NEVER - 1)
}

impl Activity {
    pub(super) fn new(limits: &Limits) -> Arc<Self> {
        Arc::new(Self {
            opened: Instant::now(),
            patience: Patience::of(limits),
            alarm: AtomicU64::new(NEVER),
            in_flight: AtomicUsize::new(0),
            turned: AtomicU64::new(0),
            head: AtomicU64::new(NEVER),
            moved: AtomicU64::new(0),
            changed: Notify::new(),
        })
    }

    /// A request has arrived; it is in flight until the last clone of the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Arc<InFlight> {
        self.head.store(NEVER, SeqCst);
        if self.in_flight.fetch_add(1, SeqCst) == 0 {
            self.turned.store(self.now(), SeqCst);
        }
        self.tell();
        Arc::new(InFlight(self.clone()))
    }

    /// The first bytes of a request head are here, and more are to come.
    pub(super) fn head_started(&self) {
        let begun = self
            .head
            .compare_exchange(NEVER, self.now(), SeqCst, SeqCst);
        if begun.is_ok() {
            self.tell();
        }
    }

    /// Waits until the deadline may have come forward.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// When this connection is out of time if nothing happens, for an alarm to be set.
    pub(super) fn set_alarm(&self) -> Instant {
        loop {
            let (deadline, _) = self.deadline();
            // INVARIANT: stored before looking again, and [`Self::tell`] looks after its event was
            // stored, so one of the two sees a deadline that came forward in between.
            self.alarm.store(deadline, SeqCst);
            if self.deadline().0 >= deadline {
                return self.opened + Duration::from_millis(deadline);
            }
        }
    }

    /// Why this connection is out of time, if it is.
    pub(super) fn lapse(&self) -> Option<Lapse> {
        let (deadline, lapse) = self.deadline();
        (deadline <= self.now()).then_some(lapse)
    }

    /// Wakes whoever watches if the alarm is set for too late.
    fn tell(&self) {
        if self.deadline().0 < self.alarm.load(SeqCst) {
            self.changed.notify_one();
        }
    }

    fn deadline(&self) -> (u64, Lapse) {
        let turned = self.turned.load(SeqCst);
        let (since, limit, lapse) = if self.in_flight.load(SeqCst) > 0 {
            let moved = self.moved.load(Relaxed).max(turned);
            (moved, self.patience.stalled, Lapse::Stalled)
        } else {
            match self.head.load(SeqCst) {
                NEVER => (turned, self.patience.idle, Lapse::Idle),
                // A pipelined head may have waited while another request was answered.
                begun => (begun.max(turned), self.patience.head, Lapse::Head),
            }
        };
        (since.saturating_add(limit), lapse)
    }

    fn now(&self) -> u64 {
        millis(self.opened.elapsed())
    }
}

/// Proof that a request is in flight on a connection.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Activity>);

impl Drop for InFlight {
    fn drop(&mut self) {
        let activity = &self.0;
        if activity.in_flight.fetch_sub(1, SeqCst) == 1 {
            activity.turned.store(activity.now(), SeqCst);
        }
        activity.tell();
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
            activity.moved.store(activity.now(), Relaxed);
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

//! What a client connection is doing, so that it can be closed for doing nothing.

use std::collections::VecDeque;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::SeqCst;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

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
    /// A request is in flight for longer than any may take.
    ///
    /// SECURITY: whatever else moves on the connection. A client that takes no answer and goes on
    /// sending would otherwise hold what its requests hold for as long as it likes.
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
    requests: Mutex<Requests>,
    /// When the last request in flight ended.
    idle_since: AtomicU64,
    /// When a head began that is not complete yet.
    head: AtomicU64,
    changed: Notify,
}

/// The requests in flight, oldest first: their numbers, and when each began.
#[derive(Debug, Default)]
struct Requests {
    next: u64,
    each: VecDeque<(u64, u64)>,
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
            // No limit of its own lets a request live longer.
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
            requests: Mutex::default(),
            idle_since: AtomicU64::new(0),
            head: AtomicU64::new(NEVER),
            changed: Notify::new(),
        })
    }

    /// A request has arrived; it is in flight until the last clone of the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Arc<InFlight> {
        self.head.store(NEVER, SeqCst);
        let number = {
            let mut requests = self.requests();
            let number = requests.next;
            requests.next += 1;
            requests.each.push_back((number, self.now()));
            number
        };
        self.tell();
        Arc::new(InFlight {
            activity: self.clone(),
            number,
        })
    }

    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
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
        let oldest = self.requests().each.front().map(|(_, begun)| *begun);
        let (since, limit, lapse) = if let Some(begun) = oldest {
            (begun, self.patience.stalled, Lapse::Stalled)
        } else {
            let idle_since = self.idle_since.load(SeqCst);
            match self.head.load(SeqCst) {
                NEVER => (idle_since, self.patience.idle, Lapse::Idle),
                // A pipelined head may have waited while another request was answered.
                begun => (begun.max(idle_since), self.patience.head, Lapse::Head),
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
pub(super) struct InFlight {
    activity: Arc<Activity>,
    number: u64,
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let activity = &self.activity;
        let mut requests = activity.requests();
        let place = requests
            .each
            .binary_search_by_key(&self.number, |(number, _)| *number);
        if let Ok(place) = place {
            requests.each.remove(place);
        }
        if requests.each.is_empty() {
            activity.idle_since.store(activity.now(), SeqCst);
        }
        drop(requests);
        activity.tell();
    }
}

//! The requests' side of the queue.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime};

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use crate::config::AuditSink;

use super::desk::Desk;
use super::file::{RotatingFile, Sink, Stdout};
use super::guard::{AuditGuard, ClientFacts};
use super::writer::{Line, Patience, Receipt, Writer};
use super::{AuditError, AuditEvent, HANDOVER_LIMIT};

/// Decisions that may wait at once; further requests wait for a place.
const DECISION_SLOTS: usize = 1024;

/// Lines that may wait without anybody waiting for them: results, and records of requests that
/// ended early. At about 1 KiB each this is the memory a failing sink costs.
const SPARE_SLOTS: usize = 8192;

/// How long lines nobody waits for may lie, so that they are written together.
const LINGER: Duration = Duration::from_millis(20);

/// The name of the writing thread.
pub(super) const THREAD: &str = "audit";

/// How long a sink may take before it counts as slow, and for how long it then does: a disk that
/// hangs holds up one request, not one after the other. Longer than a busy machine or a quota of
/// processor time keeps a thread waiting, which is not the sink's doing.
const PATIENCE: Patience = Patience {
    write: Duration::from_millis(250),
    pause: Duration::from_secs(5),
};

/// Where decision records are handed in. Clones share one writer, which ends with the last clone.
#[derive(Clone)]
pub struct AuditLog {
    shared: Arc<Shared>,
}

struct Shared {
    /// Random for each start: with `seq` it makes a gap provable.
    instance: Box<str>,
    /// Random for each start and never stored.
    token_key: hmac::Key,
    limits: Limits,
    status: Arc<Status>,
    desk: Arc<Desk>,
}

/// How long things may take.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// How long a decision waits to be written.
    pub(super) handover: Duration,
    /// How long a line nobody waits for may lie.
    pub(super) linger: Duration,
    /// When the sink counts as slow.
    pub(super) patience: Patience,
}

impl Limits {
    pub(super) const DEFAULT: Self = Self {
        handover: HANDOVER_LIMIT,
        linger: LINGER,
        patience: PATIENCE,
    };
}

/// What the requests and the writer both know.
pub(super) struct Status {
    decisions: Arc<Semaphore>,
    spare: Arc<Semaphore>,
    lost: AtomicU64,
    failure: Mutex<Option<io::ErrorKind>>,
    /// When the write under way began.
    writing: Mutex<Option<std::time::Instant>>,
    events: Box<dyn Fn(AuditEvent) + Send + Sync>,
}

/// The request's end of a receipt.
pub(super) struct Pending {
    claimed: Arc<AtomicBool>,
    receiver: oneshot::Receiver<Result<(), AuditError>>,
}

/// Why there is no receipt.
pub(super) enum Unwritten {
    /// The line is not written and will not be.
    No(AuditError),
    /// The line was being written when time was up.
    InDoubt,
}

impl AuditLog {
    /// Opens the sink and starts the writer. `events` is called for each batch, from the writer
    /// and from requests, and must not block.
    ///
    /// # Errors
    /// [`AuditError::Open`] if the sink cannot be opened, [`AuditError::Resources`] if the system
    /// has no thread or no randomness.
    pub fn open(
        sink: &AuditSink,
        events: impl Fn(AuditEvent) + Send + Sync + 'static,
    ) -> Result<Self, AuditError> {
        let refused = |path: Box<str>| {
            move |error: io::Error| AuditError::Open {
                path,
                kind: error.kind(),
            }
        };
        match sink {
            AuditSink::Stdout => {
                let stdout = Stdout::open().map_err(refused("standard output".into()))?;
                Self::start(stdout, Limits::DEFAULT, events)
            }
            AuditSink::File {
                path,
                max_bytes,
                keep,
            } => {
                let name = path.display().to_string().into();
                let file = RotatingFile::open(path, *max_bytes, *keep).map_err(refused(name))?;
                Self::start(file, Limits::DEFAULT, events)
            }
        }
    }

    pub(super) fn start<S: Sink + 'static>(
        sink: S,
        limits: Limits,
        events: impl Fn(AuditEvent) + Send + Sync + 'static,
    ) -> Result<Self, AuditError> {
        let status = Arc::new(Status {
            decisions: Arc::new(Semaphore::new(DECISION_SLOTS)),
            spare: Arc::new(Semaphore::new(SPARE_SLOTS)),
            lost: AtomicU64::new(0),
            failure: Mutex::new(None),
            writing: Mutex::new(None),
            events: Box::new(events),
        });
        let token_key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_| AuditError::Resources("randomness"))?;
        let writer = Writer::new(Box::new(sink), limits.patience, Arc::clone(&status));
        let desk = Arc::new(Desk::new(writer, limits.linger, Arc::clone(&status)));
        let thread = Arc::clone(&desk);
        thread::Builder::new()
            .name(THREAD.into())
            .spawn(move || thread.run())
            .map_err(|_| AuditError::Resources("thread"))?;
        let shared = Arc::new(Shared {
            instance: Uuid::new_v4().simple().to_string().into(),
            token_key,
            limits,
            status,
            desk,
        });
        Ok(Self { shared })
    }

    /// Begins the record of a request that arrived at `now`.
    pub fn begin(&self, now: SystemTime, client: ClientFacts) -> AuditGuard {
        AuditGuard::begin(self.clone(), now, client)
    }

    /// Waits until every line handed in before is written and, for a file, on the disk. Callers
    /// bound the wait: a blocked sink may keep it for ever.
    ///
    /// # Errors
    /// [`AuditError::Write`] if lines are left that the sink does not take, [`AuditError::Closed`]
    /// if the writer has ended.
    pub async fn flush(&self) -> Result<(), AuditError> {
        let answer = self.shared.desk.flush();
        answer.await.unwrap_or(Err(AuditError::Closed))
    }

    /// Whether records can be written, as far as the last attempt tells: for `/readyz`.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn check(&self) -> Result<(), String> {
        let status = &self.shared.status;
        if let Some(kind) = status.failure() {
            return Err(AuditError::Write(kind).to_string());
        }
        if status.is_stuck() {
            return Err("the sink of decision records does not return from a write".into());
        }
        if status.decisions.available_permits() == 0 {
            return Err("decision records wait for a sink that does not take them".into());
        }
        Ok(())
    }

    pub(super) fn instance(&self) -> &str {
        &self.shared.instance
    }

    /// The name under which a token appears in records: it joins lines, and tells nothing else.
    pub(super) fn token_name(&self, token_id: &str) -> [u8; 8] {
        let tag = hmac::sign(&self.shared.token_key, token_id.as_bytes());
        // The tag has 32 bytes.
        tag.as_ref().first_chunk().copied().unwrap_or_default()
    }

    /// Until when a decision that begins to be written now may wait.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.shared.limits.handover
    }

    /// Writes a decision line at once, if the sink and what else is going on let it: then the
    /// outcome, else `None`.
    pub(super) fn write_now(&self, json: &[u8]) -> Option<Result<(), Unwritten>> {
        let written = self.shared.desk.write_now(json)?;
        Some(match written {
            // The line stands, but it was promised that nobody waits so long.
            Ok(took) if took > self.shared.limits.handover => Err(Unwritten::InDoubt),
            Ok(_) => Ok(()),
            Err(kind) => Err(Unwritten::No(AuditError::Write(kind))),
        })
    }

    /// Waits for a place in the queue.
    pub(super) async fn slot(&self, deadline: Instant) -> Result<OwnedSemaphorePermit, AuditError> {
        let slots = Arc::clone(&self.shared.status.decisions);
        match timeout_at(deadline, slots.acquire_owned()).await {
            Ok(Ok(slot)) => Ok(slot),
            Ok(Err(_)) => Err(AuditError::Closed),
            Err(_) => Err(AuditError::Timeout),
        }
    }

    /// Queues a line somebody waits for. Does not block.
    pub(super) fn hand_over(&self, json: Vec<u8>, slot: OwnedSemaphorePermit) -> Pending {
        let (sender, receiver) = oneshot::channel();
        let claimed = Arc::new(AtomicBool::new(false));
        let receipt = Some(Receipt {
            claimed: Arc::clone(&claimed),
            sender,
        });
        self.shared.desk.push_awaited(Line {
            json,
            receipt,
            slot,
        });
        self.shared.status.report_depth();
        Pending { claimed, receiver }
    }

    /// Queues a line nobody waits for. Does not block; without a place the line is lost and
    /// counted.
    pub(super) fn leave(&self, json: Vec<u8>) {
        let status = &self.shared.status;
        let is_queued = Arc::clone(&status.spare)
            .try_acquire_owned()
            .is_ok_and(|slot| {
                let line = Line {
                    json,
                    receipt: None,
                    slot,
                };
                self.shared.desk.push(line).is_ok()
            });
        if is_queued {
            status.report_depth();
        } else {
            status.lose(1);
        }
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.desk.close();
    }
}

impl fmt::Debug for AuditLog {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuditLog")
            .field("instance", &self.shared.instance)
            .finish_non_exhaustive()
    }
}

impl Pending {
    /// Waits for the receipt.
    pub(super) async fn receipt(&mut self, deadline: Instant) -> Result<(), Unwritten> {
        match timeout_at(deadline, &mut self.receiver).await {
            Ok(Ok(outcome)) => outcome.map_err(Unwritten::No),
            Ok(Err(_)) => Err(Unwritten::No(AuditError::Closed)),
            Err(_) => self.give_up(),
        }
    }

    /// Settles with the writer what becomes of a line that took too long.
    fn give_up(&mut self) -> Result<(), Unwritten> {
        if !self.claimed.swap(true, Ordering::AcqRel) {
            return Err(Unwritten::No(AuditError::Timeout));
        }
        // SECURITY: a failure told between the time-out and here would be heard by nobody, and the
        // line be lost. Once closed, the writer knows that it has to try again by itself.
        self.receiver.close();
        match self.receiver.try_recv() {
            Ok(outcome) => outcome.map_err(Unwritten::No),
            Err(_) => Err(Unwritten::InDoubt),
        }
    }

    /// Stops waiting. `false` if the line is known not to have been written; otherwise it is, or
    /// will be: a line nobody waits for is tried again by the writer.
    pub(super) fn abandon(mut self) -> bool {
        self.receiver.close();
        !matches!(self.receiver.try_recv(), Ok(Err(_)))
    }
}

impl Status {
    /// How many lines were lost since the start.
    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Acquire)
    }

    /// Counts lines that are lost for good; each leaves a gap in `seq`.
    pub(super) fn lose(&self, lines: usize) {
        if lines > 0 {
            self.lost.fetch_add(lines as u64, Ordering::AcqRel);
            (self.events)(AuditEvent::Dropped(lines));
        }
    }

    /// Takes note of a write that began at `began`, until what is returned is dropped.
    pub(super) fn writing(&self, began: std::time::Instant) -> Writing<'_> {
        *unpoisoned(&self.writing) = Some(began);
        Writing(self)
    }

    /// Whether a write has been under way for longer than any request waits.
    fn is_stuck(&self) -> bool {
        let began = *unpoisoned(&self.writing);
        began.is_some_and(|began| began.elapsed() > HANDOVER_LIMIT)
    }

    /// Why the last attempt to write failed, if it did.
    pub(super) fn failure(&self) -> Option<io::ErrorKind> {
        *self.failure_slot()
    }

    /// Takes note of an attempt to write `lines`.
    pub(super) fn report(&self, lines: usize, outcome: Result<(), io::ErrorKind>) {
        let before = std::mem::replace(&mut *self.failure_slot(), outcome.err());
        match outcome {
            Ok(()) => (self.events)(AuditEvent::Written(lines)),
            Err(_) => (self.events)(AuditEvent::Failed(lines)),
        }
        match (before, outcome) {
            (None, Err(kind)) => {
                tracing::error!(error = %kind, "cannot write decision records; requests are refused");
            }
            (Some(_), Ok(())) => tracing::warn!("decision records can be written again"),
            (None, Ok(())) | (Some(_), Err(_)) => {}
        }
    }

    /// Tells how many lines wait.
    pub(super) fn report_depth(&self) {
        let free = self.decisions.available_permits() + self.spare.available_permits();
        let waiting = (DECISION_SLOTS + SPARE_SLOTS).saturating_sub(free);
        (self.events)(AuditEvent::Depth(waiting));
    }

    fn failure_slot(&self) -> MutexGuard<'_, Option<io::ErrorKind>> {
        unpoisoned(&self.failure)
    }
}

/// A poisoned lock holds a whole value all the same.
fn unpoisoned<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A write that is under way.
pub(super) struct Writing<'s>(&'s Status);

impl Drop for Writing<'_> {
    fn drop(&mut self) {
        *unpoisoned(&self.0.writing) = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Sender = oneshot::Sender<Result<(), AuditError>>;

    fn being_written() -> (Sender, Pending) {
        let (sender, receiver) = oneshot::channel();
        let claimed = Arc::new(AtomicBool::new(true));
        (sender, Pending { claimed, receiver })
    }

    #[test]
    fn what_the_writer_tells_as_time_runs_out_is_heard() {
        let (sender, mut pending) = being_written();
        sender.send(Err(AuditError::Closed)).unwrap();
        let settled = pending.give_up();
        assert!(matches!(settled, Err(Unwritten::No(AuditError::Closed))));
        let (sender, mut pending) = being_written();
        sender.send(Ok(())).unwrap();
        assert!(pending.give_up().is_ok());
    }

    #[test]
    fn a_writer_that_tells_too_late_knows_that_nobody_heard() {
        let (sender, mut pending) = being_written();
        assert!(matches!(pending.give_up(), Err(Unwritten::InDoubt)));
        assert!(sender.send(Err(AuditError::Closed)).is_err());
    }
}

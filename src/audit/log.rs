//! The requests' side of the queue.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::{Duration, SystemTime};

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio::time::{Instant, timeout_at};
use uuid::Uuid;

use crate::config::AuditSink;

use super::file::{RotatingFile, Sink, Stdout};
use super::guard::{AuditGuard, ClientFacts};
use super::writer::{Line, Message, Receipt, Writer};
use super::{AuditError, AuditEvent, HANDOVER_LIMIT};

/// Decisions that may wait at once; further requests wait for a place.
const DECISION_SLOTS: usize = 1024;

/// Lines that may wait without anybody waiting for them: results, and records of requests that
/// ended early. At about 1 KiB each this is the memory a failing sink costs.
const SPARE_SLOTS: usize = 8192;

/// Where decision records are handed in. Clones share one writer, which ends with the last clone.
#[derive(Clone)]
pub struct AuditLog {
    queue: mpsc::Sender<Message>,
    shared: Arc<Shared>,
}

struct Shared {
    /// Random for each start: with `seq` it makes a gap provable.
    instance: Box<str>,
    /// Random for each start and never stored.
    token_key: hmac::Key,
    /// How long a decision waits to be written.
    limit: Duration,
    status: Arc<Status>,
}

/// What the requests and the writer both know.
pub(super) struct Status {
    decisions: Arc<Semaphore>,
    spare: Arc<Semaphore>,
    lost: AtomicU64,
    failure: Mutex<Option<io::ErrorKind>>,
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
                Self::start(stdout, HANDOVER_LIMIT, events)
            }
            AuditSink::File {
                path,
                max_bytes,
                keep,
            } => {
                let name = path.display().to_string().into();
                let file = RotatingFile::open(path, *max_bytes, *keep).map_err(refused(name))?;
                Self::start(file, HANDOVER_LIMIT, events)
            }
        }
    }

    pub(super) fn start<S: Sink + 'static>(
        sink: S,
        limit: Duration,
        events: impl Fn(AuditEvent) + Send + Sync + 'static,
    ) -> Result<Self, AuditError> {
        let status = Arc::new(Status {
            decisions: Arc::new(Semaphore::new(DECISION_SLOTS)),
            spare: Arc::new(Semaphore::new(SPARE_SLOTS)),
            lost: AtomicU64::new(0),
            failure: Mutex::new(None),
            events: Box::new(events),
        });
        let token_key = hmac::Key::generate(hmac::HMAC_SHA256, &SystemRandom::new())
            .map_err(|_| AuditError::Resources("randomness"))?;
        let (queue, lines) = mpsc::channel();
        let writer = Writer::new(sink, Arc::clone(&status));
        thread::Builder::new()
            .name("audit".into())
            .spawn(move || writer.run(lines))
            .map_err(|_| AuditError::Resources("thread"))?;
        let shared = Arc::new(Shared {
            instance: Uuid::new_v4().simple().to_string().into(),
            token_key,
            limit,
            status,
        });
        Ok(Self { queue, shared })
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
        let (sender, receiver) = oneshot::channel();
        self.queue
            .send(Message::Flush(sender))
            .map_err(|_| AuditError::Closed)?;
        receiver.await.unwrap_or(Err(AuditError::Closed))
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
        if status.decisions.available_permits() == 0 {
            return Err("decision records wait for a sink that does not take them".into());
        }
        Ok(())
    }

    pub(super) fn instance(&self) -> &str {
        &self.shared.instance
    }

    /// The name under which a token appears in records: it joins lines, and tells nothing else.
    pub(super) fn token_name(&self, token_id: &str) -> String {
        let tag = hmac::sign(&self.shared.token_key, token_id.as_bytes());
        let mut name = String::from("hmac:");
        for byte in tag.as_ref().iter().take(8) {
            name.push_str(&format!("{byte:02x}"));
        }
        name
    }

    /// Until when a decision that begins to be written now may wait.
    pub(super) fn deadline(&self) -> Instant {
        Instant::now() + self.shared.limit
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
        // If the writer has ended the line is dropped, and with it the sender of the receipt.
        let _ = self.queue.send(Message::Line(Line {
            json,
            receipt,
            slot,
        }));
        self.shared.status.report_depth();
        Pending { claimed, receiver }
    }

    /// Queues a line nobody waits for. Does not block; without a place the line is lost and
    /// counted.
    pub(super) fn leave(&self, json: Vec<u8>) {
        let status = &self.shared.status;
        let line = Arc::clone(&status.spare).try_acquire_owned().map(|slot| {
            self.queue.send(Message::Line(Line {
                json,
                receipt: None,
                slot,
            }))
        });
        match line {
            Ok(Ok(())) => status.report_depth(),
            Ok(Err(_)) | Err(_) => status.lose(1),
        }
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
        // A poisoned lock holds a whole value all the same.
        self.failure.lock().unwrap_or_else(PoisonError::into_inner)
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

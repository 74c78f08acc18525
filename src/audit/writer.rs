//! The right to write: numbers lines, writes those that wait together in one go, and keeps what
//! must be tried again.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::AuditError;
use super::file::Sink;
use super::log::Status;

/// The most bytes written in one go.
pub(super) const MAX_BATCH_BYTES: usize = 256 * 1024;

/// What `v`, `seq` and the line feed add to a line.
const NUMBERED_BYTES: usize = 40;

/// A record on its way.
pub(super) struct Line {
    /// A JSON object without `v`, `seq` and line feed.
    pub(super) json: Vec<u8>,
    /// Whoever waits for the line; nobody waits for a result.
    pub(super) receipt: Option<Receipt>,
    /// Its place in the queue, given back when the line is done with.
    pub(super) slot: OwnedSemaphorePermit,
}

/// The writer's end of a receipt.
pub(super) struct Receipt {
    /// Set by whoever is first: the writer, about to write, or the request, giving up. So a
    /// request knows whether a line it no longer wants may still be written.
    pub(super) claimed: Arc<AtomicBool>,
    pub(super) sender: oneshot::Sender<Result<(), AuditError>>,
}

/// Who asks for an answer once everything before is written and on the disk.
pub(super) type Flush = oneshot::Sender<Result<(), AuditError>>;

/// When a sink counts as slow, and for how long.
#[derive(Clone, Copy)]
pub(super) struct Patience {
    /// How long one write may take.
    pub(super) write: Duration,
    /// How long after a longer one no request writes for itself.
    pub(super) pause: Duration,
}

/// How long a write may take that is not remembered. A disk that is short of breath takes tens of
/// milliseconds, again and again, and each time a thread stands still that serves others too.
const LATE: Duration = Duration::from_millis(25);

/// How many late ones among the last sixteen writes are too many.
const MOST_LATE: u32 = 2;

/// The state of whoever writes; one at a time.
pub(super) struct Writer {
    sink: Box<dyn Sink>,
    status: Arc<Status>,
    patience: Patience,
    /// Until when the sink counts as slow.
    slow_until: Option<Instant>,
    /// Which of the last writes were late, the last in the lowest bit.
    late: u16,
    /// The number of the last line that was written.
    seq: u64,
    /// Lines nobody waits for that could not be written yet. They keep their slots, which bounds
    /// their number.
    again: VecDeque<Line>,
    /// The lines being written, numbered and joined.
    batch: Vec<u8>,
    /// How many they are: `members`, and one more that a request writes for itself.
    numbered: usize,
    members: Vec<Line>,
    /// What was taken from the queue and is in no batch yet.
    pub(super) taken: Vec<Line>,
}

impl Line {
    /// At most how many bytes it takes once it is numbered.
    pub(super) fn bytes(json: &[u8]) -> usize {
        json.len() + NUMBERED_BYTES
    }
}

impl Writer {
    pub(super) fn new(sink: Box<dyn Sink>, patience: Patience, status: Arc<Status>) -> Self {
        Self {
            sink,
            status,
            patience,
            slow_until: None,
            late: 0,
            seq: 0,
            again: VecDeque::new(),
            batch: Vec::new(),
            numbered: 0,
            members: Vec::new(),
            taken: Vec::new(),
        }
    }

    /// Whether `bytes` can be written by a request for itself: at once, as far as one can know,
    /// and behind nothing that is to be tried again.
    pub(super) fn is_prompt(&mut self, bytes: usize) -> bool {
        if self.slow_until.is_some_and(|until| Instant::now() >= until) {
            self.slow_until = None;
        }
        self.slow_until.is_none()
            && self.again.is_empty()
            && bytes <= MAX_BATCH_BYTES
            && self.sink.is_prompt(bytes as u64)
    }

    /// How many lines wait to be tried again.
    pub(super) fn left(&self) -> usize {
        self.again.len()
    }

    /// Writes what was taken and then `own`, in one go. Returns how long the system took.
    ///
    /// INVARIANT: [`Self::is_prompt`] said that all of it fits.
    ///
    /// # Errors
    /// What the system said. `own` is not written then; of the others, those nobody waits for will
    /// be tried again.
    pub(super) fn write_with(&mut self, own: Option<&[u8]>) -> Result<Duration, io::ErrorKind> {
        self.join_taken();
        if let Some(json) = own {
            self.number(json);
        }
        self.write()
    }

    /// Writes what was taken, in as many goes as it needs.
    pub(super) fn write_taken(&mut self) {
        self.join_taken();
        // Whoever waits for a line is told of a failure by its receipt.
        let _ = self.write();
    }

    fn join_taken(&mut self) {
        let mut taken = std::mem::take(&mut self.taken);
        for line in taken.drain(..) {
            let is_given_up = line
                .receipt
                .as_ref()
                .is_some_and(|receipt| receipt.claimed.swap(true, Ordering::AcqRel));
            if !is_given_up {
                self.add(line);
            }
        }
        // Its memory is used again.
        self.taken = taken;
    }

    /// Puts a line into the batch, which is written first if the line would not fit beside it: a
    /// batch goes into one file.
    fn add(&mut self, line: Line) {
        let with_it = self.batch.len() + Line::bytes(&line.json);
        if !self.batch.is_empty()
            && (with_it > MAX_BATCH_BYTES || with_it as u64 > self.sink.room())
        {
            let _ = self.write();
        }
        // A line must not overtake an older one: a result follows its decision.
        if line.receipt.is_none() && !self.again.is_empty() {
            self.again.push_back(line);
            return;
        }
        self.number(&line.json);
        self.members.push(line);
    }

    fn number(&mut self, json: &[u8]) {
        self.numbered += 1;
        let seq = self.seq + self.status.lost() + self.numbered as u64;
        let fields = json.strip_prefix(b"{").unwrap_or(json);
        // Writing to a `Vec` cannot fail.
        let _ = write!(self.batch, r#"{{"v":1,"seq":{seq},"#);
        self.batch.extend_from_slice(fields);
        self.batch.push(b'\n');
    }

    /// Whether a write that began at `began` and `took` so long makes the sink a slow one.
    fn judge(&mut self, began: Instant, took: Duration) {
        self.late = self.late << 1 | u16::from(took > LATE);
        if took > self.patience.write || self.late.count_ones() > MOST_LATE {
            self.late = 0;
            self.slow_until = began.checked_add(took + self.patience.pause);
        }
    }

    /// Writes the batch and tells everyone who waits for a line of it.
    fn write(&mut self) -> Result<Duration, io::ErrorKind> {
        if self.numbered == 0 {
            return Ok(Duration::ZERO);
        }
        let began = Instant::now();
        let writing = self.status.writing(began);
        let written = self.sink.append(&self.batch);
        drop(writing);
        let took = began.elapsed();
        self.judge(began, took);
        let count = std::mem::take(&mut self.numbered);
        self.batch.clear();
        let outcome = written.map_err(|error| error.kind());
        if outcome.is_ok() {
            self.seq += count as u64;
        }
        self.status.report(count, outcome);
        for line in self.members.drain(..) {
            // Whoever does not wait any more, or never did, cannot write the record another way.
            let is_told = line
                .receipt
                .is_some_and(|r| r.sender.send(outcome.map_err(AuditError::Write)).is_ok());
            if outcome.is_err() && !is_told {
                self.again.push_back(Line {
                    json: line.json,
                    receipt: None,
                    slot: line.slot,
                });
            }
        }
        outcome.map(|()| took)
    }

    /// Tries what failed before, oldest first, until all is written or the sink fails again.
    pub(super) fn retry(&mut self) {
        let mut waiting = std::mem::take(&mut self.again);
        while self.again.is_empty() && !waiting.is_empty() {
            while self.again.is_empty()
                && self.batch.len() < MAX_BATCH_BYTES
                && let Some(line) = waiting.pop_front()
            {
                self.add(line);
            }
            let _ = self.write();
        }
        // What failed now is older than what was not tried.
        self.again.append(&mut waiting);
    }

    /// Answers those who asked for everything to be on the disk.
    pub(super) fn answer(&mut self, flushes: Vec<Flush>) {
        if flushes.is_empty() {
            return;
        }
        let mut outcome = self
            .sink
            .sync()
            .map_err(|error| AuditError::Write(error.kind()));
        if let (false, Some(kind)) = (self.again.is_empty(), self.status.failure()) {
            outcome = Err(AuditError::Write(kind));
        }
        for answer in flushes {
            let _ = answer.send(outcome.clone());
        }
    }
}

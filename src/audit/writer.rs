//! The thread that writes: numbers lines, writes those that wait together in one go, and tries
//! again what nobody waits for.

use std::collections::VecDeque;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::AuditError;
use super::file::Sink;
use super::log::Status;

/// The most bytes written in one go.
const MAX_BATCH_BYTES: usize = 256 * 1024;

/// How often lines are tried again while the sink fails and nothing new comes.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// What the queue carries.
pub(super) enum Message {
    Line(Line),
    /// Asks for an answer once everything before it is written and on the disk.
    Flush(oneshot::Sender<Result<(), AuditError>>),
}

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

/// The writing thread's state.
pub(super) struct Writer<S> {
    sink: S,
    status: Arc<Status>,
    /// The number of the last line that was written.
    seq: u64,
    /// Lines nobody waits for that could not be written yet. They keep their slots, which bounds
    /// their number.
    again: VecDeque<Line>,
    /// The lines being written, numbered and joined.
    batch: Vec<u8>,
    /// The lines of `batch`.
    members: Vec<Line>,
    flushes: Vec<oneshot::Sender<Result<(), AuditError>>>,
}

impl<S: Sink> Writer<S> {
    pub(super) fn new(sink: S, status: Arc<Status>) -> Self {
        Self {
            sink,
            status,
            seq: 0,
            again: VecDeque::new(),
            batch: Vec::new(),
            members: Vec::new(),
            flushes: Vec::new(),
        }
    }

    /// Writes until every sender is gone.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "the thread owns the end of the queue"
    )]
    pub(super) fn run(mut self, queue: Receiver<Message>) {
        loop {
            let first = if self.again.is_empty() {
                queue.recv().map_err(|_| RecvTimeoutError::Disconnected)
            } else {
                queue.recv_timeout(RETRY_INTERVAL)
            };
            self.retry();
            match first {
                Ok(message) => self.take(message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            while self.batch.len() < MAX_BATCH_BYTES
                && let Ok(message) = queue.try_recv()
            {
                self.take(message);
            }
            self.write();
            self.answer_flushes();
            self.status.report_depth();
        }
        self.status.lose(self.again.len());
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Line(line) => {
                let given_up = line
                    .receipt
                    .as_ref()
                    .is_some_and(|receipt| receipt.claimed.swap(true, Ordering::AcqRel));
                if !given_up {
                    self.add(line);
                }
            }
            Message::Flush(answer) => self.flushes.push(answer),
        }
    }

    /// Puts a line into the batch, which is written first if the line would not fit beside it: a
    /// batch goes into one file.
    fn add(&mut self, line: Line) {
        let with_it = (self.batch.len() + line.json.len() + 32) as u64;
        if !self.batch.is_empty() && with_it > self.sink.room() {
            self.write();
        }
        // A line must not overtake an older one: a result follows its decision.
        if line.receipt.is_none() && !self.again.is_empty() {
            self.again.push_back(line);
            return;
        }
        let seq = self.seq + self.status.lost() + self.members.len() as u64 + 1;
        let fields = line.json.strip_prefix(b"{").unwrap_or(&line.json);
        // Writing to a `Vec` cannot fail.
        let _ = write!(self.batch, r#"{{"v":1,"seq":{seq},"#);
        self.batch.extend_from_slice(fields);
        self.batch.push(b'\n');
        self.members.push(line);
    }

    /// Writes the batch and tells everyone who waits for a line of it.
    fn write(&mut self) {
        if self.members.is_empty() {
            return;
        }
        let written = self.sink.append(&self.batch);
        let count = self.members.len();
        self.batch.clear();
        let outcome = match written {
            Ok(()) => {
                self.seq += count as u64;
                Ok(())
            }
            Err(error) => Err(error.kind()),
        };
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
    }

    /// Tries what failed before, oldest first, until all is written or the sink fails again.
    fn retry(&mut self) {
        let mut waiting = std::mem::take(&mut self.again);
        while self.again.is_empty() && !waiting.is_empty() {
            while self.again.is_empty()
                && self.batch.len() < MAX_BATCH_BYTES
                && let Some(line) = waiting.pop_front()
            {
                self.add(line);
            }
            self.write();
        }
        // What failed now is older than what was not tried.
        self.again.append(&mut waiting);
    }

    fn answer_flushes(&mut self) {
        if self.flushes.is_empty() {
            return;
        }
        let mut outcome = self
            .sink
            .sync()
            .map_err(|error| AuditError::Write(error.kind()));
        if let (false, Some(kind)) = (self.again.is_empty(), self.status.failure()) {
            outcome = Err(AuditError::Write(kind));
        }
        for answer in self.flushes.drain(..) {
            let _ = answer.send(outcome.clone());
        }
    }
}

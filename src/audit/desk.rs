//! Where requests and the writing thread meet: the lines that wait, and the right to write.
//!
//! Whoever holds the right may write what waits. A request never waits for the right: either it is
//! free, or whoever holds it looks again for lines when done. So a line that is waited for is
//! never left lying: it is pushed before the right is tried, and looked for after it is given back.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::AuditError;
use super::log::Status;
use super::writer::{Flush, Line, Writer};

/// How often lines are tried again while the sink fails and nothing new comes.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Both sides' meeting place.
pub(super) struct Desk {
    /// INVARIANT: held for moments only, and never while `writer` is being waited for.
    queue: Mutex<Queue>,
    /// Rung for the thread.
    bell: Condvar,
    /// Held while lines are written, which may take as long as the sink likes. Only the thread
    /// waits for it.
    writer: Mutex<Writer>,
    /// How long lines nobody waits for may lie, so that they are written together.
    linger: Duration,
    status: Arc<Status>,
}

/// What waits.
#[derive(Default)]
struct Queue {
    lines: Vec<Line>,
    /// What they take once they are numbered, at most.
    bytes: usize,
    /// How many of them somebody waits for.
    awaited: usize,
    flushes: Vec<Flush>,
    /// When the thread looks for lines nobody waits for. It knows already, and is not called again.
    linger_until: Option<Instant>,
    /// Whether the thread sleeps and does not know yet that it is wanted.
    asleep: bool,
    /// Whether it is wanted for something the queue does not show.
    called: bool,
    /// Whether no more lines will come.
    closing: bool,
    /// Whether the thread has ended, so that nothing queued would be written.
    ended: bool,
}

impl Desk {
    pub(super) fn new(writer: Writer, linger: Duration, status: Arc<Status>) -> Self {
        Self {
            queue: Mutex::default(),
            bell: Condvar::new(),
            writer: Mutex::new(writer),
            linger,
            status,
        }
    }

    /// Writes `json` behind all that waits, in one go, if that can be done at once. `None` if not:
    /// then the line must be queued. Otherwise how long the system took, or why it refused.
    pub(super) fn write_now(&self, json: &[u8]) -> Option<Result<Duration, io::ErrorKind>> {
        let written = self.try_write(Some(json));
        if written != Attempt::Busy {
            self.look_again();
        }
        match written {
            Attempt::Busy | Attempt::NotPrompt => None,
            Attempt::Done(outcome) => Some(outcome),
        }
    }

    /// Queues a line somebody waits for. If nothing more will be written it is dropped, and with it
    /// the sender of its receipt.
    pub(super) fn push_awaited(&self, line: Line) {
        if self.queue().push(line).is_err() {
            return;
        }
        match self.writer.try_lock() {
            // Whoever is writing looks again.
            Err(TryLockError::WouldBlock) => return,
            Ok(_) | Err(TryLockError::Poisoned(_)) => {}
        }
        self.look_again();
    }

    /// Queues a line nobody waits for; given back if nothing more will be written.
    pub(super) fn push(&self, line: Line) -> Result<(), Line> {
        let mut queue = self.queue();
        queue.push(line)?;
        if queue.linger_until.is_none() {
            queue.linger_until = Instant::now().checked_add(self.linger);
            self.ring(&mut queue);
        }
        Ok(())
    }

    /// Asks for everything queued before to be written and on the disk.
    pub(super) fn flush(&self) -> oneshot::Receiver<Result<(), AuditError>> {
        let (sender, receiver) = oneshot::channel();
        let mut queue = self.queue();
        // The sender is dropped if nobody is left to answer.
        if !queue.ended {
            queue.flushes.push(sender);
            self.ring(&mut queue);
        }
        receiver
    }

    /// Says that no more lines will come, which ends the thread.
    pub(super) fn close(&self) {
        let mut queue = self.queue();
        queue.closing = true;
        self.ring(&mut queue);
    }

    /// What the thread does: writes what requests do not write for themselves, until [`Self::close`].
    pub(super) fn run(&self) {
        let _end = End(self);
        let mut retry_at = None;
        loop {
            let is_last = self.wait(retry_at);
            // SECURITY: a write that panicked may have left half a line, or a number given twice.
            // Nothing is written after that, so nothing is forwarded.
            let Ok(mut writer) = self.writer.lock() else {
                return;
            };
            writer.retry();
            let flushes = self.queue().hand_out(&mut writer);
            writer.write_taken();
            writer.answer(flushes);
            let left = writer.left();
            drop(writer);
            self.status.report_depth();
            if is_last {
                return;
            }
            retry_at = (left > 0).then(|| Instant::now() + RETRY_INTERVAL);
        }
    }

    fn try_write(&self, own: Option<&[u8]>) -> Attempt {
        let mut writer = match self.writer.try_lock() {
            Ok(writer) => writer,
            Err(TryLockError::WouldBlock) => return Attempt::Busy,
            Err(TryLockError::Poisoned(_)) => return Attempt::NotPrompt,
        };
        let mut queue = self.queue();
        let bytes = queue.bytes + own.map_or(0, Line::bytes);
        if queue.ended || !writer.is_prompt(bytes) {
            return Attempt::NotPrompt;
        }
        let is_alone = queue.lines.is_empty();
        queue.hand_out_lines(&mut writer);
        drop(queue);
        let outcome = writer.write_with(own);
        let is_left = writer.left() > 0;
        drop(writer);
        if is_left {
            self.call();
        }
        if !is_alone {
            self.status.report_depth();
        }
        Attempt::Done(outcome)
    }

    /// Sees to the lines that came while the right to write was held here: those who queued them
    /// rely on it.
    fn look_again(&self) {
        if self.queue().awaited == 0 {
            return;
        }
        // Once, so that no request writes for all others for ever.
        if self.try_write(None) == Attempt::Busy {
            return;
        }
        let mut queue = self.queue();
        if queue.awaited > 0 {
            self.ring(&mut queue);
        }
    }

    fn call(&self) {
        let mut queue = self.queue();
        queue.called = true;
        self.ring(&mut queue);
    }

    /// Wakes the thread if it sleeps; if not, it looks at the queue before it does.
    fn ring(&self, queue: &mut Queue) {
        if std::mem::replace(&mut queue.asleep, false) {
            self.bell.notify_one();
        }
    }

    /// Waits until there is something for the thread to do; `true` if it is the last.
    fn wait(&self, retry_at: Option<Instant>) -> bool {
        let mut queue = self.queue();
        loop {
            let now = Instant::now();
            if queue.is_due(now) || retry_at.is_some_and(|at| at <= now) {
                return queue.closing;
            }
            let until = [queue.linger_until, retry_at].into_iter().flatten().min();
            queue.asleep = true;
            // A poisoned lock holds whole values all the same.
            queue = match until.map(|until| until.saturating_duration_since(now)) {
                None => self
                    .bell
                    .wait(queue)
                    .unwrap_or_else(PoisonError::into_inner),
                Some(time) => {
                    let woken = self.bell.wait_timeout(queue, time);
                    woken.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            queue.asleep = false;
        }
    }

    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What came of trying to write.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Attempt {
    /// Somebody else is writing.
    Busy,
    /// It might take long.
    NotPrompt,
    Done(Result<Duration, io::ErrorKind>),
}

impl Queue {
    fn push(&mut self, line: Line) -> Result<(), Line> {
        if self.ended {
            return Err(line);
        }
        self.bytes += Line::bytes(&line.json);
        self.awaited += usize::from(line.receipt.is_some());
        self.lines.push(line);
        Ok(())
    }

    fn hand_out_lines(&mut self, writer: &mut Writer) {
        // `taken` is empty, with the memory of the last time.
        std::mem::swap(&mut self.lines, &mut writer.taken);
        self.bytes = 0;
        self.awaited = 0;
    }

    fn hand_out(&mut self, writer: &mut Writer) -> Vec<Flush> {
        self.hand_out_lines(writer);
        self.called = false;
        std::mem::take(&mut self.flushes)
    }

    /// Whether there is something to do for the thread.
    fn is_due(&mut self, now: Instant) -> bool {
        let has_lingered = self.linger_until.is_some_and(|until| until <= now);
        if has_lingered {
            self.linger_until = None;
        }
        (has_lingered && !self.lines.is_empty())
            || self.awaited > 0
            || self.called
            || self.closing
            || !self.flushes.is_empty()
    }
}

/// Tells everyone that nothing more will be written, however the thread ends.
struct End<'d>(&'d Desk);

impl Drop for End<'_> {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        queue.ended = true;
        queue.flushes.clear();
        let lines = std::mem::take(&mut queue.lines);
        drop(queue);
        // Whoever waits for a line learns that it is not written.
        let unheard = lines.iter().filter(|line| line.receipt.is_none()).count();
        let writer = self.0.writer.lock();
        let left = writer.unwrap_or_else(PoisonError::into_inner).left();
        self.0.status.lose(unheard + left);
    }
}

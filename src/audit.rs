//! The decision record: what was asked, by whom, what was decided and why, on one JSON line.
//!
//! # Promises
//!
//! * **Exactly one decision record per request**, by construction: an [`AuditGuard`] exists for
//!   every request, deciding consumes it, and dropping it undecided writes the record of a client
//!   that went away.
//! * **No secret without a record.** [`AuditGuard::decide`] returns once the operating system has
//!   taken the line. Only then is there a [`ResultGuard`], and only then may the request be
//!   forwarded. If the line cannot be written in [`HANDOVER_LIMIT`], the request is refused.
//! * **A loss shows.** `seq` rises by one from line to line within one `inst`. A line that could
//!   not be kept leaves a gap of one and is counted, for whatever reason it was lost.
//! * **No token, secret value or body.** Records are built from typed values, never from headers or
//!   bodies. A token appears as an HMAC of its id, under a key made at start and never stored.
//!
//! # Lines
//!
//! `"type":"decision"` is written before anything is forwarded and holds all that led to the
//! decision. For an allowed request one line `"type":"result"` with the same `decision_id` follows:
//! the vault's answer, or `"aborted":true` if the client went away. What was not allowed needs
//! none: its decision record already holds the status that was answered.
//!
//! Fields that are unknown are `null`. A line has at most 8 KiB: long texts are cut, and
//! `truncated` then names them. Control characters are escaped.
//!
//! # How lines travel
//!
//! One at a time may write: a request, or the thread that is there for what requests do not write
//! for themselves. A request that finds the right to write free, and the sink prompt, writes all
//! that waits and then its own decision, in one call of the system; that is how it goes with a
//! healthy file. Otherwise it queues its line and waits for a receipt: from whoever is writing just
//! then, or from the thread. Prompt is a regular file with room before its rotation, with nothing
//! broken off and nothing to be tried again, in which no write took longer than a quarter of a
//! second in the last five. Standard output, pipes and devices never are: whoever reads them may not.
//!
//! A decision waits for its line to be taken by the system and for nothing but that, so a slow sink
//! delays requests and a dead one refuses them. **A disk that hangs** holds whoever is writing: if
//! that is a request, the thread of the runtime it runs on stands still until the disk answers,
//! with all that is to be done there. It is one thread, not one after the other: others find the
//! right taken, wait aside, and are refused after [`HANDOVER_LIMIT`]; nothing is forwarded. The
//! request that was held is refused too, if it took longer than that, and its result line says so.
//! After it the sink counts as slow, and the thread writes.
//!
//! Results wait for nothing. They are queued and go out with the next decision, or 20 ms after the
//! first of them, or when the log is flushed or closed; a process that is killed can lose so many,
//! but no decision. They have room of their own in the queue, are tried again while the sink fails,
//! and if that room is full they are lost, counted and seen as a gap. They are not made to wait
//! because the vault has acted already; holding up its answer would not undo it.

mod desk;
mod file;
mod guard;
mod log;
mod record;
#[cfg(test)]
mod tests;
mod text;
mod writer;

use std::io;
use std::time::Duration;

use thiserror::Error;

pub use guard::{
    AuditGuard, ClientFacts, ClientProcess, DecisionId, NearestMiss, PolicyFacts, ResultGuard,
    UpstreamAnswer,
};
pub use log::AuditLog;
pub use record::KvError;

/// How long a request waits for its record to be written before it is refused.
pub const HANDOVER_LIMIT: Duration = Duration::from_secs(5);

/// Why a record could not be written.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum AuditError {
    /// The writer has ended.
    #[error("the audit writer has ended")]
    Closed,
    /// The sink could not be opened.
    #[error("cannot open `{path}` for decision records: {kind}")]
    Open {
        /// The file, or `standard output`.
        path: Box<str>,
        /// What the system said.
        kind: io::ErrorKind,
    },
    /// Randomness or a thread was not to be had at start.
    #[error("the system has no {0} for the audit log")]
    Resources(&'static str),
    /// The record was not written in time.
    #[error("the decision record was not written within {} seconds", HANDOVER_LIMIT.as_secs())]
    Timeout,
    /// The sink refused the line.
    #[error("cannot write decision records: {0}")]
    Write(io::ErrorKind),
}

/// What the audit log tells the metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditEvent {
    /// This many lines wait for the writer.
    Depth(usize),
    /// This many lines are lost for good.
    Dropped(usize),
    /// This many lines could not be written; they are tried again, or their request is refused.
    Failed(usize),
    /// This many lines were written.
    Written(usize),
}

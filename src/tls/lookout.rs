//! Looking again and again whether files have something new.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::Duration;

use tokio::task::{JoinHandle, spawn_blocking};

use super::TlsError;
use crate::notices::Notices;

/// How often is looked when nothing is notified. The wall clock counts and not the time slept, which
/// stands still while a machine does.
const POLL_INTERVAL: Duration = Duration::from_secs(30);

/// What became of a look.
#[derive(Debug)]
pub enum RenewalEvent {
    /// What is in use stays, though something else was to be had.
    Failed(TlsError),
    /// Looking ended in a panic; what is in use stays.
    Panicked,
    /// Something else is in use.
    Renewed {
        /// When it ends, in seconds of Unix time.
        not_after: i64,
        /// When the private CA ends that it is from, if it is from one.
        issuer_not_after: Option<i64>,
    },
    /// There was no reason for a change.
    Unchanged,
}

/// Renewing, until it is dropped.
#[derive(Debug)]
pub struct RenewalHandle(JoinHandle<()>);

impl Drop for RenewalHandle {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// What can be looked at.
pub(super) trait Lookout: Send + 'static {
    /// The files whose change may mean something new.
    fn files(&self) -> Vec<PathBuf>;

    /// Takes into use what is new. Blocks.
    ///
    /// INVARIANT: it changes itself only when nothing can fail any more, so that another look after
    /// one that panicked finds all in order.
    fn look(&mut self) -> RenewalEvent;
}

/// Looks whenever files change and every half a minute, and tells `on_event` what comes of it. Must
/// be called in a tokio runtime.
pub(super) fn keep<L: Lookout>(
    mut lookout: L,
    on_event: impl Fn(RenewalEvent) + Send + 'static,
) -> RenewalHandle {
    let mut notices = Notices::new(lookout.files(), |_| false);
    RenewalHandle(tokio::spawn(async move {
        loop {
            // Before looking: what changes from here on is seen again.
            notices.arm();
            let looked = spawn_blocking(move || {
                let event = catch_unwind(AssertUnwindSafe(|| lookout.look()));
                (lookout, event.unwrap_or(RenewalEvent::Panicked))
            });
            // The panic is caught, so that this is the end of the runtime.
            let Ok((back, event)) = looked.await else {
                return;
            };
            lookout = back;
            on_event(event);
            notices.wait(POLL_INTERVAL).await;
        }
    }))
}

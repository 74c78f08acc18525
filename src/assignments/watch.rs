//! Loading again when files change.
//!
//! Notifications ([`crate::notices`]) do not cover everything, so the files are also read every poll
//! interval, and that also tells the app that what it has is still true. A load happens as a whole
//! on a thread for blocking work, and either all of it is handed over or nothing.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::Instant;

use crate::clock::Clock;
use crate::config::AssignmentFiles;
use crate::notices::Notices;

use super::files::{self, Found, LoadError, Loaded, find, is_listed, load, load_with};
use super::held::{Counts, Gate, Shrunk, Verdict};
use super::report::LoadReport;

/// The shortest poll interval, whatever is configured: the disk needs a rest.
const MIN_POLL: Duration = Duration::from_millis(10);

/// What came of one load.
#[derive(Debug)]
pub enum LoadOutcome {
    /// Something that cannot be used; the last good set stays.
    Failed(LoadError),
    /// A new set, to replace the last one.
    Fresh {
        /// The set.
        loaded: Box<Loaded>,
        /// When reading began; the set is as old as this.
        read_at: SystemTime,
    },
    /// A set that lost too much to be believed at once; the last good set stays. If the next poll
    /// finds the same contents, they come as [`LoadOutcome::Fresh`].
    HeldBack {
        /// What shrank.
        shrunk: Shrunk,
        /// What was found.
        report: LoadReport,
    },
    /// The last set again: it is still what the files say.
    Unchanged {
        /// When reading began.
        read_at: SystemTime,
    },
}

/// Watching, until it is dropped. A load that is under way then is not reported any more.
#[derive(Debug)]
pub struct WatchHandle(JoinHandle<()>);

impl Drop for WatchHandle {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Loads `files.paths` and `files.overlay_files` now, whenever they change and every `files.poll_interval`, and calls
/// `on_event` with each outcome, one after the other and the first one soon.
///
/// `on_event` runs on a thread for blocking work, so it may compute and block. What it panics with
/// ends the watching.
///
/// Must be called in a tokio runtime.
pub fn spawn(
    files: AssignmentFiles,
    clock: Arc<dyn Clock>,
    on_event: impl Fn(LoadOutcome) + Send + 'static,
) -> WatchHandle {
    let watched = [files.paths.as_slice(), files.overlay_files.as_slice()].concat();
    let notices = Notices::new(watched, is_listed);
    let poll_interval = files.poll_interval.max(MIN_POLL);
    let watch = Watch {
        reading: Reading {
            paths: files.paths.into(),
            overlay_files: files.overlay_files.into(),
            poll_interval,
            gate: Gate::default(),
            known: None,
        },
        clock,
        notices,
    };
    WatchHandle(tokio::spawn(watch.run(on_event)))
}

struct Watch {
    reading: Reading,
    clock: Arc<dyn Clock>,
    notices: Notices,
}

impl Watch {
    async fn run(mut self, mut on_event: impl Fn(LoadOutcome) + Send + 'static) {
        loop {
            // Before reading: what changes from here on is seen again.
            self.notices.arm();
            let read_at = self.clock.now();
            let mut reading = self.reading.clone();
            let read = spawn_blocking(move || {
                let outcome = reading.read(read_at);
                (outcome, reading)
            });
            let outcome = match read.await {
                Ok((outcome, reading)) => {
                    self.reading = reading;
                    outcome
                }
                Err(_) => LoadOutcome::Failed(self.reading.interrupted()),
            };
            // SECURITY: not before this task is seen to be wanted still, which it is if it gets here.
            let told = spawn_blocking(move || {
                on_event(outcome);
                on_event
            });
            match told.await {
                Ok(back) => on_event = back,
                Err(error) => {
                    tracing::error!(%error, "role data is not loaded any more");
                    return;
                }
            }
            self.notices.wait(self.reading.poll_interval).await;
        }
    }
}

/// What is read, and what came of it before.
#[derive(Clone)]
struct Reading {
    paths: Arc<[PathBuf]>,
    overlay_files: Arc<[PathBuf]>,
    poll_interval: Duration,
    gate: Gate,
    /// The files of the last good load, as they were found then, and its fingerprint.
    known: Option<(Arc<[Found]>, [u8; 32])>,
}

impl Reading {
    fn interrupted(&self) -> LoadError {
        LoadError::interrupted(&self.paths)
    }

    /// Reads the files and judges what they hold. Blocks.
    fn read(&mut self, read_at: SystemTime) -> LoadOutcome {
        let found = find(&self.paths, &self.overlay_files).ok();
        if let Some(found) = &found
            && self.is_known(found)
        {
            self.gate = std::mem::take(&mut self.gate).confirmed();
            return LoadOutcome::Unchanged { read_at };
        }
        // While requests are served, one core at most is taken from them.
        let loaded = if self.known.is_none() {
            load(&self.paths, &self.overlay_files)
        } else {
            load_with(&self.paths, &self.overlay_files, 1)
        };
        let loaded = match loaded {
            Ok(loaded) => Box::new(loaded),
            Err(error) => return LoadOutcome::Failed(error),
        };
        let contents = (Counts::of(&loaded), loaded.fingerprint);
        let gate = std::mem::take(&mut self.gate);
        let now = Instant::now().into_std();
        let (verdict, gate) = gate.judge(contents, now, self.poll_interval);
        self.gate = gate;
        if let Verdict::HoldBack(shrunk) = verdict {
            let report = loaded.report;
            return LoadOutcome::HeldBack { shrunk, report };
        }
        self.known = found.map(|found| (found.into(), loaded.fingerprint));
        if verdict == Verdict::Same {
            LoadOutcome::Unchanged { read_at }
        } else {
            LoadOutcome::Fresh { loaded, read_at }
        }
    }

    /// Whether the files are those of the last good load and still hold the same. They are read for
    /// that: not every file system tells every change. What they say need not be understood again.
    fn is_known(&self, found: &[Found]) -> bool {
        let Some((known, fingerprint)) = &self.known else {
            return false;
        };
        **known == *found
            && files::fingerprint(found) == Some(*fingerprint)
            && find(&self.paths, &self.overlay_files).is_ok_and(|after| after == found)
    }
}

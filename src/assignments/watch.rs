//! Loading again when files change.
//!
//! The kernel's notifications (inotify) say at once that a file was written, that another one was
//! renamed over it, or that Kubernetes swapped the `..data` link of a volume. They do not cover
//! everything: a file reached by a link into another directory, a network file system, a
//! directory made later. So the files are also read every poll interval, and that also tells the
//! app that what it has is still true.
//!
//! A load happens as a whole on a thread for blocking work, and either all of it is handed over or
//! nothing. Writers may take a while over several files, so a load waits until notifications are
//! quiet for [`QUIET`], but not longer than [`PATIENCE`].

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, EventKindMask, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, spawn_blocking};
use tokio::time::{Instant, sleep_until};

use crate::clock::Clock;
use crate::config::AssignmentFiles;

use super::files::{self, Found, LoadError, Loaded, find, is_listed, load, load_with};
use super::held::{Counts, Gate, Shrunk, Verdict};
use super::report::LoadReport;

/// How long notifications must be quiet before files are read.
pub const QUIET: Duration = Duration::from_millis(50);

/// How long files that never come to rest may put a load off.
pub const PATIENCE: Duration = Duration::from_secs(2);

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
/// If notifications are not to be had, a warning is logged and polling alone remains.
///
/// Must be called in a tokio runtime.
pub fn spawn(
    files: AssignmentFiles,
    clock: Arc<dyn Clock>,
    on_event: impl Fn(LoadOutcome) + Send + 'static,
) -> WatchHandle {
    let changed = Arc::new(Notify::new());
    let watched = [files.paths.as_slice(), files.overlay_files.as_slice()].concat();
    let notifier = Notifier::new(watched, Arc::clone(&changed));
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
        changed,
        notifier,
    };
    WatchHandle(tokio::spawn(watch.run(on_event)))
}

struct Watch {
    reading: Reading,
    clock: Arc<dyn Clock>,
    changed: Arc<Notify>,
    notifier: Option<Notifier>,
}

impl Watch {
    async fn run(mut self, mut on_event: impl Fn(LoadOutcome) + Send + 'static) {
        loop {
            // Before reading: what changes from here on is seen again.
            if let Some(notifier) = &mut self.notifier {
                notifier.arm();
            }
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
            self.pause().await;
        }
    }

    /// Waits until there is a reason to read again.
    async fn pause(&self) {
        tokio::select! {
            () = sleep_until(Instant::now() + self.reading.poll_interval) => return,
            () = self.changed.notified() => {}
        }
        let patience = Instant::now() + PATIENCE;
        loop {
            let quiet = patience.min(Instant::now() + QUIET);
            tokio::select! {
                () = sleep_until(quiet) => return,
                () = self.changed.notified() => {}
            }
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

/// The kernel's notifications.
struct Notifier {
    watcher: RecommendedWatcher,
    paths: Vec<PathBuf>,
}

impl Notifier {
    fn new(paths: Vec<PathBuf>, changed: Arc<Notify>) -> Option<Self> {
        let configured = paths.clone();
        let on_event = move |event: notify::Result<Event>| {
            // An error may stand for any number of lost events.
            if event.is_ok_and(|event| !concerns(&event, &configured)) {
                return;
            }
            changed.notify_one();
        };
        let config = notify::Config::default().with_event_kinds(kinds());
        match RecommendedWatcher::new(on_event, config) {
            Ok(watcher) => Some(Self { watcher, paths }),
            Err(error) => {
                tracing::warn!(%error, "no notifications of changed role data; polling alone");
                None
            }
        }
    }

    /// Watches the directories, again if they were replaced since. One that is not there now is
    /// tried again at the next load.
    fn arm(&mut self) {
        for directory in self.paths.iter().flat_map(|path| directories(path)) {
            let armed = self.watcher.watch(&directory, RecursiveMode::NonRecursive);
            if let Err(error) = armed {
                tracing::debug!(%error, directory = %directory.display(), "cannot watch");
            }
        }
    }
}

/// What the kernel is asked to tell. Not each write, where it tells that a writer closed the file: a
/// neighbour that grows all the time, as decision records do, would wake us for every line.
fn kinds() -> EventKindMask {
    let arrived = EventKindMask::CREATE | EventKindMask::REMOVE | EventKindMask::MODIFY_NAME;
    if cfg!(target_os = "linux") {
        arrived | EventKindMask::ACCESS_CLOSE
    } else {
        arrived | EventKindMask::MODIFY_DATA
    }
}

/// What to watch for a configured path: the directory it is in, where it is renamed or its link
/// is swapped, and itself if it is a directory.
fn directories(path: &Path) -> Vec<PathBuf> {
    let parent = match path.parent() {
        Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
        Some(parent) => parent,
        None => path,
    };
    let mut directories = vec![parent.to_path_buf()];
    if path.is_dir() {
        directories.push(path.to_path_buf());
    }
    directories
}

/// Whether an event can mean other contents. Reading causes events of its own, and neighbours in
/// the directory may change all the time.
fn concerns(event: &Event, configured: &[PathBuf]) -> bool {
    let written = AccessKind::Close(AccessMode::Write);
    if matches!(event.kind, EventKind::Access(access) if access != written) {
        return false;
    }
    let relevant = |path: &PathBuf| {
        // Kubernetes: `..data` and the directories it leads to.
        let swapped = path
            .file_name()
            .is_some_and(|name| name.as_encoded_bytes().starts_with(b".."));
        let named = |one: &PathBuf| {
            one.file_name() == path.file_name()
                || (path.parent() == Some(one.as_path()) && is_listed(path))
        };
        swapped || configured.iter().any(named)
    };
    event.need_rescan() || event.paths.is_empty() || event.paths.iter().any(relevant)
}

#[cfg(test)]
mod tests {
    use notify::event::{CreateKind, ModifyKind, RenameMode};

    use super::*;

    fn concerning(kind: EventKind, path: &str) -> bool {
        let configured = ["/etc/roles".into(), "/srv/groups.json".into()];
        concerns(&Event::new(kind).add_path(path.into()), &configured)
    }

    #[test]
    fn what_reading_causes_is_no_change() {
        let path = "/etc/roles/a.json";
        for access in [
            AccessKind::Open(AccessMode::Any),
            AccessKind::Read,
            AccessKind::Close(AccessMode::Read),
        ] {
            assert!(!concerning(EventKind::Access(access), path));
        }
        let written = AccessKind::Close(AccessMode::Write);
        assert!(concerning(EventKind::Access(written), path));
    }

    #[test]
    fn only_files_that_are_read_and_volumes_that_are_swapped_matter() {
        let renamed = EventKind::Modify(ModifyKind::Name(RenameMode::To));
        for (path, expected) in [
            ("/etc/roles/a.json", true),
            ("/etc/roles/..data", true),
            ("/srv/..data", true),
            ("/srv/groups.json", true),
            ("/etc/roles", true),
            ("/etc/roles/a.json.tmp", false),
            ("/etc/roles/.a.json", false),
            ("/srv/audit.json", false),
            ("/etc/passwd", false),
        ] {
            assert_eq!(concerning(renamed, path), expected, "{path}");
            let created = EventKind::Create(CreateKind::File);
            assert_eq!(concerning(created, path), expected, "{path}");
        }
    }
}

//! Being told that files have changed.
//!
//! The kernel's notifications (inotify) say at once that a file was written, that another one was
//! renamed over it, or that Kubernetes swapped the `..data` link of a volume. They do not cover
//! everything: a file reached by a link into another directory, a network file system, a directory
//! made later. So whoever waits for them also looks every poll interval.
//!
//! Writers may take a while over several files, so a wait lasts until notifications are quiet for a
//! moment, but never for long.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, EventKindMask, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

/// How long notifications must be quiet before files are read.
const QUIET: Duration = Duration::from_millis(50);

/// How long files that never come to rest may put a look off.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether a file counts that is in a directory which is watched.
pub type Listed = fn(&Path) -> bool;

/// The kernel's notifications about some paths.
#[derive(Debug)]
pub struct Notices {
    changed: Arc<Notify>,
    watcher: Option<RecommendedWatcher>,
    paths: Vec<PathBuf>,
}

impl Notices {
    /// Prepares to be told about `paths`: files, or directories of which the `listed` files matter.
    ///
    /// If notifications are not to be had, a warning is logged and polling alone remains.
    pub fn new(paths: Vec<PathBuf>, listed: Listed) -> Self {
        let changed = Arc::new(Notify::new());
        let (configured, notified) = (paths.clone(), Arc::clone(&changed));
        let on_event = move |event: notify::Result<Event>| {
            // An error may stand for any number of lost events.
            if event.is_ok_and(|event| !concerns(&event, &configured, listed)) {
                return;
            }
            notified.notify_one();
        };
        let config = notify::Config::default().with_event_kinds(kinds());
        let watcher = RecommendedWatcher::new(on_event, config)
            .inspect_err(|error| {
                tracing::warn!(%error, "no notifications of changed files; polling alone");
            })
            .ok();
        Self {
            changed,
            watcher,
            paths,
        }
    }

    /// Watches the directories, again if they were replaced since. One that is not there now is
    /// tried again the next time. What changes from here on is told.
    pub fn arm(&mut self) {
        let Some(watcher) = &mut self.watcher else {
            return;
        };
        for directory in self.paths.iter().flat_map(|path| directories(path)) {
            if let Err(error) = watcher.watch(&directory, RecursiveMode::NonRecursive) {
                tracing::debug!(%error, directory = %directory.display(), "cannot watch");
            }
        }
    }

    /// Waits until there is a reason to look again, or for `poll_interval`.
    pub async fn wait(&self, poll_interval: Duration) {
        tokio::select! {
            () = sleep_until(Instant::now() + poll_interval) => return,
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
fn concerns(event: &Event, configured: &[PathBuf], listed: Listed) -> bool {
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
                || (path.parent() == Some(one.as_path()) && listed(path))
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
        let listed = |path: &Path| {
            let name = path.file_name().unwrap().to_str().unwrap();
            !name.starts_with('.') && name.ends_with(".json")
        };
        concerns(&Event::new(kind).add_path(path.into()), &configured, listed)
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

//! Files that change while they are watched.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use portcullis::assignments::watch::spawn;
use portcullis::assignments::{LoadOutcome, Loaded, WatchHandle};
use portcullis::clock::Clock;
use portcullis::config::AssignmentFiles;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::timeout;

use super::{entries, json};

/// Longer than any of these tests may take: what happens sooner was notified, not polled.
const NEVER: Duration = Duration::from_secs(3600);

#[derive(Debug)]
struct Stopped;

impl Clock for Stopped {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }
}

struct Watching {
    outcomes: UnboundedReceiver<LoadOutcome>,
    handle: WatchHandle,
}

fn watch(paths: &[&Path], poll_interval: Duration) -> Watching {
    watch_with(paths, &[], poll_interval)
}

fn watch_with(paths: &[&Path], overlay_files: &[&Path], poll_interval: Duration) -> Watching {
    let files = AssignmentFiles {
        paths: paths.iter().map(PathBuf::from).collect(),
        overlay_files: overlay_files.iter().map(PathBuf::from).collect(),
        poll_interval,
        max_staleness: NEVER,
    };
    let (sender, outcomes) = unbounded_channel();
    let handle = spawn(files, Arc::new(Stopped), move |outcome| {
        let _ = sender.send(outcome);
    });
    Watching { outcomes, handle }
}

impl Watching {
    /// The first outcome that `pick` takes; those before are dropped.
    async fn until<T>(&mut self, pick: impl Fn(LoadOutcome) -> Option<T>) -> T {
        let picked = async {
            loop {
                let outcome = self.outcomes.recv().await.expect("watching goes on");
                if let Some(picked) = pick(outcome) {
                    return picked;
                }
            }
        };
        let picked = timeout(Duration::from_secs(20), picked).await;
        picked.expect("an outcome in time")
    }

    async fn fresh(&mut self) -> Loaded {
        self.until(|outcome| match outcome {
            LoadOutcome::Fresh { loaded, read_at } => {
                assert_eq!(read_at, SystemTime::UNIX_EPOCH);
                Some(*loaded)
            }
            LoadOutcome::Failed(error) => panic!("{error}"),
            LoadOutcome::HeldBack { .. } | LoadOutcome::Unchanged { .. } => None,
        })
        .await
    }

    async fn failed(&mut self) -> String {
        self.until(|outcome| match outcome {
            LoadOutcome::Failed(error) => Some(error.to_string()),
            LoadOutcome::Fresh { .. } | LoadOutcome::HeldBack { .. } => {
                panic!("expected a failure, got {outcome:?}")
            }
            LoadOutcome::Unchanged { .. } => None,
        })
        .await
    }
}

/// How many role assignments a new set has.
fn taken(outcome: LoadOutcome) -> Option<usize> {
    if let LoadOutcome::Fresh { loaded, .. } = outcome {
        return Some(loaded.report.role_assignments);
    }
    None
}

/// A list of the first `count` role assignments.
fn list(count: usize) -> Value {
    let mut value = json("arm-roleAssignments.json");
    entries(&mut value).truncate(count);
    value
}

fn replace(path: &Path, contents: &str) {
    let new = path.with_extension("new");
    fs::write(&new, contents).unwrap();
    fs::rename(new, path).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_renamed_into_place_is_picked_up() {
    let volume = TempDir::new().unwrap();
    let file = volume.path().join("roles.json");
    fs::write(&file, list(4).to_string()).unwrap();
    let mut by_file = watch(&[&file], NEVER);
    let mut by_directory = watch(&[volume.path()], NEVER);
    for watching in [&mut by_file, &mut by_directory] {
        assert_eq!(watching.fresh().await.report.role_assignments, 4);
    }
    for count in [5, 6, 5] {
        replace(&file, &list(count).to_string());
        for watching in [&mut by_file, &mut by_directory] {
            assert_eq!(watching.fresh().await.report.role_assignments, count);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_overlay_file_is_watched_like_the_exports() {
    let volume = TempDir::new().unwrap();
    let exports = volume.path().join("roles.json");
    let overlay = volume.path().join("overlay.toml");
    fs::write(&exports, list(4).to_string()).unwrap();
    fs::write(&overlay, "").unwrap();
    let mut watching = watch_with(&[&exports], &[&overlay], NEVER);
    assert_eq!(watching.fresh().await.report.overlay_conditions, 0);
    let narrowing = "[[conditions]]\n\
        role_assignment_id = '6d3a08ce-27f9-4b14-8a5d-c8e9173685fd'\n\
        condition = '@Environment[isPrivateLink] BoolEquals true'\n";
    replace(&overlay, narrowing);
    assert_eq!(watching.fresh().await.report.overlay_conditions, 1);
    replace(&overlay, &narrowing.replace("true", "maybe"));
    let error = watching.failed().await;
    assert!(
        error.contains("overlay.toml`: conditions[0].condition: line 1"),
        "{error}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_kubernetes_swaps_is_picked_up() {
    let volume = TempDir::new().unwrap();
    let root = volume.path();
    let swap = |version: &str, count: usize| {
        fs::create_dir(root.join(version)).unwrap();
        let roles = root.join(version).join("roles.json");
        fs::write(roles, list(count).to_string()).unwrap();
        symlink(version, root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    };
    swap("..2026_07_01", 6);
    let file = root.join("roles.json");
    symlink("..data/roles.json", &file).unwrap();
    let mut by_file = watch(&[&file], NEVER);
    let mut by_directory = watch(&[root], NEVER);
    for watching in [&mut by_file, &mut by_directory] {
        assert_eq!(watching.fresh().await.report.role_assignments, 6);
    }
    for (version, count) in [("..2026_07_02", 4), ("..2026_07_03", 5)] {
        swap(version, count);
        for watching in [&mut by_file, &mut by_directory] {
            assert_eq!(watching.fresh().await.report.role_assignments, count);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_file_is_told_and_the_repaired_one_taken() {
    let volume = TempDir::new().unwrap();
    let file = volume.path().join("roles.json");
    fs::write(&file, list(4).to_string()).unwrap();
    let mut watching = watch(&[volume.path()], NEVER);
    assert_eq!(watching.fresh().await.report.role_assignments, 4);
    replace(&file, "[{");
    let message = watching.failed().await;
    assert!(message.contains("roles.json`: expected JSON"), "{message}");
    // A second file that is bad, while the first is repaired, keeps the whole set out.
    let other = volume.path().join("denies.json");
    replace(&other, "null");
    replace(&file, &list(5).to_string());
    let message = loop {
        let message = watching.failed().await;
        if !message.contains("roles.json") {
            break message;
        }
    };
    assert!(
        message.contains("denies.json`: expected a list"),
        "{message}"
    );
    fs::remove_file(&other).unwrap();
    assert_eq!(watching.until(taken).await, 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn polling_sees_what_is_not_notified_and_tells_that_all_is_well() {
    let elsewhere = TempDir::new().unwrap();
    let target = elsewhere.path().join("target");
    fs::write(&target, list(4).to_string()).unwrap();
    let volume = TempDir::new().unwrap();
    symlink(&target, volume.path().join("roles.json")).unwrap();
    let mut watching = watch(&[volume.path()], Duration::from_millis(20));
    assert_eq!(watching.fresh().await.report.role_assignments, 4);
    for _ in 0..3 {
        watching
            .until(|outcome| matches!(outcome, LoadOutcome::Unchanged { .. }).then_some(()))
            .await;
    }
    replace(&target, &list(6).to_string());
    assert_eq!(watching.fresh().await.report.role_assignments, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_set_that_shrank_is_held_back_and_taken_when_it_is_still_there() {
    let volume = TempDir::new().unwrap();
    let file = volume.path().join("roles.json");
    fs::write(&file, list(6).to_string()).unwrap();
    let mut watching = watch(&[volume.path()], Duration::from_millis(400));
    assert_eq!(watching.fresh().await.report.role_assignments, 6);
    replace(&file, "[]");
    let (from, to) = watching
        .until(|outcome| match outcome {
            LoadOutcome::HeldBack { shrunk, report } => {
                assert_eq!(report.role_assignments, 0);
                Some((shrunk.from, shrunk.to))
            }
            LoadOutcome::Fresh { .. } => panic!("expected to be held back"),
            LoadOutcome::Failed(_) | LoadOutcome::Unchanged { .. } => None,
        })
        .await;
    assert_eq!((from, to), (6, 0));
    assert_eq!(watching.fresh().await.report.role_assignments, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_that_is_replaced_is_still_watched() {
    let volume = TempDir::new().unwrap();
    let directory = volume.path().join("roles");
    fs::create_dir(&directory).unwrap();
    fs::write(directory.join("a.json"), list(4).to_string()).unwrap();
    let mut watching = watch(&[&directory], NEVER);
    assert_eq!(watching.fresh().await.report.role_assignments, 4);
    let next = volume.path().join("next");
    fs::create_dir(&next).unwrap();
    fs::write(next.join("a.json"), list(5).to_string()).unwrap();
    fs::rename(&directory, volume.path().join("old")).unwrap();
    fs::rename(&next, &directory).unwrap();
    assert_eq!(watching.until(taken).await, 5);
    replace(&directory.join("a.json"), &list(6).to_string());
    assert_eq!(watching.until(taken).await, 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn watching_ends_with_its_handle() {
    let volume = TempDir::new().unwrap();
    let Watching {
        mut outcomes,
        handle,
    } = watch(&[volume.path()], Duration::from_millis(20));
    assert!(outcomes.recv().await.is_some());
    drop(handle);
    let end = async { while outcomes.recv().await.is_some() {} };
    timeout(Duration::from_secs(20), end)
        .await
        .expect("the callback is dropped");
    fs::write(volume.path().join("a.json"), json!([]).to_string()).unwrap();
}

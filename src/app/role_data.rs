//! What becomes of each load of role data: published, confirmed, or reported.

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use crate::assignments::store::AssignmentPublisher;
use crate::assignments::watch::{self, WatchHandle};
use crate::assignments::{FileError, LoadError, LoadOutcome, LoadReport, Loaded};
use crate::clock::Clock;
use crate::config::AssignmentFiles;
use crate::metrics::{LoadResult, Metrics, ObjectKind, Source};
use crate::rbac::{AssignmentSet, Census};
use crate::snapshot::{self, Publisher, Snapshot};

/// How long requests may keep what was in force before until it is left to the next outcome.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often they are looked after.
const PAUSE: Duration = Duration::from_millis(5);

/// Takes the outcomes of loads, one after the other.
#[derive(Debug)]
struct RoleDataLoads {
    assignments: AssignmentPublisher,
    metrics: Arc<Metrics>,
    /// What is wrong with the last load, in words, for `/readyz`.
    trouble: Publisher<Option<String>>,
}

/// Loads role data for as long as the handle is held. Beside it, what is wrong with the last load;
/// `None` if it was good.
pub(super) fn keep_loading(
    files: AssignmentFiles,
    publisher: AssignmentPublisher,
    clock: &Arc<dyn Clock>,
    metrics: &Arc<Metrics>,
) -> (WatchHandle, Snapshot<Option<String>>) {
    let loads = RoleDataLoads::new(publisher, Arc::clone(metrics));
    let trouble = loads.trouble.subscribe();
    let watch = watch::spawn(files, Arc::clone(clock), move |outcome| {
        loads.take(outcome);
    });
    (watch, trouble)
}

impl RoleDataLoads {
    fn new(assignments: AssignmentPublisher, metrics: Arc<Metrics>) -> Self {
        let (trouble, _) = snapshot::channel(None);
        Self {
            assignments,
            metrics,
            trouble,
        }
    }

    /// Takes an outcome. Compiles, and waits for what was in force to be let go of, so it must not
    /// run where requests do.
    fn take(&self, outcome: LoadOutcome) {
        self.act_on(outcome);
        let patience = Instant::now() + PATIENCE;
        while !self.assignments.release() && Instant::now() < patience {
            thread::sleep(PAUSE);
        }
    }

    fn act_on(&self, outcome: LoadOutcome) {
        match outcome {
            LoadOutcome::Fresh { loaded, read_at } => {
                // First: nobody sees the new set beside the trouble with the old one.
                self.trouble.publish(None);
                let set = self
                    .assignments
                    .publish(&loaded.data, loaded.fingerprint, read_at);
                let revision = set.revision().to_string();
                self.metrics.snapshot_load(LoadResult::Ok);
                self.metrics.snapshot(&revision, Source::Files);
                self.metrics.snapshot_current(Source::Files, read_at);
                self.count(&loaded, set.census());
                tell(&revision, &loaded.report, &set);
            }
            LoadOutcome::Unchanged { read_at } => {
                if self.trouble.load().is_some() {
                    tracing::info!("role data is again what is in force");
                }
                self.trouble.publish(None);
                self.assignments.confirm(read_at);
                self.metrics.snapshot_load(LoadResult::Unchanged);
                self.metrics.snapshot_current(Source::Files, read_at);
            }
            LoadOutcome::HeldBack { shrunk, .. } => {
                self.metrics.snapshot_load(LoadResult::HeldBack);
                let trouble = format!(
                    "{} went from {} to {}; held back until seen again",
                    shrunk.what, shrunk.from, shrunk.to
                );
                tracing::warn!(trouble, "role data is kept as it was");
                self.trouble.publish(Some(trouble));
            }
            LoadOutcome::Failed(error) => {
                self.metrics.snapshot_load(result_of(&error));
                tracing::error!(%error, "role data cannot be loaded; it is kept as it was");
                self.trouble.publish(Some(error.to_string()));
            }
        }
    }

    fn count(&self, loaded: &Loaded, census: Census) {
        let report = &loaded.report;
        for (kind, count) in [
            (ObjectKind::Assignment, report.role_assignments),
            (ObjectKind::Conditional, census.conditional),
            (ObjectKind::ConditionFolded, census.folded),
            (ObjectKind::Conflict, report.conflicts),
            (ObjectKind::DeletedPrincipal, census.deleted_principal),
            (ObjectKind::DenyAssignment, report.deny_assignments),
            (ObjectKind::Group, report.groups),
            (ObjectKind::OverlayCondition, report.overlay_conditions),
            (ObjectKind::OverlayOrphan, report.overlay_orphans),
            (ObjectKind::Role, report.role_definitions),
            (ObjectKind::ScheduleInstance, report.schedule_instances),
            (
                ObjectKind::UnknownRoleDefinition,
                census.unknown_role_definition,
            ),
            (
                ObjectKind::UnsupportedCondition,
                census.unreadable_conditions,
            ),
        ] {
            self.metrics.snapshot_objects(kind, count);
        }
    }
}

fn result_of(error: &LoadError) -> LoadResult {
    let unreadable =
        |error: &FileError| !matches!(error, FileError::Wire(_) | FileError::Overlay(_));
    if error.problems().iter().any(|(_, error)| unreadable(error)) {
        LoadResult::Io
    } else {
        LoadResult::Schema
    }
}

fn tell(revision: &str, report: &LoadReport, set: &AssignmentSet) {
    let census = set.census();
    tracing::info!(
        revision,
        files = report.files,
        role_assignments = report.role_assignments,
        deny_assignments = report.deny_assignments,
        role_definitions = report.role_definitions,
        groups = report.groups,
        conditions = census.conditions,
        conditions_folded = census.folded,
        overlay_conditions = report.overlay_conditions,
        "role data in force"
    );
    for warning in &report.warnings {
        tracing::warn!(%warning, "role data");
    }
    for condition in set.unreadable() {
        tracing::warn!(
            on = %condition.holder,
            error = %condition.error,
            "a condition cannot be read: it never grants, and on a deny assignment always denies"
        );
    }
    let untold = census
        .unreadable_conditions
        .saturating_sub(set.unreadable().len());
    if untold > 0 {
        tracing::warn!(untold, "more conditions cannot be read");
    }
    if census.unknown_role_definition > 0 {
        let count = census.unknown_role_definition;
        tracing::warn!(
            count,
            "role assignments of roles that are not in the data grant nothing"
        );
    }
    if census.orphan_schedule_instances > 0 {
        let count = census.orphan_schedule_instances;
        tracing::warn!(
            count,
            "PIM schedule instances without their role assignment grant nothing"
        );
    }
}

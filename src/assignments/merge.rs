//! What all files say together.
//!
//! Exports overlap, so the same entry twice is nothing special. The same name with different
//! contents means that one of the files is old or wrong and nobody can tell which: then the
//! outcome is the one that gives less access.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::path::{Path, PathBuf};

use crate::principal::ObjectId;
use crate::rbac::{
    AssignmentId, DenyAssignment, Permission, RoleAssignment, RoleData, RoleDefinitionId,
    ScheduleInstance,
};

use super::builtin;
use super::report::{Item, LoadReport, LoadWarning};
use super::wire::{Parsed, ParsedDefinition};

/// Merges what the files hold, in their order. What it comes to is counted by [`count`].
pub(super) fn merge(files: Vec<(PathBuf, Parsed)>) -> (RoleData, LoadReport) {
    let mut merger = Merger::default();
    for (path, parsed) in files {
        merger.file(&path, parsed);
    }
    merger.finish()
}

/// All versions of what goes by one name, each with the file that had it first.
#[derive(Debug)]
struct Versions<K, V> {
    order: Vec<K>,
    by_name: HashMap<K, Vec<(PathBuf, V)>>,
}

impl<K, V> Default for Versions<K, V> {
    fn default() -> Self {
        Self {
            order: Vec::new(),
            by_name: HashMap::new(),
        }
    }
}

impl<K: Copy + Eq + Hash, V> Versions<K, V> {
    /// Adds a version unless `same` finds it there already, in which case `same` may merge the
    /// two; whether it was there.
    fn add(
        &mut self,
        name: K,
        path: &Path,
        value: V,
        mut same: impl FnMut(&mut V, &V) -> bool,
    ) -> bool {
        let versions = self.by_name.entry(name).or_default();
        if versions.is_empty() {
            self.order.push(name);
        }
        let known = versions.iter_mut().any(|(_, known)| same(known, &value));
        if !known {
            versions.push((path.into(), value));
        }
        known
    }

    /// The names in the order of their first appearance, each with its versions.
    fn into_names(mut self) -> impl Iterator<Item = (K, Vec<(PathBuf, V)>)> {
        self.order
            .into_iter()
            .filter_map(move |name| Some((name, self.by_name.remove(&name)?)))
    }
}

#[derive(Default)]
struct Merger {
    assignments: Versions<AssignmentId, RoleAssignment>,
    definitions: Versions<RoleDefinitionId, ParsedDefinition>,
    denies: Versions<AssignmentId, DenyAssignment>,
    instances: Versions<AssignmentId, ScheduleInstance>,
    groups: Versions<ObjectId, Vec<ObjectId>>,
    report: LoadReport,
}

impl Merger {
    fn file(&mut self, path: &Path, parsed: Parsed) {
        self.report.files += 1;
        self.report.eligibility_skipped += parsed.eligibility_skipped;
        let file = || path.to_path_buf();
        let notes = parsed.notes.into_iter();
        let notes = notes.map(|note| LoadWarning::InFile { file: file(), note });
        self.report.warnings.extend(notes);
        let mut known = 0;
        for one in parsed.role_assignments {
            known += usize::from(self.assignments.add(one.id, path, one, same_assignment));
        }
        for one in parsed.role_definitions {
            let id = one.definition.id;
            known += usize::from(self.definitions.add(id, path, one, same_definition));
        }
        for one in parsed.deny_assignments {
            known += usize::from(self.denies.add(one.id, path, one, |a, b| a == b));
        }
        for one in parsed.schedule_instances {
            known += usize::from(self.instances.add(one.id, path, one, |a, b| a == b));
        }
        for (principal, groups) in parsed.groups {
            known += usize::from(self.groups.add(principal, path, groups, |a, b| a == b));
        }
        self.report.duplicates += known;
    }

    fn finish(self) -> (RoleData, LoadReport) {
        let mut report = self.report;
        let mut data = RoleData {
            role_definitions: builtin::role_definitions(),
            ..RoleData::default()
        };
        for (id, versions) in self.assignments.into_names() {
            data.role_assignments
                .extend(only(&mut report, Item::RoleAssignment(id), versions));
        }
        for (id, versions) in self.definitions.into_names() {
            let overridden = data.role_definitions.remove(&id).is_some();
            report.builtin_overridden += usize::from(overridden);
            report.role_definitions += 1;
            if let Some(one) = only(&mut report, Item::RoleDefinition(id), versions) {
                data.role_definitions.insert(id, one.definition);
            }
        }
        for (id, versions) in self.denies.into_names() {
            note_conflict(&mut report, Item::DenyAssignment(id), &versions);
            data.deny_assignments
                .extend(versions.into_iter().map(|(_, one)| one));
        }
        for (id, versions) in self.instances.into_names() {
            let conflict = note_conflict(&mut report, Item::ScheduleInstance(id), &versions);
            // SECURITY: without any version, an activated assignment would have no end.
            let ended = |one: ScheduleInstance| ScheduleInstance {
                ended: one.ended || conflict,
                ..one
            };
            data.schedule_instances
                .extend(versions.into_iter().map(|(_, one)| ended(one)));
        }
        for (id, versions) in self.groups.into_names() {
            if let Some(groups) = only(&mut report, Item::Groups(id), versions) {
                data.groups.insert(id, groups);
            }
        }
        (data, report)
    }
}

/// The value if there is one version, nothing if there are several.
fn only<V>(report: &mut LoadReport, item: Item, versions: Vec<(PathBuf, V)>) -> Option<V> {
    if note_conflict(report, item, &versions) {
        return None;
    }
    versions.into_iter().next().map(|(_, value)| value)
}

fn note_conflict<V>(report: &mut LoadReport, item: Item, versions: &[(PathBuf, V)]) -> bool {
    let [(first, _), others @ ..] = versions else {
        return false;
    };
    for (second, _) in others {
        let warning = LoadWarning::conflict(item, first, second);
        report.warnings.push(warning);
    }
    report.conflicts += usize::from(!others.is_empty());
    !others.is_empty()
}

/// Counts what is in the data once everything is.
pub(super) fn count(report: &mut LoadReport, data: &RoleData) {
    let assignments = &data.role_assignments;
    let those = |wanted: &dyn Fn(&RoleAssignment) -> bool| {
        assignments.iter().filter(|one| wanted(one)).count()
    };
    report.role_assignments = assignments.len();
    report.conditional = those(&|one| one.condition.is_some());
    report.deleted_principals = those(&|one| one.principal_deleted);
    report.unknown_definitions =
        those(&|one| !data.role_definitions.contains_key(&one.role_definition));
    report.deny_assignments = data.deny_assignments.len();
    report.schedule_instances = data.schedule_instances.len();
    report.groups = data.groups.len();
    if assignments.is_empty() {
        report.warnings.push(LoadWarning::NoRoleAssignments);
    }
}

/// Only PowerShell tells that a principal is deleted; the same assignment from elsewhere does not
/// contradict it.
fn same_assignment(known: &mut RoleAssignment, other: &RoleAssignment) -> bool {
    let deleted = known.principal_deleted || other.principal_deleted;
    let undeleted = |one: &RoleAssignment| RoleAssignment {
        principal_deleted: false,
        ..one.clone()
    };
    let same = undeleted(known) == undeleted(other);
    if same {
        known.principal_deleted = deleted;
    }
    same
}

/// Definitions are the same if they hold the same data actions under the same conditions: names,
/// order, case and white space of patterns, and entries without data actions do not matter. A flattened one is the same
/// as the one it was flattened from, which is the one to keep.
fn same_definition(known: &mut ParsedDefinition, other: &ParsedDefinition) -> bool {
    let known_form = canonical(&known.definition.permissions);
    let other_form = canonical(&other.definition.permissions);
    let same = match (known.flattened, other.flattened) {
        (true, false) => known_form == flatten(&other_form),
        (false, true) => flatten(&known_form) == other_form,
        (true, true) | (false, false) => known_form == other_form,
    };
    if same && known.flattened && !other.flattened {
        *known = other.clone();
    }
    same
}

/// One entry: patterns, subtracted patterns, condition.
type CanonicalEntry = (Vec<String>, Vec<String>, Option<(String, Option<String>)>);

/// The entries of a definition, sorted.
type Canonical = Vec<CanonicalEntry>;

fn canonical(permissions: &[Permission]) -> Canonical {
    let holding = permissions
        .iter()
        .filter(|one| !one.data_actions.is_empty());
    let mut entries: Canonical = holding
        .map(|one| {
            (
                sorted(one.data_actions.iter().map(|p| fold(p))),
                sorted(one.not_data_actions.iter().map(|p| fold(p))),
                one.condition.as_ref().map(|condition| {
                    // A version that is not said is this one.
                    let version = condition.version.as_deref().filter(|said| *said != "2.0");
                    let version = version.map(str::to_owned);
                    (condition.text.to_string(), version)
                }),
            )
        })
        .collect();
    entries.sort_unstable();
    entries.dedup();
    entries
}

/// One entry with what all entries have, as `Get-AzRoleDefinition` shows them. What becomes of
/// several conditions there is not documented, so then nothing is the same.
fn flatten(entries: &Canonical) -> Canonical {
    if entries.len() < 2 || entries.iter().any(|(_, _, condition)| condition.is_some()) {
        return entries.clone();
    }
    let all =
        |pick: fn(&CanonicalEntry) -> &Vec<String>| sorted(entries.iter().flat_map(pick).cloned());
    vec![(all(|one| &one.0), all(|one| &one.1), None)]
}

fn fold(pattern: &str) -> String {
    pattern.trim().to_ascii_lowercase()
}

fn sorted(patterns: impl Iterator<Item = String>) -> Vec<String> {
    let unique: HashSet<String> = patterns.collect();
    let mut patterns: Vec<String> = unique.into_iter().collect();
    patterns.sort_unstable();
    patterns
}

//! What all files say together.
//!
//! Exports overlap, so the same entry twice is nothing special. The same name with different
//! contents means that one of the files is old or wrong and nobody can tell which: then the
//! outcome is the one that gives less access.

use std::collections::{HashMap, HashSet};
use std::hash::Hash;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::principal::{Keyed, ObjectId};
use crate::rbac::{
    AssignmentId, ConditionText, DenyAssignment, Permission, RoleAssignment, RoleData,
    RoleDefinitionId, ScheduleInstance, Scope,
};

use super::builtin;
use super::report::{Item, LoadReport, LoadWarning};
use super::wire::{Parsed, ParsedDefinition};

/// The number of a file, in the order of the load.
type FileNumber = u32;

/// All versions of what goes by one name, each with the file that had it first.
#[derive(Debug)]
struct Versions<K, V> {
    /// In the order of their first appearance.
    list: Vec<Named<K, V>>,
    by_name: HashMap<K, usize, Keyed>,
}

#[derive(Debug)]
struct Named<K, V> {
    name: K,
    first: (FileNumber, V),
    /// There hardly ever are any.
    others: Vec<(FileNumber, V)>,
}

impl<K, V> Default for Versions<K, V> {
    fn default() -> Self {
        Self {
            list: Vec::new(),
            by_name: HashMap::default(),
        }
    }
}

impl<K, V> Named<K, V> {
    fn into_values(self) -> impl Iterator<Item = V> {
        let all = std::iter::once(self.first).chain(self.others);
        all.map(|(_, value)| value)
    }
}

impl<K: Copy + Eq + Hash, V> Versions<K, V> {
    /// Adds a version unless `same` finds it there already, in which case `same` may merge the
    /// two; whether it was there.
    fn add(
        &mut self,
        name: K,
        file: FileNumber,
        value: V,
        mut same: impl FnMut(&mut V, &V) -> bool,
    ) -> bool {
        let at = *self.by_name.entry(name).or_insert(self.list.len());
        let Some(named) = self.list.get_mut(at) else {
            let first = (file, value);
            let others = Vec::new();
            self.list.push(Named {
                name,
                first,
                others,
            });
            return false;
        };
        let mut versions = std::iter::once(&mut named.first).chain(&mut named.others);
        let known = versions.any(|(_, known)| same(known, &value));
        if !known {
            named.others.push((file, value));
        }
        known
    }
}

/// Gathers what the files hold, in their order. What it comes to is counted by [`count`].
#[derive(Default)]
pub(super) struct Merger {
    files: Vec<PathBuf>,
    /// As they came, each with its file: there may be a million, so those of one name are looked
    /// for once, when all are there.
    assignments: Vec<RoleAssignment>,
    assignment_files: Vec<FileNumber>,
    definitions: Versions<RoleDefinitionId, ParsedDefinition>,
    denies: Versions<AssignmentId, DenyAssignment>,
    instances: Versions<AssignmentId, ScheduleInstance>,
    groups: Versions<ObjectId, Vec<ObjectId>>,
    texts: Texts,
    report: LoadReport,
}

/// Texts that many entries have, each kept once.
#[derive(Default)]
struct Texts {
    scopes: HashSet<Scope, Keyed>,
    conditions: HashSet<Arc<str>, Keyed>,
}

impl Texts {
    fn share(&mut self, assignment: &mut RoleAssignment) {
        match self.scopes.get(&assignment.scope) {
            Some(known) => assignment.scope = known.clone(),
            None => {
                self.scopes.insert(assignment.scope.clone());
            }
        }
        if let Some(ConditionText { text, version }) = &mut assignment.condition {
            self.share_text(text);
            if let Some(version) = version {
                self.share_text(version);
            }
        }
    }

    fn share_text(&mut self, text: &mut Arc<str>) {
        match self.conditions.get(text) {
            Some(known) => *text = Arc::clone(known),
            None => {
                self.conditions.insert(Arc::clone(text));
            }
        }
    }
}

impl Merger {
    /// Adds the next file.
    pub(super) fn file(&mut self, path: &Path, parsed: Parsed) {
        let file = FileNumber::try_from(self.files.len()).unwrap_or(FileNumber::MAX);
        self.files.push(path.to_path_buf());
        self.report.files += 1;
        self.report.eligibility_skipped += parsed.eligibility_skipped;
        let notes = parsed.notes.into_iter();
        let notes = notes.map(|note| LoadWarning::InFile {
            file: path.to_path_buf(),
            note,
        });
        self.report.warnings.extend(notes);
        let count = parsed.role_assignments.len();
        self.assignment_files
            .extend(std::iter::repeat_n(file, count));
        for mut one in parsed.role_assignments {
            self.texts.share(&mut one);
            self.assignments.push(one);
        }
        let mut known = 0;
        for one in parsed.role_definitions {
            let id = one.definition.id;
            known += usize::from(self.definitions.add(id, file, one, same_definition));
        }
        for one in parsed.deny_assignments {
            known += usize::from(self.denies.add(one.id, file, one, |a, b| a == b));
        }
        for one in parsed.schedule_instances {
            known += usize::from(self.instances.add(one.id, file, one, |a, b| a == b));
        }
        for (principal, groups) in parsed.groups {
            known += usize::from(self.groups.add(principal, file, groups, |a, b| a == b));
        }
        self.report.duplicates += known;
    }

    /// What all files say together.
    pub(super) fn finish(mut self) -> (RoleData, LoadReport) {
        drop(std::mem::take(&mut self.texts));
        let assignments = std::mem::take(&mut self.assignments);
        let files = std::mem::take(&mut self.assignment_files);
        let role_assignments = self.settle_assignments(assignments, &files);
        let mut data = RoleData {
            role_assignments,
            role_definitions: builtin::role_definitions(),
            ..RoleData::default()
        };
        let (files, mut report) = (self.files, self.report);
        for named in self.definitions.list {
            let overridden = data.role_definitions.remove(&named.name).is_some();
            report.builtin_overridden += usize::from(overridden);
            report.role_definitions += 1;
            let item = Item::RoleDefinition(named.name);
            if let Some(one) = only(&mut report, item, named, &files) {
                data.role_definitions
                    .insert(one.definition.id, one.definition);
            }
        }
        for named in self.denies.list {
            note_conflict(
                &mut report,
                Item::DenyAssignment(named.name),
                &named,
                &files,
            );
            data.deny_assignments.extend(named.into_values());
        }
        for named in self.instances.list {
            let item = Item::ScheduleInstance(named.name);
            let conflict = note_conflict(&mut report, item, &named, &files);
            // SECURITY: without any version, an activated assignment would have no end.
            let ended = |one: ScheduleInstance| ScheduleInstance {
                ended: one.ended || conflict,
                ..one
            };
            data.schedule_instances
                .extend(named.into_values().map(ended));
        }
        data.groups.reserve(self.groups.list.len());
        for named in self.groups.list {
            let principal = named.name;
            if let Some(groups) = only(&mut report, Item::Groups(principal), named, &files) {
                data.groups.insert(principal, groups);
            }
        }
        (data, report)
    }

    /// One of each name, in the order of their first appearance; none of a name that is given
    /// different contents.
    fn settle_assignments(
        &mut self,
        mut assignments: Vec<RoleAssignment>,
        files: &[FileNumber],
    ) -> Vec<RoleAssignment> {
        let mut versions: Versions<AssignmentId, usize> = Versions::default();
        let repeated = repeated(&assignments);
        let mut dropped = HashSet::new();
        for at in repeated {
            let Some(one) = assignments.get(at) else {
                continue;
            };
            let (id, deleted) = (one.id, one.principal_deleted);
            let file = files.get(at).copied().unwrap_or_default();
            let same = |known: &mut usize, at: &usize| {
                let same = matches!(
                    (assignments.get(*known), assignments.get(*at)),
                    (Some(known), Some(other)) if is_same_assignment(known, other)
                );
                if same
                    && deleted
                    && let Some(known) = assignments.get_mut(*known)
                {
                    known.principal_deleted = true;
                }
                same
            };
            if versions.add(id, file, at, same) {
                self.report.duplicates += 1;
                dropped.insert(at);
            }
        }
        for named in versions.list {
            let item = Item::RoleAssignment(named.name);
            if note_conflict(&mut self.report, item, &named, &self.files) {
                dropped.extend(named.into_values());
            }
        }
        if !dropped.is_empty() {
            let mut at = 0..;
            assignments.retain(|_| at.next().is_none_or(|at| !dropped.contains(&at)));
        }
        assignments
    }
}

/// Where the assignments are whose names occur more than once, in their order.
fn repeated(assignments: &[RoleAssignment]) -> Vec<usize> {
    let names = assignments.iter().enumerate();
    let mut names: Vec<(AssignmentId, usize)> = names.map(|(at, one)| (one.id, at)).collect();
    names.sort_unstable();
    let runs = names.chunk_by(|(one, _), (other, _)| one == other);
    let mut repeated: Vec<usize> = runs
        .filter(|run| run.len() > 1)
        .flatten()
        .map(|(_, at)| *at)
        .collect();
    repeated.sort_unstable();
    repeated
}

/// The value if there is one version, nothing if there are several.
fn only<K, V>(
    report: &mut LoadReport,
    item: Item,
    named: Named<K, V>,
    files: &[PathBuf],
) -> Option<V> {
    let conflict = note_conflict(report, item, &named, files);
    let (_, value) = named.first;
    (!conflict).then_some(value)
}

fn note_conflict<K, V>(
    report: &mut LoadReport,
    item: Item,
    named: &Named<K, V>,
    files: &[PathBuf],
) -> bool {
    let path = |number: FileNumber| {
        let path = usize::try_from(number).ok().and_then(|at| files.get(at));
        path.map_or(Path::new(""), PathBuf::as_path)
    };
    let (first, _) = named.first;
    for (second, _) in &named.others {
        let warning = LoadWarning::conflict(item, path(first), path(*second));
        report.warnings.push(warning);
    }
    report.conflicts += usize::from(!named.others.is_empty());
    !named.others.is_empty()
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
fn is_same_assignment(known: &RoleAssignment, other: &RoleAssignment) -> bool {
    let with_its = RoleAssignment {
        principal_deleted: known.principal_deleted,
        ..other.clone()
    };
    *known == with_its
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

//! Overlays on top of what the exports say.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

use crate::assignments::report::{LoadReport, LoadWarning};
use crate::rbac::{AssignmentId, RoleData, RoleDefinitionId};

use super::error::{OverlayEntry, OverlayError, OverlayErrors};
use super::{Overlay, OverlayAssignment, RoleReference};

/// Adds `overlays` to `data`, in their order.
///
/// A role that is not in the data, a condition on an assignment that is not, and an assignment whose
/// name an exported one has, are warnings: an error would keep in force what the exports have
/// withdrawn.
pub(in crate::assignments) fn apply(
    overlays: Vec<(PathBuf, Overlay)>,
    data: &mut RoleData,
    report: &mut LoadReport,
) -> Result<(), Vec<(PathBuf, OverlayErrors)>> {
    let exported = exported(&overlays, data);
    let mut names = HashSet::new();
    let roles = Roles::of(data);
    let mut problems = Vec::new();
    for (file, overlay) in overlays {
        report.overlay_files += 1;
        report.overlay_conditions += overlay.conditions.len();
        let mut errors = OverlayErrors::default();
        for (index, one) in overlay.role_assignments.into_iter().enumerate() {
            if !names.insert(one.id) {
                let entry = OverlayEntry::RoleAssignment(index);
                errors.push(OverlayError::Twice(entry, "name"));
            }
            if exported.contains(&one.id) {
                report.warnings.push(LoadWarning::OverlayTaken {
                    file: file.clone(),
                    assignment: one.id,
                });
            } else if let Some(role) = roles.find(&one, &file, report) {
                data.role_assignments.push(one.with_role(role));
            }
        }
        for (id, condition) in overlay.conditions {
            data.overlay_conditions
                .entry(id)
                .or_default()
                .push(condition);
        }
        for (index, (principal, attributes)) in overlay.custom_attributes.into_iter().enumerate() {
            let known = data.custom_attributes.insert(principal, attributes);
            if known.is_some() {
                let entry = OverlayEntry::CustomSecurityAttributes(index);
                errors.push(OverlayError::Twice(entry, "principal_id"));
            }
        }
        problems.extend(errors.unless_any(()).err().map(|errors| (file, errors)));
    }
    note_orphans(data, report);
    if problems.is_empty() {
        Ok(())
    } else {
        Err(problems)
    }
}

/// The names of exported assignments that overlays give to theirs.
fn exported(overlays: &[(PathBuf, Overlay)], data: &RoleData) -> HashSet<AssignmentId> {
    let given = overlays
        .iter()
        .flat_map(|(_, overlay)| &overlay.role_assignments);
    let given: HashSet<AssignmentId> = given.map(|one| one.id).collect();
    present(data, |id| given.contains(id))
}

/// The names of assignments in the data that are wanted: an overlay names a few of a million.
fn present(data: &RoleData, wanted: impl Fn(&AssignmentId) -> bool) -> HashSet<AssignmentId> {
    let names = data.role_assignments.iter().map(|one| one.id);
    names.filter(wanted).collect()
}

/// Role definitions by display name, which need not be unique.
struct Roles(HashMap<Box<str>, Vec<RoleDefinitionId>>);

impl Roles {
    fn of(data: &RoleData) -> Self {
        let mut by_name: HashMap<Box<str>, Vec<RoleDefinitionId>> = HashMap::new();
        for (id, role) in &data.role_definitions {
            by_name.entry((&*role.name).into()).or_default().push(*id);
        }
        Self(by_name)
    }

    /// The role an assignment names; `None`, with a warning, if there is not exactly one.
    fn find(
        &self,
        assignment: &OverlayAssignment,
        file: &Path,
        report: &mut LoadReport,
    ) -> Option<RoleDefinitionId> {
        let name = match &assignment.role {
            RoleReference::Id(id) => return Some(*id),
            RoleReference::Name(name) => name,
        };
        let found = self.0.get(name).map_or(&[][..], Vec::as_slice);
        if let [one] = found {
            return Some(*one);
        }
        report.warnings.push(LoadWarning::OverlayRole {
            file: file.into(),
            assignment: assignment.id,
            found: found.len(),
        });
        None
    }
}

fn note_orphans(data: &RoleData, report: &mut LoadReport) {
    let known = present(data, |id| data.overlay_conditions.contains_key(id));
    let mut orphans: Vec<_> = data
        .overlay_conditions
        .iter()
        .filter(|(id, _)| !known.contains(id))
        .collect();
    orphans.sort_unstable_by_key(|(id, _)| **id);
    for (id, conditions) in orphans {
        report.overlay_orphans += conditions.len();
        report.warnings.push(LoadWarning::OverlayOrphan(*id));
    }
}

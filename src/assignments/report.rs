//! What a load found: counts for metrics, warnings for people.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::principal::ObjectId;
use crate::rbac::{AssignmentId, RoleDefinitionId};

use super::wire::Note;

/// What a load found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LoadReport {
    /// Files read.
    pub files: usize,
    /// Role assignments in the data.
    pub role_assignments: usize,
    /// Role definitions from files; the compiled-in ones are not counted.
    pub role_definitions: usize,
    /// Deny assignments in the data.
    pub deny_assignments: usize,
    /// Role assignment schedule instances in the data.
    pub schedule_instances: usize,
    /// Role eligibility schedule instances in the files. They grant nothing and are not in the
    /// data.
    pub eligibility_skipped: usize,
    /// Principals whose groups are known.
    pub groups: usize,
    /// Role assignments with a condition.
    pub conditional: usize,
    /// Role assignments whose principal is deleted. They grant nothing.
    pub deleted_principals: usize,
    /// Role assignments whose role definition is not in the data. They grant nothing.
    pub unknown_definitions: usize,
    /// Entries that repeat another one exactly, as overlapping exports do.
    pub duplicates: usize,
    /// Names that were given different contents; see [`LoadWarning::Conflict`].
    pub conflicts: usize,
    /// Compiled-in role definitions that a file gives as well; the file's counts.
    pub builtin_overridden: usize,
    /// Overlay files read.
    pub overlay_files: usize,
    /// Conditions on role assignments from overlay files.
    pub overlay_conditions: usize,
    /// Those of them whose role assignment is not in the data.
    pub overlay_orphans: usize,
    /// What an operator should know.
    pub warnings: Vec<LoadWarning>,
}

/// What was given twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// A deny assignment: all versions stay.
    DenyAssignment(AssignmentId),
    /// The groups of a principal: they become unknown.
    Groups(ObjectId),
    /// A role assignment: no version stays.
    RoleAssignment(AssignmentId),
    /// A role definition: no version stays, and assignments of the role grant nothing.
    RoleDefinition(RoleDefinitionId),
    /// A role assignment schedule instance: all versions stay and count as ended.
    ScheduleInstance(AssignmentId),
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DenyAssignment(id) => write!(f, "deny assignment `{id}`"),
            Self::Groups(id) => write!(f, "the groups of principal `{id}`"),
            Self::RoleAssignment(id) => write!(f, "role assignment `{id}`"),
            Self::RoleDefinition(id) => write!(f, "role definition `{id}`"),
            Self::ScheduleInstance(id) => write!(f, "role assignment schedule instance `{id}`"),
        }
    }
}

impl Item {
    /// What becomes of it when two files tell it differently; always less access, never more.
    const fn consequence(self) -> &'static str {
        match self {
            Self::DenyAssignment(_) => "both deny",
            Self::Groups(_) => "they count as unknown",
            Self::RoleAssignment(_) => "neither grants",
            Self::RoleDefinition(_) => "its assignments grant nothing",
            Self::ScheduleInstance(_) => "it counts as ended",
        }
    }
}

/// What an operator should know about a load that succeeded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LoadWarning {
    /// The same name with different contents.
    Conflict {
        /// What.
        item: Item,
        /// The file that has it first.
        first: PathBuf,
        /// The file that has it differently; the same file if it has it twice.
        second: PathBuf,
    },
    /// Something odd in one file.
    InFile {
        /// The file.
        file: PathBuf,
        /// What.
        note: Note,
    },
    /// An overlay file has a condition on a role assignment that is not in the data.
    OverlayOrphan(AssignmentId),
    /// A role assignment of an overlay file names a role by a display name that is not that of
    /// exactly one role definition. It is left out.
    OverlayRole {
        /// The file.
        file: PathBuf,
        /// The assignment.
        assignment: AssignmentId,
        /// How many role definitions have the name.
        found: usize,
    },
    /// A role assignment of an overlay file has the name of an exported one. It is left out: an
    /// error would let whoever picks names in Azure keep in force what has been withdrawn.
    OverlayTaken {
        /// The file.
        file: PathBuf,
        /// The assignment.
        assignment: AssignmentId,
    },
    /// There is no role assignment in any file: every request will be denied.
    NoRoleAssignments,
}

impl LoadWarning {
    pub(super) fn conflict(item: Item, first: &Path, second: &Path) -> Self {
        Self::Conflict {
            item,
            first: first.into(),
            second: second.into(),
        }
    }
}

impl fmt::Display for LoadWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Conflict {
                item,
                first,
                second,
            } => write!(
                f,
                "{item} differs between `{}` and `{}`; {}",
                first.display(),
                second.display(),
                item.consequence()
            ),
            Self::InFile { file, note } => write!(f, "`{}`: {note}", file.display()),
            Self::OverlayOrphan(id) => write!(
                f,
                "an overlay file has a condition on role assignment `{id}`, which is not in the data"
            ),
            Self::OverlayRole {
                file,
                assignment,
                found,
            } => write!(
                f,
                "`{}`: role assignment `{assignment}` grants nothing: {found} role definitions \
                 have the display name in its `role_definition_id`",
                file.display()
            ),
            Self::OverlayTaken { file, assignment } => write!(
                f,
                "`{}`: role assignment `{assignment}` grants nothing: an exported one has its name",
                file.display()
            ),
            Self::NoRoleAssignments => {
                f.write_str("no role assignment in any file; every request will be denied")
            }
        }
    }
}

//! What an entry is: told by its `type`, its id and the fields only one kind has.

use std::fmt;

use super::error::EntryError;
use super::fields::Fields;

/// The kinds of role data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// `denyAssignments`
    DenyAssignment,
    /// `roleEligibilityScheduleInstances`: roles that may be activated and grant nothing.
    EligibilityInstance,
    /// `roleAssignments`
    RoleAssignment,
    /// `roleDefinitions`
    RoleDefinition,
    /// `roleAssignmentScheduleInstances`
    ScheduleInstance,
}

impl Kind {
    /// The kind of the resource type `Microsoft.Authorization/{collection}`.
    pub(super) fn of_collection(collection: &str) -> Option<Self> {
        let kinds = [
            ("denyAssignments", Self::DenyAssignment),
            (
                "roleEligibilityScheduleInstances",
                Self::EligibilityInstance,
            ),
            ("roleAssignments", Self::RoleAssignment),
            ("roleDefinitions", Self::RoleDefinition),
            ("roleAssignmentScheduleInstances", Self::ScheduleInstance),
        ];
        let same = |name: &str| name.eq_ignore_ascii_case(collection);
        kinds
            .into_iter()
            .find_map(|(name, kind)| same(name).then_some(kind))
    }

    /// The kind that the URL of a listing asks for: its path ends in
    /// `/providers/Microsoft.Authorization/{collection}`.
    pub(super) fn of_listing(url: &str) -> Option<Self> {
        let path = url.split(['?', '#']).next().unwrap_or("");
        Self::of_collection(path.rsplit('/').next().unwrap_or(""))
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::DenyAssignment => "deny assignment",
            Self::EligibilityInstance => "role eligibility schedule instance",
            Self::RoleAssignment => "role assignment",
            Self::RoleDefinition => "role definition",
            Self::ScheduleInstance => "role assignment schedule instance",
        })
    }
}

/// Fields that only one kind has.
const MARKS: [(&str, Kind); 9] = [
    ("assignableScopes", Kind::RoleDefinition),
    ("denyAssignmentName", Kind::DenyAssignment),
    ("doNotApplyToChildScopes", Kind::DenyAssignment),
    ("excludePrincipals", Kind::DenyAssignment),
    ("originRoleAssignmentId", Kind::ScheduleInstance),
    ("roleAssignmentId", Kind::RoleAssignment),
    ("roleAssignmentName", Kind::RoleAssignment),
    ("roleAssignmentScheduleId", Kind::ScheduleInstance),
    ("roleEligibilityScheduleId", Kind::EligibilityInstance),
];

/// Tells what an entry is.
///
/// SECURITY: all that speaks must agree. An eligibility instance that lost its `type`, or says
/// another one, must not pass for a role assignment; that `principalId` and `roleDefinitionId`
/// are there proves nothing, for several kinds have them.
///
/// # Errors
/// [`EntryError::UnknownKind`] if nothing speaks or `type` is something else,
/// [`EntryError::MixedKinds`] if they disagree.
pub(super) fn recognise(fields: &Fields<'_>) -> Result<Kind, EntryError> {
    let mut kinds = Vec::new();
    if let Some(text) = fields.outer_text("type")? {
        let collection = strip_namespace(text).and_then(Kind::of_collection);
        kinds.push(collection.ok_or(EntryError::UnknownKind)?);
    }
    for field in ["id", "roleAssignmentId"] {
        let Some(id) = fields.outer_text(field)? else {
            continue;
        };
        let mut segments = id.rsplit('/').skip(1);
        if let (Some(collection), Some(namespace)) = (segments.next(), segments.next())
            && namespace.eq_ignore_ascii_case(NAMESPACE)
        {
            kinds.push(Kind::of_collection(collection).ok_or(EntryError::UnknownKind)?);
        }
    }
    let marked = MARKS.iter().filter(|(field, _)| fields.has(field));
    kinds.extend(marked.map(|&(_, kind)| kind));
    let first = *kinds.first().ok_or(EntryError::UnknownKind)?;
    match kinds.iter().find(|&&kind| kind != first) {
        Some(&other) => Err(EntryError::MixedKinds(first, other)),
        None => Ok(first),
    }
}

const NAMESPACE: &str = "Microsoft.Authorization";

fn strip_namespace(text: &str) -> Option<&str> {
    let (namespace, collection) = text.split_once('/')?;
    namespace
        .eq_ignore_ascii_case(NAMESPACE)
        .then_some(collection)
}

//! What Azure stores: role assignments, deny assignments and PIM schedule instances.
//!
//! These are plain values, as read from Azure and checked one by one. [`super::AssignmentSet`]
//! compiles them for deciding.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::SystemTime;

use crate::attributes::CustomAttributes;
use crate::principal::{ObjectId, guid_type};

use super::role::{Permission, RoleDefinition, RoleDefinitionId};
use super::scope::Scope;

guid_type! {
    /// The name of a role assignment: a GUID, unique in the tenant.
    AssignmentId
}

/// An ABAC condition as Azure stores it. Clones share the text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ConditionText {
    /// The expression.
    pub text: Arc<str>,
    /// `conditionVersion`; Azure writes `2.0`.
    pub version: Option<Arc<str>>,
}

/// Who made a role assignment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Origin {
    /// Somebody in Azure; conditions are read as Azure takes them.
    Azure,
    /// An overlay file; conditions are read strictly.
    Overlay,
}

/// A principal holds a role at a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleAssignment {
    /// Its name.
    pub id: AssignmentId,
    /// Who made it.
    pub origin: Origin,
    /// Where it applies, with everything below.
    pub scope: Scope,
    /// Who holds the role: a user, group or service principal.
    pub principal: ObjectId,
    /// The role.
    pub role_definition: RoleDefinitionId,
    /// What must hold besides.
    pub condition: Option<ConditionText>,
    /// Whether the export says that the principal is deleted (`Unknown`, "identity not found").
    pub principal_deleted: bool,
}

/// The kinds of principal a deny assignment names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrincipalType {
    /// A group, or a group of another tenant.
    Group,
    /// A user, service principal or device: something that has no members.
    Single,
    /// `SystemDefined` with the all-zero id: everyone.
    Everyone,
    /// Not said, or a word we do not know; it may be a group.
    Unknown,
}

/// One entry of `principals` or `excludePrincipals`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct DenyPrincipal {
    /// Its object id; all zero for everyone.
    pub id: ObjectId,
    /// What it is.
    pub kind: PrincipalType,
}

/// What a deny assignment does when it applies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DenyEffect {
    /// It is logged by Azure and blocks nothing.
    Audit,
    /// It blocks. Also every effect that is missing or that we do not know.
    Enforced,
}

/// A deny assignment: it wins over every role assignment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DenyAssignment {
    /// Its name.
    pub id: AssignmentId,
    /// Where it applies.
    pub scope: Scope,
    /// Whether it applies at `scope` only and not below.
    pub does_not_apply_to_child_scopes: bool,
    /// Whom it hits.
    pub principals: Vec<DenyPrincipal>,
    /// Whom it spares.
    pub exclude_principals: Vec<DenyPrincipal>,
    /// What it takes away.
    pub permissions: Vec<Permission>,
    /// Whether it blocks.
    pub effect: DenyEffect,
    /// A condition on the whole; how Azure treats one is undocumented.
    pub condition: Option<ConditionText>,
}

/// A span of time: `start <= now < end`; a missing bound is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Window {
    /// The first instant inside.
    pub start: Option<SystemTime>,
    /// The first instant after.
    pub end: Option<SystemTime>,
}

impl Window {
    /// Whether `now` is inside.
    pub fn contains(&self, now: SystemTime) -> bool {
        self.start.is_none_or(|start| start <= now) && self.end.is_none_or(|end| now < end)
    }

    /// Whether no instant is outside.
    pub const fn is_unbounded(&self) -> bool {
        self.start.is_none() && self.end.is_none()
    }
}

/// How a schedule instance reaches its principal (`memberType`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MemberType {
    /// Assigned to the principal at this scope, or not said.
    Direct,
    /// Through a group; membership decides, so the instance repeats that of the group's own
    /// assignment.
    Group,
    /// From a scope above.
    Inherited,
}

/// A PIM role assignment schedule instance: it bounds the role assignment behind it in time.
///
/// Eligibility is not here: an eligible principal holds nothing until it activates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleInstance {
    /// Its name.
    pub id: AssignmentId,
    /// The role assignment it stands behind (`originRoleAssignmentId`).
    pub origin: Option<AssignmentId>,
    /// Where it applies, with everything below.
    pub scope: Scope,
    /// Who holds the role.
    pub principal: ObjectId,
    /// The role.
    pub role_definition: RoleDefinitionId,
    /// When.
    pub window: Window,
    /// Whether its status is one that cannot grant, such as `Revoked` or `Failed`.
    pub ended: bool,
    /// How it reaches the principal.
    pub member_type: MemberType,
    /// What must hold besides.
    pub condition: Option<ConditionText>,
}

/// All role data of a tenant that one load gave, before it is compiled.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RoleData {
    /// Role assignments.
    pub role_assignments: Vec<RoleAssignment>,
    /// Role definitions, built-in ones included.
    pub role_definitions: HashMap<RoleDefinitionId, RoleDefinition>,
    /// Deny assignments.
    pub deny_assignments: Vec<DenyAssignment>,
    /// PIM schedule instances.
    pub schedule_instances: Vec<ScheduleInstance>,
    /// Transitive groups by principal; a principal that is absent is one whose groups are unknown.
    pub groups: HashMap<ObjectId, Vec<ObjectId>>,
    /// Conditions that overlay files put on role assignments besides their own; all must hold.
    pub overlay_conditions: HashMap<AssignmentId, Vec<ConditionText>>,
    /// Custom security attributes by principal.
    pub custom_attributes: HashMap<ObjectId, CustomAttributes>,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_window_includes_its_start_and_excludes_its_end() {
        let at = |s| SystemTime::UNIX_EPOCH + Duration::from_secs(s);
        let window = Window {
            start: Some(at(10)),
            end: Some(at(20)),
        };
        assert!(!window.contains(at(9)));
        assert!(window.contains(at(10)));
        assert!(window.contains(at(19)));
        assert!(!window.contains(at(20)));
        assert!(Window::default().contains(at(0)) && Window::default().is_unbounded());
    }
}

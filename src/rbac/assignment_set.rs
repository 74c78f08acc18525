//! Role data, compiled once per load for deciding many times.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::keyvault::DataActionSet;
use crate::principal::ObjectId;

use super::assignment::{
    AssignmentId, DenyAssignment, DenyEffect, DenyPrincipal, MemberType, RoleAssignment, RoleData,
    ScheduleInstance, Window,
};
use super::role::{RoleDefinition, RoleDefinitionId};
use super::scope::{ManagementGroup, Scope};

/// Which load of role data a decision rests on: the SHA-256 of what was loaded.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Revision([u8; 32]);

impl Revision {
    /// Names the revision of data with this fingerprint.
    pub const fn of(fingerprint: [u8; 32]) -> Self {
        Self(fingerprint)
    }
}

impl fmt::Display for Revision {
    /// The first 12 hexadecimal digits, which is what records and metrics show.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .take(6)
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A vault as a place in the resource tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultScope {
    /// Its resource id.
    pub scope: Scope,
    /// The management groups above its subscription, if they are known.
    pub management_groups: Option<Vec<ManagementGroup>>,
}

impl VaultScope {
    /// Whether `scope` is the vault or above it; `None` for a management group of which that is
    /// not known.
    pub(super) fn is_below(&self, scope: &Scope) -> Option<bool> {
        match scope.management_group() {
            Some(group) => Some(self.management_groups.as_ref()?.contains(&group)),
            None => Some(scope.contains(&self.scope)),
        }
    }
}

/// What a load held, for the log and the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Role assignments that can grant.
    pub granting: usize,
    /// Those with a condition, which grant nothing until conditions are evaluated.
    pub conditional: usize,
    /// Those whose role definition is not in the data.
    pub unknown_role_definition: usize,
    /// Those of deleted principals.
    pub deleted_principal: usize,
    /// PIM schedule instances whose role assignment is not in the data; they grant nothing.
    pub orphan_schedule_instances: usize,
    /// Deny assignments that block.
    pub deny_assignments: usize,
    /// Role definitions.
    pub role_definitions: usize,
    /// Principals whose groups are known.
    pub group_members: usize,
}

/// When a grant holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Validity {
    Always,
    /// Inside any of these.
    During(Vec<Window>),
}

impl Validity {
    pub(super) fn contains(&self, now: SystemTime) -> bool {
        match self {
            Self::Always => true,
            Self::During(windows) => windows.iter().any(|window| window.contains(now)),
        }
    }
}

/// A role assignment, compiled.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) assignment: AssignmentId,
    pub(super) role: RoleDefinitionId,
    /// `None` if the definition is not in the data.
    pub(super) role_name: Option<Arc<str>>,
    pub(super) scope: Scope,
    /// What it grants without a condition.
    pub(super) held: DataActionSet,
    /// What it would grant if a condition held.
    pub(super) conditional: DataActionSet,
    /// What its role names before `NotDataActions` are subtracted.
    pub(super) named: DataActionSet,
    pub(super) validity: Validity,
}

/// A deny assignment, compiled.
#[derive(Clone, Debug)]
pub(super) struct Deny {
    pub(super) assignment: AssignmentId,
    pub(super) scope: Scope,
    pub(super) here_only: bool,
    pub(super) principals: Vec<DenyPrincipal>,
    pub(super) excluded: Vec<DenyPrincipal>,
    pub(super) denied: DataActionSet,
}

/// The role data of one load, compiled. Immutable; replaced whole.
#[derive(Clone, Debug)]
pub struct AssignmentSet {
    revision: Revision,
    pub(super) vaults: Vec<VaultScope>,
    pub(super) grants: HashMap<ObjectId, Vec<Arc<Grant>>>,
    pub(super) denies: Vec<Arc<Deny>>,
    pub(super) groups: HashMap<ObjectId, Arc<[ObjectId]>>,
    census: Census,
}

impl AssignmentSet {
    /// Compiles `data` for deciding on `vaults`, which are known by their index from here on.
    ///
    /// Cost: linear in the assignments, plus one expansion of patterns per role definition.
    pub fn compile(data: &RoleData, vaults: &[VaultScope], revision: Revision) -> Self {
        let roles: HashMap<_, _> = data
            .role_definitions
            .iter()
            .map(|(id, role)| (*id, RoleActions::of(role)))
            .collect();
        let mut census = Census {
            role_definitions: roles.len(),
            group_members: data.groups.len(),
            ..Census::default()
        };
        let mut grants: HashMap<ObjectId, Vec<Arc<Grant>>> = HashMap::new();
        for (principal, grant) in all_grants(data, &roles, &mut census) {
            grants.entry(principal).or_default().push(Arc::new(grant));
        }
        let denies: Vec<Arc<Deny>> = data
            .deny_assignments
            .iter()
            .filter_map(compile_deny)
            .map(Arc::new)
            .collect();
        census.deny_assignments = denies.len();
        let groups = data
            .groups
            .iter()
            .map(|(id, groups)| (*id, groups.as_slice().into()))
            .collect();
        Self {
            revision,
            vaults: vaults.to_vec(),
            grants,
            denies,
            groups,
            census,
        }
    }

    /// Which load this is.
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// What it holds.
    pub const fn census(&self) -> Census {
        self.census
    }
}

/// The actions of one role definition.
struct RoleActions {
    name: Arc<str>,
    held: DataActionSet,
    conditional: DataActionSet,
    named: DataActionSet,
}

impl RoleActions {
    fn of(role: &RoleDefinition) -> Self {
        let mut actions = Self {
            name: role.name.clone(),
            held: DataActionSet::EMPTY,
            conditional: DataActionSet::EMPTY,
            named: DataActionSet::EMPTY,
        };
        for entry in &role.permissions {
            actions.named = actions.named.union(entry.named());
            let set = match entry.condition {
                None => &mut actions.held,
                Some(_) => &mut actions.conditional,
            };
            *set = set.union(entry.held());
        }
        actions
    }
}

/// What a role assignment says: who holds which role where.
type Said<'data> = (ObjectId, RoleDefinitionId, &'data Scope);

fn said_by(assignment: &RoleAssignment) -> Said<'_> {
    (
        assignment.principal,
        assignment.role_definition,
        &assignment.scope,
    )
}

fn repeated_by(instance: &ScheduleInstance) -> Said<'_> {
    (
        instance.principal,
        instance.role_definition,
        &instance.scope,
    )
}

/// Schedule instances by the role assignment they stand behind.
#[derive(Default)]
struct Schedules<'data> {
    named: HashMap<AssignmentId, Vec<&'data ScheduleInstance>>,
    /// Those that do not name it; they say the same as it.
    unnamed: HashMap<Said<'data>, Vec<&'data ScheduleInstance>>,
}

impl<'data> Schedules<'data> {
    fn of(data: &'data RoleData) -> Self {
        let mut schedules = Self::default();
        for instance in &data.schedule_instances {
            let named = instance.origin.unwrap_or(instance.id);
            schedules.named.entry(named).or_default().push(instance);
            if instance.origin.is_none() {
                let unnamed = schedules.unnamed.entry(repeated_by(instance));
                unnamed.or_default().push(instance);
            }
        }
        schedules
    }

    fn behind(&self, assignment: &RoleAssignment) -> Vec<&'data ScheduleInstance> {
        let named = self.named.get(&assignment.id);
        let unnamed = self.unnamed.get(&said_by(assignment));
        let found = named.into_iter().chain(unnamed);
        found.flatten().copied().collect()
    }
}

/// Those of `found`, the instances that stand behind `assignment`, that bound it in time.
///
/// An instance that reaches its principal through a group repeats the group's own, so the latter
/// counts. SECURITY: an export made for one person lists nothing but the former; those that name
/// the group's assignment then bound it, which would otherwise have no end.
fn bounding<'data>(
    assignment: &RoleAssignment,
    found: &[&'data ScheduleInstance],
) -> Vec<&'data ScheduleInstance> {
    let own = |instance: &&ScheduleInstance| {
        instance.principal == assignment.principal && instance.member_type != MemberType::Group
    };
    let direct: Vec<_> = found.iter().copied().filter(own).collect();
    if direct.is_empty() {
        found.to_vec()
    } else {
        direct
    }
}

/// Every role assignment as a grant, with its principal and inside its PIM windows.
///
/// SECURITY: a schedule instance only narrows. Azure lists every active assignment among the role
/// assignments too, so an instance without one is of an assignment that has been removed since.
fn all_grants(
    data: &RoleData,
    roles: &HashMap<RoleDefinitionId, RoleActions>,
    census: &mut Census,
) -> Vec<(ObjectId, Grant)> {
    let schedules = Schedules::of(data);
    let mut listed = HashSet::with_capacity(data.role_assignments.len());
    let mut said = HashSet::with_capacity(data.role_assignments.len());
    let mut grants = Vec::with_capacity(data.role_assignments.len());
    for assignment in &data.role_assignments {
        listed.insert(assignment.id);
        said.insert(said_by(assignment));
        let found = schedules.behind(assignment);
        if assignment.principal_deleted {
            census.deleted_principal += 1;
            continue;
        }
        let instances = bounding(assignment, &found);
        let grant = compile_grant(assignment, &instances, roles, census);
        grants.push((assignment.principal, grant));
    }
    let repeats = |instance: &&ScheduleInstance| {
        instance.member_type == MemberType::Group
            || listed.contains(&instance.origin.unwrap_or(instance.id))
            || (instance.origin.is_none() && said.contains(&repeated_by(instance)))
    };
    let orphans = data
        .schedule_instances
        .iter()
        .filter(|instance| !repeats(instance));
    census.orphan_schedule_instances = orphans.count();
    grants
}

/// When an assignment with these schedule instances holds.
///
/// The plain role assignment of an activated PIM role carries no end, so the instance's end is
/// what makes it expire to the second, without waiting for the next load.
fn validity_of(instances: &[&ScheduleInstance]) -> Validity {
    let windows = instances
        .iter()
        .filter(|instance| !instance.ended)
        .map(|instance| instance.window);
    if instances.is_empty() || windows.clone().any(|window| window.is_unbounded()) {
        return Validity::Always;
    }
    Validity::During(windows.collect())
}

fn compile_grant(
    assignment: &RoleAssignment,
    instances: &[&ScheduleInstance],
    roles: &HashMap<RoleDefinitionId, RoleActions>,
    census: &mut Census,
) -> Grant {
    let mut grant = Grant {
        assignment: assignment.id,
        role: assignment.role_definition,
        role_name: None,
        scope: assignment.scope.clone(),
        held: DataActionSet::EMPTY,
        conditional: DataActionSet::EMPTY,
        named: DataActionSet::EMPTY,
        validity: validity_of(instances),
    };
    let Some(role) = roles.get(&assignment.role_definition) else {
        census.unknown_role_definition += 1;
        return grant;
    };
    grant.role_name = Some(role.name.clone());
    grant.named = role.named;
    // SECURITY: a condition, whatever it says and wherever it stands, moves the role's actions
    // out of what is held.
    let conditional = assignment.condition.is_some()
        || instances
            .iter()
            .any(|instance| instance.condition.is_some());
    if conditional {
        grant.conditional = role.held.union(role.conditional);
    } else {
        grant.held = role.held;
        grant.conditional = role.conditional;
    }
    if grant.conditional.is_empty() {
        census.granting += 1;
    } else {
        census.conditional += 1;
    }
    grant
}

/// A deny assignment that blocks some data action; conditions on it are taken to hold.
fn compile_deny(deny: &DenyAssignment) -> Option<Deny> {
    let denied = deny
        .permissions
        .iter()
        .fold(DataActionSet::EMPTY, |denied, permission| {
            denied.union(permission.held())
        });
    match deny.effect {
        DenyEffect::Audit => None,
        DenyEffect::Enforced if denied.is_empty() => None,
        DenyEffect::Enforced => Some(Deny {
            assignment: deny.id,
            scope: deny.scope.clone(),
            here_only: deny.does_not_apply_to_child_scopes,
            principals: deny.principals.clone(),
            excluded: deny.exclude_principals.clone(),
            denied,
        }),
    }
}

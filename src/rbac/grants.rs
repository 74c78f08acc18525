//! Role assignments, compiled to grants: by principal, with their actions, inside their time windows.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::SystemTime;

use crate::abac::Mode;
use crate::keyvault::DataActionSet;
use crate::principal::ObjectId;

use super::assignment::{
    AssignmentId, MemberType, Origin, RoleAssignment, RoleData, ScheduleInstance, Window,
};
use super::assignment_set::Census;
use super::condition::{Actions, Compiler, ConditionHolder};
use super::role::RoleDefinitionId;
use super::scope::Scope;

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
#[derive(Debug)]
pub(super) struct Grant {
    pub(super) assignment: AssignmentId,
    pub(super) role: RoleDefinitionId,
    pub(super) scope: Scope,
    /// What it grants whatever the request: what is asked first, so it is at hand.
    pub(super) held: DataActionSet,
    /// What it grants to some requests.
    pub(super) conditional: DataActionSet,
    /// `None` if the definition is not in the data.
    pub(super) actions: Option<Arc<Actions>>,
    pub(super) validity: Validity,
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
pub(super) fn all_grants<'data>(
    data: &'data RoleData,
    compiler: &mut Compiler<'data>,
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
        let grant = compile_grant(assignment, &instances, data, compiler, census);
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

impl Grant {
    /// The display name of its role; `None` if the definition is not in the data.
    pub(super) fn role_name(&self) -> Option<&Arc<str>> {
        self.actions.as_ref().map(|actions| &actions.role.name)
    }
}

fn compile_grant<'data>(
    assignment: &'data RoleAssignment,
    instances: &[&'data ScheduleInstance],
    data: &'data RoleData,
    compiler: &mut Compiler<'data>,
    census: &mut Census,
) -> Grant {
    let conditions = conditions_on(assignment, instances, data, compiler);
    let is_conditional = !conditions.is_empty();
    let actions = compiler.actions(assignment.role_definition, conditions);
    match &actions {
        None => census.unknown_role_definition += 1,
        Some(actions) if is_conditional || actions.role.is_conditional() => {
            census.conditional += 1;
            census.folded += usize::from(actions.conditional.is_empty());
        }
        Some(_) => census.granting += 1,
    }
    let set =
        |pick: fn(&Actions) -> DataActionSet| actions.as_deref().map_or(DataActionSet::EMPTY, pick);
    Grant {
        assignment: assignment.id,
        role: assignment.role_definition,
        scope: assignment.scope.clone(),
        held: set(|actions| actions.held),
        conditional: set(|actions| actions.conditional),
        actions,
        validity: validity_of(instances),
    }
}

/// All conditions that must hold for an assignment, besides those of its role.
fn conditions_on<'data>(
    assignment: &'data RoleAssignment,
    instances: &[&'data ScheduleInstance],
    data: &'data RoleData,
    compiler: &mut Compiler<'data>,
) -> Vec<usize> {
    let id = assignment.id;
    let (holder, mode) = match assignment.origin {
        Origin::Azure => (ConditionHolder::RoleAssignment(id), Mode::Compatible),
        Origin::Overlay => (ConditionHolder::Overlay(id), Mode::Strict),
    };
    let mut numbers = Vec::new();
    let own = assignment.condition.iter();
    numbers.extend(own.map(|text| compiler.condition(holder, text, mode)));
    for instance in instances {
        let holder = ConditionHolder::ScheduleInstance(instance.id);
        let theirs = instance.condition.iter();
        numbers.extend(theirs.map(|text| compiler.condition(holder, text, Mode::Compatible)));
    }
    let overlaid = data.overlay_conditions.get(&id).into_iter().flatten();
    let holder = ConditionHolder::Overlay(id);
    numbers.extend(overlaid.map(|text| compiler.condition(holder, text, Mode::Strict)));
    numbers
}

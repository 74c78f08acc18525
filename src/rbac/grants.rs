//! Role assignments, compiled to grants: by principal, with their actions, inside their time windows.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::abac::Mode;
use crate::keyvault::DataActionSet;
use crate::principal::{GuidMap, ObjectId};

use super::actions::Actions;
use super::assignment::{
    AssignmentId, MemberType, Origin, RoleAssignment, RoleData, ScheduleInstance, Window,
};
use super::assignment_set::{Census, VaultScope};
use super::condition::{Compiler, ConditionHolder};
use super::elsewhere::Nearest;
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

/// What a role assignment gives wherever it applies. Assignments of one role under the same
/// conditions and in the same time share it.
#[derive(Debug)]
pub(super) struct Terms {
    pub(super) role: RoleDefinitionId,
    /// `None` if the definition is not in the data.
    pub(super) actions: Option<Arc<Actions>>,
    pub(super) validity: Validity,
}

impl Terms {
    /// The display name of the role; `None` if the definition is not in the data.
    pub(super) fn role_name(&self) -> Option<&Arc<str>> {
        self.actions.as_ref().map(|actions| &actions.role.name)
    }

    /// The actions that `pick` finds; none if the definition is not in the data.
    pub(super) fn set(&self, pick: fn(&Actions) -> DataActionSet) -> DataActionSet {
        self.actions.as_deref().map_or(DataActionSet::EMPTY, pick)
    }
}

/// A role assignment, compiled. There may be a million, so what they share is not in here.
#[derive(Clone, Debug)]
pub(super) struct Grant {
    pub(super) assignment: AssignmentId,
    pub(super) scope: Scope,
    pub(super) terms: Arc<Terms>,
}

/// All grants, those of one principal side by side.
pub(super) struct Grants {
    list: Vec<Grant>,
    holders: GuidMap<ObjectId, Holder>,
    /// What explains denials, of holders with more than [`MANY`] grants, by their start.
    nearest: HashMap<usize, Nearest>,
}

/// How many grants of one principal are looked at to explain a denial. If there are more, what
/// would be found is found when they are compiled.
pub(super) const MANY: usize = 64;

/// Where the grants of one principal are: first those near a vault, which may grant something
/// there, in the order of the data; then the others, in the order of the data.
#[derive(Clone, Copy, Default)]
struct Holder {
    start: usize,
    near: usize,
    far: usize,
}

impl Grants {
    /// Where the grants of `principal` are; to be looked up with [`Self::near`] and [`Self::all`].
    pub(super) fn of(&self, principal: ObjectId) -> Option<Range> {
        let holder = self.holders.get(&principal)?;
        Some(Range(*holder))
    }

    /// What explains denials among all of them, if they are many.
    pub(super) fn nearest(&self, Range(holder): Range) -> Option<&Nearest> {
        self.nearest.get(&holder.start)
    }

    /// The grant at a place.
    pub(super) fn get(&self, at: usize) -> Option<&Grant> {
        self.list.get(at)
    }

    /// Those that are near a vault: at it, above it or inside it, with their places. A few, whatever
    /// the tenant's size.
    pub(super) fn near(&self, Range(holder): Range) -> impl Iterator<Item = (usize, &Grant)> {
        let end = holder.start + holder.near;
        let near = self.list.get(holder.start..end).unwrap_or_default();
        (holder.start..end).zip(near)
    }

    /// All of them.
    pub(super) fn all(&self, Range(holder): Range) -> &[Grant] {
        let end = holder.start + holder.near + holder.far;
        self.list.get(holder.start..end).unwrap_or_default()
    }
}

/// The grants of one principal.
#[derive(Clone, Copy)]
pub(super) struct Range(Holder);

impl fmt::Debug for Grants {
    /// Without the grants, of which there may be a million.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Grants")
            .field("list", &self.list.len())
            .field("holders", &self.holders.len())
            .finish()
    }
}

impl fmt::Debug for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(holder) = self;
        write!(f, "{}+{}+{}", holder.start, holder.near, holder.far)
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
    /// Keys of the above for which there is a role assignment.
    met_named: HashSet<AssignmentId>,
    met_unnamed: HashSet<Said<'data>>,
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

    /// The instances that stand behind `assignment`.
    fn behind(&mut self, assignment: &'data RoleAssignment) -> Vec<&'data ScheduleInstance> {
        let said = said_by(assignment);
        let named = self.named.get(&assignment.id);
        let unnamed = self.unnamed.get(&said);
        if named.is_some() {
            self.met_named.insert(assignment.id);
        }
        if unnamed.is_some() {
            self.met_unnamed.insert(said);
        }
        let found = named.into_iter().chain(unnamed);
        found.flatten().copied().collect()
    }

    /// How many instances stand behind no role assignment, of all that [`Self::behind`] was asked
    /// for.
    fn orphans(&self, data: &'data RoleData) -> usize {
        let repeats = |instance: &&ScheduleInstance| {
            let named = instance.origin.unwrap_or(instance.id);
            instance.member_type == MemberType::Group
                || self.met_named.contains(&named)
                || (instance.origin.is_none() && self.met_unnamed.contains(&repeated_by(instance)))
        };
        let instances = data.schedule_instances.iter();
        instances.filter(|instance| !repeats(instance)).count()
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

impl Grants {
    /// Every role assignment as a grant, inside its PIM windows.
    ///
    /// SECURITY: a schedule instance only narrows. Azure lists every active assignment among the
    /// role assignments too, so an instance without one is of an assignment that has been removed
    /// since.
    pub(super) fn compile<'data>(
        data: &'data RoleData,
        vaults: &[VaultScope],
        compiler: &mut Compiler<'data>,
        census: &mut Census,
    ) -> Self {
        let mut schedules = Schedules::of(data);
        let assignments = &data.role_assignments;
        let mut compiled: Vec<Option<Compiled>> = Vec::with_capacity(assignments.len());
        let mut holders: GuidMap<ObjectId, Holder> = GuidMap::default();
        for assignment in assignments {
            let found = schedules.behind(assignment);
            if assignment.principal_deleted {
                census.deleted_principal += 1;
                compiled.push(None);
                continue;
            }
            let instances = bounding(assignment, &found);
            let terms = terms_of(assignment, &instances, data, compiler, census);
            let is_near = vaults.iter().any(|vault| vault.is_near(&assignment.scope));
            let holder = holders.entry(assignment.principal).or_default();
            let count = if is_near {
                &mut holder.near
            } else {
                &mut holder.far
            };
            *count += 1;
            compiled.push(Some((terms, is_near)));
        }
        census.orphan_schedule_instances = schedules.orphans(data);
        let order = sort(assignments, &compiled, &mut holders);
        let mut list = Vec::with_capacity(order.len());
        list.extend(order.into_iter().filter_map(|at| {
            let assignment = assignments.get(at)?;
            let (terms, _) = compiled.get_mut(at)?.take()?;
            Some(Grant {
                assignment: assignment.id,
                scope: assignment.scope.clone(),
                terms,
            })
        }));
        let mut grants = Self {
            list,
            holders,
            nearest: HashMap::new(),
        };
        grants.nearest = grants.explaining();
        grants
    }

    fn explaining(&self) -> HashMap<usize, Nearest> {
        let many = self
            .holders
            .values()
            .filter(|holder| holder.near + holder.far > MANY);
        let explained = many.map(|holder| {
            let mut nearest = Nearest::default();
            for grant in self.all(Range(*holder)) {
                nearest.offer(grant, false);
            }
            (holder.start, nearest)
        });
        explained.collect()
    }
}

/// What an assignment gives, and whether it is near a vault.
type Compiled = (Arc<Terms>, bool);

/// The order in which the grants go side by side, as indices of assignments. Counted beforehand,
/// everything has its place, and nothing has to be compared.
fn sort(
    assignments: &[RoleAssignment],
    compiled: &[Option<Compiled>],
    holders: &mut GuidMap<ObjectId, Holder>,
) -> Vec<usize> {
    let mut length = 0;
    let mut next: GuidMap<ObjectId, (usize, usize)> = GuidMap::default();
    next.reserve(holders.len());
    for (principal, holder) in holders.iter_mut() {
        holder.start = length;
        next.insert(*principal, (length, length + holder.near));
        length += holder.near + holder.far;
    }
    let mut order = vec![0; length];
    for (at, (assignment, compiled)) in assignments.iter().zip(compiled).enumerate() {
        if let (Some((_, is_near)), Some((near, far))) =
            (compiled, next.get_mut(&assignment.principal))
        {
            let place = if *is_near { near } else { far };
            if let Some(slot) = order.get_mut(*place) {
                *slot = at;
            }
            *place += 1;
        }
    }
    order
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

fn terms_of<'data>(
    assignment: &'data RoleAssignment,
    instances: &[&'data ScheduleInstance],
    data: &'data RoleData,
    compiler: &mut Compiler<'data>,
    census: &mut Census,
) -> Arc<Terms> {
    let conditions = conditions_on(assignment, instances, data, compiler);
    let is_conditional = !conditions.is_empty();
    let validity = validity_of(instances);
    let terms = compiler.terms(assignment.role_definition, conditions, validity);
    match &terms.actions {
        None => census.unknown_role_definition += 1,
        Some(actions) if is_conditional || actions.role.is_conditional() => {
            census.conditional += 1;
            census.folded += usize::from(actions.conditional.is_empty());
        }
        Some(_) => census.granting += 1,
    }
    terms
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

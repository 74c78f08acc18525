//! Conditions, compiled into what a role gives: action by action, what is left to be asked of a
//! request.
//!
//! A role assignment grants an action if every condition on it holds, and some entry of its role
//! holds the action under no condition or one that holds too. For one action most of that is known
//! beforehand: an `ActionMatches` has one answer, and so has an attribute that no request of the
//! kind can have. So the actions of an assignment fall into those it holds, those it never grants,
//! and groups that share what is left of its conditions.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::abac::{self, Attributes, Blame, Expr, Mode, ParseError, Residual, Target, Truth};
use crate::attributes;
use crate::keyvault::{DataAction, DataActionSet};

use super::assignment::{AssignmentId, ConditionText};
use super::role::{Permission, RoleDefinition, RoleDefinitionId};

/// How many conditions that cannot be read are told one by one.
const MAX_TOLD: usize = 20;

/// Why a condition cannot be read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ConditionError {
    /// Its text breaks a rule of the language.
    #[error(transparent)]
    Text(#[from] ParseError),
    /// It is of another version of the language.
    #[error("expected `conditionVersion` 2.0, found `{0}`")]
    Version(Box<str>),
}

impl ConditionText {
    /// Reads the text; a version that is not said is the current one.
    ///
    /// # Errors
    /// [`ConditionError`] for another version than 2.0, or the first mistake in the text.
    pub fn read(&self, mode: Mode) -> Result<Expr, ConditionError> {
        match self.version.as_deref() {
            None | Some("2.0") => Ok(abac::parse(&self.text, mode)?),
            Some(version) => Err(ConditionError::Version(version.into())),
        }
    }
}

/// What a condition stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionHolder {
    /// A deny assignment, or an entry of its permissions.
    DenyAssignment(AssignmentId),
    /// A role assignment, by an overlay file.
    Overlay(AssignmentId),
    /// A role assignment.
    RoleAssignment(AssignmentId),
    /// An entry of a role definition.
    RoleDefinition(RoleDefinitionId),
    /// A PIM schedule instance.
    ScheduleInstance(AssignmentId),
}

impl fmt::Display for ConditionHolder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DenyAssignment(id) => write!(f, "deny assignment `{id}`"),
            Self::Overlay(id) => write!(f, "role assignment `{id}`, by an overlay file"),
            Self::RoleAssignment(id) => write!(f, "role assignment `{id}`"),
            Self::RoleDefinition(id) => write!(f, "role definition `{id}`"),
            Self::ScheduleInstance(id) => write!(f, "PIM schedule instance `{id}`"),
        }
    }
}

/// A condition that cannot be read: it never grants, and on a deny assignment it always denies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnreadableCondition {
    /// What it stands on.
    pub holder: ConditionHolder,
    /// Why.
    pub error: ConditionError,
}

/// A condition as it was read; `None` if it cannot be.
pub(super) type Reading = Option<Arc<Expr>>;

/// One entry of a role definition or a deny assignment that holds data actions.
#[derive(Clone, Debug)]
struct Entry {
    held: DataActionSet,
    /// `None` for no condition.
    condition: Option<Reading>,
}

/// What a role definition, or a deny assignment, names.
#[derive(Debug)]
pub(super) struct Role {
    pub(super) name: Arc<str>,
    /// Before `NotDataActions` are subtracted.
    pub(super) named: DataActionSet,
    /// After.
    pub(super) offered: DataActionSet,
    entries: Vec<Entry>,
}

impl Role {
    fn new(name: Arc<str>, named: DataActionSet, entries: Vec<Entry>) -> Self {
        let held = entries.iter().map(|entry| entry.held);
        let offered = held.fold(DataActionSet::EMPTY, DataActionSet::union);
        Self {
            name,
            named,
            offered,
            entries,
        }
    }

    pub(super) fn is_conditional(&self) -> bool {
        self.entries.iter().any(|entry| entry.condition.is_some())
    }

    /// What entries without a condition hold.
    fn unconditional(&self) -> DataActionSet {
        let entries = self
            .entries
            .iter()
            .filter(|entry| entry.condition.is_none());
        entries.fold(DataActionSet::EMPTY, |set, entry| set.union(entry.held))
    }

    /// What is left of this for one action: all of `conditions` hold, and some entry holds the
    /// action under no condition or one that holds.
    fn residual(&self, conditions: &[Reading], action: DataAction) -> Residual {
        let target = Target {
            action: action.as_str(),
            suboperations: attributes::suboperations_of(action),
            can_have: &|attribute| attributes::depends_on_request(action, attribute),
        };
        let holding = |entry: &&Entry| entry.held.contains(action);
        let entries = self.entries.iter().filter(holding);
        let entries = Residual::any(entries.map(|entry| match &entry.condition {
            None => Residual::constant(Truth::True),
            Some(reading) => specialise(reading, &target),
        }));
        let conditions = conditions.iter();
        let conditions = conditions.map(|reading| specialise(reading, &target));
        Residual::all(conditions.chain([entries]))
    }

    /// What entries hold whose condition cannot be read.
    pub(super) fn unreadable(&self) -> DataActionSet {
        let unreadable = |entry: &&Entry| matches!(entry.condition, Some(Reading::None));
        let entries = self.entries.iter().filter(unreadable);
        entries.fold(DataActionSet::EMPTY, |set, entry| set.union(entry.held))
    }
}

/// SECURITY: what cannot be read is undefined, and nothing makes that true.
fn specialise(reading: &Reading, target: &Target<'_>) -> Residual {
    reading
        .as_ref()
        .map_or(Residual::constant(Truth::Undefined), |expr| {
            Residual::specialise(expr, target)
        })
}

/// What a role gives under conditions, action by action.
#[derive(Debug)]
pub(super) struct Actions {
    pub(super) role: Arc<Role>,
    /// Those that are given whatever the request.
    pub(super) held: DataActionSet,
    /// Those that some requests are given.
    pub(super) conditional: DataActionSet,
    /// Those of which it is undefined whatever the request.
    pub(super) undefined: DataActionSet,
    /// Those for which a condition counts that cannot be read.
    pub(super) unreadable: DataActionSet,
    /// Those that are not held, by what is left of the conditions.
    groups: Box<[(DataActionSet, Residual)]>,
}

impl Actions {
    /// What `role` gives if all of `conditions` hold.
    fn compile(role: &Arc<Role>, conditions: &[Reading]) -> Self {
        let mut actions = Self {
            role: Arc::clone(role),
            held: DataActionSet::EMPTY,
            conditional: DataActionSet::EMPTY,
            undefined: DataActionSet::EMPTY,
            unreadable: DataActionSet::EMPTY,
            groups: Box::default(),
        };
        // Most actions of most assignments: no condition stands before them.
        if conditions.is_empty() {
            actions.held = role.unconditional();
        }
        let unreadable = role.unreadable();
        let mut groups: Vec<(DataActionSet, Residual)> = Vec::new();
        for action in role.offered.minus(actions.held).iter() {
            let residual = role.residual(conditions, action);
            let one = DataActionSet::of(action);
            let set = match residual.as_constant() {
                Some(Truth::True) => {
                    actions.held = actions.held.union(one);
                    continue;
                }
                Some(Truth::False) => None,
                Some(Truth::Undefined | Truth::Pending(_)) => Some(&mut actions.undefined),
                None => Some(&mut actions.conditional),
            };
            if let Some(set) = set {
                *set = set.union(one);
            }
            match groups.iter_mut().find(|(_, known)| *known == residual) {
                Some((set, _)) => *set = set.union(one),
                None => groups.push((one, residual)),
            }
            if conditions.contains(&None) || unreadable.contains(action) {
                actions.unreadable = actions.unreadable.union(one);
            }
        }
        actions.groups = groups.into();
        actions
    }

    fn residual(&self, action: DataAction) -> Option<&Residual> {
        let group = self.groups.iter().find(|(set, _)| set.contains(action));
        group.map(|(_, residual)| residual)
    }

    /// Whether a request is given `action`.
    pub(super) fn truth(
        &self,
        action: DataAction,
        suboperation: Option<&str>,
        request: &dyn Attributes,
    ) -> Truth {
        match self.residual(action) {
            Some(residual) => residual.evaluate(suboperation, request),
            None => self.held.contains(action).into(),
        }
    }

    /// Which part of the conditions keeps a request from being given `action`.
    pub(super) fn blame(
        &self,
        action: DataAction,
        suboperation: Option<&str>,
        request: &dyn Attributes,
    ) -> Option<Blame> {
        self.residual(action)?.blame(suboperation, request)
    }
}

/// Compiles each condition and each combination of a role with conditions once: a million
/// assignments share a few of them.
#[derive(Debug, Default)]
pub(super) struct Compiler<'data> {
    numbers: HashMap<(&'data ConditionText, Mode), usize>,
    readings: Vec<Result<Arc<Expr>, ConditionError>>,
    roles: HashMap<RoleDefinitionId, Arc<Role>>,
    compiled: HashMap<(RoleDefinitionId, Vec<usize>), Arc<Actions>>,
    /// How many conditions there are, each counted wherever it stands.
    pub(super) conditions: usize,
    /// How many of them cannot be read.
    pub(super) unreadable: usize,
    /// The first of those.
    pub(super) told: Vec<UnreadableCondition>,
}

impl<'data> Compiler<'data> {
    pub(super) fn new(roles: &'data HashMap<RoleDefinitionId, RoleDefinition>) -> Self {
        let mut compiler = Self::default();
        for (id, role) in roles {
            let holder = ConditionHolder::RoleDefinition(*id);
            let role = compiler.role(role.name.clone(), &role.permissions, holder);
            compiler.roles.insert(*id, Arc::new(role));
        }
        compiler
    }

    /// Notes a condition that stands on `holder`; returns the number it goes by.
    pub(super) fn condition(
        &mut self,
        holder: ConditionHolder,
        text: &'data ConditionText,
        mode: Mode,
    ) -> usize {
        let next = self.readings.len();
        let number = *self.numbers.entry((text, mode)).or_insert(next);
        if number == next {
            self.readings.push(text.read(mode).map(Arc::new));
        }
        self.conditions += 1;
        if let Some(Err(error)) = self.readings.get(number) {
            self.unreadable += 1;
            if self.told.len() < MAX_TOLD {
                let error = error.clone();
                self.told.push(UnreadableCondition { holder, error });
            }
        }
        number
    }

    fn reading(&self, number: usize) -> Reading {
        self.readings.get(number)?.as_ref().ok().map(Arc::clone)
    }

    fn role(
        &mut self,
        name: Arc<str>,
        permissions: &'data [Permission],
        holder: ConditionHolder,
    ) -> Role {
        let mut named = DataActionSet::EMPTY;
        let mut entries = Vec::new();
        for permission in permissions {
            named = named.union(permission.named());
            let held = permission.held();
            // Conditions of entries on the control plane are nobody's business here.
            if held.is_empty() {
                continue;
            }
            let condition = permission.condition.as_ref().map(|text| {
                let number = self.condition(holder, text, Mode::Compatible);
                self.reading(number)
            });
            entries.push(Entry { held, condition });
        }
        Role::new(name, named, entries)
    }

    /// What a role gives under these conditions; `None` if it is not in the data.
    pub(super) fn actions(
        &mut self,
        role: RoleDefinitionId,
        mut conditions: Vec<usize>,
    ) -> Option<Arc<Actions>> {
        let known = self.roles.get(&role)?;
        conditions.sort_unstable();
        conditions.dedup();
        let key = (role, conditions);
        if let Some(actions) = self.compiled.get(&key) {
            return Some(Arc::clone(actions));
        }
        let readings: Vec<Reading> = key.1.iter().map(|number| self.reading(*number)).collect();
        let actions = Arc::new(Actions::compile(known, &readings));
        self.compiled.insert(key, Arc::clone(&actions));
        Some(actions)
    }

    /// What a deny assignment takes away.
    pub(super) fn denied(
        &mut self,
        id: AssignmentId,
        permissions: &'data [Permission],
        condition: Option<&'data ConditionText>,
    ) -> Actions {
        let holder = ConditionHolder::DenyAssignment(id);
        let role = self.role("".into(), permissions, holder);
        let conditions = condition.map(|text| self.condition(holder, text, Mode::Compatible));
        let readings: Vec<Reading> = conditions
            .map(|number| self.reading(number))
            .into_iter()
            .collect();
        Actions::compile(&Arc::new(role), &readings)
    }
}

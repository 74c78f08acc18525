//! Conditions as they stand on what Azure stores: read once each, and told if they cannot be.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use thiserror::Error;

use crate::abac::{self, Expr, Mode, ParseError};
use crate::keyvault::DataActionSet;
use crate::principal::Keyed;

use super::actions::{Actions, Entry, Reading, Role};
use super::assignment::{AssignmentId, ConditionText};
use super::division::Divider;
use super::grants::{Terms, Validity};
use super::role::{Permission, RoleDefinition, RoleDefinitionId};

/// How many conditions that cannot be read are told one by one.
const MAX_TOLD: usize = 20;

/// How many conditions are kept as they were read while they are compiled.
const MAX_READ: usize = 1024;

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

/// Compiles each condition and each combination of a role with conditions once: a million
/// assignments share a few of them.
#[derive(Debug, Default)]
pub(super) struct Compiler<'data> {
    numbers: HashMap<(&'data ConditionText, Mode), usize, Keyed>,
    /// What each says and how it is read, or why it cannot be.
    readings: Vec<Result<(&'data ConditionText, Mode), ConditionError>>,
    /// Some of them as they were read. Trees are large, and most are needed once or again soon.
    read: HashMap<usize, Arc<Expr>>,
    roles: HashMap<RoleDefinitionId, Arc<Role>>,
    compiled: HashMap<(RoleDefinitionId, Vec<usize>), Arc<Terms>, Keyed>,
    divider: Divider,
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
            let read = text.read(mode);
            let reading = read.map(|expr| {
                self.keep(number, expr);
                (text, mode)
            });
            self.readings.push(reading);
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

    /// A condition as it was read, or is read again.
    fn reading(&mut self, number: usize) -> Reading {
        if let Some(expr) = self.read.get(&number) {
            return Some(Arc::clone(expr));
        }
        let (text, mode) = *self.readings.get(number)?.as_ref().ok()?;
        let expr = text.read(mode).ok()?;
        Some(self.keep(number, expr))
    }

    fn keep(&mut self, number: usize, expr: Expr) -> Arc<Expr> {
        if self.read.len() >= MAX_READ {
            self.read.clear();
        }
        let expr = Arc::new(expr);
        self.read.insert(number, Arc::clone(&expr));
        expr
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

    /// What an assignment of a role gives under these conditions, in its time.
    pub(super) fn terms(
        &mut self,
        role: RoleDefinitionId,
        mut conditions: Vec<usize>,
        validity: Validity,
    ) -> Arc<Terms> {
        conditions.sort_unstable();
        conditions.dedup();
        let key = (role, conditions);
        let always = match self.compiled.get(&key) {
            Some(known) => Arc::clone(known),
            None => {
                let actions = self.actions(role, &key.1);
                let terms = Arc::new(Terms {
                    role,
                    actions: actions.map(Arc::new),
                    validity: Validity::Always,
                });
                self.compiled.insert(key, Arc::clone(&terms));
                terms
            }
        };
        if validity == Validity::Always {
            return always;
        }
        Arc::new(Terms {
            role,
            actions: always.actions.clone(),
            validity,
        })
    }

    /// What a role gives under these conditions; `None` if it is not in the data.
    fn actions(&mut self, role: RoleDefinitionId, conditions: &[usize]) -> Option<Actions> {
        let known = Arc::clone(self.roles.get(&role)?);
        let readings: Vec<Reading> = conditions
            .iter()
            .map(|number| self.reading(*number))
            .collect();
        Some(Actions::compile(&known, &readings, &mut self.divider))
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
        Actions::compile(&Arc::new(role), &readings, &mut self.divider)
    }
}

//! What a role gives under conditions: action by action, what is left to be asked of a request.
//!
//! A role assignment grants an action if every condition on it holds, and some entry of its role
//! holds the action under no condition or one that holds too. For one action most of that is known
//! beforehand: an `ActionMatches` has one answer, and so has an attribute that no request of the
//! kind can have. So the actions of an assignment fall into those it holds, those it never grants,
//! and groups that share what is left of its conditions.

use std::sync::Arc;

use crate::abac::{Attributes, Blame, Expr, Residual, Target, Truth};
use crate::attributes;
use crate::keyvault::{DataAction, DataActionSet};

use super::division::Divider;

/// A condition as it was read; `None` if it cannot be.
pub(super) type Reading = Option<Arc<Expr>>;

/// One entry of a role definition or a deny assignment that holds data actions.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) held: DataActionSet,
    /// `None` for no condition.
    pub(super) condition: Option<Reading>,
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
    pub(super) fn new(name: Arc<str>, named: DataActionSet, entries: Vec<Entry>) -> Self {
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

    /// Parts of `actions` such that what is left of this is the same for all actions of a part.
    fn divide(
        &self,
        conditions: &[Reading],
        actions: DataActionSet,
        divider: &mut Divider,
    ) -> Vec<DataActionSet> {
        let mut parts = vec![actions];
        for entry in &self.entries {
            Divider::cut(&mut parts, entry.held);
            if let Some(Some(expr)) = &entry.condition {
                divider.divide(expr, &mut parts);
            }
        }
        for expr in conditions.iter().flatten() {
            divider.divide(expr, &mut parts);
        }
        parts
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
    pub(super) fn compile(role: &Arc<Role>, conditions: &[Reading], divider: &mut Divider) -> Self {
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
        let unreadable = if conditions.contains(&None) {
            role.offered
        } else {
            role.unreadable()
        };
        let rest = role.offered.minus(actions.held);
        let mut groups: Vec<(DataActionSet, Residual)> = Vec::new();
        for part in role.divide(conditions, rest, divider) {
            let Some(one) = part.iter().next() else {
                continue;
            };
            let residual = role.residual(conditions, one);
            let set = match residual.as_constant() {
                Some(Truth::True) => {
                    actions.held = actions.held.union(part);
                    continue;
                }
                Some(Truth::False) => None,
                Some(Truth::Undefined | Truth::Pending(_)) => Some(&mut actions.undefined),
                None => Some(&mut actions.conditional),
            };
            if let Some(set) = set {
                *set = set.union(part);
            }
            match groups.iter_mut().find(|(_, known)| *known == residual) {
                Some((set, _)) => *set = set.union(part),
                None => groups.push((part, residual)),
            }
            actions.unreadable = actions.unreadable.union(part.intersection(unreadable));
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

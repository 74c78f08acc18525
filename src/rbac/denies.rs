//! Deny assignments, compiled.

use std::sync::Arc;

use crate::abac::{Attributes, Blame, Truth};
use crate::keyvault::{DataAction, DataActionSet, ObjectName, ObjectType};
use crate::principal::{GuidMap, ObjectId};

use super::actions::Actions;
use super::assignment::{AssignmentId, DenyAssignment, DenyEffect, DenyPrincipal, PrincipalType};
use super::assignment_set::VaultScope;
use super::condition::Compiler;
use super::scope::Scope;

/// A deny assignment, compiled.
#[derive(Debug)]
pub(super) struct Deny {
    pub(super) assignment: AssignmentId,
    pub(super) scope: Scope,
    pub(super) here_only: bool,
    pub(super) principals: Vec<DenyPrincipal>,
    pub(super) excluded: Vec<DenyPrincipal>,
    /// What it takes away whatever the request.
    pub(super) denied: DataActionSet,
    /// What it takes away from some requests.
    pub(super) conditional: DataActionSet,
    /// Whether a condition of it cannot be read.
    unreadable: bool,
    actions: Actions,
}

/// Where a deny assignment applies in one vault.
#[derive(Clone, Debug)]
pub(super) enum DenyReach {
    /// To the vault and every object in it.
    Everywhere,
    /// To operations on the vault itself.
    VaultOnly,
    /// To what lies at or below this path inside the vault, such as `secrets/db`.
    Inside { path: Box<str>, here_only: bool },
}

impl DenyReach {
    /// Whether it applies to operations on this object, or on the vault itself.
    pub(super) fn covers(&self, object: Option<(ObjectType, &ObjectName)>) -> bool {
        match (self, object) {
            (Self::Everywhere, _) | (Self::VaultOnly, None) => true,
            (Self::VaultOnly, Some(_)) | (Self::Inside { .. }, None) => false,
            (Self::Inside { path, here_only }, Some((object_type, name))) => {
                let collection = object_type.collection();
                match path.split_once('/') {
                    None => !here_only && **path == *collection,
                    // Names have no slash, so what is below an object covers none.
                    Some((first, rest)) => first == collection && rest == name.folded(),
                }
            }
        }
    }
}

/// The deny assignments that apply somewhere in one vault, by whom they may hit: of the thousands
/// of a tenant, most are of other places or other people.
#[derive(Clone, Debug, Default)]
pub(super) struct Denies {
    /// In the order of the data.
    list: Vec<(DenyReach, Arc<Deny>)>,
    /// Those that hit everyone.
    everyone: Vec<usize>,
    /// Those that may hit whoever's groups are unknown.
    members: Vec<usize>,
    named: GuidMap<ObjectId, Vec<usize>>,
}

impl Denies {
    /// Those of `denies` that apply in `vault`.
    pub(super) fn of(denies: &[Arc<Deny>], vault: &VaultScope) -> Self {
        let mut found = Self::default();
        for deny in denies {
            let Some(reach) = deny.reach(vault) else {
                continue;
            };
            let number = found.list.len();
            for entry in &deny.principals {
                found.named.entry(entry.id).or_default().push(number);
                match entry.kind {
                    PrincipalType::Everyone => found.everyone.push(number),
                    PrincipalType::Group | PrincipalType::Unknown => found.members.push(number),
                    PrincipalType::Single => {}
                }
            }
            found.list.push((reach, Arc::clone(deny)));
        }
        found
    }

    /// All that may hit whoever is one of `ids`, and whose groups may be unknown; in the order of
    /// the data.
    pub(super) fn candidates(
        &self,
        ids: impl Iterator<Item = ObjectId>,
        groups_are_known: bool,
    ) -> impl Iterator<Item = &(DenyReach, Arc<Deny>)> {
        let mut numbers = self.everyone.clone();
        if !groups_are_known {
            numbers.extend_from_slice(&self.members);
        }
        if !self.named.is_empty() {
            let named = ids.filter_map(|id| self.named.get(&id));
            numbers.extend(named.flatten());
        }
        numbers.sort_unstable();
        numbers.dedup();
        numbers
            .into_iter()
            .filter_map(|number| self.list.get(number))
    }
}

/// Why a deny assignment applied whose condition did not come true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DenyDoubt {
    /// A condition of it cannot be read, so it applies without any.
    Unreadable,
    /// Its condition cannot be evaluated, because of this part.
    Undefined(Option<Blame>),
}

impl Deny {
    /// A deny assignment that blocks some data action.
    pub(super) fn compile<'data>(
        deny: &'data DenyAssignment,
        compiler: &mut Compiler<'data>,
    ) -> Option<Self> {
        if deny.effect == DenyEffect::Audit {
            return None;
        }
        let actions = compiler.denied(deny.id, &deny.permissions, deny.condition.as_ref());
        // SECURITY: one condition that cannot be read makes the whole unconditional, and what is
        // undefined denies.
        let unreadable = !actions
            .unreadable
            .union(actions.role.unreadable())
            .is_empty();
        let (denied, conditional) = if unreadable {
            (actions.role.offered, DataActionSet::EMPTY)
        } else {
            (actions.held.union(actions.undefined), actions.conditional)
        };
        (!denied.union(conditional).is_empty()).then(|| Self {
            assignment: deny.id,
            scope: deny.scope.clone(),
            here_only: deny.does_not_apply_to_child_scopes,
            principals: deny.principals.clone(),
            excluded: deny.exclude_principals.clone(),
            denied,
            conditional,
            unreadable,
            actions,
        })
    }

    /// Where it applies in `vault`; `None` for nowhere.
    fn reach(&self, vault: &VaultScope) -> Option<DenyReach> {
        // SECURITY: a management group that may be above the vault is taken to be.
        let above_or_here = vault.is_below(&self.scope).unwrap_or(true);
        if above_or_here {
            return match (self.here_only, self.scope == vault.scope) {
                (false, _) => Some(DenyReach::Everywhere),
                (true, true) => Some(DenyReach::VaultOnly),
                (true, false) => None,
            };
        }
        let path = vault.scope.below(&self.scope)?;
        Some(DenyReach::Inside {
            path: path.into(),
            here_only: self.here_only,
        })
    }

    /// Whether the condition under which it takes `action` away holds.
    pub(super) fn truth(
        &self,
        action: DataAction,
        suboperation: Option<&str>,
        request: &dyn Attributes,
    ) -> Truth {
        self.actions.truth(action, suboperation, request)
    }

    /// Why it took `action` away although its condition did not come true; `None` if it did.
    pub(super) fn doubt(
        &self,
        action: DataAction,
        suboperation: Option<&str>,
        request: &dyn Attributes,
    ) -> Option<DenyDoubt> {
        match self.truth(action, suboperation, request) {
            Truth::True => None,
            _ if self.unreadable => Some(DenyDoubt::Unreadable),
            Truth::False | Truth::Undefined | Truth::Pending(_) => Some(DenyDoubt::Undefined(
                self.actions.blame(action, suboperation, request),
            )),
        }
    }
}

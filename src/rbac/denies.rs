//! Deny assignments, compiled.

use crate::abac::{Attributes, Blame, Truth};
use crate::keyvault::{DataAction, DataActionSet};

use super::assignment::{AssignmentId, DenyAssignment, DenyEffect, DenyPrincipal};
use super::condition::{Actions, Compiler};
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
    actions: Actions,
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
        let (denied, conditional) = if actions.unreadable.is_empty() {
            (actions.held.union(actions.undefined), actions.conditional)
        } else {
            (actions.role.offered, DataActionSet::EMPTY)
        };
        (!denied.union(conditional).is_empty()).then(|| Self {
            assignment: deny.id,
            scope: deny.scope.clone(),
            here_only: deny.does_not_apply_to_child_scopes,
            principals: deny.principals.clone(),
            excluded: deny.exclude_principals.clone(),
            denied,
            conditional,
            actions,
        })
    }

    /// Whether the condition under which it takes `action` away holds; pending only if it may turn
    /// out not to.
    pub(super) fn truth(
        &self,
        action: DataAction,
        suboperation: Option<&str>,
        request: &dyn Attributes,
    ) -> Truth {
        self.actions.settled(false, action, suboperation, request)
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
            _ if !self.actions.unreadable.is_empty() => Some(DenyDoubt::Unreadable),
            Truth::False | Truth::Undefined | Truth::Pending(_) => Some(DenyDoubt::Undefined(
                self.actions.blame(action, suboperation, request),
            )),
        }
    }
}

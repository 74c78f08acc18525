//! The decision itself.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use crate::abac::Needs;
use crate::attributes::Facts;
use crate::keyvault::{DataAction, Operation};
use crate::reason::Reason;

use super::assignment::AssignmentId;
use super::assignment_set::{Grant, Revision};
use super::entitlements::Entitlements;
use super::role::RoleDefinitionId;
use super::scope::Scope;

/// The answer to "may this caller do this operation now?".
#[derive(Debug)]
pub enum Decision {
    /// Yes, because of these assignments.
    Allow(Permit),
    /// No, and why.
    Deny(Denial),
    /// That depends on a condition, and the condition on something that has to be fetched first.
    Undecided(Undecided),
}

/// A decision that waits for a request's body or for an object's metadata.
#[derive(Debug)]
pub struct Undecided {
    /// The operation, to be decided on again.
    pub operation: Operation,
    /// What to fetch. SECURITY: what cannot be fetched is "could not decide", never a decision.
    pub needs: Needs,
}

/// Leave to forward one operation.
///
/// SECURITY: only [`decide`] makes one, it holds the very operation that was decided on, it cannot
/// be cloned, and forwarding consumes it. Nothing reaches a vault without one.
#[derive(Debug)]
pub struct Permit {
    operation: Operation,
    vault: Scope,
    granted_by: Vec<GrantedBy>,
    revision: Revision,
}

/// The role assignment that granted one data action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GrantedBy {
    /// The data action.
    pub data_action: DataAction,
    /// The assignment.
    pub assignment: AssignmentId,
    /// Its role.
    pub role: RoleDefinitionId,
    /// The role's display name.
    pub role_name: Arc<str>,
}

/// Why an operation is denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The closed reason.
    pub reason: Reason,
    /// The data action that is missing or taken away.
    pub data_action: DataAction,
    /// The deny assignment that took it away.
    pub deny_assignment: Option<AssignmentId>,
    /// The caller's assignment that came nearest to granting it.
    pub nearest: Option<NearestMiss>,
    /// Whether the caller's groups were known; if not, more may be missing than is said.
    pub membership_known: bool,
    /// The load decided on.
    pub revision: Revision,
}

/// An assignment of the caller, or of a group of the caller, that did not quite grant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NearestMiss {
    /// The assignment.
    pub assignment: AssignmentId,
    /// Its role.
    pub role: RoleDefinitionId,
    /// The role's display name; `None` if its definition is not in the data.
    pub role_name: Option<Arc<str>>,
    /// Where it applies.
    pub scope: Scope,
    /// What kept it from granting.
    pub miss: Miss,
}

/// What kept an assignment from granting; the nearest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Miss {
    /// It has a condition.
    Condition,
    /// Its time window does not contain the present.
    Expired,
    /// Its role takes the action away again.
    NotDataAction,
    /// It is on another object of the vault.
    ScopeInVault,
    /// Its role does not hold the action.
    Action,
    /// Its role definition is not in the data.
    RoleDefinition,
    /// It is outside the vault.
    ScopeElsewhere,
}

impl Miss {
    const fn reason(self) -> Reason {
        match self {
            Self::Condition => Reason::ConditionUnsupported,
            Self::Expired => Reason::ExpiredGrant,
            Self::NotDataAction => Reason::NotDataAction,
            Self::ScopeInVault | Self::ScopeElsewhere => Reason::ScopeMismatch,
            Self::Action => Reason::ActionNotGranted,
            Self::RoleDefinition => Reason::RoleDefinitionUnknown,
        }
    }
}

impl fmt::Display for Miss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Condition => "it has a condition, and conditions are not evaluated yet",
            Self::Expired => "its time window has ended or not begun",
            Self::NotDataAction => "its role takes the action away in NotDataActions",
            Self::ScopeInVault | Self::ScopeElsewhere => "its scope does not contain the resource",
            Self::Action => "its role does not hold the action",
            Self::RoleDefinition => "its role definition is not in the role data",
        })
    }
}

impl Permit {
    /// The operation that is permitted.
    pub const fn operation(&self) -> &Operation {
        &self.operation
    }

    /// The resource id of the vault it is permitted in.
    pub const fn vault(&self) -> &Scope {
        &self.vault
    }

    /// The assignments that granted it, one for each data action it needs.
    pub fn granted_by(&self) -> &[GrantedBy] {
        &self.granted_by
    }

    /// The load decided on.
    pub const fn revision(&self) -> Revision {
        self.revision
    }
}

/// Decides whether the caller with these entitlements may do `operation`, given `facts`.
///
/// Every data action the operation needs must be granted, each possibly by another assignment, and
/// none may be taken away by a deny assignment.
pub fn decide(operation: Operation, entitlements: &Entitlements, facts: &Facts<'_>) -> Decision {
    let now = facts.now;
    let needed = operation.kind().row().data_actions;
    for &data_action in needed {
        let denying = entitlements
            .denying(&operation)
            .find(|deny| deny.denied.contains(data_action));
        if let Some(deny) = denying {
            return Decision::Deny(Denial {
                reason: Reason::DenyAssignment,
                data_action,
                deny_assignment: Some(deny.assignment),
                nearest: None,
                membership_known: entitlements.group_count().is_some(),
                revision: entitlements.revision,
            });
        }
    }
    let mut granted_by = Vec::with_capacity(needed.len());
    for &data_action in needed {
        let granting = entitlements
            .applying(&operation)
            .find_map(|grant| granted(grant, data_action, now));
        match granting {
            Some(by) => granted_by.push(by),
            None => return Decision::Deny(explain(&operation, data_action, entitlements, now)),
        }
    }
    Decision::Allow(Permit {
        operation,
        vault: entitlements.vault.clone(),
        granted_by,
        revision: entitlements.revision,
    })
}

fn granted(grant: &Grant, data_action: DataAction, now: SystemTime) -> Option<GrantedBy> {
    // A grant whose role definition is unknown has no name and no actions.
    let role_name = grant.role_name.as_ref()?;
    (grant.held.contains(data_action) && grant.validity.contains(now)).then(|| GrantedBy {
        data_action,
        assignment: grant.assignment,
        role: grant.role,
        role_name: role_name.clone(),
    })
}

/// Finds the assignment that came nearest. Off the way of allowed requests, so it may look at all
/// of the caller's assignments.
fn explain(
    operation: &Operation,
    data_action: DataAction,
    entitlements: &Entitlements,
    now: SystemTime,
) -> Denial {
    let here = entitlements
        .applying(operation)
        .map(|grant| (miss_here(grant, data_action, now), grant));
    let holds = |grant: &&Arc<Grant>| grant.held.union(grant.conditional).contains(data_action);
    let in_vault = entitlements
        .at_object
        .values()
        .flat_map(|objects| objects.values().flatten())
        .filter(holds)
        .map(|grant| (Miss::ScopeInVault, grant));
    let elsewhere = entitlements
        .elsewhere
        .iter()
        .filter(holds)
        .map(|grant| (Miss::ScopeElsewhere, grant));
    // The assignment id makes the choice among equals the same each time.
    let nearest = here
        .chain(in_vault)
        .chain(elsewhere)
        .min_by_key(|(miss, grant)| (*miss, grant.assignment));
    Denial {
        reason: nearest.map_or(Reason::NoAssignment, |(miss, _)| miss.reason()),
        data_action,
        deny_assignment: None,
        nearest: nearest.map(|(miss, grant)| NearestMiss {
            assignment: grant.assignment,
            role: grant.role,
            role_name: grant.role_name.clone(),
            scope: grant.scope.clone(),
            miss,
        }),
        membership_known: entitlements.group_count().is_some(),
        revision: entitlements.revision,
    }
}

fn miss_here(grant: &Grant, data_action: DataAction, now: SystemTime) -> Miss {
    if grant.role_name.is_none() {
        Miss::RoleDefinition
    } else if grant.held.contains(data_action) {
        Miss::Expired
    } else if grant.conditional.contains(data_action) {
        if grant.validity.contains(now) {
            Miss::Condition
        } else {
            Miss::Expired
        }
    } else if grant.named.contains(data_action) {
        Miss::NotDataAction
    } else {
        Miss::Action
    }
}

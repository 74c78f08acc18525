//! Why a request is denied, and what came nearest to granting it.

use std::fmt;
use std::sync::Arc;

use crate::abac::{Blame, Truth};
use crate::keyvault::DataAction;
use crate::reason::Reason;

use super::assignment::AssignmentId;
use super::assignment_set::Revision;
use super::decide::Question;
use super::denies::{Deny, DenyDoubt};
use super::grants::Grant;
use super::role::RoleDefinitionId;
use super::scope::Scope;

/// Why an operation is denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The closed reason.
    pub reason: Reason,
    /// The data action that is missing or taken away.
    pub data_action: DataAction,
    /// The deny assignment that took it away.
    pub deny_assignment: Option<AssignmentId>,
    /// Why that one applied although its condition did not come true; `None` if it came true, or
    /// there is none.
    pub deny_doubt: Option<DenyDoubt>,
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Miss {
    /// Its condition does not hold, because of this part.
    ConditionFalse(Option<Blame>),
    /// Its condition needs an attribute that the request lacks.
    ConditionAttributeMissing(Blame),
    /// Its condition cannot be read.
    ConditionUnreadable,
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
    const fn reason(&self) -> Reason {
        match self {
            Self::ConditionFalse(_) => Reason::ConditionFalse,
            Self::ConditionAttributeMissing(_) => Reason::ConditionAttributeMissing,
            Self::ConditionUnreadable => Reason::ConditionUnsupported,
            Self::Expired => Reason::ExpiredGrant,
            Self::NotDataAction => Reason::NotDataAction,
            Self::ScopeInVault | Self::ScopeElsewhere => Reason::ScopeMismatch,
            Self::Action => Reason::ActionNotGranted,
            Self::RoleDefinition => Reason::RoleDefinitionUnknown,
        }
    }
}

impl fmt::Display for Miss {
    /// Names attributes and what the condition compares them with, never their values.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ConditionFalse(None) => "its condition does not hold",
            Self::ConditionFalse(Some(blame)) => {
                return write!(f, "its condition does not hold: {}", Part(blame));
            }
            Self::ConditionAttributeMissing(blame) => {
                return write!(f, "its condition cannot hold: {}", Part(blame));
            }
            Self::ConditionUnreadable => "its condition cannot be read",
            Self::Expired => "its time window has ended or not begun",
            Self::NotDataAction => "its role takes the action away in NotDataActions",
            Self::ScopeInVault | Self::ScopeElsewhere => "its scope does not contain the resource",
            Self::Action => "its role does not hold the action",
            Self::RoleDefinition => "its role definition is not in the role data",
        })
    }
}

impl fmt::Display for DenyDoubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unreadable => f.write_str("its condition cannot be read, so it applies"),
            Self::Undefined(None) => {
                f.write_str("its condition cannot be evaluated, so it applies")
            }
            Self::Undefined(Some(blame)) => write!(
                f,
                "its condition cannot be evaluated, so it applies: {}",
                Part(blame)
            ),
        }
    }
}

/// The part of a condition that decided it, in words.
struct Part<'a>(&'a Blame);

impl fmt::Display for Part<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(Blame {
            expression,
            missing,
        }) = self;
        match missing {
            None => write!(f, "`{expression}`"),
            Some(attribute) => write!(f, "`{expression}` needs `{attribute}`, which is missing"),
        }
    }
}

/// How an assignment missed, before it is asked which part of a condition is to blame; in the
/// order of [`Miss`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    False,
    Undefined,
    Unreadable,
    Expired,
    NotDataAction,
    ScopeInVault,
    Action,
    RoleDefinition,
    ScopeElsewhere,
}

impl Question<'_> {
    /// The denial by a deny assignment.
    pub(super) fn taken_away(&self, data_action: DataAction, deny: &Deny) -> Denial {
        let request = self.attributes(data_action);
        Denial {
            reason: Reason::DenyAssignment,
            data_action,
            deny_assignment: Some(deny.assignment),
            deny_doubt: deny.doubt(data_action, self.suboperation, &request),
            nearest: None,
            membership_known: self.entitlements.group_count().is_some(),
            revision: self.entitlements.revision,
        }
    }

    /// Finds the assignment that came nearest. Off the way of allowed requests, so it may look at
    /// all of the caller's assignments.
    pub(super) fn explain(&self, data_action: DataAction) -> Denial {
        let here = self.entitlements.applying(self.operation);
        let here = here.map(|grant| (self.missed_here(grant, data_action), grant));
        let elsewhere = self.entitlements.elsewhere(data_action).map(|found| {
            let kind = if found.in_vault {
                Kind::ScopeInVault
            } else {
                Kind::ScopeElsewhere
            };
            (kind, &found.grant)
        });
        // The assignment id makes the choice among equals the same each time.
        let nearest = here
            .chain(elsewhere)
            .min_by_key(|(kind, grant)| (*kind, grant.assignment))
            .map(|(kind, grant)| NearestMiss {
                assignment: grant.assignment,
                role: grant.terms.role,
                role_name: grant.terms.role_name().cloned(),
                scope: grant.scope.clone(),
                miss: self.miss(kind, grant, data_action),
            });
        Denial {
            reason: nearest
                .as_ref()
                .map_or(Reason::NoAssignment, |nearest| nearest.miss.reason()),
            data_action,
            deny_assignment: None,
            deny_doubt: None,
            nearest,
            membership_known: self.entitlements.group_count().is_some(),
            revision: self.entitlements.revision,
        }
    }

    fn missed_here(&self, grant: &Grant, data_action: DataAction) -> Kind {
        let Some(actions) = &grant.terms.actions else {
            return Kind::RoleDefinition;
        };
        if !actions.role.named.contains(data_action) {
            return Kind::Action;
        }
        if !actions.role.offered.contains(data_action) {
            return Kind::NotDataAction;
        }
        if !grant.terms.validity.contains(self.facts.now) {
            return Kind::Expired;
        }
        let request = self.attributes(data_action);
        match actions.truth(data_action, self.suboperation, &request) {
            Truth::Undefined | Truth::Pending(_) if actions.unreadable.contains(data_action) => {
                Kind::Unreadable
            }
            Truth::Undefined => Kind::Undefined,
            // Whatever is fetched, it does not come to hold.
            Truth::Pending(_) => Kind::Undefined,
            // What is true has been granted.
            Truth::True | Truth::False => Kind::False,
        }
    }

    fn miss(&self, kind: Kind, grant: &Grant, data_action: DataAction) -> Miss {
        let blame = || {
            let request = self.attributes(data_action);
            let actions = grant.terms.actions.as_ref()?;
            actions.blame(data_action, self.suboperation, &request)
        };
        match kind {
            Kind::False => Miss::ConditionFalse(blame()),
            Kind::Undefined => match blame() {
                Some(blame) if blame.missing.is_some() => Miss::ConditionAttributeMissing(blame),
                other => Miss::ConditionFalse(other),
            },
            Kind::Unreadable => Miss::ConditionUnreadable,
            Kind::Expired => Miss::Expired,
            Kind::NotDataAction => Miss::NotDataAction,
            Kind::ScopeInVault => Miss::ScopeInVault,
            Kind::Action => Miss::Action,
            Kind::RoleDefinition => Miss::RoleDefinition,
            Kind::ScopeElsewhere => Miss::ScopeElsewhere,
        }
    }
}

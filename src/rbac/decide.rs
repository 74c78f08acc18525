//! The decision itself.

use std::sync::Arc;

use crate::abac::{Needs, Truth};
use crate::attributes::{self, Facts, RequestAttributes};
use crate::keyvault::{DataAction, Operation};

use super::assignment::AssignmentId;
use super::assignment_set::Revision;
use super::entitlements::{Entitlements, Holding};
use super::explain::Denial;
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
///
/// SECURITY: only [`decide`] makes one, because it is leave to spend the caller's token on a
/// question about the operation's object: [`Undecided::inspection`].
#[derive(Debug)]
pub struct Undecided {
    pub(super) operation: Operation,
    pub(super) needs: Needs,
}

impl Undecided {
    /// What is to be decided on.
    pub const fn operation(&self) -> &Operation {
        &self.operation
    }

    /// What to fetch. SECURITY: what cannot be fetched is "could not decide", never a decision.
    pub const fn needs(&self) -> Needs {
        self.needs
    }

    /// The operation, to be decided on again.
    pub fn into_operation(self) -> Operation {
        self.operation
    }
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
/// none may be taken away by a deny assignment. Conditions are asked only where the outcome depends
/// on them; where it depends on what was not fetched yet, the decision is
/// [`Decision::Undecided`]. Fetched are the parts of `facts` that are not [`crate::attributes::Stage::Unread`].
pub fn decide(operation: Operation, entitlements: &Entitlements, facts: &Facts<'_>) -> Decision {
    let question = Question::new(&operation, entitlements, facts);
    match question.answer() {
        Err(denial) => Decision::Deny(*denial),
        Ok(Answer::Fetch(needs)) => Decision::Undecided(Undecided { operation, needs }),
        Ok(Answer::Granted(granted_by)) => Decision::Allow(Permit {
            operation,
            vault: entitlements.vault.clone(),
            granted_by,
            revision: entitlements.revision,
        }),
    }
}

/// An answer that is no denial.
enum Answer {
    Granted(Vec<GrantedBy>),
    Fetch(Needs),
}

/// One request, as conditions see it.
pub(super) struct Question<'a> {
    pub(super) operation: &'a Operation,
    pub(super) entitlements: &'a Entitlements,
    pub(super) facts: &'a Facts<'a>,
    pub(super) suboperation: Option<&'static str>,
}

impl<'a> Question<'a> {
    fn new(operation: &'a Operation, entitlements: &'a Entitlements, facts: &'a Facts<'a>) -> Self {
        Self {
            operation,
            entitlements,
            facts,
            suboperation: attributes::suboperation(operation.kind()),
        }
    }

    /// The attributes that `action` sees.
    pub(super) fn attributes(&self, action: DataAction) -> RequestAttributes<'a> {
        RequestAttributes {
            operation: self.operation,
            action,
            facts: self.facts,
            custom: self.entitlements.custom_attributes.as_deref(),
        }
    }

    fn answer(&self) -> Result<Answer, Box<Denial>> {
        let needed = self.operation.kind().row().data_actions;
        let mut needs = Needs::NOTHING;
        for &action in needed {
            needs = needs.union(self.denied(action)?);
        }
        let mut granted_by = Vec::with_capacity(needed.len());
        for &action in needed {
            match self.granted(action) {
                Granted::By(by) => granted_by.push(by),
                Granted::Depends(more) => needs = needs.union(more),
                // What else is not known yet cannot help.
                Granted::No => return Err(Box::new(self.explain(action))),
            }
        }
        Ok(if needs.is_empty() {
            Answer::Granted(granted_by)
        } else {
            Answer::Fetch(needs)
        })
    }

    /// What must be fetched to know that no deny assignment takes `action` away; `Err` if one does.
    fn denied(&self, action: DataAction) -> Result<Needs, Box<Denial>> {
        let mut needs = Needs::NOTHING;
        for deny in self.entitlements.denying(self.operation, action) {
            let truth = if deny.denied.contains(action) {
                Truth::True
            } else if deny.conditional.contains(action) {
                deny.truth(action, self.suboperation, &self.attributes(action))
            } else {
                Truth::False
            };
            let spared = match truth {
                Truth::False => continue,
                Truth::Pending(pending) => pending.to_fail(),
                Truth::True | Truth::Undefined => None,
            };
            // SECURITY: what cannot be evaluated denies, and so does what cannot come to be false.
            match spared {
                Some(more) => needs = needs.union(more),
                None => return Err(Box::new(self.taken_away(action, deny))),
            }
        }
        Ok(needs)
    }

    fn granted(&self, action: DataAction) -> Granted {
        let deciding = || self.entitlements.deciding(self.operation);
        // First what asks nothing.
        let granting = deciding().find(|holding| {
            holding.held.contains(action) && (holding.is_unbounded || self.is_in_time(holding))
        });
        if let Some(by) = granting.and_then(|holding| self.granted_by(holding, action)) {
            return Granted::By(by);
        }
        let mut needs = Needs::NOTHING;
        for holding in deciding().filter(|holding| holding.conditional.contains(action)) {
            match self.holds(holding, action) {
                Truth::True => {
                    if let Some(by) = self.granted_by(holding, action) {
                        return Granted::By(by);
                    }
                }
                Truth::False | Truth::Undefined => {}
                // What cannot come to hold is worth no question.
                Truth::Pending(pending) => {
                    needs = needs.union(pending.to_hold().unwrap_or_default());
                }
            }
        }
        if needs.is_empty() {
            Granted::No
        } else {
            Granted::Depends(needs)
        }
    }

    fn is_in_time(&self, holding: &Holding) -> bool {
        let grant = self.entitlements.grant(holding);
        grant.is_some_and(|grant| grant.terms.validity.contains(self.facts.now))
    }

    /// Whether a grant gives `action` to this request now.
    fn holds(&self, holding: &Holding, action: DataAction) -> Truth {
        let grant = self.entitlements.grant(holding);
        match grant.and_then(|grant| grant.terms.actions.as_ref()) {
            Some(actions) if self.is_in_time(holding) => {
                actions.truth(action, self.suboperation, &self.attributes(action))
            }
            Some(_) | None => Truth::False,
        }
    }

    fn granted_by(&self, holding: &Holding, data_action: DataAction) -> Option<GrantedBy> {
        let grant = self.entitlements.grant(holding)?;
        // A grant whose role definition is unknown has no name and no actions.
        let role_name = grant.terms.role_name()?;
        Some(GrantedBy {
            data_action,
            assignment: grant.assignment,
            role: grant.terms.role,
            role_name: role_name.clone(),
        })
    }
}

/// Whether an action is granted.
enum Granted {
    By(GrantedBy),
    Depends(Needs),
    No,
}

//! Azure RBAC for the data plane, decided here: the policy decision point.
//!
//! # The order Azure documents
//!
//! 1. Every deny assignment that applies to the resource and the caller, and takes the action
//!    away, blocks. It wins over everything.
//! 2. A role assignment allows if it applies to the resource, names the caller or one of its
//!    transitive groups, is inside its time window, its role definition holds the action, and its
//!    conditions hold.
//! 3. Nothing else allows.
//!
//! Roles add up; `NotDataActions` subtract inside one `permissions[]` entry and deny nothing.
//! Control-plane `actions` are never looked at: Owner reads no secret.
//!
//! # How it is made quick
//!
//! [`AssignmentSet::compile`] turns the data of a tenant into grants by principal, each with its
//! actions as a bit set. [`AssignmentSet::entitlements`] gathers what one caller has in one vault;
//! callers keep the result for as long as the revision stands. [`decide`] then needs one look at
//! the vault's grants and one hash look-up for the object, however large the tenant is.
//!
//! Conditions are compiled for each data action when role data is loaded, so that most of them are
//! settled then. Where an outcome depends on a request's body or an object's metadata, [`decide`]
//! answers [`Decision::Undecided`] and names what to fetch; where it does not, nothing is fetched.
//!
//! # Which way it fails
//!
//! | what is uncertain | role assignment | deny assignment |
//! |---|---|---|
//! | condition cannot be read | does not grant | denies |
//! | condition needs an attribute that is missing | does not grant | denies |
//! | condition depends on what was not fetched yet | decided later | decided later |
//! | role definition unknown | does not grant | |
//! | management group not known to be above the vault | does not grant | denies |
//! | caller's groups unknown | only its own assignments count | one that names a group denies |
//! | scope below the vault that is no key, secret or certificate | does not grant | denies there |
//! | PIM schedule instance without its role assignment | does not grant | |
//! | effect missing or unknown | | denies |
//!
//! # Example
//!
//! A caller holds *Key Vault Secrets User* on the resource group of a vault. `GET /secrets/db`
//! needs `secrets/getSecret/action` on `…/vaults/kv/secrets/db`; the resource group contains it and
//! the role holds the action: allowed, and the permit names the assignment. `PUT /secrets/db` needs
//! `setSecret`, which the role lacks: denied, `action_not_granted`, nearest miss that assignment.
//!
//! Sources: <https://learn.microsoft.com/azure/role-based-access-control/overview> ("How Azure RBAC
//! determines if a user has access to a resource"),
//! <https://learn.microsoft.com/azure/role-based-access-control/deny-assignments>.

mod actions;
mod assignment;
mod assignment_set;
mod condition;
mod decide;
mod denies;
mod division;
mod elsewhere;
mod entitlements;
mod explain;
mod grants;
mod inspection;
mod role;
mod scope;

pub use assignment::{
    AssignmentId, ConditionText, DenyAssignment, DenyEffect, DenyPrincipal, MemberType, Origin,
    PrincipalType, RoleAssignment, RoleData, ScheduleInstance, Window,
};
pub use assignment_set::{AssignmentSet, Census, Revision, VaultScope};
pub use condition::{ConditionError, ConditionHolder, UnreadableCondition};
pub use decide::{Decision, GrantedBy, Permit, Undecided, decide};
pub use denies::DenyDoubt;
pub use entitlements::{Entitlements, Membership, Principals};
pub use explain::{Denial, Miss, NearestMiss};
pub use inspection::{Inspection, InspectionStep};
pub use role::{Permission, RoleDefinition, RoleDefinitionId};
pub use scope::{ManagementGroup, Scope, ScopeError};

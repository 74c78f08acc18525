//! Azure RBAC for the data plane: deciding, purely.

mod assignment;
mod role;
mod scope;

pub use assignment::{
    AssignmentId, ConditionText, DenyAssignment, DenyEffect, DenyPrincipal, MemberType,
    PrincipalType, RoleAssignment, RoleData, ScheduleInstance, Window,
};
pub use role::{Permission, RoleDefinition, RoleDefinitionId, matches};
pub use scope::{ManagementGroup, Scope, ScopeError};

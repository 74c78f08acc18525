//! A permit for any operation, from the one place that makes permits.

use std::time::SystemTime;

use portcullis::keyvault::Operation;
use portcullis::principal::{Guid, ObjectId, TokenGroups};
use portcullis::rbac::{
    AssignmentId, AssignmentSet, Decision, Origin, Permission, Permit, Revision, RoleAssignment,
    RoleData, RoleDefinition, RoleDefinitionId, VaultScope, decide,
};

use crate::facts::Blank;

/// A permit for somebody who holds everything at the root.
pub(crate) fn permit(operation: Operation) -> Permit {
    let everything = RoleDefinition {
        id: RoleDefinitionId(Guid::from_u128(1)),
        name: "everything".into(),
        permissions: vec![Permission {
            data_actions: vec!["*".into()],
            ..Permission::default()
        }],
    };
    let object_id = ObjectId(Guid::from_u128(2));
    let data = RoleData {
        role_assignments: vec![RoleAssignment {
            id: AssignmentId(Guid::from_u128(3)),
            origin: Origin::Azure,
            scope: "/".parse().unwrap(),
            principal: object_id,
            role_definition: everything.id,
            condition: None,
            principal_deleted: false,
        }],
        role_definitions: [(everything.id, everything)].into(),
        ..RoleData::default()
    };
    let vault = VaultScope {
        scope: "/subscriptions/s".parse().unwrap(),
        management_groups: None,
    };
    let set = AssignmentSet::compile(&data, &[vault], Revision::of([0; 32]));
    let principals = set.principals(object_id, &TokenGroups::Absent);
    let entitlements = set.entitlements(&principals, 0).unwrap();
    let blank = Blank::new();
    match decide(
        operation,
        &entitlements,
        &blank.facts(SystemTime::UNIX_EPOCH),
    ) {
        Decision::Allow(permit) => permit,
        Decision::Deny(denial) => panic!("{denial:?}"),
        Decision::Undecided(undecided) => panic!("{undecided:?}"),
    }
}

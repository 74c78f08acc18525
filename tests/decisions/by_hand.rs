//! Cases written by hand: what each rule of Azure gives and takes.

use portcullis::keyvault::OperationKind;
use portcullis::principal::{Guid, TokenGroups};
use portcullis::rbac::{
    AssignmentId, ConditionText, DenyAssignment, DenyEffect, DenyPrincipal, Origin, Permission,
    PrincipalType, RoleAssignment, RoleData, RoleDefinition, RoleDefinitionId, Scope, VaultScope,
};
use portcullis::reason::Reason;

use super::tenant::conditions::Fetched;
use super::tenant::{SUBSCRIPTION, at, named_operation, object_id};
use super::{Question, allows, assert_reason, denial};

pub(crate) const ALICE: u64 = 0;
pub(crate) const GROUP: u64 = 3;

pub(crate) fn vault_id() -> String {
    format!("{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv1")
}

pub(crate) fn vault() -> VaultScope {
    VaultScope {
        scope: vault_id().parse().unwrap(),
        management_groups: Some(vec!["platform".parse().unwrap()]),
    }
}

pub(crate) fn id(n: u128) -> AssignmentId {
    AssignmentId(Guid::from_u128(n))
}

pub(crate) fn role(data_actions: &[&str], not_data_actions: &[&str]) -> RoleDefinition {
    let boxed = |patterns: &[&str]| patterns.iter().map(|p| (*p).into()).collect();
    RoleDefinition {
        id: RoleDefinitionId(Guid::from_u128(1)),
        name: "role".into(),
        permissions: vec![Permission {
            data_actions: boxed(data_actions),
            not_data_actions: boxed(not_data_actions),
            condition: None,
        }],
    }
}

pub(crate) fn held(principal: u64, scope: &str) -> RoleAssignment {
    RoleAssignment {
        id: id(100),
        origin: Origin::Azure,
        scope: scope.parse().unwrap(),
        principal: object_id(principal),
        role_definition: RoleDefinitionId(Guid::from_u128(1)),
        condition: None,
        principal_deleted: false,
    }
}

pub(crate) fn tenant(role: RoleDefinition, assignment: RoleAssignment) -> RoleData {
    RoleData {
        role_assignments: vec![assignment],
        role_definitions: [(role.id, role)].into(),
        ..RoleData::default()
    }
}

/// Alice holds everything on the vault.
pub(crate) fn everything() -> RoleData {
    tenant(
        role(&["Microsoft.KeyVault/vaults/*"], &[]),
        held(ALICE, &vault_id()),
    )
}

pub(crate) fn asks(kind: OperationKind, name: &str) -> Question {
    Question {
        object_id: object_id(ALICE),
        token: TokenGroups::Absent,
        operation: named_operation(kind, name),
        now: at(5),
        fetched: Fetched::default(),
    }
}

fn deny(principals: &[DenyPrincipal], scope: &str) -> DenyAssignment {
    DenyAssignment {
        id: id(200),
        scope: scope.parse().unwrap(),
        does_not_apply_to_child_scopes: false,
        principals: principals.to_vec(),
        exclude_principals: Vec::new(),
        permissions: role(&["Microsoft.KeyVault/vaults/*"], &[]).permissions,
        effect: DenyEffect::Enforced,
        condition: None,
    }
}

const EVERYONE: DenyPrincipal = DenyPrincipal {
    id: portcullis::principal::ObjectId(Guid::ZERO),
    kind: PrincipalType::Everyone,
};

fn group_entry() -> DenyPrincipal {
    DenyPrincipal {
        id: object_id(GROUP),
        kind: PrincipalType::Group,
    }
}

#[test]
fn nobody_holds_anything_by_default() {
    let get = asks(OperationKind::SecretGet, "app");
    assert_reason(&RoleData::default(), &vault(), &get, Reason::NoAssignment);
}

#[test]
fn an_object_scoped_assignment_opens_that_object_and_no_list() {
    let data = tenant(
        role(&["Microsoft.KeyVault/vaults/secrets/*"], &[]),
        held(ALICE, &format!("{}/secrets/App", vault_id())),
    );
    assert!(allows(
        &data,
        &vault(),
        &asks(OperationKind::SecretGet, "aPP")
    ));
    assert!(allows(
        &data,
        &vault(),
        &asks(OperationKind::SecretListVersions, "app")
    ));
    for (kind, name) in [
        (OperationKind::SecretGet, "app2"),
        (OperationKind::SecretList, ""),
        (OperationKind::SecretRestore, ""),
    ] {
        assert_reason(&data, &vault(), &asks(kind, name), Reason::ScopeMismatch);
    }
}

#[test]
fn an_assignment_on_a_certificate_opens_neither_its_key_nor_its_secret() {
    let data = tenant(
        role(&["Microsoft.KeyVault/vaults/*"], &[]),
        held(ALICE, &format!("{}/certificates/tls", vault_id())),
    );
    assert!(allows(
        &data,
        &vault(),
        &asks(OperationKind::CertificateGet, "tls")
    ));
    assert!(!allows(
        &data,
        &vault(),
        &asks(OperationKind::SecretGet, "tls")
    ));
    assert!(!allows(
        &data,
        &vault(),
        &asks(OperationKind::KeyGet, "tls")
    ));
}

#[test]
fn an_operation_with_two_data_actions_needs_both() {
    for (actions, allowed) in [
        (
            &["Microsoft.KeyVault/vaults/secrets/getSecret/action"][..],
            false,
        ),
        (
            &["Microsoft.KeyVault/vaults/secrets/readMetadata/action"][..],
            false,
        ),
        (&["Microsoft.KeyVault/vaults/secrets/*/action"][..], true),
    ] {
        let data = tenant(role(actions, &[]), held(ALICE, &vault_id()));
        let question = asks(OperationKind::SecretGetDeleted, "app");
        assert_eq!(allows(&data, &vault(), &question), allowed, "{actions:?}");
    }
}

#[test]
fn each_refusal_has_its_own_reason() {
    let get = asks(OperationKind::SecretGet, "app");
    let secrets = role(&["Microsoft.KeyVault/vaults/secrets/*"], &[]);
    let keys = role(&["Microsoft.KeyVault/vaults/keys/*"], &[]);
    let purged = role(
        &["Microsoft.KeyVault/vaults/secrets/*"],
        &["Microsoft.KeyVault/vaults/secrets/getSecret/action"],
    );
    let here = vault_id();
    let mut conditional = held(ALICE, &here);
    conditional.condition = Some(ConditionText {
        text: "x".into(),
        version: None,
    });
    let mut unknown_role = held(ALICE, &here);
    unknown_role.role_definition = RoleDefinitionId(Guid::from_u128(99));
    let mut deleted = held(ALICE, &here);
    deleted.principal_deleted = true;
    let elsewhere = here.replace("kv1", "kv10");
    for (data, reason) in [
        (
            tenant(keys.clone(), held(ALICE, &here)),
            Reason::ActionNotGranted,
        ),
        (tenant(purged, held(ALICE, &here)), Reason::NotDataAction),
        (
            tenant(secrets.clone(), conditional),
            Reason::ConditionUnsupported,
        ),
        (
            tenant(secrets.clone(), unknown_role),
            Reason::RoleDefinitionUnknown,
        ),
        (tenant(secrets.clone(), deleted), Reason::NoAssignment),
        (
            tenant(secrets.clone(), held(ALICE, &elsewhere)),
            Reason::ScopeMismatch,
        ),
        (tenant(keys, held(ALICE, &elsewhere)), Reason::NoAssignment),
        (tenant(secrets, held(1, &here)), Reason::NoAssignment),
    ] {
        assert_reason(&data, &vault(), &get, reason);
    }
}

#[test]
fn the_nearest_miss_is_named() {
    let mut data = everything();
    data.role_assignments[0].scope = format!("{}/secrets/other", vault_id())
        .parse::<Scope>()
        .unwrap();
    let denial = denial(&data, &vault(), &asks(OperationKind::SecretGet, "app"));
    let nearest = denial.nearest.unwrap();
    assert_eq!(nearest.assignment, id(100));
    assert!(nearest.scope.as_str().ends_with("/secrets/other"));
}

#[test]
fn a_deny_assignment_finds_a_resource_group_whatever_the_case_of_its_letters() {
    let vault_in = |group: &str| vault_id().replace("/rg/", &format!("/{group}/"));
    let mut data = everything();
    data.role_assignments[0].scope = SUBSCRIPTION.parse().unwrap();
    let group = format!("{SUBSCRIPTION}/resourceGroups/RG-ÄPFEL");
    data.deny_assignments.push(deny(&[EVERYONE], &group));
    let place = VaultScope {
        scope: vault_in("rg-äpfel").parse().unwrap(),
        management_groups: None,
    };
    let get = asks(OperationKind::SecretGet, "app");
    assert_reason(&data, &place, &get, Reason::DenyAssignment);
}

#[test]
fn a_group_grants_to_its_members_only() {
    let mut data = tenant(
        role(&["Microsoft.KeyVault/vaults/*"], &[]),
        held(GROUP, &vault_id()),
    );
    let get = asks(OperationKind::SecretGet, "app");
    assert!(!allows(&data, &vault(), &get));
    let member = Question {
        token: TokenGroups::Present([object_id(GROUP)].into()),
        ..get
    };
    assert!(allows(&data, &vault(), &member));
    // Role data that knows the caller has the last word.
    data.groups.insert(object_id(ALICE), Vec::new());
    assert!(!allows(&data, &vault(), &member));
    data.groups.insert(object_id(ALICE), vec![object_id(GROUP)]);
    assert!(allows(
        &data,
        &vault(),
        &asks(OperationKind::SecretGet, "app")
    ));
}

#[test]
fn a_deny_assignment_wins_and_its_exclusions_spare() {
    let get = asks(OperationKind::SecretGet, "app");
    let mut data = everything();
    data.deny_assignments.push(deny(&[EVERYONE], SUBSCRIPTION));
    let refused = denial(&data, &vault(), &get);
    assert_eq!(
        (refused.reason, refused.deny_assignment),
        (Reason::DenyAssignment, Some(id(200)))
    );
    data.deny_assignments[0]
        .exclude_principals
        .push(group_entry());
    assert!(
        !allows(&data, &vault(), &get),
        "membership is not known, so nothing spares"
    );
    data.groups.insert(object_id(ALICE), vec![object_id(GROUP)]);
    assert!(allows(&data, &vault(), &get));
}

#[test]
fn a_deny_assignment_on_a_group_hits_callers_whose_groups_are_unknown() {
    let get = asks(OperationKind::SecretGet, "app");
    let mut data = everything();
    data.deny_assignments
        .push(deny(&[group_entry()], SUBSCRIPTION));
    assert_reason(&data, &vault(), &get, Reason::DenyAssignment);
    data.groups.insert(object_id(ALICE), Vec::new());
    assert!(allows(&data, &vault(), &get));
}

#[test]
fn a_group_that_only_the_token_knows_can_take_away_and_not_give() {
    let member = Question {
        token: TokenGroups::Present([object_id(GROUP)].into()),
        ..asks(OperationKind::SecretGet, "app")
    };
    let mut denied = everything();
    denied.groups.insert(object_id(ALICE), Vec::new());
    denied
        .deny_assignments
        .push(deny(&[group_entry()], SUBSCRIPTION));
    assert_reason(&denied, &vault(), &member, Reason::DenyAssignment);
    denied.deny_assignments[0] = deny(&[EVERYONE], SUBSCRIPTION);
    denied.deny_assignments[0]
        .exclude_principals
        .push(group_entry());
    assert_reason(&denied, &vault(), &member, Reason::DenyAssignment);
}

#[test]
fn a_deny_assignment_that_only_audits_blocks_nothing() {
    let mut data = everything();
    data.deny_assignments.push(DenyAssignment {
        effect: DenyEffect::Audit,
        ..deny(&[EVERYONE], SUBSCRIPTION)
    });
    assert!(allows(
        &data,
        &vault(),
        &asks(OperationKind::SecretGet, "app")
    ));
}

#[test]
fn a_deny_assignment_that_spares_children_hits_its_own_scope_only() {
    let mut data = everything();
    data.deny_assignments.push(DenyAssignment {
        does_not_apply_to_child_scopes: true,
        ..deny(&[EVERYONE], &vault_id())
    });
    assert!(!allows(
        &data,
        &vault(),
        &asks(OperationKind::SecretList, "")
    ));
    assert!(allows(
        &data,
        &vault(),
        &asks(OperationKind::SecretGet, "app")
    ));
}

#[test]
fn a_conditional_deny_assignment_denies() {
    let mut data = everything();
    data.deny_assignments.push(DenyAssignment {
        condition: Some(ConditionText {
            text: "@@@".into(),
            version: None,
        }),
        ..deny(&[EVERYONE], SUBSCRIPTION)
    });
    assert_reason(
        &data,
        &vault(),
        &asks(OperationKind::SecretGet, "app"),
        Reason::DenyAssignment,
    );
}

#[test]
fn an_unknown_management_group_grants_nothing_and_denies() {
    let group = "/providers/Microsoft.Management/managementGroups/elsewhere";
    let get = asks(OperationKind::SecretGet, "app");
    let mut unsure = vault();
    unsure.management_groups = None;
    let granted = tenant(
        role(&["Microsoft.KeyVault/vaults/*"], &[]),
        held(ALICE, group),
    );
    assert!(!allows(&granted, &vault(), &get));
    assert!(!allows(&granted, &unsure, &get));
    let mut denied = everything();
    denied.deny_assignments.push(deny(&[EVERYONE], group));
    assert!(
        allows(&denied, &vault(), &get),
        "it is known not to be above the vault"
    );
    assert!(!allows(&denied, &unsure, &get));
}

#[test]
fn permissions_entries_do_not_pool_their_not_data_actions() {
    let mut role = role(
        &["Microsoft.KeyVault/vaults/secrets/*"],
        &["Microsoft.KeyVault/vaults/secrets/getSecret/action"],
    );
    role.permissions.push(Permission {
        data_actions: vec!["Microsoft.KeyVault/vaults/secrets/getSecret/action".into()],
        ..Permission::default()
    });
    let data = tenant(role, held(ALICE, &vault_id()));
    assert!(allows(
        &data,
        &vault(),
        &asks(OperationKind::SecretGet, "app")
    ));
}

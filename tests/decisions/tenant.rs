//! Random tenants from a small world, so that principals, scopes and actions meet often.

#[path = "conditions.rs"]
pub(crate) mod conditions;

use std::time::{Duration, SystemTime};

use crate::dice::Dice;
use portcullis::keyvault::{DataAction, Operation, OperationKind, route};
use portcullis::principal::{Guid, ObjectId, TokenGroups};
use portcullis::rbac::{
    AssignmentId, DenyAssignment, DenyEffect, DenyPrincipal, MemberType, Origin, Permission,
    PrincipalType, RoleAssignment, RoleData, RoleDefinition, RoleDefinitionId, ScheduleInstance,
    Scope, VaultScope, Window,
};

use conditions::{condition, custom_attributes};

pub(crate) const SUBSCRIPTION: &str = "/subscriptions/11111111-1111-4111-8111-111111111111";

pub(crate) fn object_id(n: u64) -> ObjectId {
    ObjectId(Guid::from_u128(0xa000 + u128::from(n)))
}

pub(crate) fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + seconds)
}

fn vault_id(name: &str) -> String {
    format!("{SUBSCRIPTION}/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/{name}")
}

pub(crate) fn vault(dice: &mut Dice) -> VaultScope {
    let management_groups = match dice.below(3) {
        0 => None,
        1 => Some(vec!["platform".parse().unwrap()]),
        _ => Some(vec!["platform".parse().unwrap(), "root".parse().unwrap()]),
    };
    VaultScope {
        scope: vault_id("kv1").parse().unwrap(),
        management_groups,
    }
}

fn scope(dice: &mut Dice) -> Scope {
    let vault = vault_id("kv1");
    let text = match dice.below(16) {
        0 => "/".to_owned(),
        1 => "/providers/Microsoft.Management/managementGroups/Platform".to_owned(),
        2 => "/providers/Microsoft.Management/managementGroups/root".to_owned(),
        3 => "/providers/Microsoft.Management/serviceGroups/platform".to_owned(),
        4 => SUBSCRIPTION
            .to_uppercase()
            .replace("/SUBSCRIPTIONS", "/Subscriptions"),
        5 => format!("{SUBSCRIPTION}/resourcegroups/RG"),
        6 => format!("{SUBSCRIPTION}/resourceGroups/rg2"),
        7 => vault_id("kv10"),
        8 => format!("{vault}/"),
        9 => vault.to_uppercase(),
        10 => format!("{vault}/secrets"),
        11 => format!("{vault}/secrets/app/versions"),
        12 => format!("{vault}/Keys/App"),
        13 => format!("{vault}/certificates/app"),
        _ => format!("{vault}/secrets/{}", dice.pick(&["app", "APP", "app2"])),
    };
    text.parse().unwrap()
}

fn pattern(dice: &mut Dice) -> Box<str> {
    match dice.below(4) {
        0 => dice.pick(DataAction::ALL).as_str().into(),
        1 => dice.pick(DataAction::ALL).as_str().to_uppercase().into(),
        _ => (*dice.pick(&[
            "Microsoft.KeyVault/vaults/*",
            "Microsoft.KeyVault/vaults/*/read",
            "Microsoft.KeyVault/vaults/secrets/*",
            "Microsoft.KeyVault/vaults/keys/*",
            "microsoft.keyvault/vaults/certificates/* ",
            "*/action",
            "*",
            "*/vaults/*/get*",
            "",
            "Microsoft.KeyVault/vaults/secrets/getSecret",
            "Microsoft.Storage/*",
        ]))
        .into(),
    }
}

fn permission(dice: &mut Dice) -> Permission {
    Permission {
        data_actions: dice.list(3, pattern),
        not_data_actions: dice.list(1, pattern),
        condition: condition(dice, 4),
    }
}

fn role_definition_id(dice: &mut Dice) -> RoleDefinitionId {
    RoleDefinitionId(Guid::from_u128(0xd000 + u128::from(dice.below(5))))
}

fn assignment_id(dice: &mut Dice) -> AssignmentId {
    AssignmentId(Guid::from_u128(0xe000 + u128::from(dice.below(16))))
}

fn instant(dice: &mut Dice) -> Option<SystemTime> {
    (!dice.one_in(3)).then(|| at(dice.below(10)))
}

pub(crate) fn role_assignment(dice: &mut Dice) -> RoleAssignment {
    RoleAssignment {
        id: assignment_id(dice),
        origin: *dice.pick(&[Origin::Azure, Origin::Azure, Origin::Overlay]),
        scope: scope(dice),
        principal: object_id(dice.below(6)),
        role_definition: role_definition_id(dice),
        condition: condition(dice, 3),
        principal_deleted: dice.one_in(12),
    }
}

fn deny_principal(dice: &mut Dice) -> DenyPrincipal {
    let kind = *dice.pick(&[
        PrincipalType::Everyone,
        PrincipalType::Group,
        PrincipalType::Single,
        PrincipalType::Unknown,
    ]);
    let id = if kind == PrincipalType::Everyone {
        ObjectId(Guid::ZERO)
    } else {
        object_id(dice.below(6))
    };
    DenyPrincipal { id, kind }
}

pub(crate) fn deny_assignment(dice: &mut Dice) -> DenyAssignment {
    DenyAssignment {
        id: assignment_id(dice),
        scope: scope(dice),
        does_not_apply_to_child_scopes: dice.one_in(3),
        principals: dice.list(2, deny_principal),
        exclude_principals: dice.list(1, deny_principal),
        permissions: dice.list(2, permission),
        effect: if dice.one_in(4) {
            DenyEffect::Audit
        } else {
            DenyEffect::Enforced
        },
        condition: condition(dice, 4),
    }
}

fn schedule_instance(dice: &mut Dice) -> ScheduleInstance {
    ScheduleInstance {
        id: assignment_id(dice),
        origin: (!dice.one_in(4)).then(|| assignment_id(dice)),
        scope: scope(dice),
        principal: object_id(dice.below(6)),
        role_definition: role_definition_id(dice),
        window: Window {
            start: instant(dice),
            end: instant(dice),
        },
        ended: dice.one_in(6),
        member_type: *dice.pick(&[
            MemberType::Direct,
            MemberType::Direct,
            MemberType::Group,
            MemberType::Inherited,
        ]),
        condition: condition(dice, 8),
    }
}

pub(crate) fn role_data(dice: &mut Dice) -> RoleData {
    let roles = dice.list(5, |dice| RoleDefinition {
        id: role_definition_id(dice),
        name: "r".into(),
        permissions: dice.list(3, permission),
    });
    RoleData {
        role_assignments: dice.list(24, role_assignment),
        role_definitions: roles.into_iter().map(|role| (role.id, role)).collect(),
        deny_assignments: if dice.one_in(2) {
            dice.list(2, deny_assignment)
        } else {
            Vec::new()
        },
        schedule_instances: dice.list(4, schedule_instance),
        groups: dice
            .list(3, |dice| {
                (
                    object_id(dice.below(3)),
                    dice.list(2, |dice| object_id(3 + dice.below(3))),
                )
            })
            .into_iter()
            .collect(),
        overlay_conditions: dice
            .list(2, |dice| {
                let conditions = dice.list(2, |dice| condition(dice, 1));
                (
                    assignment_id(dice),
                    conditions.into_iter().flatten().collect(),
                )
            })
            .into_iter()
            .collect(),
        custom_attributes: dice
            .list(2, |dice| {
                (object_id(dice.below(3)), custom_attributes(dice))
            })
            .into_iter()
            .collect(),
    }
}

/// Operations that most of the random conditions ask about.
const ASKED_ABOUT: &[OperationKind] = &[
    OperationKind::KeyGet,
    OperationKind::KeyUpdate,
    OperationKind::SecretGet,
    OperationKind::SecretSet,
    OperationKind::SecretUpdate,
];

pub(crate) fn operation(dice: &mut Dice) -> Operation {
    let kind = if dice.one_in(3) {
        *dice.pick(OperationKind::ALL)
    } else {
        *dice.pick(ASKED_ABOUT)
    };
    let name: &&str = dice.pick(&["app", "App", "app2", "other"]);
    named_operation(kind, name)
}

pub(crate) fn named_operation(kind: OperationKind, name: &str) -> Operation {
    let row = kind.row();
    let path = row
        .template
        .replace("{name}", name)
        .replace("{sas}", "sas")
        .replace("{version}", "");
    let method = row.method.as_str().parse().unwrap();
    route::parse(&method, &path, Some("api-version=7.4"), &[]).unwrap()
}

pub(crate) fn token_groups(dice: &mut Dice) -> TokenGroups {
    if dice.one_in(2) {
        TokenGroups::Absent
    } else {
        TokenGroups::Present(dice.list(2, |dice| object_id(3 + dice.below(3))).into())
    }
}

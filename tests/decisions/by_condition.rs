//! Conditions, case by case: what they give, what they take, and what a refusal says.

use portcullis::keyvault::OperationKind;
use portcullis::principal::ObjectId;
use portcullis::rbac::{
    ConditionHolder, ConditionText, Denial, DenyAssignment, DenyDoubt, DenyEffect, DenyPrincipal,
    Miss, Permission, PrincipalType, RoleAssignment, RoleData,
};
use portcullis::reason::Reason;

use super::by_hand::{ALICE, asks, everything, held, id, role, tenant, vault, vault_id};
use super::tenant::{SUBSCRIPTION, conditions};
use super::{Decision, Needs, allows, ask_knowing, assert_reason, compile, denial};

const NAME_IS_APP: &str = "@Resource[Microsoft.KeyVault/vaults/secrets:name] StringEquals 'app'";

fn text(text: &str) -> ConditionText {
    ConditionText {
        text: text.into(),
        version: Some("2.0".into()),
    }
}

/// Alice holds all secrets of the vault under a condition.
fn under(condition: &str) -> RoleData {
    tenant(
        role(&["Microsoft.KeyVault/vaults/secrets/*"], &[]),
        RoleAssignment {
            condition: Some(text(condition)),
            ..held(ALICE, &vault_id())
        },
    )
}

fn denied_under(condition: &str) -> RoleData {
    let everyone = DenyPrincipal {
        id: ObjectId(portcullis::principal::Guid::ZERO),
        kind: PrincipalType::Everyone,
    };
    RoleData {
        deny_assignments: vec![DenyAssignment {
            id: id(200),
            scope: SUBSCRIPTION.parse().unwrap(),
            does_not_apply_to_child_scopes: false,
            principals: vec![everyone],
            exclude_principals: Vec::new(),
            permissions: role(&["Microsoft.KeyVault/vaults/secrets/*"], &[]).permissions,
            effect: DenyEffect::Enforced,
            condition: Some(text(condition)),
        }],
        ..everything()
    }
}

fn refusal(data: &RoleData, kind: OperationKind, name: &str) -> Denial {
    denial(data, &vault(), &asks(kind, name))
}

fn miss(data: &RoleData, kind: OperationKind, name: &str) -> Miss {
    refusal(data, kind, name).nearest.unwrap().miss
}

fn may(data: &RoleData, kind: OperationKind, name: &str) -> bool {
    allows(data, &vault(), &asks(kind, name))
}

#[test]
fn a_name_condition_opens_that_secret_and_no_list() {
    let data = under(NAME_IS_APP);
    assert!(may(&data, OperationKind::SecretGet, "app"));
    assert!(may(&data, OperationKind::SecretListVersions, "app"));
    let Miss::ConditionFalse(Some(blame)) = miss(&data, OperationKind::SecretGet, "other") else {
        panic!("another reason");
    };
    assert_eq!((&*blame.expression, blame.missing), (NAME_IS_APP, None));
    let listing = refusal(&data, OperationKind::SecretList, "");
    assert_eq!(listing.reason, Reason::ConditionAttributeMissing);
    let told = listing.nearest.unwrap().miss.to_string();
    let attribute = "@Resource[Microsoft.KeyVault/vaults/secrets:name]";
    assert!(told.contains(NAME_IS_APP), "{told}");
    assert!(told.contains(&format!("needs `{attribute}`")), "{told}");
}

#[test]
fn an_attribute_that_no_request_with_the_action_has_is_named_too() {
    // `@Resource` on `setSecret`, where the name is `@Request`'s.
    let data = under(NAME_IS_APP);
    let Miss::ConditionAttributeMissing(blame) = miss(&data, OperationKind::SecretSet, "app")
    else {
        panic!("another reason");
    };
    assert_eq!(&*blame.expression, NAME_IS_APP);
    // A blob that is restored keeps its name to itself.
    let restoring = under("@Request[Microsoft.KeyVault/vaults/secrets:name] StringLike 'app*'");
    assert!(may(&restoring, OperationKind::SecretSet, "app-1"));
    let restore = asks(OperationKind::SecretRestore, "");
    let missing = Reason::ConditionAttributeMissing;
    assert_reason(&restoring, &vault(), &restore, missing);
}

#[test]
fn an_attribute_that_nobody_knows_is_not_known_to_be_absent() {
    let colour = "Exists @Resource[Microsoft.KeyVault/vaults/secrets:colour]";
    for condition in [colour.to_owned(), format!("NOT {colour}")] {
        let Miss::ConditionAttributeMissing(blame) =
            miss(&under(&condition), OperationKind::SecretGet, "app")
        else {
            panic!("another reason");
        };
        assert_eq!(
            (&*blame.expression, blame.missing.as_deref()),
            (&*condition, colour.strip_prefix("Exists "))
        );
        let denied = denied_under(&condition);
        assert!(!may(&denied, OperationKind::SecretGet, "app"));
    }
    let guarded = format!("!(ActionMatches{{'*/secrets/delete'}}) OR NOT {colour}");
    assert!(may(&under(&guarded), OperationKind::SecretGet, "app"));
    assert!(!may(&under(&guarded), OperationKind::SecretDelete, "app"));
}

#[test]
fn a_guard_leaves_other_actions_alone() {
    let guarded = format!(
        "(!(ActionMatches{{'Microsoft.KeyVault/vaults/secrets/getSecret/action'}})) OR \
         ({NAME_IS_APP})"
    );
    let data = under(&guarded);
    assert!(may(&data, OperationKind::SecretGet, "app"));
    assert!(may(&data, OperationKind::SecretList, ""));
    assert!(may(&data, OperationKind::SecretSet, "other"));
    assert!(!may(&data, OperationKind::SecretGet, "other"));
    let set = compile(&data, &vault());
    assert_eq!((set.census().conditional, set.census().folded), (1, 0));
    let settled = under("ActionMatches{'Microsoft.KeyVault/vaults/secrets/delete'}");
    assert!(may(&settled, OperationKind::SecretDelete, "app"));
    let get = asks(OperationKind::SecretGet, "app");
    assert_reason(&settled, &vault(), &get, Reason::ConditionFalse);
    assert_eq!(compile(&settled, &vault()).census().folded, 1);
}

#[test]
fn a_condition_that_cannot_be_read_never_grants_and_is_told() {
    for (text, version) in [("@@@", "2.0"), (NAME_IS_APP, "1.0"), ("", "2.0")] {
        let mut data = under(text);
        data.role_assignments[0].condition.as_mut().unwrap().version = Some(version.into());
        assert_eq!(
            miss(&data, OperationKind::SecretGet, "app"),
            Miss::ConditionUnreadable,
            "`{text}`"
        );
        let set = compile(&data, &vault());
        assert_eq!(set.census().unreadable_conditions, 1);
        let holder = ConditionHolder::RoleAssignment(id(100));
        assert_eq!(set.unreadable()[0].holder, holder);
        // Another assignment is none the worse for it.
        data.role_assignments.push(RoleAssignment {
            id: id(101),
            condition: None,
            ..data.role_assignments[0].clone()
        });
        assert!(may(&data, OperationKind::SecretGet, "app"));
    }
}

#[test]
fn and_beside_or_grants_what_every_reading_grants() {
    // As in Azure's own examples, without parentheses.
    let mixed = "ActionMatches{'Microsoft.KeyVault/vaults/secrets/delete'} AND \
                 @Resource[Microsoft.KeyVault/vaults/secrets:name] StringEquals 'app' OR \
                 @Resource[Microsoft.KeyVault/vaults/secrets:name] StringEquals 'other'";
    let data = under(mixed);
    assert!(may(&data, OperationKind::SecretDelete, "app"));
    assert!(may(&data, OperationKind::SecretDelete, "other"));
    assert!(!may(&data, OperationKind::SecretDelete, "third"));
    // The readings differ: with `AND` first this is granted, with `OR` first it is not.
    assert!(!may(&data, OperationKind::SecretGet, "other"));
    let mut overlaid = everything();
    overlaid
        .overlay_conditions
        .insert(id(100), vec![text(mixed)]);
    let unreadable = miss(&overlaid, OperationKind::SecretDelete, "app");
    assert_eq!(unreadable, Miss::ConditionUnreadable, "overlays are strict");
    // Whatever the tag is that nobody has fetched.
    let tag = "@Resource[Microsoft.KeyVault/vaults/secrets/tags:a<$key_case_sensitive$>]";
    let mut tagged = under(&format!("{tag} StringEquals 'x'"));
    tagged.overlay_conditions.insert(id(100), vec![text("@@@")]);
    let unreadable = miss(&tagged, OperationKind::SecretGet, "app");
    assert_eq!(unreadable, Miss::ConditionUnreadable);
}

#[test]
fn a_condition_of_the_role_and_one_of_the_assignment_must_both_hold() {
    let starts = "@Resource[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith 'app'";
    let mut data = under(starts);
    for role in data.role_definitions.values_mut() {
        role.permissions[0].condition = Some(text(
            "@Resource[Microsoft.KeyVault/vaults/secrets:name] StringLike '*-1'",
        ));
    }
    assert!(may(&data, OperationKind::SecretGet, "app-1"));
    assert!(!may(&data, OperationKind::SecretGet, "app-2"));
    assert!(!may(&data, OperationKind::SecretGet, "web-1"));
    // Each entry stands for itself.
    for role in data.role_definitions.values_mut() {
        role.permissions.push(Permission {
            data_actions: vec!["Microsoft.KeyVault/vaults/secrets/getSecret/action".into()],
            ..Permission::default()
        });
    }
    assert!(may(&data, OperationKind::SecretGet, "app-2"));
    assert!(!may(&data, OperationKind::SecretDelete, "app-2"));
}

#[test]
fn an_overlay_condition_narrows_an_assignment_without_one() {
    let mut data = everything();
    data.overlay_conditions
        .insert(id(100), vec![text(NAME_IS_APP)]);
    assert!(may(&data, OperationKind::SecretGet, "app"));
    assert!(!may(&data, OperationKind::SecretGet, "other"));
}

#[test]
fn a_custom_security_attribute_is_the_callers_own() {
    let project = "@Principal[Microsoft.Directory/CustomSecurityAttributes/Id:Engineering_Project] \
                   ForAnyOfAnyValues:StringEquals {'Cascade'}";
    let mut data = under(project);
    let get = asks(OperationKind::SecretGet, "app");
    assert_reason(&data, &vault(), &get, Reason::ConditionAttributeMissing);
    let mut dice = super::Dice(1);
    let custom = std::iter::repeat_with(|| conditions::custom_attributes(&mut dice))
        .find(|custom| format!("{custom:?}").contains("Cascade"))
        .unwrap();
    data.custom_attributes.insert(get.object_id, custom);
    assert!(allows(&data, &vault(), &get));
}

#[test]
fn a_deny_assignment_denies_unless_its_condition_is_false() {
    let data = denied_under(NAME_IS_APP);
    assert!(may(&data, OperationKind::SecretGet, "other"));
    assert!(may(&data, OperationKind::KeyGet, "app"));
    let sure = refusal(&data, OperationKind::SecretGet, "app");
    assert_eq!(
        (sure.reason, sure.deny_doubt),
        (Reason::DenyAssignment, None)
    );
    let listing = refusal(&data, OperationKind::SecretList, "");
    let Some(DenyDoubt::Undefined(Some(blame))) = listing.deny_doubt else {
        panic!("{listing:?}");
    };
    assert!(blame.missing.is_some());
    let unreadable = refusal(&denied_under("@@@"), OperationKind::SecretGet, "other");
    assert_eq!(unreadable.deny_doubt, Some(DenyDoubt::Unreadable));
}

#[test]
fn one_entry_that_cannot_be_read_makes_the_whole_deny_assignment_unconditional() {
    let mut data = denied_under("@@@");
    let deny = &mut data.deny_assignments[0];
    deny.condition = None;
    let entry = |action: &str, condition: Option<&str>| Permission {
        data_actions: vec![action.into()],
        condition: condition.map(text),
        ..Permission::default()
    };
    let (delete, get) = (
        "Microsoft.KeyVault/vaults/secrets/delete",
        "Microsoft.KeyVault/vaults/secrets/getSecret/action",
    );
    // What cannot be read makes no difference to the action it stands on.
    deny.permissions = vec![
        entry(delete, Some("@@@")),
        entry(delete, None),
        entry(get, Some(NAME_IS_APP)),
    ];
    let refused = refusal(&data, OperationKind::SecretGet, "other");
    assert_eq!(refused.deny_doubt, Some(DenyDoubt::Unreadable));
}

#[test]
fn nothing_is_fetched_unless_the_outcome_depends_on_it() {
    let tag = "@Resource[Microsoft.KeyVault/vaults/secrets/tags:env<$key_case_sensitive$>] \
               StringEquals 'prod'";
    let get = asks(OperationKind::SecretGet, "app");
    let at_first = |data: &RoleData| ask_knowing(&compile(data, &vault()), &get, Needs::NOTHING);
    let mut data = under(tag);
    match at_first(&data) {
        Decision::Undecided(waiting) => assert_eq!(waiting.needs(), Needs::METADATA),
        other @ (Decision::Allow(_) | Decision::Deny(_)) => panic!("{other:?}"),
    }
    // Nobody can say the other part, so the tag would not help.
    let sku = "@Resource[Microsoft.KeyVault/vaults:sku] StringEquals 'premium'";
    let refused = match at_first(&under(&format!("{tag} AND {sku}"))) {
        Decision::Deny(denial) => denial.reason,
        other @ (Decision::Allow(_) | Decision::Undecided(_)) => panic!("{other:?}"),
    };
    assert_eq!(refused, Reason::ConditionAttributeMissing);
    // Somebody else's assignment settles it.
    data.role_assignments.push(RoleAssignment {
        id: id(101),
        condition: None,
        ..held(ALICE, &vault_id())
    });
    assert!(matches!(at_first(&data), Decision::Allow(_)));
    // Of two actions one is not granted at all.
    let both = asks(OperationKind::SecretGetDeleted, "app");
    let mut half = under(tag);
    for role in half.role_definitions.values_mut() {
        role.permissions[0].data_actions =
            vec!["Microsoft.KeyVault/vaults/secrets/getSecret/action".into()];
    }
    let decision = ask_knowing(&compile(&half, &vault()), &both, Needs::NOTHING);
    assert!(matches!(decision, Decision::Deny(_)), "{decision:?}");
    // A deny assignment that may apply is waited for, but not where nothing is granted.
    let mut denied = denied_under(tag);
    assert!(matches!(at_first(&denied), Decision::Undecided(_)));
    denied.role_assignments.clear();
    assert!(matches!(at_first(&denied), Decision::Deny(_)));
}

/// Only the vault can open what is restored or merged, so nobody can say what is not in there.
#[test]
fn what_is_under_seal_is_not_absent() {
    let not = |path: &str| {
        text(&format!(
            "NOT Exists @Request[Microsoft.KeyVault/vaults/{path}]"
        ))
    };
    for (path, kind, plain) in [
        (
            "secrets:name",
            OperationKind::SecretRestore,
            OperationKind::SecretList,
        ),
        (
            "secrets:enabled",
            OperationKind::SecretRestore,
            OperationKind::SecretGet,
        ),
        (
            "secrets/tags:a",
            OperationKind::SecretRestore,
            OperationKind::SecretGet,
        ),
        (
            "keys:exportable",
            OperationKind::KeyRestore,
            OperationKind::KeyGet,
        ),
        (
            "certificates:name",
            OperationKind::CertificateRestore,
            OperationKind::CertificateList,
        ),
        (
            "certificates:dnsNames",
            OperationKind::CertificatePendingMerge,
            OperationKind::CertificateGet,
        ),
    ] {
        let mut data = everything();
        for assignment in &mut data.role_assignments {
            assignment.condition = Some(not(path));
        }
        assert!(may(&data, plain, "app"), "{path}: {plain:?} has none");
        assert!(!may(&data, kind, "app"), "{path}: {kind:?} may have one");
    }
}

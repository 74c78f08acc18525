//! Every form of export, and that forms of the same data give the same values.

use std::time::{Duration, SystemTime};

use portcullis::assignments::{builtin, wire};
use portcullis::principal::Guid;
use portcullis::rbac::{
    DenyEffect, MemberType, PrincipalType, RoleAssignment, RoleDefinition, Window,
};
use serde_json::{Value, json};

use super::{bytes, entries, json, parse, parse_value};

fn undeleted(assignments: Vec<RoleAssignment>) -> Vec<RoleAssignment> {
    let undeleted = |one| RoleAssignment {
        principal_deleted: false,
        ..one
    };
    assignments.into_iter().map(undeleted).collect()
}

#[test]
fn role_assignments_are_the_same_in_every_form() {
    let arm = parse("arm-roleAssignments.json").role_assignments;
    assert_eq!(arm.len(), 6);
    assert_eq!(parse("az-role-assignment-list.json").role_assignments, arm);
    assert_eq!(
        parse("az-role-assignment-list-nulls.json").role_assignments,
        arm
    );
    let powershell = parse("Get-AzRoleAssignment.json").role_assignments;
    assert_eq!(undeleted(powershell), arm);
}

#[test]
fn a_role_assignment_is_read_field_by_field() {
    let all = parse("arm-roleAssignments.json").role_assignments;
    let secret = &all[1];
    assert_eq!(
        secret.id.to_string(),
        "7e4b19df-380a-4c25-9b6e-d9fa2847960e"
    );
    assert_eq!(
        secret.scope.as_str(),
        "/subscriptions/c8d20f3e-51b7-4a6c-9f08-7d3e2b1a4c59/resourcegroups/rg-orders/providers/microsoft.keyvault/vaults/kv-fabrikam/secrets/orders-db"
    );
    assert_eq!(
        secret.principal.to_string(),
        "b28f5d13-7c4e-4069-9fa2-1d3e6c8b0a42"
    );
    assert_eq!(
        secret.role_definition.to_string(),
        "4633458b-17de-408a-b874-0445c86b69e6"
    );
    assert_eq!(secret.condition, None);
    let condition = all[3].condition.as_ref().unwrap();
    assert!(condition.text.contains("StringStartsWith 'orders-'"));
    assert_eq!(condition.version.as_deref(), Some("2.0"));
    assert!(all[2].scope.management_group().is_some());
}

#[test]
fn only_powershell_says_that_a_principal_is_deleted() {
    let deleted = |name| {
        let all = parse(name).role_assignments;
        all.iter()
            .filter(|one| one.principal_deleted)
            .map(|one| one.principal.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        deleted("Get-AzRoleAssignment.json"),
        ["e5b28046-af71-439c-82d5-40619fbe0d75"]
    );
    // `principalName` is empty there, but also for principals the exporter may not read.
    assert!(deleted("az-role-assignment-list-nulls.json").is_empty());
}

#[test]
fn one_object_and_wrapped_lists_are_lists() {
    let arm = parse("arm-roleAssignments.json").role_assignments;
    assert_eq!(
        parse("arm-roleAssignment.json").role_assignments,
        &arm[2..3]
    );
    let powershell = json("Get-AzRoleAssignment.json");
    let one = parse_value(&powershell[0]).unwrap();
    assert_eq!(one.role_assignments, &arm[..1]);
    let wrapped = json!({"value": powershell, "Count": 6});
    let wrapped = parse_value(&wrapped).unwrap();
    assert_eq!(undeleted(wrapped.role_assignments), arm);
    for empty in [json!([]), json!({"value": []})] {
        assert_eq!(parse_value(&empty).unwrap(), wire::Parsed::default());
    }
}

#[test]
fn every_encoding_is_read() {
    let text = String::from_utf8(bytes("Get-AzRoleAssignment.json")).unwrap();
    let text = text.replace("dana", "Dana Ö 🗝");
    let utf16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let plain = wire::parse(text.as_bytes()).unwrap();
    let marked = |mark: &[u8], body: &[u8]| wire::parse(&[mark, body].concat()).unwrap();
    assert_eq!(marked(&[0xEF, 0xBB, 0xBF], text.as_bytes()), plain);
    assert_eq!(marked(&[0xFF, 0xFE], &utf16), plain);
    assert_eq!(marked(&[], &utf16), plain);
}

/// Changes every string of `value`, names of members included.
fn respell(value: &Value, change: fn(&str) -> String) -> Value {
    match value {
        Value::String(text) => Value::String(change(text)),
        Value::Array(items) => items.iter().map(|item| respell(item, change)).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (change(name), respell(value, change)))
            .collect(),
        Value::Bool(_) | Value::Null | Value::Number(_) => value.clone(),
    }
}

#[test]
fn case_of_ids_scopes_and_names_does_not_matter() {
    let upper = |text: &str| match text {
        // A condition is not ours to respell.
        text if text.contains("ActionMatches") => text.into(),
        text => text.to_ascii_uppercase(),
    };
    for name in [
        "arm-roleAssignments.json",
        "az-role-assignment-list.json",
        "Get-AzRoleAssignment.json",
        "arm-denyAssignments.json",
        "arm-roleAssignmentScheduleInstances.json",
    ] {
        let plain = parse(name);
        let upper = parse_value(&respell(&json(name), upper)).unwrap();
        assert_eq!(upper.role_assignments, plain.role_assignments, "{name}");
        assert_eq!(upper.schedule_instances, plain.schedule_instances, "{name}");
        assert_eq!(upper.deny_assignments.len(), plain.deny_assignments.len());
        for (upper, plain) in upper.deny_assignments.iter().zip(plain.deny_assignments) {
            assert_eq!(upper.principals, plain.principals);
            assert_eq!(upper.exclude_principals, plain.exclude_principals);
            assert_eq!(upper.permissions[0].held(), plain.permissions[0].held());
        }
    }
}

#[test]
fn unknown_fields_and_nulls_change_nothing() {
    let plain = parse("az-role-assignment-list.json");
    let mut value = json("az-role-assignment-list.json");
    for entry in entries(&mut value) {
        entry["somethingNew"] = json!({"deep": [1, 2.5, {"x": null}]});
        entry["condition"] = entry.get("condition").cloned().unwrap_or(Value::Null);
        entry["properties"] = Value::Null;
    }
    assert_eq!(parse_value(&value).unwrap(), plain);
}

#[test]
fn role_definitions_hold_the_same_in_every_form() {
    let definitions = |name| -> Vec<(RoleDefinition, bool)> {
        let all = parse(name).role_definitions.into_iter();
        all.map(|one| (one.definition, one.flattened)).collect()
    };
    let arm = definitions("arm-roleDefinitions.json");
    assert_eq!(definitions("az-role-definition-list.json"), arm);
    let powershell = definitions("Get-AzRoleDefinition.json");
    assert!(powershell.iter().all(|(_, flattened)| *flattened));
    let names = |all: &[(RoleDefinition, bool)]| -> Vec<_> {
        let all = all.iter();
        all.map(|(one, _)| (one.id, one.name.clone())).collect()
    };
    assert_eq!(names(&powershell), names(&arm));
    // Of one entry nothing is lost.
    assert_eq!(powershell[1].0, arm[1].0);
    assert_eq!(&*arm[1].0.name, "Fabrikam Secrets Operator");
    assert_eq!(arm[1].0.permissions[0].not_data_actions.len(), 2);
    // Two entries stay two where the form has them.
    assert_eq!(arm[3].0.permissions.len(), 2);
    assert_eq!(powershell[3].0.permissions.len(), 1);
}

#[test]
fn odd_definitions_are_read_and_noted() {
    let notes = |name| -> Vec<String> {
        let notes = parse(name).notes;
        notes.iter().map(ToString::to_string).collect()
    };
    assert_eq!(
        notes("arm-roleDefinitions.json"),
        [
            "role definition `4b18e6ac-05d7-49f2-a83b-a6c7f51463db` has a data action pattern with white space around it, which is ignored"
        ]
    );
    assert_eq!(
        notes("custom-role-input.json"),
        [
            "role definition `Fabrikam Key Reader` has no id, so no assignment can refer to it; use `az role definition list`"
        ]
    );
    let mut with_id = json("custom-role-input.json");
    with_id["Id"] = json!("6d3a08ce-27f9-4b14-8a5d-c8e9173685fe");
    let read = parse_value(&with_id).unwrap();
    assert_eq!(
        read.role_definitions[0].definition.permissions[0].data_actions,
        ["Microsoft.KeyVault/vaults/keys/read ".into()]
    );
}

#[test]
fn deny_assignments_of_arm_and_powershell_agree() {
    let arm = parse("arm-denyAssignments.json").deny_assignments;
    let [everywhere, here_only] = arm.as_slice() else {
        panic!("expected two");
    };
    assert_eq!(
        parse("Get-AzDenyAssignment.json").deny_assignments,
        std::slice::from_ref(everywhere)
    );
    assert_eq!(everywhere.principals[0].id.0, Guid::ZERO);
    assert_eq!(everywhere.principals[0].kind, PrincipalType::Everyone);
    let spared: Vec<_> = everywhere
        .exclude_principals
        .iter()
        .map(|p| p.kind)
        .collect();
    assert_eq!(spared, [PrincipalType::Single, PrincipalType::Group]);
    assert_eq!(everywhere.permissions[0].not_data_actions.len(), 1);
    assert!(!everywhere.does_not_apply_to_child_scopes);
    assert!(here_only.does_not_apply_to_child_scopes);
    assert_eq!(here_only.effect, DenyEffect::Enforced);
}

#[test]
fn a_set_that_azure_defines_is_everyone_whatever_its_id() {
    for kind in ["SystemDefined", "Everyone"] {
        let mut value = json("arm-denyAssignments.json");
        let principal = &mut value["value"][0]["properties"]["principals"][0];
        *principal = json!({ "id": "7a1c9e52-4d08-4b3f-9e61-25c8f0d7a613", "type": kind });
        let read = parse_value(&value).unwrap().deny_assignments;
        assert_eq!(read[0].principals[0].kind, PrincipalType::Everyone);
    }
}

#[test]
fn only_the_word_audit_takes_the_force_from_a_deny_assignment() {
    let preview = "arm-denyAssignments-2024-07-01-preview.json";
    let effects: Vec<_> = parse(preview)
        .deny_assignments
        .iter()
        .map(|one| one.effect)
        .collect();
    assert_eq!(effects, [DenyEffect::Audit, DenyEffect::Enforced]);
    let mut value = json(preview);
    value["value"][0]["properties"]["denyAssignmentEffect"] = json!("auditing");
    assert_eq!(
        parse_value(&value).unwrap().deny_assignments[0].effect,
        DenyEffect::Enforced
    );
}

#[test]
fn schedule_instances_have_their_windows() {
    let all = parse("arm-roleAssignmentScheduleInstances.json").schedule_instances;
    let at = |seconds, millis| {
        Some(SystemTime::UNIX_EPOCH + Duration::from_secs(seconds) + Duration::from_millis(millis))
    };
    let activated = &all[0];
    assert_eq!(
        activated.window,
        Window {
            start: at(1_780_300_800, 250),
            end: at(1_780_315_200, 250)
        }
    );
    assert_eq!(
        activated.origin.unwrap().to_string(),
        "daf51f62-7083-4194-8ba5-1c2d3e4f5061"
    );
    assert_eq!(all[1].window.end, None);
    let member: Vec<_> = all.iter().map(|one| one.member_type).collect();
    assert_eq!(
        member,
        [
            MemberType::Direct,
            MemberType::Direct,
            MemberType::Group,
            MemberType::Inherited
        ]
    );
    let ended: Vec<_> = all.iter().map(|one| one.ended).collect();
    assert_eq!(ended, [false, false, false, true]);
}

#[test]
fn a_status_that_nobody_knows_ends_an_instance() {
    let mut value = json("arm-roleAssignmentScheduleInstances.json");
    value["value"][0]["properties"]["status"] = json!("Suspended");
    let parsed = parse_value(&value).unwrap();
    assert!(parsed.schedule_instances[0].ended);
    assert!(
        parsed.notes[0]
            .to_string()
            .contains("`c9d40e51-6f72-4083-9a94-0b1c2d3e4f50` has an unknown status")
    );
}

#[test]
fn times_of_powershell_are_read() {
    let mut value = json("arm-roleAssignmentScheduleInstances.json");
    value["value"][0]["properties"]["endDateTime"] = json!("/Date(1780315200250)/");
    let plain = parse("arm-roleAssignmentScheduleInstances.json");
    assert_eq!(parse_value(&value).unwrap(), plain);
}

#[test]
fn eligibility_is_counted_and_grants_nothing() {
    let parsed = parse("arm-roleEligibilityScheduleInstances.json");
    assert_eq!(parsed.eligibility_skipped, 1);
    assert!(parsed.role_assignments.is_empty() && parsed.schedule_instances.is_empty());
}

#[test]
fn groups_are_read_from_lists_and_from_graphs_answers() {
    let groups = parse("groups.json").groups;
    let shown: Vec<_> = groups
        .iter()
        .map(|(principal, groups)| (principal.to_string(), groups.len()))
        .collect();
    // erin's value is null: her groups are unknown.
    assert_eq!(
        shown,
        [
            ("07d4a268-c193-45be-a4f7-6283b1d02f97".into(), 1),
            ("a17e4c02-6b3d-4f58-8e91-0c2d5b7a9f31".into(), 2),
            ("b28f5d13-7c4e-4069-9fa2-1d3e6c8b0a42".into(), 0),
        ]
    );
}

#[test]
fn one_file_may_hold_several_kinds() {
    let mut all = Vec::new();
    for name in ["az-role-assignment-list.json", "arm-denyAssignments.json"] {
        all.append(entries(&mut json(name)));
    }
    let parsed = parse_value(&Value::Array(all)).unwrap();
    assert_eq!(parsed.role_assignments.len(), 6);
    assert_eq!(parsed.deny_assignments.len(), 2);
}

#[test]
fn the_compiled_in_roles_are_those_of_azure() {
    let facts = include_str!("../data/builtin-roles.tsv");
    let roles = builtin::role_definitions();
    let rows = facts.lines().filter(|line| !line.starts_with('#'));
    let mut count = 0;
    for row in rows {
        let [id, name, actions] = row.split('\t').collect::<Vec<_>>()[..] else {
            panic!("{row}");
        };
        let role = &roles[&id.parse().unwrap()];
        assert_eq!(&*role.name, name);
        let [permission] = role.permissions.as_slice() else {
            panic!("{name}");
        };
        let actions: Vec<Box<str>> = actions.split_whitespace().map(Box::from).collect();
        assert_eq!(permission.data_actions, actions, "{name}");
        assert!(permission.not_data_actions.is_empty() && permission.condition.is_none());
        assert_eq!(permission.held().is_empty(), actions.is_empty(), "{name}");
        count += 1;
    }
    assert_eq!(count, roles.len());
}

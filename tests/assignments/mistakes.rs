//! What is refused, and that the message names entry and field and the expected form.

use portcullis::assignments::wire;
use serde_json::{Value, json};

use super::{entries, json, parse, parse_value};

fn refusal(value: &Value) -> String {
    parse_value(value).expect_err("expected a refusal")
}

fn refusal_of(bytes: &[u8]) -> String {
    wire::parse(bytes).unwrap_err().to_string()
}

/// The refusal of an export after one change to its entry 0.
fn spoilt(name: &str, spoil: impl FnOnce(&mut Value)) -> String {
    let mut value = json(name);
    spoil(&mut entries(&mut value)[0]);
    refusal(&value)
}

const DANA: &str = "entry 0 (`6d3a08ce-27f9-4b14-8a5d-c8e9173685fd`): ";

#[test]
fn exports_that_may_have_dropped_conditions_are_refused() {
    let mut without_condition = json("Get-AzRoleAssignment.json");
    let mut preview_of_2018 = json("arm-roleAssignments.json");
    for entry in entries(&mut without_condition) {
        entry.as_object_mut().unwrap().remove("Condition");
    }
    for entry in entries(&mut preview_of_2018) {
        let properties = entry["properties"].as_object_mut().unwrap();
        properties.remove("condition");
        properties.remove("conditionVersion");
        properties.insert("canDelegate".into(), json!(false));
    }
    for value in [
        json("az-role-assignment-list-2018.json"),
        without_condition,
        preview_of_2018,
    ] {
        let message = refusal(&value);
        assert!(message.contains(DANA), "{message}");
        assert!(message.contains("may have dropped conditions"), "{message}");
        assert!(
            message.contains("`az role assignment list --all --include-inherited -o json`"),
            "{message}"
        );
        // The same mistake in every entry is told once.
        assert!(
            message.contains("; and ") && message.ends_with(" more"),
            "{message}"
        );
    }
}

#[test]
fn a_current_export_without_null_keys_is_no_legacy_export() {
    let mut value = json("az-role-assignment-list.json");
    entries(&mut value)[3]
        .as_object_mut()
        .unwrap()
        .remove("condition");
    // Its `conditionVersion` gives the lost condition away.
    let parsed = parse_value(&value).unwrap();
    let condition = parsed.role_assignments[3].condition.as_ref().unwrap();
    assert_eq!(&*condition.text, "");
    assert_eq!(
        parsed.notes[0].to_string(),
        "role assignment `906d3bf1-5a2c-4e47-bd80-fb1c4a69b820` has a condition without text"
    );
}

#[test]
fn an_empty_condition_is_a_condition() {
    let mut value = json("arm-roleAssignments.json");
    value["value"][0]["properties"]["condition"] = json!(" ");
    let parsed = parse_value(&value).unwrap();
    assert!(parsed.role_assignments[0].condition.is_some());
}

#[test]
fn a_bad_field_is_named_with_the_expected_form() {
    let arm = "arm-roleAssignments.json";
    let message = spoilt(arm, |e| e["properties"]["principalId"] = json!("dana"));
    assert_eq!(
        message,
        format!(
            "{DANA}field `principalId`: expected a GUID such as `0d9f8a7b-6c5d-4e3f-9a2b-1c0d9e8f7a6b`, found another text"
        )
    );
    let message = spoilt(arm, |e| e["properties"]["scope"] = json!("subscriptions/x"));
    assert!(
        message.starts_with(&format!("{DANA}field `scope`: expected ")),
        "{message}"
    );
    let message = spoilt(arm, |e| e["properties"]["scope"] = Value::Null);
    assert_eq!(
        message,
        format!(
            "{DANA}field `scope` is missing; expected a scope such as `/subscriptions/{{id}}/resourceGroups/{{name}}`"
        )
    );
    let message = spoilt(arm, |e| e["properties"]["condition"] = json!(7));
    assert_eq!(
        message,
        format!("{DANA}field `condition`: expected a text, found a number")
    );
    let message = spoilt(arm, |e| {
        e["properties"]["roleDefinitionId"] =
            json!("/providers/x/4633458b-17de-408a-b874-0445c86b69e6");
    });
    assert!(
        message.contains("ends in `/roleDefinitions/{GUID}`"),
        "{message}"
    );
}

/// The refusal of a deny assignment after a change to its fields, without the place.
fn spoilt_deny(spoil: impl FnOnce(&mut Value)) -> String {
    let message = spoilt("arm-denyAssignments.json", |e| spoil(&mut e["properties"]));
    let place = "entry 0 (`c3906e24-8d5f-417a-a0b3-2e4f7d9ceb53`): ";
    message.strip_prefix(place).expect("the place").into()
}

#[test]
fn fields_of_lists_are_named_by_their_path() {
    let depth = "(PowerShell: `ConvertTo-Json -Depth 10`), found a text";
    for (field, value, expected) in [
        (
            "/excludePrincipals/1/id",
            json!("x"),
            "field `excludePrincipals[1].id`: expected a GUID",
        ),
        (
            "/permissions/0/dataActions/0",
            json!({}),
            "field `permissions[0].dataActions[0]`: expected a text, found an object",
        ),
        (
            "/excludePrincipals/0/id",
            json!("00000000-0000-0000-0000-000000000000"),
            "field `excludePrincipals[0].id`: expected one principal, found an id or type that is everyone",
        ),
        (
            "/excludePrincipals/0/type",
            json!("SystemDefined"),
            "field `excludePrincipals[0].id`: expected one principal, found an id or type that is everyone",
        ),
        (
            "/doNotApplyToChildScopes",
            json!("true"),
            "field `doNotApplyToChildScopes`: expected `true` or `false`, found a text",
        ),
        // What `ConvertTo-Json` makes of what is too deep.
        (
            "/principals",
            json!("@{id=1}"),
            &format!("field `principals`: expected a list {depth}"),
        ),
        (
            "/principals",
            json!(["@{id=1}"]),
            &format!("field `principals[0]`: expected an object {depth}"),
        ),
    ] {
        let message = spoilt_deny(|fields| *fields.pointer_mut(field).unwrap() = value);
        assert!(message.starts_with(expected), "{message}");
    }
}

#[test]
fn a_deny_assignment_must_say_whom_and_what_it_denies() {
    for (field, value, expected) in [
        (
            "/permissions/0/dataActions",
            Value::Null,
            "field `permissions[0].dataActions` is missing; expected a list, `[]` if",
        ),
        (
            "/permissions",
            json!([]),
            "field `permissions` is missing; expected at least one entry",
        ),
        (
            "/principals",
            json!([]),
            "field `principals` is missing; expected at least one principal",
        ),
    ] {
        let message = spoilt_deny(|fields| *fields.pointer_mut(field).unwrap() = value);
        assert!(message.starts_with(expected), "{message}");
    }
}

#[test]
fn a_schedule_instance_without_a_bound_is_refused() {
    let name = "arm-roleAssignmentScheduleInstances.json";
    let without = |field: &str| spoilt(name, |e| e["properties"][field] = Value::Null);
    for field in [
        "startDateTime",
        "endDateTime",
        "status",
        "memberType",
        "scope",
    ] {
        let message = without(field);
        let expected = format!("field `{field}` is missing");
        assert!(message.contains(&expected), "{message}");
    }
    let message = spoilt(name, |e| {
        e["properties"]["endDateTime"] = json!("2026-06-01T12:00:00");
    });
    assert!(
        message.contains("field `endDateTime`: expected a time with an offset such as `2026-03-02T09:14:22.4567890Z`"),
        "{message}"
    );
}

#[test]
fn what_speaks_for_two_kinds_or_for_none_is_refused() {
    let eligible = "arm-roleEligibilityScheduleInstances.json";
    let message = spoilt(eligible, |e| {
        e["type"] = json!("Microsoft.Authorization/roleAssignments");
    });
    assert!(
        message
            .contains("looks like a role assignment and like a role eligibility schedule instance"),
        "{message}"
    );
    let message = spoilt("arm-roleAssignments.json", |e| {
        let entry = e.as_object_mut().unwrap();
        entry.remove("type");
        entry.remove("id");
    });
    assert!(
        message.contains(
            "not recognised; expected a `type` such as `Microsoft.Authorization/roleAssignments`"
        ),
        "{message}"
    );
    for other in [
        "Microsoft.Authorization/roleAssignmentScheduleRequests",
        "Microsoft.KeyVault/vaults",
    ] {
        let message = spoilt("arm-roleAssignments.json", |e| e["type"] = json!(other));
        assert!(message.contains("not recognised"), "{message}");
    }
}

#[test]
fn names_and_fields_that_contradict_are_refused() {
    let arm = "arm-roleAssignments.json";
    let message = spoilt(arm, |e| {
        e["name"] = json!("00000000-0000-4000-8000-000000000001")
    });
    assert!(
        message.ends_with("field `name` and field `id` name different entries"),
        "{message}"
    );
    let mut value = json(arm);
    value["value"][3]["condition"] = json!("true");
    assert!(refusal(&value).contains("field `condition` is given twice"));
    // Inside there is only a null: the condition beside it counts.
    value["value"][3]["condition"] = Value::Null;
    value["value"][0]["condition"] = json!("true");
    let parsed = parse_value(&value).unwrap();
    assert!(parsed.role_assignments[0].condition.is_some());
}

#[test]
fn other_documents_are_refused() {
    for (text, expected) in [
        ("", "the file is empty"),
        (
            "null",
            "expected a list of entries, `{\"value\": […]}`, one entry, or groups by principal; found null",
        ),
        ("\"x\"", "found a text"),
        ("[1]", "entry 0: expected an object, found a number"),
        ("{}", "entry 0: not recognised"),
        (
            "[{\"a\":1,\"a\":2}]",
            "member `a` occurs twice in one object at line 1 column",
        ),
        ("[", "expected JSON: EOF while parsing"),
        ("[] x", "expected JSON: trailing characters"),
        (
            "{\"error\":{\"code\":\"AuthorizationFailed\"}}",
            "found the error answer `AuthorizationFailed`",
        ),
        (
            "{\"value\":[\"c3906e24-8d5f-417a-a0b3-2e4f7d9c1b53\"]}",
            "found a list of ids without a principal",
        ),
        (
            "{\"access_token\":\"eyJsecret\"}",
            "entry 0: not recognised",
        ),
    ] {
        let message = refusal_of(text.as_bytes());
        assert!(message.contains(expected), "{text}: {message}");
        assert!(!message.contains("eyJsecret"), "{message}");
    }
}

#[test]
fn mistakes_in_groups_are_named_by_principal() {
    let frank = "07d4a268-c193-45be-a4f7-6283b1d02f97";
    let link = json!({"value": [], "@odata.nextLink": "https://graph.microsoft.com/x"});
    for (groups, expected) in [
        (
            json!({frank: ["x"]}),
            format!("member `{frank}`: field `[0]`: expected a GUID"),
        ),
        (json!({frank: [1]}), "found a number".into()),
        (
            json!({frank: "x"}),
            "expected a list of group object ids or Graph's".into(),
        ),
        (
            json!({frank: {}}),
            "field `value`: expected a list, found nothing".into(),
        ),
        (json!({frank: link}), "expected the whole answer".into()),
        (
            json!({frank: [], "dana": []}),
            "member `dana`: field `name`: expected a GUID".into(),
        ),
    ] {
        let message = refusal(&groups);
        assert!(message.contains(&expected), "{message}");
    }
}

#[test]
fn pages_that_miss_the_next_one_are_noted_or_refused() {
    let parsed = parse("arm-roleAssignments-page.json");
    assert_eq!(
        parsed.notes[0].to_string(),
        "a `nextLink` says that more role assignments follow; make sure that they are loaded too"
    );
    for (name, kind) in [
        ("arm-denyAssignments.json", "deny assignments"),
        (
            "arm-roleAssignmentScheduleInstances.json",
            "role assignment schedule instances",
        ),
    ] {
        let mut page = json(name);
        page["nextLink"] = json!("https://management.azure.com/next");
        let message = refusal(&page);
        let expected = format!("a non-null `nextLink` says that more {kind} follow");
        assert!(message.starts_with(&expected), "{message}");
        assert!(
            message.contains("`jq -s '{value: (map(.value) | add)}'`"),
            "{message}"
        );
        // Together with the last page the list is whole.
        let pages = json!([page, {"value": []}]);
        assert!(parse_value(&pages).is_ok(), "{name}");
        let pages = json!([page, json("arm-roleAssignments.json")]);
        assert!(refusal(&pages).starts_with("page 0: a non-null `nextLink`"));
    }
    let listing =
        "https://management.azure.com/providers/Microsoft.Authorization/denyAssignments?x";
    let message = refusal(&json!({"value": [], "nextLink": listing}));
    assert!(
        message.contains("more deny assignments follow"),
        "{message}"
    );
    let message = refusal(&json!({"value": [], "nextLink": "https://example.com/"}));
    assert!(message.contains("more entries follow"), "{message}");
}

#[test]
fn entries_of_pages_are_named_by_page() {
    let mut second = json("arm-roleAssignments.json");
    second["value"][1]["properties"]["scope"] = json!("x");
    let message = refusal(&json!([json("arm-denyAssignments.json"), second]));
    let place = "page 1, entry 1 (`7e4b19df-380a-4c25-9b6e-d9fa2847960e`): field `scope`";
    assert!(message.starts_with(place), "{message}");
}

#[test]
fn many_mistakes_are_counted() {
    let bad: Vec<Value> = (0..30)
        .map(|n| json!({"type": "Microsoft.Authorization/roleAssignments", "condition": null, "name": n, "principalId": vec![0; n]}))
        .collect();
    let message = refusal(&Value::Array(bad));
    assert!(
        message.contains("entry 0: field `name`: expected a text"),
        "{message}"
    );
    assert!(message.ends_with("; and 29 more"), "{message}");
}

#[test]
fn an_exporter_that_may_not_read_the_directory_is_noted() {
    let mut value = json("Get-AzRoleAssignment.json");
    for entry in entries(&mut value) {
        entry["ObjectType"] = json!("Unknown");
    }
    let parsed = parse_value(&value).unwrap();
    assert!(
        parsed.notes[0]
            .to_string()
            .starts_with("every role assignment has `ObjectType` `Unknown`")
    );
}

//! Overlay files: their form, their mistakes, and how they lie on top of exports.

use std::fs;
use std::path::PathBuf;

use portcullis::abac::{Scalar, Values};
use portcullis::assignments::{FileError, LoadError, LoadWarning, Loaded, load, overlay};
use portcullis::rbac::{AssignmentId, Origin};
use tempfile::TempDir;

use super::path;

/// An assignment of the exports.
const EXPORTED: &str = "6d3a08ce-27f9-4b14-8a5d-c8e9173685fd";
const LOCAL: &str = "7c1f4f3e-93a1-4d52-8a4e-0c6b1d2e3f40";
const DANA: &str = "0d9f8a7b-6c5d-4e3f-9a2b-1c0d9e8f7a6b";
const SCOPE: &str = "/subscriptions/11111111-1111-4111-8111-111111111111";
const SECRETS_USER: &str = "4633458b-17de-408a-b874-0445c86b69e6";

fn assignment(role: &str) -> String {
    format!(
        "[[role_assignments]]\nname = '{LOCAL}'\nprincipal_id = '{DANA}'\n\
         role_definition_id = '{role}'\nscope = '{SCOPE}'\n"
    )
}

fn condition(on: &str, text: &str) -> String {
    format!("[[conditions]]\nrole_assignment_id = '{on}'\ncondition = \"{text}\"\n")
}

const NAMED: &str = "@Resource[Microsoft.KeyVault/vaults/secrets:name] StringEquals 'app'";

/// Loads exports together with overlay files of these contents.
fn load_with(overlays: &[&str]) -> Result<Loaded, LoadError> {
    let directory = TempDir::new().unwrap();
    let write = |(index, text): (usize, &&str)| -> PathBuf {
        let file = directory.path().join(format!("{index}.toml"));
        fs::write(&file, text).unwrap();
        file
    };
    let files: Vec<PathBuf> = overlays.iter().enumerate().map(write).collect();
    load(&[path("arm-roleAssignments.json")], &files)
}

fn refusal(text: &str) -> String {
    overlay::parse(text.as_bytes()).unwrap_err().to_string()
}

fn id(text: &str) -> AssignmentId {
    text.parse().unwrap()
}

#[test]
fn local_assignments_lie_beside_the_exported_ones() {
    let before = load_with(&[]).unwrap();
    for role in [
        SECRETS_USER.to_owned(),
        format!("{SCOPE}/providers/Microsoft.Authorization/roleDefinitions/{SECRETS_USER}"),
        "Key Vault Secrets User".to_owned(),
    ] {
        let text = format!(
            "{}condition = \"{NAMED}\"\ndescription = 'x'\n",
            assignment(&role)
        );
        let loaded = load_with(&[&text]).unwrap();
        let (local, exported) = loaded.data.role_assignments.split_last().unwrap();
        assert_eq!(exported, before.data.role_assignments);
        assert_eq!((local.id, local.origin), (id(LOCAL), Origin::Overlay));
        assert_eq!(local.role_definition, SECRETS_USER.parse().unwrap());
        assert_eq!(local.condition.as_ref().unwrap().text.as_ref(), NAMED);
        assert_ne!(loaded.fingerprint, before.fingerprint);
        assert_eq!(loaded.report.overlay_files, 1);
        assert_eq!(
            loaded.report.role_assignments,
            before.report.role_assignments + 1
        );
    }
}

#[test]
fn a_role_whose_display_name_nobody_has_grants_nothing() {
    let before = load_with(&[]).unwrap();
    let loaded = load_with(&[&assignment("key vault secrets user")]).unwrap();
    assert_eq!(loaded.data, before.data);
    let told = |warning: &LoadWarning| {
        matches!(warning, LoadWarning::OverlayRole { assignment, found: 0, .. }
            if *assignment == id(LOCAL))
    };
    assert!(loaded.report.warnings.iter().any(told));
}

#[test]
fn conditions_from_all_files_are_kept_and_orphans_are_told() {
    let first = condition(EXPORTED, NAMED);
    let second = condition(EXPORTED, NAMED) + &condition(LOCAL, NAMED);
    let loaded = load_with(&[&first, &second]).unwrap();
    assert_eq!(loaded.data.overlay_conditions[&id(EXPORTED)].len(), 2);
    assert_eq!(loaded.report.overlay_conditions, 3);
    assert_eq!(loaded.report.overlay_orphans, 1);
    let orphan = LoadWarning::OverlayOrphan(id(LOCAL));
    assert!(loaded.report.warnings.contains(&orphan));
}

#[test]
fn custom_security_attributes_keep_their_types() {
    let text = format!(
        "[[custom_security_attributes]]\nprincipal_id = '{DANA}'\n\
         attributes = {{ Engineering_Project = ['Baker', 'Cascade'], Engineering_Level = 3, \
         Engineering_Lead = true }}\n"
    );
    let loaded = load_with(&[&text]).unwrap();
    let custom = &loaded.data.custom_attributes[&DANA.parse().unwrap()].0;
    let text = |text: &'static str| Scalar::Text(text.into());
    assert_eq!(
        custom["engineering_project"],
        Values::Many(vec![text("Baker"), text("Cascade")])
    );
    assert_eq!(custom["engineering_level"], Values::One(Scalar::Integer(3)));
    assert_eq!(
        custom["engineering_lead"],
        Values::One(Scalar::Boolean(true))
    );
}

/// An error would let whoever picks names in Azure keep in force what has been withdrawn.
#[test]
fn a_local_assignment_that_has_the_name_of_an_exported_one_is_left_out() {
    let before = load_with(&[]).unwrap();
    let taken = assignment(SECRETS_USER).replace(LOCAL, EXPORTED);
    let loaded = load_with(&[&taken]).unwrap();
    assert_eq!(loaded.data, before.data);
    let told = |warning: &LoadWarning| {
        matches!(warning, LoadWarning::OverlayTaken { assignment, .. }
            if *assignment == id(EXPORTED))
    };
    assert!(loaded.report.warnings.iter().any(told));
}

#[test]
fn what_is_given_twice_fails_the_load() {
    let local = assignment(SECRETS_USER);
    let attributes = format!(
        "[[custom_security_attributes]]\nprincipal_id = '{DANA}'\nattributes = {{ a_b = 1 }}\n"
    );
    for (overlays, told) in [
        (
            vec![local.as_str(), local.as_str()],
            "role_assignments[0].name",
        ),
        (
            vec![attributes.as_str(), attributes.as_str()],
            "custom_security_attributes[0].principal_id",
        ),
    ] {
        let error = load_with(&overlays).unwrap_err();
        let [(file, FileError::Overlay(errors))] = error.problems() else {
            panic!("{error}");
        };
        let last = format!("{}.toml", overlays.len() - 1);
        assert!(file.ends_with(last), "{error}");
        let message = errors.to_string();
        assert!(message.starts_with(told), "{message}");
        assert!(message.contains("is given twice"), "{message}");
    }
    let twice = refusal(&(local.clone() + &local));
    assert!(twice.starts_with("role_assignments[1].name is given twice"));
}

#[test]
fn conditions_are_read_strictly_and_errors_say_where() {
    let mixed = format!("{NAMED} AND {NAMED} OR {NAMED}");
    let unknown = NAMED.replace(":name", ":nmae");
    for (text, told) in [
        (
            condition(EXPORTED, "@@@"),
            "conditions[0].condition: line 1, column 2",
        ),
        (
            condition(EXPORTED, &mixed),
            "conditions[0].condition: line 1, column ",
        ),
        (
            condition(EXPORTED, &unknown),
            "conditions[0].condition: there is no attribute \
             `@Resource[Microsoft.KeyVault/vaults/secrets:nmae]`",
        ),
        (
            assignment(SECRETS_USER) + "condition = ''\n",
            "role_assignments[0].condition: line 1, column 1",
        ),
    ] {
        let message = refusal(&text);
        assert!(message.starts_with(told), "{message}");
    }
}

#[test]
fn a_wrong_form_is_told_without_the_value() {
    let local = assignment(SECRETS_USER);
    for (text, told) in [
        (
            local.replace(DANA, "dana@contoso.example"),
            "role_assignments[0].principal_id: expected a GUID",
        ),
        (
            local.replace(SCOPE, "here"),
            "role_assignments[0].scope: expected a resource id",
        ),
        (
            local.clone() + "conditon = 'x'\n",
            "line 6, column 1: unknown field `conditon`, expected one of ",
        ),
        (
            "role_assignments = 'secret'".to_owned(),
            "line 1, column 20: expected a sequence",
        ),
        (
            condition("dana@contoso.example", NAMED),
            "conditions[0].role_assignment_id: expected the GUID of a role assignment",
        ),
        (
            format!(
                "[[custom_security_attributes]]\nprincipal_id = '{DANA}'\n\
                 attributes = {{ a_b = [1, 'secret'] }}\n"
            ),
            "custom_security_attributes[0].attributes: expected texts, whole numbers",
        ),
        (
            "[[condition]]".to_owned(),
            "line 1, column 3: unknown field",
        ),
    ] {
        let message = refusal(&text);
        assert!(message.starts_with(told), "{message}");
        assert!(
            !message.contains("secret'") && !message.contains("dana"),
            "{message}"
        );
    }
    assert_eq!(overlay::parse(b"").unwrap(), overlay::Overlay::default());
    assert_eq!(
        overlay::parse(b"\xFF").unwrap_err().to_string(),
        "invalid UTF-8 at byte 0"
    );
}

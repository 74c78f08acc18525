//! `portcullis condition check` and `portcullis condition fmt`, as people call them.

use std::fs;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// The exit code, standard output and standard error.
fn portcullis(arguments: &[&str], input: &str) -> (i32, String, String) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .arg("condition")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (
        output.status.code().unwrap(),
        text(output.stdout),
        text(output.stderr),
    )
}

/// The findings as `subject: name`, and the exit code.
fn findings(arguments: &[&str], input: &Value) -> (i32, Vec<String>) {
    let arguments = [&["check", "--format", "json"], arguments].concat();
    let (code, out, _) = portcullis(&arguments, &input.to_string());
    let report: Value = serde_json::from_str(&out).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let told = findings.iter().map(|finding| {
        let text = |name: &str| finding[name].as_str().unwrap().to_owned();
        format!("{}: {}", text("subject"), text("name"))
    });
    (code, told.collect())
}

const CLEAN: &str = "@Resource[Microsoft.KeyVault/vaults:name] StringEquals 'kv'";
const VOID: &str = "@Resource[Microsoft.KeyVault/vaults:name] StringStartsWith 'kv'";
const SECRETS_USER: &str = "4633458b-17de-408a-b874-0445c86b69e6";
const SECRETS_OFFICER: &str = "b86a8fe4-44ce-4948-aee5-eccb2c155cd7";

#[test]
fn exit_codes_tell_errors_from_warnings() {
    let code = |arguments: &[&str], text: &str| portcullis(arguments, text).0;
    assert_eq!(code(&["check"], CLEAN), 0);
    assert_eq!(code(&["check"], VOID), 0);
    assert_eq!(code(&["check", "--deny-warnings"], CLEAN), 0);
    assert_eq!(code(&["check", "--deny-warnings"], VOID), 1);
    assert_eq!(code(&["check"], "@Resource[a/b:c] StringEquals 'x'"), 1);
    assert_eq!(code(&["check"], "@Resource[a/b:c] StringEquals"), 1);
    let mixed = format!("{CLEAN} AND {CLEAN} OR {CLEAN}");
    assert_eq!(code(&["check"], &mixed), 1);
    assert_eq!(code(&["check", "--compatible"], &mixed), 0);
    assert_eq!(code(&["check", "--strict", "--compatible"], &mixed), 2);
}

#[test]
fn a_mistake_is_shown_in_its_line() {
    let (_, out, error) = portcullis(
        &["check"],
        "Exists @Resource[a]\nAND\n@Resource[b] Equal 'x'\n",
    );
    assert!(
        out.contains("standard input: error[unknown-operator]: line 3, column 14"),
        "{out}"
    );
    assert!(
        out.contains("3 | @Resource[b] Equal 'x'\n  |              ^^^^^\n"),
        "{out}"
    );
    assert!(out.ends_with("1 condition: 1 error, 0 warnings\n"), "{out}");
    assert_eq!(error, "portcullis: 1 error, 0 warnings\n");
}

/// An assignment as `az`, PowerShell and ARM write it.
fn assignment(tool: &str, name: &str, role: &str, scope: &str, condition: Option<&str>) -> Value {
    let role = format!("/providers/Microsoft.Authorization/roleDefinitions/{role}");
    let principal = "a17e4c02-6b3d-4f58-8e91-0c2d5b7a9f31";
    match tool {
        "az" => json!({
            "name": name, "roleDefinitionId": role, "principalId": principal, "scope": scope,
            "condition": condition, "conditionVersion": condition.map(|_| "2.0"),
        }),
        "PowerShell" => json!({
            "RoleAssignmentName": name, "RoleDefinitionId": role.rsplit('/').next(),
            "ObjectId": principal, "Scope": scope, "Condition": condition,
        }),
        _ => json!({"name": name, "properties": {
            "roleDefinitionId": role, "principalId": principal, "scope": scope,
            "condition": condition,
        }}),
    }
}

const GUARDED: &str = "!(ActionMatches{'Microsoft.KeyVault/vaults/secrets/setSecret/action'}) OR \
    @Request[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith 'app-'";

#[test]
fn every_tool_s_export_is_understood() {
    for tool in ["az", "PowerShell", "ARM"] {
        let of =
            |name, role, condition| assignment(tool, name, role, "/subscriptions/s", condition);
        let export = json!({"value": [
            of("outside", SECRETS_USER, Some(GUARDED)),
            of("broken", SECRETS_USER, Some("Exists")),
        ]});
        let (code, found) = findings(&[], &export);
        assert_eq!(
            found,
            ["outside: guard-outside-role", "broken: unexpected"],
            "{tool}"
        );
        assert_eq!(code, 1);
    }
}

#[test]
fn an_assignment_without_a_condition_makes_another_void() {
    let void = |scope: &str, role: &str| {
        let export = json!([
            assignment(
                "az",
                "narrow",
                SECRETS_USER,
                "/subscriptions/s/resourceGroups/g",
                Some(CLEAN)
            ),
            assignment("az", "wide", role, scope, None),
        ]);
        findings(&[], &export).1 == ["narrow: unconditional-assignment"]
    };
    assert!(void("/subscriptions/s/resourceGroups/g", SECRETS_USER));
    assert!(void("/subscriptions/S", SECRETS_OFFICER));
    assert!(void("/", SECRETS_OFFICER));
    assert!(!void("/subscriptions/s/resourceGroups/g2", SECRETS_OFFICER));
    assert!(!void(
        "/subscriptions/s/resourceGroups/g/providers/x",
        SECRETS_OFFICER
    ));
    // The Crypto Officer holds nothing that the Secrets User does.
    assert!(!void(
        "/subscriptions/s",
        "14b46e9e-c2b7-41b4-b07b-48a6ebf60603"
    ));
}

#[test]
fn conditions_of_role_definitions_are_looked_at_with_what_their_entry_holds() {
    let get = "Microsoft.KeyVault/vaults/secrets/getSecret/action";
    let set = "Microsoft.KeyVault/vaults/secrets/setSecret/action";
    let entry = |action: &str| json!({"dataActions": [action], "condition": GUARDED});
    let export = json!([{"name": "role", "permissions": [entry(set), entry(get)]}]);
    let (_, found) = findings(&[], &export);
    assert_eq!(found, ["role, permissions[1]: guard-outside-role"]);
}

#[test]
fn conditions_on_other_services_and_of_other_versions_are_told_apart() {
    let blobs = "!(ActionMatches{'Microsoft.Storage/storageAccounts/blobServices/containers/blobs/read'}) \
        OR @Resource[Microsoft.Storage/storageAccounts:name] StringEquals 'x'";
    let old = json!({"name": "old", "condition": CLEAN, "conditionVersion": "1.0"});
    let export = json!([{"name": "blobs", "condition": blobs}, old]);
    let (_, found) = findings(&[], &export);
    assert_eq!(found, ["old: unsupported-version"]);
}

fn file(directory: &TempDir, text: &str) -> PathBuf {
    let path = directory.path().join("condition.txt");
    fs::write(&path, text).unwrap();
    path
}

#[test]
fn the_layout_is_printed_and_checked() {
    let (code, layout, _) = portcullis(&["fmt"], GUARDED);
    assert_eq!(code, 0);
    assert!(layout.starts_with("(\n (\n  !(ActionMatches{"), "{layout}");
    assert_eq!(
        portcullis(&["fmt"], &layout),
        (0, layout.clone(), String::new())
    );
    assert_eq!(
        portcullis(&["fmt", "--check"], &layout),
        (0, String::new(), String::new())
    );

    let directory = TempDir::new().unwrap();
    let path = file(&directory, GUARDED);
    let path = path.to_str().unwrap();
    let (code, out, _) = portcullis(&["fmt", "--check", path], "");
    assert_eq!((code, out), (1, format!("{path}\n")));
}

#[test]
fn what_cannot_be_read_is_not_laid_out() {
    let (code, out, error) = portcullis(&["fmt"], "Exists");
    assert_eq!((code, &*out), (1, ""));
    assert!(error.contains("line 1, column 7"), "{error}");
}

#[test]
fn an_overlay_file_is_checked_strictly_and_may_have_our_own_attributes() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("overlay.toml");
    let own = "@Environment[Portcullis.Tls/clients:protocol] StringEquals 'TLSv1.3'";
    let mixed = format!("{CLEAN} AND {own} OR {own}");
    let text = format!(
        "[[role_assignments]]\nname = 'local'\ncondition = \"{own}\"\n\
         [[conditions]]\nrole_assignment_id = 'narrowed'\ncondition = \"{mixed}\"\n"
    );
    fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    let (code, out, _) = portcullis(&["check", "--format", "json", path], "");
    let report: Value = serde_json::from_str(&out).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let told: Vec<_> = findings
        .iter()
        .map(|finding| format!("{}: {}", finding["subject"], finding["name"]))
        .collect();
    assert_eq!((code, report["conditions"].as_u64()), (1, Some(2)));
    assert_eq!(told, ["\"narrowed\": \"mixed-connectives\""]);
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/config/overlay.example.toml");
    let (code, out, _) = portcullis(&["check", "--deny-warnings", shipped], "");
    assert_eq!(code, 0, "{out}");
}

#[test]
fn an_export_of_windows_powershell_is_read_in_its_encoding() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("assignments.json");
    let export = json!([{ "RoleAssignmentName": "a", "Condition": CLEAN }]).to_string();
    let units = std::iter::once(0xFEFF).chain(export.encode_utf16());
    fs::write(&file, units.flat_map(u16::to_le_bytes).collect::<Vec<_>>()).unwrap();
    let (code, out, _) = portcullis(&["check", file.to_str().unwrap()], "");
    assert_eq!(
        (code, out.lines().last()),
        (0, Some("1 condition: 0 errors, 0 warnings"))
    );
}

//! Several files together: directories, overlaps, conflicts, reports.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use portcullis::assignments::{FileError, Item, LoadError, LoadReport, LoadWarning, Loaded, load};
use portcullis::keyvault::DataActionSet;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{bytes, entries, json, path};

const SECRETS_USER: &str = "4633458b-17de-408a-b874-0445c86b69e6";

/// A directory with files of these names and contents.
fn directory(files: &[(&str, &Value)]) -> TempDir {
    let directory = TempDir::new().unwrap();
    for (name, value) in files {
        fs::write(directory.path().join(name), value.to_string()).unwrap();
    }
    directory
}

fn load_directory(directory: &TempDir) -> Result<Loaded, LoadError> {
    load(&[directory.path().to_path_buf()], &[])
}

fn load_exports(names: &[&str]) -> Loaded {
    let paths: Vec<PathBuf> = names.iter().map(|name| path(name)).collect();
    load(&paths, &[]).unwrap_or_else(|error| panic!("{error}"))
}

fn held(loaded: &Loaded, id: &str) -> DataActionSet {
    let role = &loaded.data.role_definitions[&id.parse().unwrap()];
    let held = role.permissions.iter().map(|one| one.held());
    held.fold(DataActionSet::EMPTY, DataActionSet::union)
}

#[test]
fn overlapping_exports_are_merged_and_counted() {
    let loaded = load_exports(&[
        "arm-roleAssignments.json",
        "az-role-assignment-list.json",
        "Get-AzRoleAssignment.json",
        "Get-AzRoleDefinition.json",
        "az-role-definition-list.json",
        "arm-denyAssignments.json",
        "Get-AzDenyAssignment.json",
        "arm-roleAssignmentScheduleInstances.json",
        "arm-roleEligibilityScheduleInstances.json",
        "groups.json",
    ]);
    let warnings = loaded.report.warnings.clone();
    let expected = LoadReport {
        files: 10,
        role_assignments: 6,
        role_definitions: 4,
        deny_assignments: 2,
        schedule_instances: 4,
        eligibility_skipped: 1,
        groups: 3,
        conditional: 1,
        deleted_principals: 1,
        unknown_definitions: 0,
        duplicates: 6 + 6 + 4 + 1,
        conflicts: 0,
        builtin_overridden: 1,
        overlay_files: 0,
        overlay_conditions: 0,
        overlay_orphans: 0,
        warnings: warnings.clone(),
    };
    assert_eq!(loaded.report, expected);
    assert_eq!(loaded.data.role_assignments.len(), 6);
    // The exact form of the role with two entries is kept, not the flattened one.
    let id = "5c29f7bd-16e8-4a03-b94c-b7d8062574ec".parse().unwrap();
    assert_eq!(loaded.data.role_definitions[&id].permissions.len(), 2);
    // Both forms have the pattern with a space.
    assert_eq!(warnings.len(), 2);
    let file = path("Get-AzRoleDefinition.json");
    assert_eq!(
        warnings[0].to_string(),
        format!(
            "`{}`: role definition `Fabrikam Key Backup` has a data action pattern with white space around it, which is ignored",
            file.display()
        )
    );
}

#[test]
fn assignments_of_roles_that_nobody_defines_are_counted() {
    let loaded = load_exports(&["az-role-assignment-list.json"]);
    assert_eq!(loaded.report.unknown_definitions, 1);
    assert_eq!(loaded.report.role_definitions, 0);
    assert!(!held(&loaded, SECRETS_USER).is_empty());
}

#[test]
fn an_assignment_told_differently_grants_nothing() {
    let mut other = json("az-role-assignment-list.json");
    entries(&mut other).truncate(4);
    // The condition got lost, and the role changed.
    entries(&mut other)[3]["condition"] = Value::Null;
    entries(&mut other)[3]["conditionVersion"] = Value::Null;
    let admin = "00482a5a-887f-4fb3-b363-3b7fe8e74483";
    entries(&mut other)[0]["roleDefinitionId"] = json!(admin);
    let directory = directory(&[
        ("a.json", &json("arm-roleAssignments.json")),
        ("b.json", &other),
    ]);
    let loaded = load_directory(&directory).unwrap();
    assert_eq!(loaded.report.conflicts, 2);
    assert_eq!(loaded.report.duplicates, 2);
    let left = &loaded.data.role_assignments;
    let left: Vec<_> = left.iter().map(|one| one.id.to_string()).collect();
    assert_eq!(
        left,
        [
            "7e4b19df-380a-4c25-9b6e-d9fa2847960e",
            "8f5c2ae0-491b-4d36-ac7f-ea0b3958a71f",
            "a17e4c02-6b3d-4f58-8e91-0c2d5b7ac931",
            "b28f5d13-7c4e-4069-9fa2-1d3e6c8bda42"
        ]
    );
    let [first, second] = ["a.json", "b.json"].map(|name| directory.path().join(name));
    let id = "6d3a08ce-27f9-4b14-8a5d-c8e9173685fd";
    let warning = LoadWarning::Conflict {
        item: Item::RoleAssignment(id.parse().unwrap()),
        first: first.clone(),
        second: second.clone(),
    };
    assert_eq!(loaded.report.warnings[0], warning);
    assert_eq!(
        warning.to_string(),
        format!(
            "role assignment `{id}` differs between `{}` and `{}`; neither grants",
            first.display(),
            second.display()
        )
    );
}

#[test]
fn a_third_copy_does_not_settle_a_conflict() {
    let mut other = json("arm-roleAssignment.json");
    other["properties"]["scope"] = json!("/");
    let original = json("arm-roleAssignment.json");
    let all = json!([original, other, original, other]);
    let loaded = load_directory(&directory(&[("a.json", &all)])).unwrap();
    assert!(loaded.data.role_assignments.is_empty());
    assert_eq!((loaded.report.conflicts, loaded.report.duplicates), (1, 2));
}

#[test]
fn deny_assignments_told_differently_all_deny() {
    let mut other = json("Get-AzDenyAssignment.json");
    other["DataActions"] = json!([]);
    let both = json!([json("Get-AzDenyAssignment.json"), other]);
    let loaded = load_directory(&directory(&[("a.json", &both)])).unwrap();
    assert_eq!(loaded.data.deny_assignments.len(), 2);
    assert_eq!(loaded.report.conflicts, 1);
}

#[test]
fn a_schedule_instance_told_differently_has_ended() {
    let mut all = json("arm-roleAssignmentScheduleInstances.json");
    let mut longer = all["value"][0].clone();
    longer["properties"]["endDateTime"] = json!("2030-01-01T00:00:00Z");
    entries(&mut all).push(longer);
    let loaded = load_directory(&directory(&[("a.json", &all)])).unwrap();
    let ended = loaded.data.schedule_instances.iter().map(|one| one.ended);
    assert_eq!(
        ended.collect::<Vec<_>>(),
        [true, true, false, false, true],
        "both versions of the first, and the one that is revoked"
    );
}

#[test]
fn groups_told_differently_are_unknown() {
    let frank = "07d4a268-c193-45be-a4f7-6283b1d02f97";
    let fewer = json!({frank: []});
    let all = json("groups.json");
    let loaded = load_directory(&directory(&[("a.json", &all), ("b.json", &fewer)])).unwrap();
    assert!(!loaded.data.groups.contains_key(&frank.parse().unwrap()));
    assert_eq!((loaded.report.groups, loaded.report.conflicts), (2, 1));
}

#[test]
fn an_export_overrides_a_compiled_in_role_and_a_conflict_forgets_it() {
    let definition = |action: &str| {
        json!({
            "type": "Microsoft.Authorization/roleDefinitions",
            "name": SECRETS_USER,
            "roleName": "Key Vault Secrets User",
            "permissions": [{"dataActions": [action]}],
        })
    };
    let less = definition("Microsoft.KeyVault/vaults/secrets/readMetadata/action");
    let loaded = load_directory(&directory(&[("a.json", &less)])).unwrap();
    assert_eq!(held(&loaded, SECRETS_USER).iter().count(), 1);
    assert_eq!(loaded.report.builtin_overridden, 1);
    assert_eq!(loaded.report.conflicts, 0);

    let same = definition(" microsoft.keyvault/VAULTS/secrets/readmetadata/action");
    let loaded = load_directory(&directory(&[("a.json", &less), ("b.json", &same)])).unwrap();
    assert_eq!((loaded.report.duplicates, loaded.report.conflicts), (1, 0));

    let more = definition("Microsoft.KeyVault/vaults/*");
    let loaded = load_directory(&directory(&[("a.json", &less), ("b.json", &more)])).unwrap();
    let id = SECRETS_USER.parse().unwrap();
    assert!(!loaded.data.role_definitions.contains_key(&id));
    assert_eq!(loaded.report.conflicts, 1);
}

#[test]
fn the_version_of_a_condition_is_part_of_a_definition() {
    let definition = |version: &str| {
        json!({
            "type": "Microsoft.Authorization/roleDefinitions",
            "name": SECRETS_USER,
            "roleName": "Key Vault Secrets User",
            "permissions": [{
                "dataActions": ["Microsoft.KeyVault/vaults/*"],
                "condition": "@Environment[isPrivateLink] BoolEquals true",
                "conditionVersion": version,
            }],
        })
    };
    let (read, unread) = (definition("2.0"), definition("3.0"));
    let loaded = load_directory(&directory(&[("a.json", &read), ("b.json", &unread)])).unwrap();
    assert_eq!((loaded.report.duplicates, loaded.report.conflicts), (0, 1));
}

#[test]
fn a_directory_is_its_visible_json_files_and_links_to_files() {
    let list = json("arm-roleAssignments.json");
    let groups = json("groups.json");
    let volume = directory(&[("notes.txt", &json!(1)), (".hidden.json", &json!(1))]);
    let root = volume.path();
    fs::create_dir(root.join("..2026_07_01")).unwrap();
    fs::write(root.join("..2026_07_01/roles.json"), list.to_string()).unwrap();
    symlink("..2026_07_01", root.join("..data")).unwrap();
    symlink("..data/roles.json", root.join("roles.json")).unwrap();
    fs::create_dir(root.join("older")).unwrap();
    fs::write(root.join("older/bad.json"), "?").unwrap();
    fs::write(root.join("GROUPS.JSON"), groups.to_string()).unwrap();
    // The same file by another path is read once.
    let paths = [root.to_path_buf(), root.join("..data/roles.json")];
    let report = load(&paths, &[]).unwrap().report;
    assert_eq!((report.files, report.role_assignments), (2, 6));
    assert_eq!((report.groups, report.duplicates), (3, 0));
}

#[test]
fn all_bad_files_are_reported_together() {
    let volume = directory(&[
        ("a.json", &json!({"value": 1})),
        ("b.json", &json("arm-roleAssignments.json")),
        ("c.json", &json("az-role-assignment-list-2018.json")),
    ]);
    let message = load_directory(&volume).unwrap_err().to_string();
    let name = |file: &str| format!("`{}`: ", volume.path().join(file).display());
    assert!(message.starts_with(&format!("{}entry 0: ", name("a.json"))));
    assert!(!message.contains("b.json"), "{message}");
    let legacy = "entry 0 (`6d3a08ce-27f9-4b14-8a5d-c8e9173685fd`): no `condition`";
    assert!(
        message.contains(&format!("; {}{legacy}", name("c.json"))),
        "{message}"
    );
}

#[test]
fn paths_that_lead_to_no_file_are_reported_together() {
    let volume = directory(&[]);
    let root = volume.path();
    fs::create_dir(root.join("directory.json")).unwrap();
    symlink("nowhere", root.join("link.json")).unwrap();
    let error = load(&[root.to_path_buf(), root.join("missing")], &[]).unwrap_err();
    let found: Vec<(&Path, String)> = error
        .problems()
        .iter()
        .map(|(path, error)| (path.as_path(), error.to_string()))
        .collect();
    let missing = "cannot be read: No such file or directory (os error 2)";
    assert_eq!(
        found,
        [
            (&*root.join("directory.json"), "expected a file".into()),
            (&*root.join("link.json"), missing.into()),
            (&*root.join("missing"), missing.into()),
        ]
    );
}

#[test]
fn a_file_without_end_is_not_read_to_its_end() {
    let volume = directory(&[]);
    let file = fs::File::create(volume.path().join("a.json")).unwrap();
    file.set_len(1 << 40).unwrap();
    let error = load_directory(&volume).unwrap_err();
    assert!(matches!(error.problems(), [(_, FileError::Wire(_))]));
    assert!(error.to_string().ends_with("expected at most 64 MiB"));
}

#[test]
fn no_role_assignments_at_all_is_a_warning() {
    let nothing = load_directory(&directory(&[])).unwrap();
    assert_eq!(nothing.report.warnings, [LoadWarning::NoRoleAssignments]);
    let only_denies = load_exports(&["arm-denyAssignments.json"]);
    assert_eq!(
        only_denies.report.warnings,
        [LoadWarning::NoRoleAssignments]
    );
}

#[test]
fn the_fingerprint_is_of_the_contents() {
    let [list, groups] = ["arm-roleAssignments.json", "groups.json"].map(json);
    let fingerprint =
        |files: &[(&str, &Value)]| load_directory(&directory(files)).unwrap().fingerprint;
    let first = fingerprint(&[("a.json", &list), ("b.json", &groups)]);
    assert_eq!(
        first,
        fingerprint(&[("c.json", &list), ("d.json", &groups)])
    );
    assert_ne!(first, fingerprint(&[("a.json", &list)]));
    let mut other = list.clone();
    entries(&mut other)[0]["properties"]["description"] = json!("x");
    assert_ne!(
        first,
        fingerprint(&[("a.json", &other), ("b.json", &groups)])
    );
}

#[test]
fn a_swap_between_two_files_is_never_half_seen() {
    let volume = TempDir::new().unwrap();
    let root = volume.path().to_path_buf();
    let swap = |root: &Path, number: usize| {
        let version = root.join(format!("..v{number}"));
        fs::create_dir(&version).unwrap();
        for file in ["a.json", "b.json"] {
            let entry = json!({"c3906e24-8d5f-417a-a0b3-2e4f7d9c1b53": [format!("00000000-0000-4000-8000-{number:012}")]});
            fs::write(version.join(file), entry.to_string()).unwrap();
        }
        symlink(&version, root.join("..data_tmp")).unwrap();
        fs::rename(root.join("..data_tmp"), root.join("..data")).unwrap();
    };
    swap(&root, 0);
    for file in ["a.json", "b.json"] {
        symlink(format!("..data/{file}"), root.join(file)).unwrap();
    }
    let writer = std::thread::spawn({
        let root = root.clone();
        move || (1..200).for_each(|number| swap(&root, number))
    });
    let mut whole = 0;
    while !writer.is_finished() {
        // A load may give up while files keep changing; the two files of one must agree.
        if let Ok(loaded) = load(std::slice::from_ref(&root), &[]) {
            assert_eq!((loaded.report.conflicts, loaded.report.duplicates), (0, 1));
            whole += 1;
        }
    }
    writer.join().unwrap();
    assert!(whole > 0 || load(&[root], &[]).is_ok());
}

#[test]
fn windows_exports_load_from_a_directory() {
    let text = String::from_utf8(bytes("Get-AzRoleAssignment.json")).unwrap();
    let units = std::iter::once(0xFEFF).chain(text.encode_utf16());
    let utf16: Vec<u8> = units.flat_map(u16::to_le_bytes).collect();
    let volume = directory(&[]);
    fs::write(volume.path().join("a.json"), utf16).unwrap();
    assert_eq!(load_directory(&volume).unwrap().report.role_assignments, 6);
}

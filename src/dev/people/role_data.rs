//! The role data of the sample people, as files in the forms Azure exports.
//!
//! * `role-assignments.json`: `az role assignment list --all --include-inherited -o json`, in its
//!   current form, which drops members that are null.
//! * `role-definitions.json`: `az role definition list --custom-role-only true -o json`.
//! * `role-assignment-schedule-instances.json`: ARM's list of PIM schedule instances.
//! * `groups.json`: principal to transitive groups, as Graph's `getMemberObjects` answers.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use thiserror::Error;

use super::assignments::{self, ADMINISTRATOR, ENDED_ASSIGNMENT, NO_PURGE_ROLE};
use super::{ADMIN, EXPIRED_PIM, RESOURCE_GROUP, SUBSCRIPTION, everybody};

/// How long ago the PIM grant ended, and how long it lasted.
const ENDED_AGO: Duration = Duration::from_secs(3600);
const LASTED: Duration = Duration::from_secs(8 * 3600);

/// The role data could not be written.
#[derive(Debug, Error)]
#[error("cannot write `{path}`")]
pub struct RoleDataError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: io::Error,
}

/// Writes the role data of everybody into `directory`, which must exist, and returns the files.
/// The PIM grant ended an hour before `now`.
///
/// Each file is written beside its place and then renamed, so that a reader sees the old one or
/// the new one.
///
/// # Errors
/// [`RoleDataError`] names the file.
pub fn write_role_data(directory: &Path, now: SystemTime) -> Result<Vec<PathBuf>, RoleDataError> {
    [
        ("role-assignments.json", role_assignments(now)),
        ("role-definitions.json", role_definitions(now)),
        (
            "role-assignment-schedule-instances.json",
            schedule_instances(now),
        ),
        ("groups.json", groups()),
    ]
    .into_iter()
    .map(|(name, content)| {
        let path = directory.join(name);
        match write(&path, &content) {
            Ok(()) => Ok(path),
            Err(source) => Err(RoleDataError { path, source }),
        }
    })
    .collect()
}

fn write(path: &Path, content: &Value) -> io::Result<()> {
    let beside = path.with_extension("json.new");
    fs::write(&beside, format!("{content:#}\n"))?;
    fs::rename(&beside, path)
}

fn role_assignments(now: SystemTime) -> Value {
    let created = timestamp(now - ENDED_AGO - LASTED, "+00:00");
    assignments::all()
        .map(|assignment| {
            let name = assignment.name;
            let scope = assignment.place.scope();
            let mut exported = json!({
                "id": assignment_id(&scope, "roleAssignments", name),
                "name": name,
                "type": "Microsoft.Authorization/roleAssignments",
                "scope": scope,
                "roleDefinitionId": assignment.role.definition_id(),
                "principalId": assignment.principal.to_string(),
                "principalType": assignment.principal_type,
                "createdOn": created,
                "updatedOn": created,
                "createdBy": ADMIN.object_id.to_string(),
                "updatedBy": ADMIN.object_id.to_string(),
                "roleDefinitionName": assignment.role.1,
                "principalName": assignment.principal_name,
            });
            if let (Some(condition), Some(members)) =
                (assignment.condition, exported.as_object_mut())
            {
                members.insert("condition".to_owned(), condition.into());
                members.insert("conditionVersion".to_owned(), "2.0".into());
            }
            exported
        })
        .collect()
}

fn role_definitions(now: SystemTime) -> Value {
    let created = timestamp(now - ENDED_AGO - LASTED, "+00:00");
    json!([{
        "assignableScopes": [SUBSCRIPTION],
        "createdBy": null,
        "createdOn": created,
        "description": "Everything on secrets except deleting and purging them",
        "id": NO_PURGE_ROLE.definition_id(),
        "name": NO_PURGE_ROLE.0,
        "permissions": [{
            "actions": ["Microsoft.KeyVault/vaults/read"],
            "condition": null,
            "conditionVersion": null,
            "dataActions": ["Microsoft.KeyVault/vaults/secrets/*"],
            "notActions": [],
            "notDataActions": [
                "Microsoft.KeyVault/vaults/secrets/delete",
                "Microsoft.KeyVault/vaults/secrets/purge/action",
            ],
        }],
        "roleName": NO_PURGE_ROLE.1,
        "roleType": "CustomRole",
        "type": "Microsoft.Authorization/roleDefinitions",
        "updatedBy": null,
        "updatedOn": created,
    }])
}

fn schedule_instances(now: SystemTime) -> Value {
    let end = now - ENDED_AGO;
    let start = timestamp(end - LASTED, "Z");
    json!({ "value": [{
        "properties": {
            "roleAssignmentScheduleId": assignment_id(
                RESOURCE_GROUP,
                "RoleAssignmentSchedules",
                ENDED_ASSIGNMENT,
            ),
            "originRoleAssignmentId": assignment_id(
                RESOURCE_GROUP,
                "roleAssignments",
                ENDED_ASSIGNMENT,
            ),
            "linkedRoleEligibilityScheduleId": null,
            "linkedRoleEligibilityScheduleInstanceId": null,
            "scope": RESOURCE_GROUP,
            "roleDefinitionId": ADMINISTRATOR.definition_id(),
            "principalId": EXPIRED_PIM.object_id.to_string(),
            "principalType": "ServicePrincipal",
            "status": "Provisioned",
            // Applications cannot be eligible, so nothing was activated: the role was assigned
            // for a time.
            "assignmentType": "Assigned",
            "memberType": "Direct",
            "startDateTime": start,
            "endDateTime": timestamp(end, "Z"),
            "createdOn": start,
            "condition": null,
            "conditionVersion": null,
        },
        "name": ENDED_ASSIGNMENT,
        "id": assignment_id(
            RESOURCE_GROUP,
            "RoleAssignmentScheduleInstances",
            ENDED_ASSIGNMENT,
        ),
        "type": "Microsoft.Authorization/RoleAssignmentScheduleInstances",
    }]})
}

fn groups() -> Value {
    let groups: Map<String, Value> = everybody()
        .map(|person| {
            let groups = person.groups.iter().map(ToString::to_string).collect();
            (person.object_id.to_string(), groups)
        })
        .collect();
    groups.into()
}

fn assignment_id(scope: &str, kind: &str, name: &str) -> String {
    format!("{scope}/providers/Microsoft.Authorization/{kind}/{name}")
}

/// Azure: az writes the offset, ARM a `Z`.
fn timestamp(time: SystemTime, zone: &str) -> String {
    let time = Timestamp::try_from(time).unwrap_or(Timestamp::UNIX_EPOCH);
    format!("{}{zone}", time.strftime("%Y-%m-%dT%H:%M:%S%.3f"))
}

#[cfg(test)]
mod tests {
    use super::super::{ENGINEERING, GROUP_MEMBER, PLATFORM_TEAM};
    use super::*;

    #[test]
    fn every_file_is_whole_json_and_the_grant_is_over() {
        let directory = tempfile::tempdir().unwrap();
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000);
        let files = write_role_data(directory.path(), now).unwrap();
        let read = |name: &str| -> Value {
            serde_json::from_slice(&fs::read(directory.path().join(name)).unwrap()).unwrap()
        };
        assert_eq!(files.len(), 4);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 4);
        let assignments = read("role-assignments.json");
        assert_eq!(
            assignments.as_array().unwrap().len(),
            assignments::all().count()
        );
        let instances = read("role-assignment-schedule-instances.json");
        let properties = &instances["value"][0]["properties"];
        assert_eq!(properties["endDateTime"], "2026-09-21T13:13:20.000Z");
        assert_eq!(
            read("groups.json")[GROUP_MEMBER.object_id.to_string()],
            json!([PLATFORM_TEAM.to_string(), ENGINEERING.to_string()])
        );
    }
}

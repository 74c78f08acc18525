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

use crate::principal::ObjectId;

use super::{
    ADMIN, APP_READER, CRYPTO_USER, DB_APP, DB_SECRET, ENGINEERING, EXPIRED_PIM, NO_PURGE, PEOPLE,
    PLATFORM_TEAM, Person, READER, RESOURCE_GROUP, RESOURCE_ID, SECRETS_USER, SUBSCRIPTION,
};

const ADMINISTRATOR: Role = Role(
    "00482a5a-887f-4fb3-b363-3b7fe8e74483",
    "Key Vault Administrator",
);
const CRYPTO_USER_ROLE: Role = Role(
    "12338af0-0e69-4776-bea7-57ae8d297424",
    "Key Vault Crypto User",
);
const READER_ROLE: Role = Role("21090545-7ca7-4776-b22c-e363652d74d2", "Key Vault Reader");
const SECRETS_USER_ROLE: Role = Role(
    "4633458b-17de-408a-b874-0445c86b69e6",
    "Key Vault Secrets User",
);
const NO_PURGE_ROLE: Role = Role(
    "b02f7c9e-64d1-4a83-9e57-c8d13f60a2b4",
    "Development Secrets Operator (no purge)",
);

/// The name of the assignment that PIM made and ended.
const ENDED_ASSIGNMENT: &str = "e5d81c37-9b04-4f62-a8c3-17f0b2d6954e";

/// How long ago the PIM grant ended, and how long it lasted.
const ENDED_AGO: Duration = Duration::from_secs(3600);
const LASTED: Duration = Duration::from_secs(8 * 3600);

/// A role's GUID and display name.
#[derive(Clone, Copy)]
struct Role(&'static str, &'static str);

impl Role {
    fn definition_id(self) -> String {
        format!(
            "{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{}",
            self.0
        )
    }
}

/// Where a role assignment applies.
#[derive(Clone, Copy)]
enum Place {
    DbSecret,
    ResourceGroup,
    Subscription,
    Vault,
}

impl Place {
    fn scope(self) -> String {
        match self {
            Self::DbSecret => format!("{RESOURCE_ID}/secrets/{DB_SECRET}"),
            Self::ResourceGroup => RESOURCE_GROUP.to_owned(),
            Self::Subscription => SUBSCRIPTION.to_owned(),
            Self::Vault => RESOURCE_ID.to_owned(),
        }
    }
}

/// One role assignment.
struct Assignment {
    name: &'static str,
    place: Place,
    role: Role,
    principal: ObjectId,
    principal_name: &'static str,
    principal_type: &'static str,
    condition: Option<&'static str>,
}

/// What `app-reader` may do: with attributes that Azure has itself.
const APP_SECRETS: &str = "((!(ActionMatches{'Microsoft.KeyVault/vaults/secrets/getSecret/action'})) OR (@Resource[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith 'app-'))";

const fn to_person(name: &'static str, place: Place, role: Role, person: Person) -> Assignment {
    Assignment {
        name,
        place,
        role,
        principal: person.object_id,
        principal_name: person.name,
        principal_type: "ServicePrincipal",
        condition: None,
    }
}

const fn to_group(
    name: &'static str,
    place: Place,
    role: Role,
    (principal, principal_name): (ObjectId, &'static str),
) -> Assignment {
    Assignment {
        name,
        place,
        role,
        principal,
        principal_name,
        principal_type: "Group",
        condition: None,
    }
}

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

/// Who holds what, and where.
const ASSIGNMENTS: [Assignment; 10] = [
    to_person(
        "13c7a0f5-d28e-4b96-8417-5ea9c3f0d6b2",
        Place::Vault,
        ADMINISTRATOR,
        ADMIN,
    ),
    to_person(
        "24d8b1e6-0f3a-4c57-9528-6fbad4e1c793",
        Place::Vault,
        SECRETS_USER_ROLE,
        SECRETS_USER,
    ),
    to_person(
        "35e9c2d7-1a4b-4d68-a639-70cbe5f2d8a4",
        Place::Subscription,
        READER_ROLE,
        READER,
    ),
    to_person(
        "46fad3c8-2b5c-4e79-b74a-81dcf603e9b5",
        Place::Vault,
        CRYPTO_USER_ROLE,
        CRYPTO_USER,
    ),
    to_person(
        "570be4b9-3c6d-4f8a-885b-92ed0714fac6",
        Place::DbSecret,
        SECRETS_USER_ROLE,
        DB_APP,
    ),
    Assignment {
        condition: Some(APP_SECRETS),
        ..to_person(
            "9b4f289d-70a1-43ce-8c9f-d6214b583e0a",
            Place::Vault,
            SECRETS_USER_ROLE,
            APP_READER,
        )
    },
    to_group(
        "681cf5aa-4d7e-409b-996c-a3fe18250bd7",
        Place::ResourceGroup,
        SECRETS_USER_ROLE,
        (PLATFORM_TEAM, "platform-team"),
    ),
    to_group(
        "792d069b-5e8f-41ac-aa7d-b40f29361ce8",
        Place::Vault,
        CRYPTO_USER_ROLE,
        (ENGINEERING, "engineering"),
    ),
    to_person(
        "8a3e178c-6f90-42bd-bb8e-c5103a472df9",
        Place::Vault,
        NO_PURGE_ROLE,
        NO_PURGE,
    ),
    // Azure: the plain list has PIM's assignments, without their end; an export made while this
    // one was active still has it.
    to_person(
        ENDED_ASSIGNMENT,
        Place::ResourceGroup,
        ADMINISTRATOR,
        EXPIRED_PIM,
    ),
];

fn role_assignments(now: SystemTime) -> Value {
    let created = timestamp(now - ENDED_AGO - LASTED, "+00:00");
    ASSIGNMENTS
        .iter()
        .map(|assignment| {
            let Assignment { name, place, .. } = assignment;
            let scope = place.scope();
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
    let groups: Map<String, Value> = PEOPLE
        .iter()
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
        assert_eq!(assignments.as_array().unwrap().len(), 10);
        let instances = read("role-assignment-schedule-instances.json");
        let properties = &instances["value"][0]["properties"];
        assert_eq!(properties["endDateTime"], "2026-09-21T13:13:20.000Z");
        assert_eq!(
            read("groups.json")[super::super::GROUP_MEMBER.object_id.to_string()],
            json!([PLATFORM_TEAM.to_string(), ENGINEERING.to_string()])
        );
    }

    #[test]
    fn every_assignment_has_a_name_of_its_own() {
        let mut names: Vec<_> = ASSIGNMENTS.iter().map(|a| a.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), ASSIGNMENTS.len());
    }
}

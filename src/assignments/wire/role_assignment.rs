//! Role assignments: ARM's list, `az role assignment list` and `Get-AzRoleAssignment`.

use crate::principal::ObjectId;
use crate::rbac::{AssignmentId, Origin, RoleAssignment, RoleDefinitionId};

use super::Scopes;
use super::error::EntryError;
use super::fields::{EXPECTED_GUID, Fields};

/// Reads a role assignment.
///
/// Whether the principal is deleted is known from PowerShell's `ObjectType` `Unknown` alone. The
/// empty `principalName` that `az` writes for a deleted principal is no proof, as it also writes
/// it for principals that the exporting user may not read, so it turns no assignment off.
pub(super) fn read(fields: &Fields<'_>, scopes: &mut Scopes) -> Result<RoleAssignment, EntryError> {
    let powershell = ["objectId", "roleAssignmentId", "roleAssignmentName"]
        .iter()
        .any(|field| fields.has(field));
    refuse_legacy(fields, powershell)?;
    let (name, id) = if powershell {
        ("RoleAssignmentName", "RoleAssignmentId")
    } else {
        ("name", "id")
    };
    let id = fields.entry_guid(name, id, "roleAssignments")?;
    let (principal, principal_type) = if powershell {
        let expected = "`User`, `Group`, `ServicePrincipal` or `Unknown`";
        let kind = fields.required("ObjectType", expected)?;
        (fields.guid("ObjectId")?, Some(kind))
    } else {
        (fields.guid("principalId")?, fields.text("principalType")?)
    };
    Ok(RoleAssignment {
        id: id
            .map(AssignmentId)
            .ok_or_else(|| fields.missing(name, EXPECTED_GUID))?,
        origin: Origin::Azure,
        scope: scopes.read(fields)?,
        principal: ObjectId(principal),
        role_definition: role_definition(fields)?,
        condition: fields.condition()?,
        principal_deleted: principal_type.is_some_and(|kind| kind.eq_ignore_ascii_case("Unknown")),
    })
}

/// Reads `roleDefinitionId`, whatever its prefix.
pub(super) fn role_definition(fields: &Fields<'_>) -> Result<RoleDefinitionId, EntryError> {
    fields
        .last_guid("roleDefinitionId", "roleDefinitions")?
        .map(RoleDefinitionId)
        .ok_or_else(|| {
            fields.missing(
                "roleDefinitionId",
                "a GUID or an id that ends in `/roleDefinitions/{GUID}`",
            )
        })
}

/// SECURITY: api-versions before 2020-03-01-preview and the tools built on them know no
/// conditions: in their exports a conditional assignment looks unconditional. They are told by
/// what else they lack or have. Of 2015 and 2018: no `principalType`. Of 2018-09-01-preview:
/// `canDelegate`. Of PowerShell, which writes every property: no `Condition`.
fn refuse_legacy(fields: &Fields<'_>, powershell: bool) -> Result<(), EntryError> {
    let may_lack_condition =
        fields.has("principalType") && !fields.has("canDelegate") && !powershell;
    if fields.has("condition") || may_lack_condition {
        Ok(())
    } else {
        Err(EntryError::Legacy)
    }
}

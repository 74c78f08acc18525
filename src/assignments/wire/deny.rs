//! Deny assignments: ARM's list (also of 2024-07-01-preview, with `denyAssignmentEffect`),
//! `az role deny-assignment list` and `Get-AzDenyAssignment`.
//!
//! A deny assignment takes away, so whatever narrows it has to be said: the principals, the
//! actions and the exclusions. What is missing never narrows.

use crate::principal::{Guid, ObjectId};
use crate::rbac::{
    AssignmentId, DenyAssignment, DenyEffect, DenyPrincipal, Permission, PrincipalType,
};

use super::error::EntryError;
use super::fields::{EXPECTED_GUID, Fields};

/// Reads a deny assignment.
pub(super) fn read(fields: &Fields<'_>) -> Result<DenyAssignment, EntryError> {
    let id = fields.entry_guid("name", "id", "denyAssignments")?;
    let effect = match fields.text("denyAssignmentEffect")? {
        Some(effect) if effect.eq_ignore_ascii_case("audit") => DenyEffect::Audit,
        _ => DenyEffect::Enforced,
    };
    Ok(DenyAssignment {
        id: id
            .map(AssignmentId)
            .ok_or_else(|| fields.missing("name", EXPECTED_GUID))?,
        scope: fields.scope()?,
        does_not_apply_to_child_scopes: fields.flag("doNotApplyToChildScopes")?,
        principals: principals(fields)?,
        exclude_principals: exclusions(fields)?,
        permissions: permissions(fields)?,
        effect,
        condition: if fields.has("permissions") {
            fields.condition()?
        } else {
            // PowerShell has one entry, whose condition `permissions` reads.
            None
        },
    })
}

fn principals(fields: &Fields<'_>) -> Result<Vec<DenyPrincipal>, EntryError> {
    let entries = fields.objects("principals")?;
    if entries.is_empty() {
        return Err(fields.missing("principals", "at least one principal"));
    }
    entries.iter().map(principal).collect()
}

fn exclusions(fields: &Fields<'_>) -> Result<Vec<DenyPrincipal>, EntryError> {
    let spared = |entry: &Fields<'_>| match principal(entry)? {
        DenyPrincipal {
            kind: PrincipalType::Everyone,
            ..
        } => Err(entry.wrong("id", "one principal", "an id or type that is everyone")),
        one => Ok(one),
    };
    let entries = fields.objects("excludePrincipals")?;
    entries.iter().map(spared).collect()
}

/// ARM writes `id` and `type`, PowerShell `ObjectId` and `ObjectType`.
fn principal(entry: &Fields<'_>) -> Result<DenyPrincipal, EntryError> {
    let powershell = entry.has("objectId");
    let (id, kind) = if powershell {
        (entry.guid("ObjectId")?, entry.text("ObjectType")?)
    } else {
        (entry.guid("id")?, entry.text("type")?)
    };
    Ok(DenyPrincipal {
        id: ObjectId(id),
        // The all-zero id is nobody's own, whatever its type says.
        kind: if id == Guid::ZERO {
            PrincipalType::Everyone
        } else {
            principal_type(kind.unwrap_or(""))
        },
    })
}

fn principal_type(word: &str) -> PrincipalType {
    match word.to_ascii_lowercase().as_str() {
        "group" | "foreigngroup" => PrincipalType::Group,
        "user" | "serviceprincipal" | "device" => PrincipalType::Single,
        // SECURITY: a set that Azure defines, under an id that is not the all-zero one Azure
        // documents. Nobody here can tell who is in it, so everybody may be.
        "everyone" | "systemdefined" => PrincipalType::Everyone,
        _ => PrincipalType::Unknown,
    }
}

fn permissions(fields: &Fields<'_>) -> Result<Vec<Permission>, EntryError> {
    if !fields.has("permissions") {
        return Ok(vec![permission(fields)?]);
    }
    let entries = fields.objects("permissions")?;
    if entries.is_empty() {
        return Err(fields.missing("permissions", "at least one entry"));
    }
    entries.iter().map(permission).collect()
}

/// SECURITY: the lists of a role may be left out or null, `dataActions` of a deny assignment may
/// not: if it got lost, what Azure stops would pass. Azure writes `[]` for none.
fn permission(entry: &Fields<'_>) -> Result<Permission, EntryError> {
    if !entry.is_given("dataActions")? {
        return Err(entry.missing(
            "dataActions",
            "a list, `[]` if no data action is taken away",
        ));
    }
    entry.permission()
}

//! Role definitions: ARM's list, `az role definition list`, `Get-AzRoleDefinition`, and the input
//! files of `az role definition create` and `New-AzRoleDefinition`.

use crate::principal::Guid;
use crate::rbac::{Permission, RoleDefinition, RoleDefinitionId};

use super::error::EntryError;
use super::fields::Fields;

/// A role definition as one file gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParsedDefinition {
    /// The definition.
    pub definition: RoleDefinition,
    /// Whether `permissions[]` was flattened to one entry, which loses what belonged together
    /// (`Get-AzRoleDefinition` does).
    pub flattened: bool,
}

/// What an entry gave: an input file for a new role has no id yet, so nothing can refer to it.
pub(super) enum Read {
    Definition(ParsedDefinition),
    WithoutId(Box<str>),
}

/// Reads a role definition.
///
/// Azure: a missing list is an empty one, also for `notDataActions`: input files leave out what
/// is empty.
pub(super) fn read(fields: &Fields<'_>) -> Result<Read, EntryError> {
    let (name, id) = name_and_id(fields)?;
    let flattened = !fields.has("permissions");
    let Some(id) = id else {
        return Ok(Read::WithoutId(name.into()));
    };
    let permissions = if flattened {
        expect_actions(fields)?;
        vec![fields.permission()?]
    } else {
        let entries = fields.objects("permissions")?;
        let entries = entries.iter().map(Fields::permission);
        entries.collect::<Result<Vec<Permission>, _>>()?
    };
    Ok(Read::Definition(ParsedDefinition {
        definition: RoleDefinition {
            id: RoleDefinitionId(id),
            name: name.into(),
            permissions,
        },
        flattened,
    }))
}

/// With `roleName` or a `type`, `name` is the GUID; without, `Name` is the display name and `Id`
/// the GUID.
fn name_and_id<'a>(fields: &Fields<'a>) -> Result<(&'a str, Option<Guid>), EntryError> {
    let expected = "the display name of the role";
    if fields.has("roleName") || fields.outer_text("type")?.is_some() {
        let name = fields.required("roleName", expected)?;
        return Ok((name, fields.entry_guid("name", "id", "roleDefinitions")?));
    }
    let name = fields.required("Name", expected)?;
    Ok((name, fields.last_guid("Id", "roleDefinitions")?))
}

/// A definition with neither `permissions` nor any list of actions says nothing about the role.
fn expect_actions(fields: &Fields<'_>) -> Result<(), EntryError> {
    if fields.has("actions") || fields.has("dataActions") {
        return Ok(());
    }
    Err(fields.missing(
        "permissions",
        "a list of permissions, or `Actions` and `DataActions`",
    ))
}

//! A tenant as files, in the forms that Azure's tools write.
//!
//! | file | form |
//! |---|---|
//! | `assignments.json`, `assignments-2.json`, … | `az role assignment list --all --include-inherited` |
//! | `definitions.json` | `az role definition list` |
//! | `deny.json` | Azure Resource Manager's list of deny assignments |
//! | `groups.json`, `groups-2.json`, … | transitive groups by principal |
//! | `vault.toml` | the vault's part of Portcullis' configuration |
//! | `requests.jsonl` | one request in each line |
//!
//! Nothing is left out that the tools write, save white space. Everything is written as it is made:
//! a gigabyte of export takes no memory. A file that grows larger than [`SPLIT_BYTES`] is closed and
//! goes on in the next one.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer as _};
use serde_json::Serializer;

use crate::assignments::{DenyAssignment, DenyPrincipal, RoleAssignment};
use crate::guid::Guid;
use crate::people::Holder;
use crate::requests::Request;
use crate::roles::{Permission, RoleDefinition};
use crate::tenant::Tenant;

/// Where a file ends and the next one begins; Portcullis reads none above 64 MiB.
pub const SPLIT_BYTES: usize = 60 * 1024 * 1024;

const MADE_ON: &str = "2026-05-04T07:31:09.123456+00:00";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AzAssignment<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    condition: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    condition_version: Option<&'static str>,
    created_by: Guid,
    created_on: &'static str,
    id: String,
    name: Guid,
    principal_id: Guid,
    principal_name: String,
    principal_type: &'static str,
    role_definition_id: String,
    role_definition_name: &'a str,
    scope: &'a str,
    r#type: &'static str,
    updated_by: Guid,
    updated_on: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AzPermission<'a> {
    actions: [&'static str; 1],
    not_actions: [&'static str; 0],
    data_actions: &'a [String],
    not_data_actions: &'a [String],
    condition: Option<&'static str>,
    condition_version: Option<&'static str>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct AzDefinition<'a> {
    assignable_scopes: [&'static str; 1],
    created_on: &'static str,
    description: &'static str,
    id: String,
    name: Guid,
    permissions: Vec<AzPermission<'a>>,
    role_name: &'a str,
    role_type: &'static str,
    r#type: &'static str,
    updated_on: &'static str,
}

#[derive(Serialize)]
struct ArmPrincipal {
    id: Guid,
    r#type: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ArmDenyProperties<'a> {
    deny_assignment_name: &'a str,
    description: &'static str,
    permissions: [AzPermission<'a>; 1],
    scope: String,
    do_not_apply_to_child_scopes: bool,
    principals: Vec<ArmPrincipal>,
    exclude_principals: Vec<ArmPrincipal>,
    is_system_protected: bool,
}

#[derive(Serialize)]
struct ArmDeny<'a> {
    properties: ArmDenyProperties<'a>,
    id: String,
    r#type: &'static str,
    name: Guid,
}

#[derive(Serialize)]
struct ArmPage<T> {
    value: Vec<T>,
}

impl Tenant {
    /// Writes every file but the requests into `dir`, which is made if it is missing. Files of a
    /// larger tenant that are already there are not removed.
    ///
    /// # Errors
    /// The first file that cannot be written.
    pub fn write_exports(&self, dir: &Path) -> io::Result<()> {
        std::fs::create_dir_all(dir)?;
        self.write_assignments(dir)?;
        self.write_groups(dir)?;
        let definitions = self.roles.definitions.iter().map(definition);
        write_json(
            &dir.join("definitions.json"),
            &definitions.collect::<Vec<_>>(),
        )?;
        let denies = self.deny_assignments.iter().map(|one| self.deny(one));
        write_json(
            &dir.join("deny.json"),
            &ArmPage {
                value: denies.collect(),
            },
        )?;
        std::fs::write(dir.join("vault.toml"), self.vault_table())
    }

    /// Writes requests, one JSON object in each line.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn write_requests(path: &Path, requests: &[Request]) -> io::Result<()> {
        let mut out = BufWriter::new(File::create(path)?);
        for request in requests {
            serde_json::to_writer(&mut out, request)?;
            out.write_all(b"\n")?;
        }
        out.flush()
    }

    fn write_assignments(&self, dir: &Path) -> io::Result<()> {
        let mut parts = Parts::new(dir, "assignments", [b"[", b"]"], SPLIT_BYTES)?;
        let mut entry = Vec::new();
        for one in &self.role_assignments {
            entry.clear();
            let scope = self.scope(one.place).to_string();
            serde_json::to_writer(&mut entry, &self.assignment(one, &scope))?;
            parts.entry(&entry)?;
        }
        parts.finish()
    }

    fn assignment<'a>(&'a self, one: &'a RoleAssignment, scope: &'a str) -> AzAssignment<'a> {
        let role = self.role(one);
        let role_id = role.map_or(Guid::ZERO, |role| role.id);
        let principal = self.people.id(one.holder);
        let short = principal.0 >> 96;
        // Above the subscriptions Azure writes the ids of roles without one.
        let subscription = scope
            .get(..51)
            .filter(|_| scope.starts_with("/subscriptions/"));
        let prefix = subscription.unwrap_or("");
        AzAssignment {
            condition: one
                .condition
                .as_ref()
                .map(|condition| condition.text.as_str()),
            condition_version: one.condition.as_ref().map(|_| "2.0"),
            created_by: self.id,
            created_on: MADE_ON,
            id: format!(
                "{scope}/providers/Microsoft.Authorization/roleAssignments/{}",
                one.id
            ),
            name: one.id,
            principal_id: principal,
            principal_name: match one.holder {
                Holder::Group(_) => format!("grp-{short:08x}"),
                Holder::Principal(_) => format!("p-{short:08x}@contoso.example"),
            },
            principal_type: self.people.kind(one.holder),
            role_definition_id: format!(
                "{prefix}/providers/Microsoft.Authorization/roleDefinitions/{role_id}"
            ),
            role_definition_name: role.map_or("", |role| role.name.as_str()),
            scope,
            r#type: "Microsoft.Authorization/roleAssignments",
            updated_by: self.id,
            updated_on: MADE_ON,
        }
    }

    fn write_groups(&self, dir: &Path) -> io::Result<()> {
        let mut parts = Parts::new(dir, "groups", [b"{", b"}"], SPLIT_BYTES)?;
        let mut entry = Vec::new();
        for principal in &self.people.principals {
            entry.clear();
            let mut serializer = Serializer::new(&mut entry);
            let mut map = serializer.serialize_map(Some(1))?;
            let groups: Vec<Guid> = self.people.group_ids(principal).collect();
            map.serialize_entry(&principal.id, &groups)?;
            map.end()?;
            // The braces are those of a map of one; the file has its own.
            let inner = entry
                .strip_prefix(b"{")
                .and_then(|rest| rest.strip_suffix(b"}"));
            parts.entry(inner.unwrap_or(&entry))?;
        }
        parts.finish()
    }

    fn deny<'a>(&self, one: &'a DenyAssignment) -> ArmDeny<'a> {
        let scope = self.scope(one.place).to_string();
        let principals = |list: &[DenyPrincipal]| {
            let written = list.iter().map(|one| match one {
                DenyPrincipal::Everyone => ArmPrincipal {
                    id: Guid::ZERO,
                    r#type: "SystemDefined",
                },
                DenyPrincipal::One(holder) => ArmPrincipal {
                    id: self.people.id(*holder),
                    r#type: self.people.kind(*holder),
                },
            });
            written.collect()
        };
        ArmDeny {
            id: format!(
                "{scope}/providers/Microsoft.Authorization/denyAssignments/{}",
                one.id
            ),
            r#type: "Microsoft.Authorization/denyAssignments",
            name: one.id,
            properties: ArmDenyProperties {
                deny_assignment_name: &one.name,
                description: "",
                permissions: [permission(&one.permission)],
                scope,
                do_not_apply_to_child_scopes: one.here_only,
                principals: principals(&one.principals),
                exclude_principals: principals(&one.excluded),
                is_system_protected: true,
            },
        }
    }

    fn vault_table(&self) -> String {
        let vault = &self.vault;
        let groups: Vec<String> = vault
            .management_groups
            .iter()
            .map(|one| format!("{one:?}"))
            .collect();
        format!(
            "# The vault that `requests.jsonl` asks, for the configuration of Portcullis.\n\
             [[vault]]\nname = \"{}\"\nresource_id = \"{}\"\nauthority = \"{}\"\n\
             management_groups = [{}]\n\n[vault.properties]\ntags = {{ environment = \"{}\" }}\n",
            vault.name,
            vault.resource_id,
            vault.host,
            groups.join(", "),
            vault.environment
        )
    }
}

fn permission(permission: &Permission) -> AzPermission<'_> {
    AzPermission {
        actions: ["Microsoft.KeyVault/vaults/read"],
        not_actions: [],
        data_actions: &permission.data_actions,
        not_data_actions: &permission.not_data_actions,
        condition: None,
        condition_version: None,
    }
}

fn definition(role: &RoleDefinition) -> AzDefinition<'_> {
    AzDefinition {
        assignable_scopes: ["/"],
        created_on: MADE_ON,
        description: "",
        id: format!(
            "/providers/Microsoft.Authorization/roleDefinitions/{}",
            role.id
        ),
        name: role.id,
        permissions: role.permissions.iter().map(permission).collect(),
        role_name: &role.name,
        role_type: if role.built_in {
            "BuiltInRole"
        } else {
            "CustomRole"
        },
        r#type: "Microsoft.Authorization/roleDefinitions",
        updated_on: MADE_ON,
    }
}

fn write_json(path: &Path, value: &impl Serialize) -> io::Result<()> {
    let mut out = BufWriter::new(File::create(path)?);
    serde_json::to_writer(&mut out, value)?;
    out.flush()
}

/// A list or an object over as many files as it takes.
struct Parts<'a> {
    dir: &'a Path,
    stem: &'static str,
    brackets: [&'static [u8]; 2],
    at_most: usize,
    number: usize,
    written: usize,
    out: BufWriter<File>,
}

impl<'a> Parts<'a> {
    fn new(
        dir: &'a Path,
        stem: &'static str,
        brackets: [&'static [u8]; 2],
        at_most: usize,
    ) -> io::Result<Self> {
        let [open, _] = brackets;
        Ok(Self {
            dir,
            stem,
            brackets,
            at_most,
            number: 1,
            written: 0,
            out: begin(&dir.join(format!("{stem}.json")), open)?,
        })
    }

    fn entry(&mut self, entry: &[u8]) -> io::Result<()> {
        let [open, close] = self.brackets;
        if self.written > 0 && self.written + entry.len() > self.at_most {
            self.out.write_all(close)?;
            self.out.flush()?;
            self.number += 1;
            self.written = 0;
            self.out = begin(&self.path(), open)?;
        }
        self.out
            .write_all(if self.written > 0 { b",\n" } else { b"\n" })?;
        self.out.write_all(entry)?;
        self.written += entry.len() + 2;
        Ok(())
    }

    fn path(&self) -> PathBuf {
        self.dir.join(format!("{}-{}.json", self.stem, self.number))
    }

    fn finish(mut self) -> io::Result<()> {
        let [_, close] = self.brackets;
        self.out.write_all(close)?;
        self.out.flush()
    }
}

fn begin(path: &Path, open: &[u8]) -> io::Result<BufWriter<File>> {
    let mut out = BufWriter::with_capacity(1 << 18, File::create(path)?);
    out.write_all(open)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_grows_too_large_goes_on_in_the_next() {
        let dir = tempfile::tempdir().unwrap();
        let mut parts = Parts::new(dir.path(), "list", [b"[", b"]"], 8).unwrap();
        for entry in ["1", "22", "333", "4444"] {
            parts.entry(entry.as_bytes()).unwrap();
        }
        parts.finish().unwrap();
        let read = |name: &str| {
            let bytes = std::fs::read(dir.path().join(name)).unwrap();
            serde_json::from_slice::<Vec<u32>>(&bytes).unwrap()
        };
        assert_eq!(read("list.json"), [1, 22]);
        assert_eq!(read("list-2.json"), [333]);
        assert_eq!(read("list-3.json"), [4444]);
    }
}

//! Everything the proxies are given: certificates, the issuer's keys, role data and tokens.

use std::fs;
use std::path::{Path, PathBuf};

use portcullis_tenants::{Shape, Tenant};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::issuer::{Identity, Issuer};
use crate::{Failure, pki};

/// Azure: the role "Key Vault Secrets User".
const SECRETS_USER: &str = "4633458b-17de-408a-b874-0445c86b69e6";

/// What the caller who may read may read.
const CONDITION: &str = "((!(ActionMatches{'Microsoft.KeyVault/vaults/secrets/getSecret/action'})) OR \
    (@Resource[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith 'payments-'))";

/// The vault that is asked.
#[derive(Clone, Debug)]
pub(crate) struct Vault {
    /// What it calls itself.
    pub(crate) host: String,
    pub(crate) resource_id: String,
    pub(crate) management_groups: Vec<String>,
}

/// A directory with everything in it, removed at the end.
#[derive(Debug)]
pub(crate) struct Site {
    directory: TempDir,
    issuer: Issuer,
    pub(crate) vault: Vault,
    /// Who may read the secrets that are asked for, by way of a group and under a condition.
    reader: Identity,
    /// A token of the reader.
    pub(crate) reader_token: String,
    /// A token of somebody who has no role.
    pub(crate) stranger_token: String,
}

impl Site {
    /// Writes everything anew; the issuer's key and tokens are kept from run to run in cargo's
    /// directory for such things.
    pub(crate) fn new(assignments: usize) -> Result<Self, Failure> {
        let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
        fs::create_dir_all(base)?;
        let directory = tempfile::Builder::new().prefix("proxy-").tempdir_in(base)?;
        let issuer = Issuer::open(&base.join("proxy-issuer"))?;
        let at = directory.path();
        let vault = tenant(assignments, &at.join("roles"))?;
        pki::write(at, &vault.host)?;
        fs::write(at.join("jwks.json"), issuer.jwks())?;
        fs::write(at.join("issuer.pem"), issuer.public_pem()?)?;
        let reader = Identity {
            oid: "b1a7e4d2-60c9-4f38-92e5-7d0b3c8f1a46".to_owned(),
            groups: (0..10).map(group).collect(),
        };
        let stranger = Identity {
            oid: "e94c0d17-3b5a-4862-af71-08c6d2e9b530".to_owned(),
            groups: (20..30).map(group).collect(),
        };
        let site = Self {
            reader_token: issuer.token(&reader, 0)?,
            stranger_token: issuer.token(&stranger, 0)?,
            directory,
            issuer,
            vault,
            reader,
        };
        site.write_roles(0)?;
        Ok(site)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The object id of the reader.
    pub(crate) fn reader(&self) -> &str {
        &self.reader.oid
    }

    /// A file with at least `count` tokens of the reader that were never sent.
    pub(crate) fn fresh_tokens(&self, count: usize) -> Result<PathBuf, Failure> {
        self.issuer.fresh(&self.reader, count)
    }

    /// Writes the roles of the bench's own callers; with an odd `turn` somebody has one who has none
    /// with an even one.
    pub(crate) fn write_roles(&self, turn: u32) -> Result<(), Failure> {
        let scope = &self.vault.resource_id;
        let mut all = vec![assignment(scope, &group(7), 1)];
        if turn % 2 == 1 {
            all.push(assignment(scope, &group(40), 2));
        }
        let beside = self.path("bench.new");
        fs::write(&beside, Value::from(all).to_string())?;
        Ok(fs::rename(beside, self.path("roles/bench.json"))?)
    }
}

/// Writes the role data of a made-up tenant of this size.
fn tenant(assignments: usize, roles: &Path) -> Result<Vault, Failure> {
    let tenant = Tenant::generate(Shape {
        assignments,
        seed: 1,
    });
    tenant.write_exports(roles)?;
    Ok(Vault {
        host: tenant.vault.host,
        resource_id: tenant.vault.resource_id,
        management_groups: tenant.vault.management_groups,
    })
}

fn group(index: u32) -> String {
    format!("9c5b2e70-4d18-4a63-8f0e-{index:012x}")
}

/// "Key Vault Secrets User" at `scope`, as `az role assignment list` shows it.
fn assignment(scope: &str, principal: &str, index: u32) -> Value {
    let name = format!("5e2f8a91-c3d0-4b76-91e8-{index:012x}");
    let authorization = "providers/Microsoft.Authorization";
    json!({
        "id": format!("{scope}/{authorization}/roleAssignments/{name}"),
        "name": name, "type": "Microsoft.Authorization/roleAssignments", "scope": scope,
        "roleDefinitionId": format!("/{authorization}/roleDefinitions/{SECRETS_USER}"),
        "roleDefinitionName": "Key Vault Secrets User",
        "principalId": principal, "principalType": "Group",
        "condition": CONDITION, "conditionVersion": "2.0",
    })
}

//! Everything the proxies are given: certificates, the issuer's keys, role data and tokens.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::issuer::{Identity, Issuer};
use crate::{Failure, pki};

/// What the vault calls itself.
pub(crate) const HOST: &str = "kv-bench.vault.azure.net";

const SUBSCRIPTION: &str = "/subscriptions/3d8f5b0a-7c41-4e92-b6d3-1a9e0c2f4875";

/// Azure: the role "Key Vault Secrets User".
const SECRETS_USER: &str = "4633458b-17de-408a-b874-0445c86b69e6";

/// What the caller who may read may read.
const CONDITION: &str = "((!(ActionMatches{'Microsoft.KeyVault/vaults/secrets/getSecret/action'})) OR \
    (@Resource[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith 'payments-'))";

/// A directory with everything in it, removed at the end.
#[derive(Debug)]
pub(crate) struct Site {
    directory: TempDir,
    issuer: Issuer,
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
    pub(crate) fn new() -> Result<Self, Failure> {
        let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
        fs::create_dir_all(base)?;
        let directory = tempfile::Builder::new().prefix("proxy-").tempdir_in(base)?;
        let issuer = Issuer::open(&base.join("proxy-issuer"))?;
        let at = directory.path();
        pki::write(at, HOST)?;
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
        let roles = at.join("roles");
        fs::create_dir(&roles)?;
        let assignments = json!([assignment(&group(7))]).to_string();
        fs::write(roles.join("assignments.json"), assignments)?;
        Ok(Self {
            reader_token: issuer.token(&reader, 0)?,
            stranger_token: issuer.token(&stranger, 0)?,
            directory,
            issuer,
            reader,
        })
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// The object id of the reader.
    pub(crate) fn reader(&self) -> &str {
        &self.reader.oid
    }

    /// The vault's id in Azure.
    pub(crate) fn resource_id() -> String {
        format!(
            "{SUBSCRIPTION}/resourceGroups/rg-bench/providers/Microsoft.KeyVault/vaults/kv-bench"
        )
    }

    /// A file with at least `count` tokens of the reader that were never sent.
    pub(crate) fn fresh_tokens(&self, count: usize) -> Result<PathBuf, Failure> {
        self.issuer.fresh(&self.reader, count)
    }
}

fn group(index: u32) -> String {
    format!("9c5b2e70-4d18-4a63-8f0e-{index:012x}")
}

/// The reader's role, as `az role assignment list` shows it.
fn assignment(principal: &str) -> Value {
    let name = "5e2f8a91-c3d0-4b76-91e8-f4a7d6b30c25";
    let scope = Site::resource_id();
    json!({
        "id": format!("{scope}/providers/Microsoft.Authorization/roleAssignments/{name}"),
        "name": name, "type": "Microsoft.Authorization/roleAssignments", "scope": scope,
        "roleDefinitionId": format!(
            "{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{SECRETS_USER}"
        ),
        "roleDefinitionName": "Key Vault Secrets User",
        "principalId": principal, "principalType": "Group",
        "condition": CONDITION, "conditionVersion": "2.0",
    })
}

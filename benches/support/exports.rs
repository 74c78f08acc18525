//! A made-up tenant as files.

use std::path::PathBuf;

use portcullis::rbac::VaultScope;
use portcullis_tenants::Tenant;
use tempfile::TempDir;

use super::sizes::Failure;

/// The exports of a tenant, on disk for as long as this is held.
pub(crate) struct Exports(TempDir);

impl Exports {
    pub(crate) fn of(tenant: &Tenant) -> Result<Self, Failure> {
        let directory = tempfile::tempdir()?;
        tenant.write_exports(directory.path())?;
        Ok(Self(directory))
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.0.path().to_path_buf()
    }
}

/// The vault that a tenant's requests ask.
pub(crate) fn vault(tenant: &Tenant) -> Result<VaultScope, Failure> {
    let names = tenant.vault.management_groups.iter();
    let groups = names.map(|name| name.parse()).collect::<Result<_, _>>()?;
    Ok(VaultScope {
        scope: tenant.vault.resource_id.parse()?,
        management_groups: Some(groups),
    })
}

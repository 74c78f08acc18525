//! The vaults of a configuration: where they are in Azure, what conditions may ask about them, and
//! the way to them.

use std::sync::Arc;

use super::StartError;
use crate::attributes::VaultFacts;
use crate::config::{self, Config, Limits};
use crate::proxy::connect::Ourselves;
use crate::proxy::listen::BoundListener;
use crate::proxy::pipeline::GuardedVault;
use crate::proxy::upstream::Upstream;
use crate::rbac::VaultScope;
use crate::snapshot::Snapshot;
use crate::tls::ServerCertificate;

/// Where role assignments for it can be.
pub(super) fn vault_scope(vault: &config::Vault) -> VaultScope {
    VaultScope {
        scope: vault.resource_id.clone(),
        management_groups: vault.management_groups.clone(),
    }
}

fn vault_facts(vault: &config::Vault) -> VaultFacts {
    let properties = &vault.properties;
    VaultFacts {
        name: vault.name.as_str().into(),
        id: vault.resource_id.to_string().into(),
        location: vault.location.clone(),
        sku: properties.sku.clone(),
        public_network_access: properties.public_network_access.clone(),
        enable_purge_protection: properties.enable_purge_protection,
        enable_soft_delete: properties.enable_soft_delete,
        tags: properties.tags.clone(),
    }
}

/// The idle connections to a vault, shared out among the threads. A client with many streams is
/// served by one of them, so each may keep a few in any case.
fn idle_per_thread(limits: &Limits) -> usize {
    const A_FEW: usize = 8;
    let share = limits.pool_max_idle.div_ceil(limits.worker_threads);
    share.max(A_FEW).min(limits.pool_max_idle)
}

/// The way to each vault, which must not lead to one of `bound`.
pub(super) fn ways_to_vaults(
    config: &Config,
    bound: &[(Arc<str>, BoundListener)],
    certificates: &[Snapshot<ServerCertificate>],
) -> Result<Vec<GuardedVault>, StartError> {
    // Nothing is connected to by a Unix socket; who leads there from an address shows a certificate.
    let addresses = bound.iter();
    let addresses = addresses.filter_map(|(_, listener)| listener.local_addr());
    let own = Ourselves::new(addresses, certificates.iter().cloned());
    let limits = Limits {
        pool_max_idle: idle_per_thread(&config.limits),
        ..config.limits.clone()
    };
    let way = |vault: &config::Vault| {
        let upstream =
            Upstream::new(vault, &limits, own.clone()).map_err(|cause| StartError::Vault {
                vault: vault.name.as_str().into(),
                cause,
            })?;
        Ok(GuardedVault {
            config: Arc::new(vault.clone()),
            upstream,
            facts: Arc::new(vault_facts(vault)),
        })
    };
    config.vaults.iter().map(way).collect()
}

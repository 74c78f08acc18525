//! Facts about a request of which nothing is known but the time.

use std::net::Ipv4Addr;
use std::time::SystemTime;

use portcullis::attributes::{Connection, Facts, Stage, Surroundings, VaultFacts};
use portcullis::principal::{CallerKind, Claims, Evidence, Guid, ObjectId, TenantId, TokenGroups};

/// Owns what [`Facts`] borrow.
pub(crate) struct Blank {
    pub(crate) vault: VaultFacts,
    pub(crate) claims: Claims,
    pub(crate) connection: Connection,
    pub(crate) surroundings: Surroundings,
}

impl Blank {
    pub(crate) fn new() -> Self {
        Self {
            vault: VaultFacts {
                name: "kv".into(),
                id: "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/kv"
                    .into(),
                location: None,
                sku: None,
                public_network_access: None,
                enable_purge_protection: None,
                enable_soft_delete: None,
                tags: [].into(),
            },
            claims: Claims {
                object_id: ObjectId(Guid::ZERO),
                tenant_id: TenantId(Guid::ZERO),
                app_id: None,
                issuer: "issuer".into(),
                issuer_name: "issuer".into(),
                token_id: None,
                kind: CallerKind::App,
                groups: TokenGroups::Absent,
                evidence: Evidence::default(),
                expires_at: SystemTime::UNIX_EPOCH,
            },
            connection: Connection {
                listener: "main".into(),
                address: Some(Ipv4Addr::LOCALHOST.into()),
                protocol: "TLSv1.3",
                certificate: None,
                private_link: false,
                private_endpoint: None,
                subnet: None,
                ranges: Vec::new(),
            },
            surroundings: Surroundings::default(),
        }
    }

    pub(crate) fn facts(&self, now: SystemTime) -> Facts<'_> {
        Facts {
            now,
            local_time: None,
            vault: &self.vault,
            route: "kv.vault.azure.net",
            claims: &self.claims,
            connection: &self.connection,
            surroundings: &self.surroundings,
            body: Stage::Unread,
            metadata: Stage::Unread,
        }
    }
}

//! What only conditions ask about: networks, the place of the proxy, a vault's own properties.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;

use super::super::document::escape;
use super::super::problem::shown;
use super::super::raw::{
    RawDeployment, RawNetwork, RawPublicNetworkAccess, RawRange, RawSku, RawSubnet,
    RawVaultProperties,
};
use super::super::{AddressRange, Deployment, Network, Subnet, VaultProperties, form};
use super::{Check, all};

impl Check<'_> {
    pub(super) fn network(&mut self, raw: RawNetwork) -> Option<Network> {
        let (ranges, subnets) = ("/network/ranges", "/network/subnets");
        let read_ranges = self.each(ranges, raw.ranges, Self::range);
        let read_subnets = raw.subnets.iter().enumerate();
        let read_subnets = read_subnets
            .map(|(index, subnet)| self.subnet(&format!("{subnets}/{index}"), subnet))
            .collect();
        self.unique(ranges, "name");
        self.unique(subnets, "id");
        self.one_subnet_each(subnets, &raw.subnets);
        Some(Network {
            ranges: all(read_ranges)?,
            subnets: all(read_subnets)?,
        })
    }

    fn range(&mut self, at: &str, raw: RawRange) -> Option<AddressRange> {
        let name = self.read(at, "name", raw.name.as_deref(), form::name);
        let addresses = self.list(at, "addresses", &raw.addresses, form::range);
        let pointer = format!("{at}/addresses");
        self.once_each(&pointer, raw.addresses, "expected each range once");
        Some(AddressRange {
            name: name?,
            addresses,
        })
    }

    fn subnet(&mut self, at: &str, raw: &RawSubnet) -> Option<Subnet> {
        let id = self.read(at, "id", raw.id.as_deref(), form::subnet);
        let addresses = self.list(at, "addresses", &raw.addresses, form::range);
        Some(Subnet { id: id?, addresses })
    }

    /// No prefix belongs to two subnets: which of them an address is in could not be said.
    fn one_subnet_each(&mut self, list: &str, raw: &[RawSubnet]) {
        let mut seen = BTreeSet::new();
        for (subnet, raw) in raw.iter().enumerate() {
            for (index, text) in raw.addresses.iter().enumerate() {
                let Ok(prefix) = text.parse::<IpNet>() else {
                    continue;
                };
                if !seen.insert(prefix) {
                    let what = format!("{} is listed twice", shown(text));
                    let hint = "expected each prefix in one subnet";
                    self.report(&format!("{list}/{subnet}/addresses/{index}"), what, hint);
                }
            }
        }
    }

    pub(super) fn deployment(&mut self, raw: RawDeployment) -> Option<Deployment> {
        let zone = self.read("/deployment", "time_zone", Some(&raw.time_zone), form::zone);
        Some(Deployment {
            environment: raw.environment.map(Into::into),
            region: raw.region.map(Into::into),
            zone: zone?,
        })
    }

    pub(super) fn vault_properties(
        &mut self,
        at: &str,
        raw: RawVaultProperties,
    ) -> VaultProperties {
        let mut seen: BTreeMap<String, String> = BTreeMap::new();
        for name in raw.tags.keys() {
            // Azure: the names of tags are compared without case.
            if let Some(first) = seen.insert(name.to_lowercase(), name.clone()) {
                let what = format!("is the same tag as {}", shown(&first));
                let pointer = format!("{at}/properties/tags/{}", escape(name));
                self.report(&pointer, what, "expected each tag once, case aside");
            }
        }
        let tags = raw.tags.into_iter();
        VaultProperties {
            sku: raw.sku.map(|sku| {
                Box::from(match sku {
                    RawSku::Standard => "standard",
                    RawSku::Premium => "premium",
                })
            }),
            public_network_access: raw.public_network_access.map(|access| {
                Box::from(match access {
                    RawPublicNetworkAccess::Enabled => "Enabled",
                    RawPublicNetworkAccess::Disabled => "Disabled",
                })
            }),
            enable_purge_protection: raw.enable_purge_protection,
            enable_soft_delete: raw.enable_soft_delete,
            tags: tags
                .map(|(name, value)| (name.into(), value.into()))
                .collect(),
        }
    }
}

//! Listeners, and what only conditions ask about: networks, the place of the proxy, a vault's own
//! properties.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use ipnet::IpNet;

use super::super::document::escape;
use super::super::problem::shown;
use super::super::raw::{
    RawClientCertificates, RawDeployment, RawListener, RawNetwork, RawPublicNetworkAccess,
    RawRange, RawSku, RawSubnet, RawVaultProperties,
};
use super::super::{
    AddressRange, CertificateSource, ClientCertificates, Deployment, Listener, Network, Subnet,
    VaultProperties, form,
};
use super::{Check, all};

impl Check<'_> {
    pub(super) fn listener(&mut self, at: &str, raw: RawListener) -> Option<Listener> {
        let name = self.read(at, "name", raw.name.as_deref(), form::name);
        let address = self.read(at, "address", raw.address.as_deref(), form::address);
        let files = (raw.certificate_file, raw.private_key_file);
        let certificate = self.certificate(at, files, raw.ca_directory);
        let mode = format!("{at}/client_certificates");
        if self.document.is_written(&mode)
            && !self.document.is_written(&format!("{at}/client_ca_file"))
        {
            let hint = "expected it only beside `client_ca_file`";
            self.report(&mode, "has no effect without CAs", hint);
        }
        let ca_file = self.file(at, "client_ca_file", raw.client_ca_file);
        let client_certificates = ca_file.map(|ca_file| ClientCertificates {
            ca_file,
            required: raw.client_certificates == RawClientCertificates::Required,
        });
        let endpoint = raw.private_endpoint.as_deref();
        let private_endpoint = self.read(at, "private_endpoint", endpoint, form::private_endpoint);
        let link = format!("{at}/private_link");
        if endpoint.is_some() && !raw.private_link && self.document.is_written(&link) {
            let hint = "expected `true`, or no such key";
            self.report(&link, "contradicts `private_endpoint`", hint);
        }
        Some(Listener {
            name: name?,
            address: address?,
            certificate: certificate?,
            client_certificates,
            private_link: raw.private_link || private_endpoint.is_some(),
            private_endpoint,
        })
    }

    /// Exactly one place to have a certificate from: a file and its key, or a CA.
    fn certificate(
        &mut self,
        at: &str,
        (certificate, private_key): (Option<PathBuf>, Option<PathBuf>),
        ca: Option<PathBuf>,
    ) -> Option<CertificateSource> {
        const EXPECTED: &str =
            "expected either `certificate_file` and `private_key_file`, or `ca_directory`";
        let written = |key| self.document.is_written(&format!("{at}/{key}"));
        let keys = ["certificate_file", "private_key_file"];
        let [has_certificate, has_key] = keys.map(written);
        if written("ca_directory") {
            if has_certificate || has_key {
                let what = "is a second source of certificates";
                self.report(&format!("{at}/ca_directory"), what, EXPECTED);
            }
            let path = self.path(&format!("{at}/ca_directory"), &ca?, form::directory);
            return path.map(CertificateSource::Ca);
        }
        if !has_certificate && !has_key {
            self.report(at, "has no source of certificates", EXPECTED);
        } else if !has_certificate || !has_key {
            let [first, second] = keys;
            let key = if has_certificate { second } else { first };
            self.report(&format!("{at}/{key}"), "missing", EXPECTED);
        }
        let certificate = self.file(at, "certificate_file", certificate);
        let private_key = self.file(at, "private_key_file", private_key);
        Some(CertificateSource::Files {
            certificate: certificate?,
            private_key: private_key?,
        })
    }

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

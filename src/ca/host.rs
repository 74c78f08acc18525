//! What a certificate can be for.

use std::fmt;
use std::net::IpAddr;

use crate::keyvault::Authority;

/// A host as certificates name it, without a port.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Host {
    /// An IP address.
    Address(IpAddr),
    /// A DNS name in lower case, without a trailing dot.
    Name(Box<str>),
}

impl From<&Authority> for Host {
    /// The host of an authority; certificates know no ports.
    fn from(authority: &Authority) -> Self {
        let host = authority.host();
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        bare.parse()
            .map_or_else(|_| Self::Name(host.into()), Self::Address)
    }
}

impl Host {
    /// Each host of `authorities` once.
    pub fn each<'a>(authorities: impl IntoIterator<Item = &'a Authority>) -> Vec<Self> {
        let mut hosts: Vec<Self> = authorities.into_iter().map(Self::from).collect();
        hosts.sort();
        hosts.dedup();
        hosts
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Address(address) => address.fmt(f),
            Self::Name(name) => name.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_is_named_once_whatever_its_ports() {
        let authorities = [
            "kv.vault.azure.net",
            "KV.vault.azure.net:8443",
            "[::1]:0",
            "10.0.0.5",
        ];
        let authorities = authorities.map(|text| text.parse().unwrap());
        let hosts = Host::each(&authorities);
        let expected = [
            Host::Address([10, 0, 0, 5].into()),
            Host::Address("::1".parse().unwrap()),
            Host::Name("kv.vault.azure.net".into()),
        ];
        assert_eq!(hosts, expected);
    }
}

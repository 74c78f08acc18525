//! Where clients come from: named address ranges and Azure subnets.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

/// The address ranges that conditions may ask about.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Network {
    /// Named ranges; they may overlap.
    pub ranges: Vec<AddressRange>,
    /// Azure subnets; no two have a prefix in common.
    pub subnets: Vec<Subnet>,
}

/// A named range of client addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AddressRange {
    /// The name in conditions.
    pub name: Arc<str>,
    /// Its addresses, without host bits.
    pub addresses: Vec<IpNet>,
}

/// An Azure subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subnet {
    /// The resource id.
    pub id: Arc<str>,
    /// Its address prefixes, without host bits.
    pub addresses: Vec<IpNet>,
}

impl Network {
    /// The names of all ranges that hold `address`, in their order.
    ///
    /// An IPv4 address in IPv6 form counts as the IPv4 address it is.
    pub fn ranges_of(&self, address: IpAddr) -> Vec<Arc<str>> {
        let address = address.to_canonical();
        let holds = |range: &&AddressRange| range.addresses.iter().any(|a| a.contains(&address));
        let holding = self.ranges.iter().filter(holds);
        holding.map(|range| Arc::clone(&range.name)).collect()
    }

    /// The resource id of the subnet with the longest prefix that holds `address`.
    ///
    /// An IPv4 address in IPv6 form counts as the IPv4 address it is.
    pub fn subnet_of(&self, address: IpAddr) -> Option<&Arc<str>> {
        let address = address.to_canonical();
        let prefixes = self.subnets.iter().flat_map(|subnet| {
            let holding = subnet.addresses.iter().filter(|a| a.contains(&address));
            holding.map(|prefix| (prefix.prefix_len(), &subnet.id))
        });
        prefixes.max_by_key(|(length, _)| *length).map(|(_, id)| id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nets(texts: &[&str]) -> Vec<IpNet> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    fn network() -> Network {
        let range = |name: &str, texts: &[&str]| AddressRange {
            name: name.into(),
            addresses: nets(texts),
        };
        let subnet = |id: &str, texts: &[&str]| Subnet {
            id: id.into(),
            addresses: nets(texts),
        };
        Network {
            ranges: vec![
                range("vpn", &["10.1.0.0/16", "2001:db8::/32"]),
                range("bastion", &["10.1.2.3/32"]),
                range("any-v4", &["0.0.0.0/0"]),
                range("any-v6", &["::/0"]),
            ],
            subnets: vec![
                subnet("wide", &["10.0.0.0/8"]),
                subnet("narrow", &["192.168.0.0/24", "10.1.0.0/16"]),
                subnet("middle", &["10.0.0.0/12"]),
                subnet("six", &["2001:db8:1::/48"]),
            ],
        }
    }

    #[track_caller]
    fn assert_place(address: &str, ranges: &[&str], subnet: Option<&str>) {
        let (network, address) = (network(), address.parse().unwrap());
        let found = network.ranges_of(address);
        let found: Vec<&str> = found.iter().map(|name| &**name).collect();
        assert_eq!(found, ranges);
        assert_eq!(network.subnet_of(address).map(|id| &**id), subnet);
    }

    #[test]
    fn an_address_is_in_every_range_that_holds_it_in_their_order() {
        assert_place("10.1.2.3", &["vpn", "bastion", "any-v4"], Some("narrow"));
        assert_place("10.1.2.4", &["vpn", "any-v4"], Some("narrow"));
        assert_place("2001:db8::1", &["vpn", "any-v6"], None);
    }

    #[test]
    fn an_address_is_in_the_subnet_with_the_longest_prefix() {
        assert_place("10.1.255.255", &["vpn", "any-v4"], Some("narrow"));
        assert_place("10.2.0.0", &["any-v4"], Some("middle"));
        assert_place("10.200.0.1", &["any-v4"], Some("wide"));
        assert_place("2001:db8:1::9", &["vpn", "any-v6"], Some("six"));
    }

    #[test]
    fn an_address_beside_every_range_is_in_none() {
        assert_place("192.168.1.0", &["any-v4"], None);
        assert_place("2001:db7:ffff::", &["any-v6"], None);
        let nothing = Network::default();
        let address = "10.1.2.3".parse().unwrap();
        assert!(nothing.ranges_of(address).is_empty() && nothing.subnet_of(address).is_none());
    }

    #[test]
    fn an_ipv4_address_in_ipv6_form_is_an_ipv4_address() {
        let ranges = ["vpn", "bastion", "any-v4"];
        assert_place("::ffff:10.1.2.3", &ranges, Some("narrow"));
    }
}

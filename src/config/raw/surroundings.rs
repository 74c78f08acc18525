//! The keys that only conditions ask about: networks, the place of the proxy, a vault's own
//! properties.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Time that is the same everywhere, so that a schedule that was not thought through at least does
/// not move with the machine's settings.
const TIME_ZONE: &str = "UTC";

/// Address ranges that conditions may ask about.
#[derive(Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawNetwork {
    /// Ranges of client addresses under names of our own; they may overlap.
    pub(in crate::config) ranges: Vec<RawRange>,
    /// Azure subnets and their addresses; a client is in the one with the longest prefix.
    pub(in crate::config) subnets: Vec<RawSubnet>,
}

/// A named range of client addresses.
#[derive(Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawRange {
    /// The range's name in conditions.
    #[schemars(required, example = &"admin-vpn")]
    pub(in crate::config) name: Option<String>,
    /// Its addresses in CIDR notation.
    #[schemars(required, length(min = 1))]
    #[schemars(example = ["10.1.0.0/16", "2001:db8::/32"])]
    pub(in crate::config) addresses: Vec<String>,
}

/// An Azure subnet.
#[derive(Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawSubnet {
    /// The subnet's resource id.
    #[schemars(
        required,
        example = "/subscriptions/{id}/resourceGroups/{name}/providers/Microsoft.Network/virtualNetworks/{name}/subnets/{name}"
    )]
    pub(in crate::config) id: Option<String>,
    /// Its address prefixes in CIDR notation.
    #[schemars(required, length(min = 1), example = ["10.20.0.0/24"])]
    pub(in crate::config) addresses: Vec<String>,
}

/// Where this proxy runs, as conditions may ask.
#[derive(Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawDeployment {
    /// The environment.
    #[schemars(length(min = 1), example = &"prod")]
    pub(in crate::config) environment: Option<String>,
    /// The Azure region.
    #[schemars(length(min = 1), example = &"westeurope")]
    pub(in crate::config) region: Option<String>,
    /// The IANA time zone in which conditions ask for days and hours.
    #[schemars(example = "Europe/Berlin")]
    pub(in crate::config) time_zone: String,
}

impl Default for RawDeployment {
    fn default() -> Self {
        Self {
            environment: None,
            region: None,
            time_zone: TIME_ZONE.to_owned(),
        }
    }
}

/// What conditions may ask about a vault itself, as Azure shows it.
#[derive(Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawVaultProperties {
    /// The vault's price tier.
    pub(in crate::config) sku: Option<RawSku>,
    /// Whether the vault can be reached from public networks.
    pub(in crate::config) public_network_access: Option<RawPublicNetworkAccess>,
    /// Whether purge protection is on.
    #[schemars(example = true)]
    pub(in crate::config) enable_purge_protection: Option<bool>,
    /// Whether soft delete is on.
    #[schemars(example = true)]
    pub(in crate::config) enable_soft_delete: Option<bool>,
    /// The vault's own tags.
    pub(in crate::config) tags: BTreeMap<String, String>,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum RawSku {
    Standard,
    Premium,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, Serialize)]
pub(in crate::config) enum RawPublicNetworkAccess {
    Enabled,
    Disabled,
}

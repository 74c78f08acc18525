//! What is known of a request besides its operation.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use crate::abac::Values;
use crate::principal::Claims;

use super::properties::{Metadata, Properties};

/// Everything a condition may ask about, save the operation and the custom security attributes,
/// which come with the entitlements.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// What time it is, read once per decision.
    pub now: SystemTime,
    /// The same in the configured time zone.
    pub local_time: Option<LocalTime>,
    /// The vault.
    pub vault: &'a VaultFacts,
    /// The host name by which the request came, as configured.
    pub route: &'a str,
    /// The caller's token.
    pub claims: &'a Claims,
    /// The connection.
    pub connection: &'a Connection,
    /// Where this proxy runs.
    pub surroundings: &'a Surroundings,
    /// What the request's body says.
    pub body: Stage<'a, Properties>,
    /// What the vault says about the object.
    pub metadata: Stage<'a, Metadata>,
}

/// Something that is fetched only when it is needed.
#[derive(Debug)]
pub enum Stage<'a, T> {
    /// Nobody has looked.
    Unread,
    /// Somebody has looked, and there is nothing.
    Absent,
    /// This was found.
    Read(&'a T),
}

impl<T> Clone for Stage<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Stage<'_, T> {}

/// What configuration says about a vault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultFacts {
    /// Its name.
    pub name: Box<str>,
    /// Its resource id.
    pub id: Box<str>,
    /// Its region.
    pub location: Option<Box<str>>,
    /// `standard` or `premium`.
    pub sku: Option<Box<str>>,
    /// `Enabled` or `Disabled`.
    pub public_network_access: Option<Box<str>>,
    /// Whether purge protection is on.
    pub enable_purge_protection: Option<bool>,
    /// Whether soft delete is on.
    pub enable_soft_delete: Option<bool>,
    /// Its tags.
    pub tags: BTreeMap<Box<str>, Box<str>>,
}

/// A client's connection, known from its first byte to its last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connection {
    /// The name of the listener.
    pub listener: Arc<str>,
    /// The client's address; `None` if it has none, or nobody knows it.
    pub address: Option<IpAddr>,
    /// `TLSv1.2` or `TLSv1.3`.
    pub protocol: &'static str,
    /// The certificate by which the client made itself known.
    pub certificate: Option<ClientCertificate>,
    /// Whether the listener is one that only private links reach.
    pub private_link: bool,
    /// The resource id of the private endpoint that leads to the listener.
    pub private_endpoint: Option<Arc<str>>,
    /// The resource id of the configured subnet with the longest prefix that holds the address.
    pub subnet: Option<Arc<str>>,
    /// The names of all configured address ranges that hold the address, in their order.
    pub ranges: Vec<Arc<str>>,
}

/// A client certificate that was verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The subject's distinguished name (RFC 4514).
    pub subject: Box<str>,
    /// The issuer's.
    pub issuer: Box<str>,
    /// SHA-256 of the certificate, in lower-case hexadecimal.
    pub thumbprint: Box<str>,
    /// The SPIFFE id among its names.
    pub spiffe_id: Option<Box<str>>,
}

/// Where this proxy runs, as configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Surroundings {
    /// `environment`
    pub environment: Option<Box<str>>,
    /// `region`
    pub region: Option<Box<str>>,
}

/// A time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LocalTime {
    /// `Monday` to `Sunday`.
    pub day_of_week: &'static str,
    /// 0 to 23.
    pub hour: u8,
}

/// A principal's custom security attributes, by `{set}_{attribute}` in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CustomAttributes(pub HashMap<Box<str>, Values<'static>>);

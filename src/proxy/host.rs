//! Which vault a request is for, and by which name the client knows it.
//!
//! A request can name its host in four places: the `Host` header, `:authority`, an absolute-form
//! target and SNI. They must agree, and select one configured vault exactly. There is no default
//! vault, no suffix match and no wildcard.

use std::collections::HashMap;
use std::net::IpAddr;

use http::header::HOST;
use http::request::Parts;
use thiserror::Error;

use super::listen::Peer;
use crate::config;
use crate::keyvault::Authority;

/// A public name with port 0 stands for the port of the listener the client came to.
const LISTENER_PORT: u16 = 0;

/// Why no vault was selected. Both are answered 421.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum HostError {
    /// A host that is absent, malformed, given twice or given differently in two places.
    #[error(
        "the request's host is missing, malformed or contradicted; expected one host, the same in \
         the Host header, the request line and the TLS handshake"
    )]
    BadHost,
    /// A host that is none of ours.
    #[error("the request is for a host that is not served here")]
    UnknownVault,
}

/// Two vaults with a name in common.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("two vaults have the public name `{0}`")]
pub struct DuplicateName(pub Authority);

/// What a request selected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Selected {
    /// The index of the vault in the configuration.
    pub vault: usize,
    /// The name the client used, as configured: never the text of a header.
    pub public: Authority,
    /// Whether that name differs from the vault's own, so that links in answers lead elsewhere.
    pub foreign_name: bool,
}

/// The names of all vaults.
#[derive(Debug)]
pub struct VaultTable {
    exact: HashMap<Authority, usize>,
    /// Names that stand for whatever port the listener has.
    on_listener_port: HashMap<Box<str>, usize>,
    own: Vec<Authority>,
}

impl VaultTable {
    /// Takes each vault's own authority and its public names.
    ///
    /// # Errors
    /// [`DuplicateName`], if two vaults share a name.
    pub fn new(vaults: &[config::Vault]) -> Result<Self, DuplicateName> {
        let mut table = Self {
            exact: HashMap::new(),
            on_listener_port: HashMap::new(),
            own: vaults.iter().map(|vault| vault.authority.clone()).collect(),
        };
        for (index, vault) in vaults.iter().enumerate() {
            for name in std::iter::once(&vault.authority).chain(&vault.public_names) {
                let previous = if name.port() == LISTENER_PORT {
                    table.on_listener_port.insert(name.host().into(), index)
                } else {
                    table.exact.insert(name.clone(), index)
                };
                if previous.is_some_and(|previous| previous != index) {
                    return Err(DuplicateName(name.clone()));
                }
            }
        }
        Ok(table)
    }

    /// Selects the vault of a request that came from `peer`.
    ///
    /// # Errors
    /// [`HostError`]; the request must not be forwarded.
    pub fn select(&self, peer: &Peer, request: &Parts) -> Result<Selected, HostError> {
        let public = requested_authority(request)?;
        // SECURITY: a name checked in one place and believed in another is how requests reach
        // hosts that nobody meant.
        if !sni_agrees(peer.sni.as_deref(), &public) {
            return Err(HostError::BadHost);
        }
        let exact = self.exact.get(&public);
        let vault = exact.or_else(|| {
            (public.port() == peer.local_port)
                .then(|| self.on_listener_port.get(public.host()))
                .flatten()
        });
        let &vault = vault.ok_or(HostError::UnknownVault)?;
        let foreign_name = self.own.get(vault) != Some(&public);
        Ok(Selected {
            vault,
            public,
            foreign_name,
        })
    }
}

/// The one authority that every part of the request agrees on.
fn requested_authority(request: &Parts) -> Result<Authority, HostError> {
    if request
        .uri
        .scheme()
        .is_some_and(|scheme| *scheme != http::uri::Scheme::HTTPS)
    {
        return Err(HostError::BadHost);
    }
    let target = request
        .uri
        .authority()
        .map(|authority| parse(authority.as_str()))
        .transpose()?;
    let header = host_header(request)?;
    match (target, header) {
        (Some(target), Some(header)) if target != header => Err(HostError::BadHost),
        // HTTP/2 needs no `Host` beside `:authority`; HTTP/1.1 needs it even beside an
        // absolute-form target.
        (Some(_), None) if request.version < http::Version::HTTP_2 => Err(HostError::BadHost),
        (Some(authority), _) | (None, Some(authority)) => Ok(authority),
        (None, None) => Err(HostError::BadHost),
    }
}

fn host_header(request: &Parts) -> Result<Option<Authority>, HostError> {
    let mut values = request.headers.get_all(HOST).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(HostError::BadHost);
    }
    first
        .map(|value| parse(value.to_str().map_err(|_| HostError::BadHost)?))
        .transpose()
}

fn parse(text: &str) -> Result<Authority, HostError> {
    text.parse().map_err(|_| HostError::BadHost)
}

/// SNI holds a DNS name only: it is absent when the client connects to an address, and old clients
/// leave it out.
fn sni_agrees(sni: Option<&str>, public: &Authority) -> bool {
    let Some(sni) = sni else { return true };
    if is_address(public.host()) {
        return false;
    }
    // Spelled alike is what they nearly always are.
    sni.eq_ignore_ascii_case(public.host())
        || sni
            .parse::<Authority>()
            .is_ok_and(|sni| sni.host() == public.host())
}

fn is_address(host: &str) -> bool {
    host.starts_with('[') || host.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests;

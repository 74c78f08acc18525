//! Where a listener is, and where its clients come from.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::HeaderMap;

use super::Peer;
use super::forwarded::{self, Told};
use crate::attributes::{ClientCertificate, Connection};
use crate::config::{Listener, Network, TrustedPeers};

/// What the connections of one listener have in common for conditions.
pub(super) struct Place {
    listener: Arc<str>,
    private_link: bool,
    private_endpoint: Option<Arc<str>>,
    network: Arc<Network>,
    proxies: TrustedPeers,
}

impl Place {
    pub(super) fn new(listener: &Listener, network: &Arc<Network>) -> Self {
        Self {
            listener: Arc::clone(&listener.name),
            private_link: listener.private_link,
            private_endpoint: listener.private_endpoint.clone(),
            network: Arc::clone(network),
            proxies: listener.forwarded_headers_from.clone(),
        }
    }

    /// The facts of a connection from `address`, if it comes from one.
    pub(super) fn connection(
        &self,
        address: Option<IpAddr>,
        protocol: &'static str,
        certificate: Option<ClientCertificate>,
    ) -> Connection {
        let network = &self.network;
        Connection {
            listener: Arc::clone(&self.listener),
            address,
            protocol,
            certificate,
            private_link: self.private_link,
            private_endpoint: self.private_endpoint.clone(),
            subnet: address.and_then(|address| network.subnet_of(address).cloned()),
            ranges: address.map_or_else(Vec::new, |address| network.ranges_of(address)),
        }
    }

    /// Whether what this peer's headers say of its own clients is believed.
    pub(super) fn believes(&self, peer: &Peer) -> bool {
        let address = peer.connection.address;
        address.is_some_and(|address| self.proxies.contain(address))
    }

    /// Who sent a request with these headers through `proxy`, which is believed.
    pub(super) fn behind(&self, proxy: &Arc<Peer>, headers: &HeaderMap) -> Arc<Peer> {
        let address = match forwarded::client(headers, &self.proxies) {
            Told::Address(address) => Some(address),
            // SECURITY: not the proxy's own, which conditions may trust more than its clients'. A
            // client can have some proxies drop the header, by naming it in `Connection`.
            Told::Nothing | Told::Unreadable => None,
        };
        let connection = &proxy.connection;
        let certificate = connection.certificate.clone();
        Arc::new(Peer {
            via: proxy.via.or(connection.address),
            connection: self.connection(address, connection.protocol, certificate),
            ..Peer::clone(proxy)
        })
    }
}

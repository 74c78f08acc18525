//! Where a listener is, and where its clients come from.

use std::net::IpAddr;
use std::sync::Arc;

use crate::attributes::{ClientCertificate, Connection};
use crate::config::{Listener, Network};

/// What the connections of one listener have in common for conditions.
pub(super) struct Place {
    listener: Arc<str>,
    private_link: bool,
    private_endpoint: Option<Arc<str>>,
    network: Arc<Network>,
}

impl Place {
    pub(super) fn new(listener: &Listener, network: &Arc<Network>) -> Self {
        Self {
            listener: Arc::clone(&listener.name),
            private_link: listener.private_link,
            private_endpoint: listener.private_endpoint.clone(),
            network: Arc::clone(network),
        }
    }

    /// The facts of a connection from `address`, as the socket tells it.
    pub(super) fn connection(
        &self,
        address: IpAddr,
        protocol: &'static str,
        certificate: Option<ClientCertificate>,
    ) -> Connection {
        // A socket for both families tells IPv4 addresses in IPv6 form.
        let address = address.to_canonical();
        Connection {
            listener: Arc::clone(&self.listener),
            address,
            protocol,
            certificate,
            private_link: self.private_link,
            private_endpoint: self.private_endpoint.clone(),
            subnet: self.network.subnet_of(address).cloned(),
            ranges: self.network.ranges_of(address),
        }
    }
}

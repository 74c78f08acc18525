//! Where clients connect, and who may.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use ipnet::IpNet;

use super::ClientName;

/// One address on which clients are served over TLS.
#[derive(Clone, Debug)]
pub struct Listener {
    /// The name used in logs and metrics.
    pub name: Arc<str>,
    /// Where it is.
    pub address: Address,
    /// Where its certificate comes from.
    pub certificate: CertificateSource,
    /// Whether clients are asked for a certificate; `None` if they are not.
    pub client_certificates: Option<ClientCertificates>,
    /// Peers that begin a connection by a header of the PROXY protocol.
    pub proxy_protocol_from: TrustedPeers,
    /// Peers whose `X-Forwarded-For` is believed.
    pub forwarded_headers_from: TrustedPeers,
    /// Whether only private links reach this listener.
    pub private_link: bool,
    /// The resource id of the private endpoint that leads to it.
    pub private_endpoint: Option<Arc<str>>,
}

/// Where a listener is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// An address to bind; port 0 lets the system choose.
    Ip(SocketAddr),
    /// A Unix socket.
    Unix(UnixSocket),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Unix(socket) => write!(f, "unix:{}", socket.path.display()),
        }
    }
}

/// A Unix socket, and who may connect to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnixSocket {
    /// The file.
    pub path: PathBuf,
    /// Its mode.
    pub mode: u32,
    /// The users that may connect. If this and `gids` are empty, the mode alone decides.
    pub uids: Box<[u32]>,
    /// The groups that may connect, by the first group of a process.
    pub gids: Box<[u32]>,
}

impl UnixSocket {
    /// Whether a process of this user and first group may connect.
    pub fn admits(&self, uid: u32, gid: u32) -> bool {
        let by_mode = self.uids.is_empty() && self.gids.is_empty();
        by_mode || self.uids.contains(&uid) || self.gids.contains(&gid)
    }
}

/// Address ranges of peers that may speak for others; none unless configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedPeers(Arc<[IpNet]>);

impl TrustedPeers {
    /// Whether `address` is in one of the ranges. An IPv4 address in IPv6 form counts as the IPv4
    /// address it is.
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|range| range.contains(&address))
    }
}

impl From<Vec<IpNet>> for TrustedPeers {
    /// Takes ranges as they are.
    fn from(ranges: Vec<IpNet>) -> Self {
        Self(ranges.into())
    }
}

/// Where the certificate of a listener comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateSource {
    /// The directory of a private CA, by which the proxy issues itself a certificate for all hosts
    /// of all vaults, again and again.
    Ca(PathBuf),
    /// Files, read again when they change.
    Files {
        /// PEM file with the certificate chain, leaf first.
        certificate: PathBuf,
        /// PEM file with the private key.
        private_key: PathBuf,
    },
}

/// How a listener asks clients for a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificates {
    /// PEM file of the CAs that may vouch for clients, read again when it changes.
    pub ca_file: PathBuf,
    /// PEM file with what these CAs have revoked, read again when it changes.
    pub crl_file: Option<PathBuf>,
    /// The names of which a certificate must have one; if empty, any will do.
    pub names: Arc<[ClientName]>,
    /// Whether a client without a certificate is turned away.
    pub required: bool,
}

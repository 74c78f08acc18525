//! Where clients connect.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

/// One address on which clients are served over TLS.
#[derive(Clone, Debug)]
pub struct Listener {
    /// The name used in logs and metrics.
    pub name: Arc<str>,
    /// The address to bind; port 0 lets the system choose.
    pub address: SocketAddr,
    /// Where its certificate comes from.
    pub certificate: CertificateSource,
    /// Whether clients are asked for a certificate; `None` if they are not.
    pub client_certificates: Option<ClientCertificates>,
    /// Whether only private links reach this listener.
    pub private_link: bool,
    /// The resource id of the private endpoint that leads to it.
    pub private_endpoint: Option<Arc<str>>,
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
    /// PEM file of the CAs that may vouch for clients.
    pub ca_file: PathBuf,
    /// Whether a client without a certificate is turned away.
    pub required: bool,
}

//! The keys of `[[listener]]`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Nobody but the user that the proxy runs as: who else may connect must be written on purpose.
const SOCKET_MODE: &str = "0600";

/// One address on which clients are served over TLS.
#[derive(Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawListener {
    /// The listener's name in logs and metrics.
    #[schemars(required, example = &"main")]
    pub(in crate::config) name: Option<String>,
    /// The IP address and port to bind, where port 0 lets the system choose; or `unix:` and the
    /// path of a socket.
    #[schemars(required, example = "0.0.0.0:8443")]
    pub(in crate::config) address: Option<String>,
    /// The mode of a Unix socket, in octal.
    #[schemars(length(min = 1))]
    pub(in crate::config) socket_mode: String,
    /// The users that may connect to a Unix socket, by number.
    #[schemars(inner(range(min = 0, max = u32::MAX)))]
    pub(in crate::config) peer_uids: Vec<u32>,
    /// The groups that may connect to a Unix socket, by number.
    #[schemars(inner(range(min = 0, max = u32::MAX)))]
    pub(in crate::config) peer_gids: Vec<u32>,
    /// Addresses of load balancers that begin each connection by a header of the PROXY protocol,
    /// in CIDR notation.
    pub(in crate::config) proxy_protocol_from: Vec<String>,
    /// Addresses of proxies whose `X-Forwarded-For` is believed, in CIDR notation.
    pub(in crate::config) forwarded_headers_from: Vec<String>,
    /// PEM file with the certificate chain, leaf first; read again when it changes.
    #[schemars(length(min = 1), example = "tls/server.crt")]
    pub(in crate::config) certificate_file: Option<PathBuf>,
    /// PEM file with the certificate's private key.
    #[schemars(length(min = 1), example = "tls/server.key")]
    pub(in crate::config) private_key_file: Option<PathBuf>,
    /// Directory of a private CA that `portcullis ca init` made, instead of the two files: the
    /// proxy then issues its certificate itself and renews it.
    #[schemars(length(min = 1), example = &"ca")]
    pub(in crate::config) ca_directory: Option<PathBuf>,
    /// PEM file with the CAs that may vouch for clients. Without it clients are not asked for a
    /// certificate.
    #[schemars(length(min = 1), example = "tls/clients-ca.pem")]
    pub(in crate::config) client_ca_file: Option<PathBuf>,
    /// Whether a client without a certificate is served; only beside `client_ca_file`.
    pub(in crate::config) client_certificates: RawClientCertificates,
    /// The names of which a client certificate must have one; only beside `client_ca_file`.
    pub(in crate::config) client_names: Vec<String>,
    /// PEM file with what the CAs of clients have revoked; only beside `client_ca_file`.
    #[schemars(length(min = 1), example = "tls/clients-crl.pem")]
    pub(in crate::config) client_crl_file: Option<PathBuf>,
    /// Whether only private links reach this listener.
    pub(in crate::config) private_link: bool,
    /// The resource id of the private endpoint that leads to this listener; implies
    /// `private_link`.
    #[schemars(
        example = "/subscriptions/{id}/resourceGroups/{name}/providers/Microsoft.Network/privateEndpoints/{name}"
    )]
    pub(in crate::config) private_endpoint: Option<String>,
}

impl Default for RawListener {
    fn default() -> Self {
        Self {
            name: None,
            address: None,
            socket_mode: SOCKET_MODE.to_owned(),
            peer_uids: Vec::new(),
            peer_gids: Vec::new(),
            proxy_protocol_from: Vec::new(),
            forwarded_headers_from: Vec::new(),
            certificate_file: None,
            private_key_file: None,
            ca_directory: None,
            client_ca_file: None,
            client_certificates: RawClientCertificates::default(),
            client_names: Vec::new(),
            client_crl_file: None,
            private_link: false,
            private_endpoint: None,
        }
    }
}

// Variants without doc comments: a plain `enum` in the schema gives the better message.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum RawClientCertificates {
    #[default]
    Optional,
    Required,
}

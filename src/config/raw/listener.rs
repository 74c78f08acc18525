//! The keys of `[[listener]]`.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One address on which clients are served over TLS.
#[derive(Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct RawListener {
    /// The listener's name in logs and metrics.
    #[schemars(required, example = &"main")]
    pub(in crate::config) name: Option<String>,
    /// The IP address and port to bind; port 0 lets the system choose.
    #[schemars(required, example = "0.0.0.0:8443")]
    pub(in crate::config) address: Option<String>,
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
    /// Whether only private links reach this listener.
    pub(in crate::config) private_link: bool,
    /// The resource id of the private endpoint that leads to this listener; implies
    /// `private_link`.
    #[schemars(
        example = "/subscriptions/{id}/resourceGroups/{name}/providers/Microsoft.Network/privateEndpoints/{name}"
    )]
    pub(in crate::config) private_endpoint: Option<String>,
}

// Variants without doc comments: a plain `enum` in the schema gives the better message.
#[derive(Clone, Copy, Debug, Default, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(in crate::config) enum RawClientCertificates {
    #[default]
    Optional,
    Required,
}

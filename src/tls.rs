//! TLS on both sides, with the cryptography chosen here and nowhere else.
//!
//! The provider is aws-lc, TLS 1.2 and 1.3; there is no switch below that. Roots are the system's,
//! or those of one CA file and no others.

mod client;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use thiserror::Error;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;

use crate::config::ClientCertificates;
pub use client::{UnreadableCertificate, client_certificate};

/// The protocol versions spoken; the newer one is preferred.
static VERSIONS: &[&rustls::SupportedProtocolVersion] =
    &[&rustls::version::TLS13, &rustls::version::TLS12];

/// HTTP/2 as ALPN names it.
pub(crate) const H2: &[u8] = b"h2";

/// HTTP/1.1 as ALPN names it.
pub(crate) const HTTP_1_1: &[u8] = b"http/1.1";

/// Which file could not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PemFile {
    /// What it should hold.
    pub holds: &'static str,
    /// Where it is.
    pub path: PathBuf,
}

impl fmt::Display for PemFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} `{}`", self.holds, self.path.display())
    }
}

/// Why TLS could not be set up.
#[derive(Debug, Error)]
pub enum TlsError {
    /// A certificate, key or combination that rustls refuses.
    #[error("the {file} cannot be used: {cause}")]
    Refused {
        /// The file.
        file: PemFile,
        /// What rustls says, which names no key material.
        cause: rustls::Error,
    },
    /// A file without the object it should hold.
    #[error("the {0} has no PEM block of that kind")]
    Empty(PemFile),
    /// The provider lacks what we ask of it.
    #[error("the TLS provider does not support TLS 1.2 and 1.3: {0}")]
    Provider(rustls::Error),
    /// A file that cannot be read or is not PEM.
    #[error("cannot read the {file}: {cause}")]
    Unreadable {
        /// The file.
        file: PemFile,
        /// What went wrong.
        cause: rustls_pki_types::pem::Error,
    },
    /// No root certificate could be found on this system.
    #[error("this system has no root certificates; name a CA file")]
    NoSystemRoots,
}

/// The configuration of a listener: its certificate, HTTP/2 and HTTP/1.1.
///
/// `certificate_file` is PEM, the leaf first; `private_key_file` is PEM (PKCS#8, PKCS#1 or SEC1).
/// With `clients` a client is asked for a certificate; one that is shown must be good.
///
/// # Errors
/// [`TlsError`], if a file cannot be read or the key is not the certificate's.
pub fn server_config(
    certificate_file: &Path,
    private_key_file: &Path,
    clients: Option<&ClientCertificates>,
) -> Result<ServerConfig, TlsError> {
    let key_file = PemFile {
        holds: "private key",
        path: private_key_file.into(),
    };
    let chain = certificates("certificate chain", certificate_file)?;
    let key = PrivateKeyDer::from_pem_file(private_key_file)
        .map_err(|cause| unreadable(key_file.clone(), cause))?;
    let verifier = match clients {
        Some(clients) => client_verifier(clients)?,
        None => WebPkiClientVerifier::no_client_auth(),
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(VERSIONS)
        .map_err(TlsError::Provider)?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain, key)
        .map_err(|cause| TlsError::Refused {
            file: key_file,
            cause,
        })?;
    config.alpn_protocols = vec![H2.to_vec(), HTTP_1_1.to_vec()];
    if clients.is_some() {
        // SECURITY: a resumed session brings its certificate along without looking at it again, so
        // that one which has ended would go on being believed. A full handshake each time costs
        // little: clients keep their connections.
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    Ok(config)
}

/// What looks at the certificates of clients.
fn client_verifier(clients: &ClientCertificates) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    const HOLDS: &str = "client CA file";
    let roots = Arc::new(file_roots(HOLDS, &clients.ca_file)?);
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut builder = WebPkiClientVerifier::builder_with_provider(roots, provider);
    if !clients.required {
        builder = builder.allow_unauthenticated();
    }
    builder.build().map_err(|cause| TlsError::Refused {
        file: PemFile {
            holds: HOLDS,
            path: clients.ca_file.clone(),
        },
        cause: rustls::Error::General(cause.to_string()),
    })
}

/// When the certificate of a listener ends, in seconds of Unix time.
///
/// # Errors
/// [`TlsError`], if the file cannot be read or holds no X.509 certificate.
pub fn certificate_not_after(certificate_file: &Path) -> Result<i64, TlsError> {
    let chain = certificates("certificate chain", certificate_file)?;
    let leaf = chain
        .first()
        .and_then(|leaf| X509Certificate::from_der(leaf).ok());
    let (_, leaf) = leaf.ok_or_else(|| TlsError::Refused {
        file: PemFile {
            holds: "certificate chain",
            path: certificate_file.into(),
        },
        cause: rustls::CertificateError::BadEncoding.into(),
    })?;
    Ok(leaf.validity().not_after.timestamp())
}

/// The configuration towards a server: HTTP/1.1 only.
///
/// With `ca_file` (PEM, one certificate or more) only those roots count; without it the system's.
///
/// # Errors
/// [`TlsError`], if the file cannot be read, or the system has no roots.
pub fn client_config(ca_file: Option<&Path>) -> Result<ClientConfig, TlsError> {
    let roots = match ca_file {
        Some(path) => file_roots("CA file", path)?,
        None => system_roots()?,
    };
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(VERSIONS)
        .map_err(TlsError::Provider)?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // Azure: every recording of a vault is HTTP/1.1; nothing is known of HTTP/2.
    config.alpn_protocols = vec![HTTP_1_1.to_vec()];
    Ok(config)
}

fn file_roots(holds: &'static str, path: &Path) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(holds, path)? {
        roots.add(certificate).map_err(|cause| TlsError::Refused {
            file: PemFile {
                holds,
                path: path.into(),
            },
            cause,
        })?;
    }
    Ok(roots)
}

fn system_roots() -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    // A root that does not parse is the system's affair, as long as others do.
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if roots.is_empty() {
        return Err(TlsError::NoSystemRoots);
    }
    Ok(roots)
}

fn certificates(
    holds: &'static str,
    path: &Path,
) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let file = PemFile {
        holds,
        path: path.into(),
    };
    let certificates = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|cause| unreadable(file.clone(), cause))?;
    if certificates.is_empty() {
        return Err(TlsError::Empty(file));
    }
    Ok(certificates)
}

fn unreadable(file: PemFile, cause: rustls_pki_types::pem::Error) -> TlsError {
    if matches!(cause, rustls_pki_types::pem::Error::NoItemsFound) {
        TlsError::Empty(file)
    } else {
        TlsError::Unreadable { file, cause }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_is_named() {
        let missing = Path::new("/nonexistent/ca.pem");
        let text = client_config(Some(missing)).unwrap_err().to_string();
        assert!(
            text.starts_with("cannot read the CA file `/nonexistent/ca.pem`"),
            "{text}"
        );
    }

    #[test]
    fn a_file_without_a_certificate_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ca.pem");
        std::fs::write(&path, "nothing here\n").unwrap();
        assert!(matches!(
            client_config(Some(&path)),
            Err(TlsError::Empty(PemFile {
                holds: "CA file",
                ..
            }))
        ));
    }

    #[test]
    fn upstream_speaks_http_1_1_only() {
        if let Ok(config) = client_config(None) {
            assert_eq!(config.alpn_protocols, [HTTP_1_1]);
        }
    }
}

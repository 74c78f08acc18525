//! TLS on both sides, with the cryptography chosen here and nowhere else.
//!
//! The provider is aws-lc, TLS 1.2 and 1.3; there is no switch below that. Roots are the system's,
//! or those of one CA file and no others.

mod client;
mod lookout;
mod reception;
mod renewal;
mod server;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use thiserror::Error;

use crate::ca::CaError;
pub use client::{UnreadableCertificate, client_certificate};
pub use lookout::{RenewalEvent, RenewalHandle};
pub use reception::{Reception, server_config};
pub use renewal::Renewal;
pub use server::ServerCertificate;

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
    /// A private CA that cannot be used.
    #[error(transparent)]
    Ca(#[from] CaError),
    /// A certificate, key or combination that rustls refuses.
    #[error("the {file} cannot be used: {cause}")]
    Refused {
        /// The file.
        file: PemFile,
        /// What rustls says, which names no key material.
        cause: rustls::Error,
    },
    /// A certificate that has ended or not begun, which is not put in place of one that is good.
    #[error("the {0} is not valid at this time")]
    Dated(PemFile),
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

//! A private CA, made at start, and the certificates it vouches for.
//!
//! Keys are ECDSA on P-256: they cost microseconds, so a start stays quick. The CA's own key never
//! leaves memory; a leaf's key can be written to a file that only its owner reads. Everything ends
//! after [`LIFETIME`]: certificates of a development run are of no use afterwards.

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, KeyUsagePurpose,
};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use thiserror::Error;

/// How long the CA and its certificates are valid.
pub const LIFETIME: Duration = Duration::from_secs(30 * 24 * 3600);

/// Clocks of a virtual machine and its host differ.
const BACKDATED: Duration = Duration::from_secs(3600);

/// The names every leaf has.
const LOCAL_NAMES: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// A certificate could not be made, used or written.
#[derive(Debug, Error)]
pub enum PkiError {
    /// A name is no host name or IP address, or the system gave no key.
    #[error("cannot make a certificate")]
    Make(#[from] rcgen::Error),
    /// rustls refused what was made.
    #[error("cannot use a certificate")]
    Use(#[from] rustls::Error),
    /// A file could not be written.
    #[error("cannot write `{path}`")]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// A private CA.
pub struct Pki {
    ca: CertifiedIssuer<'static, KeyPair>,
    now: SystemTime,
}

impl fmt::Debug for Pki {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pki").finish_non_exhaustive()
    }
}

impl Pki {
    /// Makes a CA that is valid from an hour before `now` for [`LIFETIME`].
    ///
    /// # Errors
    /// [`PkiError::Make`] if the system gives no key.
    pub fn new(now: SystemTime) -> Result<Self, PkiError> {
        let mut params = params(Vec::new(), "Portcullis development CA", now)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let ca = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        Ok(Self { ca, now })
    }

    /// The CA's certificate as PEM, for clients to trust.
    pub fn ca_pem(&self) -> String {
        self.ca.pem()
    }

    /// Writes [`Self::ca_pem`] to `path`.
    ///
    /// # Errors
    /// [`PkiError::Write`].
    pub fn write_ca(&self, path: &Path) -> Result<(), PkiError> {
        fs::write(path, self.ca_pem()).map_err(|source| write_error(path, source))
    }

    /// The CA as the only root.
    ///
    /// # Errors
    /// [`PkiError::Use`] if rustls refuses the certificate.
    pub fn roots(&self) -> Result<RootCertStore, PkiError> {
        let mut roots = RootCertStore::empty();
        roots.add(self.ca.der().clone())?;
        Ok(roots)
    }

    /// A client configuration that trusts this CA alone. It offers no ALPN protocol: what a client
    /// speaks is the client's to say.
    ///
    /// # Errors
    /// [`PkiError::Use`] if rustls refuses the certificate.
    pub fn client_config(&self) -> Result<ClientConfig, PkiError> {
        Ok(ClientConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_root_certificates(self.roots()?)
            .with_no_client_auth())
    }

    /// A server certificate for `localhost`, `127.0.0.1`, `::1` and `names`, which are host names
    /// or IP addresses.
    ///
    /// # Errors
    /// [`PkiError::Make`] if a name is neither.
    pub fn leaf(&self, names: &[&str]) -> Result<Leaf, PkiError> {
        let mut all: Vec<String> = LOCAL_NAMES.map(String::from).to_vec();
        for name in names {
            if !all.iter().any(|known| known.eq_ignore_ascii_case(name)) {
                all.push(name.to_ascii_lowercase());
            }
        }
        let common_name = names.first().copied().unwrap_or("localhost");
        let mut params = params(all, common_name, self.now)?;
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        // Python 3.13 refuses a leaf that does not name its CA's key.
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, &self.ca)?;
        Ok(Leaf {
            certificate_pem: certificate.pem(),
            certificate: certificate.der().clone(),
            private_key_pem: key.serialize_pem(),
            private_key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        })
    }
}

/// A server certificate and its key.
pub struct Leaf {
    certificate: CertificateDer<'static>,
    certificate_pem: String,
    private_key: PrivateKeyDer<'static>,
    private_key_pem: String,
}

impl fmt::Debug for Leaf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Leaf").finish_non_exhaustive()
    }
}

/// Where a leaf was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeafFiles {
    /// The certificate, PEM.
    pub certificate: PathBuf,
    /// The private key, PEM, mode 0600.
    pub private_key: PathBuf,
}

impl Leaf {
    /// The certificate as PEM.
    pub fn certificate_pem(&self) -> &str {
        &self.certificate_pem
    }

    /// The private key as PEM (PKCS#8).
    pub fn private_key_pem(&self) -> &str {
        &self.private_key_pem
    }

    /// A server configuration: TLS 1.2 and 1.3, h2 and http/1.1, no client certificates.
    ///
    /// # Errors
    /// [`PkiError::Use`] if rustls refuses the certificate.
    pub fn server_config(&self) -> Result<Arc<ServerConfig>, PkiError> {
        let mut config = ServerConfig::builder_with_provider(provider())
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![self.certificate.clone()], self.private_key.clone_key())?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    /// Writes `{stem}.crt` and `{stem}.key` into `directory`, which must exist.
    ///
    /// # Errors
    /// [`PkiError::Write`].
    pub fn write(&self, directory: &Path, stem: &str) -> Result<LeafFiles, PkiError> {
        let certificate = directory.join(format!("{stem}.crt"));
        let private_key = directory.join(format!("{stem}.key"));
        fs::write(&certificate, &self.certificate_pem)
            .map_err(|source| write_error(&certificate, source))?;
        write_private(&private_key, self.private_key_pem.as_bytes())
            .map_err(|source| write_error(&private_key, source))?;
        Ok(LeafFiles {
            certificate,
            private_key,
        })
    }
}

fn params(
    names: Vec<String>,
    common_name: &str,
    now: SystemTime,
) -> Result<CertificateParams, rcgen::Error> {
    let mut params = CertificateParams::new(names)?;
    params.not_before = (now - BACKDATED).into();
    params.not_after = (now + LIFETIME).into();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params
        .distinguished_name
        .push(DnType::CommonName, common_name);
    Ok(params)
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

fn write_error(path: &Path, source: io::Error) -> PkiError {
    PkiError::Write {
        path: path.to_owned(),
        source,
    }
}

/// Writes a file that only its owner reads.
fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    // SECURITY: a file that is already there keeps its mode, so it is made anew; `create_new`
    // also refuses to follow a link that somebody put in its place.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)?.write_all(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000)
    }

    #[test]
    fn a_leaf_is_usable_and_its_key_is_private() {
        let pki = Pki::new(now()).unwrap();
        let leaf = pki.leaf(&["Dev.Vault.Azure.Net", "localhost"]).unwrap();
        leaf.server_config().unwrap();
        pki.client_config().unwrap();
        let directory = tempfile::tempdir().unwrap();
        // Writing again must not keep what another mode or content left behind.
        fs::write(directory.path().join("leaf.key"), "old").unwrap();
        let files = leaf.write(directory.path(), "leaf").unwrap();
        assert_eq!(
            fs::read_to_string(&files.private_key).unwrap(),
            leaf.private_key_pem()
        );
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(&files.private_key)
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o777, 0o600);
        }
    }

    #[test]
    fn what_holds_a_key_does_not_print_it() {
        let pki = Pki::new(now()).unwrap();
        let leaf = pki.leaf(&[]).unwrap();
        assert_eq!(format!("{pki:?} {leaf:?}"), "Pki { .. } Leaf { .. }");
    }

    #[test]
    fn a_name_that_is_none_is_refused() {
        let pki = Pki::new(now()).unwrap();
        assert!(pki.leaf(&["straße"]).is_err());
    }
}

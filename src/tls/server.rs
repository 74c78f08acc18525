//! The side that shows a certificate.

use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::crypto::aws_lc_rs;
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    ClientHello, NoServerSessionStorage, ResolvesServerCert, WebPkiClientVerifier,
};
use rustls::sign::CertifiedKey;
use rustls::{CertificateError, ServerConfig};
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use zeroize::{Zeroize as _, Zeroizing};

use super::{H2, HTTP_1_1, PemFile, TlsError, VERSIONS, certificates, file_roots, unreadable};
use crate::ca::Leaf;
use crate::config::ClientCertificates;
use crate::snapshot::Snapshot;

/// What a listener shows its clients: a certificate with what vouches for it, and its key.
pub struct ServerCertificate {
    shown: Arc<CertifiedKey>,
    /// The private CA it is from, if the proxy issued it itself.
    issuing: Option<CertificateDer<'static>>,
    not_before: i64,
    not_after: i64,
}

impl fmt::Debug for ServerCertificate {
    /// SECURITY: without the key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerCertificate")
            .field("not_before", &self.not_before)
            .field("not_after", &self.not_after)
            .finish_non_exhaustive()
    }
}

impl ServerCertificate {
    /// Reads `certificate_file` (PEM, the leaf first) and `private_key_file` (PEM: PKCS#8, PKCS#1
    /// or SEC1).
    ///
    /// # Errors
    /// [`TlsError`], if a file cannot be read or the key is not the certificate's.
    pub fn read(certificate_file: &Path, private_key_file: &Path) -> Result<Self, TlsError> {
        let chain_file = chain_file(certificate_file);
        let key_file = PemFile {
            holds: "private key",
            path: private_key_file.into(),
        };
        let chain = certificates(chain_file.holds, certificate_file)?;
        let text = fs::read(private_key_file).map(Zeroizing::new);
        let key = text
            .map_err(pem::Error::Io)
            .and_then(|text| PrivateKeyDer::from_pem_slice(&text))
            .map_err(|cause| unreadable(key_file.clone(), cause))?;
        Self::new(chain, key).map_err(|cause| {
            let of_chain = matches!(cause, rustls::Error::InvalidCertificate(_));
            let file = if of_chain { chain_file } else { key_file };
            TlsError::Refused { file, cause }
        })
    }

    /// Takes what a private CA has issued, whose certificate is `issuing`.
    ///
    /// # Errors
    /// [`rustls::Error`] if rustls cannot use it.
    pub fn issued(leaf: &Leaf, issuing: CertificateDer<'static>) -> Result<Self, rustls::Error> {
        Ok(Self {
            issuing: Some(issuing),
            ..Self::new(leaf.chain(), leaf.private_key())?
        })
    }

    fn new(
        chain: Vec<CertificateDer<'static>>,
        mut key: PrivateKeyDer<'static>,
    ) -> Result<Self, rustls::Error> {
        let signing_key = aws_lc_rs::sign::any_supported_type(&key);
        key.zeroize();
        let shown = CertifiedKey::new(chain, signing_key?);
        shown.keys_match()?;
        let leaf = X509Certificate::from_der(shown.end_entity_cert()?);
        let (_, leaf) = leaf.map_err(|_| CertificateError::BadEncoding)?;
        let (not_before, not_after) = (leaf.validity().not_before, leaf.validity().not_after);
        Ok(Self {
            not_before: not_before.timestamp(),
            not_after: not_after.timestamp(),
            shown: Arc::new(shown),
            issuing: None,
        })
    }

    /// When it ends, in seconds of Unix time.
    pub const fn not_after(&self) -> i64 {
        self.not_after
    }

    /// Whether it is good at `now`, as far as time goes.
    pub fn is_valid_at(&self, now: SystemTime) -> bool {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).ok();
        let now = now.and_then(|now| i64::try_from(now.as_secs()).ok());
        now.is_some_and(|now| (self.not_before..=self.not_after).contains(&now))
    }

    /// Whether a server that shows this chain is the proxy, or another one with the same CA: no
    /// vault has its certificate from there.
    pub fn is_ours(&self, chain: &[CertificateDer<'_>]) -> bool {
        let leaf = self.shown.cert.first();
        let issuing = self.issuing.as_ref();
        (leaf.is_some() && leaf == chain.first()) || issuing.is_some_and(|ca| chain.contains(ca))
    }

    /// Whether clients see the same. Keys need not be compared: each is its certificate's.
    pub fn is_same(&self, other: &Self) -> bool {
        self.shown.cert == other.shown.cert
    }
}

/// The file of a certificate, for messages.
pub(super) fn chain_file(path: &Path) -> PemFile {
    PemFile {
        holds: "certificate chain",
        path: path.into(),
    }
}

/// Answers each handshake with the certificate of that moment. Connections keep what they have.
#[derive(Debug)]
struct Present(Snapshot<ServerCertificate>);

impl ResolvesServerCert for Present {
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.load().shown))
    }
}

/// The configuration of a listener: its certificate, HTTP/2 and HTTP/1.1.
///
/// With `clients` a client is asked for a certificate; one that is shown must be good.
///
/// # Errors
/// [`TlsError`], if the CAs of clients cannot be used.
pub fn server_config(
    certificate: Snapshot<ServerCertificate>,
    clients: Option<&ClientCertificates>,
) -> Result<ServerConfig, TlsError> {
    let verifier = match clients {
        Some(clients) => client_verifier(clients)?,
        None => WebPkiClientVerifier::no_client_auth(),
    };
    let mut config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_protocol_versions(VERSIONS)
        .map_err(TlsError::Provider)?
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(Present(certificate)));
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

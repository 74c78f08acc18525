//! The side that shows a certificate.

use std::collections::VecDeque;
use std::fmt;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::CertificateError;
use rustls::crypto::aws_lc_rs;
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::{self, PemObject as _};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer as _;
use zeroize::{Zeroize as _, Zeroizing};

use super::{PemFile, TlsError, certificates, unreadable};
use crate::ca::Leaf;
use crate::snapshot::Snapshot;

/// How many certificates of before are remembered: with files that are renewed each week, two months.
const MAX_EARLIER: usize = 8;

/// What a listener shows its clients: a certificate with what vouches for it, and its key.
pub struct ServerCertificate {
    shown: Arc<CertifiedKey>,
    /// By what this proxy is known: this certificate's key and CA, and those before it.
    known_by: VecDeque<Mark>,
    not_before: i64,
    not_after: i64,
    /// When the private CA ends that it is from.
    issuer_not_after: Option<i64>,
}

/// What only this proxy has, or another one that stands in for it.
#[derive(Clone, PartialEq, Eq)]
struct Mark {
    /// The public key of a leaf, as its certificate has it.
    key: Box<[u8]>,
    /// The private CA it is from, if the proxy issued it itself.
    issuing: Option<CertificateDer<'static>>,
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
    pub fn issued(leaf: &Leaf, issuing: &CertificateDer<'static>) -> Result<Self, rustls::Error> {
        let mut issued = Self::new(leaf.chain(), leaf.private_key())?;
        for mark in &mut issued.known_by {
            mark.issuing = Some(issuing.clone());
        }
        let (_, ca) =
            X509Certificate::from_der(issuing).map_err(|_| CertificateError::BadEncoding)?;
        issued.issuer_not_after = Some(ca.validity().not_after.timestamp());
        Ok(issued)
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
        let key = leaf.public_key().raw.into();
        let mark = Mark { key, issuing: None };
        let (not_before, not_after) = (leaf.validity().not_before, leaf.validity().not_after);
        Ok(Self {
            not_before: not_before.timestamp(),
            not_after: not_after.timestamp(),
            known_by: VecDeque::from([mark]),
            shown: Arc::new(shown),
            issuer_not_after: None,
        })
    }

    /// When it ends, in seconds of Unix time.
    pub const fn not_after(&self) -> i64 {
        self.not_after
    }

    /// When the private CA ends that it is from, in seconds of Unix time; `None` if it is from
    /// elsewhere.
    pub const fn issuer_not_after(&self) -> Option<i64> {
        self.issuer_not_after
    }

    /// Whether it is good at `now`, as far as time goes.
    pub fn is_valid_at(&self, now: SystemTime) -> bool {
        let now = now.duration_since(SystemTime::UNIX_EPOCH).ok();
        let now = now.and_then(|now| i64::try_from(now.as_secs()).ok());
        now.is_some_and(|now| (self.not_before..=self.not_after).contains(&now))
    }

    /// Whether a server that shows this chain is the proxy, or another one with the same CA: no
    /// vault has its certificate from there. Of two proxies behind one name one has the next
    /// certificate before the other, so that the last few count, too.
    pub fn is_ours(&self, chain: &[CertificateDer<'_>]) -> bool {
        let leaf = chain.first();
        let leaf = leaf.and_then(|leaf| X509Certificate::from_der(leaf).ok());
        let key = leaf.as_ref().map(|(_, leaf)| leaf.public_key().raw);
        self.known_by.iter().any(|mark| {
            let issued = mark.issuing.as_ref().is_some_and(|ca| chain.contains(ca));
            issued || key.is_some_and(|key| *mark.key == *key)
        })
    }

    /// The same, as the one that follows `earlier`.
    #[must_use]
    pub(super) fn after(mut self, earlier: &Self) -> Self {
        for mark in &earlier.known_by {
            if !self.known_by.contains(mark) {
                self.known_by.push_back(mark.clone());
            }
        }
        self.known_by.truncate(1 + MAX_EARLIER);
        self
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
pub(super) struct Present(pub(super) Snapshot<ServerCertificate>);

impl ResolvesServerCert for Present {
    fn resolve(&self, _client_hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.load().shown))
    }
}

//! Importing a certificate with its private key: PKCS#12 or PEM.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use p12_keystore::Pkcs12Archive;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use serde::Deserialize;

use crate::dev::vault::body::{self, AttributesBody, check_tags};
use crate::dev::vault::crypto::Material;
use crate::dev::vault::failure::Failure;
use crate::dev::vault::objects::Answer;
use crate::dev::vault::shelf::Tags;
use crate::dev::vault::store::Store;

use super::Certificate;
use super::issue::{self, Issued, Wanted};
use super::pending;
use super::policy::{PEM, Policy, PolicyBody};
use super::reading;

/// SECURITY: no `Debug`; `value` holds a private key.
#[derive(Deserialize)]
struct ImportBody {
    value: Box<str>,
    pwd: Option<Box<str>>,
    policy: Option<PolicyBody>,
    tags: Option<Tags>,
    attributes: Option<AttributesBody>,
    #[serde(rename = "preserveCertOrder")]
    preserve_order: Option<bool>,
}

/// What was found in the file, DER.
///
/// SECURITY: no `Debug`.
struct Found {
    keys: Vec<Vec<u8>>,
    chain: Vec<Vec<u8>>,
}

impl Found {
    /// Azure: PEM or base64 of it; keys as PKCS#8, not encrypted.
    fn pem(text: &str) -> Option<Self> {
        let decoded = STANDARD.decode(text.trim()).ok();
        let pem = decoded.as_deref().unwrap_or(text.as_bytes());
        let keys = PrivatePkcs8KeyDer::pem_slice_iter(pem)
            .map(|key| Some(key.ok()?.secret_pkcs8_der().to_vec()));
        let chain = CertificateDer::pem_slice_iter(pem).map(|der| Some(der.ok()?.to_vec()));
        Some(Self {
            keys: keys.collect::<Option<_>>()?,
            chain: chain.collect::<Option<_>>()?,
        })
    }

    fn pkcs12(text: &str, password: &str) -> Option<Self> {
        let file = STANDARD.decode(text).ok()?;
        let Pkcs12Archive { keys, certs, .. } = Pkcs12Archive::from_pkcs12(&file, password).ok()?;
        let keys = keys.iter().map(|bag| bag.key.as_der().to_vec());
        let chain = certs.iter().map(|bag| bag.cert.as_der().to_vec());
        Some(Self {
            keys: keys.collect(),
            chain: chain.collect(),
        })
    }

    /// The certificate with its key: the first key that one of the certificates is for.
    fn leaf(&self) -> Option<(usize, x509_cert::Certificate, Material)> {
        self.chain.iter().enumerate().find_map(|(place, der)| {
            let certificate = reading::parse(der)?;
            let mut keys = self.keys.iter();
            let material = keys.find_map(|key| reading::key_for(&certificate, key))?;
            Some((place, certificate, material))
        })
    }
}

/// Reads a file. Azure: it is PKCS#12 unless the policy says PEM.
fn found(body: &ImportBody) -> Result<Found, Failure> {
    let content_type = body.policy.as_ref().and_then(PolicyBody::content_type);
    let found = if content_type == Some(PEM) {
        Found::pem(&body.value).filter(|found| !found.keys.is_empty() && !found.chain.is_empty())
    } else {
        Found::pkcs12(&body.value, body.pwd.as_deref().unwrap_or_default())
    };
    found.ok_or_else(|| {
        Failure::bad_parameter(if content_type == Some(PEM) {
            "The specified PEM X.509 certificate content can not be read. Please check if \
             certificate is in valid PEM format. Accepted formats: PEM content or Base64 encoded \
             PEM content."
        } else {
            "The specified PKCS#12 X.509 certificate content can not be read. Please check if \
             certificate is in valid PKCS#12 format."
        })
    })
}

impl Store {
    /// `POST /certificates/{name}/import`: a new version at once.
    pub(super) fn import_certificate(
        &self,
        name: &str,
        body: &[u8],
        now: i64,
    ) -> Result<Answer, Failure> {
        let body: ImportBody = body::read(body)?;
        check_tags(body.tags.as_ref())?;
        let found = found(&body)?;
        let Some((place, certificate, material)) = found.leaf() else {
            return Err(mismatch());
        };
        let key = reading::key_properties(&material)?;
        let x509 = reading::x509_properties(&certificate);
        let mut policy = Policy::imported(key, x509, now);
        if let Some(wanted) = body.policy {
            wanted.of_import().apply(&mut policy, now)?;
        }
        let (chain, place) = match body.preserve_order {
            Some(true) => (found.chain, place),
            Some(false) | None => (leaf_first(found.chain, place), 0),
        };
        let key = issue::owned_key(material, &policy)?;
        let issued = Issued::new(key, chain, place, &policy)?;
        let wanted = Wanted::new(body.attributes, body.tags, body.preserve_order);
        let mut shelf = self.shelf::<Certificate>(now);
        pending::check_idle(&shelf, name)?;
        self.check_names_free(name, now)?;
        let how = (Arc::new(policy), wanted);
        self.publish(&mut shelf, name, Arc::new(issued), how, now)?;
        let (object, version) = shelf.version(name, None)?;
        Ok(Answer::Json(self.bundle(&object.name, version).into()))
    }
}

/// The certificate before those that vouch for it.
pub(super) fn leaf_first(mut chain: Vec<Vec<u8>>, place: usize) -> Vec<Vec<u8>> {
    if let Some(to_here) = chain.get_mut(..=place) {
        to_here.rotate_right(1);
    }
    chain
}

/// No certificate of what was sent is for the private key.
pub(super) fn mismatch() -> Failure {
    Failure::bad_parameter(
        "The public key of the end-entity certificate in the specified X.509 certificate content \
         does not match the public part of the specified private key. Please check if certificate \
         is valid.",
    )
}

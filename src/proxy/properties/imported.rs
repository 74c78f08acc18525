//! Certificates that come from outside: what they are stands in the certificate, not in the
//! policy beside it.
//!
//! Only PEM can be looked into. PKCS#12 is encrypted as a whole; what is in it is unknown, which is
//! something else than missing.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use x509_parser::certificate::X509Certificate;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;
use x509_parser::public_key::PublicKey;
use zeroize::Zeroize as _;

use super::read::{object, text};
use super::{Gathered, number, spelled, spelling, word, words};
use crate::abac::Values;
use crate::abac::vocabulary::Property;
use crate::json::Object;

/// What stands in the certificate.
const CONTENT: [Property; 7] = [
    Property::Curve,
    Property::DnsNames,
    Property::ExtendedKeyUsage,
    Property::KeySize,
    Property::KeyType,
    Property::Subject,
    Property::ValidityMonths,
];

/// `POST /certificates/{name}/import`
pub(super) fn of_import(found: &mut Gathered, body: &Object) {
    found.doubt(&CONTENT);
    let policy = object(body, "policy");
    if let Some(policy) = policy {
        super::certificate::issuer_and_export(found, policy);
    }
    let Some(der) = text(body, "value").and_then(only_leaf) else {
        return;
    };
    let Ok((_, certificate)) = X509Certificate::from_der(&der) else {
        return;
    };
    found.put(
        Property::Subject,
        Some(words(&certificate.subject().to_string())),
    );
    names(found, &certificate);
    extended_key_usage(found, &certificate);
    let wanted = policy
        .and_then(|policy| object(policy, "key_props"))
        .and_then(|key| text(key, "kty"));
    key(found, &certificate, wanted);
}

/// The certificate whose key is imported; `None` if the vault may take another one than we would.
fn only_leaf(value: &str) -> Option<Vec<u8>> {
    let pem = value.as_bytes();
    let certificates: Vec<_> = all_of(CertificateDer::pem_slice_iter(pem))?;
    // SECURITY: under another label, such as `X509 CERTIFICATE`, stands what other readers may see.
    if value.matches("CERTIFICATE").count() != 2 * certificates.len() {
        return None;
    }
    if let [only] = certificates.as_slice() {
        return Some(only.to_vec());
    }
    let mut keys: Vec<_> = all_of(PrivateKeyDer::pem_slice_iter(pem))?;
    let key = keys.pop().filter(|_| keys.is_empty());
    keys.zeroize();
    let provider = aws_lc_rs::default_provider();
    // It wipes what it is given.
    let key = provider.key_provider.load_private_key(key?).ok()?;
    let has_key = |certificate: &&CertificateDer<'static>| {
        let chain = vec![(*certificate).clone()];
        CertifiedKey::new(chain, Arc::clone(&key))
            .keys_match()
            .is_ok()
    };
    let mut leaves = certificates.iter().filter(has_key);
    match (leaves.next(), leaves.next()) {
        (Some(leaf), None) => Some(leaf.to_vec()),
        _ => None,
    }
}

fn all_of<T, E>(sections: impl Iterator<Item = Result<T, E>>) -> Option<Vec<T>> {
    sections.collect::<Result<_, _>>().ok()
}

fn names(found: &mut Gathered, certificate: &X509Certificate<'_>) {
    let Ok(extension) = certificate.subject_alternative_name() else {
        return;
    };
    found.settle(Property::DnsNames);
    let Some(extension) = extension else {
        return;
    };
    let dns: Vec<_> = extension
        .value
        .general_names
        .iter()
        .filter_map(|name| {
            if let GeneralName::DNSName(dns) = name {
                Some(spelled(dns))
            } else {
                None
            }
        })
        .collect();
    if !dns.is_empty() {
        found.put(Property::DnsNames, Some(Values::Many(dns)));
    }
}

fn extended_key_usage(found: &mut Gathered, certificate: &X509Certificate<'_>) {
    let Ok(extension) = certificate.extended_key_usage() else {
        return;
    };
    found.settle(Property::ExtendedKeyUsage);
    let Some(extension) = extension else {
        return;
    };
    let usage = extension.value;
    // RFC 5280 §4.2.1.12
    let named = [
        (usage.any, "2.5.29.37.0"),
        (usage.server_auth, "1.3.6.1.5.5.7.3.1"),
        (usage.client_auth, "1.3.6.1.5.5.7.3.2"),
        (usage.code_signing, "1.3.6.1.5.5.7.3.3"),
        (usage.email_protection, "1.3.6.1.5.5.7.3.4"),
        (usage.time_stamping, "1.3.6.1.5.5.7.3.8"),
        (usage.ocsp_signing, "1.3.6.1.5.5.7.3.9"),
    ];
    let named = named.iter().filter(|(is_there, _)| *is_there);
    let named = named.map(|(_, id)| word(id));
    let others = usage.other.iter().map(|id| word(&id.to_id_string()));
    let all = named.chain(others).collect();
    found.put(Property::ExtendedKeyUsage, Some(Values::Many(all)));
}

/// The certificate says what the key is, and the policy whether an HSM is to keep it.
fn key(found: &mut Gathered, certificate: &X509Certificate<'_>, wanted: Option<&str>) {
    let public = certificate.public_key();
    let family = match public.parsed() {
        Ok(PublicKey::RSA(key)) => {
            let size = i64::try_from(key.key_size()).ok();
            found.settle(Property::Curve);
            found.put(Property::KeySize, size.map(number));
            "RSA"
        }
        Ok(PublicKey::EC(_)) => {
            found.settle(Property::KeySize);
            let parameters = public.algorithm.parameters.as_ref();
            let curve = parameters.and_then(|parameters| parameters.as_oid().ok());
            let curve = curve.and_then(|curve| curve_name(&curve.to_id_string()));
            found.put(Property::Curve, curve.map(spelling));
            "EC"
        }
        _ => return,
    };
    let kept = |kty: &&str| {
        kty.eq_ignore_ascii_case(family) || kty.eq_ignore_ascii_case(&format!("{family}-HSM"))
    };
    match wanted {
        None => found.put(Property::KeyType, Some(spelling(family))),
        // A policy that contradicts the certificate says nothing.
        Some(wanted) => found.put(Property::KeyType, Some(wanted).filter(kept).map(spelling)),
    }
}

/// RFC 5480 §2.1.1.1, SEC 2 §2.4.1
fn curve_name(id: &str) -> Option<&'static str> {
    match id {
        "1.2.840.10045.3.1.7" => Some("P-256"),
        "1.3.132.0.10" => Some("P-256K"),
        "1.3.132.0.34" => Some("P-384"),
        "1.3.132.0.35" => Some("P-521"),
        _ => None,
    }
}

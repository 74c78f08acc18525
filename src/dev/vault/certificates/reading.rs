//! What stands in a certificate.

use x509_cert::Certificate;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::ext::pkix::{
    BasicConstraints as BasicConstraintsExtension, ExtendedKeyUsage, KeyUsage as KeyUsageExtension,
    SubjectAltName,
};

use crate::dev::vault::crypto::{Curve, Kind, Material};
use crate::dev::vault::failure::Failure;

use super::names;
use super::policy::{BasicConstraints, KeyProperties, KeyUsage, Sans, X509Properties};
use super::x509::{self, Dates};

/// Whole months are what a policy knows.
const SECONDS_PER_MONTH: i64 = 30 * 24 * 3600;

/// Reads DER, all of it.
pub(super) fn parse(der: &[u8]) -> Option<Certificate> {
    Certificate::from_der(der).ok()
}

/// Whether the certificate is for the public half of `material`.
pub(super) fn is_for(certificate: &Certificate, material: &Material) -> Result<bool, Failure> {
    let certified = certificate.tbs_certificate().subject_public_key_info();
    let certified = certified.to_der().map_err(|_| Failure::internal())?;
    Ok(certified == x509::public_key(material)?)
}

/// The private key that `certificate` is for, if `pkcs8` is that key.
pub(super) fn key_for(certificate: &Certificate, pkcs8: &[u8]) -> Option<Material> {
    let algorithm = &certificate
        .tbs_certificate()
        .subject_public_key_info()
        .algorithm;
    let curve = algorithm
        .parameters
        .as_ref()
        .and_then(|parameters| parameters.decode_as::<ObjectIdentifier>().ok())
        .and_then(curve);
    let material = Material::from_pkcs8(curve, pkcs8).ok()?;
    is_for(certificate, &material).ok()?.then_some(material)
}

/// RFC 5480 §2.1.1.1 and SEC 2 §A.2.
fn curve(oid: ObjectIdentifier) -> Option<Curve> {
    Some(match oid.to_string().as_str() {
        "1.2.840.10045.3.1.7" => Curve::P256,
        "1.3.132.0.10" => Curve::P256K,
        "1.3.132.0.34" => Curve::P384,
        "1.3.132.0.35" => Curve::P521,
        _ => return None,
    })
}

/// What a policy says of the key of an imported certificate.
pub(super) fn key_properties(material: &Material) -> Result<KeyProperties, Failure> {
    let (kty, key_size, crv) = match material.kind()? {
        Kind::Ec(curve) => ("EC", None, Some(curve.name().into())),
        Kind::Rsa(bits) => ("RSA", u32::try_from(bits.count()).ok(), None),
    };
    Ok(KeyProperties {
        exportable: true,
        kty: kty.into(),
        key_size,
        crv,
        reuse_key: false,
    })
}

/// What a policy says of an imported certificate.
pub(super) fn x509_properties(certificate: &Certificate) -> X509Properties {
    let certified = certificate.tbs_certificate();
    let sans = certified.get_extension::<SubjectAltName>().ok().flatten();
    let ekus = certified.get_extension::<ExtendedKeyUsage>().ok().flatten();
    let usage = certified
        .get_extension::<KeyUsageExtension>()
        .ok()
        .flatten();
    let constraints = certified
        .get_extension::<BasicConstraintsExtension>()
        .ok()
        .flatten();
    let Dates { start, end } = Dates::of(certificate);
    let months = end.saturating_sub(start) / SECONDS_PER_MONTH;
    X509Properties {
        subject: certified.subject().to_string().into(),
        sans: sans.map_or_else(Sans::default, |(_, SubjectAltName(sans))| {
            names::sans(&sans)
        }),
        ekus: ekus.map_or_else(Vec::new, |(_, ExtendedKeyUsage(ekus))| {
            ekus.iter().map(ToString::to_string).collect()
        }),
        key_usage: usage.map_or_else(Vec::new, |(_, KeyUsageExtension(flags))| {
            let has = |usage: &KeyUsage| flags.contains(x509::flag_of(*usage));
            KeyUsage::ALL.into_iter().filter(has).collect()
        }),
        validity_months: u32::try_from(months.max(1)).unwrap_or(u32::MAX),
        basic_constraints: BasicConstraints {
            ca: constraints.is_some_and(|(_, constraints)| constraints.ca),
        },
    }
}

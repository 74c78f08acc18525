//! Certificates: the policy they are made by, and what the vault says of them.

use super::read::{boolean, bytes, integer, object, text};
use super::{Gathered, list, number, spelled, spelling, truth, word, words};
use crate::abac::vocabulary::Property;
use crate::json::Object;

/// A certificate as the vault describes it.
pub(super) fn of_answer(found: &mut Gathered, answer: &Object) {
    let thumbprint = bytes(answer, "x5t").map(|thumbprint| {
        let digits = thumbprint.iter().map(|byte| format!("{byte:02X}"));
        words(&digits.collect::<String>())
    });
    found.put(Property::Thumbprint, thumbprint);
    let Some(policy) = object(answer, "policy") else {
        return;
    };
    of_policy(found, policy);
    if let Some(issuer) = object(policy, "issuer") {
        let transparency = boolean(issuer, "cert_transparency");
        found.put(Property::CertificateTransparency, transparency.map(truth));
        found.put(Property::CertificateType, text(issuer, "cty").map(words));
    }
    if let Some(key) = object(policy, "key_props") {
        found.put(Property::ReuseKey, boolean(key, "reuse_key").map(truth));
    }
    if let Some(secret) = object(policy, "secret_props") {
        let content_type = text(secret, "contentType");
        found.put(Property::SecretContentType, content_type.map(words));
    }
    if let Some(x509) = object(policy, "x509_props") {
        found.put(Property::KeyUsage, list(x509, "key_usage", spelled));
        if let Some(names) = object(x509, "sans") {
            found.put(Property::Emails, list(names, "emails", word));
            found.put(Property::IpAddresses, list(names, "ipAddresses", word));
            found.put(Property::Uris, list(names, "uris", word));
        }
    }
}

/// What a request can want of a policy.
pub(super) fn of_policy(found: &mut Gathered, policy: &Object) {
    issuer_and_export(found, policy);
    if let Some(key) = object(policy, "key_props") {
        found.put(Property::KeyType, text(key, "kty").map(spelling));
        found.put(Property::KeySize, integer(key, "key_size").map(number));
        found.put(Property::Curve, text(key, "crv").map(spelling));
    }
    if let Some(x509) = object(policy, "x509_props") {
        found.put(Property::Subject, text(x509, "subject").map(words));
        found.put(Property::ExtendedKeyUsage, list(x509, "ekus", word));
        let months = integer(x509, "validity_months");
        found.put(Property::ValidityMonths, months.map(number));
        let names = object(x509, "sans").and_then(|names| list(names, "dns_names", spelled));
        found.put(Property::DnsNames, names);
    }
}

/// What no certificate says of itself: who is to renew it, and whether its key may leave.
pub(super) fn issuer_and_export(found: &mut Gathered, policy: &Object) {
    let issuer = object(policy, "issuer").and_then(|issuer| text(issuer, "name"));
    found.put(Property::IssuerName, issuer.map(spelling));
    let exportable = object(policy, "key_props").and_then(|key| boolean(key, "exportable"));
    found.put(Property::Exportable, exportable.map(truth));
}

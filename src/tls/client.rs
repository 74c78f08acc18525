//! What a verified client certificate says of its holder.
//!
//! Sources: RFC 4514 for names; the SPIFFE X.509-SVID specification for SPIFFE ids.

use std::fmt::Write as _;

use aws_lc_rs::digest::{SHA256, digest};
use thiserror::Error;
use x509_parser::asn1_rs::{Oid, Tag, ToDer as _, oid};
use x509_parser::certificate::X509Certificate;
use x509_parser::error::X509Error;
use x509_parser::extensions::GeneralName;
use x509_parser::prelude::FromDer as _;
use x509_parser::x509::{AttributeTypeAndValue, X509Name};

use crate::attributes::ClientCertificate;
use crate::config::{ClientName, claims_spiffe, is_spiffe_id};

/// The tag of a URI among alternative names (RFC 5280, section 4.2.1.6).
const URI: Tag = Tag(6);

/// That of a DNS name.
const DNS: Tag = Tag(2);

/// A certificate that TLS accepted and that cannot be read all the same.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the client certificate cannot be read")]
pub struct UnreadableCertificate;

/// Reads a certificate (DER) that the TLS handshake has verified.
///
/// # Errors
/// [`UnreadableCertificate`]; a connection with it must not go on as if there were none.
pub fn client_certificate(der: &[u8]) -> Result<ClientCertificate, UnreadableCertificate> {
    let (rest, certificate) = X509Certificate::from_der(der).map_err(|_| UnreadableCertificate)?;
    if !rest.is_empty() {
        return Err(UnreadableCertificate);
    }
    Ok(ClientCertificate {
        subject: name(certificate.subject())?,
        issuer: name(certificate.issuer())?,
        thumbprint: hexadecimal(digest(&SHA256, der).as_ref()).into(),
        spiffe_id: spiffe_id(&certificate).map_err(|_| UnreadableCertificate)?,
    })
}

/// A distinguished name as RFC 4514 writes it: the last part first.
fn name(name: &X509Name<'_>) -> Result<Box<str>, UnreadableCertificate> {
    let mut parts = Vec::new();
    for part in name.iter_rdn() {
        let attributes = part.iter().map(attribute);
        parts.push(attributes.collect::<Result<Vec<_>, _>>()?.join("+"));
    }
    parts.reverse();
    Ok(parts.join(",").into())
}

fn attribute(attribute: &AttributeTypeAndValue<'_>) -> Result<String, UnreadableCertificate> {
    match (keyword(attribute.attr_type()), attribute.as_str()) {
        (Some(keyword), Ok(value)) => Ok(format!("{keyword}={}", escaped(value))),
        (keyword, _) => {
            let kind = keyword.map_or_else(|| attribute.attr_type().to_id_string(), str::to_owned);
            let value = attribute.attr_value().to_der_vec();
            let value = value.map_err(|_| UnreadableCertificate)?;
            Ok(format!("{kind}=#{}", hexadecimal(&value)))
        }
    }
}

/// The keywords of RFC 4514, section 3; other types are written as numbers.
fn keyword(kind: &Oid<'_>) -> Option<&'static str> {
    let keywords = [
        (oid!(2.5.4.3), "CN"),
        (oid!(2.5.4.7), "L"),
        (oid!(2.5.4.8), "ST"),
        (oid!(2.5.4.10), "O"),
        (oid!(2.5.4.11), "OU"),
        (oid!(2.5.4.6), "C"),
        (oid!(2.5.4.9), "STREET"),
        (oid!(0.9.2342.19200300.100.1.25), "DC"),
        (oid!(0.9.2342.19200300.100.1.1), "UID"),
    ];
    let mut keywords = keywords.into_iter();
    keywords
        .find(|(known, _)| known == kind)
        .map(|(_, keyword)| keyword)
}

/// SECURITY: without this a common name of `a,O=b` could pass for another organisation's `a`.
fn escaped(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (index, c) in value.chars().enumerate() {
        let at_edge = (c == ' ' && (index == 0 || index == last)) || (c == '#' && index == 0);
        if c.is_control() {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                // Writing to a String does not fail.
                let _infallible = write!(escaped, "\\{byte:02x}");
            }
        } else {
            if at_edge || "\"+,;<>\\".contains(c) {
                escaped.push('\\');
            }
            escaped.push(c);
        }
    }
    escaped
}

/// The SPIFFE id of a certificate that is an X.509-SVID.
fn spiffe_id(certificate: &X509Certificate<'_>) -> Result<Option<Box<str>>, X509Error> {
    let constraints = certificate.basic_constraints()?;
    let usage = certificate.key_usage()?;
    let signs = usage.is_some_and(|usage| {
        let usage = usage.value;
        usage.key_cert_sign() || usage.crl_sign() || !usage.digital_signature()
    });
    // SPIFFE: what may sign certificates identifies no workload.
    if signs || constraints.is_some_and(|constraints| constraints.value.ca) {
        return Ok(None);
    }
    let Some(names) = certificate.subject_alternative_name()? else {
        return Ok(None);
    };
    let is_uri = |name: &&GeneralName<'_>| {
        matches!(name, GeneralName::URI(_))
            || matches!(name, GeneralName::Invalid(tag, _) if *tag == URI)
    };
    let mut uris = names.value.general_names.iter().filter(is_uri);
    match (uris.next(), uris.next()) {
        (Some(GeneralName::URI(uri)), None) if is_spiffe_id(uri) => Ok(Some((*uri).into())),
        // SPIFFE: more than one URI makes it no SVID, whatever they are.
        _ => Ok(None),
    }
}

/// Whether a certificate (DER) has one of these names among its alternative names; its common name
/// is none. Without names any certificate will do.
///
/// # Errors
/// [`UnreadableCertificate`]: also for a DNS name or URI that is no printable ASCII, whatever else
/// there is.
pub(super) fn is_named(der: &[u8], names: &[ClientName]) -> Result<bool, UnreadableCertificate> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|_| UnreadableCertificate)?;
    let found = certificate
        .subject_alternative_name()
        .map_err(|_| UnreadableCertificate)?;
    let found = found.map_or(&[][..], |found| &found.value.general_names);
    let (mut by_name, mut spiffe) = (names.is_empty(), false);
    for name in found {
        match name {
            GeneralName::DNSName(text) | GeneralName::URI(text) if !is_printable(text) => {
                return Err(UnreadableCertificate);
            }
            GeneralName::Invalid(tag, _) if [DNS, URI].contains(tag) => {
                return Err(UnreadableCertificate);
            }
            GeneralName::DNSName(text) => by_name |= names.iter().any(|own| own.is_dns(text)),
            GeneralName::URI(text) => {
                by_name |= names.iter().any(|own| own.is_uri(text));
                spiffe |= claims_spiffe(text);
            }
            // No name of ours is of another kind.
            GeneralName::OtherName(..)
            | GeneralName::RFC822Name(_)
            | GeneralName::X400Address(_)
            | GeneralName::DirectoryName(_)
            | GeneralName::EDIPartyName(_)
            | GeneralName::IPAddress(_)
            | GeneralName::RegisteredID(_)
            | GeneralName::Invalid(..) => {}
        }
    }
    // SPIFFE: a certificate with such a URI has no other, or it identifies nobody.
    let sound = names.is_empty()
        || !spiffe
        || spiffe_id(&certificate).is_ok_and(|spiffe_id| spiffe_id.is_some());
    Ok(by_name && sound)
}

/// SECURITY: what ends a name for one reader and not for another lets it pass for two.
fn is_printable(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, DistinguishedName, DnType, DnValue,
        IsCa, KeyPair, KeyUsagePurpose, SanType,
    };

    use super::*;

    fn issuer() -> CertifiedIssuer<'static, KeyPair> {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name = DistinguishedName::new();
        params
            .distinguished_name
            .push(DnType::CommonName, "Test CA");
        CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
    }

    fn read(change: impl FnOnce(&mut CertificateParams)) -> ClientCertificate {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name = DistinguishedName::new();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &issuer()).unwrap();
        client_certificate(certificate.der()).unwrap()
    }

    fn subject(parts: &[(DnType, DnValue)]) -> Box<str> {
        let read = read(|params| {
            for (kind, value) in parts {
                params.distinguished_name.push(kind.clone(), value.clone());
            }
        });
        assert_eq!(&*read.issuer, "CN=Test CA");
        read.subject
    }

    fn with_uris(uris: &[&str]) -> Option<Box<str>> {
        read(|params| params.subject_alt_names = sans(uris)).spiffe_id
    }

    fn sans(uris: &[&str]) -> Vec<SanType> {
        let dns = SanType::DnsName("app.contoso.test".try_into().unwrap());
        let uris = uris
            .iter()
            .map(|uri| SanType::URI((*uri).try_into().unwrap()));
        std::iter::once(dns).chain(uris).collect()
    }

    #[test]
    fn a_subject_is_written_as_rfc_4514_says() {
        let text = |text: &str| DnValue::Utf8String(text.to_owned());
        let parts = [
            (DnType::CountryName, text("DE")),
            (DnType::OrganizationName, text("Contoso, Inc.")),
            (DnType::CommonName, text("app")),
        ];
        assert_eq!(&*subject(&parts), "CN=app,O=Contoso\\, Inc.,C=DE");
        assert_eq!(&*subject(&[]), "");
    }

    #[test]
    fn a_name_cannot_pass_for_two() {
        for (value, escaped) in [
            ("a,O=b", "a\\,O=b"),
            ("a+OU=b", "a\\+OU=b"),
            ("a\\,O=b", "a\\\\\\,O=b"),
            (" a b ", "\\ a b\\ "),
            ("#00", "\\#00"),
            (" ", "\\ "),
            ("a\0b\n", "a\\00b\\0a"),
            ("\"<ä>;\"", "\\\"\\<ä\\>\\;\\\""),
        ] {
            let value = DnValue::Utf8String(value.to_owned());
            let expected = format!("CN={escaped}");
            assert_eq!(*subject(&[(DnType::CommonName, value)]), *expected);
        }
    }

    #[test]
    fn what_has_no_keyword_or_is_no_text_is_written_in_numbers() {
        let serial = DnType::from_oid(&[2, 5, 4, 5]);
        let value = DnValue::Utf8String("7".to_owned());
        assert_eq!(&*subject(&[(serial, value)]), "2.5.4.5=#0c0137");
        let wide = DnValue::BmpString("a".try_into().unwrap());
        assert_eq!(&*subject(&[(DnType::CommonName, wide)]), "CN=#1e020061");
    }

    #[test]
    fn the_thumbprint_is_the_digest_of_the_whole_certificate() {
        let ca = issuer();
        let certificate = client_certificate(ca.der()).unwrap();
        let mut expected = String::new();
        for byte in digest(&SHA256, ca.der()).as_ref() {
            expected.extend(
                [byte >> 4, byte & 15].map(|digit| char::from_digit(digit.into(), 16).unwrap()),
            );
        }
        assert_eq!(*certificate.thumbprint, *expected);
    }

    #[test]
    fn a_single_spiffe_uri_is_the_spiffe_id() {
        let id = "spiffe://prod.contoso_1.test/ns/Payments/sa/app-1";
        assert_eq!(with_uris(&[id]).as_deref(), Some(id));
        assert_eq!(with_uris(&[]), None);
        assert_eq!(with_uris(&["https://contoso.test/app"]), None);
    }

    #[test]
    fn several_uris_are_no_spiffe_id() {
        let id = "spiffe://contoso.test/app";
        assert_eq!(with_uris(&[id, "https://contoso.test/app"]), None);
        assert_eq!(with_uris(&["https://contoso.test/app", id]), None);
        assert_eq!(with_uris(&[id, id]), None);
    }

    #[test]
    fn a_malformed_spiffe_uri_is_no_spiffe_id() {
        let long = format!("spiffe://contoso.test/{}", "a".repeat(2048));
        let wide = format!("spiffe://{}/app", "a".repeat(256));
        for uri in [
            "spiffe:///app",
            "spiffe://contoso.test",
            "spiffe://contoso.test/",
            "spiffe://contoso.test/app/",
            "spiffe://contoso.test//app",
            "spiffe://contoso.test/./app",
            "spiffe://contoso.test/../app",
            "spiffe://contoso.test:443/app",
            "spiffe://user@contoso.test/app",
            "spiffe://contoso.test/app?a=b",
            "spiffe://contoso.test/app#a",
            "spiffe://contoso.test/%61pp",
            "spiffe://Contoso.test/app",
            "SPIFFE://contoso.test/app",
            "spiffe:contoso.test/app",
            " spiffe://contoso.test/app",
            &long,
            &wide,
        ] {
            assert_eq!(with_uris(&[uri]), None, "{uri}");
        }
    }

    #[test]
    fn what_may_sign_certificates_has_no_spiffe_id() {
        let with_usage = |usage: KeyUsagePurpose, authority: bool| {
            let certificate = read(|params| {
                params.subject_alt_names = sans(&["spiffe://contoso.test/app"]);
                params.key_usages = vec![usage];
                if authority {
                    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
                }
            });
            certificate.spiffe_id.is_some()
        };
        assert!(with_usage(KeyUsagePurpose::DigitalSignature, false));
        assert!(!with_usage(KeyUsagePurpose::DigitalSignature, true));
        assert!(!with_usage(KeyUsagePurpose::KeyCertSign, false));
        assert!(!with_usage(KeyUsagePurpose::CrlSign, false));
    }

    #[test]
    fn what_is_no_certificate_is_unreadable() {
        let ca = issuer();
        let mut more = ca.der().to_vec();
        more.push(0);
        for der in [&[][..], &[0x30, 0], &more] {
            assert_eq!(client_certificate(der), Err(UnreadableCertificate));
        }
    }
}

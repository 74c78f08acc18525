//! Subjects and subject alternative names.

use std::net::IpAddr;
use std::str::FromStr as _;

use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::asn1::{Ia5String, ObjectIdentifier, OctetString, Utf8StringRef};
use x509_cert::der::{self, Any};
use x509_cert::ext::pkix::name::{GeneralName, OtherName};
use x509_cert::name::Name;

use crate::dev::vault::failure::Failure;

use super::policy::Sans;

/// Microsoft's user principal name.
const UPN: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.311.20.2.3");

/// The name that a policy's subject writes.
///
/// Clients write it as .NET reads it: spaces around separators, quoted values, `E` and `S` for
/// what others call `emailAddress` and `ST`.
pub(super) fn subject(text: &str) -> Result<Name, Failure> {
    let mut parts = Vec::new();
    for part in split(text) {
        parts.push(attribute(part.trim()).ok_or_else(|| invalid_subject(text))?);
    }
    // RFC 4514 §3, as the library reads it.
    Name::from_str(&parts.join(",")).map_err(|_| invalid_subject(text))
}

fn invalid_subject(text: &str) -> Failure {
    Failure::bad_parameter(format!(
        "Property policy.x509_props.subject is not a valid X.500 name: {text}"
    ))
}

/// The parts between separators that are neither quoted nor escaped.
fn split(text: &str) -> Vec<String> {
    let mut parts = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        if !quoted && !escaped && matches!(c, ',' | ';') {
            parts.push(String::new());
            continue;
        }
        quoted ^= c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        if let Some(part) = parts.last_mut() {
            part.push(c);
        }
    }
    parts.retain(|part| !part.trim().is_empty());
    parts
}

/// One part as RFC 4514 writes it.
fn attribute(part: &str) -> Option<String> {
    let (key, value) = part.split_once('=')?;
    let key = match key.trim().to_ascii_uppercase().as_str() {
        "E" => "emailAddress".to_owned(),
        "S" => "ST".to_owned(),
        key => key.to_owned(),
    };
    let value = value.trim();
    let quoted = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'));
    let value = match quoted {
        None => value.to_owned(),
        Some(value) => escaped(value),
    };
    let written = format!("{key}={value}");
    AttributeTypeAndValue::from_str(&written).ok()?;
    Some(written)
}

fn escaped(value: &str) -> String {
    let special = |c| matches!(c, ',' | ';' | '+' | '"' | '<' | '>' | '\\');
    value
        .chars()
        .flat_map(|c| special(c).then_some('\\').into_iter().chain([c]))
        .collect()
}

/// A policy's subject alternative names, in X.509's form.
pub(super) fn general_names(sans: &Sans) -> Result<Vec<GeneralName>, Failure> {
    let mut names = Vec::new();
    let mut add = |property: &str, text: &str, name: Option<GeneralName>| {
        names.push(name.ok_or_else(|| {
            Failure::bad_parameter(format!(
                "Property policy.x509_props.sans.{property} has an invalid value: {text}"
            ))
        })?);
        Ok::<(), Failure>(())
    };
    for text in &sans.dns_names {
        add("dns_names", text, ia5(text).map(GeneralName::DnsName))?;
    }
    for text in &sans.emails {
        add("emails", text, ia5(text).map(GeneralName::Rfc822Name))?;
    }
    for text in &sans.upns {
        add("upns", text, upn(text).ok())?;
    }
    for text in &sans.uris {
        let name = ia5(text).map(GeneralName::UniformResourceIdentifier);
        add("uris", text, name)?;
    }
    for text in &sans.ip_addresses {
        let name = text.parse().ok().and_then(ip_address);
        add("ipAddresses", text, name)?;
    }
    Ok(names)
}

fn ia5(text: &str) -> Option<Ia5String> {
    Ia5String::new(text).ok()
}

fn upn(text: &str) -> der::Result<GeneralName> {
    Ok(GeneralName::OtherName(OtherName {
        type_id: UPN,
        value: Any::encode_from(&Utf8StringRef::new(text)?)?,
    }))
}

fn ip_address(address: IpAddr) -> Option<GeneralName> {
    let octets = match address {
        IpAddr::V4(address) => OctetString::new(address.octets()),
        IpAddr::V6(address) => OctetString::new(address.octets()),
    };
    octets.ok().map(GeneralName::IpAddress)
}

/// What a certificate's subject alternative names are in a policy; kinds a policy does not have are
/// left out.
pub(super) fn sans(names: &[GeneralName]) -> Sans {
    let mut sans = Sans::default();
    for name in names {
        match name {
            GeneralName::DnsName(text) => sans.dns_names.push(text.to_string()),
            GeneralName::Rfc822Name(text) => sans.emails.push(text.to_string()),
            GeneralName::UniformResourceIdentifier(text) => sans.uris.push(text.to_string()),
            GeneralName::IpAddress(octets) => {
                sans.ip_addresses.extend(written_address(octets.as_bytes()));
            }
            GeneralName::OtherName(OtherName { type_id, value }) if *type_id == UPN => {
                let text = Utf8StringRef::try_from(value).ok();
                sans.upns.extend(text.map(|text| text.as_str().to_owned()));
            }
            GeneralName::OtherName(_)
            | GeneralName::DirectoryName(_)
            | GeneralName::EdiPartyName(_)
            | GeneralName::RegisteredId(_) => {}
        }
    }
    sans
}

fn written_address(octets: &[u8]) -> Option<String> {
    let four = <[u8; 4]>::try_from(octets).map(IpAddr::from);
    let sixteen = <[u8; 16]>::try_from(octets).map(IpAddr::from);
    four.or(sixteen).ok().map(|address| address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subjects_are_read_as_clients_write_them() {
        for (text, written) in [
            ("CN=contoso.com", "CN=contoso.com"),
            ("cn=MyCert", "CN=MyCert"),
            (
                "CN=a.example, O=Contoso, C=DE",
                "CN=a.example,O=Contoso,C=DE",
            ),
            (r#"CN=a; O="Contoso, Inc.""#, r"CN=a,O=Contoso\, Inc."),
            (r"O=Contoso\, Inc.", r"O=Contoso\, Inc."),
            ("CN=a, S=WA", "CN=a,ST=WA"),
        ] {
            assert_eq!(subject(text).unwrap().to_string(), written, "{text}");
        }
    }

    #[test]
    fn what_is_no_subject_is_refused() {
        for text in ["contoso", "CN", "FAVOURITE=blue"] {
            let failure = subject(text).unwrap_err();
            assert_eq!(failure.status, http::StatusCode::BAD_REQUEST, "{text}");
        }
    }

    #[test]
    fn alternative_names_go_there_and_back() {
        let written = Sans {
            dns_names: vec!["a.example".to_owned()],
            emails: vec!["a@b.example".to_owned()],
            upns: vec!["jürgen@b.example".to_owned()],
            uris: vec!["spiffe://a/b".to_owned()],
            ip_addresses: vec!["10.0.0.1".to_owned(), "::1".to_owned()],
        };
        let read = sans(&general_names(&written).unwrap());
        let value = |sans| serde_json::to_value(sans).unwrap();
        assert_eq!(value(read), value(written));
        let bad = Sans {
            dns_names: vec!["bücher.example".to_owned()],
            ..Sans::default()
        };
        assert!(general_names(&bad).is_err());
    }
}

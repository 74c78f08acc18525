//! Types of the members that conditions can ask for, and values that a lenient reader would take.

use super::BodyDefect;
use crate::json::{Json, Number};

/// What Key Vault has in a member.
#[derive(Clone, Copy)]
enum Kind {
    Boolean,
    Integer,
    Object,
    Objects,
    Text,
    Texts,
    /// An object of texts.
    Tags,
}

/// The members that conditions can ask for, whatever object they are in.
///
/// Source: the bodies in <https://learn.microsoft.com/rest/api/keyvault/>.
const KINDS: &[(&str, Kind)] = &[
    ("Hsm", Kind::Boolean),
    ("action", Kind::Object),
    ("alg", Kind::Text),
    ("attributes", Kind::Object),
    ("contentType", Kind::Text),
    ("crv", Kind::Text),
    ("digest", Kind::Text),
    ("dns_names", Kind::Texts),
    ("e", Kind::Text),
    ("ekus", Kind::Texts),
    ("enabled", Kind::Boolean),
    ("enc", Kind::Text),
    ("exp", Kind::Integer),
    ("expiryTime", Kind::Text),
    ("exportable", Kind::Boolean),
    ("immutable", Kind::Boolean),
    ("issuer", Kind::Object),
    ("k", Kind::Text),
    ("key", Kind::Object),
    ("key_ops", Kind::Texts),
    ("key_props", Kind::Object),
    ("key_size", Kind::Integer),
    ("kty", Kind::Text),
    ("lifetimeActions", Kind::Objects),
    ("n", Kind::Text),
    ("name", Kind::Text),
    ("nbf", Kind::Integer),
    ("nonce", Kind::Text),
    ("policy", Kind::Object),
    ("public_exponent", Kind::Integer),
    ("release_policy", Kind::Object),
    ("sans", Kind::Object),
    ("subject", Kind::Text),
    ("tags", Kind::Tags),
    ("target", Kind::Text),
    ("type", Kind::Text),
    ("validity_months", Kind::Integer),
    ("value", Kind::Text),
    ("x509_props", Kind::Object),
];

/// Refuses a member whose value is neither of Key Vault's type nor `null`.
///
/// SECURITY: we would take it for missing, which is what a condition may ask for, while a lenient
/// reader makes a tag of the number 1, or a date of `"1900000000"`.
pub(super) fn check(name: &str, value: &Json) -> Result<(), BodyDefect> {
    let mut kinds = KINDS.iter();
    match kinds.find(|(known, _)| *known == name) {
        Some((known, kind)) if !fits(*kind, value) => Err(BodyDefect::Type(known)),
        Some(_) | None => Ok(()),
    }
}

fn fits(kind: Kind, value: &Json) -> bool {
    match (kind, value) {
        (_, Json::Null)
        | (Kind::Boolean, Json::Bool(_))
        | (Kind::Integer, Json::Number(Number::Unsigned(_) | Number::Negative(_)))
        | (Kind::Object, Json::Object(_))
        | (Kind::Text, Json::String(_)) => true,
        (Kind::Objects, Json::Array(items)) => {
            items.iter().all(|item| matches!(item, Json::Object(_)))
        }
        (Kind::Texts, Json::Array(items)) => items.iter().all(|item| item.as_text().is_some()),
        (Kind::Tags, Json::Object(tags)) => tags.values().all(|tag| tag.as_text().is_some()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(name: &str, value: &str) -> bool {
        let value = Json::parse(value.as_bytes()).unwrap();
        check(name, &value).is_err()
    }

    #[test]
    fn a_value_of_another_type_is_refused() {
        for (name, value) in [
            ("enabled", "\"true\""),
            ("enabled", "1"),
            ("exp", "\"1900000000\""),
            ("exp", "1.9e9"),
            ("tags", "[]"),
            ("tags", r#"{"team":1}"#),
            ("tags", r#"{"team":"red","other":null}"#),
            ("key_ops", "\"sign\""),
            ("key_ops", r#"["sign",null]"#),
            ("lifetimeActions", "{}"),
            ("attributes", "[]"),
            ("value", "{}"),
        ] {
            assert!(refused(name, value), "{name}: {value}");
        }
    }

    #[test]
    fn null_and_members_that_nobody_asks_for_pass() {
        for (name, value) in [
            ("tags", "null"),
            ("tags", r#"{"enabled":"no"}"#),
            ("exp", "null"),
            ("exp", "-1"),
            ("key_ops", "[]"),
            ("future", "1.5"),
        ] {
            assert!(!refused(name, value), "{name}: {value}");
        }
    }
}

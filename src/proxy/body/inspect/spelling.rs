//! Member names of Key Vault's bodies, and spellings of them that a lenient reader would take.

use super::BodyDefect;

/// Every member that Key Vault reads in a body, at whatever level.
///
/// Source: the bodies in <https://learn.microsoft.com/rest/api/keyvault/>, preview versions and
/// storage accounts included.
const KNOWN: &[&str] = &[
    "Hsm",
    "aad",
    "account_id",
    "action",
    "action_type",
    "activeKeyName",
    "admin_details",
    "alg",
    "attributes",
    "autoRegenerateKey",
    "cancellation_requested",
    "cert_transparency",
    "contacts",
    "contentType",
    "created",
    "credentials",
    "crv",
    "cty",
    "d",
    "data",
    "days_before_expiry",
    "digest",
    "dns_names",
    "dp",
    "dq",
    "e",
    "ekus",
    "email",
    "emails",
    "enabled",
    "enc",
    "exp",
    "expiryTime",
    "exportable",
    "externalKey",
    "first_name",
    "hsmPlatform",
    "id",
    "immutable",
    "ip_addresses",
    "issuer",
    "iv",
    "k",
    "key",
    "key_hsm",
    "key_ops",
    "key_props",
    "key_size",
    "key_usage",
    "kid",
    "kty",
    "last_name",
    "lifetimeActions",
    "lifetime_actions",
    "lifetime_percentage",
    "managed",
    "n",
    "name",
    "nbf",
    "nonce",
    "org_details",
    "outContentType",
    "p",
    "parameters",
    "phone",
    "policy",
    "preserveCertOrder",
    "previousVersion",
    "provider",
    "public_exponent",
    "pwd",
    "q",
    "qi",
    "recoverableDays",
    "recoveryLevel",
    "regenerationPeriod",
    "release_policy",
    "resourceId",
    "reuse_key",
    "sans",
    "sasType",
    "secret_props",
    "signature",
    "subject",
    "tag",
    "tags",
    "target",
    "templateUri",
    "timeAfterCreate",
    "timeBeforeExpiry",
    "trigger",
    "type",
    "updated",
    "upns",
    "uris",
    "validityPeriod",
    "validity_months",
    "value",
    "x",
    "x509_props",
    "x5c",
    "x5t",
    "y",
];

/// Refuses a member whose name differs from one of Key Vault's in case alone.
///
/// SECURITY: Key Vault is not documented to tell `tags` from `Tags`. A reader that does not would
/// take a member for one that we had passed over, or the last of two that we took for different.
pub(super) fn check(name: &str) -> Result<(), BodyDefect> {
    misspelled(name).map_or(Ok(()), |known| Err(BodyDefect::Spelling(known)))
}

fn misspelled(name: &str) -> Option<&'static str> {
    if KNOWN.contains(&name) {
        return None;
    }
    let folded = fold(name);
    let mut known = KNOWN.iter().copied();
    known.find(|known| known.eq_ignore_ascii_case(&folded))
}

/// Without case, beyond ASCII too: the long s and the Kelvin sign are a letter's other case.
fn fold(name: &str) -> String {
    let upper = name.chars().flat_map(char::to_uppercase);
    upper.flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::super::check_members;
    use super::*;
    use crate::json::Json;

    fn refused(text: &str) -> Option<BodyDefect> {
        let json = Json::parse(text.as_bytes()).unwrap();
        let Json::Object(members) = &json else {
            panic!("{text}");
        };
        check_members(members).err()
    }

    #[test]
    fn another_case_of_a_known_member_is_refused_at_every_level() {
        for (text, known) in [
            (r#"{"Tags":{}}"#, "tags"),
            (r#"{"VALUE":"x"}"#, "value"),
            (r#"{"attributes":{"Enabled":true}}"#, "enabled"),
            (r#"{"key":{"KTY":"RSA"}}"#, "kty"),
            (r#"{"hsm":true}"#, "Hsm"),
            (
                r#"{"policy":{"x509_props":{"sans":{"DNS_names":[]}}}}"#,
                "dns_names",
            ),
            (r#"{"lifetimeActions":[{"Trigger":{}}]}"#, "trigger"),
            ("{\"tag\u{17f}\":{}}", "tags"),
            ("{\"\u{212a}ey\":{}}", "key"),
        ] {
            assert_eq!(refused(text), Some(BodyDefect::Spelling(known)), "{text}");
        }
    }

    #[test]
    fn names_that_are_nobodys_other_spelling_pass() {
        for text in [
            r#"{"value":"x","Future":1}"#,
            r#"{"tags":{"Value":"1","Tags":"2","TAGS":"3"}}"#,
            r#"{"attributes":{"enabled":true,"exp":1}}"#,
        ] {
            assert_eq!(refused(text), None, "{text}");
        }
    }

    #[test]
    fn no_two_known_members_differ_in_case_alone() {
        for (index, name) in KNOWN.iter().enumerate() {
            let rest = KNOWN.iter().skip(index + 1);
            assert!(
                rest.clone().all(|other| !other.eq_ignore_ascii_case(name)),
                "{name}"
            );
        }
    }
}

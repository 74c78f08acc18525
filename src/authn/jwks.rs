//! A JWKS document: bytes in, usable keys out; pure.
//!
//! A key is usable when it is an RSA signature key that could have made an RS256 signature for this
//! tenant. Others stand in real documents beside usable ones and are passed over; a document in
//! which nothing usable is left is an error, so that it never replaces keys that work.
//! Sources: RFC 7517, RFC 7518 §6.3, RFC 8725 §3.2 and §3.5.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::Arc;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::DecodingKey;
use thiserror::Error;

use super::json;
use super::token::{ALGORITHM_NAME, MAX_KID_BYTES};
use crate::json::{Json, Object};
use crate::principal::{Guid, TenantId};

/// The largest document that is read, in bytes. Entra's are below 20 KiB.
pub(super) const MAX_DOCUMENT_BYTES: usize = 256 * 1024;

/// The most keys a document may hold. Entra's hold fewer than ten.
const MAX_KEYS: usize = 64;

/// Modulus sizes, in bytes, that are accepted: 2048 to 8192 bits.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;

/// What a templated key issuer has in the place of the tenant.
const TENANT_TEMPLATE: &str = "{tenantid}";

/// Why a document yields no keys.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub(super) enum JwksError {
    #[error("it is not a JSON object with unique names and a list `keys` of objects")]
    Malformed,
    #[error("it holds no usable RSA signature key")]
    NoKeys,
    #[error("it holds more than 64 keys")]
    TooManyKeys,
}

/// One public key.
pub(super) struct SigningKey {
    decoding: DecodingKey,
    thumbprint: [u8; 32],
}

impl SigningKey {
    pub(super) const fn decoding(&self) -> &DecodingKey {
        &self.decoding
    }

    /// SHA-256 over modulus and exponent: the same for the same key, whatever its `kid`.
    pub(super) const fn thumbprint(&self) -> &[u8; 32] {
        &self.thumbprint
    }
}

/// By content, which the thumbprint stands for.
impl PartialEq for SigningKey {
    fn eq(&self, other: &Self) -> bool {
        self.thumbprint == other.thumbprint
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SigningKey(..)")
    }
}

/// The usable keys of one issuer, by `kid`; never empty.
#[derive(Debug, PartialEq)]
pub(super) struct KeySet(HashMap<Box<str>, Arc<SigningKey>>);

impl KeySet {
    /// Reads a document of the issuer that speaks for `tenant`.
    ///
    /// Two different keys under one `kid` are both passed over: which of them is meant cannot be
    /// known. The same key twice counts once.
    ///
    /// # Errors
    /// The document is malformed, holds too many keys or none that is usable.
    pub(super) fn parse(document: &[u8], tenant: TenantId) -> Result<Self, JwksError> {
        let document = json::parse(document).map_err(|_| JwksError::Malformed)?;
        let Some(Json::Array(list)) = document.get("keys") else {
            return Err(JwksError::Malformed);
        };
        if list.len() > MAX_KEYS {
            return Err(JwksError::TooManyKeys);
        }
        let mut keys: HashMap<Box<str>, Option<Arc<SigningKey>>> = HashMap::new();
        for entry in list {
            let Json::Object(jwk) = entry else {
                return Err(JwksError::Malformed);
            };
            if let Some((kid, key)) = read_key(jwk, tenant) {
                add(&mut keys, kid, key);
            }
        }
        let keys: HashMap<_, _> = keys
            .into_iter()
            .filter_map(|(kid, key)| key.map(|key| (kid, key)))
            .collect();
        if keys.is_empty() {
            return Err(JwksError::NoKeys);
        }
        Ok(Self(keys))
    }

    /// The key named `kid`, compared exactly.
    pub(super) fn get(&self, kid: &str) -> Option<&Arc<SigningKey>> {
        self.0.get(kid)
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

/// `None` under a `kid` marks it as ambiguous, also for a third key of that name.
fn add(keys: &mut HashMap<Box<str>, Option<Arc<SigningKey>>>, kid: Box<str>, key: SigningKey) {
    match keys.entry(kid) {
        Entry::Vacant(slot) => {
            slot.insert(Some(Arc::new(key)));
        }
        Entry::Occupied(mut slot) => {
            let same = slot.get().as_ref().is_some_and(|known| **known == key);
            if !same {
                slot.insert(None);
            }
        }
    }
}

fn read_key(jwk: &Object, tenant: TenantId) -> Option<(Box<str>, SigningKey)> {
    let usable = is_text(jwk, "kty", "RSA")
        && is_absent_or(jwk, "use", "sig")
        && is_absent_or(jwk, "alg", ALGORITHM_NAME)
        && may_verify(jwk)
        && speaks_for(jwk, tenant);
    if !usable {
        return None;
    }
    let kid = text(jwk, "kid").filter(|kid| (1..=MAX_KID_BYTES).contains(&kid.len()))?;
    let modulus = number(jwk, "n").filter(|n| MODULUS_BYTES.contains(&n.len()) && is_odd(n))?;
    let exponent = number(jwk, "e").filter(|e| is_sound_exponent(e))?;
    let key = SigningKey {
        thumbprint: sha256(&[&modulus, &exponent]),
        decoding: DecodingKey::from_rsa_raw_components(&modulus, &exponent),
    };
    Some((kid.into(), key))
}

/// SHA-256 over `parts`, each preceded by its length so that no two lists collide.
pub(super) fn sha256(parts: &[&[u8]]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(&part.len().to_be_bytes());
        context.update(part);
    }
    let mut hash = [0; 32];
    for (to, from) in hash.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    hash
}

/// RFC 7517 §4.3: `key_ops`, where present, must allow what we do with the key.
fn may_verify(jwk: &Object) -> bool {
    match jwk.get("key_ops") {
        None => true,
        Some(Json::Array(operations)) => operations
            .iter()
            .any(|operation| *operation == Json::String("verify".into())),
        Some(_) => false,
    }
}

/// Azure: in documents shared between tenants a key may name the issuer it signs for, as a template
/// or with a tenant's id; the consumer tenant's keys stand beside the others
/// <https://learn.microsoft.com/entra/identity-platform/access-tokens#validate-the-issuer>.
///
/// SECURITY: a key of another tenant must not vouch for ours.
fn speaks_for(jwk: &Object, tenant: TenantId) -> bool {
    match jwk.get("issuer") {
        None => true,
        Some(Json::String(issuer)) => {
            let issuer = issuer.replace(TENANT_TEMPLATE, &tenant.to_string());
            names_no_other_tenant(&issuer, tenant)
        }
        Some(_) => false,
    }
}

/// Whether every GUID among the path segments of `issuer` is `tenant`.
pub(super) fn names_no_other_tenant(issuer: &str, tenant: TenantId) -> bool {
    issuer
        .split('/')
        .filter_map(|segment| segment.parse::<Guid>().ok())
        .all(|guid| guid == tenant.0)
}

/// A public exponent is odd, above 2^16 (FIPS 186-5 §5.4) and, as everywhere in practice, short.
/// An exponent of 1 would make every signature forgeable.
fn is_sound_exponent(exponent: &[u8]) -> bool {
    (3..=4).contains(&exponent.len()) && is_odd(exponent)
}

fn is_odd(number: &[u8]) -> bool {
    number.last().is_some_and(|byte| byte % 2 == 1)
}

/// A base64url number without its leading zero bytes, which some issuers write.
fn number(jwk: &Object, name: &str) -> Option<Vec<u8>> {
    let bytes = URL_SAFE_NO_PAD.decode(text(jwk, name)?).ok()?;
    Some(bytes.into_iter().skip_while(|byte| *byte == 0).collect())
}

fn text<'a>(jwk: &'a Object, name: &str) -> Option<&'a str> {
    if let Some(Json::String(text)) = jwk.get(name) {
        Some(text)
    } else {
        None
    }
}

fn is_text(jwk: &Object, name: &str, expected: &str) -> bool {
    text(jwk, name) == Some(expected)
}

fn is_absent_or(jwk: &Object, name: &str, expected: &str) -> bool {
    !jwk.contains_key(name) || is_text(jwk, name, expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TENANT: TenantId = TenantId(Guid::from_u128(0x11));

    /// A modulus of `bytes` bytes; parsing looks at its size and last bit only.
    fn modulus(bytes: usize, fill: u8) -> String {
        URL_SAFE_NO_PAD.encode(vec![fill; bytes])
    }

    fn jwk(kid: &str, more: &str) -> String {
        format!(
            r#"{{"kty":"RSA","kid":"{kid}","n":"{}","e":"AQAB"{more}}}"#,
            modulus(256, 0xff)
        )
    }

    fn parse(keys: &[String]) -> Result<KeySet, JwksError> {
        let document = format!(r#"{{"keys":[{}]}}"#, keys.join(","));
        KeySet::parse(document.as_bytes(), TENANT)
    }

    #[test]
    fn a_signature_key_is_usable_however_little_it_says_of_itself() {
        for more in [
            "",
            r#","use":"sig""#,
            r#","alg":"RS256","use":"sig","x5c":["MIIB"],"x5t":"a""#,
            r#","key_ops":["verify"]"#,
            r#","issuer":"https://login.example/{tenantid}/v2.0""#,
            r#","issuer":"https://login.example/00000000-0000-0000-0000-000000000011/v2.0""#,
        ] {
            let set = parse(&[jwk("k", more)]).unwrap();
            assert!(set.get("k").is_some() && set.len() == 1, "{more}");
            assert!(set.get("K").is_none());
        }
    }

    #[test]
    fn keys_that_could_not_have_signed_are_passed_over() {
        let n = modulus(256, 0xff);
        let other = "9188040d-0000-4000-8000-000000000000";
        for unusable in [
            jwk("k", r#","use":"enc""#),
            jwk("k", r#","use":null"#),
            jwk("k", r#","alg":"RS512""#),
            jwk("k", r#","alg":"HS256""#),
            jwk("k", r#","key_ops":["sign"]"#),
            jwk("k", r#","key_ops":"verify""#),
            jwk(
                "k",
                &format!(r#","issuer":"https://l.example/{other}/v2.0""#),
            ),
            jwk("k", r#","issuer":7"#),
            jwk("", ""),
            jwk(&"k".repeat(MAX_KID_BYTES + 1), ""),
            format!(r#"{{"kty":"RSA","n":"{n}","e":"AQAB"}}"#),
            format!(r#"{{"kty":"RSA","kid":7,"n":"{n}","e":"AQAB"}}"#),
            format!(r#"{{"kty":"RSA","kid":"k","n":"{n}","e":"AQ"}}"#),
            format!(r#"{{"kty":"RSA","kid":"k","n":"{n}","e":"Aw"}}"#),
            format!(r#"{{"kty":"RSA","kid":"k","n":"{n}","e":"AQAA"}}"#),
            format!(r#"{{"kty":"RSA","kid":"k","n":"{n}","e":""}}"#),
            format!(r#"{{"kty":"RSA","kid":"k","n":"{n}="}}"#),
            format!(
                r#"{{"kty":"RSA","kid":"k","n":"{}","e":"AQAB"}}"#,
                modulus(128, 0xff)
            ),
            format!(
                r#"{{"kty":"RSA","kid":"k","n":"{}","e":"AQAB"}}"#,
                modulus(1025, 0xff)
            ),
            format!(
                r#"{{"kty":"RSA","kid":"k","n":"{}","e":"AQAB"}}"#,
                modulus(256, 0xfe)
            ),
            format!(r#"{{"kty":"oct","kid":"k","k":"{n}"}}"#),
            r#"{"kty":"EC","crv":"P-256","kid":"k","x":"AQ","y":"AQ"}"#.to_owned(),
        ] {
            assert_eq!(
                parse(std::slice::from_ref(&unusable)).unwrap_err(),
                JwksError::NoKeys,
                "{unusable}"
            );
            let set = parse(&[unusable, jwk("good", "")]).unwrap();
            assert!(set.get("k").is_none() && set.len() == 1);
        }
    }

    #[test]
    fn a_short_key_does_not_grow_by_leading_zeros() {
        let mut padded = vec![0; 128];
        padded.extend([0xff; 128]);
        let n = URL_SAFE_NO_PAD.encode(padded);
        let key = format!(r#"{{"kty":"RSA","kid":"k","n":"{n}","e":"AQAB"}}"#);
        assert_eq!(parse(&[key]).unwrap_err(), JwksError::NoKeys);
    }

    #[test]
    fn two_keys_of_one_name_are_both_passed_over_and_one_key_twice_is_one() {
        let other = jwk("k", "").replace(&modulus(256, 0xff), &modulus(256, 0xfd));
        let twice = parse(&[jwk("k", ""), jwk("k", r#","use":"sig""#)]).unwrap();
        assert_eq!(twice.len(), 1);
        assert_eq!(
            parse(&[jwk("k", ""), other.clone()]).unwrap_err(),
            JwksError::NoKeys
        );
        assert_eq!(
            parse(&[jwk("k", ""), other, jwk("k", "")]).unwrap_err(),
            JwksError::NoKeys
        );
    }

    #[test]
    fn a_document_of_another_form_is_an_error() {
        for (document, error) in [
            ("", JwksError::Malformed),
            ("[]", JwksError::Malformed),
            ("{}", JwksError::Malformed),
            (r#"{"keys":{}}"#, JwksError::Malformed),
            (r#"{"keys":["k"]}"#, JwksError::Malformed),
            (r#"{"keys":[],"keys":[]}"#, JwksError::Malformed),
            (r#"{"keys":[{"kid":"a","kid":"b"}]}"#, JwksError::Malformed),
            (r#"{"keys":[]}"#, JwksError::NoKeys),
        ] {
            assert_eq!(
                KeySet::parse(document.as_bytes(), TENANT).unwrap_err(),
                error,
                "{document}"
            );
        }
        let many: Vec<String> = (0..=MAX_KEYS).map(|i| jwk(&i.to_string(), "")).collect();
        assert_eq!(parse(&many).unwrap_err(), JwksError::TooManyKeys);
    }
}

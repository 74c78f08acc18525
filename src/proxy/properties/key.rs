//! Keys: as they are made, imported, changed, used, and as the vault describes them.

use jiff::Span;

use super::read::{array, bits, boolean, bytes, integer, is_given, object, text};
use super::{Gathered, count, list, number, spelled, spelling, truth};
use crate::abac::vocabulary::Property;
use crate::json::{Json, Object};

/// `POST /keys/{name}/create`
pub(super) fn of_creation(found: &mut Gathered, body: &Object) {
    found.life(body);
    release_policy(found, body);
    let kty = text(body, "kty");
    found.put(Property::KeyType, kty.map(spelling));
    found.put(Property::IsHsmBacked, kty.map(is_hsm).map(truth));
    found.put(Property::KeySize, integer(body, "key_size").map(number));
    found.put(Property::Curve, text(body, "crv").map(spelling));
    found.put(Property::KeyOps, list(body, "key_ops", spelled));
    found.put(Property::Exportable, exportable(body).map(truth));
    let exponent = integer(body, "public_exponent");
    found.put(Property::PublicExponent, exponent.map(number));
}

/// `PUT /keys/{name}`: a JSON Web Key, and `Hsm`.
pub(super) fn of_import(found: &mut Gathered, body: &Object) {
    found.life(body);
    release_policy(found, body);
    found.put(Property::Exportable, exportable(body).map(truth));
    let Some(key) = object(body, "key") else {
        return;
    };
    jwk(found, key);
    let kty = text(key, "kty").map(is_hsm);
    let flag = match body.get("Hsm") {
        None => Some(false),
        Some(flag) => super::read::as_boolean(flag),
    };
    let hsm = kty.zip(flag).map(|(kty, flag)| kty || flag);
    found.put(Property::IsHsmBacked, hsm.map(truth));
}

/// `PATCH /keys/{name}/{version}`
pub(super) fn of_update(found: &mut Gathered, body: &Object) {
    found.life(body);
    release_policy(found, body);
    found.put(Property::KeyOps, list(body, "key_ops", spelled));
    found.put(Property::Exportable, exportable(body).map(truth));
}

/// `…/sign` and `…/verify`, which have the digest under different names.
pub(super) fn of_signature(found: &mut Gathered, body: &Object, digest: &str) {
    found.put(Property::Algorithm, text(body, "alg").map(spelling));
    let length = bytes(body, digest).map(|digest| digest.len());
    found.put(Property::DigestLength, length.and_then(count));
}

/// `…/release`
pub(super) fn of_release(found: &mut Gathered, body: &Object) {
    found.put(Property::Algorithm, text(body, "enc").map(spelling));
    for (property, name) in [
        (Property::HasNonce, "nonce"),
        (Property::HasTargetAttestation, "target"),
    ] {
        let given = match body.get(name) {
            None | Some(Json::Null) => Some(false),
            Some(other) => other.as_text().map(|text| !text.is_empty()),
        };
        found.put(property, given.map(truth));
    }
}

/// `PUT /keys/{name}/rotationpolicy`
pub(super) fn of_rotation_policy(found: &mut Gathered, body: &Object) {
    let expiry = object(body, "attributes").and_then(|attributes| text(attributes, "expiryTime"));
    let days = expiry.and_then(whole_days);
    if expiry.is_some() {
        // `P3M` ends some day, too.
        found.doubt(&[Property::ExpiryDays]);
    }
    found.put(Property::ExpiryDays, days.map(number));
    let rotates: Option<Vec<bool>> = array(body, "lifetimeActions").and_then(|actions| {
        let kind = |json: &Json| {
            let Json::Object(entry) = json else {
                return None;
            };
            let kind = text(object(entry, "action")?, "type")?;
            Some(kind.eq_ignore_ascii_case("rotate"))
        };
        actions.iter().map(kind).collect()
    });
    let rotates = rotates.map(|rotates| rotates.contains(&true));
    found.put(Property::AutoRotate, rotates.map(truth));
}

/// A key as the vault describes it; returns its id.
pub(super) fn of_answer<'a>(found: &mut Gathered, answer: &'a Object) -> Option<&'a str> {
    release_policy(found, answer);
    found.put(Property::Exportable, exportable(answer).map(truth));
    let attributes = object(answer, "attributes");
    if let Some(attributes) = attributes {
        let platform = text(attributes, "hsmPlatform");
        found.put(Property::HsmPlatform, platform.map(super::words));
        let external = is_given(attributes, "externalKey");
        found.put(Property::HasExternalKey, Some(truth(external)));
    }
    let key = object(answer, "key")?;
    jwk(found, key);
    found.put(
        Property::IsHsmBacked,
        text(key, "kty").map(is_hsm).map(truth),
    );
    let size = attributes.and_then(|attributes| integer(attributes, "key_size"));
    found.put(Property::KeySize, size.map(number));
    text(key, "kid")
}

/// What a JSON Web Key says of itself.
fn jwk(found: &mut Gathered, key: &Object) {
    let kty = text(key, "kty");
    found.put(Property::KeyType, kty.map(spelling));
    found.put(Property::Curve, text(key, "crv").map(spelling));
    found.put(Property::KeyOps, list(key, "key_ops", spelled));
    found.put(
        Property::KeySize,
        kty.and_then(|kty| size(kty, key)).map(number),
    );
    let exponent = bytes(key, "e").and_then(|digits| whole(&digits));
    found.put(Property::PublicExponent, exponent.map(number));
}

/// The size of an RSA key is that of its modulus. An elliptic key has a curve instead.
fn size(kty: &str, key: &Object) -> Option<i64> {
    let is = |family: &str| {
        let (name, rest) = kty.split_at_checked(family.len()).unwrap_or((kty, ""));
        name.eq_ignore_ascii_case(family) && (rest.is_empty() || is_hsm(rest))
    };
    if is("RSA") {
        bits(&bytes(key, "n")?)
    } else if is("oct") {
        i64::try_from(bytes(key, "k")?.len()).ok()?.checked_mul(8)
    } else {
        None
    }
}

fn whole(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0_i64, |value, digit| {
        value.checked_mul(256)?.checked_add(i64::from(*digit))
    })
}

fn is_hsm(kty: &str) -> bool {
    kty.to_ascii_uppercase().ends_with("-HSM")
}

fn exportable(holder: &Object) -> Option<bool> {
    boolean(object(holder, "attributes")?, "exportable")
}

/// Only whether there is one: what it says is for the service that it is about.
fn release_policy(found: &mut Gathered, holder: &Object) {
    const NAME: &str = "release_policy";
    let policy = object(holder, NAME);
    if policy.is_some() || !is_given(holder, NAME) {
        found.put(Property::HasReleasePolicy, Some(truth(policy.is_some())));
    }
    let immutable = policy.and_then(|policy| boolean(policy, "immutable"));
    found.put(Property::ReleasePolicyImmutable, immutable.map(truth));
}

/// The days of an ISO 8601 duration; `None` for one that is not whole days, as a month is not.
fn whole_days(text: &str) -> Option<i64> {
    let span: Span = text.parse().ok()?;
    let small = [
        i64::from(span.get_hours()),
        span.get_minutes(),
        span.get_seconds(),
        span.get_milliseconds(),
        span.get_microseconds(),
        span.get_nanoseconds(),
    ];
    let vague = span.get_years() != 0 || span.get_months() != 0;
    if vague || span.is_negative() || small.iter().any(|unit| *unit != 0) {
        return None;
    }
    Some(i64::from(span.get_weeks()) * 7 + i64::from(span.get_days()))
}

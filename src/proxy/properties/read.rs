//! Members of JSON objects, by type; another type is as if there were none.

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};

use crate::json::{Json, Number, Object};

/// Azure writes base64url without padding; some clients pad.
const BASE64URL: GeneralPurpose = GeneralPurpose::new(
    &URL_SAFE,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

pub(super) fn text<'a>(holder: &'a Object, name: &str) -> Option<&'a str> {
    holder.get(name)?.as_text()
}

pub(super) fn object<'a>(holder: &'a Object, name: &str) -> Option<&'a Object> {
    if let Json::Object(object) = holder.get(name)? {
        Some(object)
    } else {
        None
    }
}

pub(super) fn array<'a>(holder: &'a Object, name: &str) -> Option<&'a [Json]> {
    if let Json::Array(items) = holder.get(name)? {
        Some(items)
    } else {
        None
    }
}

pub(super) fn boolean(holder: &Object, name: &str) -> Option<bool> {
    as_boolean(holder.get(name)?)
}

pub(super) const fn as_boolean(json: &Json) -> Option<bool> {
    if let Json::Bool(value) = json {
        Some(*value)
    } else {
        None
    }
}

pub(super) fn integer(holder: &Object, name: &str) -> Option<i64> {
    match holder.get(name)? {
        Json::Number(Number::Unsigned(value)) => i64::try_from(*value).ok(),
        Json::Number(Number::Negative(value)) => Some(*value),
        Json::Number(Number::Fraction(_))
        | Json::Array(_)
        | Json::Bool(_)
        | Json::Null
        | Json::Object(_)
        | Json::String(_) => None,
    }
}

/// What a base64url text stands for.
pub(super) fn bytes(holder: &Object, name: &str) -> Option<Vec<u8>> {
    BASE64URL.decode(text(holder, name)?).ok()
}

/// Whether something is there that says something: `null` does not.
pub(super) fn is_given(holder: &Object, name: &str) -> bool {
    holder.get(name).is_some_and(|value| *value != Json::Null)
}

/// How many bits a big-endian number has.
pub(super) fn bits(number: &[u8]) -> Option<i64> {
    let mut digits = number.iter().skip_while(|digit| **digit == 0);
    let first = digits.next()?;
    let rest = i64::try_from(digits.count()).ok()?;
    Some(rest * 8 + i64::from(u8::BITS - first.leading_zeros()))
}

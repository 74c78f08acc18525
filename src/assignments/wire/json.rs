//! Text -> JSON values, with what `serde_json::Value` lets pass refused.
//!
//! SECURITY: an object that names a member twice means one thing to us and maybe another to the
//! tool that wrote or checked it (`condition` once as text and once as null), so it is refused.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use thiserror::Error;

/// How deep arrays and objects may nest. Real exports need eight.
pub(super) const MAX_NESTING: usize = 32;

/// The members of an object.
pub(super) type Object = BTreeMap<Box<str>, Json>;

/// A JSON value. Numbers are not kept: no field of an export that we read is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Json {
    /// `[…]`
    Array(Vec<Json>),
    /// `true` or `false`
    Bool(bool),
    /// `null`
    Null,
    /// A number.
    Number,
    /// `{…}`
    Object(Object),
    /// `"…"`
    String(Box<str>),
}

impl Json {
    /// What an error calls such a value.
    pub(super) const fn kind(&self) -> &'static str {
        match self {
            Self::Array(_) => "a list",
            Self::Bool(_) => "a boolean",
            Self::Null => "null",
            Self::Number => "a number",
            Self::Object(_) => "an object",
            Self::String(_) => "a text",
        }
    }
}

/// A text that is not JSON, or JSON that we refuse; with line and column.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("expected JSON: {0}")]
pub struct JsonError(Box<str>);

/// Reads one JSON value.
///
/// # Errors
/// [`JsonError`] for a syntax error, text after the value, a member named twice and nesting
/// beyond [`MAX_NESTING`].
pub(super) fn parse(text: &str) -> Result<Json, JsonError> {
    let refuse = |error: serde_json::Error| JsonError(error.to_string().into());
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let json = Level(0).deserialize(&mut deserializer).map_err(refuse)?;
    deserializer.end().map_err(refuse)?;
    Ok(json)
}

/// How many arrays and objects are open around a value.
#[derive(Clone, Copy)]
struct Level(usize);

impl Level {
    fn inside<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.0 >= MAX_NESTING {
            return Err(E::custom(format_args!(
                "nested more than {MAX_NESTING} levels deep"
            )));
        }
        Ok(Self(self.0 + 1))
    }
}

impl<'de> DeserializeSeed<'de> for Level {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Level {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Json, E> {
        Ok(Json::Number)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Json, E> {
        Ok(Json::Number)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Json, E> {
        Ok(Json::Number)
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::String(value.into()))
    }

    fn visit_string<E>(self, value: String) -> Result<Json, E> {
        Ok(Json::String(value.into()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let inside = self.inside()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(inside)? {
            list.push(item);
        }
        Ok(Json::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Json, A::Error> {
        let inside = self.inside()?;
        let mut object = Object::new();
        while let Some(name) = members.next_key::<Box<str>>()? {
            if object.contains_key(&name) {
                return Err(A::Error::custom(format_args!(
                    "member `{}` occurs twice in one object",
                    shorten(&name)
                )));
            }
            object.insert(name, members.next_value_seed(inside)?);
        }
        Ok(Json::Object(object))
    }
}

/// A member name or an error code, fit for a one-line message: no control characters, at most 64
/// characters.
pub(super) fn shorten(text: &str) -> String {
    let shown = text.chars().map(|c| if c.is_control() { '?' } else { c });
    shown.take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn values_are_read() {
        let Json::Object(object) =
            parse(r#"{"a":null,"b":[true,1,-1,1.5],"c":"\u00e9","d":{}}"#).unwrap()
        else {
            panic!("expected an object");
        };
        assert_eq!(object["a"], Json::Null);
        assert_eq!(
            object["b"],
            Json::Array(vec![
                Json::Bool(true),
                Json::Number,
                Json::Number,
                Json::Number
            ])
        );
        assert_eq!(object["c"], Json::String("é".into()));
        assert_eq!(object["d"], Json::Object(Object::new()));
    }

    #[test]
    fn a_member_that_occurs_twice_is_refused_at_any_depth() {
        let text = r#"[{"properties":{"x":1,"condition":"a","condition":null}}]"#;
        assert!(message(text).contains("member `condition` occurs twice"));
        // The same name spelled with an escape is the same name.
        assert!(message(r#"{"a":1,"\u0061":2}"#).contains("member `a` occurs twice"));
    }

    #[test]
    fn nesting_is_bounded() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(parse(&nested(MAX_NESTING)).is_ok());
        assert!(message(&nested(MAX_NESTING + 1)).contains("levels deep"));
        assert!(message(&"[".repeat(1_000_000)).contains("levels deep"));
    }

    #[test]
    fn what_follows_the_value_is_refused() {
        assert!(message("[] []").contains("trailing characters"));
        assert!(message("[{]").contains("line 1 column"));
    }
}

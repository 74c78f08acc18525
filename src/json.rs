//! JSON, read strictly, with what `serde_json::Value` lets pass refused.
//!
//! SECURITY: an object that names a member twice means one thing to us and maybe another to
//! whoever wrote, checked or will read it, so it is refused at every depth. There is one parse:
//! what was checked is what is read, and what is sent on is written from it.
//!
//! Values are never shown: a body may hold a secret, so [`Json`]'s `Debug` tells kinds only.

mod tree;

use std::collections::BTreeMap;
use std::fmt;
use std::io;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};
use thiserror::Error;
use zeroize::Zeroize;

pub(crate) use tree::{Branch, Members, Name, Names, Tree};

/// How deep arrays and objects may nest. Real exports of role data need eight.
pub(crate) const MAX_NESTING: usize = 32;

/// The members of an object, by name.
pub(crate) type Object = BTreeMap<Box<str>, Json>;

/// A JSON value.
#[derive(Clone, PartialEq)]
pub(crate) enum Json {
    /// `[…]`
    Array(Vec<Self>),
    /// `true` or `false`
    Bool(bool),
    /// `null`
    Null,
    /// A number.
    Number(Number),
    /// `{…}`
    Object(Object),
    /// `"…"`
    String(Box<str>),
}

/// A JSON number.
#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Number {
    /// A whole number from 0.
    Unsigned(u64),
    /// A whole number below 0.
    Negative(i64),
    /// A number with a fraction or an exponent, or too large for the integers. Always finite.
    Fraction(f64),
}

/// A text that is not JSON, or JSON that we refuse; with line and column.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("expected JSON: {0}")]
pub struct JsonError(Box<str>);

impl From<serde_json::Error> for JsonError {
    fn from(error: serde_json::Error) -> Self {
        Self(error.to_string().into())
    }
}

impl Json {
    /// Reads one value and nothing after it but white space.
    ///
    /// # Errors
    /// [`JsonError`] for a syntax error, bytes that are not UTF-8, text after the value, a member
    /// named twice and nesting beyond [`MAX_NESTING`].
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let json = Level::TOP.deserialize(&mut deserializer)?;
        deserializer.end()?;
        Ok(json)
    }

    /// Writes the value, without white space and with the members of objects sorted by name.
    ///
    /// # Errors
    /// Those of `to`; every value that can be read can be written.
    pub(crate) fn write(&self, to: impl io::Write) -> Result<(), JsonError> {
        Ok(serde_json::to_writer(to, self)?)
    }

    /// What an error calls such a value.
    pub(crate) const fn kind(&self) -> &'static str {
        match self {
            Self::Array(_) => "a list",
            Self::Bool(_) => "a boolean",
            Self::Null => "null",
            Self::Number(_) => "a number",
            Self::Object(_) => "an object",
            Self::String(_) => "a text",
        }
    }

    /// The text, if it is one.
    pub(crate) const fn as_text(&self) -> Option<&str> {
        if let Self::String(text) = self {
            Some(text)
        } else {
            None
        }
    }
}

impl Zeroize for Json {
    /// Wipes every text; the names of members and the numbers stay.
    fn zeroize(&mut self) {
        match self {
            Self::Array(items) => items.iter_mut().for_each(Self::zeroize),
            Self::Object(members) => members.values_mut().for_each(Self::zeroize),
            Self::String(text) => text.zeroize(),
            Self::Bool(_) | Self::Null | Self::Number(_) => {}
        }
    }
}

impl fmt::Debug for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind())
    }
}

impl fmt::Debug for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number")
    }
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Array(items) => serializer.collect_seq(items),
            Self::Bool(value) => serializer.serialize_bool(*value),
            Self::Null => serializer.serialize_unit(),
            Self::Number(Number::Unsigned(value)) => serializer.serialize_u64(*value),
            Self::Number(Number::Negative(value)) => serializer.serialize_i64(*value),
            Self::Number(Number::Fraction(value)) => serializer.serialize_f64(*value),
            Self::Object(members) => serializer.collect_map(members),
            Self::String(text) => serializer.serialize_str(text),
        }
    }
}

/// How many arrays and objects are open around a value.
#[derive(Clone, Copy)]
pub(crate) struct Level(usize);

impl Level {
    /// That of the whole value.
    pub(crate) const TOP: Self = Self(0);

    /// That of what is inside an array or object at this level.
    pub(crate) fn inside<E: serde::de::Error>(self) -> Result<Self, E> {
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

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        let number = u64::try_from(value).map_or(Number::Negative(value), Number::Unsigned);
        Ok(Json::Number(number))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Number(Number::Unsigned(value)))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json, E> {
        if value.is_finite() {
            Ok(Json::Number(Number::Fraction(value)))
        } else {
            Err(E::custom("a number is not finite"))
        }
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
                return Err(occurs_twice(&name));
            }
            object.insert(name, members.next_value_seed(inside)?);
        }
        Ok(Json::Object(object))
    }
}

/// The error for a member that is named twice.
pub(crate) fn occurs_twice<E: serde::de::Error>(name: &str) -> E {
    E::custom(format_args!(
        "member `{}` occurs twice in one object",
        shorten(name)
    ))
}

/// A member name or an error code, fit for a one-line message: no control characters, at most 64
/// characters.
pub(crate) fn shorten(text: &str) -> String {
    let shown = text.chars().map(|c| if c.is_control() { '?' } else { c });
    shown.take(64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Json, JsonError> {
        Json::parse(text.as_bytes())
    }

    fn message(text: &str) -> String {
        parse(text).unwrap_err().to_string()
    }

    #[test]
    fn values_keep_their_kinds() {
        let Json::Object(object) = parse(
            r#" {"a":1,"b":-1,"c":1.5,"d":"\u00e9","e":null,"f":[true],"g":{"h":1},"i":1e3} "#,
        )
        .unwrap() else {
            panic!("expected an object");
        };
        assert_eq!(object["a"], Json::Number(Number::Unsigned(1)));
        assert_eq!(object["b"], Json::Number(Number::Negative(-1)));
        assert_eq!(object["c"], Json::Number(Number::Fraction(1.5)));
        assert_eq!(object["d"], Json::String("é".into()));
        assert_eq!(object["e"], Json::Null);
        assert_eq!(object["f"], Json::Array(vec![Json::Bool(true)]));
        assert_eq!(object["i"], Json::Number(Number::Fraction(1000.0)));
        assert!(matches!(&object["g"], Json::Object(inner) if inner.len() == 1));
    }

    #[test]
    fn what_is_read_is_written_as_the_same_value() {
        for (text, written) in [
            (r#"{"b":1,"a":[ ]}"#, r#"{"a":[],"b":1}"#),
            ("18446744073709551615", "18446744073709551615"),
            ("-9223372036854775808", "-9223372036854775808"),
            (r#"["\u0000\ud83d\ude00/\""]"#, "[\"\\u0000😀/\\\"\"]"),
            ("1.5e0", "1.5"),
            ("null", "null"),
        ] {
            let json = parse(text).unwrap();
            let mut bytes = Vec::new();
            json.write(&mut bytes).unwrap();
            assert_eq!(String::from_utf8(bytes.clone()).unwrap(), written);
            assert_eq!(Json::parse(&bytes), Ok(json));
        }
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
    fn what_is_not_one_value_is_refused() {
        assert!(message("[] []").contains("trailing characters"));
        assert!(message("[{]").contains("line 1 column"));
        for text in [
            "",
            "NaN",
            "Infinity",
            "1e999",
            "01",
            "[1,]",
            "{'a':1}",
            r#""\ud800""#,
            "\"\u{1}\"",
            "\u{feff}{}",
            "// {}",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
        assert!(Json::parse(b"\"\xff\"").is_err());
    }

    #[test]
    fn no_value_is_shown() {
        let json = parse(r#"{"value":"hunter2","n":4711}"#).unwrap();
        assert_eq!(format!("{json:?}"), "an object");
        let Json::Object(members) = json else {
            panic!("expected an object");
        };
        let shown = format!("{members:?}");
        assert!(
            !shown.contains("hunter2") && !shown.contains("4711"),
            "{shown}"
        );
    }
}

//! JSON as an issuer writes it: objects in which every name stands once.
//!
//! SECURITY: two readers that disagree about which of two equal names counts are an attack, so a
//! repeated name is refused at every depth. At the top, where claims and header parameters are
//! looked up, names that differ only in ASCII case are refused as well: some readers of the same
//! token look claims up without regard to case. (RFC 7515 §4, RFC 7519 §4.)
//!
//! There is one parse: what was checked is what is read.

use std::collections::HashSet;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// A JSON text that is not one object with unique names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct JsonError;

/// A JSON value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Json {
    Bool(bool),
    /// A number with a fraction or an exponent, or too large for the integers. Always finite.
    Fraction(f64),
    List(Vec<Self>),
    Negative(i64),
    Null,
    Object(Object),
    Text(Box<str>),
    Unsigned(u64),
}

/// A JSON object; no name stands twice.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Object(Vec<(Box<str>, Json)>);

impl Object {
    /// Reads `bytes` as one object and nothing after it but white space.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        let object: Self = serde_json::from_slice(bytes).map_err(|_| JsonError)?;
        let mut names = HashSet::with_capacity(object.0.len());
        let unique = object
            .0
            .iter()
            .all(|(name, _)| names.insert(name.to_ascii_lowercase()));
        if unique { Ok(object) } else { Err(JsonError) }
    }

    /// The value under `name`, compared exactly.
    pub(crate) fn get(&self, name: &str) -> Option<&Json> {
        self.0
            .iter()
            .find(|(known, _)| &**known == name)
            .map(|(_, value)| value)
    }

    /// Whether `name` is there, whatever its value.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(JsonVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut names: HashSet<Box<str>> = HashSet::new();
        let mut members = Vec::new();
        while let Some((name, value)) = map.next_entry::<Box<str>, Json>()? {
            if !names.insert(name.clone()) {
                return Err(A::Error::custom("a name stands twice"));
            }
            members.push((name, value));
        }
        Ok(Object(members))
    }
}

struct JsonVisitor;

impl<'de> Visitor<'de> for JsonVisitor {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Json, E> {
        Ok(u64::try_from(value).map_or(Json::Negative(value), Json::Unsigned))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Json, E> {
        Ok(Json::Unsigned(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json, E> {
        if value.is_finite() {
            Ok(Json::Fraction(value))
        } else {
            Err(E::custom("a number is not finite"))
        }
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::Text(value.into()))
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Json, A::Error> {
        let mut values = Vec::new();
        while let Some(value) = list.next_element()? {
            values.push(value);
        }
        Ok(Json::List(values))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Json, A::Error> {
        ObjectVisitor.visit_map(map).map(Json::Object)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_keep_their_kinds() {
        let object = Object::parse(
            br#" {"a":1,"b":-1,"c":1.5,"d":"x","e":null,"f":[true],"g":{"h":1},"i":1e3} "#,
        )
        .unwrap();
        assert_eq!(object.get("a"), Some(&Json::Unsigned(1)));
        assert_eq!(object.get("b"), Some(&Json::Negative(-1)));
        assert_eq!(object.get("c"), Some(&Json::Fraction(1.5)));
        assert_eq!(object.get("d"), Some(&Json::Text("x".into())));
        assert_eq!(object.get("e"), Some(&Json::Null));
        assert_eq!(object.get("f"), Some(&Json::List(vec![Json::Bool(true)])));
        assert_eq!(object.get("i"), Some(&Json::Fraction(1000.0)));
        assert!(object.has("g") && object.has("e") && !object.has("A"));
    }

    #[test]
    fn what_is_not_one_object_with_unique_names_is_refused() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"tid":"x","Tid":"y"}"#,
            r#"{"n":{"a":1,"a":2}}"#,
            r#"{"n":[[{"a":1,"a":2}]]}"#,
            r#"{"a":1} x"#,
            r#"{"a":1}{"a":1}"#,
            r#"{"a":NaN}"#,
            r#"{"a":Infinity}"#,
            r#"{"a":1e999}"#,
            r#"{"a":01}"#,
            r#"{"a":1,}"#,
            r#"{'a':1}"#,
            r#"{"a":"\ud800"}"#,
            "{\"a\":\"\u{1}\"}",
            "\u{feff}{}",
            "[]",
            "1",
            "",
            "null",
            "// {}",
        ] {
            assert_eq!(Object::parse(text.as_bytes()), Err(JsonError), "{text}");
        }
        assert_eq!(Object::parse(b"{\"a\":\"\xff\"}"), Err(JsonError));
    }

    #[test]
    fn nesting_without_end_is_refused_without_a_crash() {
        let deep = format!("{{\"a\":{}", "[".repeat(8000));
        assert_eq!(Object::parse(deep.as_bytes()), Err(JsonError));
        let closed = format!("{{\"a\":{}{}}}", "[".repeat(4000), "]".repeat(4000));
        assert_eq!(Object::parse(closed.as_bytes()), Err(JsonError));
    }

    #[test]
    fn names_that_differ_in_case_may_stand_side_by_side_below_the_top() {
        assert!(Object::parse(br#"{"labels":{"App":"a","app":"b"}}"#).is_ok());
    }
}

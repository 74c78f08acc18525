//! Whether a value conforms to our own schema.
//!
//! The schema is made by `schemars` from the settings' types and uses a dozen keywords of JSON
//! Schema; these are checked here. A general validator would be a tenth of the program and most of
//! the time it takes to read a configuration. Tests hold this one against such a validator, and
//! the schema against [`KEYWORDS`].

use serde_json::Value;

use super::document::escape;

/// Every keyword of the schema: first those that constrain, then those that explain.
#[cfg(test)]
pub(super) const KEYWORDS: [&str; 16] = [
    "additionalProperties",
    "enum",
    "items",
    "maximum",
    "minItems",
    "minLength",
    "minimum",
    "properties",
    "required",
    "type",
    "$schema",
    "default",
    "description",
    "examples",
    "format",
    "title",
];

/// What is wrong with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Violation {
    /// A text or a list without anything in it.
    Empty,
    /// A key that is required and not there.
    Missing,
    /// Outside the limits, or none of the options.
    Refused,
    /// Of another type.
    Type,
    /// A key that the schema does not know.
    Unknown,
}

/// Calls `tell` with each violation of `schema` in `value`, and with the JSON pointer of what is
/// wrong, unknown or missing; `pointer` is that of `value` itself.
pub(super) fn violations(
    schema: &Value,
    value: &Value,
    pointer: &str,
    tell: &mut impl FnMut(String, Violation),
) {
    if !is_of_type(schema, value) {
        tell(pointer.to_owned(), Violation::Type);
        return;
    }
    if !is_an_option(schema, value) || !is_within(schema, value) {
        tell(pointer.to_owned(), Violation::Refused);
    }
    if !is_filled(schema, value) {
        tell(pointer.to_owned(), Violation::Empty);
    }
    match value {
        Value::Array(elements) => {
            let Some(schema) = schema.get("items") else {
                return;
            };
            for (index, element) in elements.iter().enumerate() {
                violations(schema, element, &format!("{pointer}/{index}"), tell);
            }
        }
        Value::Object(_) => table(schema, value, pointer, tell),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

fn table(schema: &Value, value: &Value, pointer: &str, tell: &mut impl FnMut(String, Violation)) {
    let members = value.as_object().into_iter().flatten();
    for (key, member) in members {
        let pointer = format!("{pointer}/{}", escape(key));
        let known = schema.get("properties").and_then(|known| known.get(key));
        match known.or_else(|| schema.get("additionalProperties")) {
            Some(Value::Bool(false)) => tell(pointer, Violation::Unknown),
            Some(schema) => violations(schema, member, &pointer, tell),
            None => {}
        }
    }
    let required = schema.get("required").and_then(Value::as_array);
    for key in required.into_iter().flatten().filter_map(Value::as_str) {
        if value.get(key).is_none() {
            tell(format!("{pointer}/{}", escape(key)), Violation::Missing);
        }
    }
}

fn is_of_type(schema: &Value, value: &Value) -> bool {
    let is_of = |name: &Value| match name.as_str() {
        Some("array") => value.is_array(),
        Some("boolean") => value.is_boolean(),
        Some("integer") => value.is_i64() || value.is_u64(),
        Some("null") => value.is_null(),
        Some("object") => value.is_object(),
        Some("string") => value.is_string(),
        // A type that we never ask for is not met.
        _ => false,
    };
    match schema.get("type") {
        Some(Value::Array(names)) => names.iter().any(is_of),
        Some(name) => is_of(name),
        None => true,
    }
}

fn is_an_option(schema: &Value, value: &Value) -> bool {
    let options = schema.get("enum").and_then(Value::as_array);
    options.is_none_or(|options| options.contains(value))
}

fn is_within(schema: &Value, value: &Value) -> bool {
    let integer = |value: &Value| {
        let small = value.as_i64().map(i128::from);
        small.or_else(|| value.as_u64().map(i128::from))
    };
    let limit = |keyword| schema.get(keyword).and_then(integer);
    integer(value).is_none_or(|number| {
        limit("minimum").is_none_or(|least| least <= number)
            && limit("maximum").is_none_or(|most| number <= most)
    })
}

fn is_filled(schema: &Value, value: &Value) -> bool {
    let (keyword, length) = match value {
        Value::Array(elements) => ("minItems", elements.len()),
        Value::String(text) => ("minLength", text.chars().count()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return true,
    };
    let least = schema.get(keyword).and_then(Value::as_u64);
    least.is_none_or(|least| least <= length as u64)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::{Index, select};
    use serde_json::json;

    use super::super::schema;
    use super::*;

    fn keywords(schema: &Value, found: &mut Vec<String>) {
        for (keyword, value) in schema.as_object().unwrap() {
            found.push(keyword.clone());
            match (keyword.as_str(), value) {
                ("properties", Value::Object(properties)) => {
                    properties.values().for_each(|one| keywords(one, found));
                }
                ("items" | "additionalProperties", Value::Object(_)) => keywords(value, found),
                _ => {}
            }
        }
    }

    #[test]
    fn the_schema_has_no_keyword_that_is_not_checked() {
        let mut found = Vec::new();
        keywords(schema::root(), &mut found);
        for keyword in found {
            assert!(KEYWORDS.contains(&keyword.as_str()), "{keyword}");
        }
    }

    fn conforms(value: &Value) -> bool {
        let mut conforms = true;
        violations(schema::root(), value, "", &mut |_, _| conforms = false);
        conforms
    }

    /// The reference of all settings, with everything in it that is commented out.
    fn everything() -> Value {
        let text = include_str!("../../config/portcullis.example.toml");
        let is_key = |c: char| c.is_ascii_lowercase() || c == '_';
        let line = |line: &str| {
            let commented = line.strip_prefix("# ");
            let setting = commented.filter(|text| {
                let key = text.split_once(" = ").map(|(key, _)| key);
                key.is_some_and(|key| key.chars().all(is_key))
            });
            let setting = setting.unwrap_or(line);
            setting.trim_end_matches("   (example)").to_owned()
        };
        let text: Vec<String> = text.lines().map(line).collect();
        let table: toml::Table = toml::from_str(&text.join("\n")).unwrap();
        serde_json::to_value(table).unwrap()
    }

    fn pointers(value: &Value, pointer: &str, found: &mut Vec<String>) {
        found.push(pointer.to_owned());
        match value {
            Value::Array(elements) => {
                for (index, element) in elements.iter().enumerate() {
                    pointers(element, &format!("{pointer}/{index}"), found);
                }
            }
            Value::Object(members) => {
                for (key, member) in members {
                    pointers(member, &format!("{pointer}/{}", escape(key)), found);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(500))]

        #[test]
        fn a_general_validator_agrees(
            edits in prop::collection::vec(
                (any::<Index>(), select(vec![
                    json!(null), json!(true), json!(0), json!(1), json!(-1), json!(8192),
                    json!(i64::MAX), json!(u64::MAX), json!(""), json!("x"), json!("human"),
                    json!("stdout"), json!([]), json!([""]), json!(["a"]), json!([1]), json!([{}]),
                    json!({}), json!({ "a/~b": "c" }), json!({ "name": "a" }), json!({ "a": 1 }),
                ])),
                0..4,
            ),
        ) {
            let validator = jsonschema::validator_for(schema::root()).unwrap();
            let mut value = everything();
            for (at, replacement) in edits {
                let mut places = Vec::new();
                pointers(&value, "", &mut places);
                let place = &places[at.index(places.len())];
                *value.pointer_mut(place).unwrap() = replacement;
            }
            prop_assert_eq!(conforms(&value), validator.is_valid(&value), "{:#}", value);
        }
    }

    #[test]
    fn the_reference_conforms() {
        assert!(conforms(&everything()));
    }
}

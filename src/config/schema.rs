//! The JSON Schema of the configuration, and questions to it.

use std::sync::LazyLock;

use schemars::generate::SchemaSettings;
use serde_json::{Map, Value};

use super::conform::violations;
use super::raw::RawConfig;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    let settings =
        SchemaSettings::draft2020_12().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings
        .into_generator()
        .into_root_schema_for::<RawConfig>()
        .to_value();
    settle(&mut schema);
    schema
});

/// The JSON Schema (draft 2020-12) of the configuration file, as a TOML file reads in JSON.
///
/// It has no references: each key's description, limits, default and example are in its place.
/// Checks between keys are not part of it.
pub fn schema() -> Value {
    SCHEMA.clone()
}

/// The same, borrowed.
pub(super) fn root() -> &'static Value {
    &SCHEMA
}

/// The schema of what is at a JSON pointer, if the schema knows it.
pub(super) fn at(pointer: &str) -> Option<&'static Value> {
    let step = |node: &'static Value, segment: &str| match node.get("properties") {
        Some(properties) => properties.get(segment),
        None => node
            .get("items")
            .filter(|_| segment.parse::<usize>().is_ok())
            // The members of a table whose keys are free.
            .or_else(|| node.get("additionalProperties")),
    };
    pointer.split('/').skip(1).try_fold(root(), step)
}

/// The keys of a table.
pub(super) fn keys(table: &'static Value) -> impl Iterator<Item = &'static str> {
    let properties = table.get("properties").and_then(Value::as_object);
    properties
        .into_iter()
        .flat_map(Map::keys)
        .map(String::as_str)
}

/// What a key takes, for a message: `expected a whole number from 1 to 300`.
pub(super) fn expectation(node: &Value) -> String {
    let limit = |keyword: &str| node.get(keyword).and_then(Value::as_u64);
    let form = match node.get("type").and_then(Value::as_str) {
        Some("integer") => match (limit("minimum"), limit("maximum")) {
            (Some(least), Some(most)) => format!("a whole number from {least} to {most}"),
            _ => "a whole number".to_owned(),
        },
        Some("boolean") => "`true` or `false`".to_owned(),
        Some("array") if is_table(node.get("items")) => {
            "tables, each below its header in double brackets".to_owned()
        }
        Some("array") if is_list_of_integers(node) => "a list of whole numbers".to_owned(),
        Some("array") => "a list of texts".to_owned(),
        Some("object") => "a table".to_owned(),
        _ => match node.get("enum").and_then(Value::as_array) {
            Some(options) => listed(options.iter().filter_map(Value::as_str)),
            None => "a text".to_owned(),
        },
    };
    match node.pointer("/examples/0") {
        Some(example) => format!("expected {form} such as `{example}`"),
        None => format!("expected {form}"),
    }
}

/// `` `a`, `b` or `c` ``.
pub(super) fn listed<'a>(options: impl Iterator<Item = &'a str>) -> String {
    let options: Vec<String> = options.map(|option| format!("`{option}`")).collect();
    match options.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

fn is_list_of_integers(node: &Value) -> bool {
    node.pointer("/items/type").and_then(Value::as_str) == Some("integer")
}

fn is_table(node: Option<&Value>) -> bool {
    node.is_some_and(|node| node.get("properties").is_some())
}

/// Says which keys are required, and removes `null`, which TOML does not have.
///
/// A key is required if the value it would have without being written does not satisfy its own
/// schema: nothing for a text, an empty list where one element is the least.
fn settle(node: &mut Value) {
    if let Some(Value::Object(properties)) = node.get_mut("properties") {
        let mut required = Vec::new();
        for (key, property) in properties.iter_mut() {
            if !settle_default(property) {
                required.push(key.clone());
            }
            settle(property);
        }
        if let Some(members) = node.as_object_mut()
            && !required.is_empty()
        {
            members.insert("required".to_owned(), Value::from(required));
        }
    }
    if let Some(items) = node.get_mut("items") {
        settle(items);
    }
}

/// Whether the key may be left out.
fn settle_default(property: &mut Value) -> bool {
    let Some(members) = property.as_object_mut() else {
        return true;
    };
    let default = members.remove("default").unwrap_or(Value::Null);
    let mut optional = true;
    let schema = Value::Object(members.clone());
    violations(&schema, &default, "", &mut |_, _| optional = false);
    // The default of a table is the sum of its keys' defaults.
    if optional && !default.is_null() && !default.is_object() {
        members.insert("default".to_owned(), default);
    }
    if let Some(Value::Array(types)) = members.get_mut("type") {
        types.retain(|name| name != "null");
        if let [single] = types.as_slice() {
            let single = single.clone();
            members.insert("type".to_owned(), single);
        }
    }
    if let Some(Value::Array(options)) = members.get_mut("enum") {
        options.retain(|option| !option.is_null());
    }
    optional
}

//! Environment variables that override the file.
//!
//! `PORTCULLIS_LIMITS__MAX_BODY_BYTES` is the key `limits.max_body_bytes`: upper case, two
//! underscores between levels. An element of a list of tables goes by its name, with `_` for `-`
//! (`PORTCULLIS_VAULT__KV_PAYMENTS__CONNECT_ADDRESS`), or by its position from 0. A variable
//! changes an element of the file; it does not add one. A whole list or table can be given as a
//! TOML value: `PORTCULLIS_ISSUER__CONTOSO__AUDIENCES='["https://vault.azure.net"]'`.
//!
//! The value is read as TOML and, if it is none, as a text; for a key that takes a text the quotes
//! may be left out.

use serde_json::Value;

use super::document::{Document, escape, name_of, read_value};
use super::problem::{Place, Problem, nearest};
use super::schema;

/// What every variable for the proxy begins with.
const PREFIX: &str = "PORTCULLIS_";

/// Applies the variables that begin with `PORTCULLIS_` to `document`; others are none of ours.
pub(super) fn apply(
    document: &mut Document,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Vec<Problem> {
    let mut ours: Vec<(String, String)> = environment
        .into_iter()
        .filter(|(name, _)| name.starts_with(PREFIX))
        .collect();
    // A list as a whole comes before its elements.
    ours.sort();
    let mut problems = Vec::new();
    for (variable, text) in &ours {
        match find(document.value(), variable) {
            Ok(target) => {
                let (value, found) = value_for(target.node, text);
                document.set(&target.pointer, value, found, variable);
            }
            Err(hint) => problems.push(Problem {
                place: Place::Variable(variable.clone()),
                key: String::new(),
                what: "does not name a setting".to_owned(),
                hint,
            }),
        }
    }
    problems
}

/// What a variable is about.
struct Target {
    pointer: String,
    node: &'static Value,
}

/// Finds the key that `variable` names, or says what may have been meant.
fn find(settings: &Value, variable: &str) -> Result<Target, String> {
    let mut target = Target {
        pointer: String::new(),
        node: schema::root(),
    };
    let mut spelled = PREFIX.to_owned();
    for segment in variable.strip_prefix(PREFIX).unwrap_or("").split("__") {
        let element = target
            .node
            .get("items")
            .filter(|items| items.get("properties").is_some());
        let (name, node) = if let Some(items) = element {
            let list = settings.pointer(&target.pointer);
            let index = position(list, segment).ok_or_else(|| elements_hint(list, &spelled))?;
            (index.to_string(), Some(items))
        } else {
            let key = segment.to_ascii_lowercase();
            let node = target
                .node
                .get("properties")
                .and_then(|keys| keys.get(&key));
            (key, node)
        };
        let Some(node) = node else {
            return Err(keys_hint(target.node, &name, &spelled));
        };
        target.pointer.extend(["/", &escape(&name)]);
        target.node = node;
        spelled.extend([segment, "__"]);
    }
    Ok(target)
}

/// The element of `list` that `segment` names, by its name or its position.
fn position(list: Option<&Value>, segment: &str) -> Option<usize> {
    let elements = list?.as_array()?;
    let named = |element: &Value| name_of(element).is_some_and(|name| spelling(name) == segment);
    let by_position = || segment.parse().ok().filter(|i| *i < elements.len());
    elements.iter().position(named).or_else(by_position)
}

/// A name or key as it is spelled in a variable.
fn spelling(name: &str) -> String {
    name.to_ascii_uppercase().replace('-', "_")
}

fn keys_hint(table: &'static Value, key: &str, spelled: &str) -> String {
    if let Some(known) = nearest(key, schema::keys(table)) {
        return format!("did you mean `{spelled}{}`?", spelling(known));
    }
    let known: Vec<String> = schema::keys(table).map(spelling).collect();
    if known.is_empty() {
        return format!("expected nothing after `{}`", spelled.trim_end_matches('_'));
    }
    let known = schema::listed(known.iter().map(String::as_str));
    format!("expected {known} after `{spelled}`")
}

fn elements_hint(list: Option<&Value>, spelled: &str) -> String {
    let elements = list.and_then(Value::as_array);
    let names: Vec<String> = elements
        .into_iter()
        .flatten()
        .filter_map(name_of)
        .map(spelling)
        .collect();
    if names.is_empty() {
        return format!("the file has no element to go after `{spelled}`");
    }
    let names = schema::listed(names.iter().map(String::as_str));
    format!("expected {names} after `{spelled}`")
}

/// The text of a variable as a value for a key.
fn value_for(node: &Value, text: &str) -> (Value, &'static str) {
    let takes_text = node.get("type").is_some_and(|name| name == "string");
    match read_value(text) {
        Some((value, found)) if !takes_text || value.is_string() => (value, found),
        _ => (Value::from(text), "string"),
    }
}

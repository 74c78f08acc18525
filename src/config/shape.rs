//! Whether the settings have the shape of the schema: known keys, right types, within limits.

use serde::Deserialize;
use serde_json::Value;

use super::conform::{Violation, violations};
use super::document::{Document, unescape};
use super::problem::{Problem, nearest, shown};
use super::raw::RawConfig;
use super::schema;

/// Checks the shape, and reads what has the right one.
///
/// What is wrong is reported and then treated as if it were not written, so that everything else
/// can still be checked.
pub(super) fn read(document: &mut Document) -> (RawConfig, Vec<Problem>) {
    let mut problems = Vec::new();
    let mut wrong = Vec::new();
    violations(
        schema::root(),
        document.value(),
        "",
        &mut |pointer, violation| {
            problems.push(describe(document, &pointer, violation));
            if violation != Violation::Missing {
                wrong.push(pointer);
            }
        },
    );
    for pointer in &wrong {
        document.remove(pointer);
    }
    let raw = RawConfig::deserialize(document.value()).unwrap_or_else(|error| {
        problems.push(document.problem("", error.to_string(), ""));
        RawConfig::default()
    });
    (raw, problems)
}

/// What a violation of the schema at `pointer` means.
fn describe(document: &Document, pointer: &str, violation: Violation) -> Problem {
    let what = match violation {
        Violation::Unknown => {
            let (table, key) = pointer.rsplit_once('/').unwrap_or_default();
            let hint = meant(&unescape(key), table);
            return document.problem(pointer, "unknown key", hint);
        }
        Violation::Missing => "missing".to_owned(),
        Violation::Type => format!("found {}", with_article(document.found(pointer))),
        Violation::Empty => "is empty".to_owned(),
        Violation::Refused => match document.value().pointer(pointer) {
            Some(Value::String(text)) => format!("cannot use {}", shown(text)),
            Some(other) => format!("cannot use {}", shown(&other.to_string())),
            None => "cannot be used".to_owned(),
        },
    };
    document.problem(pointer, what, expectation(pointer))
}

fn with_article(found: &str) -> String {
    let article = if found.starts_with(['a', 'i']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {found}")
}

fn expectation(pointer: &str) -> String {
    schema::at(pointer).map_or_else(String::new, schema::expectation)
}

/// What the unknown `key` in the table at `pointer` was probably meant to be.
fn meant(key: &str, pointer: &str) -> String {
    let Some(table) = schema::at(pointer) else {
        return String::new();
    };
    if let Some(known) = nearest(key, schema::keys(table)) {
        return format!("did you mean `{known}`?");
    }
    // A key below the wrong header is TOML's commonest slip.
    let home = schema::keys(schema::root()).find(|home| {
        let inside = |path: String| schema::at(&path).is_some();
        inside(format!("/{home}/{key}")) || inside(format!("/{home}/0/{key}"))
    });
    match home {
        Some(home) => format!("it belongs to the table `{home}`"),
        None => format!("expected {}", schema::listed(schema::keys(table))),
    }
}

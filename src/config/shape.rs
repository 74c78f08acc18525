//! Whether the settings have the shape of the schema: known keys, right types, within limits.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind;
use serde::Deserialize;

use super::document::{Document, escape};
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
    match jsonschema::validator_for(schema::root()) {
        Ok(validator) => {
            for error in validator.iter_errors(document.value()) {
                describe(document, &error, &mut problems, &mut wrong);
            }
        }
        Err(error) => problems.push(document.problem("", error.to_string(), "")),
    }
    for pointer in &wrong {
        document.remove(pointer);
    }
    let raw = RawConfig::deserialize(document.value()).unwrap_or_else(|error| {
        problems.push(document.problem("", error.to_string(), ""));
        RawConfig::default()
    });
    (raw, problems)
}

/// Appends to `problems` what `error` means, and to `wrong` where it is.
fn describe(
    document: &Document,
    error: &ValidationError<'_>,
    problems: &mut Vec<Problem>,
    wrong: &mut Vec<String>,
) {
    let pointer = error.instance_path().as_str();
    if let ValidationErrorKind::AdditionalProperties { unexpected } = error.kind() {
        for key in unexpected {
            let pointer_to_key = format!("{pointer}/{}", escape(key));
            problems.push(document.problem(&pointer_to_key, "unknown key", meant(key, pointer)));
            wrong.push(pointer_to_key);
        }
        return;
    }
    if let ValidationErrorKind::Required { property } = error.kind() {
        let pointer_to_key = format!("{pointer}/{}", property.as_str().unwrap_or_default());
        let hint = expectation(&pointer_to_key);
        problems.push(document.problem(&pointer_to_key, "missing", hint));
        return;
    }
    let what = match (error.kind().keyword(), error.instance().as_str()) {
        ("type", _) => format!("found {}", with_article(document.found(pointer))),
        ("minItems" | "minLength", _) => "is empty".to_owned(),
        (_, Some(text)) => format!("cannot use {}", shown(text)),
        (_, None) => format!("cannot use {}", shown(&error.instance().to_string())),
    };
    problems.push(document.problem(pointer, what, expectation(pointer)));
    wrong.push(pointer.to_owned());
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

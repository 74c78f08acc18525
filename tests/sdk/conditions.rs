//! Conditions as somebody stores them, and what an application sees of them: what passes, and what
//! is refused for each of their clauses.

mod bodies;
mod certificates;
mod connections;
mod keys;
mod names;
mod policy;
mod tags;

use azure_core::Bytes;
use azure_core::http::{RequestContent, StatusCode};
use serde_json::Value;

use crate::gate::Refusal;

/// What the SDK sends as a body.
fn body<T>(content: &Value) -> RequestContent<T> {
    Bytes::from(content.to_string()).into()
}

/// A refusal because `expression` is false.
#[track_caller]
fn false_because<T>(outcome: azure_core::Result<T>, expression: &str) {
    let text = format!("its condition does not hold: `{expression}`\r\n");
    refused(outcome, "condition_false", &text);
}

/// A refusal because `expression` needs `attribute`.
#[track_caller]
fn missing<T>(outcome: azure_core::Result<T>, expression: &str, attribute: &str) {
    let text = format!(
        "its condition cannot hold: `{expression}` needs `{attribute}`, which is missing\r\n"
    );
    refused(outcome, "condition_attribute_missing", &text);
}

/// A refusal that says `text` of the assignment that came nearest.
#[track_caller]
fn refused<T>(outcome: azure_core::Result<T>, reason: &str, text: &str) {
    let refusal = Refusal::of(outcome);
    assert_eq!(
        (refusal.status, refusal.reason.as_deref()),
        (StatusCode::Forbidden, Some(reason)),
        "{}",
        refusal.message
    );
    assert_eq!(refusal.inner.as_deref(), Some("ForbiddenByPortcullis"));
    assert!(
        refusal.message.contains(text),
        "{text:?} is not in {}",
        refusal.message
    );
}

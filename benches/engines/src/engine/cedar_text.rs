//! Formulas and assignments in Cedar's language.
//!
//! Callers and groups are one entity type, places in Azure's tree another. A role is an action group
//! that the actions it holds are in, and so is what a deny assignment takes away. Facts are in the
//! context, as `f0`, `f1` and so on; those that a request does not have are not there.

use std::fmt::Write;

use portcullis::keyvault::DataAction;

use crate::condition::{Formula, Test, Value};
use crate::world::Deny;

/// The expression that a formula is.
pub(super) fn expression(formula: &Formula) -> String {
    match formula {
        Formula::All(parts) => joined(parts, " && ", "true"),
        Formula::Any(parts) => joined(parts, " || ", "false"),
        Formula::Action(actions) => {
            let inside: Vec<_> = actions.iter().collect();
            let all = DataAction::ALL.iter().copied();
            let outside: Vec<_> = all.filter(|action| !actions.contains(*action)).collect();
            // The shorter list is the quicker one.
            if inside.len() <= outside.len() {
                one_of(&inside)
            } else {
                format!("!({})", one_of(&outside))
            }
        }
        Formula::Has(fact) => format!("(context has f{fact})"),
        Formula::Lacks(fact) => format!("!(context has f{fact})"),
        Formula::Compare {
            fact,
            test,
            negated,
            values,
            each,
        } => {
            let sign = if *negated { "!" } else { "" };
            let tests = values.iter().map(|value| {
                let test = comparison(&format!("context.f{fact}"), *test, value);
                format!("{sign}({test})")
            });
            let tests: Vec<_> = tests.collect();
            let (separator, nothing) = if *each {
                (" && ", "true")
            } else {
                (" || ", "false")
            };
            let tests = list(&tests, separator, nothing);
            format!("(context has f{fact} && {tests})")
        }
    }
}

fn joined(parts: &[Formula], separator: &str, nothing: &str) -> String {
    let parts: Vec<_> = parts.iter().map(expression).collect();
    list(&parts, separator, nothing)
}

fn list(parts: &[String], separator: &str, nothing: &str) -> String {
    match parts {
        [] => nothing.to_owned(),
        [part] => part.clone(),
        _ => format!("({})", parts.join(separator)),
    }
}

fn one_of(actions: &[DataAction]) -> String {
    let tests: Vec<_> = actions
        .iter()
        .map(|one| format!("action == {}", action(*one)))
        .collect();
    list(&tests, " || ", "false")
}

fn comparison(fact: &str, test: Test, value: &Value) -> String {
    let literal = match value {
        Value::Text(text) => quoted(text),
        Value::Number(number) => number.to_string(),
        Value::Boolean(value) => value.to_string(),
    };
    let pattern = |before: &str, after: &str, keep_stars: bool| {
        let Value::Text(text) = value else {
            return "false".to_owned();
        };
        let text = escaped(text);
        let text = if keep_stars {
            text
        } else {
            text.replace('*', "\\*")
        };
        format!("{fact} like \"{before}{text}{after}\"")
    };
    match test {
        Test::Equals => format!("{fact} == {literal}"),
        Test::Less => format!("{fact} < {literal}"),
        Test::LessOrEqual => format!("{fact} <= {literal}"),
        Test::StartsWith => pattern("", "*", false),
        Test::EndsWith => pattern("*", "", false),
        Test::Contains => pattern("*", "*", false),
        Test::Like => pattern("", "", true),
    }
}

fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

fn quoted(text: &str) -> String {
    format!("\"{}\"", escaped(text))
}

/// The name of a data action.
pub(super) fn action(action: DataAction) -> String {
    format!("Action::{}", quoted(action.as_str()))
}

/// A role assignment: whose, which role, where, under which condition.
pub(super) fn permit(
    principal: &str,
    role: &str,
    scope: &str,
    condition: Option<&Formula>,
) -> String {
    let mut text = format!(
        "permit(principal in Principal::{}, action in Action::{}, resource in Place::{})",
        quoted(principal),
        quoted(role),
        quoted(scope)
    );
    if let Some(condition) = condition {
        // Writing to a String does not fail.
        let _ = write!(text, " when {{ {} }}", expression(condition));
    }
    text.push(';');
    text
}

/// A deny assignment; `group` is the action group that it takes away.
pub(super) fn forbid(deny: &Deny, group: &str) -> String {
    let relation = if deny.here_only { "==" } else { "in" };
    let mut text = format!(
        "forbid(principal, action in Action::{}, resource {relation} Place::{})",
        quoted(group),
        quoted(&deny.scope)
    );
    let members = |ids: &[Box<str>]| {
        let ids: Vec<_> = ids
            .iter()
            .map(|id| format!("principal in Principal::{}", quoted(id)))
            .collect();
        list(&ids, " || ", "false")
    };
    if !deny.everyone {
        let _ = write!(text, " when {{ {} }}", members(&deny.principals));
    }
    if !deny.excluded.is_empty() {
        let _ = write!(text, " unless {{ {} }}", members(&deny.excluded));
    }
    text.push(';');
    text
}

//! Lints that look at one part of a condition.

use std::collections::HashSet;

use super::walk::{Leaf, attributes, leaves, matching, parts};
use super::{Knowledge, Lint, Warning};
use crate::abac::expr::{
    Attribute, Comparison, Expr, Form, Literal, Operand, Operator, Quantifier, StringTest,
};
use crate::abac::vocabulary::{Azure, Clock, Connection, Known, Line, Origin, ValueType};
use crate::keyvault::{DataAction, matches_pattern};

/// The traps in the parts of `expr`.
pub(super) fn lint(expr: &Expr, knowledge: &Knowledge<'_>) -> Vec<Warning> {
    let mut warnings = Vec::new();
    mixed(expr, &mut warnings);
    let leaves = leaves(expr);
    let tested: HashSet<String> = leaves
        .iter()
        .filter(|leaf| matches!(leaf.expr, Expr::Exists(_)))
        .flat_map(|leaf| attributes(leaf.expr))
        .map(ToString::to_string)
        .collect();
    for leaf in &leaves {
        for attribute in attributes(leaf.expr) {
            warnings.extend(vocabulary(attribute));
        }
        match leaf.expr {
            Expr::Action(pattern) => warnings.extend(action(leaf.expr, pattern, knowledge)),
            Expr::SubOperation(pattern) => {
                warnings.extend(suboperation(leaf.expr, pattern, knowledge));
            }
            Expr::Compare(comparison) => {
                compare(comparison, &mut warnings);
                warnings.extend(presence(leaf, comparison, &tested));
            }
            Expr::Exists(_) | Expr::All(_) | Expr::Any(_) | Expr::Mixed(_) | Expr::Not(_) => {}
        }
    }
    warnings
}

fn mixed(expr: &Expr, warnings: &mut Vec<Warning>) {
    if matches!(expr, Expr::Mixed(_)) {
        let detail = "write the parentheses that are meant";
        warnings.push(Warning::new(Lint::MixedConnectives, expr, detail));
    }
    if let Expr::Not(inner) = expr {
        mixed(inner, warnings);
    }
    for part in parts(expr) {
        mixed(part, warnings);
    }
}

fn vocabulary(attribute: &Attribute) -> Option<Warning> {
    let Some(known) = attribute.known else {
        return Some(Warning::new(
            Lint::UnknownAttribute,
            attribute,
            nearest(attribute),
        ));
    };
    matches!(known.azure(), Azure::Ours)
        .then(|| Warning::new(Lint::ExtensionAttribute, attribute, ""))
}

/// The attribute that was probably meant, as a question.
fn nearest(attribute: &Attribute) -> String {
    let written = match &attribute.form {
        Form::Name(name) => format!("{}:{name}", attribute.path),
        Form::Bare | Form::Key(_) | Form::Keys => attribute.path.to_string(),
    };
    let of_source = Known::ALL.iter().filter(|k| k.source() == attribute.source);
    let same = Known::ALL
        .iter()
        .find(|k| k.path_and_name().eq_ignore_ascii_case(&written));
    if let Some(other) = same {
        return format!("{} has it", other.source());
    }
    crate::abac::hint::did_you_mean(&written, of_source.map(|k| k.path_and_name()))
        .unwrap_or_default()
}

fn action(expr: &Expr, pattern: &str, knowledge: &Knowledge<'_>) -> Option<Warning> {
    let mut actions = matching(pattern).peekable();
    if actions.peek().is_none() {
        let names = DataAction::ALL.iter().map(|action| action.as_str());
        let detail = crate::abac::hint::did_you_mean(pattern, names).unwrap_or_default();
        return Some(Warning::new(Lint::UnknownAction, expr, detail));
    }
    let held = knowledge.held?;
    let outside = !actions.any(|action| held.contains(action));
    outside.then(|| Warning::new(Lint::GuardOutsideRole, expr, ""))
}

fn suboperation(expr: &Expr, pattern: &str, knowledge: &Knowledge<'_>) -> Option<Warning> {
    let known = DataAction::ALL
        .iter()
        .flat_map(|action| (knowledge.suboperations)(*action))
        .any(|name| matches_pattern(pattern, name));
    (!known).then(|| Warning::new(Lint::UnknownSuboperation, expr, ""))
}

fn compare(comparison: &Comparison, warnings: &mut Vec<Warning>) {
    let Comparison {
        left,
        quantifier,
        operator,
        right,
    } = comparison;
    if is_true_of_all(comparison) {
        let detail = "write ForAnyOfAllValues";
        warnings.push(Warning::new(Lint::NotAnyOfMany, comparison, detail));
    }
    for operand in [left, right] {
        if let Operand::Attribute(attribute) = operand {
            warnings.extend(types(comparison, attribute, *quantifier));
        }
        warnings.extend(prefix(comparison, operand));
    }
    if let Operator::String { test, .. } = operator
        && matches!(test, StringTest::EndsWith | StringTest::Contains)
    {
        let detail = "write StringLike with `*`";
        warnings.push(Warning::new(Lint::ExtensionOperator, comparison, detail));
    }
}

/// Whether it asks for a value that differs from one of several others.
fn is_true_of_all(comparison: &Comparison) -> bool {
    use Quantifier::{ForAllOfAnyValues, ForAnyOfAllValues, ForAnyOfAnyValues};
    let several = |operand: &Operand| match operand {
        Operand::Set(values) => values.iter().collect::<HashSet<_>>().len() > 1,
        Operand::Attribute(_) | Operand::Literal(_) => false,
    };
    let any_right = matches!(
        comparison.quantifier,
        Some(ForAnyOfAnyValues | ForAllOfAnyValues)
    );
    let any_left = matches!(
        comparison.quantifier,
        Some(ForAnyOfAnyValues | ForAnyOfAllValues)
    );
    comparison.operator.is_negated()
        && ((any_right && several(&comparison.right)) || (any_left && several(&comparison.left)))
}

fn types(
    comparison: &Comparison,
    attribute: &Attribute,
    quantifier: Option<Quantifier>,
) -> Option<Warning> {
    let known = attribute.known?;
    let (value_type, is_list) = match attribute.form {
        Form::Keys => (ValueType::String, true),
        // What a custom security attribute has is not known beforehand.
        Form::Bare | Form::Name(_) | Form::Key(_) => (known.value_type()?, known.is_list()),
    };
    let compared = comparison.operator.value_type();
    // A GUID is often a text.
    let readable = (compared, value_type) == (ValueType::Guid, ValueType::String);
    if compared != value_type && !readable {
        let has = match value_type {
            ValueType::String => "text",
            ValueType::Integer => "whole numbers",
            ValueType::Boolean => "booleans",
            ValueType::DateTime => "points in time",
            ValueType::Guid => "GUIDs",
        };
        let detail = format!("{attribute} has {has}");
        return Some(Warning::new(Lint::TypeMismatch, comparison, detail));
    }
    (is_list && quantifier.is_none())
        .then(|| Warning::new(Lint::ListWithoutQuantifier, comparison, ""))
}

/// A prefix that ends in a letter or digit.
fn prefix(comparison: &Comparison, operand: &Operand) -> Option<Warning> {
    let Operator::String { test, .. } = comparison.operator else {
        return None;
    };
    let values = match operand {
        Operand::Literal(value) => std::slice::from_ref(value),
        Operand::Set(values) => values.as_slice(),
        Operand::Attribute(_) => return None,
    };
    let cut = values.iter().find_map(|value| {
        let Literal::Text(text) = value else {
            return None;
        };
        let prefix = match test {
            StringTest::StartsWith => Some(&**text),
            StringTest::Like => text.strip_suffix('*'),
            StringTest::Equals | StringTest::EndsWith | StringTest::Contains => None,
        };
        prefix.filter(|prefix| {
            let other_wildcards = prefix.contains('*') && test == StringTest::Like;
            !other_wildcards && prefix.ends_with(char::is_alphanumeric)
        })
    })?;
    let detail = format!("write '{cut}-' if names continue with a hyphen");
    Some(Warning::new(
        Lint::PrefixWithoutSeparator,
        comparison,
        detail,
    ))
}

/// A negated comparison of what may be missing, and nobody asks whether it is.
fn presence(leaf: &Leaf<'_>, comparison: &Comparison, tested: &HashSet<String>) -> Option<Warning> {
    if comparison.operator.is_negated() == leaf.negated {
        return None;
    }
    let may_be_missing = |attribute: &&Attribute| {
        attribute.known.is_some_and(|known| !is_always_there(known))
            && !tested.contains(&attribute.to_string())
    };
    let attribute = attributes(leaf.expr).find(may_be_missing)?;
    let detail = format!("to let it pass, add: OR NOT Exists {attribute}");
    Some(Warning::new(
        Lint::NegationNeedsPresence,
        comparison,
        detail,
    ))
}

/// Whether every request that can have the attribute has it.
const fn is_always_there(known: Known) -> bool {
    matches!(
        known.origin(),
        Origin::Line(Line::Name(_) | Line::Issuer | Line::Method | Line::ApiVersion)
            | Origin::Line(Line::IsVersioned | Line::IsDeleted(_))
            | Origin::Clock(Clock::UtcNow)
            | Origin::Connection(Connection::IsPrivateLink | Connection::IsMutual)
    ) || matches!(known, Known::VaultName)
}

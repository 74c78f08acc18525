//! An evaluation with all its steps, for people who want to understand it.

use super::compare;
use super::eval::{Context, evaluate};
use super::expr::{Attribute, Comparison, Expr};
use super::truth::{Needs, Truth};
use super::value::{Attributes, Lookup};

/// What one part of an expression came to, and its parts.
///
/// It holds no value of any attribute: whoever may show them looks them up again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// The part, as a condition writes it.
    pub expression: Box<str>,
    /// What it came to.
    pub truth: Truth,
    /// The attributes it looks at itself, and what was found of them.
    pub findings: Vec<(Attribute, Finding)>,
    /// Its parts, as they are written.
    pub parts: Vec<Self>,
}

/// What was found of an attribute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// It has what the operator needs.
    Found,
    /// It has no value.
    Missing,
    /// These have to be fetched first.
    Pending(Needs),
    /// It has a value that the operator cannot compare.
    WrongType,
    /// It has several values, and no quantifier says what that means.
    Several,
}

/// Evaluates `expr` in `context`, and each of its parts with it.
pub fn trace(expr: &Expr, context: &Context<'_>) -> Trace {
    let attributes = context.attributes;
    let (parts, findings) = match expr {
        Expr::All(parts) | Expr::Any(parts) => (parts.iter().collect(), Vec::new()),
        Expr::Mixed(mixed) => {
            let rest = mixed.rest.iter().map(|(_, part)| part);
            let parts = std::iter::once(&mixed.first).chain(rest).collect();
            (parts, Vec::new())
        }
        Expr::Not(inner) => (vec![&**inner], Vec::new()),
        Expr::Action(_) | Expr::SubOperation(_) => (Vec::new(), Vec::new()),
        Expr::Exists(attribute) => {
            let finding = match attributes.look_up(attribute) {
                Lookup::Missing | Lookup::Unknown => Finding::Missing,
                Lookup::Pending(needs) => Finding::Pending(needs),
                Lookup::Found(_) => Finding::Found,
            };
            (Vec::new(), vec![(attribute.clone(), finding)])
        }
        Expr::Compare(comparison) => {
            let findings = compare::attributes(comparison)
                .map(|attribute| (attribute.clone(), find(comparison, attribute, attributes)));
            (Vec::new(), findings.collect())
        }
    };
    Trace {
        expression: expr.to_string().into(),
        truth: evaluate(expr, context),
        findings,
        parts: parts.into_iter().map(|part| trace(part, context)).collect(),
    }
}

fn find(comparison: &Comparison, attribute: &Attribute, attributes: &dyn Attributes) -> Finding {
    match attributes.look_up(attribute) {
        Lookup::Missing | Lookup::Unknown => Finding::Missing,
        Lookup::Pending(needs) => Finding::Pending(needs),
        Lookup::Found(values) => match values.as_slice() {
            [] => Finding::Missing,
            _ if !compare::comparable(comparison.operator, &values) => Finding::WrongType,
            [_, _, ..] if comparison.quantifier.is_none() => Finding::Several,
            _ => Finding::Found,
        },
    }
}

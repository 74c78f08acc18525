//! The plain evaluator: an expression as it was written, in one context.

use crate::keyvault::matches_pattern;

use super::compare;
use super::expr::{Connective, Expr};
use super::truth::Truth;
use super::value::Attributes;

/// What an expression is evaluated in.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    /// The data action.
    pub action: &'a str,
    /// The suboperation, if the request is one.
    pub suboperation: Option<&'a str>,
    /// The attributes.
    pub attributes: &'a dyn Attributes,
}

impl std::fmt::Debug for Context<'_> {
    /// Without the attributes, which may hold what is nobody's business.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("action", &self.action)
            .field("suboperation", &self.suboperation)
            .finish_non_exhaustive()
    }
}

/// What `expr` comes to in `context`.
pub fn evaluate(expr: &Expr, context: &Context<'_>) -> Truth {
    match expr {
        Expr::All(parts) => Truth::all(parts.iter().map(|part| evaluate(part, context))),
        Expr::Any(parts) => Truth::any(parts.iter().map(|part| evaluate(part, context))),
        Expr::Mixed(mixed) => {
            let rest = mixed.rest.iter();
            readings(
                evaluate(&mixed.first, context),
                rest.map(|(connective, part)| (*connective, evaluate(part, context))),
            )
        }
        Expr::Not(inner) => evaluate(inner, context).negate(),
        Expr::Action(pattern) => matches_pattern(pattern, context.action).into(),
        Expr::SubOperation(pattern) => is_suboperation(pattern, context.suboperation).into(),
        Expr::Exists(attribute) => compare::exists(attribute, context.attributes),
        Expr::Compare(comparison) => compare::evaluate(comparison, &[], context.attributes),
    }
}

/// Whether a request is a suboperation that `pattern` matches.
pub(super) fn is_suboperation(pattern: &str, suboperation: Option<&str>) -> bool {
    suboperation.is_some_and(|suboperation| matches_pattern(pattern, suboperation))
}

/// What `first AND second OR third …` comes to: what its readings with `AND` first, with `OR`
/// first and from left to right agree on.
pub(super) fn readings(first: Truth, rest: impl Iterator<Item = (Connective, Truth)>) -> Truth {
    let mut in_order = first;
    // Of each other reading, what is complete and the group that still grows.
    let (mut alternatives, mut conjunction) = (Truth::False, first);
    let (mut demands, mut disjunction) = (Truth::True, first);
    for (connective, truth) in rest {
        match connective {
            Connective::And => {
                in_order = in_order.and(truth);
                conjunction = conjunction.and(truth);
                demands = demands.and(disjunction);
                disjunction = truth;
            }
            Connective::Or => {
                in_order = in_order.or(truth);
                disjunction = disjunction.or(truth);
                alternatives = alternatives.or(conjunction);
                conjunction = truth;
            }
        }
    }
    let and_first = alternatives.or(conjunction);
    let or_first = demands.and(disjunction);
    in_order.agree(and_first).agree(or_first)
}

//! The plain evaluator: an expression as it was written, in one context.

use super::expr::Expr;
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
    let _ = (expr, context.attributes);
    Truth::Undefined
}

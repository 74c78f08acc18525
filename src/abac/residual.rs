//! What is left of a condition once the data action is known.

use super::expr::{Attribute, Expr};
use super::truth::{Needs, Truth};
use super::value::Attributes;

/// What is known of requests when a condition is specialised.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// The data action.
    pub action: &'a str,
    /// The suboperations that requests with this action can be.
    pub suboperations: &'a [&'a str],
    /// Whether a request with this action can have the attribute at all.
    pub can_have: &'a dyn Fn(&Attribute) -> bool,
}

impl std::fmt::Debug for Target<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Target")
            .field("action", &self.action)
            .finish_non_exhaustive()
    }
}

/// What is left of a condition, ready to be evaluated many times.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Residual {
    constant: Option<Truth>,
    needs: Needs,
}

/// Why a residual does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blame {
    /// The innermost part that decided it, as a condition writes it.
    pub expression: Box<str>,
    /// The attribute that was missing, as a condition writes it; `None` if the part is false.
    pub missing: Option<Box<str>>,
}

impl Residual {
    /// What always comes to `truth`.
    pub fn constant(truth: Truth) -> Self {
        Self {
            constant: Some(truth),
            needs: Needs::NOTHING,
        }
    }

    /// What is left of `expr` for `target`.
    pub fn specialise(expr: &Expr, target: &Target<'_>) -> Self {
        let _ = (expr, target);
        Self::constant(Truth::Undefined)
    }

    /// Holds if all of `parts` hold; true for none.
    pub fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        let _ = parts.into_iter().count();
        Self::constant(Truth::Undefined)
    }

    /// Holds if any of `parts` holds; false for none.
    pub fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        let _ = parts.into_iter().count();
        Self::constant(Truth::Undefined)
    }

    /// What it comes to whatever the request; `None` if that depends. Never pending.
    pub const fn as_constant(&self) -> Option<Truth> {
        self.constant
    }

    /// What it may need fetched.
    pub const fn needs(&self) -> Needs {
        self.needs
    }

    /// What it comes to for a request.
    pub fn evaluate(&self, suboperation: Option<&str>, attributes: &dyn Attributes) -> Truth {
        let _ = (suboperation, attributes);
        self.constant.unwrap_or(Truth::Undefined)
    }

    /// Why it does not hold for a request; `None` if it does.
    pub fn blame(&self, suboperation: Option<&str>, attributes: &dyn Attributes) -> Option<Blame> {
        let _ = (suboperation, attributes);
        None
    }
}

//! What is right in a condition and yet seldom meant.
//!
//! A linter of meaning, not of looks: each lint is a trap that conditions in the wild fall into.
//! What this room cannot see, which attributes a request can have and what a role holds, is an
//! argument.

mod actions;
mod parts;
mod walk;

use super::expr::{Attribute, Expr};
use crate::keyvault::{DataAction, DataActionSet};

macro_rules! lints {
    ($($lint:ident = $name:literal, $explanation:literal;)+) => {
        /// A trap.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Lint {
            $(#[doc = concat!("`", $name, "`: ", $explanation)] $lint,)+
        }

        impl Lint {
            /// Every lint.
            pub const ALL: &'static [Self] = &[$(Self::$lint),+];

            /// The name, which does not change between versions.
            pub const fn name(self) -> &'static str {
                match self { $(Self::$lint => $name),+ }
            }

            /// What the matter is, in one sentence.
            pub const fn explanation(self) -> &'static str {
                match self { $(Self::$lint => $explanation),+ }
            }
        }
    };
}

lints! {
    UnknownAttribute = "unknown-attribute",
        "Key Vault knows no attribute of this name, so it is always missing and nothing is granted.";
    UnknownAction = "unknown-action",
        "The pattern matches no data action of Key Vault, so the guard never takes effect.";
    UnknownSuboperation = "unknown-suboperation",
        "The pattern matches no suboperation of Key Vault.";
    TypeMismatch = "type-mismatch",
        "The operator compares values of another type than the attribute has, so the comparison \
         never holds.";
    ListWithoutQuantifier = "list-without-quantifier",
        "The attribute may have several values, and without a quantifier the comparison holds only \
         where there is exactly one.";
    NoGuard = "no-guard",
        "Without a guard the condition applies to every action of the assignment, also to those \
         that do not have its attributes, such as listing.";
    NotAnyOfMany = "not-any-of-many",
        "Every value differs from one of two others, so this always holds; `none of them` is \
         written ForAnyOfAllValues, or ForAllOfAllValues for attributes with several values.";
    MixedConnectives = "mixed-connectives",
        "AND and OR stand side by side without parentheses; Azure publishes no precedence, and here \
         only what all readings agree on is granted.";
    GuardOutsideRole = "guard-outside-role",
        "The role does not hold the action, so the guard changes nothing.";
    WrongSource = "wrong-source",
        "For this action the attribute is found in the other source: @Request where an object comes \
         into being, @Resource where it exists.";
    NeverPresent = "never-present",
        "A request with this action never has the attribute, so nothing is granted.";
    PrefixWithoutSeparator = "prefix-without-separator",
        "The prefix ends in the middle of a word, so it also covers longer names: 'app' covers \
         apple.";
    ObjectAttributeOnList = "object-attribute-on-list",
        "A list names no object, so the attribute is missing and the list is refused.";
    NegationNeedsPresence = "negation-needs-presence",
        "The attribute may be missing, and then a negated comparison does not hold either: what \
         lacks it is refused.";
    UnconditionalAssignment = "unconditional-assignment",
        "Another assignment grants the same without a condition, which makes this one void.";
    EquivalentActionLeftOut = "equivalent-action-left-out",
        "An action that gives the same in another way is exempt from the condition.";
    ExtensionOperator = "extension-operator",
        "Azure does not document the operator, so Azure may refuse the condition.";
    ExtensionAttribute = "extension-attribute",
        "Azure does not know the attribute, so only a local file of assignments can hold the \
         condition.";
}

impl Lint {
    /// Whether the condition cannot mean what it says, rather than seldom does.
    pub const fn is_error(self) -> bool {
        matches!(
            self,
            Self::UnknownAttribute
                | Self::UnknownAction
                | Self::UnknownSuboperation
                | Self::TypeMismatch
        )
    }

    /// Whether it also holds for conditions on other services than Key Vault.
    pub const fn is_about_any_service(self) -> bool {
        matches!(
            self,
            Self::NotAnyOfMany | Self::MixedConnectives | Self::UnconditionalAssignment
        )
    }
}

/// A trap in a condition.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Warning {
    /// Which.
    pub lint: Lint,
    /// The part of the condition, as a condition writes it.
    pub expression: Box<str>,
    /// What exactly: names of actions, or what to write instead. May be empty.
    pub detail: Box<str>,
}

impl Warning {
    /// A warning about `part`.
    fn new(lint: Lint, part: &impl ToString, detail: impl Into<Box<str>>) -> Self {
        Self {
            lint,
            expression: part.to_string().into(),
            detail: detail.into(),
        }
    }
}

/// What is known besides the condition.
#[derive(Clone, Copy)]
pub struct Knowledge<'a> {
    /// Whether a request with the action can have the attribute.
    pub can_have: &'a dyn Fn(DataAction, &Attribute) -> bool,
    /// The suboperations that requests with the action can be.
    pub suboperations: &'a dyn Fn(DataAction) -> &'static [&'static str],
    /// What the role holds that is assigned with the condition; `None` if nobody knows.
    pub held: Option<DataActionSet>,
}

impl std::fmt::Debug for Knowledge<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Knowledge")
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}

/// The traps in `expr`, each once, in the order of [`Lint`].
pub fn lint(expr: &Expr, knowledge: &Knowledge<'_>) -> Vec<Warning> {
    let mut warnings = parts::lint(expr, knowledge);
    warnings.extend(actions::lint(expr, knowledge));
    warnings.sort();
    warnings.dedup();
    warnings
}

/// Whether `expr` says anything about Key Vault; conditions on other services do not.
pub fn concerns_key_vault(expr: &Expr) -> bool {
    let mut concerns_other = false;
    for leaf in walk::leaves(expr) {
        let matches = |pattern| walk::matching(pattern).next().is_some();
        let of_vault = |a: &Attribute| a.known.is_some_and(walk::is_of_vault);
        if leaf.pattern().is_some_and(matches) || walk::attributes(leaf.expr).any(of_vault) {
            return true;
        }
        concerns_other |= walk::names_a_service(leaf.expr);
    }
    !concerns_other
}

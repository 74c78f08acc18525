//! Ways through a tree.

use crate::abac::expr::{Attribute, Expr, Operand, Source};
use crate::abac::vocabulary::Known;
use crate::keyvault::{DataAction, matches_pattern};

/// A part of a condition that has no parts.
#[derive(Clone, Copy)]
pub(super) struct Leaf<'e> {
    pub(super) expr: &'e Expr,
    /// Whether an odd number of negations is around it.
    pub(super) negated: bool,
}

impl<'e> Leaf<'e> {
    /// The pattern, if it is a test of the data action.
    pub(super) fn pattern(self) -> Option<&'e str> {
        if let Expr::Action(pattern) = self.expr {
            Some(pattern)
        } else {
            None
        }
    }
}

/// The leaves of `expr`, from left to right.
pub(super) fn leaves(expr: &Expr) -> Vec<Leaf<'_>> {
    let mut found = Vec::new();
    collect(expr, false, &mut found);
    found
}

fn collect<'e>(expr: &'e Expr, negated: bool, found: &mut Vec<Leaf<'e>>) {
    match expr {
        Expr::Not(inner) => collect(inner, !negated, found),
        Expr::All(_) | Expr::Any(_) | Expr::Mixed(_) => {
            for part in parts(expr) {
                collect(part, negated, found);
            }
        }
        Expr::Action(_) | Expr::SubOperation(_) | Expr::Exists(_) | Expr::Compare(_) => {
            found.push(Leaf { expr, negated });
        }
    }
}

/// The parts of what is joined by `AND` or `OR`.
pub(super) fn parts(expr: &Expr) -> Vec<&Expr> {
    match expr {
        Expr::All(parts) | Expr::Any(parts) => parts.iter().collect(),
        Expr::Mixed(mixed) => {
            let rest = mixed.rest.iter().map(|(_, part)| part);
            std::iter::once(&mixed.first).chain(rest).collect()
        }
        Expr::Not(_)
        | Expr::Action(_)
        | Expr::SubOperation(_)
        | Expr::Exists(_)
        | Expr::Compare(_) => Vec::new(),
    }
}

/// The attributes of a leaf.
pub(super) fn attributes(leaf: &Expr) -> impl Iterator<Item = &Attribute> {
    let (first, second) = match leaf {
        Expr::Exists(attribute) => (Some(attribute), None),
        Expr::Compare(comparison) => (of_operand(&comparison.left), of_operand(&comparison.right)),
        Expr::All(_)
        | Expr::Any(_)
        | Expr::Mixed(_)
        | Expr::Not(_)
        | Expr::Action(_)
        | Expr::SubOperation(_) => (None, None),
    };
    first.into_iter().chain(second)
}

const fn of_operand(operand: &Operand) -> Option<&Attribute> {
    match operand {
        Operand::Attribute(attribute) => Some(attribute),
        Operand::Literal(_) | Operand::Set(_) => None,
    }
}

/// The data actions that a pattern matches.
pub(super) fn matching(pattern: &str) -> impl Iterator<Item = DataAction> {
    DataAction::ALL
        .iter()
        .copied()
        .filter(move |action| matches_pattern(pattern, action.as_str()))
}

/// Whether an attribute is about a vault or what is in it.
pub(super) fn is_of_vault(known: Known) -> bool {
    known.path_and_name().starts_with("Microsoft.KeyVault/")
}

/// Whether a leaf says which service it is about.
pub(super) fn names_a_service(leaf: &Expr) -> bool {
    let names = |a: &Attribute| matches!(a.source, Source::Resource | Source::Request);
    matches!(leaf, Expr::Action(_)) || attributes(leaf).any(names)
}

/// A kind of request.
#[derive(Clone, Copy)]
pub(super) struct Request {
    pub(super) action: DataAction,
    pub(super) suboperation: Option<&'static str>,
}

impl Request {
    /// What `expr` comes to for all such requests; `None` if that depends on attributes.
    pub(super) fn settles(self, expr: &Expr) -> Option<bool> {
        match expr {
            Expr::Action(pattern) => Some(matches_pattern(pattern, self.action.as_str())),
            Expr::SubOperation(pattern) => {
                let matches = |name| matches_pattern(pattern, name);
                Some(self.suboperation.is_some_and(matches))
            }
            Expr::Not(inner) => self.settles(inner).map(|holds| !holds),
            Expr::All(parts) => self.settles_parts(parts, false),
            Expr::Any(parts) => self.settles_parts(parts, true),
            Expr::Mixed(_) | Expr::Exists(_) | Expr::Compare(_) => None,
        }
    }

    /// `decisive` is what settles the whole as soon as one part comes to it.
    fn settles_parts(self, parts: &[Expr], decisive: bool) -> Option<bool> {
        let mut settled = Some(!decisive);
        for part in parts {
            match self.settles(part) {
                Some(value) if value == decisive => return Some(decisive),
                Some(_) => {}
                None => settled = None,
            }
        }
        settled
    }

    /// The leaves on which `expr` depends for such requests.
    pub(super) fn reached(self, expr: &Expr) -> Vec<&Expr> {
        if self.settles(expr).is_some() {
            return Vec::new();
        }
        match expr {
            Expr::Not(inner) => self.reached(inner),
            Expr::All(_) | Expr::Any(_) | Expr::Mixed(_) => {
                let reached = parts(expr).into_iter().map(|part| self.reached(part));
                reached.flatten().collect()
            }
            Expr::Action(_) | Expr::SubOperation(_) | Expr::Exists(_) | Expr::Compare(_) => {
                vec![expr]
            }
        }
    }
}

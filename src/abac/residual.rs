//! What is left of a condition once the data action is known.

use std::iter;
use std::sync::Arc;

use crate::keyvault::matches_pattern;

use super::compare;
use super::eval::{is_suboperation, readings};
use super::expr::{Attribute, Comparison, Connective, Expr, Mixed};
use super::like::Like;
use super::truth::{Needs, Pending, Truth};
use super::value::{Attributes, Lookup};

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
///
/// For every request with the action it was made for it comes to what the condition comes to.
/// Equal residuals come to the same for every request; a clone shares everything.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Residual {
    part: Part,
    needs: Needs,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Part {
    /// What always comes to the same.
    Constant(Truth, Option<Origin>),
    All(Arc<[Residual]>),
    Any(Arc<[Residual]>),
    Mixed(Arc<Operands>),
    Not(Arc<Residual>),
    SubOperation(Arc<str>),
    Exists(Arc<Attribute>),
    Compare(Arc<Prepared>),
}

/// The operands of a [`Mixed`].
#[derive(Debug, PartialEq, Eq, Hash)]
struct Operands {
    first: Residual,
    rest: Box<[(Connective, Residual)]>,
}

/// A comparison, and the patterns of the literals on its right.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Prepared {
    comparison: Comparison,
    patterns: Box<[Like]>,
}

/// The part of the condition that made something constant. Without it a refusal could not say why.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Origin {
    leaf: Arc<Expr>,
    negated: bool,
}

/// How many alternatives of an `OR` are told; conditions have two or three.
const MAX_ALTERNATIVES: usize = 4;

/// Why a residual does not hold. It tells no value of any attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blame {
    /// The innermost part that decided it, as a condition writes it.
    pub expression: Box<str>,
    /// The attribute that was missing, as a condition writes it; `None` if the part is false.
    pub missing: Option<Box<str>>,
}

/// A request, as far as a residual asks about it.
#[derive(Clone, Copy)]
struct Scene<'a> {
    suboperation: Option<&'a str>,
    attributes: &'a dyn Attributes,
}

impl Residual {
    /// What always comes to `truth`; to undefined if that is pending, which nothing always is.
    pub const fn constant(truth: Truth) -> Self {
        let truth = match truth {
            Truth::Pending(_) => Truth::Undefined,
            Truth::True | Truth::False | Truth::Undefined => truth,
        };
        Self::free(Part::Constant(truth, None))
    }

    /// What is left of `expr` for `target`.
    pub fn specialise(expr: &Expr, target: &Target<'_>) -> Self {
        Self::of(expr, target).without_needless_origin()
    }

    /// Holds if all of `parts` hold; true for none.
    pub fn all(parts: impl IntoIterator<Item = Self>) -> Self {
        Self::join(Connective::And, parts).without_needless_origin()
    }

    /// Holds if any of `parts` holds; false for none.
    pub fn any(parts: impl IntoIterator<Item = Self>) -> Self {
        Self::join(Connective::Or, parts).without_needless_origin()
    }

    /// What it comes to whatever the request; `None` if that depends. Never pending.
    pub const fn as_constant(&self) -> Option<Truth> {
        if let Part::Constant(truth, _) = self.part {
            Some(truth)
        } else {
            None
        }
    }

    /// What it may need fetched.
    pub const fn needs(&self) -> Needs {
        self.needs
    }

    /// What it comes to for a request.
    pub fn evaluate(&self, suboperation: Option<&str>, attributes: &dyn Attributes) -> Truth {
        self.truth(Scene {
            suboperation,
            attributes,
        })
    }

    /// Why it does not hold for a request; `None` if it does, or if it was made as a constant and
    /// no part of a condition says why.
    ///
    /// It is a part that comes to the same as the whole: of an `AND` the first one, of an `OR` what
    /// is wrong with each alternative, guards aside, of up to four.
    pub fn blame(&self, suboperation: Option<&str>, attributes: &dyn Attributes) -> Option<Blame> {
        let scene = Scene {
            suboperation,
            attributes,
        };
        if self.truth(scene) == Truth::True {
            return None;
        }
        let expr = self.culprit(true, scene)?;
        Some(Blame {
            expression: expr.to_string().into(),
            missing: missing(&expr, attributes).map(|attribute| attribute.to_string().into()),
        })
    }

    const fn free(part: Part) -> Self {
        Self {
            part,
            needs: Needs::NOTHING,
        }
    }

    fn of(expr: &Expr, target: &Target<'_>) -> Self {
        match expr {
            Expr::All(parts) => {
                Self::join(Connective::And, parts.iter().map(|p| Self::of(p, target)))
            }
            Expr::Any(parts) => {
                Self::join(Connective::Or, parts.iter().map(|p| Self::of(p, target)))
            }
            Expr::Mixed(mixed) => Self::mixed(expr, mixed, target),
            Expr::Not(inner) => Self::of(inner, target).negate(),
            Expr::Action(pattern) => settled(expr, matches_pattern(pattern, target.action).into()),
            Expr::SubOperation(pattern) => {
                let possible = |name: &&str| is_suboperation(pattern, Some(name));
                if target.suboperations.iter().any(possible) {
                    Self::free(Part::SubOperation(Arc::from(&**pattern)))
                } else {
                    settled(expr, Truth::False)
                }
            }
            Expr::Exists(attribute) => {
                // What nobody knows is not absent: the request is asked, and says so.
                if attribute.known.is_none() || (target.can_have)(attribute) {
                    Self {
                        part: Part::Exists(Arc::new(attribute.clone())),
                        needs: needs(attribute),
                    }
                } else {
                    settled(expr, Truth::False)
                }
            }
            Expr::Compare(comparison) => Self::compare(expr, comparison, target),
        }
    }

    fn compare(expr: &Expr, comparison: &Comparison, target: &Target<'_>) -> Self {
        if compare::attributes(comparison).any(|attribute| !(target.can_have)(attribute)) {
            return settled(expr, Truth::Undefined);
        }
        let prepared = Prepared {
            patterns: compare::patterns(comparison),
            comparison: comparison.clone(),
        };
        if compare::attributes(comparison).next().is_none() {
            return settled(expr, prepared.truth(&Nothing));
        }
        Self {
            part: Part::Compare(Arc::new(prepared)),
            needs: compare::attributes(comparison)
                .map(needs)
                .fold(Needs::NOTHING, Needs::union),
        }
    }

    fn mixed(expr: &Expr, mixed: &Mixed, target: &Target<'_>) -> Self {
        let first = Self::of(&mixed.first, target);
        let rest = mixed.rest.iter();
        let rest: Box<[_]> = rest
            .map(|(connective, part)| (*connective, Self::of(part, target)))
            .collect();
        let operands = Operands { first, rest };
        // What is not constant could be anything; what follows even so is constant.
        let anything = Truth::Pending(Pending::on(Needs::NOTHING));
        let truth = operands.readings(|part| part.as_constant().unwrap_or(anything));
        if matches!(truth, Truth::Pending(_)) {
            return Self {
                needs: union_of_needs(operands.parts()),
                part: Part::Mixed(Arc::new(operands)),
            };
        }
        let like_it = operands
            .parts()
            .filter(|part| part.as_constant() == Some(truth));
        match first_test(like_it).map(|part| &part.part) {
            Some(Part::Constant(_, Some(origin))) => {
                Self::free(Part::Constant(truth, Some(origin.clone())))
            }
            // Only the readings together say why.
            _ => settled(expr, truth),
        }
    }

    fn negate(self) -> Self {
        if let Part::Constant(truth, origin) = self.part {
            let origin = origin.map(|Origin { leaf, negated }| Origin {
                leaf,
                negated: !negated,
            });
            return Self::free(Part::Constant(truth.negate(), origin));
        }
        if let Part::Not(inner) = self.part {
            return (*inner).clone();
        }
        Self {
            needs: self.needs,
            part: Part::Not(Arc::new(self)),
        }
    }

    /// `AND` or `OR` of `parts`, with what is constant folded and what is nested unfolded.
    fn join(connective: Connective, parts: impl IntoIterator<Item = Self>) -> Self {
        let neutral = Truth::from(connective == Connective::And);
        let mut kept: Vec<Self> = Vec::new();
        let mut dropped: Vec<Self> = Vec::new();
        for part in parts {
            let constant = part.as_constant();
            if constant == Some(neutral.negate()) {
                return part;
            }
            if constant == Some(neutral) {
                dropped.push(part);
                continue;
            }
            match (connective, &part.part) {
                (Connective::And, Part::All(inner)) | (Connective::Or, Part::Any(inner)) => {
                    kept.extend(inner.iter().cloned());
                }
                _ => kept.push(part),
            }
        }
        // One undefined part makes as much of a difference as two.
        let mut seen = false;
        kept.retain(|part| part.as_constant().is_none() || !std::mem::replace(&mut seen, true));
        match kept.len() {
            0 => first_test(dropped.iter()).map_or_else(|| Self::constant(neutral), Self::clone),
            1 => kept.remove(0),
            _ => Self {
                needs: union_of_needs(kept.iter()),
                part: match connective {
                    Connective::And => Part::All(kept.into()),
                    Connective::Or => Part::Any(kept.into()),
                },
            },
        }
    }

    /// Nobody asks why something holds; without the reason all that always holds is equal.
    fn without_needless_origin(self) -> Self {
        match self.as_constant() {
            Some(Truth::True) => Self::constant(Truth::True),
            _ => self,
        }
    }

    fn truth(&self, scene: Scene<'_>) -> Truth {
        match &self.part {
            Part::Constant(truth, _) => *truth,
            Part::All(parts) => Truth::all(parts.iter().map(|part| part.truth(scene))),
            Part::Any(parts) => Truth::any(parts.iter().map(|part| part.truth(scene))),
            Part::Mixed(operands) => operands.readings(|part| part.truth(scene)),
            Part::Not(inner) => inner.truth(scene).negate(),
            Part::SubOperation(pattern) => is_suboperation(pattern, scene.suboperation).into(),
            Part::Exists(attribute) => compare::exists(attribute, scene.attributes),
            Part::Compare(prepared) => prepared.truth(scene.attributes),
        }
    }

    /// What would have to hold for it to be true (or false, if that is `wanted`), and does not.
    fn culprit(&self, wanted: bool, scene: Scene<'_>) -> Option<Expr> {
        let whole = self.truth(scene);
        let hinders = |part: &&Self| {
            let truth = part.truth(scene);
            let truth = if wanted { truth } else { truth.negate() };
            !truth.may_hold()
        };
        let decides = |part: &&Self| match whole {
            Truth::Pending(_) => hinders(part),
            Truth::True | Truth::False | Truth::Undefined => part.truth(scene) == whole,
        };
        let leaf = match &self.part {
            Part::Constant(_, origin) => {
                let Origin { leaf, negated } = origin.as_ref()?;
                return Some(needed((**leaf).clone(), *negated == wanted));
            }
            Part::All(parts) if wanted => return parts.iter().find(decides)?.culprit(true, scene),
            Part::Any(parts) if !wanted => {
                return parts.iter().find(decides)?.culprit(false, scene);
            }
            Part::All(parts) | Part::Any(parts) => {
                return alternatives(parts.iter().filter(decides), wanted, scene);
            }
            // Its readings may differ, and then no part comes to the same.
            Part::Mixed(operands) => {
                return first_test(operands.parts().filter(hinders))?.culprit(wanted, scene);
            }
            Part::Not(inner) => return inner.culprit(!wanted, scene),
            Part::SubOperation(pattern) => Expr::SubOperation(Box::from(&**pattern)),
            Part::Exists(attribute) => Expr::Exists((**attribute).clone()),
            Part::Compare(prepared) => Expr::Compare(Box::new(prepared.comparison.clone())),
        };
        Some(needed(leaf, !wanted))
    }

    /// Whether it asks for more than an action or a suboperation.
    fn is_test(&self) -> bool {
        match &self.part {
            Part::Constant(_, origin) => origin.as_ref().is_some_and(|origin| {
                !matches!(*origin.leaf, Expr::Action(_) | Expr::SubOperation(_))
            }),
            Part::All(parts) | Part::Any(parts) => parts.iter().any(Self::is_test),
            Part::Mixed(operands) => operands.parts().any(Self::is_test),
            Part::Not(inner) => inner.is_test(),
            Part::SubOperation(_) => false,
            Part::Exists(_) | Part::Compare(_) => true,
        }
    }
}

/// What `leaf` always comes to.
fn settled(leaf: &Expr, truth: Truth) -> Residual {
    let origin = Origin {
        leaf: Arc::new(leaf.clone()),
        negated: false,
    };
    Residual::free(Part::Constant(truth, Some(origin)))
}

fn needed(leaf: Expr, negated: bool) -> Expr {
    if negated {
        Expr::Not(Box::new(leaf))
    } else {
        leaf
    }
}

/// What is wrong with each of `parts`, one of which would have sufficed.
fn alternatives<'a>(
    parts: impl Iterator<Item = &'a Residual> + Clone,
    wanted: bool,
    scene: Scene<'_>,
) -> Option<Expr> {
    let tests = parts.clone().filter(|part| part.is_test());
    let culprits = tests.filter_map(|part| part.culprit(wanted, scene));
    let mut culprits: Vec<Expr> = culprits.take(MAX_ALTERNATIVES).collect();
    match culprits.len() {
        0 => first_test(parts)?.culprit(wanted, scene),
        1 => culprits.pop(),
        _ => Some(Expr::Any(culprits)),
    }
}

/// The first attribute in `expr` that was asked for and of which nobody knows a value.
fn missing<'e>(expr: &'e Expr, attributes: &dyn Attributes) -> Option<&'e Attribute> {
    match expr {
        Expr::All(parts) | Expr::Any(parts) => {
            parts.iter().find_map(|part| missing(part, attributes))
        }
        Expr::Not(inner) => missing(inner, attributes),
        Expr::Compare(comparison) => compare::attributes(comparison).find(|attribute| {
            let exists = compare::exists(attribute, attributes);
            matches!(exists, Truth::False | Truth::Undefined)
        }),
        Expr::Exists(attribute) => {
            let unknown = compare::exists(attribute, attributes) == Truth::Undefined;
            unknown.then_some(attribute)
        }
        Expr::Mixed(_) | Expr::Action(_) | Expr::SubOperation(_) => None,
    }
}

/// The first part that asks for more than an action or a suboperation, or else the first.
fn first_test<'a>(parts: impl Iterator<Item = &'a Residual>) -> Option<&'a Residual> {
    let mut parts = parts.peekable();
    let first = parts.peek().copied();
    parts.find(|part| part.is_test()).or(first)
}

fn union_of_needs<'a>(parts: impl Iterator<Item = &'a Residual>) -> Needs {
    parts.fold(Needs::NOTHING, |needs, part| needs.union(part.needs))
}

fn needs(attribute: &Attribute) -> Needs {
    attribute
        .known
        .map_or(Needs::NOTHING, |known| known.needs())
}

impl Operands {
    fn parts(&self) -> impl Iterator<Item = &Residual> {
        iter::once(&self.first).chain(self.rest.iter().map(|(_, part)| part))
    }

    fn readings(&self, truth: impl Fn(&Residual) -> Truth) -> Truth {
        let rest = self.rest.iter();
        readings(
            truth(&self.first),
            rest.map(|(connective, part)| (*connective, truth(part))),
        )
    }
}

impl Prepared {
    fn truth(&self, attributes: &dyn Attributes) -> Truth {
        compare::evaluate(&self.comparison, &self.patterns, attributes)
    }
}

/// The attributes of no request.
struct Nothing;

impl Attributes for Nothing {
    fn look_up(&self, _attribute: &Attribute) -> Lookup<'_> {
        Lookup::Missing
    }
}

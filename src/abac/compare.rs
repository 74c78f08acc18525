//! Comparisons: one pair of values, and all pairs of two sides.

use std::borrow::Cow;

use uuid::Uuid;

use super::datetime::DateTime;
use super::expr::{
    Attribute, Comparison, Literal, Operand, Operator, Order, Quantifier, StringTest,
};
use super::like::{Like, lower_case};
use super::truth::{Needs, Pending, Truth};
use super::value::{Attributes, Lookup, Scalar, Values};

/// What `comparison` comes to.
///
/// `patterns` are those of the literals on its right, from [`patterns`]; without them they are
/// compiled as they are needed.
pub(super) fn evaluate(
    comparison: &Comparison,
    patterns: &[Like],
    attributes: &dyn Attributes,
) -> Truth {
    let left = Side::of(&comparison.left, attributes);
    let right = Side::of(&comparison.right, attributes);
    match (&left, &right) {
        // Whatever the other side turns out to be.
        (Side::Missing, _) | (_, Side::Missing) => Truth::Undefined,
        (Side::Pending(a), Side::Pending(b)) => Truth::Pending(Pending::on(a.union(*b))),
        (Side::Pending(needs), _) | (_, Side::Pending(needs)) => {
            Truth::Pending(Pending::on(*needs))
        }
        _ => fold(comparison, patterns, &left, &right),
    }
}

/// The patterns of the literals on the right of a comparison, compiled; none if its operator has
/// no patterns.
pub(super) fn patterns(comparison: &Comparison) -> Box<[Like]> {
    let literals = match &comparison.right {
        Operand::Attribute(_) => return Box::default(),
        Operand::Literal(literal) => std::slice::from_ref(literal),
        Operand::Set(literals) => literals,
    };
    let pattern = |literal: &Literal| match (comparison.operator, literal) {
        (Operator::String { test, .. }, Literal::Text(text)) => compile(test, text),
        _ => None,
    };
    // All or none: a pattern is found by the place of its literal.
    literals
        .iter()
        .map(pattern)
        .collect::<Option<_>>()
        .unwrap_or_default()
}

fn compile(test: StringTest, text: &str) -> Option<Like> {
    match test {
        StringTest::Like => Some(Like::new(text)),
        StringTest::Contains => Some(Like::containing(text)),
        StringTest::Equals | StringTest::StartsWith | StringTest::EndsWith => None,
    }
}

/// The attributes that a comparison looks at.
pub(super) fn attributes(comparison: &Comparison) -> impl Iterator<Item = &Attribute> {
    [&comparison.left, &comparison.right]
        .into_iter()
        .filter_map(|side| match side {
            Operand::Attribute(attribute) => Some(attribute),
            Operand::Literal(_) | Operand::Set(_) => None,
        })
}

/// Whether `attribute` has a value.
pub(super) fn exists(attribute: &Attribute, attributes: &dyn Attributes) -> Truth {
    match attributes.look_up(attribute) {
        Lookup::Missing => Truth::False,
        // SECURITY: a request may well have what is not in our vocabulary yet, or is misspelt.
        Lookup::Unknown => Truth::Undefined,
        Lookup::Pending(needs) => Truth::Pending(Pending::on(needs)),
        Lookup::Found(values) => Truth::from(!values.as_slice().is_empty()),
    }
}

/// Whether `operator` can compare all of `values`.
pub(super) fn comparable(operator: Operator, values: &Values<'_>) -> bool {
    values
        .as_slice()
        .iter()
        .map(View::from)
        .all(|value| match operator {
            Operator::String { .. } => value.text().is_some(),
            Operator::Numeric(_) => value.integer().is_some(),
            Operator::DateTime(_) => value.date_time().is_some(),
            Operator::Guid { .. } => value.guid().is_some(),
            Operator::Boolean { .. } => value.boolean().is_some(),
        })
}

/// One side of a comparison in a request.
enum Side<'a> {
    Missing,
    Pending(Needs),
    Literals(&'a [Literal]),
    Values(Values<'a>),
}

impl<'a> Side<'a> {
    fn of(operand: &'a Operand, attributes: &'a dyn Attributes) -> Self {
        match operand {
            Operand::Attribute(attribute) => match attributes.look_up(attribute) {
                Lookup::Pending(needs) => Self::Pending(needs),
                Lookup::Found(values) if !values.as_slice().is_empty() => Self::Values(values),
                Lookup::Missing | Lookup::Unknown | Lookup::Found(_) => Self::Missing,
            },
            Operand::Literal(literal) => Self::Literals(std::slice::from_ref(literal)),
            Operand::Set(literals) => Self::Literals(literals),
        }
    }

    fn views(&self) -> impl Iterator<Item = View<'_>> {
        let (literals, values): (&[Literal], &[Scalar<'_>]) = match self {
            Self::Missing | Self::Pending(_) => (&[], &[]),
            Self::Literals(literals) => (literals, &[]),
            Self::Values(values) => (&[], values.as_slice()),
        };
        let literals = literals.iter().map(View::from);
        literals.chain(values.iter().map(View::from))
    }

    /// Its value, if it has just one.
    fn single(&self) -> Option<View<'_>> {
        let mut views = self.views();
        views.next().filter(|_| views.next().is_none())
    }
}

/// Compares the pairs that the quantifier asks for.
fn fold(comparison: &Comparison, patterns: &[Like], left: &Side<'_>, right: &Side<'_>) -> Truth {
    let operator = comparison.operator;
    let (each_left, each_right) = match comparison.quantifier {
        None => {
            // Nobody said whether one of several values is enough.
            return left
                .single()
                .zip(right.single())
                .map_or(Truth::Undefined, |(left, right)| {
                    pair(operator, left, right, patterns.first())
                });
        }
        Some(Quantifier::ForAnyOfAnyValues) => (false, false),
        Some(Quantifier::ForAllOfAnyValues) => (true, false),
        Some(Quantifier::ForAnyOfAllValues) => (false, true),
        Some(Quantifier::ForAllOfAllValues) => (true, true),
    };
    quantify(
        each_left,
        left.views().map(|left| {
            let pairs = right.views().enumerate();
            quantify(
                each_right,
                pairs.map(|(at, right)| pair(operator, left, right, patterns.get(at))),
            )
        }),
    )
}

fn quantify(each: bool, truths: impl Iterator<Item = Truth>) -> Truth {
    if each {
        Truth::all(truths)
    } else {
        Truth::any(truths)
    }
}

/// Compares one pair. `pattern` is that of `right`, if somebody has compiled it.
fn pair(operator: Operator, left: View<'_>, right: View<'_>, pattern: Option<&Like>) -> Truth {
    let (answer, negated) = match operator {
        Operator::String {
            test,
            negated,
            ignore_case,
        } => {
            let answer = left.text().zip(right.text()).and_then(|(text, against)| {
                let test = Test::new(test, against, pattern);
                if ignore_case {
                    return test.passes_ignoring_case(text);
                }
                let answer = test.passes(text);
                // SECURITY: the caller picks the case of a name, and the vault ignores it.
                let name = matches!(left, View::Name(_)) || matches!(right, View::Name(_));
                (!name || test.passes_ignoring_case(text) == Some(answer)).then_some(answer)
            });
            (answer, negated)
        }
        Operator::Numeric(order) => (ordered(order, left.integer(), right.integer()), false),
        Operator::DateTime(order) => (ordered(order, left.date_time(), right.date_time()), false),
        Operator::Guid { negated } => (equal(left.guid(), right.guid()), negated),
        Operator::Boolean { negated } => (equal(left.boolean(), right.boolean()), negated),
    };
    answer.map_or(Truth::Undefined, |answer| Truth::from(answer != negated))
}

fn equal<T: PartialEq>(left: Option<T>, right: Option<T>) -> Option<bool> {
    left.zip(right).map(|(left, right)| left == right)
}

fn ordered<T: PartialOrd>(order: Order, left: Option<T>, right: Option<T>) -> Option<bool> {
    left.zip(right).map(|(left, right)| match order {
        Order::Equals => left == right,
        Order::NotEquals => left != right,
        Order::GreaterThan => left > right,
        Order::GreaterThanEquals => left >= right,
        Order::LessThan => left < right,
        Order::LessThanEquals => left <= right,
    })
}

/// What a text is tested for.
enum Test<'a> {
    Equals(&'a str),
    StartsWith(&'a str),
    EndsWith(&'a str),
    Pattern(Cow<'a, Like>),
}

impl<'a> Test<'a> {
    fn new(test: StringTest, right: &'a str, pattern: Option<&'a Like>) -> Self {
        match test {
            StringTest::Equals => Self::Equals(right),
            StringTest::StartsWith => Self::StartsWith(right),
            StringTest::EndsWith => Self::EndsWith(right),
            StringTest::Like => {
                Self::Pattern(pattern.map_or_else(|| Cow::Owned(Like::new(right)), Cow::Borrowed))
            }
            StringTest::Contains => Self::Pattern(
                pattern.map_or_else(|| Cow::Owned(Like::containing(right)), Cow::Borrowed),
            ),
        }
    }

    fn passes(&self, left: &str) -> bool {
        match self {
            Self::Equals(right) => left == *right,
            Self::StartsWith(right) => left.starts_with(right),
            Self::EndsWith(right) => left.ends_with(right),
            Self::Pattern(like) => like.matches(left),
        }
    }

    /// Without regard to case; `None` if it matters whether that is said of ASCII letters or of
    /// all, because Azure does not say which it means.
    fn passes_ignoring_case(&self, left: &str) -> Option<bool> {
        let (right, part) = match self {
            Self::Equals(right) => (*right, Some(left.as_bytes())),
            Self::StartsWith(right) => (*right, left.as_bytes().get(..right.len())),
            Self::EndsWith(right) => {
                let at = left.len().checked_sub(right.len());
                (*right, at.and_then(|at| left.as_bytes().get(at..)))
            }
            Self::Pattern(like) => return like.matches_ignoring_case(left),
        };
        let answer = part.is_some_and(|part| part.eq_ignore_ascii_case(right.as_bytes()));
        if left.is_ascii() && right.is_ascii() {
            return Some(answer);
        }
        let (left, right) = (lower_case(left), lower_case(right));
        let unicode = match self {
            Self::StartsWith(_) => left.starts_with(&right),
            Self::EndsWith(_) => left.ends_with(&right),
            Self::Equals(_) | Self::Pattern(_) => left == right,
        };
        (unicode == answer).then_some(answer)
    }
}

/// A value, borrowed from a literal or from an attribute.
#[derive(Clone, Copy)]
enum View<'a> {
    Text(&'a str),
    Name(&'a str),
    Integer(i64),
    Boolean(bool),
    DateTime(DateTime),
    Guid(Uuid),
    Other,
}

impl<'a> From<&'a Scalar<'_>> for View<'a> {
    fn from(scalar: &'a Scalar<'_>) -> Self {
        match scalar {
            Scalar::Text(text) => Self::Text(text),
            Scalar::Name(name) => Self::Name(name),
            Scalar::Integer(number) => Self::Integer(*number),
            Scalar::Boolean(value) => Self::Boolean(*value),
            Scalar::DateTime(time) => Self::DateTime(*time),
            Scalar::Guid(guid) => Self::Guid(*guid),
            Scalar::Other => Self::Other,
        }
    }
}

impl<'a> From<&'a Literal> for View<'a> {
    fn from(literal: &'a Literal) -> Self {
        match literal {
            Literal::Text(text) => Self::Text(text),
            Literal::Integer(number) => Self::Integer(*number),
            Literal::Boolean(value) => Self::Boolean(*value),
            Literal::DateTime(time) => Self::DateTime(*time),
            Literal::Guid(guid) => Self::Guid(*guid),
        }
    }
}

/// What a value is to the operators of one type; `None` if it is of another.
impl<'a> View<'a> {
    const fn text(self) -> Option<&'a str> {
        match self {
            Self::Text(text) | Self::Name(text) => Some(text),
            Self::Integer(_)
            | Self::Boolean(_)
            | Self::DateTime(_)
            | Self::Guid(_)
            | Self::Other => None,
        }
    }

    const fn integer(self) -> Option<i64> {
        if let Self::Integer(number) = self {
            Some(number)
        } else {
            None
        }
    }

    const fn boolean(self) -> Option<bool> {
        if let Self::Boolean(value) = self {
            Some(value)
        } else {
            None
        }
    }

    fn date_time(self) -> Option<DateTime> {
        match self {
            Self::DateTime(time) => Some(time),
            Self::Text(text) => text.parse().ok(),
            Self::Name(_) | Self::Integer(_) | Self::Boolean(_) | Self::Guid(_) | Self::Other => {
                None
            }
        }
    }

    fn guid(self) -> Option<Uuid> {
        match self {
            Self::Guid(guid) => Some(guid),
            // With dashes or without; the braces and URNs that the crate knows too are longer.
            Self::Text(text) if matches!(text.len(), 32 | 36) => Uuid::try_parse(text).ok(),
            Self::Text(_)
            | Self::Name(_)
            | Self::Integer(_)
            | Self::Boolean(_)
            | Self::DateTime(_)
            | Self::Other => None,
        }
    }
}

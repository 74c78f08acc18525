//! A second evaluator: slow, without short cuts, and without anything of the first one.
//!
//! `Some(true)`, `Some(false)`, or `None` for undefined.

use std::borrow::Cow;

use portcullis::abac::{
    Attribute, Comparison, Connective, Expr, Literal, Mixed, Operand, Operator, Order, Quantifier,
    StringTest,
};

use super::world::{Value, World};

type Answer = Option<bool>;

/// What `expr` comes to in `world`, in which nothing is hidden.
pub(crate) fn evaluate(expr: &Expr, world: &World) -> Answer {
    match expr {
        Expr::All(parts) => each(&answers(parts, world)),
        Expr::Any(parts) => some(&answers(parts, world)),
        Expr::Mixed(mixed) => readings(mixed, world),
        Expr::Not(inner) => evaluate(inner, world).map(|holds| !holds),
        Expr::Action(pattern) => Some(fits_action(pattern, world.action)),
        Expr::SubOperation(pattern) => Some(
            world
                .suboperation
                .is_some_and(|name| fits_action(pattern, name)),
        ),
        Expr::Exists(attribute) => Some(!world.values(attribute).is_empty()),
        Expr::Compare(comparison) => compare(comparison, world),
    }
}

fn answers(parts: &[Expr], world: &World) -> Vec<Answer> {
    parts.iter().map(|part| evaluate(part, world)).collect()
}

/// Kleene's `AND`.
fn each(answers: &[Answer]) -> Answer {
    if answers.contains(&Some(false)) {
        Some(false)
    } else if answers.contains(&None) {
        None
    } else {
        Some(true)
    }
}

/// Kleene's `OR`.
fn some(answers: &[Answer]) -> Answer {
    if answers.contains(&Some(true)) {
        Some(true)
    } else if answers.contains(&None) {
        None
    } else {
        Some(false)
    }
}

fn readings(mixed: &Mixed, world: &World) -> Answer {
    let first = evaluate(&mixed.first, world);
    let rest: Vec<(Connective, Answer)> = mixed
        .rest
        .iter()
        .map(|(connective, part)| (*connective, evaluate(part, world)))
        .collect();
    let in_order = rest
        .iter()
        .fold(first, |so_far, (connective, answer)| match connective {
            Connective::And => each(&[so_far, *answer]),
            Connective::Or => some(&[so_far, *answer]),
        });
    // Cut at one connective; what lies between two cuts is joined by the other.
    let cut_at = |separator: Connective| {
        let mut groups = vec![vec![first]];
        for (connective, answer) in &rest {
            if *connective == separator {
                groups.push(Vec::new());
            }
            groups.last_mut().unwrap().push(*answer);
        }
        groups
    };
    let and_first: Vec<Answer> = cut_at(Connective::Or).iter().map(|g| each(g)).collect();
    let or_first: Vec<Answer> = cut_at(Connective::And).iter().map(|g| some(g)).collect();
    let all = [in_order, some(&and_first), each(&or_first)];
    all.iter()
        .all(|answer| *answer == in_order)
        .then_some(in_order)
        .flatten()
}

/// Whether an action matches a pattern: `*` is the only wildcard, and case does not matter.
fn fits_action(pattern: &str, action: &str) -> bool {
    let pattern: Vec<Symbol> = pattern
        .to_ascii_lowercase()
        .chars()
        .map(|c| {
            if c == '*' {
                Symbol::Run
            } else {
                Symbol::Just(c)
            }
        })
        .collect();
    let action: Vec<char> = action.to_ascii_lowercase().chars().collect();
    fits(&pattern, &action)
}

#[derive(Clone, Copy)]
enum Symbol {
    Run,
    One,
    Just(char),
}

fn fits(pattern: &[Symbol], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((Symbol::Run, rest)) => (0..=text.len()).any(|at| fits(rest, &text[at..])),
        Some((Symbol::One, rest)) => !text.is_empty() && fits(rest, &text[1..]),
        Some((Symbol::Just(c), rest)) => text.first() == Some(c) && fits(rest, &text[1..]),
    }
}

fn like(text: &str, pattern: &str) -> bool {
    let pattern = pattern.replace(r"\*", "\u{1}").replace(r"\?", "\u{2}");
    let symbols: Vec<Symbol> = pattern
        .chars()
        .map(|c| match c {
            '*' => Symbol::Run,
            '?' => Symbol::One,
            '\u{1}' => Symbol::Just('*'),
            '\u{2}' => Symbol::Just('?'),
            other => Symbol::Just(other),
        })
        .collect();
    fits(&symbols, &text.chars().collect::<Vec<_>>())
}

fn side<'a>(operand: &Operand, world: &'a World) -> Vec<Cow<'a, Value>> {
    match operand {
        Operand::Attribute(attribute) => values(attribute, world),
        Operand::Literal(literal) => vec![Cow::Owned(value(literal))],
        Operand::Set(literals) => literals
            .iter()
            .map(|literal| Cow::Owned(value(literal)))
            .collect(),
    }
}

fn values<'a>(attribute: &Attribute, world: &'a World) -> Vec<Cow<'a, Value>> {
    assert!(!world.is_hidden(attribute), "everything is known here");
    world.values(attribute)
}

fn value(literal: &Literal) -> Value {
    match literal {
        Literal::Text(text) => Value::Text(text.to_string()),
        Literal::Integer(number) => Value::Integer(*number),
        Literal::Boolean(value) => Value::Boolean(*value),
        Literal::DateTime(time) => Value::DateTime(time.to_string()),
        Literal::Guid(guid) => Value::Guid(guid.to_string()),
    }
}

fn compare(comparison: &Comparison, world: &World) -> Answer {
    let (left, right) = (
        side(&comparison.left, world),
        side(&comparison.right, world),
    );
    if left.is_empty() || right.is_empty() {
        return None;
    }
    let pair = |l: &Value, r: &Value| compare_pair(comparison.operator, l, r);
    let with = |l: &Value, fold: fn(&[Answer]) -> Answer| {
        fold(&right.iter().map(|r| pair(l, r)).collect::<Vec<_>>())
    };
    let rows = |fold: fn(&[Answer]) -> Answer| -> Vec<Answer> {
        left.iter().map(|l| with(l, fold)).collect()
    };
    match comparison.quantifier {
        None if left.len() == 1 && right.len() == 1 => pair(&left[0], &right[0]),
        None => None,
        Some(Quantifier::ForAnyOfAnyValues) => some(&rows(some)),
        Some(Quantifier::ForAllOfAnyValues) => each(&rows(some)),
        Some(Quantifier::ForAnyOfAllValues) => some(&rows(each)),
        Some(Quantifier::ForAllOfAllValues) => each(&rows(each)),
    }
}

fn compare_pair(operator: Operator, left: &Value, right: &Value) -> Answer {
    match operator {
        Operator::String {
            test,
            negated,
            ignore_case,
        } => texts(test, ignore_case, left, right).map(|holds| holds != negated),
        Operator::Numeric(order) => match (left, right) {
            (Value::Integer(left), Value::Integer(right)) => Some(ordered(order, left, right)),
            _ => None,
        },
        Operator::DateTime(order) => Some(ordered(order, &instant(left)?, &instant(right)?)),
        Operator::Guid { negated } => Some((hex(left)? == hex(right)?) != negated),
        Operator::Boolean { negated } => match (left, right) {
            (Value::Boolean(left), Value::Boolean(right)) => Some((left == right) != negated),
            _ => None,
        },
    }
}

fn ordered<T: Ord>(order: Order, left: &T, right: &T) -> bool {
    let ordering = left.cmp(right);
    match order {
        Order::Equals => ordering.is_eq(),
        Order::NotEquals => ordering.is_ne(),
        Order::GreaterThan => ordering.is_gt(),
        Order::GreaterThanEquals => ordering.is_ge(),
        Order::LessThan => ordering.is_lt(),
        Order::LessThanEquals => ordering.is_le(),
    }
}

/// A point in time as text that sorts: all seven digits of the fraction written out. The generator
/// writes no other form, save texts that are no points in time at all.
fn instant(value: &Value) -> Option<String> {
    let (Value::DateTime(text) | Value::Text(text)) = value else {
        return None;
    };
    let text = text.strip_suffix('Z').filter(|_| text.contains('T'))?;
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, ""));
    Some(format!("{seconds}.{fraction:0<7}"))
}

/// The digits of a GUID.
fn hex(value: &Value) -> Option<String> {
    let (Value::Guid(text) | Value::Text(text)) = value else {
        return None;
    };
    let digits = text.replace('-', "").to_ascii_lowercase();
    (digits.len() == 32 && digits.chars().all(|c| c.is_ascii_hexdigit())).then_some(digits)
}

fn texts(test: StringTest, ignore_case: bool, left: &Value, right: &Value) -> Answer {
    let (Value::Text(l) | Value::Name(l), Value::Text(r) | Value::Name(r)) = (left, right) else {
        return None;
    };
    let holds = |l: &str, r: &str| match test {
        StringTest::Equals => l == r,
        StringTest::StartsWith => l.starts_with(r),
        StringTest::EndsWith => l.ends_with(r),
        StringTest::Contains => l.contains(r),
        StringTest::Like => like(l, r),
    };
    let lower = |text: &str| -> String { text.chars().flat_map(char::to_lowercase).collect() };
    let as_written = holds(l, r);
    let in_ascii = holds(&l.to_ascii_lowercase(), &r.to_ascii_lowercase());
    let in_unicode = holds(&lower(l), &lower(r));
    let name = matches!(left, Value::Name(_)) || matches!(right, Value::Name(_));
    let agreed = in_ascii == in_unicode;
    if ignore_case {
        agreed.then_some(in_ascii)
    } else {
        (!name || (agreed && in_ascii == as_written)).then_some(as_written)
    }
}

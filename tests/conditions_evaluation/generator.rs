//! Random conditions and requests from a small world, so that values meet often.

use portcullis::abac::{
    Attribute, Comparison, Connective, Expr, Form, Literal, Mixed, Operand, Operator, Order,
    Quantifier, Source, StringTest,
};

use super::dice::Dice;
use super::world::{Value, World, written};

pub(crate) const ACTIONS: [&str; 3] = [
    "Microsoft.KeyVault/vaults/secrets/getSecret/action",
    "Microsoft.KeyVault/vaults/secrets/readMetadata/action",
    "Microsoft.KeyVault/vaults/keys/sign/action",
];
const ACTION_PATTERNS: [&str; 6] = [
    "Microsoft.KeyVault/vaults/secrets/getSecret/action",
    "microsoft.keyvault/vaults/SECRETS/*",
    "Microsoft.KeyVault/vaults/*/sign/*",
    "*/action",
    "*",
    "Microsoft.KeyVault/vaults/keys/read",
];
pub(crate) const SUBOPERATIONS: [&str; 3] = ["Secret.List", "Secret.ListVersions", "Key.Get"];
const SUBOPERATION_PATTERNS: [&str; 4] = ["Secret.List", "secret.list*", "*.get", "Blob.List"];
const TEXTS: [&str; 16] = [
    "",
    "a",
    "A",
    "ab",
    "aB",
    "ba",
    "a*",
    "a?b",
    "ä",
    "Ä",
    "k",
    "\u{212a}",
    "a/b",
    "b\\",
    "3",
    "0d9f8a7b-6c5d-4e3f-9a2b-1c0d9e8f7a6b",
];
const PATTERNS: [&str; 14] = [
    "*", "a*", "*b", "*a*", "?", "a?", "??", "*?b", r"a\*", r"a\?b", "Ä*", "K", "*B", "a*b*",
];
const TIMES: [&str; 4] = [
    "2026-01-31T00:00:00.0Z",
    "2026-01-31T00:00:00.0000001Z",
    "2026-01-31T00:00:00.1Z",
    "2027-12-31T23:59:59.9999999Z",
];
const GUIDS: [&str; 3] = [
    "0d9f8a7b-6c5d-4e3f-9a2b-1c0d9e8f7a6b",
    "0D9F8A7B-6C5D-4E3F-9A2B-1C0D9E8F7A6B",
    "11111111-1111-4111-8111-111111111111",
];

/// The type an attribute is meant to have.
#[derive(Clone, Copy)]
enum Kind {
    Text,
    Name,
    Integer,
    Boolean,
    DateTime,
    Guid,
}

const KINDS: [Kind; 6] = [
    Kind::Text,
    Kind::Name,
    Kind::Integer,
    Kind::Boolean,
    Kind::DateTime,
    Kind::Guid,
];

const ATTRIBUTES: [(Source, &str, Kind); 10] = [
    (
        Source::Resource,
        "Microsoft.KeyVault/vaults/secrets:name",
        Kind::Name,
    ),
    (
        Source::Request,
        "Microsoft.KeyVault/vaults/secrets:name",
        Kind::Name,
    ),
    (Source::Resource, "Contoso.Test/things:text", Kind::Text),
    (Source::Principal, "Contoso.Test/things:text", Kind::Text),
    (
        Source::Resource,
        "Contoso.Test/things:number",
        Kind::Integer,
    ),
    (Source::Request, "Contoso.Test/things:number", Kind::Integer),
    (Source::Environment, "isPrivateLink", Kind::Boolean),
    (Source::Environment, "UtcNow", Kind::DateTime),
    (
        Source::Resource,
        "Contoso.Test/things:created",
        Kind::DateTime,
    ),
    (Source::Principal, "Contoso.Test/groups:id", Kind::Guid),
];
const DICTIONARY: &str = "Microsoft.KeyVault/vaults/secrets/tags";
const KEYS: [&str; 3] = ["a", "A", "ab"];

fn value(dice: &mut Dice, kind: Kind) -> Value {
    if dice.one_in(12) {
        return if dice.one_in(4) {
            Value::Other
        } else {
            let other = *dice.pick(&KINDS);
            value(dice, other)
        };
    }
    match kind {
        Kind::Text => Value::Text((*dice.pick(&TEXTS)).to_owned()),
        Kind::Name => Value::Name((*dice.pick(&TEXTS)).to_owned()),
        Kind::Integer => Value::Integer(i64::try_from(dice.below(4)).unwrap() - 1),
        Kind::Boolean => Value::Boolean(dice.one_in(2)),
        Kind::DateTime => text_or(dice, &TIMES, Value::DateTime),
        Kind::Guid => text_or(dice, &GUIDS, Value::Guid),
    }
}

fn text_or(dice: &mut Dice, texts: &[&str], typed: fn(String) -> Value) -> Value {
    let text = (*dice.pick(texts)).to_owned();
    if dice.one_in(3) {
        Value::Text(text)
    } else {
        typed(text)
    }
}

fn values(dice: &mut Dice, kind: Kind) -> Vec<Value> {
    let several = if dice.one_in(3) { dice.below(4) } else { 1 };
    (0..several).map(|_| value(dice, kind)).collect()
}

/// A request in which nothing is hidden.
pub(crate) fn world(dice: &mut Dice) -> World {
    let mut attributes = Vec::new();
    for (source, name, kind) in ATTRIBUTES {
        if !dice.one_in(4) {
            attributes.push((source, name, values(dice, kind)));
        }
    }
    let mut entries = Vec::new();
    for key in KEYS {
        if dice.one_in(2) {
            entries.push((
                Source::Resource,
                DICTIONARY,
                key,
                vec![value(dice, Kind::Text)],
            ));
        }
    }
    let action = *dice.pick(&ACTIONS);
    World {
        action,
        suboperation: dice.one_in(2).then(|| *dice.pick(&SUBOPERATIONS)),
        attributes,
        entries,
        hidden: std::collections::BTreeSet::default(),
    }
}

/// Hides about a third of the attributes that a condition may ask for.
pub(crate) fn hide(dice: &mut Dice, world: &mut World) {
    let named = ATTRIBUTES.map(|(source, name, _)| named(source, name));
    let whole_dictionary = dice.one_in(3);
    for attribute in &named {
        if dice.one_in(3) {
            world.hidden.insert(written(attribute));
        }
    }
    for attribute in &entries() {
        if whole_dictionary || dice.one_in(4) {
            world.hidden.insert(written(attribute));
        }
    }
}

/// The same request with other values for what is hidden, and nothing hidden any more.
///
/// What a dictionary is said to have must not contradict what was seen of it, so its entries are
/// either all hidden or all the same.
pub(crate) fn reveal(dice: &mut Dice, world: &World) -> World {
    let mut revealed = world.clone();
    let other = self::world(dice);
    for (source, name, _) in ATTRIBUTES {
        if !world.is_hidden(&named(source, name)) {
            continue;
        }
        let same = |(s, n, _): &(Source, &str, Vec<Value>)| (*s, *n) == (source, name);
        revealed.attributes.retain(|attribute| !same(attribute));
        let values = other.attributes.iter().find(|attribute| same(attribute));
        revealed.attributes.extend(values.cloned());
    }
    if entries().iter().all(|attribute| world.is_hidden(attribute)) {
        revealed.entries = other.entries;
    }
    revealed.hidden.clear();
    revealed
}

fn named(source: Source, name: &str) -> Attribute {
    let (path, form) = match name.split_once(':') {
        Some((path, name)) => (path, Form::Name(name.into())),
        None => (name, Form::Bare),
    };
    Attribute {
        source,
        path: path.into(),
        form,
        known: None,
    }
}

fn entries() -> Vec<Attribute> {
    let of = |form| Attribute {
        source: Source::Resource,
        path: DICTIONARY.into(),
        form,
        known: None,
    };
    let by_key = KEYS.map(|key| of(Form::Key(key.into())));
    let any_case = ["A", "aB"].map(|key| of(Form::Name(key.into())));
    by_key
        .into_iter()
        .chain(any_case)
        .chain([of(Form::Keys)])
        .collect()
}

fn attribute(dice: &mut Dice) -> (Attribute, Kind) {
    if dice.one_in(4) {
        return (dice.pick(&entries()).clone(), Kind::Text);
    }
    let (source, name, kind) = *dice.pick(&ATTRIBUTES);
    let mut attribute = named(source, name);
    if dice.one_in(4) {
        attribute.path = attribute.path.to_uppercase().into();
    }
    (attribute, kind)
}

/// A condition whose parts nest no deeper than `depth`.
pub(crate) fn expr(dice: &mut Dice, depth: u64) -> Expr {
    if depth == 0 {
        return leaf(dice);
    }
    let parts = |dice: &mut Dice| {
        let first = [expr(dice, depth - 1), expr(dice, depth - 1)];
        let more = dice.list(2, |dice| expr(dice, depth - 1));
        first.into_iter().chain(more).collect()
    };
    match dice.below(7) {
        0 | 1 => Expr::All(parts(dice)),
        2 | 3 => Expr::Any(parts(dice)),
        4 => Expr::Not(Box::new(expr(dice, depth - 1))),
        5 => mixed(dice, depth - 1),
        _ => leaf(dice),
    }
}

fn mixed(dice: &mut Dice, depth: u64) -> Expr {
    // `NOT` takes the next expression only, so what is below must bring its own parentheses.
    let (a, b) = if dice.one_in(2) {
        (Connective::And, Connective::Or)
    } else {
        (Connective::Or, Connective::And)
    };
    let mut rest = vec![(a, expr(dice, depth)), (b, expr(dice, depth))];
    rest.extend(dice.list(2, |dice| {
        let connective = if dice.one_in(2) { a } else { b };
        (connective, leaf(dice))
    }));
    Expr::Mixed(Box::new(Mixed {
        first: expr(dice, depth),
        rest,
    }))
}

fn leaf(dice: &mut Dice) -> Expr {
    match dice.below(10) {
        0 => Expr::Action((*dice.pick(&ACTION_PATTERNS)).into()),
        1 => Expr::SubOperation((*dice.pick(&SUBOPERATION_PATTERNS)).into()),
        2 => Expr::Exists(attribute(dice).0),
        _ => Expr::Compare(Box::new(comparison(dice))),
    }
}

fn comparison(dice: &mut Dice) -> Comparison {
    let (left, kind) = attribute(dice);
    let kind = if dice.one_in(10) {
        *dice.pick(&KINDS)
    } else {
        kind
    };
    let quantifier = dice.one_in(2).then(|| {
        *dice.pick(&[
            Quantifier::ForAnyOfAnyValues,
            Quantifier::ForAllOfAnyValues,
            Quantifier::ForAnyOfAllValues,
            Quantifier::ForAllOfAllValues,
        ])
    });
    let operator = operator(dice, kind, quantifier.is_some());
    let set = |dice: &mut Dice| {
        let first = literal(dice, operator);
        let more = dice.list(3, |dice| literal(dice, operator));
        Operand::Set(std::iter::once(first).chain(more).collect())
    };
    let right = if dice.one_in(4) {
        Operand::Attribute(attribute(dice).0)
    } else if quantifier.is_some() && !dice.one_in(6) {
        set(dice)
    } else {
        Operand::Literal(literal(dice, operator))
    };
    let left = if quantifier.is_some() && dice.one_in(8) {
        set(dice)
    } else {
        Operand::Attribute(left)
    };
    Comparison {
        left,
        quantifier,
        operator,
        right,
    }
}

fn operator(dice: &mut Dice, kind: Kind, quantified: bool) -> Operator {
    let order = *dice.pick(&[
        Order::Equals,
        Order::NotEquals,
        Order::GreaterThan,
        Order::GreaterThanEquals,
        Order::LessThan,
        Order::LessThanEquals,
    ]);
    let negated = dice.one_in(3);
    let tests = [
        StringTest::Equals,
        StringTest::Like,
        StringTest::StartsWith,
        StringTest::EndsWith,
        StringTest::Contains,
    ];
    match kind {
        Kind::Integer => Operator::Numeric(order),
        Kind::Guid => Operator::Guid { negated },
        Kind::DateTime if !quantified => Operator::DateTime(order),
        Kind::Boolean if !quantified => Operator::Boolean { negated },
        Kind::Text | Kind::Name | Kind::DateTime | Kind::Boolean => Operator::String {
            test: *dice.pick(if quantified { &tests[..2] } else { &tests }),
            negated,
            ignore_case: dice.one_in(3),
        },
    }
}

fn literal(dice: &mut Dice, operator: Operator) -> Literal {
    match operator {
        Operator::String { test, .. } => {
            let texts: &[&str] = if test == StringTest::Like {
                &PATTERNS
            } else {
                &TEXTS
            };
            Literal::Text((*dice.pick(texts)).into())
        }
        Operator::Numeric(_) => Literal::Integer(i64::try_from(dice.below(4)).unwrap() - 1),
        Operator::DateTime(_) => Literal::DateTime(dice.pick(&TIMES).parse().unwrap()),
        Operator::Guid { .. } => Literal::Guid(dice.pick(&GUIDS).parse().unwrap()),
        Operator::Boolean { .. } => Literal::Boolean(dice.one_in(2)),
    }
}

//! Trees of all shapes, for properties that must hold of any condition.

use portcullis::abac::vocabulary::{Known, ValueType};
use portcullis::abac::{
    Attribute, Comparison, Connective, DateTime, Expr, Form, Literal, Mixed, Operand, Operator,
    Quantifier, Source,
};
use proptest::prelude::*;
use proptest::sample::select;
use uuid::Uuid;

/// Any tree that a text can stand for, small enough for its text to be read.
pub(crate) fn expr() -> impl Strategy<Value = Expr> {
    leaf().prop_recursive(5, 24, 4, |inner| {
        let several = proptest::collection::vec(inner.clone(), 2..4);
        prop_oneof![
            several.clone().prop_map(Expr::All),
            several.prop_map(Expr::Any),
            inner.clone().prop_map(|e| Expr::Not(Box::new(e))),
            mixed(inner),
        ]
    })
}

fn mixed(inner: impl Strategy<Value = Expr> + Clone) -> impl Strategy<Value = Expr> {
    let connectives = select(vec![Connective::And, Connective::Or]);
    let more = proptest::collection::vec((connectives, inner.clone()), 0..2);
    (inner.clone(), inner.clone(), inner, more).prop_map(|(first, second, third, more)| {
        let mut rest = vec![(Connective::And, second), (Connective::Or, third)];
        rest.extend(more);
        Expr::Mixed(Box::new(Mixed { first, rest }))
    })
}

fn leaf() -> impl Strategy<Value = Expr> {
    prop_oneof![
        2 => "[a-zA-Z./*]{1,12}".prop_map(|pattern| Expr::Action(pattern.into())),
        1 => "[a-zA-Z.*]{1,8}".prop_map(|pattern| Expr::SubOperation(pattern.into())),
        1 => attribute().prop_map(Expr::Exists),
        6 => comparison(),
    ]
}

fn comparison() -> impl Strategy<Value = Expr> {
    let operator = select(Operator::all().collect::<Vec<_>>());
    let quantifier = proptest::option::of(select(Quantifier::ALL.to_vec()));
    (operator, quantifier).prop_flat_map(|(operator, quantifier)| {
        let quantifier = quantifier.filter(|_| operator.takes_quantifier());
        let side = |left| operand(operator.value_type(), quantifier.is_some(), left);
        (side(true), side(false)).prop_map(move |(left, right)| {
            Expr::Compare(Box::new(Comparison {
                left,
                quantifier,
                operator,
                right,
            }))
        })
    })
}

fn operand(value_type: ValueType, quantified: bool, left: bool) -> BoxedStrategy<Operand> {
    let attribute = attribute().prop_map(Operand::Attribute);
    let value = literal(value_type).prop_map(Operand::Literal);
    let set = proptest::collection::vec(literal(value_type), 1..5).prop_map(Operand::Set);
    match (quantified, left) {
        (true, _) => prop_oneof![attribute, value, set].boxed(),
        (false, true) => attribute.boxed(),
        (false, false) => prop_oneof![attribute, value].boxed(),
    }
}

fn literal(value_type: ValueType) -> BoxedStrategy<Literal> {
    match value_type {
        // Anything but quotes and what cannot stand on a line.
        ValueType::String => "[^'\u{0}-\u{1f}]{0,12}"
            .prop_map(|text| Literal::Text(text.into()))
            .boxed(),
        ValueType::Integer => any::<i64>().prop_map(Literal::Integer).boxed(),
        ValueType::Boolean => any::<bool>().prop_map(Literal::Boolean).boxed(),
        ValueType::DateTime => (-62_135_596_800_i64..=253_402_300_799)
            .prop_map(|seconds| Literal::DateTime(DateTime::from_unix_seconds(seconds).unwrap()))
            .boxed(),
        ValueType::Guid => any::<u128>()
            .prop_map(|bits| Literal::Guid(Uuid::from_u128(bits)))
            .boxed(),
    }
}

fn attribute() -> impl Strategy<Value = Attribute> {
    let path = prop_oneof![
        Just("Microsoft.KeyVault/vaults/secrets".to_owned()),
        Just("Microsoft.KeyVault/vaults/keys/tags".to_owned()),
        Just("UtcNow".to_owned()),
        "[a-zA-Z_][a-zA-Z0-9_.-]{0,6}(/[a-zA-Z_][a-zA-Z0-9_.-]{0,6}){0,2}",
    ];
    let key = "[a-zA-Z0-9äß:/ +.=_-]{1,8}";
    let form = prop_oneof![
        Just(Form::Bare),
        Just(Form::Keys),
        key.prop_map(|name| Form::Name(name.into())),
        key.prop_map(|key| Form::Key(key.into())),
    ];
    (select(Source::ALL.to_vec()), path, form).prop_map(|(source, path, form)| Attribute {
        known: Known::resolve(source, &path, &form),
        source,
        path: path.into(),
        form,
    })
}

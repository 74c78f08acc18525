//! Operators and quantifiers by name.

use super::expr::{Operator, Order, Quantifier, Source, StringTest};
use super::vocabulary::ValueType;

const ORDERS: [Order; 6] = [
    Order::Equals,
    Order::NotEquals,
    Order::GreaterThan,
    Order::GreaterThanEquals,
    Order::LessThan,
    Order::LessThanEquals,
];

const TESTS: [StringTest; 5] = [
    StringTest::Equals,
    StringTest::StartsWith,
    StringTest::Like,
    StringTest::EndsWith,
    StringTest::Contains,
];

impl Operator {
    /// Every operator.
    pub fn all() -> impl Iterator<Item = Self> {
        let strings = TESTS.into_iter().flat_map(|test| {
            [(false, false), (false, true), (true, false), (true, true)].map(
                |(negated, ignore_case)| Self::String {
                    test,
                    negated,
                    ignore_case,
                },
            )
        });
        let negations = [false, true];
        strings
            .chain(ORDERS.map(Self::Numeric))
            .chain(ORDERS.map(Self::DateTime))
            .chain(negations.map(|negated| Self::Guid { negated }))
            .chain(negations.map(|negated| Self::Boolean { negated }))
    }

    /// The operator of this name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::all().find(|operator| operator.name().eq_ignore_ascii_case(name))
    }

    /// The name, as Azure writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::String {
                test,
                negated,
                ignore_case,
            } => string_name(test, negated, ignore_case),
            Self::Numeric(order) => numeric_name(order),
            Self::DateTime(order) => datetime_name(order),
            Self::Guid { negated: false } => "GuidEquals",
            Self::Guid { negated: true } => "GuidNotEquals",
            Self::Boolean { negated: false } => "BoolEquals",
            Self::Boolean { negated: true } => "BoolNotEquals",
        }
    }

    /// The type of what it compares.
    pub const fn value_type(self) -> ValueType {
        match self {
            Self::String { .. } => ValueType::String,
            Self::Numeric(_) => ValueType::Integer,
            Self::DateTime(_) => ValueType::DateTime,
            Self::Guid { .. } => ValueType::Guid,
            Self::Boolean { .. } => ValueType::Boolean,
        }
    }

    /// Whether Azure documents it beside a quantifier.
    pub const fn takes_quantifier(self) -> bool {
        match self {
            Self::String { test, .. } => matches!(test, StringTest::Equals | StringTest::Like),
            Self::Numeric(_) | Self::Guid { .. } => true,
            Self::DateTime(_) | Self::Boolean { .. } => false,
        }
    }

    /// Whether it holds for every value but some: `…Not…`.
    pub const fn is_negated(self) -> bool {
        match self {
            Self::String { negated, .. } | Self::Guid { negated } | Self::Boolean { negated } => {
                negated
            }
            Self::Numeric(order) | Self::DateTime(order) => matches!(order, Order::NotEquals),
        }
    }
}

const fn string_name(test: StringTest, negated: bool, ignore_case: bool) -> &'static str {
    use StringTest::{Contains, EndsWith, Equals, Like, StartsWith};
    match (test, negated, ignore_case) {
        (Equals, false, false) => "StringEquals",
        (Equals, false, true) => "StringEqualsIgnoreCase",
        (Equals, true, false) => "StringNotEquals",
        (Equals, true, true) => "StringNotEqualsIgnoreCase",
        (StartsWith, false, false) => "StringStartsWith",
        (StartsWith, false, true) => "StringStartsWithIgnoreCase",
        (StartsWith, true, false) => "StringNotStartsWith",
        (StartsWith, true, true) => "StringNotStartsWithIgnoreCase",
        (Like, false, false) => "StringLike",
        (Like, false, true) => "StringLikeIgnoreCase",
        (Like, true, false) => "StringNotLike",
        (Like, true, true) => "StringNotLikeIgnoreCase",
        (EndsWith, false, false) => "StringEndsWith",
        (EndsWith, false, true) => "StringEndsWithIgnoreCase",
        (EndsWith, true, false) => "StringNotEndsWith",
        (EndsWith, true, true) => "StringNotEndsWithIgnoreCase",
        (Contains, false, false) => "StringContains",
        (Contains, false, true) => "StringContainsIgnoreCase",
        (Contains, true, false) => "StringNotContains",
        (Contains, true, true) => "StringNotContainsIgnoreCase",
    }
}

const fn numeric_name(order: Order) -> &'static str {
    match order {
        Order::Equals => "NumericEquals",
        Order::NotEquals => "NumericNotEquals",
        Order::GreaterThan => "NumericGreaterThan",
        Order::GreaterThanEquals => "NumericGreaterThanEquals",
        Order::LessThan => "NumericLessThan",
        Order::LessThanEquals => "NumericLessThanEquals",
    }
}

const fn datetime_name(order: Order) -> &'static str {
    match order {
        Order::Equals => "DateTimeEquals",
        Order::NotEquals => "DateTimeNotEquals",
        Order::GreaterThan => "DateTimeGreaterThan",
        Order::GreaterThanEquals => "DateTimeGreaterThanEquals",
        Order::LessThan => "DateTimeLessThan",
        Order::LessThanEquals => "DateTimeLessThanEquals",
    }
}

impl Quantifier {
    /// Every quantifier.
    pub const ALL: [Self; 4] = [
        Self::ForAnyOfAnyValues,
        Self::ForAllOfAnyValues,
        Self::ForAnyOfAllValues,
        Self::ForAllOfAllValues,
    ];

    /// The quantifier of this name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|quantifier| quantifier.name().eq_ignore_ascii_case(name))
    }

    /// The name, as Azure writes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ForAnyOfAnyValues => "ForAnyOfAnyValues",
            Self::ForAllOfAnyValues => "ForAllOfAnyValues",
            Self::ForAnyOfAllValues => "ForAnyOfAllValues",
            Self::ForAllOfAllValues => "ForAllOfAllValues",
        }
    }
}

impl Source {
    /// Every source.
    pub const ALL: [Self; 4] = [
        Self::Resource,
        Self::Request,
        Self::Principal,
        Self::Environment,
    ];

    /// The source of this name, in any case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|source| source.name().eq_ignore_ascii_case(name))
    }

    /// The word after `@`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Resource => "Resource",
            Self::Request => "Request",
            Self::Principal => "Principal",
            Self::Environment => "Environment",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn every_name_leads_back_to_its_operator() {
        let names: HashSet<_> = Operator::all().map(Operator::name).collect();
        assert_eq!(names.len(), Operator::all().count());
        for operator in Operator::all() {
            assert_eq!(
                Operator::from_name(&operator.name().to_lowercase()),
                Some(operator)
            );
        }
        assert_eq!(Operator::from_name("StringMatches"), None);
    }

    #[test]
    fn a_negated_operator_says_so_in_its_name() {
        for operator in Operator::all() {
            assert_eq!(operator.is_negated(), operator.name().contains("Not"));
        }
    }
}

//! Azure's conditions in a form that every engine can be given.
//!
//! Kleene's logic has three values and the engines have two. So a condition is translated to a formula
//! that is true where the condition is true, and false where it is false or undefined; and for what
//! stands below a negation, to one that is true where it is false. In the formulas a negation stands
//! only before a test of an attribute that is there, and no engine's own idea of what is missing
//! counts.
//!
//! Translated is the part of the language that the generated tenants use; for what is outside of it
//! [`Reader::read`] says what cannot be expressed.

use portcullis::abac::{
    self, Attribute, Comparison, DateTime, Expr, Form, Literal, Mode, Operand, Operator, Order,
    Quantifier, StringTest,
};
use portcullis::attributes;
use portcullis::keyvault::{DataAction, DataActionSet, matches_pattern};

/// The place of an attribute in [`crate::world::Check::facts`].
pub(crate) type Fact = usize;

/// What a fact stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// The suboperation of the request.
    Suboperation,
    /// An attribute, as the request has it.
    Attribute(Attribute),
    /// The same with its letters in lower case, for the operators that ignore case.
    Folded(Attribute),
}

/// A value of a fact, or one that a fact is compared with. Points in time are seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// Text.
    Text(Box<str>),
    /// A whole number, or seconds since 1970.
    Number(i64),
    /// True or false.
    Boolean(bool),
}

/// How a fact is compared with a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Test {
    Equals,
    StartsWith,
    EndsWith,
    Contains,
    /// A pattern in which `*` stands for any run of characters.
    Like,
    Less,
    LessOrEqual,
}

/// A formula of two values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Formula {
    All(Vec<Formula>),
    Any(Vec<Formula>),
    /// The data action is one of these.
    Action(DataActionSet),
    /// The fact is there.
    Has(Fact),
    /// It is not.
    Lacks(Fact),
    /// The fact is there, and passes the test with each of the values, or with one of them.
    Compare {
        fact: Fact,
        test: Test,
        negated: bool,
        values: Vec<Value>,
        each: bool,
    },
}

impl Formula {
    /// True.
    pub(crate) const ALWAYS: Self = Self::All(Vec::new());
    /// False.
    pub(crate) const NEVER: Self = Self::Any(Vec::new());

    /// The formula for one data action, without the parts that are settled by that.
    pub(crate) fn for_action(&self, action: DataAction) -> Self {
        match self {
            Self::Action(actions) if actions.contains(action) => Self::ALWAYS,
            Self::Action(_) => Self::NEVER,
            Self::All(parts) => {
                let parts: Vec<_> = settled(parts, action, &Self::ALWAYS);
                match parts.as_slice() {
                    [part] => part.clone(),
                    parts if parts.contains(&Self::NEVER) => Self::NEVER,
                    _ => Self::All(parts),
                }
            }
            Self::Any(parts) => {
                let parts: Vec<_> = settled(parts, action, &Self::NEVER);
                match parts.as_slice() {
                    [part] => part.clone(),
                    parts if parts.contains(&Self::ALWAYS) => Self::ALWAYS,
                    _ => Self::Any(parts),
                }
            }
            Self::Has(_) | Self::Lacks(_) | Self::Compare { .. } => self.clone(),
        }
    }

    /// Whether it is true of a request.
    pub(crate) fn holds(&self, action: DataAction, facts: &[Option<Value>]) -> bool {
        match self {
            Self::All(parts) => parts.iter().all(|part| part.holds(action, facts)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(action, facts)),
            Self::Action(actions) => actions.contains(action),
            Self::Has(fact) => value_of(facts, *fact).is_some(),
            Self::Lacks(fact) => value_of(facts, *fact).is_none(),
            Self::Compare {
                fact,
                test,
                negated,
                values,
                each,
            } => value_of(facts, *fact).is_some_and(|found| {
                let passes = |value: &Value| test.passes(found, value) != *negated;
                if *each {
                    values.iter().all(passes)
                } else {
                    values.iter().any(passes)
                }
            }),
        }
    }
}

fn settled(parts: &[Formula], action: DataAction, neutral: &Formula) -> Vec<Formula> {
    parts
        .iter()
        .map(|part| part.for_action(action))
        .filter(|part| part != neutral)
        .collect()
}

fn value_of(facts: &[Option<Value>], fact: Fact) -> Option<&Value> {
    facts.get(fact)?.as_ref()
}

impl Test {
    fn passes(self, found: &Value, against: &Value) -> bool {
        match (self, found, against) {
            (Self::Equals, _, _) => found == against,
            (Self::Less, Value::Number(found), Value::Number(against)) => found < against,
            (Self::LessOrEqual, Value::Number(found), Value::Number(against)) => found <= against,
            (_, Value::Text(found), Value::Text(against)) => self.passes_text(found, against),
            _ => false,
        }
    }

    fn passes_text(self, found: &str, against: &str) -> bool {
        match self {
            Self::Equals => found == against,
            Self::StartsWith => found.starts_with(against),
            Self::EndsWith => found.ends_with(against),
            Self::Contains => found.contains(against),
            Self::Like => is_like(found, against),
            Self::Less | Self::LessOrEqual => false,
        }
    }
}

/// Whether the whole of `text` is `pattern`, in which `*` stands for any run of characters.
fn is_like(text: &str, pattern: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = text.strip_prefix(pieces.next().unwrap_or_default()) else {
        return false;
    };
    let Some(last) = pieces.next_back() else {
        return rest.is_empty();
    };
    for piece in pieces {
        match rest.find(piece).and_then(|at| rest.get(at + piece.len()..)) {
            Some(after) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Reads conditions and collects the facts that they ask about.
#[derive(Debug, Default)]
pub(crate) struct Reader {
    /// The facts, each in its place.
    pub sources: Vec<Source>,
}

impl Reader {
    /// Translates the text of a condition.
    ///
    /// # Errors
    /// What in it no engine is given.
    pub(crate) fn read(&mut self, text: &str) -> Result<Formula, String> {
        match abac::parse(text, Mode::Compatible) {
            Ok(expr) => self.formula(&expr, true),
            // One that cannot be read never grants.
            Err(_) => Ok(Formula::NEVER),
        }
    }

    fn fact(&mut self, source: Source) -> Fact {
        let known = self.sources.iter().position(|known| *known == source);
        known.unwrap_or_else(|| {
            self.sources.push(source);
            self.sources.len() - 1
        })
    }

    /// The formula that is true where `expr` comes to `outcome`.
    fn formula(&mut self, expr: &Expr, outcome: bool) -> Result<Formula, String> {
        let mut each = |parts: &[Expr]| -> Result<Vec<Formula>, String> {
            parts
                .iter()
                .map(|part| self.formula(part, outcome))
                .collect()
        };
        Ok(match expr {
            Expr::All(parts) if outcome => Formula::All(each(parts)?),
            Expr::All(parts) => Formula::Any(each(parts)?),
            Expr::Any(parts) if outcome => Formula::Any(each(parts)?),
            Expr::Any(parts) => Formula::All(each(parts)?),
            Expr::Not(inner) => self.formula(inner, !outcome)?,
            Expr::Mixed(_) => return Err("AND and OR without parentheses".into()),
            Expr::Action(pattern) => {
                let actions = DataAction::ALL.iter().copied();
                let chosen =
                    actions.filter(|action| matches_pattern(pattern, action.as_str()) == outcome);
                Formula::Action(chosen.collect())
            }
            Expr::SubOperation(pattern) => self.suboperation(pattern, outcome),
            Expr::Exists(attribute) => {
                let fact = self.fact(Source::Attribute(attribute.clone()));
                if outcome {
                    Formula::Has(fact)
                } else {
                    Formula::Lacks(fact)
                }
            }
            Expr::Compare(comparison) => self.compare(comparison, outcome)?,
        })
    }

    /// A request without a suboperation is none of those that the pattern matches.
    fn suboperation(&mut self, pattern: &str, outcome: bool) -> Formula {
        let fact = self.fact(Source::Suboperation);
        let known = DataAction::ALL.iter();
        let known = known.flat_map(|action| attributes::suboperations_of(*action));
        let values = known
            .filter(|name| matches_pattern(pattern, name))
            .map(|name| Value::Text((*name).into()))
            .collect();
        let compare = Formula::Compare {
            fact,
            test: Test::Equals,
            negated: !outcome,
            values,
            each: !outcome,
        };
        if outcome {
            compare
        } else {
            Formula::Any(vec![Formula::Lacks(fact), compare])
        }
    }

    fn compare(&mut self, comparison: &Comparison, outcome: bool) -> Result<Formula, String> {
        let Operand::Attribute(attribute) = &comparison.left else {
            return Err("a value on the left".into());
        };
        if matches!(attribute.form, Form::Keys) {
            return Err("the keys of a dictionary".into());
        }
        let literals = match &comparison.right {
            Operand::Attribute(_) => return Err("an attribute on the right".into()),
            Operand::Literal(literal) => std::slice::from_ref(literal),
            Operand::Set(literals) => literals,
        };
        let how = How::of(comparison.operator)?;
        let upper = |literal: &Literal| matches!(literal, Literal::Text(text) if *text.to_lowercase() != **text);
        if attribute.known.is_some_and(|known| known.is_name()) && literals.iter().any(upper) {
            return Err("upper case in the name of something that has no case".into());
        }
        let values = literals.iter().map(|literal| how.value(literal));
        let values = values.collect::<Result<_, _>>()?;
        let attribute = attribute.clone();
        let fact = self.fact(if how.folded {
            Source::Folded(attribute)
        } else {
            Source::Attribute(attribute)
        });
        // The facts are single values, so what is said of the left side makes no difference.
        let each = matches!(
            comparison.quantifier,
            Some(Quantifier::ForAnyOfAllValues | Quantifier::ForAllOfAllValues)
        );
        Ok(Formula::Compare {
            fact,
            test: how.test,
            negated: how.negated == outcome,
            values,
            each: each == outcome,
        })
    }
}

/// An operator, as a test.
struct How {
    test: Test,
    negated: bool,
    folded: bool,
}

impl How {
    fn of(operator: Operator) -> Result<Self, String> {
        let plain = |test, negated| Self {
            test,
            negated,
            folded: false,
        };
        Ok(match operator {
            Operator::String {
                test,
                negated,
                ignore_case,
            } => Self {
                folded: ignore_case,
                ..plain(text_test(test), negated)
            },
            Operator::Numeric(order) | Operator::DateTime(order) => match order {
                Order::Equals => plain(Test::Equals, false),
                Order::NotEquals => plain(Test::Equals, true),
                Order::LessThan => plain(Test::Less, false),
                Order::LessThanEquals => plain(Test::LessOrEqual, false),
                Order::GreaterThan => plain(Test::LessOrEqual, true),
                Order::GreaterThanEquals => plain(Test::Less, true),
            },
            Operator::Boolean { negated } => plain(Test::Equals, negated),
            Operator::Guid { .. } => return Err("GUIDs".into()),
        })
    }

    fn value(&self, literal: &Literal) -> Result<Value, String> {
        Ok(match literal {
            Literal::Text(text) if self.test == Test::Like && text.contains(['?', '\\']) => {
                return Err("`?` or `\\` in a pattern".into());
            }
            Literal::Text(text) if self.folded => Value::Text(text.to_lowercase().into()),
            Literal::Text(text) => Value::Text(text.clone()),
            Literal::Integer(number) => Value::Number(*number),
            Literal::Boolean(value) => Value::Boolean(*value),
            Literal::DateTime(time) => Value::Number(seconds(*time)),
            Literal::Guid(_) => return Err("GUIDs".into()),
        })
    }
}

const fn text_test(test: StringTest) -> Test {
    match test {
        StringTest::Equals => Test::Equals,
        StringTest::StartsWith => Test::StartsWith,
        StringTest::Like => Test::Like,
        StringTest::EndsWith => Test::EndsWith,
        StringTest::Contains => Test::Contains,
    }
}

/// The seconds since 1970 of a point in time, rounded down: found by halving, because a
/// [`DateTime`] can be compared and tells nothing else.
pub(crate) fn seconds(time: DateTime) -> i64 {
    let (mut from, mut below) = (-62_135_596_800_i64, 253_402_300_800_i64);
    while below - from > 1 {
        let middle = from + (below - from) / 2;
        if DateTime::from_unix_seconds(middle).is_some_and(|middle| middle <= time) {
            from = middle;
        } else {
            below = middle;
        }
    }
    from
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAME: &str = "@Resource[Microsoft.KeyVault/vaults/secrets:name]";

    fn holds(condition: &str, name: Option<&str>) -> bool {
        let mut reader = Reader::default();
        let formula = reader.read(condition).unwrap_or(Formula::NEVER);
        let name = name.map(|name| Value::Text(name.into()));
        let facts: Vec<_> = reader.sources.iter().map(|_| name.clone()).collect();
        let action = DataAction::SecretsGetSecret;
        let settled = formula.for_action(action).holds(action, &facts);
        assert_eq!(formula.holds(action, &facts), settled, "{condition}");
        settled
    }

    #[test]
    fn what_is_missing_makes_neither_a_test_nor_its_negation_hold() {
        let condition = format!("{NAME} StringLike 'pay-*-prod'");
        assert!(holds(&condition, Some("pay-db-prod")));
        assert!(!holds(&condition, Some("pay-prod")));
        assert!(!holds(&condition, None));
        let negated = format!("!({condition})");
        assert!(!holds(&negated, Some("pay-db-prod")));
        assert!(holds(&negated, Some("pay-prod")));
        assert!(!holds(&negated, None));
    }

    #[test]
    fn quantifiers_are_kept_below_a_negation() {
        let some = format!("{NAME} ForAnyOfAnyValues:StringEquals {{'a', 'b'}}");
        assert!(holds(&some, Some("b")) && !holds(&some, Some("c")));
        let none = format!("!({some})");
        assert!(!holds(&none, Some("b")) && holds(&none, Some("c")));
    }

    #[test]
    fn a_guard_lets_every_other_action_pass() {
        let guard = "Microsoft.KeyVault/vaults/secrets/setSecret/action";
        let guarded = format!("(!(ActionMatches{{'{guard}'}})) OR ({NAME} StringEquals 'a')");
        assert!(holds(&guarded, None));
        let unguarded = format!("(ActionMatches{{'{guard}'}}) OR ({NAME} StringEquals 'a')");
        assert!(holds(&unguarded, Some("a")) && !holds(&unguarded, None));
    }

    #[test]
    fn a_point_in_time_is_so_many_seconds() {
        for expected in [-1, 0, 1_800_000_000] {
            let time = DateTime::from_unix_seconds(expected);
            assert_eq!(time.map(seconds), Some(expected));
        }
    }
}

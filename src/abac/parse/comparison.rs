//! `left operator right`

use uuid::Uuid;

use super::super::datetime::DateTime;
use super::super::error::{ParseError, ParseErrorKind};
use super::super::expr::{Attribute, Comparison, Expr, Literal, Operand, Operator, Quantifier};
use super::super::hint;
use super::super::lex::{Span, Token};
use super::{MAX_SET, Parser};

/// A side of a comparison before its operator is known.
struct Side<'t> {
    span: Span,
    content: Content<'t>,
}

enum Content<'t> {
    Attribute(Attribute),
    Value(Value<'t>),
    Set(Vec<Value<'t>>),
}

/// A value whose type its operator says.
#[derive(Clone, Copy)]
struct Value<'t> {
    text: &'t str,
    quoted: bool,
    span: Span,
}

/// Whether `word` can be a value: a number, a boolean or a GUID.
pub(super) fn is_value(word: &str) -> bool {
    let number = word.trim_start_matches('-');
    number.starts_with(|c: char| c.is_ascii_digit())
        || boolean(word).is_some()
        || guid(word).is_some()
}

impl<'t> Parser<'t> {
    /// A comparison, from its left side on.
    pub(super) fn comparison(&mut self) -> Result<Expr, ParseError> {
        let left = self.side()?;
        let (quantifier, operator) = self.operator()?;
        self.check_form(
            &left,
            quantifier,
            matches!(left.content, Content::Attribute(_)),
        )?;
        let left = self.operand(left, operator)?;
        let right = self.side()?;
        self.check_form(
            &right,
            quantifier,
            !matches!(right.content, Content::Set(_)),
        )?;
        let right = self.operand(right, operator)?;
        Ok(Expr::Compare(Box::new(Comparison {
            left,
            quantifier,
            operator,
            right,
        })))
    }

    /// Refuses a side that is only read beside a quantifier, unless it is `alone`.
    fn check_form(
        &self,
        side: &Side<'_>,
        quantifier: Option<Quantifier>,
        alone: bool,
    ) -> Result<(), ParseError> {
        if alone || quantifier.is_some() {
            return Ok(());
        }
        let (expected, hint) = match side.content {
            Content::Set(_) => ("one value", hint::SET_ALONE),
            _ => (
                "an attribute",
                "the attribute stands on the left, the value on the right",
            ),
        };
        let error = self.error(ParseErrorKind::Quantifier, side.span, expected);
        Err(error.hinting(Some(hint)))
    }

    fn side(&mut self) -> Result<Side<'t>, ParseError> {
        let start = self.span;
        let content = match self.token {
            Token::At => Content::Attribute(self.attribute()?),
            Token::OpenBrace => Content::Set(self.set()?),
            _ => Content::Value(self.value("a value or an attribute")?),
        };
        Ok(Side {
            span: start.to(self.last_span),
            content,
        })
    }

    fn value(&mut self, expected: &str) -> Result<Value<'t>, ParseError> {
        let (text, quoted) = match self.token {
            Token::Quoted(text) => (text, true),
            Token::Word(text) => (text, false),
            Token::Bracketed(_) => {
                let hint = "sets stand in braces: {'a', 'b'}; attributes begin with their source";
                return Err(self.unexpected(expected).hinting(Some(hint)));
            }
            _ => return Err(self.unexpected(expected)),
        };
        let span = self.advance();
        Ok(Value { text, quoted, span })
    }

    /// `{v, v, …}`
    fn set(&mut self) -> Result<Vec<Value<'t>>, ParseError> {
        let open = self.advance();
        let mut values = Vec::new();
        loop {
            if self.token == Token::CloseBrace {
                let hint = if values.is_empty() {
                    "a set has at least one value"
                } else {
                    "there is no comma after the last value of a set"
                };
                return Err(self.unexpected("a value").hinting(Some(hint)));
            }
            let value = self.value("a value")?;
            if values.len() == MAX_SET {
                let span = open.to(value.span);
                let expected = format!("a set of at most {MAX_SET} values");
                let error = self.error(ParseErrorKind::SetTooLarge, span, expected);
                return Err(error.finding("one more"));
            }
            values.push(value);
            match self.token {
                Token::Comma => self.advance(),
                Token::CloseBrace => {
                    self.advance();
                    return Ok(values);
                }
                _ => return Err(self.after_operand("`,` or `}`")),
            };
        }
    }

    /// An operator with or without a quantifier.
    fn operator(&mut self) -> Result<(Option<Quantifier>, Operator), ParseError> {
        let Token::Word(word) = self.token else {
            let negated = self.token == Token::Not;
            return Err(self
                .unexpected("an operator such as `StringEquals`")
                .hinting(negated.then_some(hint::NEGATION)));
        };
        let span = self.span;
        let (quantifier, name) = match word.split_once(':') {
            None => (None, word),
            Some((quantifier, name)) => (Some(self.quantifier(quantifier)?), name),
        };
        if name.is_empty() {
            let error = self.unexpected("an operator right after `:`");
            return Err(error.hinting(Some("there is no space before or after the `:`")));
        }
        let place = Span {
            offset: span.end() - name.len(),
            length: name.len(),
        };
        let Some(operator) = Operator::from_name(name) else {
            let error = self.error(ParseErrorKind::UnknownOperator, place, "an operator");
            return Err(error.hinting(hint::operator(name)));
        };
        if quantifier.is_some() && !operator.takes_quantifier() {
            let expected = "an operator that Azure documents with a quantifier";
            let error = self.error(ParseErrorKind::Quantifier, place, expected);
            return Err(error.hinting(Some(
                "these are `StringEquals`, `StringLike`, their `Not` and `IgnoreCase` forms, \
                 `Numeric…` and `Guid…`",
            )));
        }
        self.advance();
        Ok((quantifier, operator))
    }

    fn quantifier(&self, word: &str) -> Result<Quantifier, ParseError> {
        Quantifier::from_name(word).ok_or_else(|| {
            let span = Span {
                offset: self.span.offset,
                length: word.len().max(1),
            };
            self.error(
                ParseErrorKind::UnknownOperator,
                span,
                "a quantifier such as `ForAnyOfAnyValues`",
            )
            .hinting(hint::quantifier(word))
        })
    }

    fn operand(&self, side: Side<'_>, operator: Operator) -> Result<Operand, ParseError> {
        Ok(match side.content {
            Content::Attribute(attribute) => Operand::Attribute(attribute),
            Content::Value(value) => Operand::Literal(self.literal(value, operator)?),
            Content::Set(values) => {
                let literals = values.into_iter().map(|v| self.literal(v, operator));
                Operand::Set(literals.collect::<Result<_, _>>()?)
            }
        })
    }

    /// `value` as the type that `operator` compares.
    fn literal(&self, value: Value<'_>, operator: Operator) -> Result<Literal, ParseError> {
        let Value { text, quoted, span } = value;
        let literal = match operator {
            Operator::String { .. } if quoted => Some(Literal::Text(text.into())),
            Operator::Numeric(_) if !quoted => text.parse().ok().map(Literal::Integer),
            Operator::Boolean { .. } if !quoted => boolean(text).map(Literal::Boolean),
            Operator::DateTime(_) if quoted => text.parse::<DateTime>().ok().map(Literal::DateTime),
            Operator::Guid { .. } => guid(text).map(Literal::Guid),
            _ => None,
        };
        literal.ok_or_else(|| {
            let expected = match operator {
                Operator::String { .. } => "a string",
                Operator::Numeric(_) => "a whole number",
                Operator::Boolean { .. } => "`true` or `false`",
                Operator::DateTime(_) => "a point in time",
                Operator::Guid { .. } => "a GUID",
            };
            let expected = format!("{expected} for `{operator}`");
            self.error(ParseErrorKind::WrongType, span, expected)
                .hinting(Some(hint::value(operator, text, quoted)))
        })
    }
}

fn boolean(text: &str) -> Option<bool> {
    [("true", true), ("false", false)]
        .into_iter()
        .find_map(|(name, value)| text.eq_ignore_ascii_case(name).then_some(value))
}

/// A GUID of 32 digits, or of 8-4-4-4-12.
fn guid(text: &str) -> Option<Uuid> {
    if matches!(text.len(), 32 | 36) {
        Uuid::try_parse(text).ok()
    } else {
        None
    }
}

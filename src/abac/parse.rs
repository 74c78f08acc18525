//! Text -> tree.
//!
//! Recursive descent with one token of lookahead, in time linear in the text. [`MAX_DEPTH`] bounds
//! the recursion, here and in everything that walks a tree.
//!
//! Microsoft publishes no grammar. Where the documentation leaves something open:
//!
//! * `AND` beside `OR` without parentheses is refused in [`Mode::Strict`] and kept as it stands in
//!   [`Mode::Compatible`].
//! * Keywords, names of operators and sources, `true` and `false` are read in any ASCII case.
//! * `NotExists @a` is `NOT Exists @a`.
//! * A set or a value on the left, and a value on the right of a quantifier, are read.
//! * A GUID may stand in quotes.
//! * No escape puts a quote into a string.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "a token that is not named is one that does not belong there"
)]

mod attribute;
mod comparison;

use super::error::{ParseError, ParseErrorKind, position};
use super::expr::{Connective, Expr, Mixed};
use super::hint;
use super::lex::{Lexer, Span, Token};

/// The longest condition Azure stores, in bytes of UTF-8.
pub const MAX_BYTES: usize = 8192;

/// How deep parentheses and negations may nest; `!(` counts once.
pub const MAX_DEPTH: usize = 64;

/// How many values a set may have.
pub const MAX_SET: usize = 500;

/// How strictly a text is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Mode {
    /// For what people write for us: `AND` beside `OR` needs parentheses.
    Strict,
    /// For what Azure already stores: `AND` beside `OR` is read as [`Expr::Mixed`].
    Compatible,
}

/// Reads a condition.
///
/// # Errors
/// [`ParseError`], the first mistake in the text.
pub fn parse(text: &str, mode: Mode) -> Result<Expr, ParseError> {
    if text.len() > MAX_BYTES {
        let offset = text.floor_char_boundary(MAX_BYTES);
        let span = Span {
            offset,
            length: text.len() - offset,
        };
        let expected = format!("at most {MAX_BYTES} bytes");
        let error = ParseError::new(ParseErrorKind::TooLong, text, span, expected);
        return Err(error.finding(format!("{}", text.len())));
    }
    let mut parser = Parser::new(text, mode);
    if parser.token == Token::End {
        return Err(parser.error(ParseErrorKind::Empty, parser.span, "a condition"));
    }
    let expr = parser.expression(0)?;
    match parser.token {
        Token::End => Ok(expr),
        Token::Close => Err(parser
            .unexpected("`AND`, `OR` or the end of the text")
            .hinting(Some("there is no `(` to this `)`"))),
        _ => Err(parser.after_operand("`AND`, `OR` or the end of the text")),
    }
}

struct Parser<'t> {
    text: &'t str,
    mode: Mode,
    lexer: Lexer<'t>,
    /// The token to be read next, and its place.
    token: Token<'t>,
    span: Span,
    /// The token read last, and its place.
    last: Token<'t>,
    last_span: Span,
}

impl<'t> Parser<'t> {
    fn new(text: &'t str, mode: Mode) -> Self {
        let mut lexer = Lexer::new(text);
        let (token, span) = lexer.next();
        Self {
            text,
            mode,
            lexer,
            token,
            span,
            last: Token::End,
            last_span: span,
        }
    }

    /// Steps over the current token, and tells where it was.
    fn advance(&mut self) -> Span {
        self.last = self.token;
        self.last_span = self.span;
        (self.token, self.span) = self.lexer.next();
        self.last_span
    }

    /// The token after the current one.
    fn following(&self) -> Token<'t> {
        let mut lexer = self.lexer;
        lexer.next().0
    }

    /// Steps over `token`, or says that `expected` is missing.
    fn expect(&mut self, token: Token<'_>, expected: &str) -> Result<Span, ParseError> {
        if self.token == token {
            Ok(self.advance())
        } else {
            Err(self.unexpected(expected))
        }
    }

    fn error(&self, kind: ParseErrorKind, span: Span, expected: impl Into<Box<str>>) -> ParseError {
        ParseError::new(kind, self.text, span, expected)
    }

    /// The current token is not what is expected.
    fn unexpected(&self, expected: impl Into<Box<str>>) -> ParseError {
        let (kind, closing, hint) = match self.token {
            Token::Character(c) => (ParseErrorKind::Character, None, hint::character(c)),
            Token::Foreign(operator) => {
                let hint = hint::foreign(operator);
                (ParseErrorKind::UnknownOperator, None, Some(hint))
            }
            Token::OpenQuote => (ParseErrorKind::Unexpected, Some("a closing `'`"), None),
            Token::BrokenQuote(_) => (
                ParseErrorKind::Character,
                Some("a closing `'`"),
                Some("a string ends on the line it begins, and has no control characters"),
            ),
            Token::OpenBracket => (ParseErrorKind::Attribute, Some("a closing `]`"), None),
            _ => (ParseErrorKind::Unexpected, None, None),
        };
        let expected = closing.map_or_else(|| expected.into(), Into::into);
        self.error(kind, self.span, expected).hinting(hint)
    }

    /// The current token cannot follow a whole operand.
    fn after_operand(&self, expected: impl Into<Box<str>>) -> ParseError {
        let touching = self.span.offset == self.last_span.end();
        if touching && matches!(self.last, Token::Quoted(_)) && !self.is_delimiter() {
            let error = self.error(ParseErrorKind::Unexpected, self.span, expected);
            return error.hinting(Some(hint::QUOTE_INSIDE));
        }
        let hint = match self.token {
            Token::Word(word) if !hint::is_function(word) => {
                hint::did_you_mean(word, ["AND", "OR"].into_iter())
            }
            Token::Word(_) | Token::Open | Token::Not | Token::At => {
                Some("two expressions are joined by `AND` or `OR`".to_owned())
            }
            _ => None,
        };
        self.unexpected(expected).hinting(hint)
    }

    /// Whether the current token often touches the one before.
    fn is_delimiter(&self) -> bool {
        !matches!(
            self.token,
            Token::Word(_) | Token::Quoted(_) | Token::OpenQuote | Token::BrokenQuote(_)
        )
    }

    /// Operands joined by `AND` and `OR`. `depth` is how many parentheses and negations are around.
    fn expression(&mut self, depth: usize) -> Result<Expr, ParseError> {
        let first = self.operand_of_connective(depth)?;
        let mut rest: Vec<(Connective, Expr)> = Vec::new();
        while let Some(connective) = self.connective() {
            let mixed = rest.first().is_some_and(|(other, _)| *other != connective);
            if mixed && self.mode == Mode::Strict {
                return Err(self.mixed(connective));
            }
            self.advance();
            rest.push((connective, self.operand_of_connective(depth)?));
        }
        Ok(join(first, rest))
    }

    fn connective(&self) -> Option<Connective> {
        match self.token {
            Token::And => Some(Connective::And),
            Token::Or => Some(Connective::Or),
            _ => None,
        }
    }

    fn mixed(&self, connective: Connective) -> ParseError {
        let other = match connective {
            Connective::And => Connective::Or,
            Connective::Or => Connective::And,
        };
        let expected = format!("parentheses that part `{connective}` from `{other}`");
        self.error(ParseErrorKind::MixedConnectives, self.span, expected)
            .hinting(Some(hint::MIXED))
    }

    /// Any number of negations, and what they negate.
    fn operand_of_connective(&mut self, depth: usize) -> Result<Expr, ParseError> {
        let mut depth = depth;
        let mut negations = 0_usize;
        while self.token == Token::Not {
            depth = self.deeper(depth)?;
            self.advance();
            negations += 1;
        }
        let expr = if self.token == Token::Open {
            let depth = if negations == 0 {
                self.deeper(depth)?
            } else {
                depth
            };
            self.group(depth)?
        } else {
            self.simple(depth)?
        };
        Ok((0..negations).fold(expr, |expr, _| Expr::Not(Box::new(expr))))
    }

    fn deeper(&self, depth: usize) -> Result<usize, ParseError> {
        if depth < MAX_DEPTH {
            return Ok(depth + 1);
        }
        let expected = format!("at most {MAX_DEPTH} levels of parentheses and negations");
        Err(self
            .error(ParseErrorKind::TooDeep, self.span, expected)
            .finding("one more"))
    }

    /// `( … )`
    fn group(&mut self, depth: usize) -> Result<Expr, ParseError> {
        let open = self.advance();
        let expr = self.expression(depth)?;
        if self.token == Token::Close {
            self.advance();
            return Ok(expr);
        }
        let (line, column) = position(self.text, open.offset);
        let hint = format!("the `(` at line {line}, column {column} is not closed");
        Err(self.after_operand("`AND`, `OR` or `)`").hinting(Some(hint)))
    }

    /// A function or a comparison.
    fn simple(&mut self, depth: usize) -> Result<Expr, ParseError> {
        let Token::Word(word) = self.token else {
            return match self.token {
                Token::At | Token::OpenBrace | Token::Quoted(_) => self.comparison(),
                _ => Err(self.missing_operand()),
            };
        };
        let is = |name: &str| word.eq_ignore_ascii_case(name);
        if is("ActionMatches") {
            self.pattern().map(Expr::Action)
        } else if is("SubOperationMatches") {
            self.pattern().map(Expr::SubOperation)
        } else if is("Exists") {
            self.exists()
        } else if is("NotExists") {
            // It is printed as `NOT Exists`, which must be readable too.
            self.deeper(depth)?;
            Ok(Expr::Not(Box::new(self.exists()?)))
        } else if comparison::is_value(word) {
            self.comparison()
        } else {
            Err(self.stray_word(word))
        }
    }

    fn missing_operand(&self) -> ParseError {
        let error = self.unexpected("an expression");
        match self.token {
            Token::Bracketed(_) | Token::OpenBracket => error.hinting(Some(
                "an attribute begins with its source, such as `@Resource`",
            )),
            Token::And | Token::Or | Token::Close | Token::End => match self.last {
                Token::And | Token::Or => {
                    error.hinting(Some("there is nothing after the last `AND` or `OR`"))
                }
                _ => error,
            },
            _ => error,
        }
    }

    /// A word that begins no expression.
    fn stray_word(&self, word: &str) -> ParseError {
        let error = |kind, expected: &str| self.error(kind, self.span, expected);
        match self.following() {
            Token::Bracketed(_) | Token::OpenBracket => {
                error(ParseErrorKind::Attribute, "an expression").hinting(Some(format!(
                    "attributes begin with `@`: `@{}[…]`",
                    hint::nearest(word, super::expr::Source::ALL.map(|s| s.name()).into_iter())
                        .unwrap_or("Resource")
                )))
            }
            Token::OpenBrace | Token::Open | Token::At => {
                error(ParseErrorKind::UnknownOperator, "a function").hinting(hint::function(word))
            }
            _ if word.contains('/') => error(ParseErrorKind::Attribute, "an expression")
                .hinting(Some(format!("attributes look like `@Resource[{word}]`"))),
            _ => error(ParseErrorKind::Unexpected, "an expression").hinting(hint::function(word)),
        }
    }

    /// A function's name and `{'pattern'}`.
    fn pattern(&mut self) -> Result<Box<str>, ParseError> {
        let name = self.advance();
        let name = self.text.get(name.offset..name.end()).unwrap_or("");
        let braces = || Some(format!("write `{name}{{'pattern'}}`"));
        self.expect(Token::OpenBrace, "`{`")
            .map_err(|e| e.hinting(braces()))?;
        let Token::Quoted(pattern) = self.token else {
            return Err(self.unexpected("a pattern in quotes").hinting(braces()));
        };
        if pattern.is_empty() {
            return Err(self.unexpected("a pattern that is not empty"));
        }
        self.advance();
        if self.token == Token::Comma {
            return Err(self.unexpected("`}`").hinting(Some(format!(
                "there is one pattern to a `{name}`; join two of them by `OR`"
            ))));
        }
        if self.token != Token::CloseBrace {
            return Err(self.after_operand("`}`"));
        }
        self.advance();
        Ok(pattern.into())
    }

    /// `Exists` and its attribute.
    fn exists(&mut self) -> Result<Expr, ParseError> {
        self.advance();
        if self.token == Token::At {
            return self.attribute().map(Expr::Exists);
        }
        Err(self
            .unexpected("an attribute")
            .hinting(Some("write `Exists @Resource[…]`, without parentheses")))
    }
}

/// What `first` and `rest` make together.
fn join(first: Expr, rest: Vec<(Connective, Expr)>) -> Expr {
    let Some((connective, _)) = rest.first() else {
        return first;
    };
    let connective = *connective;
    if rest.iter().any(|(other, _)| *other != connective) {
        return Expr::Mixed(Box::new(Mixed { first, rest }));
    }
    let rest = rest.into_iter().map(|(_, operand)| operand);
    let operands = std::iter::once(first).chain(rest).collect();
    match connective {
        Connective::And => Expr::All(operands),
        Connective::Or => Expr::Any(operands),
    }
}

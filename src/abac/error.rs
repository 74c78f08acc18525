//! What is wrong with the text of a condition, and where.

mod render;

use std::fmt;

use super::lex::Span;

/// What kind of mistake it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParseErrorKind {
    /// There is nothing but white space.
    Empty,
    /// More than [`super::MAX_BYTES`].
    TooLong,
    /// Nested deeper than [`super::MAX_DEPTH`].
    TooDeep,
    /// A set of more than [`super::MAX_SET`] values.
    SetTooLarge,
    /// `AND` and `OR` side by side without parentheses, in [`super::Mode::Strict`].
    MixedConnectives,
    /// A character that has no place in a condition.
    Character,
    /// An operator or function that does not exist.
    UnknownOperator,
    /// A value of another type than the operator's.
    WrongType,
    /// A quantifier before an operator that takes none, or a set beside one without.
    Quantifier,
    /// An attribute that is written wrongly.
    Attribute,
    /// Anything else that stands where something else is expected.
    Unexpected,
}

impl ParseErrorKind {
    /// A stable name, in kebab-case.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLong => "too-long",
            Self::TooDeep => "too-deep",
            Self::SetTooLarge => "set-too-large",
            Self::MixedConnectives => "mixed-connectives",
            Self::Character => "character",
            Self::UnknownOperator => "unknown-operator",
            Self::WrongType => "wrong-type",
            Self::Quantifier => "quantifier",
            Self::Attribute => "attribute",
            Self::Unexpected => "unexpected",
        }
    }
}

/// What is wrong with the text of a condition: the first mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// What kind of mistake it is.
    pub kind: ParseErrorKind,
    /// Where, in bytes from the start of the text.
    pub offset: usize,
    /// How many bytes it takes up; 0 at the end of the text.
    pub length: usize,
    /// The line, from 1.
    pub line: usize,
    /// The column in characters, from 1.
    pub column: usize,
    /// What stands there, in words. Repeats at most a few words of the text, without control
    /// characters.
    pub found: Box<str>,
    /// What should stand there, in words.
    pub expected: Box<str>,
    /// How it is usually mended.
    pub hint: Option<Box<str>>,
}

impl ParseError {
    /// A mistake at `span` of `text`.
    pub(super) fn new(
        kind: ParseErrorKind,
        text: &str,
        span: Span,
        expected: impl Into<Box<str>>,
    ) -> Self {
        let (line, column) = position(text, span.offset);
        let there = text.get(span.offset..span.end()).unwrap_or("");
        Self {
            kind,
            offset: span.offset,
            length: span.length,
            line,
            column,
            found: describe(there),
            expected: expected.into(),
            hint: None,
        }
    }

    /// The same, saying otherwise what was found.
    pub(super) fn finding(self, found: impl Into<Box<str>>) -> Self {
        Self {
            found: found.into(),
            ..self
        }
    }

    /// The same with a hint, if there is one and the error has none yet.
    pub(super) fn hinting(self, hint: Option<impl Into<Box<str>>>) -> Self {
        Self {
            hint: self.hint.or(hint.map(Into::into)),
            ..self
        }
    }

    /// The mistake for people: the message, the line of `text` with the place underlined, and the
    /// hint. `text` is what was parsed. Several lines, each with a line break at the end.
    ///
    /// Long lines are cut around the place, and what a terminal would act upon is replaced.
    pub fn render(&self, text: &str) -> String {
        render::render(self, text)
    }
}

impl fmt::Display for ParseError {
    /// On one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {}, column {}: expected {}, found {}",
            self.line, self.column, self.expected, self.found
        )
    }
}

impl std::error::Error for ParseError {}

/// The line and the column, from 1, of the byte at `offset`.
pub(super) fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or("");
    (before.matches('\n').count() + 1, line.chars().count() + 1)
}

/// How many characters of a text a message repeats.
const MAX_SHOWN_CHARS: usize = 48;

/// What stands in a text, in words.
fn describe(there: &str) -> Box<str> {
    let mut characters = there.chars();
    match (characters.next(), characters.next()) {
        (None, _) => "the end of the text".into(),
        (Some(c), None) if !c.is_ascii() || c.is_control() => {
            let code = u32::from(c);
            if render::is_shown(c) {
                format!("`{c}` (U+{code:04X})").into()
            } else {
                format!("the character U+{code:04X}").into()
            }
        }
        _ => {
            let shown = there.chars().map(render::shown).take(MAX_SHOWN_CHARS);
            let more = there.chars().nth(MAX_SHOWN_CHARS).map_or("", |_| "…");
            format!("`{}{more}`", shown.collect::<String>()).into()
        }
    }
}

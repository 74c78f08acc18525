//! What is wrong with the text of a condition, and where.

use std::fmt;

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
    /// What stands there, in words.
    pub found: Box<str>,
    /// What should stand there, in words.
    pub expected: Box<str>,
    /// How it is usually mended.
    pub hint: Option<Box<str>>,
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

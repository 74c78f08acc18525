//! Text -> tree.

use super::error::{ParseError, ParseErrorKind};
use super::expr::Expr;

/// The longest condition Azure stores, in bytes of UTF-8.
pub const MAX_BYTES: usize = 8192;

/// How deep parentheses and negations may nest.
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
    let _ = (text, mode);
    Err(ParseError {
        kind: ParseErrorKind::Empty,
        offset: 0,
        length: 0,
        line: 1,
        column: 1,
        found: "the end".into(),
        expected: "a condition".into(),
        hint: None,
    })
}

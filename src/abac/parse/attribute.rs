//! `@Source[path…]`

use super::super::error::{ParseError, ParseErrorKind};
use super::super::expr::{Attribute, Form, Source};
use super::super::hint;
use super::super::lex::{Span, Token};
use super::super::vocabulary::Known;
use super::Parser;

/// What follows the key of a dictionary.
const KEY_SUFFIX: &str = "<$key_case_sensitive$>";
/// What follows the path of a dictionary whose keys are meant.
const KEYS_SUFFIX: &str = "&$keys$&";

impl Parser<'_> {
    /// An attribute, from its `@` on.
    pub(super) fn attribute(&mut self) -> Result<Attribute, ParseError> {
        let at = self.expect(Token::At, "an attribute")?;
        let source = self.source(at)?;
        let Token::Bracketed(body) = self.token else {
            let error = self.unexpected(format!("`[` after `{source}`"));
            return Err(error.hinting(Some(hint::attribute(""))));
        };
        let span = self.advance();
        // Inside of the brackets.
        let offset = span.offset + 1;
        let (path, form) = self.path_and_form(body, offset)?;
        let known = Known::resolve(source, path, &form);
        Ok(Attribute {
            source,
            path: path.into(),
            form,
            known,
        })
    }

    /// The word right after `@`.
    fn source(&mut self, at: Span) -> Result<Source, ParseError> {
        let expected = "`Resource`, `Request`, `Principal` or `Environment` right after `@`";
        let Token::Word(word) = self.token else {
            return Err(self.unexpected(expected));
        };
        match Source::from_name(word) {
            Some(source) if self.span.offset == at.end() => {
                self.advance();
                Ok(source)
            }
            Some(_) => Err(self
                .unexpected(expected)
                .hinting(Some("there is no space between `@` and the source"))),
            None => Err(self
                .error(ParseErrorKind::Attribute, self.span, expected)
                .hinting(hint::source(word))),
        }
    }

    /// What stands between the brackets, which begins at `offset`.
    fn path_and_form<'b>(
        &self,
        body: &'b str,
        offset: usize,
    ) -> Result<(&'b str, Form), ParseError> {
        let end = body.find([':', '&']).unwrap_or(body.len());
        let (path, rest) = body.split_at_checked(end).unwrap_or((body, ""));
        if let Some(at) = first_wrong_in_path(path) {
            return Err(self.wrong_body(
                body,
                offset,
                at,
                "a path such as `Microsoft.KeyVault/vaults/secrets`",
            ));
        }
        if rest.is_empty() {
            return Ok((path, Form::Bare));
        }
        if rest.eq_ignore_ascii_case(KEYS_SUFFIX) {
            return Ok((path, Form::Keys));
        }
        let Some(name) = rest.strip_prefix(':') else {
            return Err(self.wrong_body(body, offset, end, "`&$keys$&`"));
        };
        let name_end = name.find(is_outside_names).unwrap_or(name.len());
        let (name, suffix) = name.split_at_checked(name_end).unwrap_or((name, ""));
        if name.is_empty() {
            return Err(self.wrong_body(body, offset, end + 1, "a name after `:`"));
        }
        if suffix.is_empty() {
            Ok((path, Form::Name(name.into())))
        } else if suffix.eq_ignore_ascii_case(KEY_SUFFIX) {
            Ok((path, Form::Key(name.into())))
        } else {
            let at = end + 1 + name_end;
            Err(self.wrong_body(body, offset, at, "`]` or `<$key_case_sensitive$>`"))
        }
    }

    /// What begins at byte `at` of `body` is wrong.
    fn wrong_body(&self, body: &str, offset: usize, at: usize, expected: &str) -> ParseError {
        let rest = body.get(at..).unwrap_or("");
        // Up to where somebody may have forgotten the bracket, or to the bracket.
        let length = rest
            .find([' ', '\t', '\r', '\n', '\'', '@'])
            .unwrap_or(rest.len())
            .max(1);
        let length = rest.ceil_char_boundary(length);
        let length = if rest.is_empty() { 1 } else { length };
        let span = Span {
            offset: offset + at,
            length,
        };
        let hint = match rest.chars().next() {
            Some(' ' | '\'' | '@') => Some("the `[` of the attribute is not closed by `]`"),
            Some(c) if !matches!(c, '<' | '>' | '&' | '$') => hint::character(c),
            _ => None,
        };
        self.error(ParseErrorKind::Attribute, span, expected)
            .hinting(hint)
            .hinting(Some(hint::attribute(rest)))
    }
}

/// Where `segment/segment/…` goes wrong, if it does: segments begin with a letter or `_` and hold
/// letters, digits, `_`, `.` and `-`.
fn first_wrong_in_path(path: &str) -> Option<usize> {
    let mut at_start = true;
    for (at, c) in path.char_indices() {
        let right = match c {
            '/' => !at_start,
            c if at_start => c.is_ascii_alphabetic() || c == '_',
            c => c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-'),
        };
        if !right {
            return Some(at);
        }
        at_start = c == '/';
    }
    at_start.then_some(path.len())
}

/// Whether names and keys cannot hold it.
fn is_outside_names(c: char) -> bool {
    c.is_control() || "[]'{}()@$<>&".contains(c)
}

//! Text -> tokens.
//!
//! The lexer never fails and never looks back: what has no place in a condition is a token too, and
//! the parser says so where it meets it, so that the first mistake of a text is the one reported.

/// A place in a text, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) offset: usize,
    pub(super) length: usize,
}

impl Span {
    /// From the beginning of this one to the end of `last`.
    pub(super) const fn to(self, last: Self) -> Self {
        Self {
            offset: self.offset,
            length: last.end().saturating_sub(self.offset),
        }
    }

    /// The first byte after it.
    pub(super) const fn end(self) -> usize {
        self.offset + self.length
    }
}

/// The smallest part of a condition that means something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Token<'t> {
    /// `(`
    Open,
    /// `)`
    Close,
    /// `{`
    OpenBrace,
    /// `}`
    CloseBrace,
    /// `,`
    Comma,
    /// `@`
    At,
    /// `!`, `NOT`
    Not,
    /// `&&`, `AND`
    And,
    /// `||`, `OR`
    Or,
    /// A name, a number, a GUID.
    Word(&'t str),
    /// `'…'`: what stands between the quotes.
    Quoted(&'t str),
    /// `[…]`: what stands between the brackets.
    Bracketed(&'t str),
    /// A quote that is not closed before the end.
    OpenQuote,
    /// A quote that is not closed before this control character.
    BrokenQuote(char),
    /// `[` without `]`.
    OpenBracket,
    /// An operator of another language, such as `==`.
    Foreign(&'t str),
    /// A character that means nothing.
    Character(char),
    /// The end of the text.
    End,
}

/// A text that is read token by token.
#[derive(Clone, Copy, Debug)]
pub(super) struct Lexer<'t> {
    offset: usize,
    rest: &'t str,
}

impl<'t> Lexer<'t> {
    /// At the beginning of `text`.
    pub(super) const fn new(text: &'t str) -> Self {
        Self {
            offset: 0,
            rest: text,
        }
    }

    /// The next token and its place; [`Token::End`] for ever once the text is used up.
    pub(super) fn next(&mut self) -> (Token<'t>, Span) {
        let text = self.rest.trim_start_matches([' ', '\t', '\r', '\n']);
        let offset = self.offset + (self.rest.len() - text.len());
        let (token, length) = first(text);
        self.rest = text.get(length..).unwrap_or("");
        self.offset = offset + length;
        (token, Span { offset, length })
    }
}

/// The token `text` begins with, and its length in bytes.
fn first(text: &str) -> (Token<'_>, usize) {
    let Some(character) = text.chars().next() else {
        return (Token::End, 0);
    };
    match character {
        '(' => (Token::Open, 1),
        ')' => (Token::Close, 1),
        '{' => (Token::OpenBrace, 1),
        '}' => (Token::CloseBrace, 1),
        ',' => (Token::Comma, 1),
        '@' => (Token::At, 1),
        '\'' => quoted(text),
        '[' => bracketed(text),
        '&' if text.starts_with("&&") => (Token::And, 2),
        '|' if text.starts_with("||") => (Token::Or, 2),
        '!' if !text.starts_with("!=") => (Token::Not, 1),
        '!' | '=' | '<' | '>' | '&' | '|' => {
            let run = run(text, |c| matches!(c, '!' | '=' | '<' | '>' | '&' | '|'));
            (Token::Foreign(run), run.len())
        }
        c if is_word(c) => word(run(text, is_word)),
        c => (Token::Character(c), c.len_utf8()),
    }
}

/// Whether names, numbers and GUIDs can hold it; letters of all scripts, so that a mistake is
/// shown as the whole word it is.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ':' | '/')
}

/// The longest beginning of `text` whose characters are all `wanted`.
fn run(text: &str, wanted: impl Fn(char) -> bool) -> &str {
    let end = text.find(|c| !wanted(c)).unwrap_or(text.len());
    text.get(..end).unwrap_or(text)
}

fn word(word: &str) -> (Token<'_>, usize) {
    let keywords = [("AND", Token::And), ("OR", Token::Or), ("NOT", Token::Not)];
    let keyword = keywords
        .into_iter()
        .find(|(keyword, _)| word.eq_ignore_ascii_case(keyword));
    (
        keyword.map_or(Token::Word(word), |(_, token)| token),
        word.len(),
    )
}

fn quoted(text: &str) -> (Token<'_>, usize) {
    let inside = text.get(1..).unwrap_or("");
    let end = inside.find(|c: char| c == '\'' || c < ' ');
    let Some((inside, after)) = end.and_then(|end| inside.split_at_checked(end)) else {
        return (Token::OpenQuote, text.len());
    };
    match after.chars().next() {
        Some(c) if c != '\'' => (Token::BrokenQuote(c), inside.len() + 1),
        _ => (Token::Quoted(inside), inside.len() + 2),
    }
}

fn bracketed(text: &str) -> (Token<'_>, usize) {
    let inside = text.get(1..).unwrap_or("");
    match inside.split_once(']') {
        Some((inside, _)) => (Token::Bracketed(inside), inside.len() + 2),
        None => (Token::OpenBracket, text.len()),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tokens(text: &str) -> Vec<(Token<'_>, Span)> {
        let mut lexer = Lexer::new(text);
        let mut tokens = Vec::new();
        loop {
            match lexer.next() {
                (Token::End, _) => return tokens,
                token => tokens.push(token),
            }
        }
    }

    #[test]
    fn tokens_need_no_space_between_them() {
        let kinds: Vec<_> = tokens("!(ActionMatches{'a b'}&&NOT@Resource[x:y]StringEquals'')")
            .into_iter()
            .map(|(token, _)| token)
            .collect();
        assert_eq!(
            kinds,
            [
                Token::Not,
                Token::Open,
                Token::Word("ActionMatches"),
                Token::OpenBrace,
                Token::Quoted("a b"),
                Token::CloseBrace,
                Token::And,
                Token::Not,
                Token::At,
                Token::Word("Resource"),
                Token::Bracketed("x:y"),
                Token::Word("StringEquals"),
                Token::Quoted(""),
                Token::Close,
            ]
        );
    }

    #[test]
    fn what_means_nothing_is_a_token_of_its_own() {
        let kinds = |text| tokens(text).into_iter().map(|(t, _)| t).collect::<Vec<_>>();
        assert_eq!(kinds("a != b")[1], Token::Foreign("!="));
        assert_eq!(kinds("a === b")[1], Token::Foreign("==="));
        assert_eq!(kinds("a & b")[1], Token::Foreign("&"));
        assert_eq!(kinds("\u{a0}")[0], Token::Character('\u{a0}'));
        assert_eq!(kinds("'abc")[0], Token::OpenQuote);
        assert_eq!(kinds("'a\nb'")[0], Token::BrokenQuote('\n'));
        assert_eq!(kinds("[abc")[0], Token::OpenBracket);
    }

    proptest! {
        #[test]
        fn tokens_lie_in_order_inside_any_text(text in any::<String>()) {
            let mut end = 0;
            for (_, span) in tokens(&text) {
                prop_assert!(span.length > 0);
                prop_assert!(span.offset >= end);
                prop_assert!(text.get(span.offset..span.end()).is_some());
                end = span.end();
            }
        }
    }
}

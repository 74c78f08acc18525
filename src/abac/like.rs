//! Patterns of `StringLike`, compiled.

use std::iter;

/// A pattern of `StringLike`, ready to be matched many times.
///
/// `*` stands for any run of characters, `/` and the empty run included; `?` for exactly one
/// character; `\*` and `\?` for those characters. Every other backslash stands for itself. The
/// pattern must match the whole text.
///
/// SECURITY: patterns and texts may both come from people who wish us ill. A match takes time in
/// proportion to the text, times the longest piece between two `*` in units of 64 characters.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Like {
    /// As written.
    exact: Glob,
    /// With ASCII letters in lower case; `None` if that is the same.
    ascii: Option<Glob>,
    /// With all letters in lower case; `None` if that is the same as `ascii`.
    unicode: Option<Glob>,
}

impl Like {
    /// Compiles a pattern.
    pub(super) fn new(pattern: &str) -> Self {
        Self::build(pattern, Glob::new)
    }

    /// What matches every text that contains `part`, which has no wildcards.
    pub(super) fn containing(part: &str) -> Self {
        Self::build(part, Glob::containing)
    }

    fn build(pattern: &str, compile: impl Fn(&str) -> Glob) -> Self {
        let ascii = pattern.to_ascii_lowercase();
        let unicode = lower_case(pattern);
        Self {
            exact: compile(pattern),
            unicode: (unicode != ascii).then(|| compile(&unicode)),
            ascii: (ascii != pattern).then(|| compile(&ascii)),
        }
    }

    /// Whether it matches the whole of `text`.
    pub(super) fn matches(&self, text: &str) -> bool {
        self.exact.matches(text, Case::Kept)
    }

    /// The same without regard to case; `None` if that depends on whether only ASCII letters are
    /// meant, which Azure does not say.
    pub(super) fn matches_ignoring_case(&self, text: &str) -> Option<bool> {
        let ascii = self.ascii.as_ref().unwrap_or(&self.exact);
        let answer = ascii.matches(text, Case::AsciiIgnored);
        if text.is_ascii() && self.unicode.is_none() {
            return Some(answer);
        }
        let unicode = self.unicode.as_ref().unwrap_or(ascii);
        (unicode.matches(&lower_case(text), Case::Kept) == answer).then_some(answer)
    }
}

/// All letters in lower case, each by itself: no rule looks at its neighbours or at a language.
///
/// Letters that only upper case makes equal, such as the two small sigmas, come out equal too:
/// implementations differ in which of the two cases they compare.
pub(super) fn lower_case(text: &str) -> String {
    let lower = text.chars().flat_map(char::to_lowercase);
    lower.flat_map(through_upper_case).collect()
}

/// The lower case of the upper case, if that is one letter.
fn through_upper_case(lower: char) -> impl Iterator<Item = char> {
    let mut upper = lower.to_uppercase();
    let single = upper.next().filter(|_| upper.next().is_none());
    single.unwrap_or(lower).to_lowercase()
}

/// Whether the text is compared as it is, or with its ASCII letters in lower case.
#[derive(Clone, Copy)]
enum Case {
    Kept,
    AsciiIgnored,
}

impl Case {
    const fn of(self, character: char) -> char {
        match self {
            Self::Kept => character,
            Self::AsciiIgnored => character.to_ascii_lowercase(),
        }
    }
}

/// What stands between the `*` of a pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Glob {
    /// What the text begins with.
    first: Piece,
    /// What must occur in between, in this order.
    middle: Box<[Searched]>,
    /// What the text ends with; `None` if there is no `*`, and `first` is all.
    last: Option<Piece>,
}

/// Characters in a row; `None` is any character.
type Piece = Box<[Option<char>]>;

impl Glob {
    fn new(pattern: &str) -> Self {
        let mut pieces = vec![Vec::new()];
        let mut characters = pattern.chars().peekable();
        while let Some(character) = characters.next() {
            let symbol = match character {
                '*' => {
                    pieces.push(Vec::new());
                    continue;
                }
                '?' => None,
                '\\' => characters
                    .next_if(|next| matches!(next, '*' | '?'))
                    .or(Some('\\')),
                other => Some(other),
            };
            if let Some(piece) = pieces.last_mut() {
                piece.push(symbol);
            }
        }
        let mut pieces = pieces.into_iter().map(Vec::into_boxed_slice);
        Self {
            first: pieces.next().unwrap_or_default(),
            last: pieces.next_back(),
            // Nothing need be found between `*` and `*`.
            middle: pieces
                .filter(|p| !p.is_empty())
                .map(|piece| Searched::new(&piece))
                .collect(),
        }
    }

    fn containing(part: &str) -> Self {
        let piece: Piece = part.chars().map(Some).collect();
        let middle = (!piece.is_empty()).then(|| Searched::new(&piece));
        Self {
            first: Piece::default(),
            middle: middle.into_iter().collect(),
            last: Some(Piece::default()),
        }
    }

    fn matches(&self, text: &str, case: Case) -> bool {
        let Some(mut rest) = without_prefix(text, &self.first, case) else {
            return false;
        };
        let Some(last) = &self.last else {
            return rest.is_empty();
        };
        for piece in &self.middle {
            // The leftmost place is as good as any: what follows has the most room.
            let Some(after) = piece.after_first(rest, case) else {
                return false;
            };
            rest = after;
        }
        ends_with(rest, last, case)
    }
}

/// `text` without `piece` at its beginning.
fn without_prefix<'a>(text: &'a str, piece: &[Option<char>], case: Case) -> Option<&'a str> {
    let mut characters = text.chars();
    piece
        .iter()
        .all(|symbol| characters.next().is_some_and(|c| fits(*symbol, c, case)))
        .then_some(characters.as_str())
}

fn ends_with(text: &str, piece: &[Option<char>], case: Case) -> bool {
    let mut characters = text.chars().rev();
    piece
        .iter()
        .rev()
        .all(|symbol| characters.next().is_some_and(|c| fits(*symbol, c, case)))
}

fn fits(symbol: Option<char>, character: char, case: Case) -> bool {
    symbol.is_none_or(|symbol| symbol == case.of(character))
}

/// A piece that may occur anywhere; not empty.
///
/// One step of the search looks at all prefixes of the piece at once, one bit each ("shift-and"):
/// bit `i` says that the text so far ends with the first `i + 1` characters of the piece.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Searched {
    /// The piece, if it has no `?`.
    literal: Option<Box<str>>,
    /// For each of its characters, in their order: where it fits, 64 places to a word.
    places: Box<[(char, Box<[u64]>)]>,
    /// Where any other character fits.
    anywhere: Box<[u64]>,
    /// The bit of the last character, in the last word.
    end: u64,
}

impl Searched {
    fn new(piece: &[Option<char>]) -> Self {
        let mut characters: Vec<char> = piece.iter().copied().flatten().collect();
        characters.sort_unstable();
        characters.dedup();
        let places = |character: Option<char>| -> Box<[u64]> {
            let fits = |symbol: &Option<char>| symbol.is_none() || *symbol == character;
            piece
                .chunks(64)
                .map(|word| bits(word.iter().map(fits)))
                .collect()
        };
        Self {
            literal: piece
                .iter()
                .copied()
                .collect::<Option<String>>()
                .map(Into::into),
            anywhere: places(None),
            end: 1 << ((piece.len() + 63) % 64),
            places: characters
                .into_iter()
                .map(|character| (character, places(Some(character))))
                .collect(),
        }
    }

    /// What follows its first occurrence in `text`.
    fn after_first<'a>(&self, text: &'a str, case: Case) -> Option<&'a str> {
        if let (Some(literal), Case::Kept) = (&self.literal, case) {
            return text.split_once(&**literal).map(|(_, after)| after);
        }
        // One word is the ordinary case, and needs no memory of its own.
        let mut short = [0];
        let mut long = Vec::new();
        let state: &mut [u64] = if self.anywhere.len() == 1 {
            &mut short
        } else {
            long.resize(self.anywhere.len(), 0);
            &mut long
        };
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            let mut carry = 1;
            for (word, fits) in iter::zip(&mut *state, self.fitting(case.of(character))) {
                let moved = (*word << 1) | carry;
                carry = *word >> 63;
                *word = moved & fits;
            }
            if state.last().is_some_and(|word| word & self.end != 0) {
                return Some(characters.as_str());
            }
        }
        None
    }

    /// Where `character` fits.
    fn fitting(&self, character: char) -> &[u64] {
        self.places
            .binary_search_by_key(&character, |(known, _)| *known)
            .ok()
            .and_then(|at| self.places.get(at))
            .map_or(&self.anywhere, |(_, places)| places)
    }
}

/// The bits of a word, the lowest first.
fn bits(set: impl Iterator<Item = bool>) -> u64 {
    set.zip(0..64_u32)
        .fold(0, |word, (set, at)| word | (u64::from(set) << at))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Whether `pattern` matches `text`, by a table over all beginnings of both.
    fn by_table(pattern: &str, text: &str) -> bool {
        #[derive(Clone, Copy)]
        enum Symbol {
            Run,
            One,
            Just(char),
        }
        let mut symbols = Vec::new();
        let written: Vec<char> = pattern.chars().collect();
        let mut at = 0;
        while at < written.len() {
            let escaped = written[at] == '\\' && matches!(written.get(at + 1), Some('*' | '?'));
            symbols.push(match written[at] {
                _ if escaped => Symbol::Just(written[at + 1]),
                '*' => Symbol::Run,
                '?' => Symbol::One,
                other => Symbol::Just(other),
            });
            at += if escaped { 2 } else { 1 };
        }
        let text: Vec<char> = text.chars().collect();
        let mut row = vec![false; text.len() + 1];
        row[0] = true;
        for symbol in symbols {
            let mut next = vec![false; text.len() + 1];
            for end in 0..=text.len() {
                next[end] = match symbol {
                    Symbol::Run => row[end] || (end > 0 && next[end - 1]),
                    Symbol::One => end > 0 && row[end - 1],
                    Symbol::Just(c) => end > 0 && row[end - 1] && text[end - 1] == c,
                };
            }
            row = next;
        }
        row[text.len()]
    }

    #[test]
    fn patterns_match_as_azure_documents() {
        for (pattern, text, expected) in [
            ("a*c?", "abcd", true),
            ("A*C?", "abcd", false),
            ("a*c", "abcd", false),
            ("readonly/*", "readonly/", true),
            ("readonly/*", "readonly/a/b.txt", true),
            ("a?c", "ac", false),
            ("a?c", "aäc", true),
            ("a?c", "a\u{1f511}c", true),
            (r"a\*b", "a*b", true),
            (r"a\*b", "axb", false),
            (r"a\?b", "axb", false),
            (r"C:\dir\*", r"C:\dir*", true),
            (r"C:\dir\\*", r"C:\dir\*", true),
            (r"\", r"\", true),
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("?", "", false),
            ("*?", "", false),
            ("ab*ba", "aba", false),
        ] {
            assert_eq!(
                Like::new(pattern).matches(text),
                expected,
                "`{pattern}` on `{text}`"
            );
        }
    }

    #[test]
    fn without_case_a_doubt_about_letters_beyond_ascii_gives_no_answer() {
        for (pattern, text, expected) in [
            ("PROD-*", "prod-1", Some(true)),
            ("prod-*", "PROD-1", Some(true)),
            ("*MID*", "the middle", Some(true)),
            ("*MID?LE", "the middle", Some(true)),
            ("*MID?LE", "the mile", Some(false)),
            ("Ä*", "ä", None),
            ("Ä*", "Ä", Some(true)),
            ("k*", "\u{212a}", None),
            ("*k*", "x\u{212a}x", None),
            ("x*", "ä", Some(false)),
            ("\u{3bc}", "\u{b5}", None),
            ("*\u{3c3}", "ab\u{3c2}", None),
            ("stra?e", "straße", Some(true)),
            ("?", "İ", None),
        ] {
            assert_eq!(
                Like::new(pattern).matches_ignoring_case(text),
                expected,
                "`{pattern}` on `{text}`"
            );
        }
    }

    #[test]
    fn what_is_contained_has_no_wildcards() {
        assert!(Like::containing("a*").matches("xa*x"));
        assert!(!Like::containing("a*").matches("xab"));
        assert!(!Like::containing(r"\*").matches("*"));
        assert!(Like::containing("").matches(""));
        assert_eq!(
            Like::containing("PAY").matches_ignoring_case("team-payments"),
            Some(true)
        );
    }

    /// With exponential or cubic time these would not come to an end.
    #[test]
    fn hostile_patterns_come_to_an_end() {
        let text = "a".repeat(64 * 1024);
        for (pattern, expected) in [
            ("*a".repeat(4096) + "?b", false),
            ("*a".repeat(4096) + "?", true),
            ("*?a".repeat(2730) + "b", false),
            ("*".to_owned() + &"a?".repeat(4095) + "b", false),
            ("*".to_owned() + &"a?".repeat(4090) + "b*", false),
            ("*".to_owned() + &"?".repeat(8190) + "*", true),
            ("*".to_owned() + &"a".repeat(8189) + "b*", false),
        ] {
            let like = Like::new(&pattern);
            assert_eq!(like.matches(&text), expected, "{pattern:.20}…");
            assert_eq!(
                like.matches_ignoring_case(&text),
                Some(expected),
                "{pattern:.20}…"
            );
        }
    }

    #[test]
    fn pieces_longer_than_a_word_are_found() {
        for length in [63, 64, 65, 127, 128, 129, 200] {
            let piece = "ab?d".repeat(64).chars().take(length).collect::<String>();
            let there = piece.replace('?', "c");
            let like = Like::new(&format!("x*{piece}*y"));
            assert!(like.matches(&format!("x abab{there} y")), "{length}");
            let spoilt: String = there.chars().skip(1).collect();
            assert!(!like.matches(&format!("x {spoilt} y")), "{length}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4096))]

        #[test]
        fn a_compiled_pattern_matches_what_a_table_says(
            pattern in r"[ab*?*?\\ä]{0,12}",
            text in r"[ab*?\\ä]{0,16}",
        ) {
            prop_assert_eq!(Like::new(&pattern).matches(&text), by_table(&pattern, &text));
        }

        #[test]
        fn case_is_ignored_as_if_both_were_written_in_lower_case(
            pattern in r"[aAbB*?*?\\äÄ]{0,10}",
            text in r"[aAbB*?\\äÄ]{0,12}",
        ) {
            let ascii = by_table(&pattern.to_ascii_lowercase(), &text.to_ascii_lowercase());
            let unicode = by_table(&lower_case(&pattern), &lower_case(&text));
            let expected = (ascii == unicode).then_some(ascii);
            prop_assert_eq!(Like::new(&pattern).matches_ignoring_case(&text), expected);
        }
    }
}

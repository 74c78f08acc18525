//! No text makes the parser panic, nest without end, take more than linear time, or point outside
//! of the text.

use portcullis::abac::{MAX_BYTES, MAX_DEPTH, MAX_SET, Mode, ParseErrorKind, parse};
use proptest::prelude::*;
use proptest::sample::{Index, select};

use crate::corpus;

/// Reads `text` both ways, and holds what must be true of any text.
fn hold(text: &str) -> Result<(), TestCaseError> {
    for mode in [Mode::Strict, Mode::Compatible] {
        match parse(text, mode) {
            Ok(expr) => {
                let printed = expr.to_string();
                if printed.len() <= MAX_BYTES {
                    prop_assert_eq!(parse(&printed, mode), Ok(expr));
                }
            }
            Err(error) => {
                let end = error.offset + error.length;
                prop_assert!(text.get(error.offset..end).is_some(), "{:?}", error);
                let rendered = error.render(text);
                let raw = |c: char| c.is_control() && c != '\n';
                prop_assert!(!rendered.contains(raw), "{:?}", rendered);
                prop_assert!(rendered.lines().all(|line| line.chars().count() < 500));
            }
        }
    }
    Ok(())
}

/// Everything that occurs in conditions, and what looks like it.
const SOUP: &[&str] = &[
    "(",
    ")",
    "{",
    "}",
    "[",
    "]",
    ",",
    "@",
    "!",
    "&&",
    "||",
    "'",
    "''",
    "'a'",
    "\"",
    "$",
    "<",
    ">",
    "=",
    "AND",
    "OR",
    "NOT",
    "Exists",
    "NotExists",
    "ActionMatches",
    "ActionMatches{'a'}",
    "SubOperationMatches{'b'}",
    "@Resource",
    "@Request[a/b:c]",
    "@Principal[a/b:c<$key_case_sensitive$>]",
    "@Environment[UtcNow]",
    "@Resource[a/b&$keys$&]",
    "@Resource[a<$>]",
    "StringEquals",
    "ForAnyOfAnyValues:",
    "ForAllOfAnyValues:StringLike",
    "ForAnyOfAllValues:NumericLessThan",
    "NumericEquals",
    "BoolEquals",
    "GuidEquals",
    "DateTimeLessThan",
    "42",
    "-1",
    "1.5",
    "true",
    "{'a', 'b'}",
    "{1, 2}",
    "0d9f8a7b-6c5d-4e3f-9a2b-1c0d9e8f7a6b",
    "'2026-01-31T00:00:00.0Z'",
    "\n",
    "\t",
    "\u{a0}",
    "\u{201c}",
    "\u{200b}",
    "\0",
    "é",
    "𝒳",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        hold(&text)?;
    }

    #[test]
    fn any_bytes_are_read_or_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        hold(&String::from_utf8_lossy(&bytes))?;
    }

    #[test]
    fn any_tokens_are_read_or_refused(
        tokens in proptest::collection::vec(select(SOUP), 0..30),
        separator in select(&["", " "][..]),
    ) {
        hold(&tokens.join(separator))?;
    }

    #[test]
    fn mutations_of_real_conditions_are_read_or_refused(
        row in any::<Index>(),
        at in any::<Index>(),
        length in 0..8_usize,
        inserted in select(SOUP),
    ) {
        let rows = corpus::rows();
        let text = &row.get(&rows).condition;
        let start = text.floor_char_boundary(at.index(text.len() + 1));
        let end = text.ceil_char_boundary((start + length).min(text.len()));
        let (before, after) = (text.get(..start).unwrap(), text.get(end..).unwrap());
        hold(&format!("{before}{inserted}{after}"))?;
    }
}

#[test]
fn a_condition_may_be_cut_anywhere() {
    for row in corpus::rows() {
        for end in (0..row.condition.len()).step_by(7) {
            if let Some(part) = row.condition.get(..end) {
                hold(part).unwrap_or_else(|e| panic!("{part}: {e}"));
            }
        }
    }
}

fn kind(text: &str) -> Option<ParseErrorKind> {
    parse(text, Mode::Strict).err().map(|error| error.kind)
}

#[test]
fn depth_is_bounded_however_it_is_made() {
    let leaf = "ActionMatches{'a'}";
    for (open, close) in [
        ("(", ")"),
        ("NOT ", ""),
        ("!(", ")"),
        ("!", ""),
        ("NOT((", "))"),
    ] {
        let nested = |n: usize| format!("{}{leaf}{}", open.repeat(n), close.repeat(n));
        let counts = if open == "NOT((" { 2 } else { 1 };
        let deepest = MAX_DEPTH / counts;
        assert_eq!(kind(&nested(deepest)), None, "{open}");
        assert_eq!(
            kind(&nested(deepest + 1)),
            Some(ParseErrorKind::TooDeep),
            "{open}"
        );
    }
    assert_eq!(kind(&"(".repeat(MAX_BYTES)), Some(ParseErrorKind::TooDeep));
    // A negation in another word.
    let deep = |n: usize| format!("{}NotExists @Resource[a]", "!".repeat(n));
    assert_eq!(kind(&deep(MAX_DEPTH - 1)), None);
    assert_eq!(kind(&deep(MAX_DEPTH)), Some(ParseErrorKind::TooDeep));
}

#[test]
fn sets_are_bounded() {
    let set = |n: usize| {
        let values = vec!["1"; n].join(",");
        format!("@Resource[a] ForAnyOfAnyValues:NumericEquals {{{values}}}")
    };
    assert_eq!(kind(&set(MAX_SET)), None);
    assert_eq!(kind(&set(MAX_SET + 1)), Some(ParseErrorKind::SetTooLarge));
}

#[test]
fn length_is_bounded_in_bytes() {
    let of_length = |n: usize| {
        let text = "ActionMatches{'é'}";
        format!("{text}{}", " ".repeat(n - text.len()))
    };
    assert_eq!(kind(&of_length(MAX_BYTES)), None);
    assert_eq!(
        kind(&of_length(MAX_BYTES + 1)),
        Some(ParseErrorKind::TooLong)
    );
    assert_eq!(kind(&"é".repeat(MAX_BYTES)), Some(ParseErrorKind::TooLong));
}

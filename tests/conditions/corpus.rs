//! Conditions that Azure documents or ships, word for word.

use std::fmt::Write as _;

use portcullis::abac::{Expr, Mode, parse};

/// One row of `tests/data/conditions/corpus.jsonl`.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Row {
    /// What it is about.
    pub(crate) name: String,
    /// The text.
    pub(crate) condition: String,
    /// `accepted`, `mixed` (refused in strict mode for want of parentheses), or the kind of the
    /// mistake and what was found, as `kind: found`.
    pub(crate) expect: String,
}

pub(crate) fn rows() -> Vec<Row> {
    let rows: Vec<Row> = include_str!("../data/conditions/corpus.jsonl")
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(rows.len() > 150, "the corpus has {} rows", rows.len());
    rows
}

fn outcome(condition: &str, mode: Mode) -> String {
    match parse(condition, mode) {
        Ok(_) => "accepted".to_owned(),
        Err(error) => format!("{}: {}", error.kind.as_str(), error.found),
    }
}

#[test]
fn every_text_of_azure_is_accepted_or_refused_for_its_reason() {
    let mut wrong = String::new();
    for row in rows() {
        let (strict, compatible) = match row.expect.as_str() {
            "mixed" => ("mixed-connectives: `AND`", "accepted"),
            other => (other, other),
        };
        for (mode, expected) in [(Mode::Strict, strict), (Mode::Compatible, compatible)] {
            let found = outcome(&row.condition, mode);
            if found != expected {
                writeln!(wrong, "{} ({mode:?}): {found}, not {expected}", row.name).unwrap();
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn every_text_of_azure_is_printed_as_the_same_tree() {
    for row in rows() {
        let Ok(expr) = parse(&row.condition, Mode::Compatible) else {
            continue;
        };
        let line = expr.to_string();
        assert!(!line.contains('\n'), "{line}");
        assert_eq!(parse(&line, Mode::Compatible).as_ref(), Ok(&expr), "{line}");
        let layout = expr.layout().to_string();
        assert_eq!(
            parse(&layout, Mode::Compatible).as_ref(),
            Ok(&expr),
            "{layout}"
        );
    }
}

/// The examples of the documentation are laid out by hand, some with spaces at the ends of lines.
/// One lacks a space between an attribute and its operator, one has parentheses in parentheses.
#[test]
fn the_layout_is_that_of_the_documentation() {
    let by_hand = |text: &str| {
        let lines: Vec<&str> = text.lines().map(str::trim_end).collect();
        lines.join("\n")
    };
    let unlike: Vec<String> = rows()
        .into_iter()
        .filter(|row| row.condition.starts_with("(\n (\n  !("))
        .filter(|row| {
            let layout = |e: Expr| e.layout().to_string();
            parse(&row.condition, Mode::Strict).map(layout).unwrap() != by_hand(&row.condition)
        })
        .map(|row| row.name)
        .collect();
    assert_eq!(
        unlike,
        [
            "reach blobs in specific containers from a specific subnet",
            "parentheses that change nothing"
        ]
    );
}

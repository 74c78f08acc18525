//! A mistake, shown in its line.

use std::fmt::Write as _;

use super::ParseError;

/// A line of more characters is cut; then so many are shown before the place, and the others from
/// there on.
const MAX_SHOWN: usize = 100;
const SHOWN_BEFORE: usize = 40;

/// Stands for what a terminal would act upon or not show.
const REPLACEMENT: char = '\u{fffd}';

/// Whether `c` can be printed: neither a control character nor one that is invisible or turns the
/// direction of the text.
pub(super) fn is_shown(c: char) -> bool {
    !c.is_control()
        && !matches!(c,
            '\u{a0}' | '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202f}' | '\u{2060}'..='\u{206f}' | '\u{3000}' | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}')
}

/// `c` as it is printed: a tab as one space, so that the underline stays below its place.
pub(super) fn shown(c: char) -> char {
    match c {
        '\t' => ' ',
        c if is_shown(c) => c,
        _ => REPLACEMENT,
    }
}

/// See [`ParseError::render`].
pub(super) fn render(error: &ParseError, text: &str) -> String {
    let line = text
        .split('\n')
        .nth(error.line.saturating_sub(1))
        .unwrap_or("");
    let line: Vec<char> = line.trim_end_matches('\r').chars().map(shown).collect();
    let column = error.column.saturating_sub(1).min(line.len());
    let start = if line.len() > MAX_SHOWN {
        column.saturating_sub(SHOWN_BEFORE)
    } else {
        0
    };
    let end = (start + MAX_SHOWN).min(line.len());
    let ellipsis = |cut: bool| if cut { "…" } else { "" };
    let part: String = line.get(start..end).unwrap_or(&[]).iter().collect();

    let there = text.get(error.offset..error.offset.saturating_add(error.length));
    let there = there.unwrap_or("").split('\n').next().unwrap_or("");
    let width = there.chars().count().min(end - column).max(1);
    let indent = column - start + ellipsis(start > 0).chars().count();

    let number = error.line.to_string();
    let margin = " ".repeat(number.len());
    let mut out = format!("{error}\n");
    let before = ellipsis(start > 0);
    let after = ellipsis(end < line.len());
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{margin} |");
    let _ = writeln!(out, "{number} | {before}{part}{after}");
    let _ = writeln!(out, "{margin} | {:indent$}{}", "", "^".repeat(width));
    if let Some(hint) = &error.hint {
        let _ = writeln!(out, "hint: {hint}");
    }
    out
}

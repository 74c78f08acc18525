//! Texts from outside, cut to size.

use std::borrow::Cow;
use std::fmt;

use serde::{Serialize, Serializer};

/// A value that is written as its `Display` text.
pub(super) struct Shown<T>(pub(super) T);

impl<T: fmt::Display> Serialize for Shown<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

/// Cuts texts and remembers which.
#[derive(Default)]
pub(super) struct Cutter {
    cut: Vec<&'static str>,
}

impl Cutter {
    /// The longest beginning of `text` that takes at most `limit` bytes as JSON.
    ///
    /// Control characters JSON leaves alone (DEL, the C1 set with its terminal escapes) become
    /// U+FFFD, so that a record can be shown in a terminal.
    pub(super) fn cut<'t>(
        &mut self,
        field: &'static str,
        text: &'t str,
        limit: usize,
    ) -> Cow<'t, str> {
        let mut room = limit;
        let mut end = text.len();
        for (offset, c) in text.char_indices() {
            let Some(left) = room.checked_sub(json_len(c)) else {
                self.cut.push(field);
                end = offset;
                break;
            };
            room = left;
        }
        let kept = text.split_at_checked(end).map_or("", |(kept, _)| kept);
        if kept.contains(is_raw_control) {
            Cow::Owned(kept.replace(is_raw_control, "\u{fffd}"))
        } else {
            Cow::Borrowed(kept)
        }
    }

    /// The same for a text that may be absent.
    pub(super) fn cut_some<'t>(
        &mut self,
        field: &'static str,
        text: Option<&'t str>,
        limit: usize,
    ) -> Option<Cow<'t, str>> {
        text.map(|text| self.cut(field, text, limit))
    }

    /// The names of the fields that were cut.
    pub(super) fn into_names(self) -> Vec<&'static str> {
        self.cut
    }
}

fn is_raw_control(c: char) -> bool {
    c.is_control() && c >= '\u{7f}'
}

/// How many bytes `c` takes in a JSON text.
fn json_len(c: char) -> usize {
    match c {
        '"' | '\\' | '\n' | '\r' | '\t' | '\u{8}' | '\u{c}' => 2,
        '\0'..='\u{1f}' => 6,
        c if is_raw_control(c) => '\u{fffd}'.len_utf8(),
        c => c.len_utf8(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_between_characters_and_named() {
        for (text, limit, expected, is_cut) in [
            ("abc", 3, "abc", false),
            ("abcd", 3, "abc", true),
            ("aäb", 2, "a", true),
            ("a\"b", 3, "a\"", true),
            ("\u{1}\u{1}", 11, "\u{1}", true),
            ("a\u{9b}2J\u{7f}", 20, "a\u{fffd}2J\u{fffd}", false),
            ("", 0, "", false),
        ] {
            let mut cutter = Cutter::default();
            let cut = cutter.cut("ua", text, limit);
            assert_eq!(cut, expected, "{text:?}");
            assert!(serde_json::to_string(&cut).unwrap().len() <= limit + 2);
            assert_eq!(!cutter.into_names().is_empty(), is_cut, "{text:?}");
        }
    }
}

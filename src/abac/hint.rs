//! How the usual mistakes are mended.
//!
//! Most are listed in
//! <https://learn.microsoft.com/azure/role-based-access-control/conditions-troubleshoot>.

use super::expr::{Operator, Quantifier, Source};

/// The functions.
const FUNCTIONS: [&str; 3] = ["ActionMatches", "SubOperationMatches", "Exists"];

/// For a quote that ends a string too early.
pub(super) const QUOTE_INSIDE: &str = "a string cannot hold a single quote, however it is \
    written; `StringLike` with `?` in its place matches any one character there";

/// For an operator that stands beside a set without a quantifier.
pub(super) const SET_ALONE: &str = "only an operator with a quantifier takes a set: write \
    `ForAnyOfAnyValues:StringEquals {'a', 'b'}` for `is one of`, and \
    `ForAnyOfAllValues:StringNotEquals {'a', 'b'}` for `is none of`";

/// For a negation where an operator belongs.
pub(super) const NEGATION: &str = "a negation stands before the whole expression (`NOT Exists \
    @Resource[…]`) or in the operator's name (`StringNotEquals`)";

/// For `AND` beside `OR`.
pub(super) const MIXED: &str = "Azure publishes no precedence: write `(a AND b) OR c` or \
    `a AND (b OR c)`, whichever is meant";

/// For an attribute whose end a shell has changed.
const SHELL: &str = "a shell has replaced what follows a `$`: put the condition in single quotes \
    or into a file; the key of a dictionary is written `tags:Project<$key_case_sensitive$>`, the \
    names of all its keys `tags&$keys$&`";

/// For a character that has no place outside of strings.
pub(super) fn character(c: char) -> Option<&'static str> {
    match c {
        '"' => Some("strings stand in single quotes: 'text'"),
        '\u{2018}'..='\u{201f}'
        | '\u{2032}'
        | '\u{2033}'
        | '\u{ab}'
        | '\u{bb}'
        | '`'
        | '\u{b4}' => {
            Some("strings stand in straight single quotes ('text'); an editor has changed them")
        }
        '\u{a0}' | '\u{202f}' | '\u{2000}'..='\u{200a}' | '\u{3000}' => {
            Some("this is not an ordinary space; it often comes with text from a web page")
        }
        '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}' | '\u{202a}'..='\u{202e}' => {
            Some("this character is invisible; it often comes with text from a web page")
        }
        '$' => Some(SHELL),
        _ => None,
    }
}

/// For an operator of another language.
pub(super) fn foreign(operator: &str) -> &'static str {
    match operator {
        "&" => "write `AND` or `&&`",
        "|" => "write `OR` or `||`",
        "!=" | "<>" | "!==" => {
            "write `StringNotEquals`, `NumericNotEquals`, `GuidNotEquals` or `BoolNotEquals`"
        }
        operator if operator.contains(['<', '>']) => {
            "write `NumericLessThan`, `NumericGreaterThanEquals`, `DateTimeGreaterThan` and so on"
        }
        _ => "write `StringEquals`, `NumericEquals`, `GuidEquals` or `BoolEquals`",
    }
}

/// For an operator that does not exist.
pub(super) fn operator(word: &str) -> Option<String> {
    if is_function(word) {
        return Some(format!("`{word}` stands before its attribute or pattern"));
    }
    if let Some(quantifier) = Quantifier::from_name(word) {
        return Some(format!(
            "a quantifier stands right before an operator: `{quantifier}:StringEquals`"
        ));
    }
    let without_type = |name: &str| {
        name.to_ascii_lowercase()
            .ends_with(&word.to_ascii_lowercase())
    };
    did_you_mean(word, Operator::all().map(Operator::name)).or_else(|| {
        let known = !word.is_empty() && Operator::all().any(|o| without_type(o.name()));
        known.then(|| {
            "operators begin with the type they compare: `StringEquals`, `NumericEquals`".to_owned()
        })
    })
}

/// Whether `word` is the name of a function.
pub(super) fn is_function(word: &str) -> bool {
    FUNCTIONS.iter().any(|name| name.eq_ignore_ascii_case(word))
}

/// For a quantifier that does not exist.
pub(super) fn quantifier(word: &str) -> Option<String> {
    did_you_mean(word, Quantifier::ALL.map(Quantifier::name).into_iter())
}

/// For a function that does not exist.
pub(super) fn function(word: &str) -> Option<String> {
    did_you_mean(word, FUNCTIONS.into_iter().chain(["NOT Exists"]))
}

/// For a source that does not exist.
pub(super) fn source(word: &str) -> Option<String> {
    did_you_mean(word, Source::ALL.map(Source::name).into_iter())
}

/// For what follows the path of an attribute.
pub(super) fn attribute(body: &str) -> &'static str {
    if body.contains(['<', '>', '$', '&']) {
        SHELL
    } else {
        "attributes look like `@Resource[Microsoft.KeyVault/vaults/secrets:name]`"
    }
}

/// For a value that is not of the type its operator compares. `value` is the value without quotes.
pub(super) fn value(operator: Operator, value: &str, quoted: bool) -> String {
    let integer = value.parse::<i64>().is_ok();
    let boolean = value.eq_ignore_ascii_case("true") || value.eq_ignore_ascii_case("false");
    let guid = uuid::Uuid::try_parse(value).is_ok();
    let other = if integer {
        "; to compare numbers, use `NumericEquals`"
    } else if boolean {
        "; to compare booleans, use `BoolEquals`"
    } else if guid {
        "; to compare GUIDs, use `GuidEquals`"
    } else {
        ""
    };
    match operator {
        Operator::String { .. } => format!("strings stand in single quotes{other}"),
        Operator::Numeric(_) if integer && quoted => "numbers stand without quotes".to_owned(),
        Operator::Numeric(_) if quoted => "to compare text, use `StringEquals`".to_owned(),
        Operator::Numeric(_) => format!("whole numbers from {} to {} only", i64::MIN, i64::MAX),
        Operator::Boolean { .. } if boolean => "booleans stand without quotes".to_owned(),
        Operator::Boolean { .. } => "booleans are `true` and `false`".to_owned(),
        Operator::DateTime(_) => {
            "points in time are UTC and stand in single quotes: '2026-01-31T00:00:00.0Z'".to_owned()
        }
        Operator::Guid { .. } => {
            "GUIDs look like 0d9f8a7b-6c5d-4e3f-9a2b-1c0d9e8f7a6b; names of roles or people do \
             not work here"
                .to_owned()
        }
    }
}

/// The one of `known` that `word` was probably meant to be, as a question.
pub(super) fn did_you_mean<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    nearest(word, known).map(|name| format!("did you mean `{name}`?"))
}

/// Longer words are not compared: no name comes close to that.
const MAX_WORD_CHARS: usize = 64;

/// The one of `known` that `word` was probably meant to be: at most a third of it is different.
pub(super) fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let length = word.chars().count();
    if length > MAX_WORD_CHARS {
        return None;
    }
    let tolerated = (length / 3).max(1);
    known
        .map(|name| (distance(word, name), name))
        .filter(|(distance, _)| *distance <= tolerated)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// How many letters have to be added, dropped or replaced to make one text of the other, without
/// regard to ASCII case.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        // The row above this one's, one to the left.
        let mut corner = i;
        let mut left = i + 1;
        for (to, cell) in b.iter().zip(row.iter_mut().skip(1)) {
            let replaced = corner + usize::from(!from.eq_ignore_ascii_case(to));
            corner = *cell;
            left = replaced.min(left + 1).min(corner + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_distance_is_the_number_of_edits() {
        for (a, b, edits) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("STRINGEQUAL", "StringEquals", 1),
            ("flaw", "lawn", 2),
        ] {
            assert_eq!(distance(a, b), edits, "{a} {b}");
            assert_eq!(distance(b, a), edits, "{b} {a}");
        }
    }

    #[test]
    fn a_word_unlike_all_names_has_no_nearest() {
        assert_eq!(operator("IpMatch"), None);
        assert_eq!(
            nearest(&"StringEquals".repeat(9), FUNCTIONS.into_iter()),
            None
        );
    }
}

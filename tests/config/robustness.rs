//! Whatever is written: it is read or refused, and nothing panics.

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::{LEAST, examples, parse, parse_with};

const VALUES: &[&str] = &[
    "1",
    "-1",
    "0",
    "1.5",
    "nan",
    "true",
    "''",
    "'x'",
    "[]",
    "[[]]",
    "['']",
    "[1, 'a']",
    "{}",
    "{ a = { b = 1 } }",
    "[{}]",
    "[{ name = 'a' }]",
    "1979-05-27",
    "\"\\u0000\"",
    "'::'",
    "'/'",
    "9223372036854775807",
    "['ä/~1', '..']",
    "'https://[::1]:0/'",
    "{ '' = '' }",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_mutilated_example_never_panics(
        example in any::<Index>(),
        edits in prop::collection::vec((any::<Index>(), 0..40_usize, "[\\PC\n]{0,6}"), 1..6),
    ) {
        let examples = examples();
        let mut text: Vec<char> = example.get(&examples).1.chars().collect();
        for (at, removed, inserted) in edits {
            let start = at.index(text.len() + 1);
            let end = (start + removed).min(text.len());
            text.splice(start..end, inserted.chars());
        }
        if let Err(error) = parse(&text.into_iter().collect::<String>()) {
            prop_assert!(!error.problems().is_empty());
            prop_assert!(!error.to_string().is_empty());
        }
    }

    #[test]
    fn any_value_of_any_key_never_panics(
        edits in prop::collection::vec((any::<Index>(), select(VALUES)), 1..4),
    ) {
        let mut lines: Vec<String> = LEAST.lines().map(str::to_owned).collect();
        for (at, value) in edits {
            let line = at.index(lines.len());
            if let Some((key, _)) = lines[line].clone().split_once(" = ") {
                lines[line] = format!("{key} = {value}");
            }
        }
        if let Err(error) = parse(&lines.join("\n")) {
            prop_assert!(!error.problems().is_empty());
        }
    }

    #[test]
    fn any_variable_never_panics(
        name in "PORTCULLIS_([A-Z0-9_]{0,12}|VAULT(__(KV_A|0|9)(__[A-Z_]{0,8})?)?|LOG(__FILTER)?)",
        value in prop_oneof![select(VALUES).prop_map(str::to_owned), "\\PC{0,12}"],
    ) {
        if let Err(error) = parse_with(LEAST, &[(&name, &value)]) {
            prop_assert!(!error.problems().is_empty());
        }
    }
}

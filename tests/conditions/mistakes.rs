//! What people are told about the mistakes they make.

use std::fmt::Write as _;

use portcullis::abac::{Mode, parse};

/// `tests/data/conditions/mistakes.txt`: a condition, `----`, what is said about it, `====`.
fn cases() -> impl Iterator<Item = (&'static str, &'static str)> {
    include_str!("../data/conditions/mistakes.txt")
        .split_terminator("====\n")
        .map(|case| case.split_once("\n----\n").expect("a line of dashes"))
}

#[test]
fn every_mistake_is_shown_with_its_place_and_how_to_mend_it() {
    let mut wrong = String::new();
    for (text, expected) in cases() {
        let said = match parse(text, Mode::Strict) {
            Ok(_) => "nothing\n".to_owned(),
            Err(error) => error.render(text),
        };
        if said != expected {
            write!(wrong, "{text}\n----\n{said}====\n").unwrap();
        }
    }
    assert!(wrong.is_empty(), "said otherwise:\n{wrong}");
}

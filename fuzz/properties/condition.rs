//! Any text as a condition: read in both modes, printed, read again, linted. Nothing panics, what
//! is printed is the same tree, and errors point inside of the text. Gives whether it is a condition.

use portcullis::abac::{Knowledge, MAX_BYTES, Mode, lint, parse};
use portcullis::attributes;

pub(crate) fn check(data: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(data) else {
        return false;
    };
    let mut read = false;
    for mode in [Mode::Strict, Mode::Compatible] {
        match parse(text, mode) {
            Ok(expr) => {
                read = true;
                for printed in [expr.to_string(), expr.layout().to_string()] {
                    if printed.len() <= MAX_BYTES {
                        assert_eq!(parse(&printed, mode).as_ref(), Ok(&expr), "{printed}");
                    }
                }
                let knowledge = Knowledge {
                    can_have: &attributes::can_have,
                    suboperations: &attributes::suboperations_of,
                    held: None,
                };
                lint(&expr, &knowledge);
            }
            Err(error) => {
                let end = error.offset + error.length;
                assert!(text.get(error.offset..end).is_some(), "{error:?}");
                error.render(text);
            }
        }
    }
    read
}

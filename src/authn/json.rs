//! JSON as an issuer writes it: one object in whose top level names are told apart without case.
//!
//! SECURITY: a repeated name is refused by [`crate::json`] at every depth. At the top, where claims
//! and header parameters are looked up, names that differ only in ASCII case are refused as well:
//! some readers of the same token look claims up without regard to case. (RFC 7515 §4,
//! RFC 7519 §4.)

use std::collections::HashSet;

use crate::json::{Json, Object};

/// A JSON text that is not one object with unique names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotAnObject;

/// Reads `bytes` as one object and nothing after it but white space.
pub(super) fn parse(bytes: &[u8]) -> Result<Object, NotAnObject> {
    let Ok(Json::Object(object)) = Json::parse(bytes) else {
        return Err(NotAnObject);
    };
    let mut names = HashSet::with_capacity(object.len());
    let unique = object
        .keys()
        .all(|name| names.insert(name.to_ascii_lowercase()));
    if unique { Ok(object) } else { Err(NotAnObject) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_one_object_with_unique_names_is_refused() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"tid":"x","Tid":"y"}"#,
            r#"{"n":[[{"a":1,"a":2}]]}"#,
            r#"{"a":1} x"#,
            r#"{"a":1}{"a":1}"#,
            "\u{feff}{}",
            "[]",
            "1",
            "",
            "null",
        ] {
            assert_eq!(parse(text.as_bytes()), Err(NotAnObject), "{text}");
        }
    }

    #[test]
    fn nesting_without_end_is_refused_without_a_crash() {
        let deep = format!("{{\"a\":{}", "[".repeat(8000));
        assert_eq!(parse(deep.as_bytes()), Err(NotAnObject));
        let closed = format!("{{\"a\":{}{}}}", "[".repeat(4000), "]".repeat(4000));
        assert_eq!(parse(closed.as_bytes()), Err(NotAnObject));
    }

    #[test]
    fn names_that_differ_in_case_may_stand_side_by_side_below_the_top() {
        assert!(parse(br#"{"labels":{"App":"a","app":"b"}}"#).is_ok());
    }
}

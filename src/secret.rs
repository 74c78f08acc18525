//! Values that must not print themselves.
//!
//! Promise 5 of the project: no token, secret value or body in any log, metric, error text, panic
//! or trace. A type whose `Debug` says nothing keeps that promise where care would not.

use std::fmt;

/// A bearer token as it arrived, without the scheme.
#[derive(Clone, PartialEq, Eq)]
pub struct BearerToken(Box<str>);

impl BearerToken {
    /// Takes the token's text.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The token itself: for checking its signature and for sending it to the vault, nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_does_not_print_itself() {
        let token = BearerToken::new("eyJhbGciOi");
        assert_eq!(format!("{token:?}"), "BearerToken(redacted)");
    }
}

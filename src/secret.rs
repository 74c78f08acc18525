//! Values that must not print themselves.
//!
//! Promise 5 of the project: no token, secret value or body in any log, metric, error text, panic
//! or trace. A type whose `Debug` says nothing keeps that promise where care would not.

use std::fmt;

use http::HeaderValue;
use http::header::InvalidHeaderValue;

/// How the header begins that carries a token.
const SCHEME: &str = "Bearer ";

/// A bearer token, kept as the header in which it travels.
#[derive(Clone, PartialEq, Eq)]
pub struct BearerToken(HeaderValue);

impl BearerToken {
    /// Takes the token's text, without the scheme.
    ///
    /// # Errors
    /// [`InvalidHeaderValue`] for a text that cannot stand in a header.
    pub fn new(text: &str) -> Result<Self, InvalidHeaderValue> {
        HeaderValue::try_from(format!("{SCHEME}{text}")).map(Self::sensitive)
    }

    /// Takes the value of an `Authorization` header whose token, the text behind the scheme, is
    /// `token`. A value that is spelled as usual is shared, not copied.
    ///
    /// # Errors
    /// [`InvalidHeaderValue`] for a text that cannot stand in a header.
    pub fn of_header(value: &HeaderValue, token: &[u8]) -> Result<Self, InvalidHeaderValue> {
        let usual = value.as_bytes().strip_prefix(SCHEME.as_bytes());
        if usual == Some(token) {
            return Ok(Self::sensitive(value.clone()));
        }
        let text = [SCHEME.as_bytes(), token].concat();
        HeaderValue::try_from(text).map(Self::sensitive)
    }

    fn sensitive(mut header: HeaderValue) -> Self {
        // Not to be kept in a table of HTTP/2 header compression, and not to be printed.
        header.set_sensitive(true);
        Self(header)
    }

    /// The token itself: for checking its signature and for sending it to the vault, nothing else.
    pub fn expose(&self) -> &str {
        // What is not text is no token: it fails every check.
        str::from_utf8(self.expose_bytes()).unwrap_or_default()
    }

    /// The same as bytes: for finding a token again.
    pub fn expose_bytes(&self) -> &[u8] {
        self.0.as_bytes().get(SCHEME.len()..).unwrap_or_default()
    }

    /// The value of the `Authorization` header that carries it.
    pub const fn header(&self) -> &HeaderValue {
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
        let token = BearerToken::new("eyJhbGciOi").unwrap();
        assert_eq!(format!("{token:?}"), "BearerToken(redacted)");
        assert_eq!(format!("{:?}", token.header()), "Sensitive");
    }

    #[test]
    fn a_token_is_sent_with_the_usual_scheme_however_it_came() {
        for spelled in ["Bearer a.b.c", "bearer a.b.c", "BEARER a.b.c"] {
            let token =
                BearerToken::of_header(&HeaderValue::from_static(spelled), b"a.b.c").unwrap();
            assert_eq!(token.expose(), "a.b.c");
            assert_eq!(token.header(), "Bearer a.b.c");
        }
    }
}

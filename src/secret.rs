//! Values that must not print themselves, nor be found in memory when they are done with.
//!
//! Promise 5 of the project: no token, secret value or body in any log, metric, error text, panic
//! or trace. A type whose `Debug` says nothing keeps that promise where care would not.
//!
//! What we copy is wiped when it is dropped: bodies that were read whole, what was made of them,
//! tokens that had to be written anew, private keys and the text they were read from. **What cannot
//! be wiped** is where others hold it: a request's headers, token included, and the pieces of a
//! body that streams through are in hyper's buffers, the plaintext of a connection in rustls', a
//! document while it is read on serde's scratch paper, and all of it in the kernel's. Those are
//! used again or given back as they are. So the process cannot be dumped either, see
//! [`crate::hardening`].

use std::fmt;
use std::io;
use std::ops::Deref;

use bytes::Bytes;
use http::HeaderValue;
use http::header::InvalidHeaderValue;
use zeroize::Zeroizing;

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
        Self::written(text.as_bytes())
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
        Self::written(token)
    }

    fn written(token: &[u8]) -> Result<Self, InvalidHeaderValue> {
        let text = WipedBytes::from([SCHEME.as_bytes(), token].concat());
        HeaderValue::from_maybe_shared(text.into_bytes()).map(Self::sensitive)
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

/// Bytes that are wiped when they are dropped, and left nowhere when they grow.
#[derive(Default)]
pub struct WipedBytes(Zeroizing<Vec<u8>>);

impl WipedBytes {
    /// None yet, with room for so many.
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(bytes)))
    }

    /// Takes `more` in behind the others.
    pub fn extend_from_slice(&mut self, more: &[u8]) {
        let needed = self.0.len().saturating_add(more.len());
        if needed > self.0.capacity() {
            // SECURITY: a vector that grows by itself gives the old memory back as it is.
            let room = needed.max(self.0.capacity().saturating_mul(2));
            let mut larger = Self::with_capacity(room);
            larger.0.extend_from_slice(&self.0);
            *self = larger;
        }
        self.0.extend_from_slice(more);
    }

    /// The same as bytes to be shared; they are wiped with the last that holds any of them.
    pub fn into_bytes(self) -> Bytes {
        Bytes::from_owner(self.0)
    }
}

impl From<Vec<u8>> for WipedBytes {
    fn from(bytes: Vec<u8>) -> Self {
        Self(Zeroizing::new(bytes))
    }
}

impl Deref for WipedBytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl io::Write for WipedBytes {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl fmt::Debug for WipedBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WipedBytes(redacted)")
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

    #[test]
    fn bytes_stay_what_they_were_while_they_grow() {
        let mut bytes = WipedBytes::default();
        let mut expected = Vec::new();
        for length in 0..200_u8 {
            let more = vec![length; usize::from(length)];
            bytes.extend_from_slice(&more);
            expected.extend(more);
        }
        assert_eq!(*bytes, *expected);
        assert_eq!(format!("{bytes:?}"), "WipedBytes(redacted)");
        assert_eq!(bytes.into_bytes(), expected);
    }
}

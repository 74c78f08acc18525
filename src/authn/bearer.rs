//! The `Authorization` header, read strictly.
//!
//! SECURITY: what is validated here is what is forwarded to the vault in pass-through mode, so
//! there must be one reading of it: one header, one scheme, one token.
//! Sources: RFC 6750 §2.1, RFC 7515 §3.1 (compact serialisation).

use http::HeaderMap;
use http::header::AUTHORIZATION;
use memchr::{memchr, memchr_iter};
use thiserror::Error;

use super::error::{AuthnError, TokenDefect};
use crate::reason::Reason;
use crate::secret::BearerToken;

/// The longest token accepted, in bytes. Entra tokens with 200 groups stay below 12 KiB.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// Why no bearer token could be taken from the headers.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum BearerError {
    /// There is no `Authorization` header: the first call of every Azure SDK.
    #[error("there is no authorization header")]
    Absent,
    /// The token has five parts: it is encrypted (JWE).
    #[error("the token is encrypted; expected three parts")]
    Encrypted,
    /// What follows the scheme is not three base64url parts.
    #[error("the token is malformed; expected three base64url parts")]
    Malformed,
    /// The scheme is `PoP` or `mtls_pop`: bound to the client's own key or TLS certificate.
    #[error("proof-of-possession schemes cannot pass a proxy")]
    ProofOfPossession,
    /// There are several `Authorization` headers.
    #[error("there are several authorization headers")]
    Repeated,
    /// The scheme is not `Bearer`, or one space does not follow it.
    #[error("expected the form `Bearer <token>`")]
    Scheme,
    /// The token is longer than [`MAX_TOKEN_BYTES`].
    #[error("the token is longer than 16 KiB")]
    TooLarge,
}

impl BearerError {
    /// The defect as the record and the metrics name it.
    pub const fn defect(self) -> TokenDefect {
        match self {
            Self::Absent => TokenDefect::NoToken,
            Self::Encrypted | Self::Malformed => TokenDefect::Malformed,
            Self::ProofOfPossession => TokenDefect::ProofOfPossession,
            Self::Repeated => TokenDefect::Repeated,
            Self::Scheme => TokenDefect::Scheme,
            Self::TooLarge => TokenDefect::TooLarge,
        }
    }

    /// The reason that goes into the record, the metric and the answer: a 401 in every case.
    pub const fn reason(self) -> Reason {
        self.defect().reason()
    }
}

impl From<BearerError> for AuthnError {
    fn from(error: BearerError) -> Self {
        error.defect().into()
    }
}

/// Takes the bearer token from the headers of a request.
///
/// Accepted is exactly one `Authorization` header: the scheme `Bearer` in any case, one space,
/// three non-empty parts of base64url without padding, at most [`MAX_TOKEN_BYTES`] in all. Two
/// tokens joined by a comma do not fit that form.
///
/// # Errors
/// One [`BearerError`] per way to differ from that form.
pub fn bearer(headers: &HeaderMap) -> Result<BearerToken, BearerError> {
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or(BearerError::Absent)?;
    if values.next().is_some() {
        return Err(BearerError::Repeated);
    }
    let text = value.as_bytes();
    if !text.is_ascii() {
        return Err(BearerError::Scheme);
    }
    let (scheme, token) = memchr(b' ', text)
        .and_then(|space| text.split_at_checked(space))
        .and_then(|(scheme, rest)| Some((scheme, rest.get(1..)?)))
        .ok_or(BearerError::Scheme)?;
    if scheme.eq_ignore_ascii_case(b"pop") || scheme.eq_ignore_ascii_case(b"mtls_pop") {
        return Err(BearerError::ProofOfPossession);
    }
    if !scheme.eq_ignore_ascii_case(b"bearer") {
        return Err(BearerError::Scheme);
    }
    if token.len() > MAX_TOKEN_BYTES {
        return Err(BearerError::TooLarge);
    }
    check_compact(token)?;
    // What passed the check can stand in a header.
    BearerToken::of_header(value, token).map_err(|_| BearerError::Malformed)
}

fn check_compact(token: &[u8]) -> Result<(), BearerError> {
    // All of it is looked at, which a compiler can turn into wide comparisons.
    let plain = token.iter().fold(true, |plain, &byte| {
        plain & (is_base64url(byte) | (byte == b'.'))
    });
    if !plain {
        return Err(BearerError::Malformed);
    }
    let mut dots = memchr_iter(b'.', token);
    match (
        dots.next(),
        dots.next(),
        dots.next(),
        dots.next(),
        dots.next(),
    ) {
        (Some(first), Some(second), None, None, None) => {
            let last = token.len().saturating_sub(1);
            let whole = first > 0 && second > first + 1 && second < last;
            whole.then_some(()).ok_or(BearerError::Malformed)
        }
        (Some(_), Some(_), Some(_), Some(_), None) => Err(BearerError::Encrypted),
        _ => Err(BearerError::Malformed),
    }
}

const fn is_base64url(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() | (byte == b'-') | (byte == b'_')
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn read(values: &[&str]) -> Result<BearerToken, BearerError> {
        let mut headers = HeaderMap::new();
        for value in values {
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            headers.append(AUTHORIZATION, value);
        }
        bearer(&headers)
    }

    #[test]
    fn the_scheme_is_read_in_any_case() {
        for scheme in ["Bearer", "bearer", "BEARER"] {
            let token = read(&[&format!("{scheme} a.b-_.c")]).unwrap();
            assert_eq!(token.expose(), "a.b-_.c");
        }
    }

    #[test]
    fn every_other_form_is_refused() {
        let table: &[(&[&str], BearerError)] = &[
            (&[], BearerError::Absent),
            (&["Bearer a.b.c", "Bearer a.b.c"], BearerError::Repeated),
            (&["Basic YTpi", "Bearer a.b.c"], BearerError::Repeated),
            (&["Bearer a.b.c, Bearer d.e.f"], BearerError::Malformed),
            (&["Bearer a.b.c,d.e.f"], BearerError::Malformed),
            (&[""], BearerError::Scheme),
            (&["Bearer"], BearerError::Scheme),
            (&["a.b.c"], BearerError::Scheme),
            (&["Bearer\ta.b.c"], BearerError::Scheme),
            (&[" Bearer a.b.c"], BearerError::Scheme),
            (&["Bearer: a.b.c"], BearerError::Scheme),
            (&["Basic YTpi"], BearerError::Scheme),
            (&["Negotiate a.b.c"], BearerError::Scheme),
            (&["Bearer a.b.c\u{e9}"], BearerError::Scheme),
            (&["PoP a.b.c"], BearerError::ProofOfPossession),
            (&["mtls_pop a.b.c"], BearerError::ProofOfPossession),
            (&["MTLS_PoP a.b.c"], BearerError::ProofOfPossession),
            (&["Bearer "], BearerError::Malformed),
            (&["Bearer  a.b.c"], BearerError::Malformed),
            (&["Bearer a.b.c "], BearerError::Malformed),
            (&["Bearer a.b.c x"], BearerError::Malformed),
            (&["Bearer a.b"], BearerError::Malformed),
            (&["Bearer a.b."], BearerError::Malformed),
            (&["Bearer .b.c"], BearerError::Malformed),
            (&["Bearer a..c"], BearerError::Malformed),
            (&["Bearer a.b.c.d"], BearerError::Malformed),
            (&["Bearer a.b.c.d.e.f"], BearerError::Malformed),
            (&["Bearer a.b.c="], BearerError::Malformed),
            (&["Bearer a.b+/.c"], BearerError::Malformed),
            (&["Bearer \"a.b.c\""], BearerError::Malformed),
            (&["Bearer a.b.c.d.e"], BearerError::Encrypted),
            (&["Bearer a..c.d.e"], BearerError::Encrypted),
        ];
        for (values, error) in table {
            assert_eq!(read(values).unwrap_err(), *error, "{values:?}");
        }
    }

    #[test]
    fn a_token_may_be_sixteen_kibibytes_and_no_longer() {
        let longest = format!("Bearer a.b.{}", "c".repeat(MAX_TOKEN_BYTES - 4));
        assert!(read(&[&longest]).is_ok());
        assert_eq!(
            read(&[&format!("{longest}c")]).unwrap_err(),
            BearerError::TooLarge
        );
    }

    #[test]
    fn only_an_absent_header_counts_as_a_challenge() {
        assert_eq!(BearerError::Absent.reason(), Reason::NoToken);
        assert_eq!(BearerError::Scheme.reason(), Reason::BadToken);
        let pop = AuthnError::from(BearerError::ProofOfPossession);
        assert_eq!(pop.reason, Reason::PopUnsupported);
        let absent = AuthnError::from(BearerError::Absent);
        assert!(absent.message.starts_with("AKV10000: "));
    }
}

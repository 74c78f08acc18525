//! One token, taken apart and checked against one key: pure, with time and keys as arguments.
//!
//! SECURITY: the order matters. [`Unverified`] gives out nothing but the `kid`, which is looked up
//! in the key ring of the issuer *the vault is configured with*; the token chooses neither issuer
//! nor algorithm. Claims are read only from a payload whose signature was found good.
//!
//! The signature is checked by `jsonwebtoken` over aws-lc-rs. Its own claim validation is not used:
//! it reads the machine's clock, takes an `aud` list if any element fits, and knows neither
//! duplicates nor `tid`. [`super::claims`] does that work; CVE-2026-25537 (a string in `exp` or
//! `nbf` counted as absent) has no counterpart there because every claim is typed.
//!
//! Sources: RFC 7515 §4, RFC 8725 §3.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::crypto::aws_lc::DEFAULT_PROVIDER;
use jsonwebtoken::{Algorithm, DecodingKey};
use zeroize::Zeroizing;

use super::error::{AuthnError, TokenDefect};
use super::json;
use crate::json::{Json, Object};

/// The one algorithm of Entra tokens, fixed here and never taken from a token or a key document.
///
/// Azure: every Entra discovery document names RS256 alone
/// <https://login.microsoftonline.com/common/.well-known/openid-configuration>.
const ALGORITHM: Algorithm = Algorithm::RS256;

/// [`ALGORITHM`] as `alg` spells it.
pub(super) const ALGORITHM_NAME: &str = "RS256";

/// The longest `kid`, in bytes. Entra's are 27.
pub(super) const MAX_KID_BYTES: usize = 256;

/// Header parameters that change how a token must be read. Whoever does not implement them must
/// not accept the token.
const EXTENSIONS: [&str; 5] = ["b64", "crit", "cty", "enc", "zip"];

/// A token of which nothing is known but its form.
pub(super) struct Unverified<'a> {
    kid: Box<str>,
    /// `header.payload`, the signed text.
    message: &'a str,
    payload: &'a str,
    signature: Zeroizing<Vec<u8>>,
}

impl<'a> Unverified<'a> {
    /// Takes `token` apart and reads its header.
    ///
    /// `jku`, `jwk`, `x5u`, `x5c` and `x5t` are ignored, as RFC 7515 allows: keys come from the
    /// issuer's ring and from nowhere else, so they can neither help nor harm.
    ///
    /// # Errors
    /// The token is not three parts of canonical base64url, or has a header that is not accepted.
    pub(super) fn parse(token: &'a str) -> Result<Self, AuthnError> {
        let (message, signature) = token.rsplit_once('.').ok_or(TokenDefect::Malformed)?;
        let (header, payload) = message.split_once('.').ok_or(TokenDefect::Malformed)?;
        if payload.contains('.') {
            return Err(TokenDefect::Malformed.into());
        }
        let header = json::parse(&decode(header)?).map_err(|_| TokenDefect::Malformed)?;
        let kid = check_header(&header)?;
        Ok(Self {
            kid,
            message,
            payload,
            signature: decode(signature)?,
        })
    }

    /// The name of the key that is said to have signed; opaque, at most [`MAX_KID_BYTES`] long.
    pub(super) fn kid(&self) -> &str {
        &self.kid
    }

    /// Checks the signature with `key` and gives out the payload.
    ///
    /// # Errors
    /// The signature does not fit, or the payload is not JSON with unique names.
    pub(super) fn verify(&self, key: &DecodingKey) -> Result<Object, AuthnError> {
        if !signed_by(key, self.message, &self.signature) {
            return Err(TokenDefect::Signature.into());
        }
        let payload = decode(self.payload)?;
        json::parse(&payload).map_err(|_| TokenDefect::Malformed.into())
    }
}

/// Whether `signature` is the RS256 signature of `message` under `key`.
pub(super) fn signed_by(key: &DecodingKey, message: &str, signature: &[u8]) -> bool {
    // SECURITY: the provider is named here instead of being the process's default, so that no
    // other crate's features can change it and an absent one cannot panic on the first token.
    (DEFAULT_PROVIDER.verifier_factory)(&ALGORITHM, key).is_ok_and(|verifier| {
        verifier
            .verify(message.as_bytes(), &signature.to_vec())
            .is_ok()
    })
}

/// Decodes canonical base64url without padding: one text for every value, so that a token cannot
/// be respelled. Stray trailing bits are refused.
fn decode(part: &str) -> Result<Zeroizing<Vec<u8>>, TokenDefect> {
    URL_SAFE_NO_PAD
        .decode(part)
        .map(Zeroizing::new)
        .map_err(|_| TokenDefect::Malformed)
}

fn check_header(header: &Object) -> Result<Box<str>, AuthnError> {
    match header.get("alg") {
        Some(Json::String(alg)) if &**alg == ALGORITHM_NAME => {}
        Some(_) => return Err(TokenDefect::Algorithm.into()),
        None => return Err(AuthnError::missing("alg")),
    }
    if EXTENSIONS.iter().any(|name| header.contains_key(*name)) {
        return Err(TokenDefect::Extension.into());
    }
    match header.get("typ") {
        None => {}
        Some(Json::String(typ)) if is_access_token_type(typ) => {}
        Some(_) => return Err(TokenDefect::Extension.into()),
    }
    match header.get("kid") {
        Some(Json::String(kid)) if (1..=MAX_KID_BYTES).contains(&kid.len()) => Ok(kid.clone()),
        Some(_) => Err(AuthnError::claim("kid", "a short text")),
        None => Err(AuthnError::missing("kid")),
    }
}

fn is_access_token_type(typ: &str) -> bool {
    typ.eq_ignore_ascii_case("JWT") || typ.eq_ignore_ascii_case("at+jwt")
}

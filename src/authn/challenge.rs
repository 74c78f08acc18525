//! The `WWW-Authenticate` header from which every Azure SDK learns where to get a token.
//!
//! Azure: one form is read by all of them: `authorization` first, then comma and one space, then
//! `resource`, and no `,` or `=` inside a value. Anything else trips some client: Go splits on
//! spaces, .NET loses a leading `resource`, Java throws on a part without `=`. A refused token gets
//! the same header as an absent one, as the vault's own does: `error="invalid_token"` would be
//! harmless to them all, but no client acts on it, and .NET compares challenges to decide on a
//! retry.
//! Source: <https://learn.microsoft.com/azure/key-vault/general/authentication-requests-and-responses>.

use http::HeaderValue;
use thiserror::Error;

use crate::config;

/// A challenge that clients could not read.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ChallengeError {
    /// The authority is not of the accepted form.
    #[error(
        "challenge authority `{0}` is not of the form `https://login.example/tenant-id`, without a final slash"
    )]
    Authority(Box<str>),
    /// The resource is not of the accepted form.
    #[error(
        "challenge resource `{0}` is not of the form `https://vault.example`, without a final slash"
    )]
    Resource(Box<str>),
}

/// The `WWW-Authenticate` value of a 401 for a vault that takes tokens of `issuer`.
///
/// Result: `Bearer authorization="<authority>", resource="<resource>"`.
///
/// # Errors
/// A configured text is not an https URL without a final slash, or has characters that would end
/// a value or the header.
pub fn challenge(issuer: &config::Issuer) -> Result<HeaderValue, ChallengeError> {
    let authority = &issuer.challenge_authority;
    let resource = &issuer.challenge_resource;
    if !is_plain_url(authority) {
        return Err(ChallengeError::Authority(authority.clone()));
    }
    if !is_plain_url(resource) {
        return Err(ChallengeError::Resource(resource.clone()));
    }
    let text = format!("Bearer authorization=\"{authority}\", resource=\"{resource}\"");
    HeaderValue::try_from(text).map_err(|_| ChallengeError::Authority(authority.clone()))
}

fn is_plain_url(text: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b":/.-_~[]".contains(&byte);
    text.strip_prefix("https://")
        .is_some_and(|rest| !rest.is_empty() && !rest.ends_with('/') && rest.bytes().all(plain))
}

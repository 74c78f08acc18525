//! Why a token was refused: a closed list, with the texts Key Vault itself uses where it has one.
//!
//! A text says what a client's owner can act on and nothing about signatures or keys. The token's
//! own words appear in two places only, because Key Vault echoes them too: the audience and the
//! issuer, and only after the signature was found good.

use std::fmt;

use crate::reason::Reason;

/// What is wrong with the credentials of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TokenDefect {
    /// The header's `alg` is not the issuer's algorithm.
    Algorithm,
    /// `aud` is not one of the accepted audiences.
    Audience,
    /// The header has members that change what the token means (`crit`, `b64`, `zip`, `enc`, `cty`)
    /// or a `typ` of something that is no access token.
    Extension,
    /// `exp` has passed.
    Expired,
    /// It is an id token, which is for the client to read and for nobody to accept.
    IdToken,
    /// The caller of this module named an issuer that is not configured.
    Internal,
    /// `iss` is not one of the accepted issuers, or not of the form that `ver` calls for.
    Issuer,
    /// Signing keys were never loaded or are too old: the token could not be judged.
    KeysUnavailable,
    /// The token or one of its claims cannot be read.
    Malformed,
    /// A claim that must be there is not.
    MissingClaim,
    /// There is no `Authorization` header.
    NoToken,
    /// `nbf` or `iat` lies in the future.
    NotYetValid,
    /// The token is bound to a key the client holds.
    ProofOfPossession,
    /// There is more than one `Authorization` header.
    Repeated,
    /// The scheme is not `Bearer`.
    Scheme,
    /// The signature does not fit.
    Signature,
    /// `tid` is not the tenant of the issuer.
    Tenant,
    /// The token is longer than any that is accepted.
    TooLarge,
    /// No key with the token's `kid` is known.
    UnknownKey,
}

impl TokenDefect {
    /// Every defect, for initialising metrics and for tests.
    pub const ALL: [Self; 19] = [
        Self::Algorithm,
        Self::Audience,
        Self::Extension,
        Self::Expired,
        Self::IdToken,
        Self::Internal,
        Self::Issuer,
        Self::KeysUnavailable,
        Self::Malformed,
        Self::MissingClaim,
        Self::NoToken,
        Self::NotYetValid,
        Self::ProofOfPossession,
        Self::Repeated,
        Self::Scheme,
        Self::Signature,
        Self::Tenant,
        Self::TooLarge,
        Self::UnknownKey,
    ];

    /// The stable text: the record's sub-reason and the `result` label of `portcullis_authn_total`.
    pub const fn as_label(self) -> &'static str {
        match self {
            Self::Algorithm => "alg",
            Self::Audience => "bad_aud",
            Self::Extension => "extension",
            Self::Expired => "expired",
            Self::IdToken => "id_token",
            Self::Internal => "internal",
            Self::Issuer => "bad_iss",
            Self::KeysUnavailable => "keys_unavailable",
            Self::Malformed => "malformed",
            Self::MissingClaim => "missing_claim",
            Self::NoToken => "no_token",
            Self::NotYetValid => "not_yet",
            Self::ProofOfPossession => "pop",
            Self::Repeated => "repeated",
            Self::Scheme => "scheme",
            Self::Signature => "bad_sig",
            Self::Tenant => "bad_tid",
            Self::TooLarge => "too_large",
            Self::UnknownKey => "unknown_kid",
        }
    }

    /// The reason that goes into the record, the metric and the answer.
    ///
    /// [`Reason::KeysUnavailable`] is "could not decide" (503), [`Reason::InternalError`] a fault
    /// of the proxy (500); everything else is a 401.
    pub const fn reason(self) -> Reason {
        match self {
            Self::Algorithm
            | Self::Audience
            | Self::Extension
            | Self::Expired
            | Self::IdToken
            | Self::Issuer
            | Self::Malformed
            | Self::MissingClaim
            | Self::NotYetValid
            | Self::Repeated
            | Self::Scheme
            | Self::Signature
            | Self::TooLarge
            | Self::UnknownKey => Reason::BadToken,
            Self::Internal => Reason::InternalError,
            Self::KeysUnavailable => Reason::KeysUnavailable,
            Self::NoToken => Reason::NoToken,
            Self::ProofOfPossession => Reason::PopUnsupported,
            Self::Tenant => Reason::WrongTenant,
        }
    }

    /// The text for a client where nothing more particular is known.
    pub(crate) const fn message(self) -> &'static str {
        match self {
            Self::Algorithm => "The token's signature algorithm is not accepted.",
            // Azure: AKV10022 and AKV10032 name what was expected and found; see the two
            // constructors below.
            Self::Audience => "AKV10022: Invalid audience.",
            Self::Issuer => "AKV10032: Invalid issuer.",
            Self::Extension => "The token uses an extension or a type that is not accepted.",
            // Azure: the text a vault gives for an expired token
            // <https://github.com/Azure/azure-sdk-for-python/issues/27266>.
            Self::Expired => "[TokenExpired] Error validating token: 'S2S12086'.",
            Self::IdToken => "An id token is not accepted; an access token is expected.",
            Self::Internal => "The token could not be validated.",
            Self::KeysUnavailable => {
                "The keys of the token's issuer are not available at the moment."
            }
            Self::Malformed => "The token is malformed.",
            Self::MissingClaim => "The token lacks a required claim.",
            Self::NoToken => "AKV10000: Request is missing a Bearer or PoP token.",
            Self::NotYetValid => "Token not yet valid.",
            Self::ProofOfPossession => {
                "A proof-of-possession token cannot pass this proxy; a Bearer token is expected."
            }
            Self::Repeated => "Exactly one Authorization header is expected.",
            Self::Scheme => "The Authorization header does not have the form `Bearer <token>`.",
            Self::Signature => "The token could not be validated.",
            Self::Tenant => "The token is of another tenant.",
            Self::TooLarge => "The token is too large.",
            // Azure: the vault appends the token's encoded header; we never echo token bytes.
            Self::UnknownKey => {
                "AKV10046: Unable to resolve the key used for signature validation."
            }
        }
    }
}

/// A request whose caller could not be established.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuthnError {
    /// Why, for record, metric and status.
    pub reason: Reason,
    /// Key Vault's text where it has one; safe to show to the client: printable ASCII, bounded.
    pub message: String,
    /// What exactly was wrong.
    pub detail: TokenDefect,
}

impl AuthnError {
    /// The error for `detail` with a text of its own.
    pub(crate) fn new(detail: TokenDefect, message: impl Into<String>) -> Self {
        Self {
            reason: detail.reason(),
            message: message.into(),
            detail,
        }
    }

    /// The claim `name` cannot be read as what it must be. `name` is never the token's own text.
    pub(crate) fn claim(name: &'static str, expected: &'static str) -> Self {
        let message = format!("The token's `{name}` is malformed: expected {expected}.");
        Self::new(TokenDefect::Malformed, message)
    }

    /// The claim `name` is required and absent.
    pub(crate) fn missing(name: &'static str) -> Self {
        let message = format!("The token lacks `{name}`.");
        Self::new(TokenDefect::MissingClaim, message)
    }

    /// AKV10022, as the vault words it.
    pub(crate) fn audience(expected: &[Box<str>], found: &str) -> Self {
        let message = format!(
            "AKV10022: Invalid audience. Expected {}, found: {}.",
            expected.join(" or "),
            shown(found)
        );
        Self::new(TokenDefect::Audience, message)
    }

    /// AKV10032, as the vault words it. `detail` tells a wrong issuer from a wrong tenant.
    pub(crate) fn issuer(detail: TokenDefect, expected: &[Box<str>], found: &str) -> Self {
        let message = format!(
            "AKV10032: Invalid issuer. Expected one of {}, found {}.",
            expected.join(", "),
            shown(found)
        );
        Self::new(detail, message)
    }
}

impl From<TokenDefect> for AuthnError {
    fn from(detail: TokenDefect) -> Self {
        Self::new(detail, detail.message())
    }
}

impl fmt::Display for AuthnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for AuthnError {}

/// Longest piece of a claim that is echoed.
const MAX_SHOWN: usize = 128;

/// SECURITY: what a token says reaches bodies and logs only through here: no control characters,
/// no escape sequences, nothing but printable ASCII, and not much of it.
fn shown(text: &str) -> String {
    let mut shown: String = text
        .chars()
        .take(MAX_SHOWN)
        .map(|c| if c.is_ascii_graphic() { c } else { '?' })
        .collect();
    if text.chars().nth(MAX_SHOWN).is_some() {
        shown.push_str("...");
    }
    shown
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn labels_are_unique_and_every_defect_is_listed_once() {
        let labels: BTreeSet<_> = TokenDefect::ALL.iter().map(|d| d.as_label()).collect();
        let defects: BTreeSet<_> = TokenDefect::ALL.iter().collect();
        assert_eq!(labels.len(), TokenDefect::ALL.len());
        assert_eq!(defects.len(), TokenDefect::ALL.len());
    }

    #[test]
    fn an_echoed_claim_is_printable_and_bounded() {
        let evil = format!("a\r\nSet-Cookie: x\x1b[2J\u{202e}{}", "b".repeat(1000));
        let text = shown(&evil);
        assert!(text.bytes().all(|b| b.is_ascii_graphic()), "{text}");
        assert_eq!(text.len(), MAX_SHOWN + 3);
    }

    #[test]
    fn the_vaults_own_texts_are_reproduced() {
        let expected: [Box<str>; 2] = ["https://vault.example".into(), "an-app-id".into()];
        assert_eq!(
            AuthnError::audience(&expected, "https://arm.example/").message,
            "AKV10022: Invalid audience. Expected https://vault.example or an-app-id, \
             found: https://arm.example/."
        );
        assert_eq!(
            AuthnError::issuer(TokenDefect::Issuer, &expected, "x").message,
            "AKV10032: Invalid issuer. Expected one of https://vault.example, an-app-id, found x."
        );
    }
}

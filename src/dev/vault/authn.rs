//! Who is asking: the bearer token, verified as Key Vault verifies it.
//!
//! It shares no code with the proxy's own validation, so that neither can hide the other's fault.

use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderValue};
use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde::Deserialize;

use crate::dev::StartError;
use crate::dev::issuer::KeyRing;
use crate::principal::ObjectId;

use super::failure::Failure;

/// Seconds that clocks may differ.
const CLOCK_SKEW: i64 = 300;

/// Whose tokens the vault takes.
#[derive(Clone, Debug)]
pub struct Trust {
    /// The issuer's signing keys, as they are at any time.
    pub keys: KeyRing,
    /// The accepted `iss`.
    pub issuer: Box<str>,
    /// The accepted `aud` texts.
    pub audiences: Vec<Box<str>>,
    /// The `authorization` of the challenge: `https://{issuer host}/{tenant}`.
    pub challenge_authority: Box<str>,
    /// The `resource` of the challenge: `https://vault.azure.net`.
    pub challenge_resource: Box<str>,
}

#[derive(Deserialize)]
struct Claims {
    aud: String,
    iss: String,
    exp: i64,
    nbf: Option<i64>,
    oid: String,
}

impl Trust {
    /// The value of `WWW-Authenticate`.
    ///
    /// Azure: every SDK parses this form and hardly any other.
    pub(super) fn challenge(&self) -> Result<HeaderValue, StartError> {
        let challenge = format!(
            "Bearer authorization=\"{}\", resource=\"{}\"",
            self.challenge_authority, self.challenge_resource
        );
        HeaderValue::try_from(challenge).map_err(|_| StartError::Setting("trust"))
    }

    /// The caller, if the token is good at `now`.
    pub(super) fn caller(&self, headers: &HeaderMap, now: i64) -> Result<ObjectId, Failure> {
        let token = bearer(headers)?;
        let claims = self.verified(token)?;
        if claims.iss != *self.issuer {
            return Err(Failure::unauthorized(format!(
                "AKV10032: Invalid issuer. Expected one of {}, found {}.",
                self.issuer, claims.iss
            )));
        }
        if !self
            .audiences
            .iter()
            .any(|audience| **audience == claims.aud)
        {
            return Err(Failure::unauthorized(format!(
                "AKV10022: Invalid audience. Expected {}, found: {}.",
                self.audiences.join(" or "),
                claims.aud
            )));
        }
        if claims.exp.saturating_add(CLOCK_SKEW) <= now {
            return Err(Failure::unauthorized(
                "[TokenExpired] Error validating token: 'S2S12086'.",
            ));
        }
        if claims.nbf.is_some_and(|start| now + CLOCK_SKEW < start) {
            return Err(invalid());
        }
        claims.oid.parse().map_err(|_| invalid())
    }

    /// The claims of a token that one of the issuer's keys signed.
    fn verified(&self, token: &str) -> Result<Claims, Failure> {
        let header = decode_header(token).map_err(|_| invalid())?;
        let key = header.kid.and_then(|kid| self.keys.decoding_key(&kid));
        let Some(key) = key else {
            let encoded = token.split('.').next().unwrap_or_default();
            return Err(Failure::unauthorized(format!(
                "AKV10046: Unable to resolve the key used for signature validation. \
                 EncodedJwtHeader: '{encoded}'."
            )));
        };
        let mut validation = Validation::new(Algorithm::RS256);
        // The claims are checked above, on the vault's own clock and with Key Vault's own words.
        validation.required_spec_claims.clear();
        validation.validate_exp = false;
        validation.validate_aud = false;
        let token = decode::<Claims>(token, &key, &validation).map_err(|_| invalid())?;
        Ok(token.claims)
    }
}

fn bearer(headers: &HeaderMap) -> Result<&str, Failure> {
    let missing = || Failure::unauthorized("AKV10000: Request is missing a Bearer or PoP token.");
    let mut values = headers.get_all(AUTHORIZATION).iter();
    let value = values.next().ok_or_else(missing)?;
    if values.next().is_some() {
        return Err(invalid());
    }
    let (scheme, token) = value
        .to_str()
        .ok()
        .and_then(|value| value.split_once(' '))
        .ok_or_else(missing)?;
    if scheme.eq_ignore_ascii_case("bearer") {
        Ok(token)
    } else {
        Err(missing())
    }
}

fn invalid() -> Failure {
    Failure::unauthorized("Error validating token.")
}

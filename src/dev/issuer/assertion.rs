//! Assertions: what a workload shows instead of a secret.
//!
//! In a cluster, the cluster's own issuer signs them, and Entra is told to trust it. Here this issuer
//! stands for both, so they are signed with its own keys; audience and subject are those of a
//! cluster.
//!
//! Source: <https://learn.microsoft.com/entra/workload-id/workload-identity-federation>.

use std::time::SystemTime;

use jsonwebtoken::{Algorithm, Validation, decode, decode_header};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::dev::unix_seconds;
use crate::secret::BearerToken;

use super::keys::KeyRing;
use super::{IssueError, LIFETIME_OF_ASSERTIONS, token};

/// The `client_assertion_type` of a token request.
pub(super) const ASSERTION_TYPE: &str = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

const AUDIENCE: &str = "api://AzureADTokenExchange";
const ISSUER: &str = "https://cluster.portcullis-dev.test";
const SUBJECT: &str = "system:serviceaccount:portcullis-dev:workload";

#[derive(Deserialize)]
struct Claims {
    aud: String,
    exp: i64,
    iss: String,
    sub: String,
}

/// An assertion that is good from `now` on.
pub(super) fn made(keys: &KeyRing, now: SystemTime) -> Result<BearerToken, IssueError> {
    let claims = [
        ("aud", json!(AUDIENCE)),
        ("iss", json!(ISSUER)),
        ("sub", json!(SUBJECT)),
        ("iat", json!(unix_seconds(now))),
        ("exp", json!(unix_seconds(now + LIFETIME_OF_ASSERTIONS))),
    ];
    let claims: Map<String, Value> = claims
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    token::sign(keys, &claims)
}

/// Whether `assertion` is one of [`made`]'s and still good at `now`.
pub(super) fn is_good(assertion: &str, keys: &KeyRing, now: SystemTime) -> bool {
    let claims = decode_header(assertion)
        .ok()
        .and_then(|header| keys.decoding_key(&header.kid?))
        .and_then(|key| {
            let mut validation = Validation::new(Algorithm::RS256);
            // The claims are checked below, on this issuer's own clock.
            validation.required_spec_claims.clear();
            validation.validate_exp = false;
            validation.validate_aud = false;
            Some(decode::<Claims>(assertion, &key, &validation).ok()?.claims)
        });
    claims.is_some_and(|claims| {
        claims.aud == AUDIENCE
            && claims.iss == ISSUER
            && claims.sub == SUBJECT
            && claims.exp > unix_seconds(now)
    })
}

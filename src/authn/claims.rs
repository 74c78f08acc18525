//! What the payload of a token must say, checked after its signature.
//!
//! Every claim used is typed; a claim of the wrong type is refused, never treated as absent.
//! Sources: RFC 7519 §4.1, RFC 9068 §4,
//! <https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference>.

mod evidence;

use std::str::FromStr;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::error::{AuthnError, TokenDefect};
use crate::config;
use crate::json::{Json, Number, Object};
use crate::principal::{CallerKind, Claims, ObjectId, TenantId, TokenGroups};

/// The most groups a token may carry. Entra puts at most 200 into a JWT.
const MAX_GROUPS: usize = 256;

/// The longest `appid` or token id, in bytes.
const MAX_ID_BYTES: usize = 128;

/// The end of the year 9999: later dates cannot be written in RFC 3339, and are milliseconds
/// mistaken for seconds.
const MAX_DATE: u64 = 253_402_300_799;

/// What one issuer's tokens are held against.
#[derive(Clone, Debug)]
pub(super) struct Policy {
    pub(super) name: Arc<str>,
    pub(super) tenant: TenantId,
    pub(super) issuers: Vec<Box<str>>,
    pub(super) audiences: Vec<Box<str>>,
    pub(super) skew: Duration,
}

impl Policy {
    pub(super) fn of(issuer: &config::Issuer) -> Self {
        Self {
            name: Arc::clone(&issuer.name),
            tenant: issuer.tenant_id,
            issuers: issuer.issuers.clone(),
            audiences: issuer.audiences.clone(),
            skew: issuer.clock_skew,
        }
    }
}

/// When a token is good.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lifetime {
    pub(super) not_before: SystemTime,
    pub(super) expires: SystemTime,
}

impl Lifetime {
    /// Checks `now` against both ends, with `skew` in the token's favour.
    ///
    /// # Errors
    /// The token has expired or is not valid yet.
    pub(super) fn check(&self, now: SystemTime, skew: Duration) -> Result<(), TokenDefect> {
        // Differences, not sums: a date near the end of time must not overflow.
        if let Ok(past) = now.duration_since(self.expires)
            && past >= skew
        {
            return Err(TokenDefect::Expired);
        }
        check_begun(self.not_before, now, skew)
    }
}

/// Whether `date`, an `nbf` or `iat`, is not in the future by more than `skew`.
fn check_begun(date: SystemTime, now: SystemTime, skew: Duration) -> Result<(), TokenDefect> {
    match date.duration_since(now) {
        Ok(early) if early > skew => Err(TokenDefect::NotYetValid),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// Reads and checks the claims of a payload whose signature is good.
///
/// # Errors
/// The first thing that is wrong: not an access token, bound to a client's key, unreadable, of
/// another issuer, tenant or audience, or out of its time.
pub(super) fn check(
    payload: &Object,
    policy: &Policy,
    now: SystemTime,
) -> Result<(Claims, Lifetime), AuthnError> {
    refuse_other_kinds(payload)?;
    let issuer = required_text(payload, "iss")?;
    let tenant: TenantId = guid(payload, "tid")?;
    check_issuer(payload, policy, issuer, tenant)?;
    check_audience(payload, policy)?;
    let object_id: ObjectId = guid(payload, "oid")?;
    let lifetime = Lifetime {
        not_before: required_date(payload, "nbf")?,
        expires: required_date(payload, "exp")?,
    };
    lifetime.check(now, policy.skew)?;
    if let Some(issued) = date(payload, "iat")? {
        check_begun(issued, now, policy.skew)?;
    }
    let claims = Claims {
        object_id,
        tenant_id: tenant,
        app_id: first_id(payload, "appid", "azp")?,
        issuer: issuer.into(),
        issuer_name: Arc::clone(&policy.name),
        token_id: first_id(payload, "uti", "jti")?,
        kind: kind(payload)?,
        groups: groups(payload)?,
        evidence: evidence::read(payload)?,
        expires_at: lifetime.expires,
    };
    Ok((claims, lifetime))
}

fn refuse_other_kinds(payload: &Object) -> Result<(), AuthnError> {
    // SECURITY: a bound token is worth nothing without the proof, which stays with the client; who
    // takes it as a bearer token undoes the binding.
    if payload.contains_key("cnf") {
        return Err(TokenDefect::ProofOfPossession.into());
    }
    // These belong to id tokens: they answer the client's own request and speak to the client.
    if ["nonce", "at_hash", "c_hash"]
        .iter()
        .any(|name| payload.contains_key(*name))
    {
        return Err(TokenDefect::IdToken.into());
    }
    Ok(())
}

/// Compares `iss` exactly, `tid` with the tenant, and the form of `iss` with `ver`.
///
/// SECURITY: Entra signs the tokens of all tenants with the same keys, so a good signature says
/// nothing about the tenant.
fn check_issuer(
    payload: &Object,
    policy: &Policy,
    issuer: &str,
    tenant: TenantId,
) -> Result<(), AuthnError> {
    let known = policy.issuers.iter().any(|accepted| **accepted == *issuer);
    let defect = match (known, tenant == policy.tenant) {
        (true, true) => return check_version(payload, policy, issuer),
        (_, false) => TokenDefect::Tenant,
        (false, true) => TokenDefect::Issuer,
    };
    if known {
        return Err(defect.into());
    }
    Err(AuthnError::issuer(defect, &policy.issuers, issuer))
}

/// Azure: `ver` "2.0" goes with an issuer that ends in `/v2.0`, "1.0" with one that does not
/// <https://learn.microsoft.com/entra/identity-platform/access-tokens#token-formats>.
fn check_version(payload: &Object, policy: &Policy, issuer: &str) -> Result<(), AuthnError> {
    let is_v2 = issuer.ends_with("/v2.0");
    let fits = match text(payload, "ver")? {
        None => true,
        Some("1.0") => !is_v2,
        Some("2.0") => is_v2,
        Some(_) => return Err(AuthnError::claim("ver", "`1.0` or `2.0`")),
    };
    if fits {
        return Ok(());
    }
    let defect = TokenDefect::Issuer;
    Err(AuthnError::issuer(defect, &policy.issuers, issuer))
}

fn check_audience(payload: &Object, policy: &Policy) -> Result<(), AuthnError> {
    const FORM: &str = "a text or a list of one";
    let audience = match payload.get("aud") {
        None => return Err(AuthnError::missing("aud")),
        Some(Json::String(audience)) => audience,
        Some(Json::Array(list)) => match list.as_slice() {
            [Json::String(audience)] => audience,
            // SECURITY: a token for several audiences can be replayed by any of them.
            _ => return Err(AuthnError::claim("aud", FORM)),
        },
        Some(_) => return Err(AuthnError::claim("aud", FORM)),
    };
    if policy.audiences.contains(audience) {
        return Ok(());
    }
    Err(AuthnError::audience(&policy.audiences, audience))
}

/// Azure: `idtyp` is optional. Without it, a delegated token has `scp`, and an application's own
/// has a `sub` equal to `oid`, while a user's `sub` is pairwise
/// <https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference>.
fn kind(payload: &Object) -> Result<CallerKind, AuthnError> {
    let delegated = text(payload, "scp")?.is_some();
    let subject = text(payload, "sub")?;
    let object = text(payload, "oid")?;
    match text(payload, "idtyp")? {
        Some("app") => Ok(CallerKind::App),
        Some("user") => Ok(CallerKind::User),
        Some(_) => Err(AuthnError::claim("idtyp", "`app` or `user`")),
        None if !delegated && subject.is_some() && subject == object => Ok(CallerKind::App),
        None => Ok(CallerKind::User),
    }
}

/// SECURITY: on overage the token names a URL for the list (`_claim_sources`). It is never used:
/// fetching what a token names would let callers point us anywhere. A list beside an overage mark
/// is not complete, so it does not count either.
fn groups(payload: &Object) -> Result<TokenGroups, AuthnError> {
    let elsewhere = match payload.get("_claim_names") {
        None => false,
        Some(Json::Object(names)) => names.contains_key("groups"),
        Some(_) => return Err(AuthnError::claim("_claim_names", "an object")),
    };
    let overage = match payload.get("hasgroups") {
        None => false,
        Some(Json::Bool(overage)) => *overage,
        Some(_) => return Err(AuthnError::claim("hasgroups", "true or false")),
    };
    let listed = match payload.get("groups") {
        None => return Ok(TokenGroups::Absent),
        Some(Json::Array(list)) if list.len() <= MAX_GROUPS => list,
        Some(_) => return Err(AuthnError::claim("groups", "a list of at most 256 GUIDs")),
    };
    let ids: Option<Arc<[ObjectId]>> = listed.iter().map(group).collect();
    let ids = ids.ok_or_else(|| AuthnError::claim("groups", "a list of GUIDs"))?;
    if elsewhere || overage {
        return Ok(TokenGroups::Absent);
    }
    Ok(TokenGroups::Present(ids))
}

fn group(value: &Json) -> Option<ObjectId> {
    value.as_text()?.parse().ok()
}

fn text<'a>(payload: &'a Object, name: &'static str) -> Result<Option<&'a str>, AuthnError> {
    match payload.get(name) {
        None => Ok(None),
        Some(value) => value
            .as_text()
            .map(Some)
            .ok_or_else(|| AuthnError::claim(name, "a text")),
    }
}

fn required_text<'a>(payload: &'a Object, name: &'static str) -> Result<&'a str, AuthnError> {
    text(payload, name)?.ok_or_else(|| AuthnError::missing(name))
}

fn guid<T: FromStr>(payload: &Object, name: &'static str) -> Result<T, AuthnError> {
    required_text(payload, name)?
        .parse()
        .map_err(|_| AuthnError::claim(name, "a GUID"))
}

/// The first of two ids that is there. They go into records and nowhere else.
fn first_id(
    payload: &Object,
    name: &'static str,
    other: &'static str,
) -> Result<Option<Box<str>>, AuthnError> {
    let first = id(payload, name)?;
    let second = id(payload, other)?;
    Ok(first.or(second).map(Box::from))
}

fn id<'a>(payload: &'a Object, name: &'static str) -> Result<Option<&'a str>, AuthnError> {
    let found = text(payload, name)?;
    let plain = |id: &str| id.len() <= MAX_ID_BYTES && id.bytes().all(|b| b.is_ascii_graphic());
    if found.is_none_or(plain) {
        return Ok(found);
    }
    Err(AuthnError::claim(name, "a short printable text"))
}

fn required_date(payload: &Object, name: &'static str) -> Result<SystemTime, AuthnError> {
    date(payload, name)?.ok_or_else(|| AuthnError::missing(name))
}

/// A NumericDate: seconds since 1970, whole or with a fraction (RFC 7519 §2).
fn date(payload: &Object, name: &'static str) -> Result<Option<SystemTime>, AuthnError> {
    let Some(value) = payload.get(name) else {
        return Ok(None);
    };
    since_epoch(value)
        .filter(|since| since.as_secs() <= MAX_DATE)
        .and_then(|since| UNIX_EPOCH.checked_add(since))
        .map(Some)
        .ok_or_else(|| AuthnError::claim(name, "a number of seconds since 1970"))
}

fn since_epoch(value: &Json) -> Option<Duration> {
    match value {
        Json::Number(Number::Unsigned(seconds)) => Some(Duration::from_secs(*seconds)),
        Json::Number(Number::Fraction(seconds)) if seconds.is_sign_positive() => {
            Duration::try_from_secs_f64(*seconds).ok()
        }
        Json::Array(_)
        | Json::Bool(_)
        | Json::Null
        | Json::Number(_)
        | Json::Object(_)
        | Json::String(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::json;

    const SKEW: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_lifetime_ends_to_the_second_with_the_skew_in_its_favour() {
        let lifetime = Lifetime {
            not_before: at(1000),
            expires: at(2000),
        };
        for (now, result) in [
            (939, Err(TokenDefect::NotYetValid)),
            (940, Ok(())),
            (1500, Ok(())),
            (2059, Ok(())),
            (2060, Err(TokenDefect::Expired)),
        ] {
            assert_eq!(lifetime.check(at(now), SKEW), result, "{now}");
        }
        assert_eq!(
            lifetime.check(at(2000), Duration::ZERO),
            Err(TokenDefect::Expired)
        );
        assert_eq!(lifetime.check(at(1999), Duration::ZERO), Ok(()));
    }

    #[test]
    fn numeric_dates_are_whole_or_fractional_and_bounded() {
        let read = |json: &str| {
            let payload = json::parse(format!("{{\"exp\":{json}}}").as_bytes()).unwrap();
            date(&payload, "exp")
        };
        assert_eq!(read("12"), Ok(Some(at(12))));
        assert_eq!(
            read("12.5"),
            Ok(Some(UNIX_EPOCH + Duration::from_millis(12_500)))
        );
        assert_eq!(read("1.2e1"), Ok(Some(at(12))));
        assert_eq!(read("253402300799"), Ok(Some(at(MAX_DATE))));
        for refused in [
            "253402300800",
            "9223372036854775807",
            "9223372036854775808",
            "18446744073709551615",
            "18446744073709551616",
            "1e300",
            "-1",
            "-0",
            "-0.5",
            "\"12\"",
            "\"never\"",
            "null",
            "true",
            "[12]",
            "{}",
        ] {
            assert!(read(refused).is_err(), "{refused}");
        }
        assert_eq!(date(&Object::default(), "exp"), Ok(None));
    }
}

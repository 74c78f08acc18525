//! What a token says for conditions alone.
//!
//! As with every claim, one of the wrong type or of an absurd size is refused, never treated as
//! absent. Only `kubernetes.io` is left out if it is not a bound service account's: it belongs to
//! another issuer's tokens, and a claim of that name in Entra's means nothing.
//!
//! Sources: <https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference>,
//! OpenID Connect Core 1.0 §2 (`acr`, `amr`, `auth_time`),
//! <https://kubernetes.io/docs/reference/access-authn-authz/service-accounts-admin/>.

use super::{date, text};
use crate::authn::error::AuthnError;
use crate::json::{Json, Object};
use crate::principal::{Evidence, Workload};

/// The most entries of a list. Entra allows an application 1200 app roles, and nobody has them all.
const MAX_ENTRIES: usize = 256;

/// The longest entry, in bytes. An app role's value has at most 120 characters.
const MAX_ENTRY_BYTES: usize = 512;

/// Reads the claims that conditions may ask for.
pub(super) fn read(payload: &Object) -> Result<Evidence, AuthnError> {
    Ok(Evidence {
        roles: list(payload, "roles")?,
        scopes: scopes(payload)?,
        authentication_methods: list(payload, "amr")?,
        authentication_context: short(payload, "acr")?,
        authenticated_at: date(payload, "auth_time")?,
        workload: workload(payload),
    })
}

fn list(payload: &Object, name: &'static str) -> Result<Box<[Box<str>]>, AuthnError> {
    let wrong = || AuthnError::claim(name, "a list of at most 256 short texts");
    let items = match payload.get(name) {
        None => return Ok(Box::default()),
        Some(Json::Array(items)) if items.len() <= MAX_ENTRIES => items,
        Some(_) => return Err(wrong()),
    };
    let entry = |item: &Json| {
        let text = item.as_text()?;
        (text.len() <= MAX_ENTRY_BYTES).then(|| text.into())
    };
    items
        .iter()
        .map(entry)
        .collect::<Option<_>>()
        .ok_or_else(wrong)
}

/// Scopes stand in one text, between single spaces (RFC 8693 §4.2).
fn scopes(payload: &Object) -> Result<Box<[Box<str>]>, AuthnError> {
    let scopes = text(payload, "scp")?.unwrap_or_default();
    let scopes: Box<[Box<str>]> = scopes
        .split(' ')
        .filter(|scope| !scope.is_empty())
        .map(Box::from)
        .collect();
    let longest = scopes.iter().map(|scope| scope.len()).max();
    if scopes.len() <= MAX_ENTRIES && longest.unwrap_or(0) <= MAX_ENTRY_BYTES {
        return Ok(scopes);
    }
    Err(AuthnError::claim("scp", "at most 256 short scopes"))
}

fn short(payload: &Object, name: &'static str) -> Result<Option<Box<str>>, AuthnError> {
    match text(payload, name)? {
        Some(text) if text.len() > MAX_ENTRY_BYTES => Err(AuthnError::claim(name, "a short text")),
        found => Ok(found.map(Box::from)),
    }
}

fn workload(payload: &Object) -> Option<Workload> {
    let bound = object(payload, "kubernetes.io")?;
    let part = |name: &str| {
        let name = object(bound, name)?.get("name")?.as_text()?;
        fit(name)
    };
    let workload = Workload {
        namespace: bound.get("namespace").and_then(Json::as_text).and_then(fit),
        service_account: part("serviceaccount"),
        pod: part("pod"),
        node: part("node"),
    };
    (workload != Workload::default()).then_some(workload)
}

/// Kubernetes: names have at most 253 characters.
fn fit(name: &str) -> Option<Box<str>> {
    (1..=253).contains(&name.len()).then(|| name.into())
}

fn object<'a>(holder: &'a Object, name: &str) -> Option<&'a Object> {
    if let Json::Object(object) = holder.get(name)? {
        Some(object)
    } else {
        None
    }
}

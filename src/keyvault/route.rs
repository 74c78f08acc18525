//! From a request line to an [`Operation`], or to the reason why there is none.
//!
//! Nothing is repaired: a path with an escape, a dot segment or a stray slash is refused, except
//! for the two forms that real clients send, an empty version and a doubled first slash.

use std::collections::HashMap;
use std::sync::LazyLock;

use thiserror::Error;

use super::name::{NameError, ObjectName};
use super::operation::{Method, Operation, OperationKind, VersionSegment};
use super::query::{Query, QueryError};

/// Certificate names that the service reads as something else.
const RESERVED_CERTIFICATES: [&str; 2] = ["contacts", "issuers"];

/// Why a request line is not an operation. The texts are answers to the client.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum RouteError {
    /// A path no client of Key Vault sends: an escape, a dot segment, a stray slash.
    #[error("the request path is malformed: {0}")]
    BadPath(&'static str),
    /// A name outside Key Vault's grammar; the text is Key Vault's own.
    #[error("The request URI contains an invalid name: {name}")]
    BadName {
        /// The name, which has no control characters and at most 127 bytes.
        name: Box<str>,
        /// The grammar it breaks.
        expected: NameError,
    },
    /// A query Key Vault does not have.
    #[error("{0}")]
    BadQuery(#[from] QueryError),
    /// An operation that exists but is not for vaults.
    #[error("{0}")]
    NotForVaults(&'static str),
    /// A method and path that match no operation.
    #[error("no operation of Key Vault has method {method} and this path")]
    UnknownOperation {
        /// The method, or a stand-in for one that Key Vault does not use.
        method: &'static str,
    },
}

/// Operations that exist elsewhere (Managed HSM, withdrawn previews) and are refused by name, so
/// that the caller learns more than "unknown".
const NOT_FOR_VAULTS: &[(&str, &str)] = &[
    (
        "/keys/{name}/{version}/export",
        "the export operation was withdrawn after the 7.3 preview",
    ),
    (
        "/keys/{name}/{version}/securewrapkey",
        "securewrapkey is an operation of Managed HSM, not of a vault",
    ),
    (
        "/keys/{name}/{version}/secureunwrapkey",
        "secureunwrapkey is an operation of Managed HSM, not of a vault",
    ),
    (
        "/keys/{name}/{version}/attestation",
        "attestation is an operation of Managed HSM, not of a vault",
    ),
    (
        "/keys/{name}/restore",
        "restoring a single key by name is an operation of Managed HSM, not of a vault",
    ),
    ("/rng", "rng is an operation of Managed HSM, not of a vault"),
    (
        "/backup",
        "full backup is an operation of Managed HSM, not of a vault",
    ),
    (
        "/backup/{name}/pending",
        "full backup is an operation of Managed HSM, not of a vault",
    ),
    (
        "/prebackup",
        "full backup is an operation of Managed HSM, not of a vault",
    ),
    (
        "/prerestore",
        "full restore is an operation of Managed HSM, not of a vault",
    ),
    (
        "/restore",
        "full restore is an operation of Managed HSM, not of a vault",
    ),
    (
        "/restore/{name}/pending",
        "full restore is an operation of Managed HSM, not of a vault",
    ),
    (
        "/settings",
        "settings are an operation of Managed HSM, not of a vault",
    ),
    (
        "/settings/{name}",
        "settings are an operation of Managed HSM, not of a vault",
    ),
    (
        "/securitydomain/{name}",
        "the security domain belongs to Managed HSM, not to a vault",
    ),
    (
        "/securitydomain/{name}/pending",
        "the security domain belongs to Managed HSM, not to a vault",
    ),
];

/// A template, split into segments.
type Template = Vec<&'static str>;

/// The rows of the table that share a method and a collection.
type Routes = HashMap<(Method, &'static str), Vec<(OperationKind, Template)>>;

/// The table by method and collection, so that a request is compared with a handful of rows.
static ROUTES: LazyLock<Routes> = LazyLock::new(|| {
    let mut routes = Routes::new();
    for &kind in OperationKind::ALL {
        let row = kind.row();
        let template = split_template(row.template);
        let collection = template.first().copied().unwrap_or("");
        routes
            .entry((row.method, collection))
            .or_default()
            .push((kind, template));
    }
    routes
});

static REFUSED: LazyLock<Vec<(Template, &'static str)>> = LazyLock::new(|| {
    NOT_FOR_VAULTS
        .iter()
        .map(|(template, why)| (split_template(template), *why))
        .collect()
});

fn split_template(template: &'static str) -> Template {
    template.split('/').skip(1).collect()
}

/// What the parameters of a template stood for.
#[derive(Default)]
struct Captures<'path> {
    name: Option<&'path str>,
    sas: Option<&'path str>,
    version: Option<VersionSegment>,
}

/// Reads a request line.
///
/// `path` is the raw path, `query` the raw part after `?`; `extra` names query parameters that the
/// configuration lets pass.
///
/// # Errors
/// [`RouteError`], every one of which means that nothing may be forwarded.
pub fn parse(
    method: &http::Method,
    path: &str,
    query: Option<&str>,
    extra: &[Box<str>],
) -> Result<Operation, RouteError> {
    let segments = split_path(path)?;
    let (kind, captures) = find(method, &segments)?;
    let name = captures
        .name
        .map(|name| object_name(kind, name))
        .transpose()?;
    let sas = captures
        .sas
        .map(|name| object_name(kind, name))
        .transpose()?;
    let version = captures.version.unwrap_or(VersionSegment::Absent);
    let query = Query::parse(query.unwrap_or(""), extra)?;
    Ok(Operation {
        kind,
        name,
        sas,
        version,
        query,
    })
}

fn known_method(method: &http::Method) -> Option<Method> {
    match method.as_str() {
        "DELETE" => Some(Method::DELETE),
        "GET" => Some(Method::GET),
        "PATCH" => Some(Method::PATCH),
        "POST" => Some(Method::POST),
        "PUT" => Some(Method::PUT),
        _ => None,
    }
}

fn split_path(path: &str) -> Result<Vec<&str>, RouteError> {
    let rest = path
        .strip_prefix('/')
        .ok_or(RouteError::BadPath("it does not begin with a slash"))?;
    // Older clients write `//secrets/n`.
    let rest = rest.strip_prefix('/').unwrap_or(rest);
    if rest
        .bytes()
        .any(|b| !b.is_ascii_graphic() || b"%\\;#?".contains(&b))
    {
        return Err(RouteError::BadPath(
            "no operation needs an escape or any of `\\`, `;` and `#`",
        ));
    }
    let segments: Vec<&str> = rest.split('/').collect();
    if segments
        .iter()
        .any(|segment| matches!(*segment, "." | ".."))
    {
        return Err(RouteError::BadPath("it has a dot segment"));
    }
    // An empty segment may stand for a version, which is never first or second.
    if segments.iter().take(2).any(|segment| segment.is_empty())
        || segments.iter().filter(|segment| segment.is_empty()).count() > 1
    {
        return Err(RouteError::BadPath(
            "it has an empty segment where none may be",
        ));
    }
    Ok(segments)
}

fn find<'path>(
    method: &http::Method,
    segments: &[&'path str],
) -> Result<(OperationKind, Captures<'path>), RouteError> {
    let known = known_method(method);
    let collection = segments
        .first()
        .map_or_else(String::new, |first| first.to_ascii_lowercase());
    let rows = known.and_then(|method| ROUTES.get(&(method, collection.as_str())));
    // Literals before captures: `/certificates/contacts` is not a certificate. Rows that capture
    // a reserved name never match, so the order of the table does not matter.
    let found = rows.into_iter().flatten().find_map(|(kind, template)| {
        let captures = match_template(template, segments)?;
        (!is_reserved(*kind, &captures)).then_some((*kind, captures))
    });
    if let Some(found) = found {
        return Ok(found);
    }
    for (template, why) in REFUSED.iter() {
        if match_template(template, segments).is_some() {
            return Err(RouteError::NotForVaults(why));
        }
    }
    // Every empty segment that is not a version was left unmatched.
    if segments.iter().any(|segment| segment.is_empty()) {
        return Err(RouteError::BadPath(
            "it has an empty segment where none may be",
        ));
    }
    Err(RouteError::UnknownOperation {
        method: known.map_or("OTHER", Method::as_str),
    })
}

fn is_reserved(kind: OperationKind, captures: &Captures<'_>) -> bool {
    let template = kind.row().template;
    let certificate = template.starts_with("/certificates/{name}")
        || template.starts_with("/deletedcertificates/{name}");
    certificate
        && captures.name.is_some_and(|name| {
            RESERVED_CERTIFICATES
                .iter()
                .any(|reserved| reserved.eq_ignore_ascii_case(name))
        })
}

/// Compares segments with a template. A `{version}` may be absent, empty or 32 hexadecimal digits.
fn match_template<'path>(template: &[&str], segments: &[&'path str]) -> Option<Captures<'path>> {
    let mut captures = Captures::default();
    let absent = segments.len() + 1 == template.len();
    let mut rest = segments.iter();
    for &expected in template {
        if expected == "{version}" && absent {
            captures.version = Some(VersionSegment::Absent);
            continue;
        }
        let &segment = rest.next()?;
        match expected {
            "{version}" if segment.is_empty() => captures.version = Some(VersionSegment::Empty),
            "{version}" => captures.version = Some(VersionSegment::Given(segment.parse().ok()?)),
            _ if segment.is_empty() => return None,
            "{name}" => captures.name = Some(segment),
            "{sas}" => captures.sas = Some(segment),
            literal if literal.eq_ignore_ascii_case(segment) => {}
            _ => return None,
        }
    }
    rest.next().is_none().then_some(captures)
}

fn object_name(kind: OperationKind, text: &str) -> Result<ObjectName, RouteError> {
    let bad = |expected| {
        let name = text.chars().take(127).collect::<String>().into();
        RouteError::BadName { name, expected }
    };
    let name: ObjectName = text.parse().map_err(bad)?;
    // Storage accounts and SAS definitions have a narrower grammar than objects.
    let template = kind.row().template;
    let storage = template.starts_with("/storage/") || template.starts_with("/deletedstorage/");
    if storage && text.contains('-') {
        return Err(bad(NameError::Storage));
    }
    Ok(name)
}

#[cfg(test)]
mod tests;

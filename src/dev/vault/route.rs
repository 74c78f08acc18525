//! The vault's own reading of a request: the last word on what an operation is.
//!
//! It knows nothing of [`crate::keyvault::route`], so that the two readings can be held against
//! each other. It is as generous as the service may be: leading slashes, empty version segments,
//! any case in collections and verbs, and the method override headers.

use http::{HeaderMap, Method};

use super::failure::Failure;

/// Azure: the header is called by two names on the same page of the documentation; two more are
/// used elsewhere.
/// <https://learn.microsoft.com/azure/key-vault/general/authentication-requests-and-responses>
const METHOD_OVERRIDES: [&str; 4] = [
    "x-http-method",
    "x-http-request",
    "x-http-method-override",
    "x-method-override",
];

/// The kinds of object the vault has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Collection {
    Certificates,
    Keys,
    Secrets,
}

impl Collection {
    /// The first segment of its paths.
    pub(super) const fn path(self) -> &'static str {
        match self {
            Self::Certificates => "certificates",
            Self::Keys => "keys",
            Self::Secrets => "secrets",
        }
    }

    /// What messages call one of its objects.
    pub(super) const fn noun(self) -> &'static str {
        match self {
            Self::Certificates => "Certificate",
            Self::Keys => "Key",
            Self::Secrets => "Secret",
        }
    }

    /// The code of the error that there is no such object.
    pub(super) const fn not_found_code(self) -> &'static str {
        match self {
            Self::Certificates => "CertificateNotFound",
            Self::Keys => "KeyNotFound",
            Self::Secrets => "SecretNotFound",
        }
    }

    /// The first segment of the paths of deleted objects.
    pub(super) const fn deleted_path(self) -> &'static str {
        match self {
            Self::Certificates => "deletedcertificates",
            Self::Keys => "deletedkeys",
            Self::Secrets => "deletedsecrets",
        }
    }
}

/// What a path names inside a collection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Target {
    /// Every live object.
    All,
    /// Every deleted object.
    AllDeleted,
    /// Where backups are restored.
    Restore,
    /// One object, in one version or the latest.
    Object {
        name: String,
        version: Option<String>,
    },
    /// What `verb` does to an object, in one version or the latest.
    Verb {
        name: String,
        version: Option<String>,
        verb: String,
    },
    /// One deleted object.
    Deleted { name: String },
    /// What `verb` does to a deleted object.
    DeletedVerb { name: String, verb: String },
    /// Whom the vault tells of certificates.
    Contacts,
    /// Every issuer of certificates.
    Issuers,
    /// One issuer of certificates.
    Issuer { name: String },
}

/// The method that a request asks for.
pub(super) fn method(method: &Method, headers: &HeaderMap) -> Result<Method, Failure> {
    if *method != Method::POST {
        return Ok(method.clone());
    }
    let wanted = METHOD_OVERRIDES
        .iter()
        .find_map(|name| headers.get(*name))
        .map(|value| value.as_bytes().to_ascii_uppercase());
    match wanted {
        None => Ok(Method::POST),
        Some(wanted) => Method::from_bytes(&wanted)
            .map_err(|_| Failure::bad_parameter("The method override is not a method.")),
    }
}

/// What `path` names for `method`.
pub(super) fn parse(method: &Method, path: &str) -> Result<(Collection, Target), Failure> {
    let segments: Vec<&str> = path.trim_start_matches('/').split('/').collect();
    let Some((first, rest)) = segments.split_first() else {
        return Err(invalid_name(path));
    };
    let first = first.to_ascii_lowercase();
    match first.as_str() {
        "certificates" => Ok((Collection::Certificates, certificates(method, rest)?)),
        "keys" => Ok((Collection::Keys, live(method, rest)?)),
        "secrets" => Ok((Collection::Secrets, live(method, rest)?)),
        "deletedcertificates" => Ok((Collection::Certificates, deleted(rest)?)),
        "deletedkeys" => Ok((Collection::Keys, deleted(rest)?)),
        "deletedsecrets" => Ok((Collection::Secrets, deleted(rest)?)),
        // Managed HSMs alone give random numbers.
        "rng" => Err(unknown_verb(method.as_str(), "rng")),
        "storage" | "deletedstorage" => Err(Failure::not_built("managed storage accounts")),
        _ => Err(Failure::not_built("this path")),
    }
}

/// What else than objects certificates have. Azure: no certificate is called so.
fn certificates(method: &Method, segments: &[&str]) -> Result<Target, Failure> {
    let folded: Vec<String> = segments.iter().map(|it| it.to_ascii_lowercase()).collect();
    let folded: Vec<&str> = folded.iter().map(String::as_str).collect();
    Ok(match (folded.as_slice(), segments) {
        (["contacts"] | ["contacts", ""], _) => Target::Contacts,
        (["issuers"] | ["issuers", ""], _) => Target::Issuers,
        (["issuers", _] | ["issuers", _, ""], [_, name, ..]) => Target::Issuer {
            name: checked_name(name)?,
        },
        (["contacts" | "issuers", ..], _) => return Err(invalid_name(&segments.join("/"))),
        ([_, "pending", "merge"], [name, ..]) => Target::Verb {
            name: checked_name(name)?,
            version: None,
            verb: "pending/merge".to_owned(),
        },
        _ => live(method, segments)?,
    })
}

fn live(method: &Method, segments: &[&str]) -> Result<Target, Failure> {
    Ok(match segments {
        [] => Target::All,
        // For every other method this is an object of that name.
        [name] if *method == Method::POST && name.eq_ignore_ascii_case("restore") => {
            Target::Restore
        }
        [name] | [name, ""] => Target::Object {
            name: checked_name(name)?,
            version: None,
        },
        [name, third] => {
            let name = checked_name(name)?;
            match version(third) {
                Some(version) => Target::Object {
                    name,
                    version: Some(version),
                },
                None => Target::Verb {
                    name,
                    version: None,
                    verb: third.to_ascii_lowercase(),
                },
            }
        }
        [name, third, verb] => Target::Verb {
            name: checked_name(name)?,
            version: match *third {
                "" => None,
                third => Some(version(third).ok_or_else(|| invalid_name(third))?),
            },
            verb: verb.to_ascii_lowercase(),
        },
        _ => return Err(invalid_name(&segments.join("/"))),
    })
}

fn deleted(segments: &[&str]) -> Result<Target, Failure> {
    Ok(match segments {
        [] => Target::AllDeleted,
        [name] | [name, ""] => Target::Deleted {
            name: checked_name(name)?,
        },
        [name, verb] => Target::DeletedVerb {
            name: checked_name(name)?,
            verb: verb.to_ascii_lowercase(),
        },
        _ => return Err(invalid_name(&segments.join("/"))),
    })
}

fn version(text: &str) -> Option<String> {
    let hexadecimal = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
    hexadecimal.then(|| text.to_ascii_lowercase())
}

fn checked_name(text: &str) -> Result<String, Failure> {
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    if (1..=127).contains(&text.len()) && text.bytes().all(legal) {
        Ok(text.to_owned())
    } else {
        Err(invalid_name(text))
    }
}

/// A segment that is neither a version nor a word the vault knows.
pub(super) fn unknown_verb(method: &str, verb: &str) -> Failure {
    Failure::bad_parameter(format!("Method {method} does not allow operation '{verb}'"))
}

fn invalid_name(text: &str) -> Failure {
    Failure::bad_parameter(format!("The request URI contains an invalid name: {text}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const VERSION: &str = "1d89273b3c364e018f939c2f0d151622";

    fn object(name: &str, version: Option<&str>) -> Target {
        Target::Object {
            name: name.to_owned(),
            version: version.map(str::to_owned),
        }
    }

    fn verb(name: &str, version: Option<&str>, verb: &str) -> Target {
        Target::Verb {
            name: name.to_owned(),
            version: version.map(str::to_owned),
            verb: verb.to_owned(),
        }
    }

    #[test]
    fn paths_are_read_as_the_service_reads_them() {
        use Collection::{Keys, Secrets};
        for (path, collection, target) in [
            ("/secrets", Secrets, Target::All),
            ("//Secrets/A", Secrets, object("A", None)),
            ("/secrets/a/", Secrets, object("a", None)),
            (
                &format!("/secrets/a/{}", VERSION.to_uppercase()),
                Secrets,
                object("a", Some(VERSION)),
            ),
            ("/secrets/restore", Secrets, object("restore", None)),
            ("/secrets/a/versions", Secrets, verb("a", None, "versions")),
            ("/keys/a//sign", Keys, verb("a", None, "sign")),
            ("/keys/a/sign", Keys, verb("a", None, "sign")),
            (
                &format!("/keys/a/{VERSION}/unwrapKey"),
                Keys,
                verb("a", Some(VERSION), "unwrapkey"),
            ),
            ("/deletedkeys", Keys, Target::AllDeleted),
            (
                "/deletedsecrets/a",
                Secrets,
                Target::Deleted { name: "a".into() },
            ),
            (
                "/deletedsecrets/a/recover",
                Secrets,
                Target::DeletedVerb {
                    name: "a".into(),
                    verb: "recover".into(),
                },
            ),
        ] {
            assert_eq!(
                parse(&Method::GET, path),
                Ok((collection, target)),
                "{path}"
            );
        }
        assert_eq!(
            parse(&Method::POST, "/secrets/restore"),
            Ok((Secrets, Target::Restore))
        );
    }

    #[test]
    fn what_is_no_name_is_a_bad_parameter() {
        for path in [
            "/secrets/",
            "/secrets/a_b",
            "/secrets/a%2Fb",
            "/secrets/../keys",
            "/keys/a/b/sign",
            "/keys/a/b/c/d",
            "/secrets//a",
        ] {
            let failure = parse(&Method::GET, path).unwrap_err();
            assert_eq!(failure.status, http::StatusCode::BAD_REQUEST, "{path}");
        }
    }

    #[test]
    fn a_method_override_is_obeyed_on_post_alone() {
        for name in METHOD_OVERRIDES {
            let mut headers = HeaderMap::new();
            headers.insert(name, "delete".parse().unwrap());
            assert_eq!(method(&Method::POST, &headers), Ok(Method::DELETE));
            assert_eq!(method(&Method::GET, &headers), Ok(Method::GET));
        }
    }
}

//! Names and versions of objects, vaults and API versions: parsed once, valid ever after.
//!
//! Sources: <https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates>
//! (names and versions), <https://learn.microsoft.com/azure/azure-resource-manager/management/resource-name-rules>
//! (vault names).

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A text that is not a valid name.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum NameError {
    /// Not an object name.
    #[error("expected 1 to 127 characters of `0-9`, `a-z`, `A-Z` and `-`")]
    Object,
    /// Not the name of a storage account or SAS definition.
    #[error("expected 1 to 127 characters of `0-9`, `a-z` and `A-Z`")]
    Storage,
    /// Not a vault name.
    #[error(
        "expected 3 to 24 letters, digits and single `-`, beginning with a letter and not ending with `-`"
    )]
    Vault,
    /// Not a version.
    #[error("expected 32 hexadecimal digits")]
    Version,
    /// Not an API version.
    #[error(
        "expected an api-version such as `7.4`, `7.6-preview.2`, `2026-04-01` or `2026-07-01-preview`"
    )]
    ApiVersion,
    /// Not a host with an optional port.
    #[error(
        "expected a host name or IP address with an optional port, such as `kv.vault.azure.net` or `localhost:8443`"
    )]
    Authority,
}

/// The name of a key, secret, certificate, issuer, storage account or SAS definition.
///
/// Azure compares names without case but keeps the case they were created with, so both forms are
/// kept: the caller's, which is sent on, and the folded one, on which is decided.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct ObjectName {
    text: Box<str>,
    folded: Box<str>,
}

impl ObjectName {
    /// The name as the caller wrote it.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The name in lower case.
    pub fn folded(&self) -> &str {
        &self.folded
    }
}

impl FromStr for ObjectName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        if text.is_empty() || text.len() > 127 || !text.bytes().all(legal) {
            return Err(NameError::Object);
        }
        Ok(Self {
            text: text.into(),
            folded: text.to_ascii_lowercase().into(),
        })
    }
}

impl fmt::Debug for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.text, f)
    }
}

/// The version of an object: 32 hexadecimal digits, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectVersion(Box<str>);

impl ObjectVersion {
    /// The version that no object has: Key Vault makes versions of random numbers.
    pub fn of_nothing() -> Self {
        Self("00000000000000000000000000000000".into())
    }

    /// The version in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ObjectVersion {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.len() != 32 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(NameError::Version);
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }
}

/// The name of a vault, as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct VaultName(Box<str>);

impl VaultName {
    /// The name as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for VaultName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
        let first_is_letter = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic());
        if !(3..=24).contains(&text.len())
            || !text.bytes().all(legal)
            || !first_is_letter
            || text.ends_with('-')
            || text.contains("--")
        {
            return Err(NameError::Vault);
        }
        Ok(Self(text.into()))
    }
}

/// The `api-version` of a request, checked for its form only: clients in use span 2016-10-01 to
/// 2026-04-01, and a new one must not need a new release of the proxy.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ApiVersion(Box<str>);

impl ApiVersion {
    /// The newest version that is no preview, as of this writing.
    pub fn latest() -> Self {
        Self("2026-04-01".into())
    }

    /// The version as it was written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for ApiVersion {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = |part: &str, lengths: std::ops::RangeInclusive<usize>| {
            lengths.contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit())
        };
        let (number, preview) = match text.split_once("-preview") {
            Some((number, preview)) => (number, Some(preview)),
            None => (text, None),
        };
        let dated = match number.split('-').collect::<Vec<_>>().as_slice() {
            [year, month, day] => digits(year, 4..=4) && digits(month, 2..=2) && digits(day, 2..=2),
            _ => false,
        };
        let numbered = number
            .split_once('.')
            .is_some_and(|(major, minor)| digits(major, 1..=2) && digits(minor, 1..=2));
        let preview = match preview {
            None | Some("") => true,
            // Only numbered versions have numbered previews.
            Some(suffix) => numbered && suffix.strip_prefix('.').is_some_and(|n| digits(n, 1..=2)),
        };
        if (dated || numbered) && preview {
            Ok(Self(text.into()))
        } else {
            Err(NameError::ApiVersion)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn object_names_follow_key_vaults_grammar() {
        let longest = "a".repeat(127);
        for name in ["a", "0", "-", "App-DB-1", &longest] {
            assert_eq!(name.parse::<ObjectName>().unwrap().as_str(), name);
        }
        let too_long = "a".repeat(128);
        for name in [
            "", "a_b", "a.b", "a b", "ä", "a/b", "a%2f", "a\0", &too_long,
        ] {
            assert_eq!(name.parse::<ObjectName>(), Err(NameError::Object), "{name}");
        }
        assert_eq!("App-DB".parse::<ObjectName>().unwrap().folded(), "app-db");
    }

    #[test]
    fn versions_are_32_hexadecimal_digits() {
        let version: ObjectVersion = "1D89273b3c364e018f939c2f0d151622".parse().unwrap();
        assert_eq!(version.as_str(), "1d89273b3c364e018f939c2f0d151622");
        for text in [
            "",
            "latest",
            "1d89273b3c364e018f939c2f0d15162",
            "1d89273b3c364e018f939c2f0d15162g",
        ] {
            assert!(text.parse::<ObjectVersion>().is_err(), "{text}");
        }
    }

    #[test]
    fn vault_names_follow_azures_rules() {
        for name in [
            "abc",
            "kv-payments-prod",
            "A1-b2",
            "abcdefghijklmnopqrstuvwx",
        ] {
            assert!(name.parse::<VaultName>().is_ok(), "{name}");
        }
        for name in [
            "",
            "ab",
            "1abc",
            "a--b",
            "abc-",
            "a_c",
            "abcdefghijklmnopqrstuvwxy",
        ] {
            assert!(name.parse::<VaultName>().is_err(), "{name}");
        }
    }

    #[test]
    fn api_versions_are_checked_for_their_form() {
        for text in [
            "2015-06-01",
            "2016-10-01",
            "7.0",
            "7.0-preview",
            "7.4",
            "7.6-preview.2",
            "2025-07-01",
            "2026-04-01",
            "2026-07-01-preview",
            "10.12",
        ] {
            assert!(text.parse::<ApiVersion>().is_ok(), "{text}");
        }
        for text in [
            "",
            "7",
            "7.",
            ".4",
            "7.4.1",
            "7.4-",
            "7.4-preview.",
            "7.4-beta",
            "2026-4-1",
            "2026-04",
            "2026-04-01-preview.1",
            "7.4 ",
            "7.4&x=1",
            "v7.4",
            "7.6-preview-preview",
        ] {
            assert!(text.parse::<ApiVersion>().is_err(), "{text}");
        }
    }
}

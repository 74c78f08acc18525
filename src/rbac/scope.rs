//! Scopes: where in Azure's resource tree an assignment applies.
//!
//! Source: <https://learn.microsoft.com/azure/role-based-access-control/scope-overview>.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use thiserror::Error;

use crate::keyvault::{ObjectName, ObjectType, VaultName};

/// A text that is not a scope.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum ScopeError {
    /// It does not begin with `/`.
    #[error("expected a scope beginning with `/`")]
    NotAbsolute,
    /// It has an empty segment, white space or a control character.
    #[error("expected segments without white space between single slashes")]
    BadSegment,
    /// It is a scope, but not the resource id of a vault.
    #[error(
        "expected `/subscriptions/{{id}}/resourceGroups/{{name}}/providers/Microsoft.KeyVault/vaults/{{name}}`"
    )]
    NotAVault,
}

/// A place in Azure's resource tree, in lower case and without a trailing slash.
///
/// Azure compares resource ids without case, and on whole segments: `…/vaults/kv1` does not
/// contain `…/vaults/kv10`. Clones share the text: a tenant names the same places over and over.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Scope(Arc<str>);

/// The name of a management group, in lower case.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ManagementGroup(Box<str>);

const MANAGEMENT_GROUP_PREFIX: &str = "/providers/microsoft.management/managementgroups/";

impl Scope {
    /// The scope in lower case; `/` for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the root of the tenant, above every subscription.
    fn is_root(&self) -> bool {
        &*self.0 == "/"
    }

    /// The management group this scope is, if it is one.
    pub fn management_group(&self) -> Option<ManagementGroup> {
        self.management_group_name()
            .map(|name| ManagementGroup(name.into()))
    }

    fn management_group_name(&self) -> Option<&str> {
        let name = self.0.strip_prefix(MANAGEMENT_GROUP_PREFIX)?;
        (!name.contains('/')).then_some(name)
    }

    /// Whether this is one of `groups`; `None` if this is no management group.
    pub(super) fn is_among(&self, groups: &[ManagementGroup]) -> Option<bool> {
        let name = self.management_group_name()?;
        Some(groups.iter().any(|group| *group.0 == *name))
    }

    /// What lies below `self` on the way to `other`: empty for the same scope, `None` if `other`
    /// is elsewhere. Segments are whole: the result never begins inside one.
    ///
    /// Everything below the root's subscriptions is below the root; that a management group is
    /// above a subscription cannot be seen from the texts.
    pub fn below<'other>(&self, other: &'other Self) -> Option<&'other str> {
        if self.is_root() {
            return Some(other.0.strip_prefix('/').unwrap_or(""));
        }
        let rest = other.0.strip_prefix(&*self.0)?;
        match rest.strip_prefix('/') {
            Some(path) => Some(path),
            None => rest.is_empty().then_some(""),
        }
    }

    /// Whether `other` is this scope or lies below it.
    pub fn contains(&self, other: &Self) -> bool {
        self.below(other).is_some()
    }

    /// Checks that this is the resource id of a vault, and reads the vault's name.
    ///
    /// # Errors
    /// [`ScopeError::NotAVault`] for every other scope.
    pub fn vault_name(&self) -> Result<VaultName, ScopeError> {
        let segments: Vec<&str> = self.0.split('/').collect();
        match segments.as_slice() {
            [
                "",
                "subscriptions",
                _,
                "resourcegroups",
                _,
                "providers",
                "microsoft.keyvault",
                "vaults",
                name,
            ] => name.parse().map_err(|_| ScopeError::NotAVault),
            _ => Err(ScopeError::NotAVault),
        }
    }

    /// The scope of an object in the vault that this scope is.
    #[must_use]
    pub fn object(&self, object_type: ObjectType, name: &ObjectName) -> Self {
        let path = [&*self.0, "/", object_type.collection(), "/", name.folded()];
        Self(path.concat().into())
    }
}

impl FromStr for Scope {
    type Err = ScopeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = text.strip_prefix('/').ok_or(ScopeError::NotAbsolute)?;
        // Exports write `/subscriptions/…/` now and then; the root is a lone slash.
        let path = path.strip_suffix('/').unwrap_or(path);
        if path.is_empty() {
            return if text == "/" {
                Ok(Self("/".into()))
            } else {
                Err(ScopeError::BadSegment)
            };
        }
        let broken = |segment: &str| {
            if segment.bytes().all(|byte| byte.is_ascii_graphic()) {
                return segment.is_empty();
            }
            segment.chars().any(|c| c.is_control()) || segment.trim() != segment
        };
        if path.split('/').any(broken) {
            return Err(ScopeError::BadSegment);
        }
        let mut folded = String::with_capacity(path.len() + 1);
        folded.push('/');
        if path.is_ascii() {
            // Nearly all are.
            folded.push_str(path);
            folded.make_ascii_lowercase();
        } else {
            folded.extend(path.chars().map(fold));
        }
        Ok(Self(folded.into()))
    }
}

/// A character in lower case, where case is beyond doubt.
///
/// Azure: names of resource groups may hold letters of any script, and Azure compares them without
/// case like all others.
///
/// SECURITY: letters that fold onto ASCII or onto a letter that does not fold back (the Kelvin
/// sign onto `k`) stay as they are: two resource groups must not become one.
fn fold(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    only(c.to_lowercase())
        .filter(|lower| !lower.is_ascii() && only(lower.to_uppercase()) == Some(c))
        .unwrap_or(c)
}

fn only(mut chars: impl Iterator<Item = char>) -> Option<char> {
    let first = chars.next();
    first.filter(|_| chars.next().is_none())
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

impl FromStr for ManagementGroup {
    type Err = ScopeError;

    /// Reads a bare name, as `parentNameChain` of ARM's `getEntities` gives it.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let legal = |c: char| c.is_ascii_alphanumeric() || "-_().".contains(c);
        if text.is_empty() || text.len() > 90 || !text.chars().all(legal) {
            return Err(ScopeError::BadSegment);
        }
        Ok(Self(text.to_ascii_lowercase().into()))
    }
}

impl fmt::Display for ManagementGroup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const VAULT: &str = "/subscriptions/6f3a1b52-8c2e-4d7a-9b61-0d5e7c4a1f10/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv1";

    fn scope(text: &str) -> Scope {
        text.parse().unwrap()
    }

    #[test]
    fn a_scope_contains_itself_and_what_is_below_in_any_case() {
        let vault = scope(VAULT);
        assert!(vault.contains(&scope(&VAULT.to_uppercase())));
        assert!(vault.contains(&scope(&format!("{VAULT}/secrets/a"))));
        assert!(scope("/").contains(&vault));
        assert!(scope("/subscriptions/6F3A1B52-8c2e-4d7a-9b61-0d5e7c4a1f10/").contains(&vault));
    }

    #[test]
    fn letters_of_every_script_are_compared_without_case_and_none_is_confused() {
        let group = |name: &str| scope(&format!("/subscriptions/s/resourceGroups/{name}"));
        assert_eq!(group("Rg-ÄPFEL-ΛΣ-Ж"), group("rG-äpfel-λσ-ж"));
        for (one, other) in [
            ("K", "\u{212a}"),
            ("i", "İ"),
            ("i", "ı"),
            ("s", "ſ"),
            ("ß", "ẞ"),
        ] {
            assert_ne!(group(one), group(other), "{one} {other}");
        }
    }

    #[test]
    fn segments_are_whole() {
        assert!(!scope(VAULT).contains(&scope(&format!("{VAULT}0"))));
        assert!(
            !scope(&format!("{VAULT}/secrets/app"))
                .contains(&scope(&format!("{VAULT}/secrets/app2")))
        );
        assert!(!scope(&format!("{VAULT}/secrets/app")).contains(&scope(VAULT)));
    }

    #[test]
    fn a_management_group_is_known_by_its_name_alone() {
        let group = scope("/providers/Microsoft.Management/managementGroups/Contoso-LZ");
        assert_eq!(
            group.management_group(),
            Some("contoso-lz".parse().unwrap())
        );
        assert_eq!(scope(VAULT).management_group(), None);
        assert_eq!(
            scope("/providers/Microsoft.Management/managementGroups/a/b").management_group(),
            None
        );
        assert_eq!(
            scope("/providers/Microsoft.Management/serviceGroups/a").management_group(),
            None
        );
    }

    #[test]
    fn texts_that_are_no_scope_are_refused() {
        for text in [
            "",
            "subscriptions/x",
            "//",
            "/a//b",
            "/a/b//",
            "/a /b",
            "/a/\u{0}b",
        ] {
            assert!(text.parse::<Scope>().is_err(), "{text}");
        }
    }

    #[test]
    fn only_a_vault_has_a_vault_name() {
        assert_eq!(scope(VAULT).vault_name().unwrap().as_str(), "kv1");
        assert!(scope("/").vault_name().is_err());
        assert!(scope(&format!("{VAULT}/secrets/a")).vault_name().is_err());
    }
}

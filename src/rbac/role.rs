//! Role definitions: which data actions a role holds.
//!
//! Source: <https://learn.microsoft.com/azure/role-based-access-control/role-definitions>.

use std::sync::Arc;

use crate::keyvault::{DataAction, DataActionSet};
use crate::principal::guid_type;

use super::assignment::ConditionText;

guid_type! {
    /// The id of a role definition. The prefixes of `roleDefinitionId` differ between listings of
    /// the same role, so only this last GUID identifies it.
    RoleDefinitionId
}

/// A role: named permissions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RoleDefinition {
    /// Its id.
    pub id: RoleDefinitionId,
    /// Its display name, such as `Key Vault Secrets User`.
    pub name: Arc<str>,
    /// Its permissions; each entry stands for itself.
    pub permissions: Vec<Permission>,
}

/// One entry of `permissions[]`, or the permissions of a deny assignment.
///
/// `NotDataActions` subtract from the `DataActions` of the same entry only; they deny nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Permission {
    /// Patterns of granted data actions.
    pub data_actions: Vec<Box<str>>,
    /// Patterns subtracted from them.
    pub not_data_actions: Vec<Box<str>>,
    /// A condition on this entry.
    pub condition: Option<ConditionText>,
}

impl Permission {
    /// The actions this entry names before anything is subtracted.
    pub fn named(&self) -> DataActionSet {
        expand(&self.data_actions)
    }

    /// The actions this entry holds: named and not subtracted.
    pub fn held(&self) -> DataActionSet {
        self.named().minus(expand(&self.not_data_actions))
    }
}

/// Every known action that one of `patterns` matches.
fn expand(patterns: &[Box<str>]) -> DataActionSet {
    DataAction::ALL
        .iter()
        .copied()
        .filter(|action| {
            patterns
                .iter()
                .any(|pattern| matches(pattern, action.as_str()))
        })
        .collect()
}

/// Whether `pattern` matches the whole of `action`.
///
/// Case does not matter and white space around the pattern is ignored: Microsoft's own Key Vault
/// guide shows a custom role with a trailing space. `*` stands for any run of characters, `/`
/// included, and may occur more than once; every other character stands for itself.
///
/// Source: <https://learn.microsoft.com/azure/role-based-access-control/custom-roles#wildcard-permissions>.
pub fn matches(pattern: &str, action: &str) -> bool {
    let pattern = pattern.trim().to_ascii_lowercase();
    let action = action.to_ascii_lowercase();
    let mut pieces = pattern.split('*');
    // `split` always yields a first piece; a pattern without `*` yields no other.
    let first = pieces.next().unwrap_or("");
    let Some(mut rest) = action.strip_prefix(first) else {
        return false;
    };
    let mut pieces = pieces.peekable();
    if pieces.peek().is_none() {
        return rest.is_empty() && !pattern.is_empty();
    }
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        // The leftmost place is as good as any: what follows has the most room.
        let Some((_, after)) = rest.split_once(piece) else {
            return false;
        };
        rest = after;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_as_azure_documents() {
        for (pattern, action, expected) in [
            (
                "Microsoft.KeyVault/vaults/*",
                "Microsoft.KeyVault/vaults/secrets/getSecret/action",
                true,
            ),
            (
                "Microsoft.KeyVault/vaults/*/read",
                "Microsoft.KeyVault/vaults/keys/read",
                true,
            ),
            (
                "Microsoft.KeyVault/vaults/*/read",
                "Microsoft.KeyVault/vaults/storageaccounts/sas/read",
                true,
            ),
            (
                "Microsoft.KeyVault/vaults/*/read",
                "Microsoft.KeyVault/vaults/read",
                false,
            ),
            (
                "microsoft.keyvault/VAULTS/keys/Read ",
                "Microsoft.KeyVault/vaults/keys/read",
                true,
            ),
            (
                "Microsoft.KeyVault/vaults/keys/read",
                "Microsoft.KeyVault/vaults/keys/read/action",
                false,
            ),
            ("*", "Microsoft.KeyVault/vaults/keys/read", true),
            ("*/read", "Microsoft.KeyVault/vaults/keys/read", true),
            (
                "*/keys/*/action",
                "Microsoft.KeyVault/vaults/keys/sign/action",
                true,
            ),
            (
                "*/keys/*/action",
                "Microsoft.KeyVault/vaults/keys/read",
                false,
            ),
            (
                "Microsoft.KeyVault/vaults/keys/sign/*action",
                "Microsoft.KeyVault/vaults/keys/sign/action",
                true,
            ),
            (
                "Microsoft.KeyVault/vaults/keys/sign*sign/action",
                "Microsoft.KeyVault/vaults/keys/sign/action",
                false,
            ),
            (
                "Microsoft.KeyVault/vaults/keys/rea?",
                "Microsoft.KeyVault/vaults/keys/read",
                false,
            ),
            ("", "Microsoft.KeyVault/vaults/keys/read", false),
            ("  ", "Microsoft.KeyVault/vaults/keys/read", false),
        ] {
            assert_eq!(
                matches(pattern, action),
                expected,
                "`{pattern}` on `{action}`"
            );
        }
    }

    #[test]
    fn not_data_actions_subtract_within_the_entry() {
        let entry = Permission {
            data_actions: vec!["Microsoft.KeyVault/vaults/secrets/*".into()],
            not_data_actions: vec!["Microsoft.KeyVault/vaults/secrets/purge/action".into()],
            condition: None,
        };
        assert!(entry.named().contains(DataAction::SecretsPurge));
        assert!(!entry.held().contains(DataAction::SecretsPurge));
        assert!(entry.held().contains(DataAction::SecretsGetSecret));
        assert!(!entry.held().contains(DataAction::KeysRead));
    }
}

//! Role definitions: which data actions a role holds.
//!
//! Source: <https://learn.microsoft.com/azure/role-based-access-control/role-definitions>.

use std::sync::Arc;

use crate::keyvault::{DataAction, DataActionSet, matches_pattern};
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
                .any(|pattern| matches_pattern(pattern, action.as_str()))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

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

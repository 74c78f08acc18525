//! The data actions Azure RBAC knows for Key Vault, as a closed enum, and sets of them as bits.
//!
//! A closed enum makes a role definition a 64-bit set, so "does this role hold this action" is one
//! AND. The count is checked against the width of the set when the table is compiled.
//!
//! Source: <https://learn.microsoft.com/azure/role-based-access-control/permissions/security>
//! (section Microsoft.KeyVault), and for `secrets/rotate/action` the preview page
//! <https://learn.microsoft.com/azure/key-vault/general/rbac-abac>.

use std::fmt;

macro_rules! data_actions {
    ($($name:ident = $text:literal,)+) => {
        /// One data action of Key Vault, such as `Microsoft.KeyVault/vaults/keys/sign/action`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum DataAction {
            $(#[doc = concat!("`", $text, "`")] $name,)+
        }

        impl DataAction {
            /// Every data action, in the order of the enum.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The action as Azure spells it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),+ }
            }
        }
    };
}

data_actions! {
    CertificateCasDelete = "Microsoft.KeyVault/vaults/certificatecas/delete",
    CertificateCasRead = "Microsoft.KeyVault/vaults/certificatecas/read",
    CertificateCasWrite = "Microsoft.KeyVault/vaults/certificatecas/write",
    CertificateContactsWrite = "Microsoft.KeyVault/vaults/certificatecontacts/write",
    CertificatesBackup = "Microsoft.KeyVault/vaults/certificates/backup/action",
    CertificatesCreate = "Microsoft.KeyVault/vaults/certificates/create/action",
    CertificatesDelete = "Microsoft.KeyVault/vaults/certificates/delete",
    CertificatesImport = "Microsoft.KeyVault/vaults/certificates/import/action",
    CertificatesPurge = "Microsoft.KeyVault/vaults/certificates/purge/action",
    CertificatesRead = "Microsoft.KeyVault/vaults/certificates/read",
    CertificatesRecover = "Microsoft.KeyVault/vaults/certificates/recover/action",
    CertificatesRestore = "Microsoft.KeyVault/vaults/certificates/restore/action",
    CertificatesUpdate = "Microsoft.KeyVault/vaults/certificates/update/action",
    KeyRotationPoliciesRead = "Microsoft.KeyVault/vaults/keyrotationpolicies/read",
    KeyRotationPoliciesWrite = "Microsoft.KeyVault/vaults/keyrotationpolicies/write",
    KeysBackup = "Microsoft.KeyVault/vaults/keys/backup/action",
    KeysCreate = "Microsoft.KeyVault/vaults/keys/create/action",
    KeysDecrypt = "Microsoft.KeyVault/vaults/keys/decrypt/action",
    KeysDelete = "Microsoft.KeyVault/vaults/keys/delete",
    KeysEncrypt = "Microsoft.KeyVault/vaults/keys/encrypt/action",
    KeysImport = "Microsoft.KeyVault/vaults/keys/import/action",
    KeysPurge = "Microsoft.KeyVault/vaults/keys/purge/action",
    KeysRead = "Microsoft.KeyVault/vaults/keys/read",
    KeysRecover = "Microsoft.KeyVault/vaults/keys/recover/action",
    KeysRelease = "Microsoft.KeyVault/vaults/keys/release/action",
    KeysRestore = "Microsoft.KeyVault/vaults/keys/restore/action",
    KeysRotate = "Microsoft.KeyVault/vaults/keys/rotate/action",
    KeysSign = "Microsoft.KeyVault/vaults/keys/sign/action",
    KeysUnwrap = "Microsoft.KeyVault/vaults/keys/unwrap/action",
    KeysUpdate = "Microsoft.KeyVault/vaults/keys/update/action",
    KeysVerify = "Microsoft.KeyVault/vaults/keys/verify/action",
    KeysWrap = "Microsoft.KeyVault/vaults/keys/wrap/action",
    SecretsBackup = "Microsoft.KeyVault/vaults/secrets/backup/action",
    SecretsDelete = "Microsoft.KeyVault/vaults/secrets/delete",
    SecretsGetSecret = "Microsoft.KeyVault/vaults/secrets/getSecret/action",
    SecretsPurge = "Microsoft.KeyVault/vaults/secrets/purge/action",
    SecretsReadMetadata = "Microsoft.KeyVault/vaults/secrets/readMetadata/action",
    SecretsRecover = "Microsoft.KeyVault/vaults/secrets/recover/action",
    SecretsRestore = "Microsoft.KeyVault/vaults/secrets/restore/action",
    SecretsRotate = "Microsoft.KeyVault/vaults/secrets/rotate/action",
    SecretsSetSecret = "Microsoft.KeyVault/vaults/secrets/setSecret/action",
    SecretsUpdate = "Microsoft.KeyVault/vaults/secrets/update/action",
    StorageAccountsBackup = "Microsoft.KeyVault/vaults/storageaccounts/backup/action",
    StorageAccountsDelete = "Microsoft.KeyVault/vaults/storageaccounts/delete",
    StorageAccountsPurge = "Microsoft.KeyVault/vaults/storageaccounts/purge/action",
    StorageAccountsRead = "Microsoft.KeyVault/vaults/storageaccounts/read",
    StorageAccountsRecover = "Microsoft.KeyVault/vaults/storageaccounts/recover/action",
    StorageAccountsRegenerateKey = "Microsoft.KeyVault/vaults/storageaccounts/regeneratekey/action",
    StorageAccountsRestore = "Microsoft.KeyVault/vaults/storageaccounts/restore/action",
    StorageAccountsSasDelete = "Microsoft.KeyVault/vaults/storageaccounts/sas/delete",
    StorageAccountsSasRead = "Microsoft.KeyVault/vaults/storageaccounts/sas/read",
    StorageAccountsSasSet = "Microsoft.KeyVault/vaults/storageaccounts/sas/set/action",
    StorageAccountsSet = "Microsoft.KeyVault/vaults/storageaccounts/set/action",
}

const _: () = assert!(
    DataAction::ALL.len() <= 64,
    "a set of data actions is 64 bits wide"
);

impl fmt::Display for DataAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A set of data actions, one bit each.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct DataActionSet(u64);

impl DataActionSet {
    /// The empty set.
    pub const EMPTY: Self = Self(0);

    /// The set that holds just `action`.
    pub const fn of(action: DataAction) -> Self {
        Self(1 << action as u8)
    }

    /// Whether `action` is in the set.
    pub const fn contains(self, action: DataAction) -> bool {
        self.0 & Self::of(action).0 != 0
    }

    /// The actions of either set.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// The actions of this set that are not in `other`.
    #[must_use]
    pub const fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// The actions that are in both sets.
    #[must_use]
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Whether the set has no action.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The actions of the set, in the order of the enum.
    pub fn iter(self) -> impl Iterator<Item = DataAction> {
        let Self(mut left) = self;
        std::iter::from_fn(move || {
            // No bit left is bit 64, which no action has.
            let action = DataAction::ALL.get(left.trailing_zeros() as usize)?;
            left &= left - 1;
            Some(*action)
        })
    }
}

impl FromIterator<DataAction> for DataActionSet {
    fn from_iter<I: IntoIterator<Item = DataAction>>(actions: I) -> Self {
        actions
            .into_iter()
            .fold(Self::EMPTY, |set, action| set.union(Self::of(action)))
    }
}

impl fmt::Debug for DataActionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set()
            .entries(self.iter().map(DataAction::as_str))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_holds_what_was_put_in_and_nothing_else() {
        for &action in DataAction::ALL {
            let set = DataActionSet::of(action);
            assert_eq!(set.iter().collect::<Vec<_>>(), [action]);
            assert!(set.minus(set).is_empty());
        }
        let all: DataActionSet = DataAction::ALL.iter().copied().collect();
        assert_eq!(all.iter().count(), DataAction::ALL.len());
    }
}

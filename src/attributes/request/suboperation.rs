//! Suboperations: what tells operations apart that Azure grants by one data action.
//!
//! Azure defines none for Key Vault; these are ours, named in its way. An operation that is alone
//! with its data action has none.

use crate::keyvault::{DataAction, OperationKind};

macro_rules! suboperations {
    ($($kind:ident = $name:literal,)+) => {
        /// The suboperation that an operation is, if it is one.
        pub const fn suboperation(kind: OperationKind) -> Option<&'static str> {
            match kind {
                $(OperationKind::$kind => Some($name),)+
                _ => None,
            }
        }
    };
}

suboperations! {
    SecretList = "Secret.List",
    SecretListVersions = "Secret.ListVersions",
    SecretListDeleted = "Secret.ListDeleted",
    SecretGetDeleted = "Secret.GetDeleted",
    KeyGet = "Key.Get",
    KeyList = "Key.List",
    KeyListVersions = "Key.ListVersions",
    KeyListDeleted = "Key.ListDeleted",
    KeyGetDeleted = "Key.GetDeleted",
    CertificateGet = "Certificate.Get",
    CertificateList = "Certificate.List",
    CertificateListVersions = "Certificate.ListVersions",
    CertificateListDeleted = "Certificate.ListDeleted",
    CertificateGetDeleted = "Certificate.GetDeleted",
    CertificatePolicyGet = "Certificate.GetPolicy",
    CertificatePendingGet = "Certificate.GetOperation",
    CertificatePendingMerge = "Certificate.Merge",
}

/// The suboperations that operations with this data action can be.
#[expect(clippy::wildcard_enum_match_arm, reason = "most actions have none")]
pub const fn suboperations_of(action: DataAction) -> &'static [&'static str] {
    match action {
        DataAction::SecretsGetSecret => &["Secret.GetDeleted"],
        DataAction::SecretsReadMetadata => &[
            "Secret.List",
            "Secret.ListVersions",
            "Secret.ListDeleted",
            "Secret.GetDeleted",
        ],
        DataAction::KeysRead => &[
            "Key.Get",
            "Key.List",
            "Key.ListVersions",
            "Key.ListDeleted",
            "Key.GetDeleted",
        ],
        DataAction::CertificatesRead => &[
            "Certificate.Get",
            "Certificate.List",
            "Certificate.ListVersions",
            "Certificate.ListDeleted",
            "Certificate.GetDeleted",
            "Certificate.GetPolicy",
            "Certificate.GetOperation",
        ],
        DataAction::CertificatesCreate => &["Certificate.Merge"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn an_action_has_the_suboperations_of_its_operations_and_no_others() {
        for &action in DataAction::ALL {
            let operations = OperationKind::ALL
                .iter()
                .filter(|kind| kind.row().data_actions.contains(&action));
            let expected: BTreeSet<_> = operations.filter_map(|kind| suboperation(*kind)).collect();
            let listed: BTreeSet<_> = suboperations_of(action).iter().copied().collect();
            assert_eq!(listed, expected, "{action}");
        }
    }
}

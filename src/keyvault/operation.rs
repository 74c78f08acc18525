//! The operations of Key Vault's data plane: one table, to be read beside Microsoft's reference.
//!
//! Every row is an operation, its audit name in Azure's logs, method and path, the scope it is
//! authorized on, and the data actions it needs, all of them. A segment in braces is a parameter;
//! `{version}` may be absent or empty, which both mean the latest version.
//!
//! Where the evidence for an operation's data actions is thin the stricter set stands: reading a
//! deleted secret needs both `getSecret` and `readMetadata`, deleting a pending certificate needs
//! both `update` and `delete`.
//!
//! Sources: <https://learn.microsoft.com/rest/api/keyvault/> (operations) and
//! <https://learn.microsoft.com/azure/role-based-access-control/permissions/security> (actions).
//! Audit names: <https://learn.microsoft.com/azure/key-vault/general/logging>; those of storage
//! accounts, SAS definitions and pending certificates follow the same pattern.

use std::fmt;

use super::data_action::DataAction::{self, *};
use super::name::{ObjectName, ObjectVersion};
use super::query::Query;
use ObjectType::{Certificate, Key, Secret};
use OperationScope::{Object, Vault};

/// The kinds of object that are scopes of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectType {
    /// A certificate. Its key and its secret are objects of their own, with the same name.
    Certificate,
    /// A key.
    Key,
    /// A secret.
    Secret,
}

impl ObjectType {
    /// The collection segment of its resource id.
    pub const fn collection(self) -> &'static str {
        match self {
            Self::Certificate => "certificates",
            Self::Key => "keys",
            Self::Secret => "secrets",
        }
    }

    /// The value of the `object_type` field of records.
    pub const fn as_label(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::Key => "key",
            Self::Secret => "secret",
        }
    }
}

/// What an operation is authorized on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationScope {
    /// The vault: lists, restores (the name is inside the blob), contacts, issuers, storage.
    Vault,
    /// The object the path names, whether it exists or not.
    Object(ObjectType),
}

/// The methods Key Vault uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// `DELETE`
    DELETE,
    /// `GET`
    GET,
    /// `PATCH`
    PATCH,
    /// `POST`
    POST,
    /// `PUT`
    PUT,
}

macro_rules! operations {
    ($($kind:ident, $method:ident, $template:literal, $scope:expr, [$($action:ident),+];)+) => {
        /// Which operation, under the name that Azure's own audit log gives it.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum OperationKind {
            $(#[doc = concat!("`", stringify!($method), " ", $template, "`")] $kind,)+
        }

        impl OperationKind {
            /// Every operation, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$kind),+];

            /// The row of this operation.
            pub const fn row(self) -> &'static Row {
                match self {
                    $(Self::$kind => &Row {
                        method: Method::$method,
                        template: $template,
                        scope: $scope,
                        data_actions: &[$($action),+],
                    },)+
                }
            }

            /// The operation's name in Azure's audit log, and in our records and metrics.
            pub const fn as_label(self) -> &'static str {
                match self { $(Self::$kind => stringify!($kind)),+ }
            }
        }
    };
}

/// One row of the table.
#[derive(Debug)]
pub struct Row {
    /// The method.
    pub method: Method,
    /// The path, with parameters in braces.
    pub template: &'static str,
    /// What it is authorized on.
    pub scope: OperationScope,
    /// What it needs; every one of them.
    pub data_actions: &'static [DataAction],
}

operations! {
    KeyCreate,                   POST,   "/keys/{name}/create",                      Object(Key),         [KeysCreate];
    KeyRotate,                   POST,   "/keys/{name}/rotate",                      Object(Key),         [KeysRotate];
    KeyImport,                   PUT,    "/keys/{name}",                             Object(Key),         [KeysImport];
    KeyDelete,                   DELETE, "/keys/{name}",                             Object(Key),         [KeysDelete];
    KeyUpdate,                   PATCH,  "/keys/{name}/{version}",                   Object(Key),         [KeysUpdate];
    KeyGet,                      GET,    "/keys/{name}/{version}",                   Object(Key),         [KeysRead];
    KeyListVersions,             GET,    "/keys/{name}/versions",                    Object(Key),         [KeysRead];
    KeyList,                     GET,    "/keys",                                    Vault,               [KeysRead];
    KeyBackup,                   POST,   "/keys/{name}/backup",                      Object(Key),         [KeysBackup];
    KeyRestore,                  POST,   "/keys/restore",                            Vault,               [KeysRestore];
    KeyEncrypt,                  POST,   "/keys/{name}/{version}/encrypt",           Object(Key),         [KeysEncrypt];
    KeyDecrypt,                  POST,   "/keys/{name}/{version}/decrypt",           Object(Key),         [KeysDecrypt];
    KeySign,                     POST,   "/keys/{name}/{version}/sign",              Object(Key),         [KeysSign];
    KeyVerify,                   POST,   "/keys/{name}/{version}/verify",            Object(Key),         [KeysVerify];
    KeyWrap,                     POST,   "/keys/{name}/{version}/wrapkey",           Object(Key),         [KeysWrap];
    KeyUnwrap,                   POST,   "/keys/{name}/{version}/unwrapkey",         Object(Key),         [KeysUnwrap];
    KeyRelease,                  POST,   "/keys/{name}/{version}/release",           Object(Key),         [KeysRelease];
    KeyListDeleted,              GET,    "/deletedkeys",                             Vault,               [KeysRead];
    KeyGetDeleted,               GET,    "/deletedkeys/{name}",                      Object(Key),         [KeysRead];
    KeyPurge,                    DELETE, "/deletedkeys/{name}",                      Object(Key),         [KeysPurge];
    KeyRecover,                  POST,   "/deletedkeys/{name}/recover",              Object(Key),         [KeysRecover];
    KeyRotationPolicyGet,        GET,    "/keys/{name}/rotationpolicy",              Object(Key),         [KeyRotationPoliciesRead];
    KeyRotationPolicySet,        PUT,    "/keys/{name}/rotationpolicy",              Object(Key),         [KeyRotationPoliciesWrite];
    SecretSet,                   PUT,    "/secrets/{name}",                          Object(Secret),      [SecretsSetSecret];
    SecretDelete,                DELETE, "/secrets/{name}",                          Object(Secret),      [SecretsDelete];
    SecretUpdate,                PATCH,  "/secrets/{name}/{version}",                Object(Secret),      [SecretsUpdate];
    SecretGet,                   GET,    "/secrets/{name}/{version}",                Object(Secret),      [SecretsGetSecret];
    SecretList,                  GET,    "/secrets",                                 Vault,               [SecretsReadMetadata];
    SecretListVersions,          GET,    "/secrets/{name}/versions",                 Object(Secret),      [SecretsReadMetadata];
    SecretListDeleted,           GET,    "/deletedsecrets",                          Vault,               [SecretsReadMetadata];
    SecretGetDeleted,            GET,    "/deletedsecrets/{name}",                   Object(Secret),      [SecretsGetSecret, SecretsReadMetadata];
    SecretPurge,                 DELETE, "/deletedsecrets/{name}",                   Object(Secret),      [SecretsPurge];
    SecretRecover,               POST,   "/deletedsecrets/{name}/recover",           Object(Secret),      [SecretsRecover];
    SecretBackup,                POST,   "/secrets/{name}/backup",                   Object(Secret),      [SecretsBackup];
    SecretRestore,               POST,   "/secrets/restore",                         Vault,               [SecretsRestore];
    CertificateList,             GET,    "/certificates",                            Vault,               [CertificatesRead];
    CertificateDelete,           DELETE, "/certificates/{name}",                     Object(Certificate), [CertificatesDelete];
    CertificateContactsSet,      PUT,    "/certificates/contacts",                   Vault,               [CertificateContactsWrite];
    CertificateContactsGet,      GET,    "/certificates/contacts",                   Vault,               [CertificateContactsWrite];
    CertificateContactsDelete,   DELETE, "/certificates/contacts",                   Vault,               [CertificateContactsWrite];
    CertificateIssuersList,      GET,    "/certificates/issuers",                    Vault,               [CertificateCasRead];
    CertificateIssuerSet,        PUT,    "/certificates/issuers/{name}",             Vault,               [CertificateCasWrite];
    CertificateIssuerUpdate,     PATCH,  "/certificates/issuers/{name}",             Vault,               [CertificateCasWrite];
    CertificateIssuerGet,        GET,    "/certificates/issuers/{name}",             Vault,               [CertificateCasRead];
    CertificateIssuerDelete,     DELETE, "/certificates/issuers/{name}",             Vault,               [CertificateCasDelete];
    CertificateCreate,           POST,   "/certificates/{name}/create",              Object(Certificate), [CertificatesCreate];
    CertificateImport,           POST,   "/certificates/{name}/import",              Object(Certificate), [CertificatesImport];
    CertificateListVersions,     GET,    "/certificates/{name}/versions",            Object(Certificate), [CertificatesRead];
    CertificatePolicyGet,        GET,    "/certificates/{name}/policy",              Object(Certificate), [CertificatesRead];
    CertificatePolicyUpdate,     PATCH,  "/certificates/{name}/policy",              Object(Certificate), [CertificatesUpdate];
    CertificateUpdate,           PATCH,  "/certificates/{name}/{version}",           Object(Certificate), [CertificatesUpdate];
    CertificateGet,              GET,    "/certificates/{name}/{version}",           Object(Certificate), [CertificatesRead];
    CertificatePendingUpdate,    PATCH,  "/certificates/{name}/pending",             Object(Certificate), [CertificatesUpdate];
    CertificatePendingGet,       GET,    "/certificates/{name}/pending",             Object(Certificate), [CertificatesRead];
    CertificatePendingDelete,    DELETE, "/certificates/{name}/pending",             Object(Certificate), [CertificatesUpdate, CertificatesDelete];
    CertificatePendingMerge,     POST,   "/certificates/{name}/pending/merge",       Object(Certificate), [CertificatesCreate];
    CertificateBackup,           POST,   "/certificates/{name}/backup",              Object(Certificate), [CertificatesBackup];
    CertificateRestore,          POST,   "/certificates/restore",                    Vault,               [CertificatesRestore];
    CertificateListDeleted,      GET,    "/deletedcertificates",                     Vault,               [CertificatesRead];
    CertificateGetDeleted,       GET,    "/deletedcertificates/{name}",              Object(Certificate), [CertificatesRead];
    CertificatePurge,            DELETE, "/deletedcertificates/{name}",              Object(Certificate), [CertificatesPurge];
    CertificateRecover,          POST,   "/deletedcertificates/{name}/recover",      Object(Certificate), [CertificatesRecover];
    StorageAccountList,          GET,    "/storage",                                 Vault,               [StorageAccountsRead];
    StorageAccountListDeleted,   GET,    "/deletedstorage",                          Vault,               [StorageAccountsRead];
    StorageAccountGetDeleted,    GET,    "/deletedstorage/{name}",                   Vault,               [StorageAccountsRead];
    StorageAccountPurge,         DELETE, "/deletedstorage/{name}",                   Vault,               [StorageAccountsPurge];
    StorageAccountRecover,       POST,   "/deletedstorage/{name}/recover",           Vault,               [StorageAccountsRecover];
    StorageAccountBackup,        POST,   "/storage/{name}/backup",                   Vault,               [StorageAccountsBackup];
    StorageAccountRestore,       POST,   "/storage/restore",                         Vault,               [StorageAccountsRestore];
    StorageAccountDelete,        DELETE, "/storage/{name}",                          Vault,               [StorageAccountsDelete];
    StorageAccountGet,           GET,    "/storage/{name}",                          Vault,               [StorageAccountsRead];
    StorageAccountSet,           PUT,    "/storage/{name}",                          Vault,               [StorageAccountsSet];
    StorageAccountUpdate,        PATCH,  "/storage/{name}",                          Vault,               [StorageAccountsSet];
    StorageAccountRegenerateKey, POST,   "/storage/{name}/regeneratekey",            Vault,               [StorageAccountsRegenerateKey];
    SasDefinitionList,           GET,    "/storage/{name}/sas",                      Vault,               [StorageAccountsSasRead];
    SasDefinitionListDeleted,    GET,    "/deletedstorage/{name}/sas",               Vault,               [StorageAccountsSasRead];
    SasDefinitionGetDeleted,     GET,    "/deletedstorage/{name}/sas/{sas}",         Vault,               [StorageAccountsSasRead];
    SasDefinitionRecover,        POST,   "/deletedstorage/{name}/sas/{sas}/recover", Vault,               [StorageAccountsRecover];
    SasDefinitionDelete,         DELETE, "/storage/{name}/sas/{sas}",                Vault,               [StorageAccountsSasDelete];
    SasDefinitionGet,            GET,    "/storage/{name}/sas/{sas}",                Vault,               [StorageAccountsSasRead];
    SasDefinitionSet,            PUT,    "/storage/{name}/sas/{sas}",                Vault,               [StorageAccountsSasSet];
    SasDefinitionUpdate,         PATCH,  "/storage/{name}/sas/{sas}",                Vault,               [StorageAccountsSasSet];
}

impl OperationKind {
    /// Whether it lists things, page by page.
    pub const fn is_list(self) -> bool {
        matches!(
            self,
            Self::CertificateIssuersList
                | Self::CertificateList
                | Self::CertificateListDeleted
                | Self::CertificateListVersions
                | Self::KeyList
                | Self::KeyListDeleted
                | Self::KeyListVersions
                | Self::SasDefinitionList
                | Self::SasDefinitionListDeleted
                | Self::SecretList
                | Self::SecretListDeleted
                | Self::SecretListVersions
                | Self::StorageAccountList
                | Self::StorageAccountListDeleted
        )
    }
}

/// How the caller named the version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum VersionSegment {
    /// No segment at all, or the operation knows no version.
    Absent,
    /// An empty segment, as most SDKs send it: `/secrets/n/`, `/keys/n//sign`.
    Empty,
    /// A version.
    Given(ObjectVersion),
    /// A version that the caller did not name, but that was decided on: [`Operation::pinned`].
    Pinned(ObjectVersion),
}

/// One documented operation with parsed parameters: what is authorized, and what is sent.
///
/// Made by [`super::route`] and by nothing else.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    pub(super) kind: OperationKind,
    pub(super) name: Option<ObjectName>,
    pub(super) sas: Option<ObjectName>,
    pub(super) version: VersionSegment,
    pub(super) query: Query,
}

impl Operation {
    /// Which operation.
    pub const fn kind(&self) -> OperationKind {
        self.kind
    }

    /// The name in the path: of an object, an issuer or a storage account.
    pub const fn name(&self) -> Option<&ObjectName> {
        self.name.as_ref()
    }

    /// The version, if the caller gave one.
    pub const fn version(&self) -> Option<&ObjectVersion> {
        match &self.version {
            VersionSegment::Given(version) => Some(version),
            VersionSegment::Absent | VersionSegment::Empty | VersionSegment::Pinned(_) => None,
        }
    }

    /// The version that was decided on although the caller named none; it is the one that is sent.
    pub const fn pinned_version(&self) -> Option<&ObjectVersion> {
        match &self.version {
            VersionSegment::Pinned(version) => Some(version),
            VersionSegment::Absent | VersionSegment::Empty | VersionSegment::Given(_) => None,
        }
    }

    /// The same operation, sent for `version` if it is one for which the caller could have named a
    /// version and did not.
    ///
    /// SECURITY: what was decided by looking at one version must not reach another that has become
    /// the current one since. [`Self::version`] still says what the caller named.
    #[must_use]
    pub fn pinned(mut self, version: ObjectVersion) -> Self {
        let segments = self.kind.row().template.split('/');
        let has_version = segments.into_iter().any(|segment| segment == "{version}");
        if has_version && self.version().is_none() {
            self.version = VersionSegment::Pinned(version);
        }
        self
    }

    /// The query.
    pub const fn query(&self) -> &Query {
        &self.query
    }

    /// The object this operation is authorized on; `None` for the vault itself.
    pub fn object(&self) -> Option<(ObjectType, &ObjectName)> {
        match self.kind.row().scope {
            Vault => None,
            // Every row with an object scope has a name in its path; a test walks the table.
            Object(object_type) => self.name.as_ref().map(|name| (object_type, name)),
        }
    }

    /// The path and query to send to the vault.
    ///
    /// SECURITY: rendered from the parsed values, never from the caller's bytes, so that what was
    /// authorized is what is sent.
    pub fn path_and_query(&self) -> String {
        let mut path = String::with_capacity(128);
        for segment in self.kind.row().template.split('/').skip(1) {
            match segment {
                "{name}" => push(&mut path, self.name.as_ref().map_or("", ObjectName::as_str)),
                "{sas}" => push(&mut path, self.sas.as_ref().map_or("", ObjectName::as_str)),
                "{version}" => match &self.version {
                    VersionSegment::Absent => {}
                    VersionSegment::Empty => push(&mut path, ""),
                    VersionSegment::Given(version) | VersionSegment::Pinned(version) => {
                        push(&mut path, version.as_str());
                    }
                },
                literal => push(&mut path, literal),
            }
        }
        path.push('?');
        self.query.render(&mut path);
        path
    }
}

impl OperationKind {
    /// Whether it may change an object or its metadata: all but reads and the use of a key.
    pub const fn is_write(self) -> bool {
        let uses_a_key = matches!(
            self,
            Self::KeyEncrypt
                | Self::KeyDecrypt
                | Self::KeySign
                | Self::KeyVerify
                | Self::KeyWrap
                | Self::KeyUnwrap
                | Self::KeyRelease
        );
        !uses_a_key && !matches!(self.row().method, Method::GET)
    }
}

fn push(path: &mut String, segment: &str) {
    path.push('/');
    path.push_str(segment);
}

impl Method {
    /// The method as it stands in a request line.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::DELETE => "DELETE",
            Self::GET => "GET",
            Self::PATCH => "PATCH",
            Self::POST => "POST",
            Self::PUT => "PUT",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::super::route;
    use super::*;

    const VERSION: &str = "1d89273b3c364e018f939c2f0d151622";
    const OTHER: &str = "00000000000000000000000000000001";

    /// The operation of a row, with `version` in its place.
    fn of_row(kind: OperationKind, version: &str) -> Operation {
        let row = kind.row();
        let method = row.method.as_str().parse().unwrap();
        let path = row
            .template
            .replace("{name}", "n")
            .replace("{sas}", "s")
            .replace("{version}", version);
        route::parse(&method, &path, Some("api-version=7.4"), &[]).unwrap()
    }

    #[test]
    fn every_row_with_a_version_is_sent_for_the_pinned_one() {
        let mut pinned_rows = 0;
        for &kind in OperationKind::ALL {
            let pinned = of_row(kind, "").pinned(VERSION.parse().unwrap());
            let with_version = kind.row().template.contains("{version}");
            assert_eq!(
                pinned.path_and_query(),
                of_row(kind, VERSION).path_and_query(),
                "{kind:?}"
            );
            assert_eq!(pinned.version(), None, "{kind:?}: the caller named none");
            pinned_rows += usize::from(with_version);
        }
        assert_eq!(pinned_rows, 13);
    }

    #[test]
    fn a_version_that_the_caller_named_stays() {
        for &kind in OperationKind::ALL {
            let named = of_row(kind, OTHER);
            assert_eq!(named.clone().pinned(VERSION.parse().unwrap()), named);
        }
    }

    #[test]
    fn a_request_that_only_reads_or_uses_a_key_is_no_write() {
        for &kind in OperationKind::ALL {
            let harmless = kind.row().data_actions.iter().all(|action| {
                matches!(
                    action,
                    KeysRead
                        | KeysEncrypt
                        | KeysDecrypt
                        | KeysSign
                        | KeysVerify
                        | KeysWrap
                        | KeysUnwrap
                        | KeysRelease
                        | KeyRotationPoliciesRead
                        | SecretsGetSecret
                        | SecretsReadMetadata
                        | CertificatesRead
                        | CertificateCasRead
                        | StorageAccountsRead
                        | StorageAccountsSasRead
                )
            });
            // One action stands for reading and for writing contacts.
            let contacts = kind == OperationKind::CertificateContactsGet;
            assert_eq!(kind.is_write(), !harmless && !contacts, "{kind:?}");
        }
    }

    #[test]
    fn lists_are_called_lists() {
        for kind in OperationKind::ALL {
            let called = kind.as_label().contains("List");
            assert_eq!(kind.is_list(), called, "{kind:?}");
        }
    }

    #[test]
    fn every_object_scoped_row_names_its_object() {
        for kind in OperationKind::ALL {
            let row = kind.row();
            if matches!(row.scope, Object(_)) {
                assert!(row.template.contains("/{name}"), "{kind:?}");
            }
        }
    }
}

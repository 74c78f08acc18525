//! The table of attributes.
//!
//! A row is an attribute: its name, its type and whether it may have several values, what it is,
//! and who else knows it. A dictionary's row stands for all its keys and for their list.

use std::fmt;

use super::origin::{Clock, Configuration, Connection, Line, Origin, Part, Token};
use super::property::Property;
use super::{Azure, Shape, ValueType};
use crate::abac::expr::Source;
use crate::keyvault::ObjectType;

use Azure::{OtherService, Ours, Preview};
use Clock::{DayOfWeek, Hour, UtcNow};
use Configuration::{
    Environment, Region, RouteName, VaultEnablePurgeProtection, VaultEnableSoftDelete, VaultId,
    VaultLocation, VaultName, VaultPublicNetworkAccess, VaultSku, VaultTags,
};
use Connection::{
    Address, CertificateIssuer, CertificateSubject, CertificateThumbprint, IsMutual, IsPrivateLink,
    Listener, PrivateEndpoint, Protocol, Ranges, SpiffeId, Subnet, TrustDomain,
};
use Line::{ApiVersion, IsDeleted, IsVersioned, Issuer, MaxResults, Method, Name, Version};
use ObjectType::{Certificate, Key, Secret};
use Origin::{Body, Custom, Metadata};
use Part::{IsCurrent, Tags};
use Property::{
    Algorithm, AutoRotate, CertificateTransparency, CertificateType, ContentType, Created, Curve,
    DeletedDate, DigestLength, DnsNames, Emails, Enabled, Expires, ExpiryDays, Exportable,
    ExtendedKeyUsage, HasExternalKey, HasNonce, HasReleasePolicy, HasTargetAttestation,
    HsmPlatform, IpAddresses, IsHsmBacked, IssuerName, KeyOps, KeySize, KeyType, KeyUsage, Managed,
    NotBefore, PublicExponent, RecoverableDays, RecoveryLevel, ReleasePolicyImmutable, ReuseKey,
    ScheduledPurgeDate, SecretContentType, Subject, Thumbprint, Updated, Uris, ValidityMonths,
    ValueLength,
};
use Shape::{Dictionary, Many, One};
use Token::{
    AppId, AuthAgeSeconds, AuthContext, AuthMethods, Groups, IsCertificateBound, Namespace,
    NodeName, ObjectId, PodName, PrincipalType, Roles, Scopes, ServiceAccount, TenantId,
};
use ValueType::{Boolean, DateTime, Guid, Integer, String};

macro_rules! vocabulary {
    ($(@$source:ident $path:literal {
        $($known:ident, $leaf:literal, $shape:expr, $origin:expr, $azure:expr;)+
    })+) => {
        /// An attribute of the vocabulary, or a dictionary of attributes.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Known {
            $($(
                #[doc = concat!("`@", stringify!($source), "[", $path, $leaf, "]`")]
                $known,
            )+)+
        }

        impl Known {
            /// Every attribute, in the order of the table.
            pub const ALL: &'static [Self] = &[$($(Self::$known),+),+];

            /// The row of this attribute.
            pub(super) const fn row(self) -> Row {
                match self {
                    $($(Self::$known => Row {
                        source: Source::$source,
                        path_and_name: concat!($path, $leaf),
                        shape: $shape,
                        origin: $origin,
                        azure: $azure,
                    },)+)+
                }
            }
        }
    };
}

/// One row of the table.
#[derive(Clone, Copy)]
pub(super) struct Row {
    pub(super) source: Source,
    pub(super) path_and_name: &'static str,
    pub(super) shape: Shape,
    pub(super) origin: Origin,
    pub(super) azure: Azure,
}

/// A property of an object as the vault keeps it.
const fn kept(object: ObjectType, property: Property) -> Origin {
    Metadata(object, Part::Property(property))
}

/// A property of an object as a body wants it.
const fn wanted(object: ObjectType, property: Property) -> Origin {
    Body(object, Part::Property(property))
}

vocabulary! {
    @Resource "Microsoft.KeyVault/vaults" {
        VaultName,                           ":name",                    One(String),         Origin::Configuration(VaultName),                   Preview;
        VaultId,                             ":id",                      One(String),         Origin::Configuration(VaultId),                     Ours;
        VaultLocation,                       ":location",                One(String),         Origin::Configuration(VaultLocation),               Ours;
        VaultSku,                            ":sku",                     One(String),         Origin::Configuration(VaultSku),                    Ours;
        VaultPublicNetworkAccess,            ":publicNetworkAccess",     One(String),         Origin::Configuration(VaultPublicNetworkAccess),    Ours;
        VaultEnablePurgeProtection,          ":enablePurgeProtection",   One(Boolean),        Origin::Configuration(VaultEnablePurgeProtection),  Ours;
        VaultEnableSoftDelete,               ":enableSoftDelete",        One(Boolean),        Origin::Configuration(VaultEnableSoftDelete),       Ours;
        VaultTags,                           "/tags",                    Dictionary(String),  Origin::Configuration(VaultTags),                   Ours;
    }
    @Resource "Portcullis.Routing/routes" {
        RouteName,                           ":name",                    One(String),         Origin::Configuration(RouteName),                   Ours;
    }
    @Resource "Microsoft.KeyVault/vaults/secrets" {
        SecretName,                          ":name",                    One(String),         Origin::Line(Name(Secret)),                         Preview;
        SecretVersion,                       ":version",                 One(String),         Origin::Line(Version(Secret)),                      Ours;
        SecretIsCurrentVersion,              ":isCurrentVersion",        One(Boolean),        Metadata(Secret, IsCurrent),                Ours;
        SecretIsDeleted,                     ":isDeleted",               One(Boolean),        Origin::Line(IsDeleted(Secret)),                    Ours;
        SecretEnabled,                       ":enabled",                 One(Boolean),        kept(Secret, Enabled),                      Ours;
        SecretExpires,                       ":expires",                 One(DateTime),       kept(Secret, Expires),                      Ours;
        SecretNotBefore,                     ":notBefore",               One(DateTime),       kept(Secret, NotBefore),                    Ours;
        SecretCreated,                       ":created",                 One(DateTime),       kept(Secret, Created),                      Ours;
        SecretUpdated,                       ":updated",                 One(DateTime),       kept(Secret, Updated),                      Ours;
        SecretContentType,                   ":contentType",             One(String),         kept(Secret, ContentType),                  Ours;
        SecretManaged,                       ":managed",                 One(Boolean),        kept(Secret, Managed),                      Ours;
        SecretRecoveryLevel,                 ":recoveryLevel",           One(String),         kept(Secret, RecoveryLevel),                Ours;
        SecretRecoverableDays,               ":recoverableDays",         One(Integer),        kept(Secret, RecoverableDays),              Ours;
        SecretScheduledPurgeDate,            ":scheduledPurgeDate",      One(DateTime),       kept(Secret, ScheduledPurgeDate),           Ours;
        SecretDeletedDate,                   ":deletedDate",             One(DateTime),       kept(Secret, DeletedDate),                  Ours;
        SecretTags,                          "/tags",                    Dictionary(String),  Metadata(Secret, Tags),                     Ours;
    }
    @Resource "Microsoft.KeyVault/vaults/keys" {
        KeyName,                             ":name",                    One(String),         Origin::Line(Name(Key)),                            Ours;
        KeyVersion,                          ":version",                 One(String),         Origin::Line(Version(Key)),                         Ours;
        KeyIsCurrentVersion,                 ":isCurrentVersion",        One(Boolean),        Metadata(Key, IsCurrent),                   Ours;
        KeyEnabled,                          ":enabled",                 One(Boolean),        kept(Key, Enabled),                         Ours;
        KeyExpires,                          ":expires",                 One(DateTime),       kept(Key, Expires),                         Ours;
        KeyNotBefore,                        ":notBefore",               One(DateTime),       kept(Key, NotBefore),                       Ours;
        KeyCreated,                          ":created",                 One(DateTime),       kept(Key, Created),                         Ours;
        KeyUpdated,                          ":updated",                 One(DateTime),       kept(Key, Updated),                         Ours;
        KeyManaged,                          ":managed",                 One(Boolean),        kept(Key, Managed),                         Ours;
        KeyRecoveryLevel,                    ":recoveryLevel",           One(String),         kept(Key, RecoveryLevel),                   Ours;
        KeyKeyType,                          ":keyType",                 One(String),         kept(Key, KeyType),                         Ours;
        KeyIsHsmBacked,                      ":isHsmBacked",             One(Boolean),        kept(Key, IsHsmBacked),                     Ours;
        KeyHsmPlatform,                      ":hsmPlatform",             One(String),         kept(Key, HsmPlatform),                     Ours;
        KeyKeySize,                          ":keySize",                 One(Integer),        kept(Key, KeySize),                         Ours;
        KeyCurve,                            ":curve",                   One(String),         kept(Key, Curve),                           Ours;
        KeyKeyOps,                           ":keyOps",                  Many(String),        kept(Key, KeyOps),                          Ours;
        KeyExportable,                       ":exportable",              One(Boolean),        kept(Key, Exportable),                      Ours;
        KeyHasReleasePolicy,                 ":hasReleasePolicy",        One(Boolean),        kept(Key, HasReleasePolicy),                Ours;
        KeyReleasePolicyImmutable,           ":releasePolicyImmutable",  One(Boolean),        kept(Key, ReleasePolicyImmutable),          Ours;
        KeyHasExternalKey,                   ":hasExternalKey",          One(Boolean),        kept(Key, HasExternalKey),                  Ours;
        KeyTags,                             "/tags",                    Dictionary(String),  Metadata(Key, Tags),                        Ours;
    }
    @Resource "Microsoft.KeyVault/vaults/certificates" {
        CertificateName,                     ":name",                    One(String),         Origin::Line(Name(Certificate)),                    Ours;
        CertificateVersion,                  ":version",                 One(String),         Origin::Line(Version(Certificate)),                 Ours;
        CertificateEnabled,                  ":enabled",                 One(Boolean),        kept(Certificate, Enabled),                 Ours;
        CertificateExpires,                  ":expires",                 One(DateTime),       kept(Certificate, Expires),                 Ours;
        CertificateNotBefore,                ":notBefore",               One(DateTime),       kept(Certificate, NotBefore),               Ours;
        CertificateCreated,                  ":created",                 One(DateTime),       kept(Certificate, Created),                 Ours;
        CertificateUpdated,                  ":updated",                 One(DateTime),       kept(Certificate, Updated),                 Ours;
        CertificateIssuerName,               ":issuerName",              One(String),         kept(Certificate, IssuerName),              Ours;
        CertificateCertificateTransparency,  ":certificateTransparency", One(Boolean),        kept(Certificate, CertificateTransparency), Ours;
        CertificateCertificateType,          ":certificateType",         One(String),         kept(Certificate, CertificateType),         Ours;
        CertificateSubject,                  ":subject",                 One(String),         kept(Certificate, Subject),                 Ours;
        CertificateDnsNames,                 ":dnsNames",                Many(String),        kept(Certificate, DnsNames),                Ours;
        CertificateEmails,                   ":emails",                  Many(String),        kept(Certificate, Emails),                  Ours;
        CertificateIpAddresses,              ":ipAddresses",             Many(String),        kept(Certificate, IpAddresses),             Ours;
        CertificateUris,                     ":uris",                    Many(String),        kept(Certificate, Uris),                    Ours;
        CertificateExtendedKeyUsage,         ":extendedKeyUsage",        Many(String),        kept(Certificate, ExtendedKeyUsage),        Ours;
        CertificateKeyUsage,                 ":keyUsage",                Many(String),        kept(Certificate, KeyUsage),                Ours;
        CertificateValidityMonths,           ":validityMonths",          One(Integer),        kept(Certificate, ValidityMonths),          Ours;
        CertificateKeyType,                  ":keyType",                 One(String),         kept(Certificate, KeyType),                 Ours;
        CertificateKeySize,                  ":keySize",                 One(Integer),        kept(Certificate, KeySize),                 Ours;
        CertificateCurve,                    ":curve",                   One(String),         kept(Certificate, Curve),                   Ours;
        CertificateExportable,               ":exportable",              One(Boolean),        kept(Certificate, Exportable),              Ours;
        CertificateReuseKey,                 ":reuseKey",                One(Boolean),        kept(Certificate, ReuseKey),                Ours;
        CertificateSecretContentType,        ":secretContentType",       One(String),         kept(Certificate, SecretContentType),       Ours;
        CertificateThumbprint,               ":thumbprint",              One(String),         kept(Certificate, Thumbprint),              Ours;
        CertificateTags,                     "/tags",                    Dictionary(String),  Metadata(Certificate, Tags),                Ours;
    }
    @Resource "Microsoft.KeyVault/vaults/certificatecas" {
        IssuerName,                          ":name",                    One(String),         Origin::Line(Issuer),                               Ours;
    }
    @Request "Portcullis.Http/requests" {
        RequestMethod,                       ":method",                  One(String),         Origin::Line(Method),                               Ours;
        RequestApiVersion,                   ":apiVersion",              One(String),         Origin::Line(ApiVersion),                           Ours;
        RequestMaxResults,                   ":maxResults",              One(Integer),        Origin::Line(MaxResults),                           Ours;
        RequestIsVersioned,                  ":isVersioned",             One(Boolean),        Origin::Line(IsVersioned),                          Ours;
    }
    @Request "Microsoft.KeyVault/vaults/secrets" {
        RequestedSecretName,                 ":name",                    One(String),         Origin::Line(Name(Secret)),                         Preview;
        RequestedSecretContentType,          ":contentType",             One(String),         wanted(Secret, ContentType),                Ours;
        RequestedSecretValueLength,          ":valueLength",             One(Integer),        wanted(Secret, ValueLength),                Ours;
        RequestedSecretEnabled,              ":enabled",                 One(Boolean),        wanted(Secret, Enabled),                    Ours;
        RequestedSecretExpires,              ":expires",                 One(DateTime),       wanted(Secret, Expires),                    Ours;
        RequestedSecretNotBefore,            ":notBefore",               One(DateTime),       wanted(Secret, NotBefore),                  Ours;
        RequestedSecretTags,                 "/tags",                    Dictionary(String),  Body(Secret, Tags),                         Ours;
    }
    @Request "Microsoft.KeyVault/vaults/keys" {
        RequestedKeyName,                    ":name",                    One(String),         Origin::Line(Name(Key)),                            Ours;
        RequestedKeyEnabled,                 ":enabled",                 One(Boolean),        wanted(Key, Enabled),                       Ours;
        RequestedKeyExpires,                 ":expires",                 One(DateTime),       wanted(Key, Expires),                       Ours;
        RequestedKeyNotBefore,               ":notBefore",               One(DateTime),       wanted(Key, NotBefore),                     Ours;
        RequestedKeyKeyType,                 ":keyType",                 One(String),         wanted(Key, KeyType),                       Ours;
        RequestedKeyKeySize,                 ":keySize",                 One(Integer),        wanted(Key, KeySize),                       Ours;
        RequestedKeyCurve,                   ":curve",                   One(String),         wanted(Key, Curve),                         Ours;
        RequestedKeyKeyOps,                  ":keyOps",                  Many(String),        wanted(Key, KeyOps),                        Ours;
        RequestedKeyExportable,              ":exportable",              One(Boolean),        wanted(Key, Exportable),                    Ours;
        RequestedKeyIsHsmBacked,             ":isHsmBacked",             One(Boolean),        wanted(Key, IsHsmBacked),                   Ours;
        RequestedKeyPublicExponent,          ":publicExponent",          One(Integer),        wanted(Key, PublicExponent),                Ours;
        RequestedKeyHasReleasePolicy,        ":hasReleasePolicy",        One(Boolean),        wanted(Key, HasReleasePolicy),              Ours;
        RequestedKeyReleasePolicyImmutable,  ":releasePolicyImmutable",  One(Boolean),        wanted(Key, ReleasePolicyImmutable),        Ours;
        RequestedKeyAlgorithm,               ":algorithm",               One(String),         wanted(Key, Algorithm),                     Ours;
        RequestedKeyDigestLength,            ":digestLength",            One(Integer),        wanted(Key, DigestLength),                  Ours;
        RequestedKeyHasNonce,                ":hasNonce",                One(Boolean),        wanted(Key, HasNonce),                      Ours;
        RequestedKeyHasTargetAttestation,    ":hasTargetAttestation",    One(Boolean),        wanted(Key, HasTargetAttestation),          Ours;
        RequestedKeyTags,                    "/tags",                    Dictionary(String),  Body(Key, Tags),                            Ours;
    }
    @Request "Microsoft.KeyVault/vaults/keys/rotationPolicy" {
        RequestedKeyExpiryDays,              ":expiryDays",              One(Integer),        wanted(Key, ExpiryDays),                    Ours;
        RequestedKeyAutoRotate,              ":autoRotate",              One(Boolean),        wanted(Key, AutoRotate),                    Ours;
    }
    @Request "Microsoft.KeyVault/vaults/certificates" {
        RequestedCertificateName,            ":name",                    One(String),         Origin::Line(Name(Certificate)),                    Ours;
        RequestedCertificateEnabled,         ":enabled",                 One(Boolean),        wanted(Certificate, Enabled),               Ours;
        RequestedCertificateExpires,         ":expires",                 One(DateTime),       wanted(Certificate, Expires),               Ours;
        RequestedCertificateNotBefore,       ":notBefore",               One(DateTime),       wanted(Certificate, NotBefore),             Ours;
        RequestedCertificateIssuerName,      ":issuerName",              One(String),         wanted(Certificate, IssuerName),            Ours;
        RequestedCertificateSubject,         ":subject",                 One(String),         wanted(Certificate, Subject),               Ours;
        RequestedCertificateDnsNames,        ":dnsNames",                Many(String),        wanted(Certificate, DnsNames),              Ours;
        RequestedCertificateKeyType,         ":keyType",                 One(String),         wanted(Certificate, KeyType),               Ours;
        RequestedCertificateKeySize,         ":keySize",                 One(Integer),        wanted(Certificate, KeySize),               Ours;
        RequestedCertificateCurve,           ":curve",                   One(String),         wanted(Certificate, Curve),                 Ours;
        RequestedCertificateExportable,      ":exportable",              One(Boolean),        wanted(Certificate, Exportable),            Ours;
        RequestedCertificateValidityMonths,  ":validityMonths",          One(Integer),        wanted(Certificate, ValidityMonths),        Ours;
        RequestedCertificateExtendedKeyUsage, ":extendedKeyUsage",        Many(String),        wanted(Certificate, ExtendedKeyUsage),      Ours;
        RequestedCertificateTags,            "/tags",                    Dictionary(String),  Body(Certificate, Tags),                    Ours;
    }
    @Principal "Microsoft.Directory/CustomSecurityAttributes" {
        CustomSecurityAttributes,            "/Id",                      Shape::Custom,    Custom,                                     OtherService;
    }
    @Principal "Microsoft.Directory/principals" {
        PrincipalObjectId,                   ":objectId",                One(Guid),           Origin::Token(ObjectId),                            Ours;
        PrincipalAppId,                      ":appId",                   One(Guid),           Origin::Token(AppId),                               Ours;
        PrincipalTenantId,                   ":tenantId",                One(Guid),           Origin::Token(TenantId),                            Ours;
        PrincipalType,                       ":type",                    One(String),         Origin::Token(PrincipalType),                       Ours;
    }
    @Principal "Microsoft.Directory/groups" {
        GroupIds,                            ":id",                      Many(Guid),          Origin::Token(Groups),                              Ours;
    }
    @Principal "Microsoft.Directory/roles" {
        Roles,                               ":name",                    Many(String),        Origin::Token(Roles),                               Ours;
        Scopes,                              ":scopes",                  Many(String),        Origin::Token(Scopes),                              Ours;
    }
    @Principal "Microsoft.Directory/tokens" {
        AuthMethods,                         ":authMethods",             Many(String),        Origin::Token(AuthMethods),                         Ours;
        AuthContext,                         ":acr",                     One(String),         Origin::Token(AuthContext),                         Ours;
        AuthAgeSeconds,                      ":authAgeSeconds",          One(Integer),        Origin::Token(AuthAgeSeconds),                      Ours;
        IsCertificateBound,                  ":isCertificateBound",      One(Boolean),        Origin::Token(IsCertificateBound),                  Ours;
    }
    @Principal "Portcullis.Identity/workloads" {
        SpiffeId,                            ":spiffeId",                One(String),         Origin::Connection(SpiffeId),                       Ours;
        TrustDomain,                         ":trustDomain",             One(String),         Origin::Connection(TrustDomain),                    Ours;
        WorkloadNamespace,                   ":namespace",               One(String),         Origin::Token(Namespace),                           Ours;
        WorkloadServiceAccount,              ":serviceAccount",          One(String),         Origin::Token(ServiceAccount),                      Ours;
        WorkloadPodName,                     ":podName",                 One(String),         Origin::Token(PodName),                             Ours;
        WorkloadNodeName,                    ":nodeName",                One(String),         Origin::Token(NodeName),                            Ours;
    }
    @Environment "" {
        UtcNow,                              "UtcNow",                   One(DateTime),       Origin::Clock(UtcNow),                              OtherService;
        IsPrivateLink,                       "isPrivateLink",            One(Boolean),        Origin::Connection(IsPrivateLink),                  OtherService;
    }
    @Environment "Microsoft.Network" {
        PrivateEndpoint,                     "/privateEndpoints",        One(String),         Origin::Connection(PrivateEndpoint),                OtherService;
    }
    @Environment "Microsoft.Network/virtualNetworks" {
        Subnet,                              "/subnets",                 One(String),         Origin::Connection(Subnet),                         OtherService;
    }
    @Environment "Portcullis.Network/listeners" {
        ListenerName,                        ":name",                    One(String),         Origin::Connection(Listener),                       Ours;
    }
    @Environment "Portcullis.Network/clients" {
        ClientAddress,                       ":address",                 One(String),         Origin::Connection(Address),                        Ours;
        ClientRanges,                        ":ranges",                  Many(String),        Origin::Connection(Ranges),                         Ours;
    }
    @Environment "Portcullis.Tls/clients" {
        TlsIsMutual,                         ":isMutual",                One(Boolean),        Origin::Connection(IsMutual),                       Ours;
        TlsIssuer,                           ":issuer",                  One(String),         Origin::Connection(CertificateIssuer),              Ours;
        TlsSubject,                          ":subject",                 One(String),         Origin::Connection(CertificateSubject),             Ours;
        TlsThumbprint,                       ":thumbprint",              One(String),         Origin::Connection(CertificateThumbprint),          Ours;
        TlsProtocol,                         ":protocol",                One(String),         Origin::Connection(Protocol),                       Ours;
    }
    @Environment "Portcullis.Time/local" {
        LocalDayOfWeek,                      ":dayOfWeek",               One(String),         Origin::Clock(DayOfWeek),                           Ours;
        LocalHour,                           ":hour",                    One(Integer),        Origin::Clock(Hour),                                Ours;
    }
    @Environment "Portcullis.Deployment/proxy" {
        DeploymentEnvironment,               ":environment",             One(String),         Origin::Configuration(Environment),                 Ours;
        DeploymentRegion,                    ":region",                  One(String),         Origin::Configuration(Region),                      Ours;
    }
}

impl fmt::Display for Known {
    /// Writes it as a condition does; a dictionary without a key.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = self.row();
        write!(f, "@{:?}[{}]", row.source, row.path_and_name)
    }
}

//! Where the value of an attribute comes from, and with that what it costs to know it.

use super::property::Property;
use crate::abac::truth::Needs;
use crate::keyvault::ObjectType;

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The request line, which is parsed anyway.
    Line(Line),
    /// The request's body: what the caller wants an object to be.
    Body(ObjectType, Part),
    /// The vault's metadata: what an object is.
    Metadata(ObjectType, Part),
    /// The validated token.
    Token(Token),
    /// The client's connection.
    Connection(Connection),
    /// Configuration.
    Configuration(Configuration),
    /// The clock.
    Clock(Clock),
    /// The caller's custom security attributes, from the role data.
    Custom,
}

impl Origin {
    /// What has to be fetched before the value is known.
    pub const fn needs(self) -> Needs {
        match self {
            Self::Body(..) => Needs::BODY,
            Self::Metadata(_, Part::IsCurrent) => Needs::CURRENT_VERSION,
            Self::Metadata(_, Part::Property(_) | Part::Tags) => Needs::METADATA,
            Self::Line(_)
            | Self::Token(_)
            | Self::Connection(_)
            | Self::Configuration(_)
            | Self::Clock(_)
            | Self::Custom => Needs::NOTHING,
        }
    }
}

/// A part of a request line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line {
    /// The name of an object.
    Name(ObjectType),
    /// The version of an object, if the path names one.
    Version(ObjectType),
    /// Whether the path is that of a deleted object.
    IsDeleted(ObjectType),
    /// The name of a certificate issuer.
    Issuer,
    /// The method.
    Method,
    /// `api-version`
    ApiVersion,
    /// `maxresults`
    MaxResults,
    /// Whether the path of an object names a version.
    IsVersioned,
}

/// A part of what is said about an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// One of its properties.
    Property(Property),
    /// Its tags.
    Tags,
    /// Whether it is the current version.
    IsCurrent,
}

/// A claim of the token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    /// `oid`
    ObjectId,
    /// `appid` or `azp`
    AppId,
    /// `tid`
    TenantId,
    /// `idtyp`, in Azure RBAC's words.
    PrincipalType,
    /// `groups`
    Groups,
    /// `roles`
    Roles,
    /// `scp`
    Scopes,
    /// `amr`
    AuthMethods,
    /// `acr`
    AuthContext,
    /// How long ago `auth_time` was.
    AuthAgeSeconds,
    /// Whether the token is bound to a certificate.
    IsCertificateBound,
    /// The Kubernetes namespace.
    Namespace,
    /// The Kubernetes service account.
    ServiceAccount,
    /// The Kubernetes pod.
    PodName,
    /// The Kubernetes node.
    NodeName,
}

/// A fact about the client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    /// The listener.
    Listener,
    /// The client's address.
    Address,
    /// The configured ranges that hold it.
    Ranges,
    /// Whether it came over a private link.
    IsPrivateLink,
    /// The private endpoint.
    PrivateEndpoint,
    /// The subnet.
    Subnet,
    /// The TLS version.
    Protocol,
    /// Whether the client showed a certificate.
    IsMutual,
    /// The issuer of that certificate.
    CertificateIssuer,
    /// Its subject.
    CertificateSubject,
    /// Its thumbprint.
    CertificateThumbprint,
    /// Its SPIFFE id.
    SpiffeId,
    /// The trust domain of that id.
    TrustDomain,
}

/// A setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Configuration {
    /// The vault's name.
    VaultName,
    /// The vault's resource id.
    VaultId,
    /// The vault's region.
    VaultLocation,
    /// The vault's SKU.
    VaultSku,
    /// Whether the vault can be reached from public networks.
    VaultPublicNetworkAccess,
    /// Whether the vault has purge protection.
    VaultEnablePurgeProtection,
    /// Whether the vault has soft delete.
    VaultEnableSoftDelete,
    /// The vault's tags.
    VaultTags,
    /// The host name by which the request came.
    RouteName,
    /// The environment the proxy runs in.
    Environment,
    /// The region the proxy runs in.
    Region,
}

/// A reading of the clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Clock {
    /// Now, in UTC.
    UtcNow,
    /// The day of the week in the configured time zone.
    DayOfWeek,
    /// The hour there.
    Hour,
}

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

    /// What the value is, in a few words.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Line(line) => line.meaning(),
            Self::Body(_, part) | Self::Metadata(_, part) => match part {
                Part::Property(property) => property.meaning(),
                Part::Tags => "the tags",
                Part::IsCurrent => "whether the version is the current one",
            },
            Self::Token(token) => token.meaning(),
            Self::Connection(connection) => connection.meaning(),
            Self::Configuration(setting) => setting.meaning(),
            Self::Clock(reading) => reading.meaning(),
            Self::Custom => "a custom security attribute of the caller",
        }
    }
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

/// An enum whose variants are described in the reference as in the code.
macro_rules! described {
    ($(#[$doc:meta])* $name:ident { $($variant:ident $(($payload:ty))?: $meaning:literal;)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $(#[doc = $meaning] $variant $(($payload))?,)+
        }

        impl $name {
            /// What it is, in a few words.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant { .. } => $meaning,)+ }
            }
        }
    };
}

described! {
    /// A part of a request line.
    Line {
        Name(ObjectType): "the name of an object";
        Version(ObjectType): "the version of an object, if the path names one";
        IsDeleted(ObjectType): "whether the path is that of a deleted object";
        Issuer: "the name of a certificate issuer";
        Method: "the method";
        ApiVersion: "`api-version`";
        MaxResults: "`maxresults`";
        IsVersioned: "whether the path of an object names a version";
    }
}

described! {
    /// A claim of the token.
    Token {
        ObjectId: "`oid`";
        AppId: "`appid` or `azp`";
        TenantId: "`tid`";
        PrincipalType: "`User`, or `ServicePrincipal` for every application";
        Groups: "`groups`";
        Roles: "`roles`";
        Scopes: "`scp`";
        AuthMethods: "`amr`";
        AuthContext: "`acr`";
        AuthAgeSeconds: "how many seconds ago `auth_time` was";
        IsCertificateBound: "whether the token is bound to a certificate: never, bound tokens are refused";
        Namespace: "the Kubernetes namespace";
        ServiceAccount: "the Kubernetes service account";
        PodName: "the Kubernetes pod";
        NodeName: "the Kubernetes node";
    }
}

described! {
    /// A fact about the client's connection.
    Connection {
        Listener: "the name of the listener";
        Address: "the client's address";
        Ranges: "the names of the configured ranges that hold the client's address";
        IsPrivateLink: "whether it came over a private link";
        PrivateEndpoint: "the resource id of the private endpoint that leads to the listener";
        Subnet: "the resource id of the configured subnet";
        Protocol: "the TLS version";
        IsMutual: "whether the client showed a certificate";
        CertificateIssuer: "the issuer of the client's certificate";
        CertificateSubject: "the subject of the client's certificate";
        CertificateThumbprint: "SHA-256 of the client's certificate, in lower-case hexadecimal";
        SpiffeId: "the SPIFFE id in the client's certificate";
        TrustDomain: "the trust domain of the SPIFFE id";
    }
}

described! {
    /// A setting.
    Configuration {
        VaultName: "the vault's name";
        VaultId: "the vault's resource id";
        VaultLocation: "the vault's region";
        VaultSku: "the vault's SKU";
        VaultPublicNetworkAccess: "whether the vault can be reached from public networks";
        VaultEnablePurgeProtection: "whether the vault has purge protection";
        VaultEnableSoftDelete: "whether the vault has soft delete";
        VaultTags: "the vault's tags";
        RouteName: "the host name by which the request came";
        Environment: "the environment the proxy runs in";
        Region: "the region the proxy runs in";
    }
}

described! {
    /// A reading of the clock.
    Clock {
        UtcNow: "now, in UTC";
        DayOfWeek: "`Monday` to `Sunday`, in the configured time zone";
        Hour: "0 to 23, in the configured time zone";
    }
}

//! Who is asking: object ids, tenants, and what a validated token says.
//!
//! Azure RBAC knows a principal by its object id in a tenant, never by an application id, a user
//! name or an e-mail address: those are mutable or ambiguous.
//! Source: <https://learn.microsoft.com/entra/identity-platform/access-token-claims-reference>.

use std::fmt;
use std::str::FromStr;
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use thiserror::Error;
use uuid::Uuid;

/// A text that should have been a GUID.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("expected a GUID such as `0d9f8a7b-6c5d-4e3f-9a2b-1c0d9e8f7a6b`")]
pub struct GuidError;

/// A GUID in its hyphenated form; case does not matter, braces and URN forms are not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Guid(Uuid);

impl Guid {
    /// The all-zero GUID, which Azure uses for "every principal" in deny assignments.
    pub const ZERO: Self = Self(Uuid::nil());

    /// Wraps a 128-bit value.
    pub const fn from_u128(value: u128) -> Self {
        Self(Uuid::from_u128(value))
    }

    /// The 128-bit value.
    pub const fn as_uuid(self) -> Uuid {
        self.0
    }
}

impl FromStr for Guid {
    type Err = GuidError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // `Uuid` also reads braced, URN and unhyphenated forms; Azure writes only this one.
        if text.len() != 36 {
            return Err(GuidError);
        }
        Uuid::try_parse(text).map(Self).map_err(|_| GuidError)
    }
}

impl fmt::Display for Guid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.as_hyphenated(), f)
    }
}

macro_rules! guid_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(pub $crate::principal::Guid);

        impl ::std::str::FromStr for $name {
            type Err = $crate::principal::GuidError;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                text.parse().map(Self)
            }
        }

        impl ::std::fmt::Display for $name {
            fn fmt(&self, f: &mut ::std::fmt::Formatter<'_>) -> ::std::fmt::Result {
                ::std::fmt::Display::fmt(&self.0, f)
            }
        }
    };
}
pub(crate) use guid_type;

guid_type! {
    /// The object id of a user, group or service principal (`oid`, `principalId`).
    ObjectId
}
guid_type! {
    /// The id of an Entra tenant (`tid`).
    TenantId
}

/// What the token itself says about group membership.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum TokenGroups {
    /// The token carries no `groups` claim, as most Key Vault tokens do not, or it says that the
    /// list was too long to carry.
    Absent,
    /// The `groups` claim: transitive security groups.
    Present(Arc<[ObjectId]>),
}

/// Whether the token was issued to an application or to a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallerKind {
    /// An application acting for itself.
    App,
    /// A user, through some application.
    User,
}

impl CallerKind {
    /// The value of Azure's `idtyp` claim.
    pub const fn as_label(self) -> &'static str {
        match self {
            Self::App => "app",
            Self::User => "user",
        }
    }
}

/// What a validated token says. Made by [`crate::authn`] and by nothing else.
#[derive(Clone, Debug)]
pub struct Claims {
    /// The principal (`oid`).
    pub object_id: ObjectId,
    /// Its tenant (`tid`).
    pub tenant_id: TenantId,
    /// The client application (`appid` or `azp`), for the record only.
    pub app_id: Option<Box<str>>,
    /// The issuer text (`iss`), exactly as configured.
    pub issuer: Box<str>,
    /// The configured name of that issuer.
    pub issuer_name: Arc<str>,
    /// The token's own id (`uti` or `jti`), for correlation with sign-in logs.
    pub token_id: Option<Box<str>>,
    /// Application or user.
    pub kind: CallerKind,
    /// The `groups` claim.
    pub groups: TokenGroups,
    /// What else it says, for conditions.
    pub evidence: Evidence,
    /// When the token ends.
    pub expires_at: SystemTime,
}

/// What a token says about its principal and its sign-in, for conditions only: nothing of this
/// grants by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// App roles (`roles`).
    pub roles: Box<[Box<str>]>,
    /// Delegated scopes (`scp`).
    pub scopes: Box<[Box<str>]>,
    /// How the user signed in (`amr`).
    pub authentication_methods: Box<[Box<str>]>,
    /// The authentication context class (`acr`).
    pub authentication_context: Option<Box<str>>,
    /// When the user signed in (`auth_time`).
    pub authenticated_at: Option<SystemTime>,
    /// The Kubernetes workload it was issued to (`kubernetes.io`).
    pub workload: Option<Workload>,
}

/// A Kubernetes workload, from a bound service account token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Workload {
    /// Its namespace.
    pub namespace: Option<Box<str>>,
    /// Its service account.
    pub service_account: Option<Box<str>>,
    /// Its pod.
    pub pod: Option<Box<str>>,
    /// The node the pod runs on.
    pub node: Option<Box<str>>,
}

/// The authenticated principal of one request.
///
/// SECURITY: its existence means that signature, issuer, audience, tenant and time were checked;
/// only [`crate::authn`] makes one.
#[derive(Clone, Debug)]
pub struct Caller {
    claims: Claims,
    alias: OnceLock<[u8; 8]>,
}

impl Caller {
    /// Vouches for `claims`.
    pub(crate) const fn vouched(claims: Claims) -> Self {
        Self {
            claims,
            alias: OnceLock::new(),
        }
    }

    /// What the token says.
    pub const fn claims(&self) -> &Claims {
        &self.claims
    }

    /// What decision records call the token. `make` says it, and is asked once for all requests
    /// with the same token.
    pub fn alias(&self, make: impl FnOnce() -> [u8; 8]) -> [u8; 8] {
        *self.alias.get_or_init(make)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guid_is_read_in_any_case_and_written_in_lower_case() {
        let guid: Guid = "0D9F8A7B-6C5D-4E3F-9A2B-1C0D9E8F7A6B".parse().unwrap();
        assert_eq!(guid.to_string(), "0d9f8a7b-6c5d-4e3f-9a2b-1c0d9e8f7a6b");
    }

    #[test]
    fn other_spellings_of_a_guid_are_refused() {
        for text in [
            "",
            "0d9f8a7b6c5d4e3f9a2b1c0d9e8f7a6b",
            "{0d9f8a7b-6c5d-4e3f-9a2b-1c0d9e8f7a6b}",
            "urn:uuid:0d9f8a7b-6c5d-4e3f-9a2b-1c0d9e8f7a6b",
            "0d9f8a7b-6c5d-4e3f-9a2b-1c0d9e8f7a6",
            "0d9f8a7b-6c5d-4e3f-9a2b-1c0d9e8f7a6g",
            " 0d9f8a7b-6c5d-4e3f-9a2b-1c0d9e8f7a6",
        ] {
            assert_eq!(text.parse::<Guid>(), Err(GuidError), "{text}");
        }
    }
}

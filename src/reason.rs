//! Why a request was decided as it was: one closed list for the record, the metric and the answer.

macro_rules! reasons {
    ($($(#[$doc:meta])+ $name:ident = $label:literal,)+) => {
        /// Why a request was allowed, denied or could not be decided.
        ///
        /// The label is part of the product's interface: it appears in decision records, in the
        /// `reason` label of metrics and in the `x-portcullis-reason` header, and does not change
        /// its meaning.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Reason {
            $($(#[$doc])+ $name,)+
        }

        impl Reason {
            /// Every reason, for initialising metrics and for tests.
            pub const ALL: &'static [Self] = &[$(Self::$name),+];

            /// The stable text of this reason.
            pub const fn as_label(self) -> &'static str {
                match self { $(Self::$name => $label),+ }
            }
        }
    };
}

reasons! {
    /// No role assignment that applies here holds the DataAction, though one applies here.
    ActionNotGranted = "action_not_granted",
    /// The decision record could not be written.
    AuditUnavailable = "audit_unavailable",
    /// The request body broke off, or stands where Key Vault has none.
    BadBody = "bad_body",
    /// A header that must be single appears more than once, or `Connection` names one it may not.
    BadHeader = "bad_header",
    /// `Host`, `:authority`, SNI or an absolute-form target disagree or are malformed.
    BadHost = "bad_host",
    /// The path is not one that Key Vault has.
    BadPath = "bad_path",
    /// The query is malformed, repeats a name or has an unknown one.
    BadQuery = "bad_query",
    /// The token was refused.
    BadToken = "bad_token",
    /// The request body did not arrive in time.
    BodyTimeout = "body_timeout",
    /// The request body exceeds the configured size.
    BodyTooLarge = "body_too_large",
    /// The client went away before there was an answer.
    ClientGone = "client_gone",
    /// The condition on the nearest role assignment needs an attribute that the request lacks.
    ConditionAttributeMissing = "condition_attribute_missing",
    /// The condition on the nearest role assignment does not hold.
    ConditionFalse = "condition_false",
    /// The condition on the nearest role assignment cannot be read, so it never grants.
    ConditionUnsupported = "condition_unsupported",
    /// A deny assignment applies.
    DenyAssignment = "deny_assignment",
    /// The grant's time window has ended or not begun.
    ExpiredGrant = "expired_grant",
    /// Something broke here.
    InternalError = "internal_error",
    /// Signing keys were never loaded, or are older than their bound.
    KeysUnavailable = "keys_unavailable",
    /// A condition depends on the object's metadata, and the vault did not give it.
    MetadataUnavailable = "metadata_unavailable",
    /// The header asks for another verb than the request line has.
    MethodOverride = "method_override",
    /// No role assignment names the caller or a group of the caller.
    NoAssignment = "no_assignment",
    /// There is no token: the first call of every Azure SDK.
    NoToken = "no_token",
    /// The role has the action and takes it away again in `NotDataActions`.
    NotDataAction = "not_data_action",
    /// A role assignment allows it.
    OkAssignment = "ok_assignment",
    /// As many requests are being answered as may be at a time.
    Overload = "overload",
    /// A proof-of-possession token, which cannot pass a proxy.
    PopUnsupported = "pop_unsupported",
    /// The assignment's role definition is not in the data.
    RoleDefinitionUnknown = "role_definition_unknown",
    /// The caller holds the action, on another scope.
    ScopeMismatch = "scope_mismatch",
    /// Role assignments were never loaded.
    SnapshotMissing = "snapshot_missing",
    /// Role assignments are older than their bound.
    SnapshotStale = "snapshot_stale",
    /// The path and query are longer than any client's.
    TargetTooLong = "target_too_long",
    /// No Key Vault operation has this method and path.
    UnknownOperation = "unknown_operation",
    /// The host names no configured vault.
    UnknownVault = "unknown_vault",
    /// The vault could not be reached or answered wrongly.
    UpstreamError = "upstream_error",
    /// The vault took too long.
    UpstreamTimeout = "upstream_timeout",
    /// The token is of another tenant.
    WrongTenant = "wrong_tenant",
}
/// What became of a request: the `decision` of records and metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Verdict {
    /// It may be forwarded.
    Allow,
    /// It came without a token and was told which one to bring; every Azure SDK begins so.
    Challenge,
    /// It was decided, and refused.
    Deny,
    /// It could not be decided, or not be read. Never an allow, and not a denial either.
    Error,
}

impl Verdict {
    /// Every verdict.
    pub const ALL: [Self; 4] = [Self::Allow, Self::Challenge, Self::Deny, Self::Error];

    /// The stable text of this verdict.
    pub const fn as_label(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Challenge => "challenge",
            Self::Deny => "deny",
            Self::Error => "error",
        }
    }
}

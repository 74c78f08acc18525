//! Why a request was decided as it was: one closed list for the record, the metric and the answer.

/// Why a request was allowed, denied or could not be decided.
///
/// The label is part of the product's interface: it appears in decision records, in the `reason`
/// label of metrics and in the `x-portcullis-reason` header, and does not change its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reason {
    /// No role assignment that applies here holds the DataAction, though one applies here.
    ActionNotGranted,
    /// The decision record could not be written.
    AuditUnavailable,
    /// `Host`, `:authority`, SNI or an absolute-form target disagree or are malformed.
    BadHost,
    /// The path is not one that Key Vault has.
    BadPath,
    /// The query is malformed, repeats a name or has an unknown one.
    BadQuery,
    /// The token was refused.
    BadToken,
    /// The request body is too large, too slow or broken.
    BadBody,
    /// The client went away before the request was decided.
    ClientGone,
    /// A condition stands on the only assignments that would grant, and is not evaluated yet.
    ConditionUnsupported,
    /// A deny assignment applies.
    DenyAssignment,
    /// A header that must be single appears more than once, or `Connection` names one it may not.
    BadHeader,
    /// The grant's time window has ended or not begun.
    ExpiredGrant,
    /// Something broke here.
    InternalError,
    /// The header asks for another verb than the request line has.
    MethodOverride,
    /// No role assignment names the caller or a group of the caller.
    NoAssignment,
    /// There is no token: the first call of every Azure SDK.
    NoToken,
    /// The role has the action and takes it away again in `NotDataActions`.
    NotDataAction,
    /// A role assignment allows it.
    OkAssignment,
    /// Too many requests at once.
    Overload,
    /// A proof-of-possession token, which cannot pass a proxy.
    PopUnsupported,
    /// The assignment's role definition is not in the data.
    RoleDefinitionUnknown,
    /// The caller holds the action, on another scope.
    ScopeMismatch,
    /// Role assignments were never loaded.
    SnapshotMissing,
    /// Role assignments are older than their bound.
    SnapshotStale,
    /// Signing keys were never loaded, or are older than their bound.
    KeysUnavailable,
    /// No Key Vault operation has this method and path.
    UnknownOperation,
    /// The host names no configured vault.
    UnknownVault,
    /// The vault could not be reached or answered wrongly.
    UpstreamError,
    /// The vault took too long.
    UpstreamTimeout,
    /// The token is of another tenant.
    WrongTenant,
}

impl Reason {
    /// Every reason, for initialising metrics and for tests.
    pub const ALL: [Self; 30] = [
        Self::ActionNotGranted,
        Self::AuditUnavailable,
        Self::BadHost,
        Self::BadPath,
        Self::BadQuery,
        Self::BadToken,
        Self::BadBody,
        Self::ClientGone,
        Self::ConditionUnsupported,
        Self::DenyAssignment,
        Self::BadHeader,
        Self::ExpiredGrant,
        Self::InternalError,
        Self::MethodOverride,
        Self::NoAssignment,
        Self::NoToken,
        Self::NotDataAction,
        Self::OkAssignment,
        Self::Overload,
        Self::PopUnsupported,
        Self::RoleDefinitionUnknown,
        Self::ScopeMismatch,
        Self::SnapshotMissing,
        Self::SnapshotStale,
        Self::KeysUnavailable,
        Self::UnknownOperation,
        Self::UnknownVault,
        Self::UpstreamError,
        Self::UpstreamTimeout,
        Self::WrongTenant,
    ];

    /// The stable text of this reason.
    pub const fn as_label(self) -> &'static str {
        match self {
            Self::ActionNotGranted => "action_not_granted",
            Self::AuditUnavailable => "audit_unavailable",
            Self::BadHost => "bad_host",
            Self::BadPath => "bad_path",
            Self::BadQuery => "bad_query",
            Self::BadToken => "bad_token",
            Self::BadBody => "bad_body",
            Self::ClientGone => "client_gone",
            Self::ConditionUnsupported => "condition_unsupported",
            Self::DenyAssignment => "deny_assignment",
            Self::BadHeader => "bad_header",
            Self::ExpiredGrant => "expired_grant",
            Self::InternalError => "internal_error",
            Self::MethodOverride => "method_override",
            Self::NoAssignment => "no_assignment",
            Self::NoToken => "no_token",
            Self::NotDataAction => "not_data_action",
            Self::OkAssignment => "ok_assignment",
            Self::Overload => "overload",
            Self::PopUnsupported => "pop_unsupported",
            Self::RoleDefinitionUnknown => "role_definition_unknown",
            Self::ScopeMismatch => "scope_mismatch",
            Self::SnapshotMissing => "snapshot_missing",
            Self::SnapshotStale => "snapshot_stale",
            Self::KeysUnavailable => "keys_unavailable",
            Self::UnknownOperation => "unknown_operation",
            Self::UnknownVault => "unknown_vault",
            Self::UpstreamError => "upstream_error",
            Self::UpstreamTimeout => "upstream_timeout",
            Self::WrongTenant => "wrong_tenant",
        }
    }
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

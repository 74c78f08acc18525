//! Label values, as closed enums.

macro_rules! labels {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $name {
            $($(#[$variant_doc])* $variant,)+
        }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The value as it stands in the metric.
            pub const fn as_label(self) -> &'static str {
                match self { $(Self::$variant => $text),+ }
            }
        }
    };
}

labels! {
    /// Which cache was asked.
    Cache {
        /// What callers have in a vault, gathered from the role data in use.
        Entitlements = "entitlements",
        /// What vaults said about objects.
        Metadata = "metadata",
        /// Validated tokens.
        Token = "token",
    }
}

labels! {
    /// What a cache answered.
    CacheResult {
        /// It had the value.
        Hit = "hit",
        /// It did not.
        Miss = "miss",
        /// It had one that counts no longer.
        Stale = "stale",
    }
}

impl Cache {
    /// What this cache can answer. Entitlements are never stale: their key has the revision.
    pub(super) const fn results(self) -> &'static [CacheResult] {
        match self {
            Self::Entitlements => &[CacheResult::Hit, CacheResult::Miss],
            Self::Metadata | Self::Token => CacheResult::ALL,
        }
    }
}

labels! {
    /// The first digit of a status.
    CodeClass {
        /// 100 to 199.
        Informational = "1xx",
        /// 200 to 299.
        Success = "2xx",
        /// 300 to 399.
        Redirection = "3xx",
        /// 400 to 499.
        ClientError = "4xx",
        /// 500 and above.
        ServerError = "5xx",
    }
}

labels! {
    /// How a client's connection ended.
    ConnectionResult {
        /// It broke, or a time limit ended it.
        Aborted = "aborted",
        /// It was closed in good order.
        Closed = "closed",
        /// There was no TLS handshake.
        HandshakeFailed = "handshake_failed",
        /// It was closed at once, as its address had all it may have.
        Refused = "refused",
    }
}

labels! {
    /// Why there was no TLS handshake.
    HandshakeFailure {
        /// The client did not accept the certificate.
        Certificate = "certificate",
        /// There were too many, and it was the oldest.
        GaveWay = "gave_way",
        /// The connection broke.
        Io = "io",
        /// A process that may not connect to the Unix socket.
        PeerCredentials = "peer_credentials",
        /// The client spoke no TLS, or none in common.
        Protocol = "protocol",
        /// A load balancer did not begin by a usable header of the PROXY protocol.
        ProxyHeader = "proxy_header",
        /// It took too long.
        Timeout = "timeout",
    }
}

labels! {
    /// What came of reading a request's body because a condition depends on it.
    InspectionResult {
        /// There is no body.
        Absent = "absent",
        /// It broke off, or is not what can be decided on.
        Bad = "bad",
        /// It was read.
        Ok = "ok",
        /// It did not arrive in time.
        Timeout = "timeout",
        /// It has more bytes than are allowed.
        TooLarge = "too_large",
    }
}

labels! {
    /// What came of asking a vault about an object because a condition depends on it.
    MetadataResult {
        /// The vault could not answer, or its answer cannot be used.
        Error = "error",
        /// There is no such object.
        NotFound = "not_found",
        /// The vault answered.
        Ok = "ok",
        /// The vault does not take the caller's token for the question.
        Refused = "refused",
        /// It took too long.
        Timeout = "timeout",
    }
}

labels! {
    /// How the vault's answer contradicts an allow.
    Mismatch {
        /// The vault's firewall refused.
        FirewallForbidden = "allowed_but_403_firewall",
        /// The vault's own role assignments refused: the role data here is older, or wrong.
        RbacForbidden = "allowed_but_403_rbac",
        /// The vault refused the token.
        Unauthorized = "allowed_but_401",
    }
}

labels! {
    /// What became of an attempt to fetch signing keys.
    RefreshResult {
        /// The answer held no usable key; the keys in use stay.
        Empty = "empty",
        /// It could not be fetched or read; the keys in use stay.
        Failed = "failed",
        /// The keys were fetched.
        Ok = "ok",
    }
}

labels! {
    /// What became of an attempt to load role data.
    LoadResult {
        /// The data shrank sharply; it is held back until it is seen again.
        HeldBack = "held_back",
        /// A file could not be read.
        Io = "io",
        /// The data was loaded and is in use.
        Ok = "ok",
        /// A file is not what it should be.
        Schema = "schema",
        /// The files were read and hold what is in use.
        Unchanged = "unchanged",
    }
}

labels! {
    /// The kinds of thing counted in the role data.
    ObjectKind {
        /// Role assignments.
        Assignment = "assignment",
        /// Role assignments with a condition.
        Conditional = "conditional",
        /// Of those, the ones whose conditions are settled by the data action alone.
        ConditionFolded = "condition_folded",
        /// Role assignment names used twice for different things.
        Conflict = "conflict",
        /// Role assignments of principals that are deleted.
        DeletedPrincipal = "deleted_principal",
        /// Deny assignments.
        DenyAssignment = "deny_assignment",
        /// Principals whose groups are known.
        Group = "group",
        /// Conditions on role assignments from overlay files.
        OverlayCondition = "overlay_condition",
        /// Those of them whose role assignment is not in the data.
        OverlayOrphan = "overlay_orphan",
        /// Role definitions.
        Role = "role",
        /// PIM schedule instances.
        ScheduleInstance = "schedule_instance",
        /// Role assignments whose role definition is not in the data.
        UnknownRoleDefinition = "unknown_role_definition",
        /// Conditions that cannot be read: they never grant, and on a deny assignment always deny.
        UnsupportedCondition = "unsupported_condition",
    }
}

labels! {
    /// Where role data comes from.
    Source {
        /// Files.
        Files = "files",
    }
}

impl CodeClass {
    /// The class of a status.
    pub const fn of(status: u16) -> Self {
        match status / 100 {
            0 | 1 => Self::Informational,
            2 => Self::Success,
            3 => Self::Redirection,
            4 => Self::ClientError,
            _ => Self::ServerError,
        }
    }
}

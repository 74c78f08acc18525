//! Words and forms of the records that others need too.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;

/// Which error the vault answered: the `kv_error` of records and metrics.
///
/// Azure: `error.innererror.code` says more than `error.code` where both are present
/// (<https://learn.microsoft.com/azure/key-vault/general/rest-error-codes>).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum KvError {
    /// 409: the object is in another state than the operation needs.
    Conflict,
    /// 403 because of the vault's firewall.
    ForbiddenByFirewall,
    /// 403 because of an access policy, on a vault that does not use role assignments.
    ForbiddenByPolicy,
    /// 403 because of role assignments.
    ForbiddenByRbac,
    /// 404.
    NotFound,
    /// Any other error.
    Other,
    /// 429.
    Throttled,
    /// 401.
    Unauthorized,
}

impl KvError {
    /// Every error, for tests and for initialising metrics.
    pub const ALL: [Self; 8] = [
        Self::Conflict,
        Self::ForbiddenByFirewall,
        Self::ForbiddenByPolicy,
        Self::ForbiddenByRbac,
        Self::NotFound,
        Self::Other,
        Self::Throttled,
        Self::Unauthorized,
    ];

    /// Reads a status and, where the body was looked at, the innermost error code in it.
    ///
    /// `None` for a status below 400.
    pub fn classify(status: u16, code: Option<&str>) -> Option<Self> {
        if status < 400 {
            return None;
        }
        Some(match (status, code) {
            (403, Some("ForbiddenByRbac")) => Self::ForbiddenByRbac,
            (403, Some("ForbiddenByFirewall")) => Self::ForbiddenByFirewall,
            (403, Some("ForbiddenByPolicy" | "AccessDenied")) => Self::ForbiddenByPolicy,
            (401, _) => Self::Unauthorized,
            (404, _) => Self::NotFound,
            (409, _) => Self::Conflict,
            (429, _) => Self::Throttled,
            _ => Self::Other,
        })
    }

    /// The stable text of this error.
    pub const fn as_label(self) -> &'static str {
        match self {
            Self::Conflict => "Conflict",
            Self::ForbiddenByFirewall => "ForbiddenByFirewall",
            Self::ForbiddenByPolicy => "ForbiddenByPolicy",
            Self::ForbiddenByRbac => "ForbiddenByRbac",
            Self::NotFound => "NotFound",
            Self::Other => "other",
            Self::Throttled => "Throttled",
            Self::Unauthorized => "Unauthorized",
        }
    }
}

/// An instant, shown in UTC to the microsecond.
pub(super) struct Moment(pub(super) SystemTime);

impl std::fmt::Display for Moment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A clock outside the years 1 to 9999 is broken; the record is worth more than its time.
        let timestamp = Timestamp::try_from(self.0).unwrap_or(Timestamp::UNIX_EPOCH);
        write!(f, "{timestamp:.6}")
    }
}

/// `duration` in whole microseconds.
pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_utc_to_the_microsecond() {
        let moment = SystemTime::UNIX_EPOCH + Duration::from_micros(1_790_000_000_123_456);
        assert_eq!(Moment(moment).to_string(), "2026-09-21T14:13:20.123456Z");
        assert_eq!(
            Moment(SystemTime::UNIX_EPOCH).to_string(),
            "1970-01-01T00:00:00.000000Z"
        );
    }

    #[test]
    fn the_vaults_errors_are_told_apart() {
        for (status, code, expected) in [
            (200, None, None),
            (301, Some("ForbiddenByRbac"), None),
            (403, Some("ForbiddenByRbac"), Some(KvError::ForbiddenByRbac)),
            (403, Some("AccessDenied"), Some(KvError::ForbiddenByPolicy)),
            (403, Some("Forbidden"), Some(KvError::Other)),
            (403, None, Some(KvError::Other)),
            (404, Some("SecretNotFound"), Some(KvError::NotFound)),
            (429, None, Some(KvError::Throttled)),
            (500, Some("ForbiddenByRbac"), Some(KvError::Other)),
        ] {
            assert_eq!(
                KvError::classify(status, code),
                expected,
                "{status} {code:?}"
            );
        }
    }
}

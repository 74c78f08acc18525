//! The two kinds of line, as typed structs that serialise to the schema, version 1.
//!
//! `v` and `seq` are put in front by the writer, which alone knows the order.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use serde::Serialize;

use crate::rbac::AssignmentId;

use super::guard::DecisionId;
use super::text::Shown;

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

/// A line of type `decision`.
#[derive(Serialize)]
pub(super) struct DecisionRecord<'a> {
    #[serde(rename = "type")]
    pub(super) line_type: &'static str,
    pub(super) ts: Shown<Moment>,
    pub(super) inst: &'a str,
    pub(super) decision_id: Shown<DecisionId>,
    pub(super) mode: &'static str,
    pub(super) decision: &'static str,
    pub(super) reason: &'static str,
    pub(super) sub_reason: Option<&'static str>,
    pub(super) status: Option<u16>,
    pub(super) op: Option<&'static str>,
    /// Every one of these had to be allowed.
    pub(super) data_actions: Vec<&'static str>,
    pub(super) api_version: Option<&'a str>,
    pub(super) method: &'static str,
    pub(super) vault: Option<&'a str>,
    pub(super) resource_id: Option<Cow<'a, str>>,
    pub(super) object_type: Option<&'static str>,
    pub(super) object: Option<&'a str>,
    pub(super) object_version: Option<&'a str>,
    pub(super) caller: Option<CallerFields<'a>>,
    pub(super) client: ClientFields<'a>,
    pub(super) policy: Option<PolicyFields<'a>>,
    pub(super) dur_us: DecisionDurations,
    pub(super) trace: Option<TraceFields>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) truncated: Vec<&'static str>,
}

#[derive(Serialize)]
pub(super) struct CallerFields<'a> {
    pub(super) oid: Shown<crate::principal::ObjectId>,
    pub(super) appid: Option<Cow<'a, str>>,
    pub(super) tid: Shown<crate::principal::TenantId>,
    pub(super) idtyp: &'static str,
    pub(super) issuer: Cow<'a, str>,
    pub(super) token_id: Option<String>,
    pub(super) via: &'static str,
    pub(super) groups_n: Option<usize>,
}

#[derive(Serialize)]
pub(super) struct ClientFields<'a> {
    pub(super) listener: Cow<'a, str>,
    pub(super) ip: std::net::IpAddr,
    pub(super) tls: &'static str,
    pub(super) sni: Option<Cow<'a, str>>,
    pub(super) cert_sha256: Option<&'a str>,
    pub(super) ua: Option<Cow<'a, str>>,
    pub(super) request_id: Option<Cow<'a, str>>,
}

#[derive(Serialize)]
pub(super) struct PolicyFields<'a> {
    pub(super) snapshot: Cow<'a, str>,
    pub(super) snapshot_ts: Shown<Moment>,
    pub(super) stale_s: u64,
    pub(super) assignment: Option<Shown<AssignmentId>>,
    pub(super) role: Option<Cow<'a, str>>,
    pub(super) deny_assignment: Option<Shown<AssignmentId>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) pinned_version: Option<&'a str>,
    pub(super) nearest: Option<NearestFields<'a>>,
}

#[derive(Serialize)]
pub(super) struct NearestFields<'a> {
    pub(super) assignment: Option<Shown<AssignmentId>>,
    pub(super) role: Option<Cow<'a, str>>,
    pub(super) failed: &'static str,
    pub(super) detail: Option<Cow<'a, str>>,
}

#[derive(Serialize)]
pub(super) struct DecisionDurations {
    pub(super) authn: Option<u64>,
    pub(super) authz: Option<u64>,
    pub(super) total: u64,
}

#[derive(Serialize)]
pub(super) struct TraceFields {
    pub(super) trace_id: String,
    pub(super) span_id: String,
}

/// A line of type `result`.
#[derive(Serialize)]
pub(super) struct ResultRecord<'a> {
    #[serde(rename = "type")]
    pub(super) line_type: &'static str,
    pub(super) ts: Shown<Moment>,
    pub(super) inst: &'a str,
    pub(super) decision_id: Shown<DecisionId>,
    pub(super) status: Option<u16>,
    pub(super) reason: Option<&'static str>,
    pub(super) aborted: bool,
    pub(super) upstream: UpstreamFields<'a>,
    pub(super) dur_us: ResultDurations,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) truncated: Vec<&'static str>,
}

#[derive(Serialize)]
pub(super) struct UpstreamFields<'a> {
    pub(super) sent: bool,
    pub(super) status: Option<u16>,
    pub(super) kv_error: Option<&'static str>,
    pub(super) request_id: Option<Cow<'a, str>>,
    pub(super) assignment: Option<Shown<AssignmentId>>,
}

#[derive(Serialize)]
pub(super) struct ResultDurations {
    pub(super) upstream: Option<u64>,
    pub(super) total: u64,
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

/// Serialises a record to a JSON object without a line feed.
///
/// INVARIANT: the result begins with `{"`, which the writer relies on.
pub(super) fn to_json(record: &impl Serialize) -> Vec<u8> {
    let mut json = Vec::with_capacity(1024);
    // Structs of texts and numbers cannot fail to serialise, and memory takes all that is written.
    if serde_json::to_writer(&mut json, record).is_err() {
        return br#"{"type":"unserialisable"}"#.to_vec();
    }
    json
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

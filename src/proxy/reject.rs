//! Every answer that is ours and not the vault's: the only map from a failure to HTTP.
//!
//! A refusal has Key Vault's own JSON shape, so that SDKs print it, and says that it is ours: by
//! `innererror.code` and by the headers `x-portcullis-decision-id` and `x-portcullis-reason`. It
//! names the caller, the action and the resource, but no other principal.

use std::fmt::Write as _;

use http::header::{CACHE_CONTROL, CONTENT_TYPE, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use http::{Response, StatusCode};
use serde_json::json;

use super::body::{BodyDefect, RequestBodyError};
use super::headers::HeaderError;
use super::host::HostError;
use super::metadata::MetadataError;
use super::upstream::{UpstreamError, UpstreamErrorKind};
use crate::assignments::store::StoreError;
use crate::keyvault::route::RouteError;
use crate::principal::Claims;
use crate::rbac::{Denial, Scope};
use crate::reason::{Reason, Verdict};

/// The header that names the decision, to be found again in the decision record.
pub const DECISION_ID: &str = "x-portcullis-decision-id";
/// The header that names the reason.
pub const REASON: &str = "x-portcullis-reason";

/// How long a client should wait before it asks again when we could not decide, in seconds.
const RETRY_AFTER_SECONDS: u32 = 5;

/// The same when there are too many requests at a time: they are answered within moments.
const RETRY_AFTER_OVERLOAD_SECONDS: u32 = 1;

/// An answer of ours.
#[derive(Debug)]
pub struct Rejection {
    /// Why.
    pub reason: Reason,
    status: StatusCode,
    code: &'static str,
    message: String,
    challenge: Option<HeaderValue>,
    retry_after_seconds: u32,
}

impl Rejection {
    /// 401 with the challenge that every SDK expects.
    pub fn unauthenticated(reason: Reason, message: String, challenge: HeaderValue) -> Self {
        Self {
            reason,
            status: StatusCode::UNAUTHORIZED,
            code: "Unauthorized",
            message,
            challenge: Some(challenge),
            retry_after_seconds: RETRY_AFTER_SECONDS,
        }
    }

    /// Everything but 401 and 403; the status follows from the reason.
    pub fn because(reason: Reason, message: impl Into<String>) -> Self {
        let (status, code) = status_of(reason);
        Self {
            reason,
            status,
            code,
            message: message.into(),
            challenge: None,
            retry_after_seconds: RETRY_AFTER_SECONDS,
        }
    }

    /// 503 for one request too many.
    pub fn overload(message: &'static str) -> Self {
        Self {
            retry_after_seconds: RETRY_AFTER_OVERLOAD_SECONDS,
            ..Self::because(Reason::Overload, message)
        }
    }

    /// 403 with the lines of Key Vault's own.
    pub fn forbidden(
        denial: &Denial,
        claims: &Claims,
        resource: &Scope,
        vault: &VaultLine<'_>,
    ) -> Self {
        let (status, code) = status_of(denial.reason);
        let message = forbidden_text(denial, claims, resource, vault);
        Self {
            reason: denial.reason,
            status,
            code,
            message,
            challenge: None,
            retry_after_seconds: RETRY_AFTER_SECONDS,
        }
    }

    /// What kind of decision this is.
    pub fn verdict(&self) -> Verdict {
        if self.reason == Reason::NoToken {
            Verdict::Challenge
        } else if self.status.is_server_error() {
            Verdict::Error
        } else {
            Verdict::Deny
        }
    }

    /// The status.
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The response, with `decision_id` in its header.
    pub fn into_response(self, decision_id: &str) -> Response<String> {
        let inner = match self.status {
            // Byte for byte what the vault itself answers to an SDK's first call.
            StatusCode::UNAUTHORIZED => None,
            StatusCode::FORBIDDEN => Some("ForbiddenByPortcullis"),
            _ => Some("RefusedByPortcullis"),
        };
        let mut error = json!({ "code": self.code, "message": self.message });
        if let (Some(inner), Some(error)) = (inner, error.as_object_mut()) {
            error.insert("innererror".to_owned(), json!({ "code": inner }));
        }
        let mut response = Response::new(json!({ "error": error }).to_string());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/json; charset=utf-8"),
        );
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(REASON, HeaderValue::from_static(self.reason.as_label()));
        if let Ok(value) = HeaderValue::from_str(decision_id) {
            headers.insert(DECISION_ID, value);
        }
        if let Some(challenge) = self.challenge {
            headers.insert(WWW_AUTHENTICATE, challenge);
        }
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            headers.insert(RETRY_AFTER, self.retry_after_seconds.into());
        }
        response
    }
}

impl From<HostError> for Rejection {
    fn from(error: HostError) -> Self {
        let reason = match error {
            HostError::BadHost => Reason::BadHost,
            HostError::UnknownVault => Reason::UnknownVault,
        };
        Self::because(reason, error.to_string())
    }
}

impl From<HeaderError> for Rejection {
    fn from(error: HeaderError) -> Self {
        let reason = match error {
            HeaderError::MethodOverride => Reason::MethodOverride,
            HeaderError::Body(_) => Reason::BadBody,
            HeaderError::Connection
            | HeaderError::Expect
            | HeaderError::Framing
            | HeaderError::Repeated(_)
            | HeaderError::Te
            | HeaderError::Upgrade => Reason::BadHeader,
            HeaderError::Target => Reason::TargetTooLong,
        };
        Self::because(reason, error.to_string())
    }
}

impl From<RequestBodyError> for Rejection {
    fn from(error: RequestBodyError) -> Self {
        let reason = match error {
            RequestBodyError::Broken => Reason::BadBody,
            RequestBodyError::TimedOut => Reason::BodyTimeout,
            RequestBodyError::TooLarge => Reason::BodyTooLarge,
        };
        Self::because(reason, error.to_string())
    }
}

impl From<BodyDefect> for Rejection {
    fn from(defect: BodyDefect) -> Self {
        match defect {
            BodyDefect::Read(error) => error.into(),
            BodyDefect::Coding
            | BodyDefect::ContentType
            | BodyDefect::Malformed
            | BodyDefect::Spelling(_)
            | BodyDefect::Type(_) => Self::because(Reason::BadBody, defect.to_string()),
        }
    }
}

impl From<&MetadataError> for Rejection {
    fn from(error: &MetadataError) -> Self {
        let mut rejection = Self::because(Reason::MetadataUnavailable, error.to_string());
        if let Some(seconds) = error.retry_after_seconds {
            rejection.retry_after_seconds = seconds;
        }
        rejection
    }
}

impl From<&RouteError> for Rejection {
    fn from(error: &RouteError) -> Self {
        let reason = match error {
            RouteError::BadPath(_) | RouteError::BadName { .. } => Reason::BadPath,
            RouteError::BadQuery(_) => Reason::BadQuery,
            RouteError::NotForVaults(_) | RouteError::UnknownOperation { .. } => {
                Reason::UnknownOperation
            }
        };
        Self::because(reason, error.to_string())
    }
}

impl From<StoreError> for Rejection {
    fn from(error: StoreError) -> Self {
        let reason = match error {
            StoreError::Missing => Reason::SnapshotMissing,
            StoreError::Stale => Reason::SnapshotStale,
            StoreError::UnknownVault => Reason::UnknownVault,
        };
        Self::because(reason, error.to_string())
    }
}

impl From<&UpstreamError> for Rejection {
    fn from(error: &UpstreamError) -> Self {
        use UpstreamErrorKind as Kind;
        let reason = match error.kind() {
            Kind::RequestBroken => Reason::BadBody,
            Kind::RequestTimeout => Reason::BodyTimeout,
            Kind::RequestTooLarge => Reason::BodyTooLarge,
            Kind::ConnectTimeout | Kind::Deadline | Kind::FirstByteTimeout => {
                Reason::UpstreamTimeout
            }
            Kind::Unrepresentable => Reason::InternalError,
            Kind::AnswerAborted
            | Kind::AnswerCoding
            | Kind::AnswerHeaders
            | Kind::AnswerMalformed
            | Kind::AnswerTooLarge
            | Kind::Connect
            | Kind::ForeignLink
            | Kind::Loop
            | Kind::Protocol
            | Kind::Redirect
            | Kind::Resolve
            | Kind::Tls
            | Kind::Upgrade => Reason::UpstreamError,
        };
        Self::because(reason, error.kind().to_string())
    }
}

/// The last line of a 403.
#[derive(Clone, Copy, Debug)]
pub struct VaultLine<'a> {
    /// The vault's name.
    pub name: &'a str,
    /// Its region.
    pub location: Option<&'a str>,
}

/// The status and Key Vault's `error.code` for a reason.
///
/// "Denied" is 403; "could not decide" is 5xx and is never cached as a denial.
const fn status_of(reason: Reason) -> (StatusCode, &'static str) {
    match reason {
        Reason::NoToken | Reason::BadToken | Reason::WrongTenant | Reason::PopUnsupported => {
            (StatusCode::UNAUTHORIZED, "Unauthorized")
        }
        Reason::BadPath
        | Reason::BadQuery
        | Reason::BadHeader
        | Reason::MethodOverride
        | Reason::UnknownOperation
        | Reason::BadBody => (StatusCode::BAD_REQUEST, "BadParameter"),
        Reason::BodyTimeout => (StatusCode::REQUEST_TIMEOUT, "RequestTimeout"),
        Reason::BodyTooLarge => (StatusCode::PAYLOAD_TOO_LARGE, "RequestTooLarge"),
        Reason::TargetTooLong => (StatusCode::URI_TOO_LONG, "RequestUriTooLong"),
        Reason::BadHost | Reason::UnknownVault => {
            (StatusCode::MISDIRECTED_REQUEST, "MisdirectedRequest")
        }
        Reason::ActionNotGranted
        | Reason::ConditionAttributeMissing
        | Reason::ConditionFalse
        | Reason::ConditionUnsupported
        | Reason::DenyAssignment
        | Reason::ExpiredGrant
        | Reason::NoAssignment
        | Reason::NotDataAction
        | Reason::RoleDefinitionUnknown
        | Reason::ScopeMismatch => (StatusCode::FORBIDDEN, "Forbidden"),
        Reason::AuditUnavailable
        | Reason::KeysUnavailable
        | Reason::MetadataUnavailable
        | Reason::Overload
        | Reason::SnapshotMissing
        | Reason::SnapshotStale => (StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable"),
        Reason::UpstreamError => (StatusCode::BAD_GATEWAY, "BadGateway"),
        Reason::UpstreamTimeout => (StatusCode::GATEWAY_TIMEOUT, "GatewayTimeout"),
        // An allowed request is answered by the vault; a client that left is answered by nobody.
        Reason::InternalError | Reason::OkAssignment | Reason::ClientGone => {
            (StatusCode::INTERNAL_SERVER_ERROR, "InternalServerError")
        }
    }
}

fn forbidden_text(
    denial: &Denial,
    claims: &Claims,
    resource: &Scope,
    vault: &VaultLine<'_>,
) -> String {
    let mut text = String::from(
        "Caller is not authorized to perform action on resource.\r\n\
         If role assignments, deny assignments or role definitions were changed recently, please observe propagation time.\r\n\
         Caller: ",
    );
    // Writing to a `String` cannot fail.
    if let Some(app_id) = &claims.app_id {
        let _ = write!(text, "appid={app_id};");
    }
    let _ = write!(text, "oid={};iss={}\r\n", claims.object_id, claims.issuer);
    let _ = write!(
        text,
        "Action: '{}'\r\nResource: '{resource}'\r\n",
        denial.data_action
    );
    match &denial.nearest {
        None => text.push_str("Assignment: (not found)\r\n"),
        Some(nearest) => {
            let role = nearest
                .role_name
                .as_deref()
                .unwrap_or("definition not known");
            let _ = write!(
                text,
                "Assignment: (not found); nearest: '{}' of role '{role}' at '{}': {}\r\n",
                nearest.assignment, nearest.scope, nearest.miss,
            );
        }
    }
    match denial.deny_assignment {
        None => text.push_str("DenyAssignmentId: null\r\n"),
        Some(id) => {
            let _ = write!(text, "DenyAssignmentId: '{id}'");
            if let Some(doubt) = &denial.deny_doubt {
                let _ = write!(text, "; {doubt}");
            }
            text.push_str("\r\n");
        }
    }
    let _ = write!(text, "DecisionReason: '{}' \r\n", denial.reason.as_label());
    if !denial.membership_known {
        text.push_str("Groups: the caller's group membership is not known to Portcullis\r\n");
    }
    let _ = write!(text, "Vault: {}", vault.name);
    if let Some(location) = vault.location {
        let _ = write!(text, ";location={location}");
    }
    text.push_str("\r\nDecided by: Portcullis, before the vault was asked\r\n");
    text
}

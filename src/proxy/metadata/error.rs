//! Why the metadata of an object is not known.

use http::StatusCode;
use thiserror::Error;

use crate::metrics::MetadataResult;
use crate::proxy::upstream::{UpstreamError, UpstreamErrorKind};

/// Why a question about an object has no answer to decide on.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum MetadataDefect {
    /// Which version is the current one cannot be told.
    #[error("the current version cannot be told from another of the same second")]
    Ambiguous,
    /// The answer is not what such an answer is.
    #[error("the vault's answer is malformed")]
    Malformed,
    /// The vault does not take the caller's token for this question.
    #[error("the vault refused the caller's token")]
    Refused,
    /// The vault has too much to do.
    #[error("the vault is throttling")]
    Throttled,
    /// It took too long.
    #[error("the vault did not answer in time")]
    Timeout,
    /// The object has more versions than are looked at, or the answer is too large.
    #[error("the vault's answer is too long")]
    TooLong,
    /// The vault could not be reached, or has troubles of its own.
    #[error("the vault could not answer")]
    Unavailable,
}

impl MetadataDefect {
    /// The stable text of this defect.
    pub const fn as_label(self) -> &'static str {
        match self {
            Self::Ambiguous => "metadata_ambiguous",
            Self::Malformed => "metadata_malformed",
            Self::Refused => "metadata_refused",
            Self::Throttled => "metadata_throttled",
            Self::Timeout => "metadata_timeout",
            Self::TooLong => "metadata_too_long",
            Self::Unavailable => "metadata_unavailable",
        }
    }

    /// As what it is counted.
    pub(super) const fn result(self) -> MetadataResult {
        match self {
            Self::Refused => MetadataResult::Refused,
            Self::Timeout => MetadataResult::Timeout,
            Self::Ambiguous
            | Self::Malformed
            | Self::Throttled
            | Self::TooLong
            | Self::Unavailable => MetadataResult::Error,
        }
    }

    /// What an answer with this status comes to, if it is neither a success nor 404.
    pub(super) const fn of_status(status: StatusCode) -> Self {
        match status {
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Self::Refused,
            StatusCode::TOO_MANY_REQUESTS => Self::Throttled,
            _ => Self::Unavailable,
        }
    }
}

/// The metadata of an object is not known, so the request cannot be decided. Never a denial.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("the decision depends on the object's metadata: {defect}")]
pub struct MetadataError {
    /// Why.
    pub defect: MetadataDefect,
    /// How many seconds the vault wants to be left alone.
    pub retry_after_seconds: Option<u32>,
}

impl From<MetadataDefect> for MetadataError {
    fn from(defect: MetadataDefect) -> Self {
        Self {
            defect,
            retry_after_seconds: None,
        }
    }
}

impl From<&UpstreamError> for MetadataError {
    fn from(error: &UpstreamError) -> Self {
        use UpstreamErrorKind as Kind;
        let defect = match error.kind() {
            Kind::ConnectTimeout | Kind::Deadline | Kind::FirstByteTimeout => {
                MetadataDefect::Timeout
            }
            Kind::AnswerTooLarge => MetadataDefect::TooLong,
            Kind::AnswerCoding
            | Kind::AnswerHeaders
            | Kind::AnswerMalformed
            | Kind::ForeignLink
            | Kind::Redirect
            | Kind::Upgrade => MetadataDefect::Malformed,
            Kind::AnswerAborted
            | Kind::Connect
            | Kind::Loop
            | Kind::Protocol
            | Kind::RequestBroken
            | Kind::RequestTimeout
            | Kind::RequestTooLarge
            | Kind::Resolve
            | Kind::Tls
            | Kind::Unrepresentable => MetadataDefect::Unavailable,
        };
        defect.into()
    }
}

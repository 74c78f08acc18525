//! Why an operation was not forwarded, or its answer not relayed.

use std::error::Error as StdError;

use thiserror::Error;

use crate::proxy::body::RequestBodyError;
use crate::proxy::connect::ConnectError;
use crate::proxy::headers::AnswerHeaderError;
use crate::proxy::links::LinkError;

/// Why there is no answer of the vault for the client.
///
/// Those that begin with `Request` are about the client's body; the time-outs are
/// [`Self::ConnectTimeout`], [`Self::Deadline`] and [`Self::FirstByteTimeout`]; all others mean
/// that the vault could not be reached or answered what cannot be passed on.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq, Hash)]
pub enum UpstreamErrorKind {
    /// The vault broke off its answer before it could be looked into.
    #[error("the vault broke off its answer")]
    AnswerAborted,
    /// The answer's coding hides its links.
    #[error("the vault's answer has a content coding that cannot be undone")]
    AnswerCoding,
    /// The answer's headers can be read in two ways.
    #[error("the vault's answer has headers with two readings")]
    AnswerHeaders,
    /// A successful answer is not the JSON it claims to be.
    #[error("the vault's answer is not valid JSON")]
    AnswerMalformed,
    /// The answer is too large for its links to be rewritten.
    #[error("the vault's answer is too large to be rewritten")]
    AnswerTooLarge,
    /// No address of the vault accepts a connection.
    #[error("cannot connect to the vault")]
    Connect,
    /// Connecting took too long.
    #[error("connecting to the vault took too long")]
    ConnectTimeout,
    /// The request's whole time is over.
    #[error("the request took too long")]
    Deadline,
    /// The vault did not begin to answer in time.
    #[error("the vault did not answer in time")]
    FirstByteTimeout,
    /// The answer has a link to another host.
    #[error("the vault's answer has a link to another host")]
    ForeignLink,
    /// The vault's address is one of our own.
    #[error("the vault's name leads back to this proxy")]
    Loop,
    /// The vault broke the connection or the protocol.
    #[error("the vault broke the connection or the protocol")]
    Protocol,
    /// The vault answered with a redirect, which no vault does.
    #[error("the vault answered with a redirect")]
    Redirect,
    /// The client broke off its body.
    #[error("the request body broke off")]
    RequestBroken,
    /// The client's body did not arrive in time.
    #[error("the request body did not arrive in time")]
    RequestTimeout,
    /// The client's body is too large.
    #[error("the request body is too large")]
    RequestTooLarge,
    /// The vault's name has no address.
    #[error("cannot resolve the vault's name")]
    Resolve,
    /// The vault's certificate is not trusted, or there is no common TLS.
    #[error("the TLS handshake with the vault failed")]
    Tls,
    /// The request cannot be written; parsed operations always can.
    #[error("the request cannot be written")]
    Unrepresentable,
    /// The vault wants to change the protocol.
    #[error("the vault answered with an upgrade")]
    Upgrade,
}

impl UpstreamErrorKind {
    /// Every kind, for initialising metrics.
    pub const ALL: [Self; 20] = [
        Self::AnswerAborted,
        Self::AnswerCoding,
        Self::AnswerHeaders,
        Self::AnswerMalformed,
        Self::AnswerTooLarge,
        Self::Connect,
        Self::ConnectTimeout,
        Self::Deadline,
        Self::FirstByteTimeout,
        Self::ForeignLink,
        Self::Loop,
        Self::Protocol,
        Self::Redirect,
        Self::RequestBroken,
        Self::RequestTimeout,
        Self::RequestTooLarge,
        Self::Resolve,
        Self::Tls,
        Self::Unrepresentable,
        Self::Upgrade,
    ];

    /// The stable text of this kind.
    pub const fn as_label(self) -> &'static str {
        match self {
            Self::AnswerAborted => "answer_aborted",
            Self::AnswerCoding => "answer_coding",
            Self::AnswerHeaders => "answer_headers",
            Self::AnswerMalformed => "answer_malformed",
            Self::AnswerTooLarge => "answer_too_large",
            Self::Connect => "connect",
            Self::ConnectTimeout => "connect_timeout",
            Self::Deadline => "deadline",
            Self::FirstByteTimeout => "first_byte_timeout",
            Self::ForeignLink => "foreign_link",
            Self::Loop => "loop",
            Self::Protocol => "protocol",
            Self::Redirect => "redirect",
            Self::RequestBroken => "request_broken",
            Self::RequestTimeout => "request_timeout",
            Self::RequestTooLarge => "request_too_large",
            Self::Resolve => "resolve",
            Self::Tls => "tls",
            Self::Unrepresentable => "unrepresentable",
            Self::Upgrade => "upgrade",
        }
    }
}

impl From<LinkError> for UpstreamErrorKind {
    fn from(error: LinkError) -> Self {
        match error {
            LinkError::Coding => Self::AnswerCoding,
            LinkError::Foreign => Self::ForeignLink,
            LinkError::Malformed => Self::AnswerMalformed,
            LinkError::TooLarge => Self::AnswerTooLarge,
        }
    }
}

impl From<AnswerHeaderError> for UpstreamErrorKind {
    fn from(_: AnswerHeaderError) -> Self {
        Self::AnswerHeaders
    }
}

impl From<RequestBodyError> for UpstreamErrorKind {
    fn from(error: RequestBodyError) -> Self {
        match error {
            RequestBodyError::Broken => Self::RequestBroken,
            RequestBodyError::TimedOut => Self::RequestTimeout,
            RequestBodyError::TooLarge => Self::RequestTooLarge,
        }
    }
}

impl From<&ConnectError> for UpstreamErrorKind {
    fn from(error: &ConnectError) -> Self {
        match error {
            ConnectError::Loop(_) => Self::Loop,
            ConnectError::Resolve(_) => Self::Resolve,
            ConnectError::Tcp(_) => Self::Connect,
            ConnectError::Timeout => Self::ConnectTimeout,
            ConnectError::Tls(_) => Self::Tls,
        }
    }
}

/// Why there is no lane to send on. Nothing was sent.
#[derive(Debug, Error)]
pub(super) enum NoLane {
    #[error(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    Http(#[from] hyper::Error),
}

/// Why there is no answer, and whether the vault may have acted all the same.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{kind}")]
pub struct UpstreamError {
    kind: UpstreamErrorKind,
    may_have_been_sent: bool,
    detail: Option<Box<str>>,
}

impl UpstreamError {
    pub(super) const fn new(kind: UpstreamErrorKind, may_have_been_sent: bool) -> Self {
        Self {
            kind,
            may_have_been_sent,
            detail: None,
        }
    }

    /// Nothing left for the vault.
    pub(super) const fn unsent(kind: UpstreamErrorKind) -> Self {
        Self::new(kind, false)
    }

    /// The vault may have the request.
    pub(super) const fn sent(kind: UpstreamErrorKind) -> Self {
        Self::new(kind, true)
    }

    /// There was no lane to send on.
    pub(super) fn no_lane(cause: &NoLane) -> Self {
        let kind = match cause {
            NoLane::Connect(cause) => cause.into(),
            NoLane::Http(_) => UpstreamErrorKind::Protocol,
        };
        Self {
            kind,
            may_have_been_sent: false,
            detail: Some(detail(cause)),
        }
    }

    /// Reads what the HTTP library says of an exchange; `body` is what became of the client's body.
    pub(super) fn broken(cause: &hyper::Error, body: Option<RequestBodyError>) -> Self {
        Self {
            // A body that nobody read to its end because the vault broke off is the vault's doing.
            kind: find::<RequestBodyError>(cause)
                .copied()
                .or(body.filter(|defect| *defect != RequestBodyError::Broken))
                .map_or(UpstreamErrorKind::Protocol, Into::into),
            // "Cancelled" is what hyper calls a request it never began.
            may_have_been_sent: !cause.is_canceled(),
            detail: Some(detail(cause)),
        }
    }

    /// Why there is no answer.
    pub const fn kind(&self) -> UpstreamErrorKind {
        self.kind
    }

    /// Whether the vault may have received the request, and acted on it.
    pub const fn may_have_been_sent(&self) -> bool {
        self.may_have_been_sent
    }

    /// What the connection or the HTTP library said, for logs; never part of an answer.
    pub fn detail(&self) -> Option<&str> {
        self.detail.as_deref()
    }
}

fn find<'a, E: StdError + 'static>(error: &'a (dyn StdError + 'static)) -> Option<&'a E> {
    causes(error).find_map(|cause| cause.downcast_ref())
}

/// The innermost cause, which is the one that says something.
fn detail(error: &(dyn StdError + 'static)) -> Box<str> {
    causes(error)
        .last()
        .map_or_else(String::new, ToString::to_string)
        .into()
}

fn causes<'a>(
    error: &'a (dyn StdError + 'static),
) -> impl Iterator<Item = &'a (dyn StdError + 'static)> {
    let mut next = Some(error);
    std::iter::from_fn(move || {
        let cause = next?;
        next = cause.source();
        Some(cause)
    })
}

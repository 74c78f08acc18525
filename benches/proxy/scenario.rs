//! What is asked of the proxies.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

/// One way of asking.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Scenario {
    /// HTTP/1.1, kept connections, one known token
    H1Hot,
    /// HTTP/2, kept connections, one known token
    H2Hot,
    /// HTTP/1.1, kept connections, a token never seen with every request
    H1New,
    /// HTTP/2, kept connections, a token never seen with every request
    H2New,
    /// HTTP/1.1, a new connection with a full handshake for every request
    Connect,
    /// HTTP/1.1, a new connection with a resumed session for every request
    Resume,
    /// HTTP/1.1, kept connections, no token: 401 where tokens are checked
    NoToken,
    /// HTTP/1.1, kept connections, a known caller who may not: 403 where that is checked
    Forbidden,
}

impl Scenario {
    /// Every scenario.
    pub(crate) const ALL: [Self; 8] = [
        Self::H1Hot,
        Self::H2Hot,
        Self::H1New,
        Self::H2New,
        Self::Connect,
        Self::Resume,
        Self::NoToken,
        Self::Forbidden,
    ];

    /// What it is, for a heading.
    pub(crate) const fn title(self) -> &'static str {
        match self {
            Self::H1Hot => "HTTP/1.1, known token",
            Self::H2Hot => "HTTP/2, known token",
            Self::H1New => "HTTP/1.1, new token each time",
            Self::H2New => "HTTP/2, new token each time",
            Self::Connect => "new TLS connection each time",
            Self::Resume => "new TLS connection each time, resumed",
            Self::NoToken => "no token",
            Self::Forbidden => "caller without a role",
        }
    }

    pub(crate) const fn is_http2(self) -> bool {
        matches!(self, Self::H2Hot | Self::H2New)
    }

    pub(crate) const fn has_new_tokens(self) -> bool {
        matches!(self, Self::H1New | Self::H2New)
    }
}

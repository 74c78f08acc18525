//! What authentication tells those who count.

use std::fmt;
use std::time::SystemTime;

use super::error::TokenDefect;

/// What happened at one look into the cache of validated tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum CacheLookup {
    /// The token was there and is still good.
    Hit,
    /// The token was not there.
    Miss,
    /// The token was there and no longer counts: its time, its entry's time or its key has gone.
    Stale,
}

/// How one attempt to read an issuer's keys ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RefreshResult {
    /// The discovery document was unreadable, or named another issuer or a foreign key address.
    Discovery,
    /// The key document was read and is unusable: malformed, empty, too many keys.
    Document,
    /// The document could not be had: connection, TLS, status, redirect, time-out, size, file.
    Fetch,
    /// Keys were read.
    Ok,
}

/// Receives what is worth counting. Issuers are named by their configured name, so every label is
/// bounded. Called on the request path: an implementation must be quick and must not block.
pub trait AuthnEvents: fmt::Debug + Send + Sync + 'static {
    /// Credentials were judged: accepted, or refused for the given defect, which is neither
    /// [`TokenDefect::NoToken`] nor [`TokenDefect::Internal`].
    fn token_judged(&self, issuer: &str, result: Result<(), TokenDefect>);

    /// A validated token was looked for in the cache.
    fn cache_consulted(&self, lookup: CacheLookup);

    /// An attempt to read an issuer's keys ended. After [`RefreshResult::Ok`], `keys` is the number
    /// of keys now in use and `at` the time as of which they are known to be current; otherwise the
    /// keys in use stay as they were and both are theirs: 0 and `None` if there never were any.
    fn keys_refreshed(
        &self,
        issuer: &str,
        result: RefreshResult,
        keys: usize,
        at: Option<SystemTime>,
    );
}

/// Counts nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoEvents;

impl AuthnEvents for NoEvents {
    fn token_judged(&self, _issuer: &str, _result: Result<(), TokenDefect>) {}

    fn cache_consulted(&self, _lookup: CacheLookup) {}

    fn keys_refreshed(
        &self,
        _issuer: &str,
        _result: RefreshResult,
        _keys: usize,
        _at: Option<SystemTime>,
    ) {
    }
}

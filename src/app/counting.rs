//! What the adapters tell, handed to the metrics.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use crate::authn::{AuthnEvents, CacheLookup, RefreshResult, TokenDefect};
use crate::config;
use crate::metrics::{
    self, Cache, CacheResult, ConnectionResult, Held, IssuerMetrics, ListenerMetrics, Metrics,
};
use crate::proxy::listen::{CloseReason, HandshakeFailure, ListenEvent};
use crate::tls::RenewalEvent;

/// Counts what authentication tells.
#[derive(Debug)]
pub(super) struct AuthnCounters {
    issuers: HashMap<Arc<str>, IssuerMetrics>,
    metrics: Arc<Metrics>,
}

impl AuthnCounters {
    pub(super) fn new(issuers: &[config::Issuer], metrics: Arc<Metrics>) -> Self {
        let counters = |issuer: &config::Issuer| {
            let counters = metrics.issuer(&issuer.name);
            // The other two are never told: one is a challenge, one has no issuer.
            let told = |defect: &TokenDefect| {
                !matches!(defect, TokenDefect::NoToken | TokenDefect::Internal)
            };
            let results = TokenDefect::ALL.into_iter().filter(told);
            counters.expect_results(results.map(TokenDefect::as_label));
            (Arc::clone(&issuer.name), counters)
        };
        Self {
            issuers: issuers.iter().map(counters).collect(),
            metrics,
        }
    }
}

impl AuthnEvents for AuthnCounters {
    fn token_judged(&self, issuer: &str, result: Result<(), TokenDefect>) {
        if let Some(counters) = self.issuers.get(issuer) {
            counters.authenticated(result.map_or_else(TokenDefect::as_label, |()| "ok"));
        }
    }

    fn cache_consulted(&self, lookup: CacheLookup) {
        let result = match lookup {
            CacheLookup::Hit => CacheResult::Hit,
            CacheLookup::Miss => CacheResult::Miss,
            CacheLookup::Stale => CacheResult::Stale,
        };
        self.metrics.cache(Cache::Token, result);
    }

    fn keys_refreshed(
        &self,
        issuer: &str,
        result: RefreshResult,
        keys: usize,
        at: Option<SystemTime>,
    ) {
        if let Some(counters) = self.issuers.get(issuer) {
            counters.refreshed(refreshed(result));
            if let Some(at) = at {
                counters.keys(keys, at);
            }
        }
    }
}

/// Counts what one listener tells.
#[derive(Clone, Debug)]
pub(super) struct ListenCounters {
    counters: ListenerMetrics,
    /// One for each open connection; which one ends does not matter.
    open: Arc<Mutex<Vec<Held>>>,
}

impl ListenCounters {
    pub(super) fn new(counters: ListenerMetrics) -> Self {
        Self {
            counters,
            open: Arc::default(),
        }
    }

    pub(super) fn count(&self, event: ListenEvent) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            ListenEvent::AcceptFailed => self.counters.connection_ended(ConnectionResult::Aborted),
            ListenEvent::Opened => open.push(self.counters.connection()),
            ListenEvent::Refused => self.counters.connection_ended(ConnectionResult::Refused),
            ListenEvent::Closed(reason) => {
                drop(open.pop());
                self.counters.connection_ended(ended(reason));
            }
            ListenEvent::HandshakeFailed(failure) => {
                self.counters.handshake_failed(handshake(failure));
                self.counters
                    .connection_ended(ConnectionResult::HandshakeFailed);
            }
            ListenEvent::RequestRefused(defect) => self.counters.head_refused(defect.as_label()),
        }
    }
}

/// Tells and counts what becomes of one listener's certificate, or of the CAs of its clients.
#[derive(Debug)]
pub(super) struct RenewalCounters {
    listener: Arc<str>,
    counters: ListenerMetrics,
    what: Renewed,
    /// The trouble that was told last; the same again is counted only.
    trouble: Mutex<Option<String>>,
}

/// What is renewed.
#[derive(Clone, Copy, Debug)]
pub(super) enum Renewed {
    Certificate,
    ClientCas,
}

impl RenewalCounters {
    pub(super) fn new(listener: &Arc<str>, counters: ListenerMetrics, what: Renewed) -> Self {
        Self {
            listener: Arc::clone(listener),
            counters,
            what,
            trouble: Mutex::default(),
        }
    }

    /// Takes note of what is in use, and when it ends and the CA that it is from.
    pub(super) fn in_use(&self, not_after: i64, issuer_not_after: Option<i64>) {
        match self.what {
            Renewed::Certificate => {
                self.counters
                    .certificate_renewed(not_after, issuer_not_after);
            }
            Renewed::ClientCas => self.counters.client_cas_renewed(not_after),
        }
    }

    pub(super) fn take(&self, event: &RenewalEvent) {
        let (listener, what) = (&*self.listener, self.what.in_words());
        let mut told = self.trouble.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            RenewalEvent::Renewed {
                not_after,
                issuer_not_after,
            } => {
                self.in_use(*not_after, *issuer_not_after);
                *told = None;
                tracing::info!(listener, what, not_after, "renewed");
            }
            RenewalEvent::Unchanged => *told = None,
            RenewalEvent::Panicked => {
                self.failed();
                tracing::error!(listener, what, "a defect ended the look for another one");
            }
            RenewalEvent::Failed(error) => {
                self.failed();
                let trouble = error.to_string();
                if told.as_ref() != Some(&trouble) {
                    let error = &*trouble;
                    tracing::error!(listener, what, error, "cannot be renewed; kept as it was");
                    *told = Some(trouble);
                }
            }
        }
    }

    fn failed(&self) {
        match self.what {
            Renewed::Certificate => self.counters.certificate_not_renewed(),
            Renewed::ClientCas => self.counters.client_cas_not_renewed(),
        }
    }
}

impl Renewed {
    const fn in_words(self) -> &'static str {
        match self {
            Self::Certificate => "certificate",
            Self::ClientCas => "CAs of clients",
        }
    }
}

const fn ended(reason: CloseReason) -> ConnectionResult {
    match reason {
        CloseReason::Ended | CloseReason::Idle => ConnectionResult::Closed,
        CloseReason::Aborted
        | CloseReason::HeadTimeout
        | CloseReason::Protocol
        | CloseReason::Stalled => ConnectionResult::Aborted,
    }
}

const fn refreshed(result: RefreshResult) -> metrics::RefreshResult {
    match result {
        RefreshResult::Ok => metrics::RefreshResult::Ok,
        RefreshResult::Document => metrics::RefreshResult::Empty,
        RefreshResult::Discovery | RefreshResult::Fetch => metrics::RefreshResult::Failed,
    }
}

const fn handshake(failure: HandshakeFailure) -> metrics::HandshakeFailure {
    match failure {
        HandshakeFailure::Alert | HandshakeFailure::Certificate => {
            metrics::HandshakeFailure::Certificate
        }
        HandshakeFailure::Disconnected => metrics::HandshakeFailure::Io,
        HandshakeFailure::GaveWay => metrics::HandshakeFailure::GaveWay,
        HandshakeFailure::PeerCredentials => metrics::HandshakeFailure::PeerCredentials,
        HandshakeFailure::ProxyHeader => metrics::HandshakeFailure::ProxyHeader,
        HandshakeFailure::Timeout => metrics::HandshakeFailure::Timeout,
        HandshakeFailure::Incompatible | HandshakeFailure::NotTls | HandshakeFailure::Protocol => {
            metrics::HandshakeFailure::Protocol
        }
    }
}

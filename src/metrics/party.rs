//! The metrics of one listener and of one issuer, resolved once by whoever serves it.

use std::time::{Duration, SystemTime};

use prometheus::{Gauge, IntCounter, IntCounterVec, IntGauge, IntGaugeVec};

use super::families::Families;
use super::label::{ConnectionResult, HandshakeFailure, RefreshResult};

/// Counters of one listener.
#[derive(Clone, Debug)]
pub struct ListenerMetrics {
    inflight: IntGauge,
    open: IntGauge,
    ended: Vec<(ConnectionResult, IntCounter)>,
    handshake_failures: Vec<(HandshakeFailure, IntCounter)>,
    malformed_heads: IntCounterVec,
    name: Box<str>,
    not_after: IntGauge,
    renewals: [IntCounter; 2],
    /// Series that not every listener has: nothing ends at the beginning of Unix time.
    of_cas: OfCas,
}

#[derive(Clone, Debug)]
struct OfCas {
    issuing_not_after: IntGaugeVec,
    clients_not_after: IntGaugeVec,
    clients_renewals: IntCounterVec,
}

/// Counters of one issuer.
#[derive(Clone, Debug)]
pub struct IssuerMetrics {
    name: Box<str>,
    authn: IntCounterVec,
    refreshes: Vec<(RefreshResult, IntCounter)>,
    last_success: Gauge,
    keys: IntGauge,
}

/// One more while it lives.
#[must_use = "the gauge goes down again when this is dropped"]
#[derive(Debug)]
pub struct Held(IntGauge);

impl Held {
    fn new(gauge: &IntGauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.dec();
    }
}

impl ListenerMetrics {
    pub(super) fn new(name: &str, families: &Families) -> Self {
        let ended = |result: &ConnectionResult| {
            let labels = [name, result.as_label()];
            (*result, families.connections.with_label_values(&labels))
        };
        let failure = |reason: &HandshakeFailure| {
            let labels = [name, reason.as_label()];
            (
                *reason,
                families.handshake_failures.with_label_values(&labels),
            )
        };
        Self {
            inflight: families.inflight.with_label_values(&[name]),
            open: families.connections_open.with_label_values(&[name]),
            ended: ConnectionResult::ALL.iter().map(ended).collect(),
            handshake_failures: HandshakeFailure::ALL.iter().map(failure).collect(),
            malformed_heads: families.malformed_heads.clone(),
            name: name.into(),
            not_after: families.certificate_not_after.with_label_values(&[name]),
            of_cas: OfCas {
                issuing_not_after: families.issuing_ca_not_after.clone(),
                clients_not_after: families.client_ca_not_after.clone(),
                clients_renewals: families.client_ca_renewals.clone(),
            },
            renewals: ["ok", "failed"].map(|result| {
                families
                    .certificate_renewals
                    .with_label_values(&[name, result])
            }),
        }
    }

    /// Counts a request as being answered, as long as the result lives.
    pub fn request(&self) -> Held {
        Held::new(&self.inflight)
    }

    /// Counts a connection as open, as long as the result lives.
    pub fn connection(&self) -> Held {
        Held::new(&self.open)
    }

    /// Counts a connection that ended.
    pub fn connection_ended(&self, result: ConnectionResult) {
        count(&self.ended, result);
    }

    /// Counts a handshake that failed. The connection is counted by
    /// [`Self::connection_ended`] besides.
    pub fn handshake_failed(&self, reason: HandshakeFailure) {
        count(&self.handshake_failures, reason);
    }

    /// Counts a request head that was refused before it became a request. `defect` is the label of
    /// a closed enum; being `'static`, it cannot come from a request.
    pub fn head_refused(&self, defect: &'static str) {
        self.malformed_heads
            .with_label_values(&[&*self.name, defect])
            .inc();
    }

    /// Says that a certificate was taken into use, which ends then, in seconds of Unix time, as does
    /// the private CA that it is from, if it is from one.
    pub fn certificate_renewed(&self, not_after: i64, issuer_not_after: Option<i64>) {
        let [renewed, _] = &self.renewals;
        renewed.inc();
        self.not_after.set(not_after);
        if let Some(not_after) = issuer_not_after {
            let gauge = &self.of_cas.issuing_not_after;
            gauge.with_label_values(&[&*self.name]).set(not_after);
        }
    }

    /// Says that CAs of clients were taken into use, the first of which ends then.
    pub fn client_cas_renewed(&self, not_after: i64) {
        let (gauge, counter) = (
            &self.of_cas.clients_not_after,
            &self.of_cas.clients_renewals,
        );
        gauge.with_label_values(&[&*self.name]).set(not_after);
        counter.with_label_values(&[&*self.name, "ok"]).inc();
        counter.with_label_values(&[&*self.name, "failed"]);
    }

    /// Counts an attempt to take CAs of clients into use that failed; the last ones stay.
    pub fn client_cas_not_renewed(&self) {
        let counter = &self.of_cas.clients_renewals;
        counter.with_label_values(&[&*self.name, "failed"]).inc();
    }

    /// Counts an attempt to take a certificate into use that failed; the last one stays.
    pub fn certificate_not_renewed(&self) {
        let [_, failed] = &self.renewals;
        failed.inc();
    }
}

impl IssuerMetrics {
    pub(super) fn new(name: &str, families: &Families) -> Self {
        let refresh = |result: &RefreshResult| {
            let labels = [name, result.as_label()];
            (*result, families.jwks_refresh.with_label_values(&labels))
        };
        families.authn.with_label_values(&[name, "ok"]);
        Self {
            name: name.into(),
            authn: families.authn.clone(),
            refreshes: RefreshResult::ALL.iter().map(refresh).collect(),
            last_success: families.jwks_last_success.with_label_values(&[name]),
            keys: families.jwks_keys.with_label_values(&[name]),
        }
    }

    /// Counts a token that was examined. `result` is `ok` or the label of a closed enum; being
    /// `'static`, it cannot come from a request.
    pub fn authenticated(&self, result: &'static str) {
        self.authn.with_label_values(&[&*self.name, result]).inc();
    }

    /// Makes the results known that may be counted, so that each is exported as 0.
    pub fn expect_results(&self, results: impl IntoIterator<Item = &'static str>) {
        for result in results {
            self.authn.with_label_values(&[&*self.name, result]);
        }
    }

    /// Counts an attempt to fetch signing keys.
    pub fn refreshed(&self, result: RefreshResult) {
        count(&self.refreshes, result);
    }

    /// Says how many signing keys are in use and when they were fetched.
    pub fn keys(&self, count: usize, fetched_at: SystemTime) {
        self.keys.set(i64::try_from(count).unwrap_or(i64::MAX));
        self.last_success.set(unix_seconds(fetched_at));
    }
}

/// `at` in seconds of Unix time.
pub(super) fn unix_seconds(at: SystemTime) -> f64 {
    at.duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or(Duration::ZERO)
        .as_secs_f64()
}

/// A handful of labels: comparing them is faster than hashing one.
pub(super) fn count<L: Copy + PartialEq>(counters: &[(L, IntCounter)], label: L) {
    if let Some((_, counter)) = counters.iter().find(|(known, _)| *known == label) {
        counter.inc();
    }
}

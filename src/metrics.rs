//! What is counted, for Prometheus.
//!
//! Labels come from closed enums and from names in the configuration, never from a request, so the
//! number of series is bounded by the configuration: per vault a few for each operation in use, in
//! all some hundred for a sidecar. Vaults past the fiftieth share the label `__other__`, and
//! requests for no vault have `__none__`.
//!
//! Series that alerts watch for exist from the start with value 0. The product of operations and
//! reasons does not: a series of it appears when it is first counted.
//!
//! The `prometheus` crate writes no exemplars; the trace id is in the decision record instead.

mod families;
mod label;
mod panics;
mod party;
mod vault;

use std::collections::HashMap;
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::{Duration, SystemTime};

use prometheus::{Histogram, IntCounter, IntGauge, Registry, TextEncoder};
use thiserror::Error;

use crate::audit::AuditEvent;
use crate::config::{AuditSink, Config};
use crate::keyvault::OperationKind;

use families::Families;
use panics::Panics;
use vault::OPERATIONS;

pub use label::{
    Cache, CacheResult, CodeClass, ConnectionResult, HandshakeFailure, InspectionResult,
    LoadResult, MetadataResult, Mismatch, ObjectKind, RefreshResult, Source,
};
pub use party::{Held, IssuerMetrics, ListenerMetrics};
pub use vault::{OfVault, VaultMetrics};

/// How many vaults have a label of their own.
const MAX_VAULT_LABELS: usize = 50;

/// The `vault` of vaults past that number.
const OTHER: &str = "__other__";

/// The `vault` of requests for none.
const NONE: &str = "__none__";

/// The most characters of a revision that are exported.
const REVISION_CHARS: usize = 12;

/// The metrics could not be set up: a name or label is malformed or used twice.
#[derive(Debug, Error)]
#[error("cannot set up metrics: {0}")]
pub struct MetricsError(prometheus::Error);

/// The names that labels may have.
#[derive(Clone, Debug, Default)]
pub struct Names<'c> {
    /// Vaults, in the order of the configuration.
    pub vaults: Vec<&'c str>,
    /// Listeners.
    pub listeners: Vec<&'c str>,
    /// Issuers.
    pub issuers: Vec<&'c str>,
    /// The audit sink: `stdout` or `file`.
    pub sink: &'c str,
}

/// All metrics of the process, in a registry of their own.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    families: Families,
    vaults: Vec<VaultMetrics>,
    other_vault: VaultMetrics,
    no_vault: VaultMetrics,
    listeners: HashMap<Box<str>, ListenerMetrics>,
    issuers: HashMap<Box<str>, IssuerMetrics>,
    /// For listeners and issuers that are not configured, which the wiring does not produce.
    other_listener: OnceLock<ListenerMetrics>,
    other_issuer: OnceLock<IssuerMetrics>,
    request_duration: Vec<OnceLock<Histogram>>,
    caches: Vec<(Cache, CacheResult, IntCounter)>,
    audit: AuditCounters,
    /// The revision being exported.
    revision: Mutex<Option<(String, Source)>>,
}

#[derive(Debug)]
struct AuditCounters {
    written: IntCounter,
    failed: IntCounter,
    depth: IntGauge,
}

impl<'c> From<&'c Config> for Names<'c> {
    fn from(config: &'c Config) -> Self {
        Self {
            vaults: config.vaults.iter().map(|v| v.name.as_str()).collect(),
            listeners: config.listeners.iter().map(|l| &*l.name).collect(),
            issuers: config.issuers.iter().map(|i| &*i.name).collect(),
            sink: match config.audit {
                AuditSink::Stdout => "stdout",
                AuditSink::File { .. } => "file",
            },
        }
    }
}

impl Metrics {
    /// Makes the metrics for these names; `started` is when the process started.
    ///
    /// # Errors
    /// [`MetricsError`] if the table of metrics is wrong, which the tests rule out.
    pub fn new(names: &Names<'_>, started: SystemTime) -> Result<Self, MetricsError> {
        let registry = Registry::new();
        let families = Families::register(&registry).map_err(MetricsError)?;
        Panics::new()
            .and_then(|panics| registry.register(Box::new(panics)))
            .map_err(MetricsError)?;
        let vault = |name: &str| VaultMetrics::new(name, &families);
        let named = names.vaults.iter().take(MAX_VAULT_LABELS);
        let listener = |name: &&str| ((*name).into(), ListenerMetrics::new(name, &families));
        let issuer = |name: &&str| ((*name).into(), IssuerMetrics::new(name, &families));
        let metrics = Self {
            vaults: named.map(|name| vault(name)).collect(),
            other_vault: vault(OTHER),
            no_vault: vault(NONE),
            listeners: names.listeners.iter().map(listener).collect(),
            issuers: names.issuers.iter().map(issuer).collect(),
            other_listener: OnceLock::new(),
            other_issuer: OnceLock::new(),
            request_duration: (0..OPERATIONS).map(|_| OnceLock::new()).collect(),
            caches: caches(&families),
            audit: AuditCounters::new(names.sink, &families),
            revision: Mutex::new(None),
            registry,
            families,
        };
        metrics.initialise(started);
        Ok(metrics)
    }

    fn initialise(&self, started: SystemTime) {
        let families = &self.families;
        for result in LoadResult::ALL {
            families
                .snapshot_loads
                .with_label_values(&[result.as_label()]);
        }
        for kind in ObjectKind::ALL {
            families
                .snapshot_objects
                .with_label_values(&[kind.as_label()]);
        }
        for source in Source::ALL {
            let labels = [source.as_label()];
            families.snapshot_last_success.with_label_values(&labels);
        }
        let version = [env!("CARGO_PKG_VERSION")];
        families.build.with_label_values(&version).set(1);
        let start = families.process_start.with_label_values::<&str>(&[]);
        start.set(party::unix_seconds(started));
        families
            .snapshot_max_staleness
            .with_label_values::<&str>(&[]);
    }

    /// The counters of a vault by its place in the configuration; `None` for a request that is for
    /// no configured vault.
    pub fn vault(&self, index: Option<usize>) -> OfVault<'_> {
        let vault = match index {
            None => &self.no_vault,
            Some(index) => self.vaults.get(index).unwrap_or(&self.other_vault),
        };
        OfVault {
            vault,
            families: &self.families,
        }
    }

    /// The counters of a listener, to be kept by whoever serves it.
    pub fn listener(&self, name: &str) -> ListenerMetrics {
        let other = || {
            self.other_listener
                .get_or_init(|| ListenerMetrics::new(OTHER, &self.families))
        };
        self.listeners.get(name).unwrap_or_else(other).clone()
    }

    /// The counters of an issuer, to be kept by whoever validates its tokens.
    pub fn issuer(&self, name: &str) -> IssuerMetrics {
        let other = || {
            self.other_issuer
                .get_or_init(|| IssuerMetrics::new(OTHER, &self.families))
        };
        self.issuers.get(name).unwrap_or_else(other).clone()
    }

    /// Takes note of how long deciding took.
    pub fn decision_took(&self, took: Duration) {
        self.families.decision_duration.observe(took.as_secs_f64());
    }

    /// Takes note of how long a request took, from its headers to the end of its answer.
    pub fn request_took(&self, operation: Option<OperationKind>, took: Duration) {
        if let Some(cell) = self.request_duration.get(vault::index(operation)) {
            let family = &self.families.request_duration;
            cell.get_or_init(|| family.with_label_values(&[vault::label(operation)]))
                .observe(took.as_secs_f64());
        }
    }

    /// Counts a look-up in a cache.
    pub fn cache(&self, cache: Cache, result: CacheResult) {
        let known = |(c, r, _): &&(Cache, CacheResult, IntCounter)| *c == cache && *r == result;
        if let Some((_, _, counter)) = self.caches.iter().find(known) {
            counter.inc();
        }
    }

    /// Counts an attempt to load role data.
    pub fn snapshot_load(&self, result: LoadResult) {
        let labels = [result.as_label()];
        self.families
            .snapshot_loads
            .with_label_values(&labels)
            .inc();
    }

    /// Says which role data is in use. Of `revision` the first twelve hexadecimal digits are
    /// exported, a prefix such as `sha256:` left out.
    pub fn snapshot(&self, revision: &str, source: Source) {
        let digits = revision.rsplit(':').next().unwrap_or(revision);
        let digits: String = digits
            .chars()
            .filter(char::is_ascii_hexdigit)
            .take(REVISION_CHARS)
            .collect();
        let info = &self.families.snapshot;
        let mut exported = self.revision.lock().unwrap_or_else(PoisonError::into_inner);
        info.with_label_values(&[&*digits, source.as_label()])
            .set(1);
        if let Some((old, old_source)) = exported.replace((digits.clone(), source))
            && (old != digits || old_source != source)
        {
            // An unknown series is as good as a removed one.
            let _ = info.remove_label_values(&[&*old, old_source.as_label()]);
        }
    }

    /// Says when role data was last known to be current.
    pub fn snapshot_current(&self, source: Source, at: SystemTime) {
        let gauge = &self.families.snapshot_last_success;
        gauge
            .with_label_values(&[source.as_label()])
            .set(party::unix_seconds(at));
    }

    /// Says how old role data may be.
    pub fn snapshot_max_staleness(&self, bound: Duration) {
        let gauge = &self.families.snapshot_max_staleness;
        gauge
            .with_label_values::<&str>(&[])
            .set(bound.as_secs_f64());
    }

    /// Says how many things of a kind the role data in use holds.
    pub fn snapshot_objects(&self, kind: ObjectKind, count: usize) {
        let gauge = &self.families.snapshot_objects;
        gauge
            .with_label_values(&[kind.as_label()])
            .set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Takes note of what the audit log did.
    pub fn audit(&self, event: AuditEvent) {
        match event {
            AuditEvent::Depth(lines) => {
                self.audit
                    .depth
                    .set(i64::try_from(lines).unwrap_or(i64::MAX));
            }
            AuditEvent::Dropped(lines) => self.families.audit_dropped.inc_by(lines as u64),
            AuditEvent::Failed(lines) => self.audit.failed.inc_by(lines as u64),
            AuditEvent::Written(lines) => self.audit.written.inc_by(lines as u64),
        }
    }

    /// Says whether `/readyz` answers 200.
    pub fn ready(&self, ready: bool) {
        self.families.ready.set(i64::from(ready));
    }

    /// All metrics in Prometheus' text format, version 0.0.4.
    pub fn render(&self) -> String {
        TextEncoder::new()
            .encode_to_string(&self.registry.gather())
            .unwrap_or_else(|error| {
                tracing::error!(%error, "cannot render metrics");
                String::new()
            })
    }
}

impl AuditCounters {
    fn new(sink: &str, families: &Families) -> Self {
        let counter = |result| families.audit_records.with_label_values(&[sink, result]);
        Self {
            written: counter("written"),
            failed: counter("failed"),
            depth: families.audit_queue.with_label_values(&[sink]),
        }
    }
}

fn caches(families: &Families) -> Vec<(Cache, CacheResult, IntCounter)> {
    let mut counters = Vec::new();
    for cache in Cache::ALL {
        for result in cache.results() {
            let labels = [cache.as_label(), result.as_label()];
            let counter = families.cache_requests.with_label_values(&labels);
            counters.push((*cache, *result, counter));
        }
    }
    counters
}

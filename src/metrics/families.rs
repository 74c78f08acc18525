//! Every metric with its name, help and labels: the list to read.
//!
//! Names have the prefix `portcullis_`, base units, and end in `_total` if they count. No label
//! ever holds an object's name, a principal, a path, an address or the text of an error.

use prometheus::{
    GaugeVec, Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge,
    IntGaugeVec, Opts, Registry, Result,
};

/// Bounds in seconds for requests, as OpenTelemetry advises for HTTP.
const REQUEST_BUCKETS: &[f64] = &[
    0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0,
];

/// Bounds in seconds for decisions, which take microseconds.
const DECISION_BUCKETS: &[f64] = &[1e-6, 2e-6, 5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 5e-4, 1e-3, 1e-2];

macro_rules! families {
    ($($field:ident: $kind:ident, $name:literal, [$($label:literal),*], $help:literal;)+) => {
        /// The metrics by name.
        #[derive(Debug)]
        pub(super) struct Families {
            $(pub(super) $field: $kind,)+
        }

        impl Families {
            /// Makes all metrics and puts them into `registry`.
            pub(super) fn register(registry: &Registry) -> Result<Self> {
                $(
                    let $field = $kind::family($name, $help, &[$($label),*])?;
                    registry.register(Box::new($field.clone()))?;
                )+
                Ok(Self { $($field),+ })
            }
        }
    };
}

families! {
    requests: IntCounterVec, "portcullis_requests_total", ["vault", "operation", "code_class"],
        "Requests answered, by the status the client got.";
    decisions: IntCounterVec, "portcullis_decisions_total", ["vault", "operation", "decision", "mode"],
        "Requests decided: allowed, challenged, denied, or not decidable (error).";
    denials: IntCounterVec, "portcullis_denials_total", ["vault", "operation", "reason"],
        "Requests refused, by reason. Challenges are not counted here.";
    challenges: IntCounterVec, "portcullis_challenges_total", ["vault"],
        "Requests without a token, answered with a challenge: the first call of every SDK.";
    mismatches: IntCounterVec, "portcullis_upstream_authz_mismatch_total", ["vault", "kind"],
        "Requests allowed here and refused by the vault: the role data here may be behind.";
    decision_duration: Histogram, "portcullis_decision_duration_seconds", [],
        "Time to decide one request, without authentication and record.";
    request_duration: HistogramVec, "portcullis_request_duration_seconds", ["operation"],
        "Time from the headers of a request to the end of its answer.";
    upstream_duration: HistogramVec, "portcullis_upstream_duration_seconds", ["vault"],
        "Time from sending a request to the headers of the vault's answer.";
    upstream_responses: IntCounterVec, "portcullis_upstream_responses_total",
        ["vault", "code_class", "kv_error"],
        "Answers of vaults, by status class and Key Vault's error code.";
    metadata_fetches: IntCounterVec, "portcullis_metadata_fetches_total", ["vault", "result"],
        "Times a vault was asked about an object to decide a request, by result.";
    metadata_duration: HistogramVec, "portcullis_metadata_duration_seconds", ["vault"],
        "Time a vault took to say all that was asked about an object.";
    body_inspections: IntCounterVec, "portcullis_body_inspections_total", ["vault", "result"],
        "Request bodies read to decide on, by result.";
    inflight: IntGaugeVec, "portcullis_inflight_requests", ["listener"],
        "Requests being answered.";
    connections_open: IntGaugeVec, "portcullis_connections_open", ["listener"],
        "Client connections that are open.";
    connections: IntCounterVec, "portcullis_connections_total", ["listener", "result"],
        "Client connections that ended, by how.";
    handshake_failures: IntCounterVec, "portcullis_tls_handshake_failures_total",
        ["listener", "reason"],
        "Client connections without a TLS handshake, by cause.";
    malformed_heads: IntCounterVec, "portcullis_malformed_requests_total", ["listener", "defect"],
        "Request heads with no single reading, answered 400 before they became requests.";
    certificate_not_after: IntGaugeVec, "portcullis_tls_certificate_not_after_timestamp_seconds",
        ["listener"],
        "When the listener's certificate ends, in Unix time.";
    issuing_ca_not_after: IntGaugeVec, "portcullis_tls_issuing_ca_not_after_timestamp_seconds",
        ["listener"],
        "When the private CA ends that the listener's certificate is from, in Unix time.";
    client_ca_not_after: IntGaugeVec, "portcullis_tls_client_ca_not_after_timestamp_seconds",
        ["listener"],
        "When the first of the CAs ends that vouch for clients, in Unix time.";
    client_ca_renewals: IntCounterVec, "portcullis_tls_client_ca_renewals_total",
        ["listener", "result"],
        "Times the listener took CAs of clients into use, and attempts that failed.";
    certificate_renewals: IntCounterVec, "portcullis_tls_certificate_renewals_total",
        ["listener", "result"],
        "Certificates that the listener took into use, and attempts that failed.";
    authn: IntCounterVec, "portcullis_authn_total", ["issuer", "result"],
        "Credentials examined, by result; tokens found in the cache included, challenges not.";
    jwks_refresh: IntCounterVec, "portcullis_jwks_refresh_total", ["issuer", "result"],
        "Attempts to fetch signing keys, by result.";
    jwks_last_success: GaugeVec, "portcullis_jwks_last_success_timestamp_seconds", ["issuer"],
        "When signing keys were last fetched, in Unix time; 0 if never.";
    jwks_keys: IntGaugeVec, "portcullis_jwks_keys", ["issuer"],
        "Signing keys in use.";
    cache_requests: IntCounterVec, "portcullis_cache_requests_total", ["cache", "result"],
        "Look-ups in caches, by result.";
    snapshot: IntGaugeVec, "portcullis_snapshot_info", ["revision", "source"],
        "The role data in use; always 1.";
    snapshot_last_success: GaugeVec, "portcullis_snapshot_last_success_timestamp_seconds",
        ["source"],
        "When role data was last known to be current, in Unix time; 0 if never.";
    snapshot_max_staleness: GaugeVec, "portcullis_snapshot_max_staleness_seconds", [],
        "How old role data may be before requests are answered 503.";
    snapshot_loads: IntCounterVec, "portcullis_snapshot_loads_total", ["result"],
        "Attempts to load role data, by result.";
    snapshot_objects: IntGaugeVec, "portcullis_snapshot_objects", ["kind"],
        "What the role data in use holds, by kind.";
    audit_records: IntCounterVec, "portcullis_audit_records_total", ["sink", "result"],
        "Lines of decision records that were written, and attempts that failed.";
    audit_dropped: IntCounter, "portcullis_audit_dropped_total", [],
        "Lines of decision records that are lost, for whatever reason. Should be 0.";
    audit_queue: IntGaugeVec, "portcullis_audit_queue_depth", ["sink"],
        "Lines of decision records that wait to be written.";
    ready: IntGauge, "portcullis_ready", [],
        "Whether /readyz answers 200.";
    build: IntGaugeVec, "portcullis_build_info", ["version"],
        "The version that runs; always 1.";
    process_start: GaugeVec, "process_start_time_seconds", [],
        "When the process started, in Unix time.";
}

/// One way to make each kind of metric.
trait Family: Sized {
    fn family(name: &str, help: &str, labels: &[&str]) -> Result<Self>;
}

impl Family for IntCounterVec {
    fn family(name: &str, help: &str, labels: &[&str]) -> Result<Self> {
        Self::new(Opts::new(name, help), labels)
    }
}

impl Family for IntGaugeVec {
    fn family(name: &str, help: &str, labels: &[&str]) -> Result<Self> {
        Self::new(Opts::new(name, help), labels)
    }
}

impl Family for GaugeVec {
    fn family(name: &str, help: &str, labels: &[&str]) -> Result<Self> {
        Self::new(Opts::new(name, help), labels)
    }
}

impl Family for HistogramVec {
    fn family(name: &str, help: &str, labels: &[&str]) -> Result<Self> {
        let options = HistogramOpts::new(name, help).buckets(REQUEST_BUCKETS.to_vec());
        Self::new(options, labels)
    }
}

impl Family for IntCounter {
    fn family(name: &str, help: &str, _labels: &[&str]) -> Result<Self> {
        Self::new(name, help)
    }
}

impl Family for IntGauge {
    fn family(name: &str, help: &str, _labels: &[&str]) -> Result<Self> {
        Self::new(name, help)
    }
}

impl Family for Histogram {
    fn family(name: &str, help: &str, _labels: &[&str]) -> Result<Self> {
        Self::with_opts(HistogramOpts::new(name, help).buckets(DECISION_BUCKETS.to_vec()))
    }
}

//! Metrics: their names, their series, and what they count.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use portcullis::audit::{AuditEvent, KvError};
use portcullis::keyvault::{OperationKind, route};
use portcullis::metrics::{
    Cache, CacheResult, CodeClass, ConnectionResult, HandshakeFailure, InspectionResult,
    LoadResult, MetadataResult, Metrics, Names, ObjectKind, RefreshResult, Source,
};
use portcullis::reason::{Reason, Verdict};

use crate::now;

pub(crate) fn metrics() -> Metrics {
    let names = Names {
        vaults: vec!["kv-fabrikam", "kv-contoso"],
        listeners: vec!["main"],
        issuers: vec!["entra"],
        sink: "file",
    };
    Metrics::new(&names, now()).unwrap()
}

/// Touches every metric there is.
fn exercise(metrics: &Metrics) {
    let vault = metrics.vault(Some(0));
    let operation = Some(OperationKind::SecretGet);
    vault.decided(operation, Verdict::Allow, Reason::OkAssignment);
    vault.decided(operation, Verdict::Deny, Reason::NoAssignment);
    vault.decided(None, Verdict::Challenge, Reason::NoToken);
    vault.answered(operation, 200);
    vault.upstream_answered(
        403,
        Some(KvError::ForbiddenByRbac),
        Duration::from_millis(7),
    );
    vault.metadata_fetched(MetadataResult::Timeout, Duration::from_millis(5));
    vault.body_inspected(InspectionResult::Bad);
    metrics.decision_took(Duration::from_micros(3));
    metrics.request_took(operation, Duration::from_millis(9));
    metrics.cache(Cache::Token, CacheResult::Hit);
    metrics.snapshot("sha256:00112233445566778899", Source::Files);
    metrics.snapshot_current(Source::Files, now());
    metrics.snapshot_max_staleness(Duration::from_secs(300));
    metrics.snapshot_load(LoadResult::Ok);
    metrics.snapshot_objects(ObjectKind::UnsupportedCondition, 3);
    metrics.audit(AuditEvent::Written(2));
    metrics.audit(AuditEvent::Depth(1));
    metrics.ready(true);
    let listener = metrics.listener("main");
    listener.connection_ended(ConnectionResult::Closed);
    listener.handshake_failed(HandshakeFailure::Timeout);
    listener.head_refused("framing");
    listener.certificate_renewed(1_800_000_000, Some(1_900_000_000));
    listener.client_cas_renewed(1_850_000_000);
    let issuer = metrics.issuer("entra");
    issuer.expect_results(["ok", "expired"]);
    issuer.authenticated("expired");
    issuer.refreshed(RefreshResult::Ok);
    issuer.keys(4, now());
}

/// Reads the exposition format strictly: series to value. Checks that each family has HELP and
/// TYPE before its samples, and that no series occurs twice.
pub(crate) fn parsed(text: &str) -> BTreeMap<String, f64> {
    let mut samples = BTreeMap::new();
    let (mut helped, mut family, mut kind) = (String::new(), String::new(), String::new());
    assert!(text.ends_with('\n'));
    for line in text.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, words) = help.split_once(' ').unwrap();
            assert!(words.len() > 10 && words.ends_with('.'), "{line}");
            helped = name.into();
            continue;
        }
        if let Some(of_type) = line.strip_prefix("# TYPE ") {
            let (name, of_type) = of_type.split_once(' ').unwrap();
            assert_eq!(name, helped);
            (family, kind) = (name.into(), of_type.into());
            continue;
        }
        let (series, value) = line.rsplit_once(' ').unwrap();
        let name = series.split('{').next().unwrap();
        let suffix = name.strip_prefix(&*family).unwrap();
        let suffixes: &[&str] = match &*kind {
            "histogram" => &["_bucket", "_sum", "_count"],
            "counter" | "gauge" => &[""],
            other => panic!("{other}"),
        };
        assert!(suffixes.contains(&suffix), "{line}");
        if let Some(labels) = series.strip_prefix(name).filter(|rest| !rest.is_empty()) {
            let labels = labels.strip_prefix('{').unwrap().strip_suffix('}').unwrap();
            for label in labels.split(',') {
                let (label, value) = label.split_once('=').unwrap();
                assert!(label.bytes().all(|b| b.is_ascii_lowercase() || b == b'_'));
                let value = value.strip_prefix('"').unwrap().strip_suffix('"').unwrap();
                assert!(!value.contains(['"', '\\']), "{line}");
            }
        }
        let repeated = samples.insert(series.to_owned(), value.parse().unwrap());
        assert!(repeated.is_none(), "{series}");
    }
    samples
}

/// The families of a rendering with their types.
fn families(text: &str) -> Vec<(&str, &str)> {
    text.lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split_once(' '))
        .collect()
}

#[test]
fn the_names_of_the_metrics_are_these() {
    let metrics = metrics();
    exercise(&metrics);
    let text = metrics.render();
    let names: Vec<&str> = families(&text).iter().map(|(name, _)| *name).collect();
    assert_eq!(
        names,
        [
            "portcullis_audit_dropped_total",
            "portcullis_audit_queue_depth",
            "portcullis_audit_records_total",
            "portcullis_authn_total",
            "portcullis_body_inspections_total",
            "portcullis_build_info",
            "portcullis_cache_requests_total",
            "portcullis_challenges_total",
            "portcullis_connections_open",
            "portcullis_connections_total",
            "portcullis_decision_duration_seconds",
            "portcullis_decisions_total",
            "portcullis_denials_total",
            "portcullis_inflight_requests",
            "portcullis_jwks_keys",
            "portcullis_jwks_last_success_timestamp_seconds",
            "portcullis_jwks_refresh_total",
            "portcullis_malformed_requests_total",
            "portcullis_metadata_duration_seconds",
            "portcullis_metadata_fetches_total",
            "portcullis_panics_total",
            "portcullis_ready",
            "portcullis_request_duration_seconds",
            "portcullis_requests_total",
            "portcullis_snapshot_info",
            "portcullis_snapshot_last_success_timestamp_seconds",
            "portcullis_snapshot_loads_total",
            "portcullis_snapshot_max_staleness_seconds",
            "portcullis_snapshot_objects",
            "portcullis_tls_certificate_not_after_timestamp_seconds",
            "portcullis_tls_certificate_renewals_total",
            "portcullis_tls_client_ca_not_after_timestamp_seconds",
            "portcullis_tls_client_ca_renewals_total",
            "portcullis_tls_handshake_failures_total",
            "portcullis_tls_issuing_ca_not_after_timestamp_seconds",
            "portcullis_upstream_authz_mismatch_total",
            "portcullis_upstream_duration_seconds",
            "portcullis_upstream_responses_total",
            "process_start_time_seconds",
        ]
    );
}

#[test]
fn names_follow_prometheus_conventions() {
    let metrics = metrics();
    exercise(&metrics);
    let text = metrics.render();
    for (name, kind) in families(&text) {
        assert!(
            name.starts_with("portcullis_") || name == "process_start_time_seconds",
            "{name}"
        );
        assert_eq!(name.ends_with("_total"), kind == "counter", "{name}");
        assert_eq!(
            name.ends_with("_duration_seconds"),
            kind == "histogram",
            "{name}"
        );
        for foreign_unit in ["_ms", "_millis", "_micros", "_minutes", "_kb", "_percent"] {
            assert!(!name.contains(foreign_unit), "{name}");
        }
    }
}

/// What [`exercise`] leaves behind.
const COUNTED: &[(&str, f64)] = &[
    (
        r#"portcullis_decisions_total{decision="allow",mode="enforce",operation="SecretGet",vault="kv-fabrikam"}"#,
        1.0,
    ),
    (
        r#"portcullis_decisions_total{decision="challenge",mode="enforce",operation="unknown",vault="kv-fabrikam"}"#,
        1.0,
    ),
    (
        r#"portcullis_denials_total{operation="SecretGet",reason="no_assignment",vault="kv-fabrikam"}"#,
        1.0,
    ),
    (r#"portcullis_challenges_total{vault="kv-fabrikam"}"#, 1.0),
    (r#"portcullis_challenges_total{vault="kv-contoso"}"#, 0.0),
    (r#"portcullis_challenges_total{vault="__none__"}"#, 0.0),
    (
        r#"portcullis_requests_total{code_class="2xx",operation="SecretGet",vault="kv-fabrikam"}"#,
        1.0,
    ),
    (
        r#"portcullis_upstream_authz_mismatch_total{kind="allowed_but_403_rbac",vault="kv-fabrikam"}"#,
        1.0,
    ),
    (
        r#"portcullis_upstream_authz_mismatch_total{kind="allowed_but_401",vault="kv-fabrikam"}"#,
        0.0,
    ),
    (
        r#"portcullis_upstream_responses_total{code_class="4xx",kv_error="ForbiddenByRbac",vault="kv-fabrikam"}"#,
        1.0,
    ),
    (
        r#"portcullis_upstream_duration_seconds_bucket{vault="kv-fabrikam",le="0.01"}"#,
        1.0,
    ),
    (r#"portcullis_decision_duration_seconds_count"#, 1.0),
    (r#"portcullis_authn_total{issuer="entra",result="ok"}"#, 0.0),
    (
        r#"portcullis_authn_total{issuer="entra",result="expired"}"#,
        1.0,
    ),
    (
        r#"portcullis_jwks_last_success_timestamp_seconds{issuer="entra"}"#,
        1_790_000_000.0,
    ),
    (
        r#"portcullis_cache_requests_total{cache="token",result="hit"}"#,
        1.0,
    ),
    (
        r#"portcullis_snapshot_info{revision="001122334455",source="files"}"#,
        1.0,
    ),
    (
        r#"portcullis_snapshot_objects{kind="unsupported_condition"}"#,
        3.0,
    ),
    (r#"portcullis_snapshot_max_staleness_seconds"#, 300.0),
    (
        r#"portcullis_audit_records_total{result="written",sink="file"}"#,
        2.0,
    ),
    (r#"portcullis_audit_dropped_total"#, 0.0),
    (r#"portcullis_ready"#, 1.0),
    (r#"process_start_time_seconds"#, 1_790_000_000.0),
];

#[test]
fn what_is_counted_is_rendered() {
    let metrics = metrics();
    exercise(&metrics);
    let samples = parsed(&metrics.render());
    for (series, value) in COUNTED {
        assert_eq!(samples.get(*series), Some(value), "{series}");
    }
}

#[test]
fn gauges_go_down_again_and_only_one_revision_is_exported() {
    let metrics = metrics();
    let listener = metrics.listener("main");
    let open = r#"portcullis_connections_open{listener="main"}"#;
    {
        let _connection = listener.connection();
        let _request = listener.request();
        assert_eq!(parsed(&metrics.render())[open], 1.0);
    }
    metrics.snapshot("sha256:aaaaaaaaaaaaaaaa", Source::Files);
    metrics.snapshot("sha256:bbbbbbbbbbbbbbbb", Source::Files);
    metrics.snapshot("sha256:bbbbbbbbbbbbbbbb", Source::Files);
    let samples = parsed(&metrics.render());
    assert_eq!(samples[open], 0.0);
    let revisions: Vec<&String> = samples
        .keys()
        .filter(|series| series.starts_with("portcullis_snapshot_info"))
        .collect();
    assert_eq!(
        revisions,
        [r#"portcullis_snapshot_info{revision="bbbbbbbbbbbb",source="files"}"#]
    );
}

#[test]
fn a_hundred_thousand_strange_requests_add_no_series() {
    let metrics = metrics();
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    let count = |text: &str| text.lines().filter(|line| !line.starts_with('#')).count();
    let mut before = 0;
    for round in 0..100_000 {
        let path = match next() % 3 {
            0 => format!("/secrets/name-{:x}", next()),
            1 => format!("/{:x}/{:x}", next(), next()),
            _ => format!("/keys/{:x}/{:032x}/sign", next(), u128::from(next())),
        };
        let method = [http::Method::GET, http::Method::POST][(next() % 2) as usize].clone();
        let operation = route::parse(&method, &path, Some("api-version=7.4"), &[]).ok();
        let operation = operation.map(|operation| operation.kind());
        let vault = [None, Some(0), Some(1), Some(7)][(next() % 4) as usize];
        let vault = metrics.vault(vault);
        vault.decided(operation, Verdict::Deny, Reason::NoAssignment);
        vault.answered(operation, 403);
        metrics.request_took(operation, Duration::from_micros(next() % 1000));
        metrics.listener(&format!("{:x}", next()));
        metrics
            .issuer(&format!("{:x}", next()))
            .authenticated("malformed");
        if round == 5_000 {
            before = count(&metrics.render());
        }
    }
    let after = count(&metrics.render());
    assert_eq!(before, after);
    assert!(after < 400, "{after}");
}

#[test]
fn vaults_past_the_fiftieth_share_a_label() {
    let names: Vec<String> = (0..60).map(|n| format!("kv-{n}")).collect();
    let names = Names {
        vaults: names.iter().map(String::as_str).collect(),
        ..Names::default()
    };
    let metrics = Metrics::new(&names, now()).unwrap();
    for index in 0..60 {
        let vault = metrics.vault(Some(index));
        vault.decided(None, Verdict::Challenge, Reason::NoToken);
    }
    let samples = parsed(&metrics.render());
    assert_eq!(
        samples[r#"portcullis_challenges_total{vault="kv-49"}"#],
        1.0
    );
    assert_eq!(
        samples[r#"portcullis_challenges_total{vault="__other__"}"#],
        10.0
    );
}

#[test]
fn labels_are_short_and_distinct() {
    let reasons: BTreeSet<&str> = Reason::ALL.iter().map(|r| r.as_label()).collect();
    assert_eq!(reasons.len(), Reason::ALL.len());
    assert!(reasons.len() <= 40);
    let classes: Vec<&str> = [100, 204, 302, 499, 503, 999]
        .map(|status| CodeClass::of(status).as_label())
        .into();
    assert_eq!(classes, ["1xx", "2xx", "3xx", "4xx", "5xx", "5xx"]);
}

//! What the proxy tells: records in a file, metrics, and the administration listener.
#![cfg(test)]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use portcullis::admin::{AdminListener, Readiness};
use portcullis::audit::{AuditError, AuditEvent, AuditLog, ClientFacts, KvError, UpstreamAnswer};
use portcullis::config::AuditSink;
use portcullis::keyvault::{OperationKind, route};
use portcullis::metrics::{
    Cache, CacheResult, CodeClass, ConnectionResult, HandshakeFailure, LoadResult, Metrics, Names,
    ObjectKind, RefreshResult, Source,
};
use portcullis::reason::{Reason, Verdict};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000)
}

fn client() -> ClientFacts {
    ClientFacts {
        listener: "main".into(),
        ip: [192, 0, 2, 9].into(),
        tls: "1.3",
        sni: None,
        user_agent: Some("curl/8.9".into()),
        request_id: None,
    }
}

fn file_sink(path: &Path, max_bytes: u64) -> AuditSink {
    AuditSink::File {
        path: path.to_owned(),
        max_bytes,
        keep: 1000,
    }
}

fn records(text: &str) -> Vec<Value> {
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// All files of a rotated log, oldest first.
fn rotated(path: &Path) -> Vec<PathBuf> {
    let numbered = |n: usize| PathBuf::from(format!("{}.{n}", path.display()));
    let mut files: Vec<_> = (1..)
        .map(numbered)
        .take_while(|file| file.exists())
        .collect();
    files.reverse();
    files.push(path.to_owned());
    files
}

async fn allowed(log: &AuditLog, status: u16) {
    let guard = log.begin(now(), client());
    let decided = guard.decide(Verdict::Allow, Reason::OkAssignment, None);
    let mut trail = decided.await.unwrap();
    trail.sent();
    trail.answered(UpstreamAnswer {
        status,
        kv_error: KvError::classify(status, None),
        request_id: Some("1fc62575-aaaa-4bbb-8ccc-000000000001".into()),
        assignment: None,
        took: Duration::from_millis(3),
    });
    trail.finish(Some(status), None);
}

#[tokio::test]
async fn a_decision_is_in_the_file_before_deciding_returns() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("decisions.ndjson");
    let log = AuditLog::open(&file_sink(&path, 1 << 20), |_| {}).unwrap();
    for (verdict, reason, status) in [
        (Verdict::Challenge, Reason::NoToken, Some(401)),
        (Verdict::Deny, Reason::NoAssignment, Some(403)),
        (Verdict::Error, Reason::SnapshotStale, Some(503)),
        (Verdict::Allow, Reason::OkAssignment, None),
    ] {
        let guard = log.begin(now(), client());
        let id = guard.decision_id().to_string();
        let trail = guard.decide(verdict, reason, status).await.unwrap();
        let records = records(&fs::read_to_string(&path).unwrap());
        let last = records.last().unwrap();
        assert_eq!(last["decision_id"], id.as_str());
        assert_eq!(last["decision"], verdict.as_label());
        assert_eq!(last["reason"], reason.as_label());
        assert_eq!(last["status"].as_u64(), status.map(u64::from));
        trail.finish(Some(200), None);
    }
    log.flush().await.unwrap();
    let records = records(&fs::read_to_string(&path).unwrap());
    assert_eq!(records.len(), 5);
    assert_eq!(records[4]["type"], "result");
    assert_eq!(records[4]["decision_id"], records[3]["decision_id"]);
    assert_eq!(records[4]["aborted"], false);
}

#[tokio::test]
async fn an_allowed_request_that_is_dropped_has_a_result_that_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("decisions.ndjson");
    let log = AuditLog::open(&file_sink(&path, 1 << 20), |_| {}).unwrap();
    let guard = log.begin(now(), client());
    let decided = guard.decide(Verdict::Allow, Reason::OkAssignment, None);
    let mut trail = decided.await.unwrap();
    trail.sent();
    drop(trail);
    log.flush().await.unwrap();
    let records = records(&fs::read_to_string(&path).unwrap());
    assert_eq!(records.len(), 2);
    assert_eq!(records[1]["aborted"], true);
    assert_eq!(records[1]["upstream"]["sent"], true);
    assert_eq!(records[1]["upstream"]["status"], Value::Null);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn rotation_under_concurrent_writers_loses_and_splits_no_line() {
    const TASKS: usize = 16;
    const REQUESTS: usize = 100;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("decisions.ndjson");
    let log = AuditLog::open(&file_sink(&path, 32 * 1024), |_| {}).unwrap();
    let mut tasks = Vec::new();
    for _ in 0..TASKS {
        let log = log.clone();
        tasks.push(tokio::spawn(async move {
            for _ in 0..REQUESTS {
                allowed(&log, 200).await;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    log.flush().await.unwrap();

    let files = rotated(&path);
    assert!(files.len() > 10, "{}", files.len());
    let mut lines = Vec::new();
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        assert!(text.len() <= 32 * 1024);
        lines.extend(records(&text));
    }
    assert_eq!(lines.len(), TASKS * REQUESTS * 2);
    let mut decided = HashMap::new();
    for (index, line) in lines.iter().enumerate() {
        assert_eq!(line["seq"], index + 1);
        let id = line["decision_id"].as_str().unwrap().to_owned();
        let results = match line["type"].as_str() {
            Some("decision") => decided.insert(id, 0).is_none().then_some(0),
            _ => decided.get_mut(&id).map(|results| {
                *results += 1;
                *results - 1
            }),
        };
        assert_eq!(results, Some(0), "one decision, then one result: {line}");
    }
    assert_eq!(decided.len(), TASKS * REQUESTS);
}

#[tokio::test]
async fn a_restart_appends_under_another_instance() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("decisions.ndjson");
    for _ in 0..2 {
        let log = AuditLog::open(&file_sink(&path, 1 << 20), |_| {}).unwrap();
        allowed(&log, 404).await;
        log.flush().await.unwrap();
    }
    let records = records(&fs::read_to_string(&path).unwrap());
    assert_eq!(records.len(), 4);
    assert_eq!(records[0]["inst"], records[1]["inst"]);
    assert_ne!(records[1]["inst"], records[2]["inst"]);
    assert_eq!(records[2]["seq"], 1);
    assert_eq!(records[3]["upstream"]["kv_error"], "NotFound");
}

#[tokio::test]
async fn a_full_disk_refuses_and_is_counted() {
    let metrics = Arc::new(metrics());
    let told = Arc::clone(&metrics);
    let sink = file_sink(Path::new("/dev/full"), 1 << 20);
    let log = AuditLog::open(&sink, move |event| told.audit(event)).unwrap();
    let guard = log.begin(now(), client());
    let refused = guard.decide(Verdict::Allow, Reason::OkAssignment, None);
    assert_eq!(
        refused.await.unwrap_err(),
        AuditError::Write(std::io::ErrorKind::StorageFull)
    );
    assert!(log.check().is_err());
    let samples = parsed(&metrics.render());
    let failed = r#"portcullis_audit_records_total{result="failed",sink="file"}"#;
    assert!(samples[failed] >= 1.0);
}

#[test]
fn a_sink_that_cannot_be_opened_is_named() {
    let sink = file_sink(Path::new("/nonexistent/decisions.ndjson"), 1 << 20);
    let error = AuditLog::open(&sink, |_| {}).unwrap_err().to_string();
    assert!(error.contains("`/nonexistent/decisions.ndjson`"), "{error}");
}

fn metrics() -> Metrics {
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
    listener.certificate_not_after(1_800_000_000);
    let issuer = metrics.issuer("entra");
    issuer.expect_results(["ok", "expired"]);
    issuer.authenticated("expired");
    issuer.refreshed(RefreshResult::Ok);
    issuer.keys(4, now());
}

/// Reads the exposition format strictly: series to value. Checks that each family has HELP and
/// TYPE before its samples, and that no series occurs twice.
fn parsed(text: &str) -> BTreeMap<String, f64> {
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
            "portcullis_ready",
            "portcullis_request_duration_seconds",
            "portcullis_requests_total",
            "portcullis_snapshot_info",
            "portcullis_snapshot_last_success_timestamp_seconds",
            "portcullis_snapshot_loads_total",
            "portcullis_snapshot_max_staleness_seconds",
            "portcullis_snapshot_objects",
            "portcullis_tls_certificate_not_after_timestamp_seconds",
            "portcullis_tls_handshake_failures_total",
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
    assert!(reasons.len() <= 32);
    let classes: Vec<&str> = [100, 204, 302, 499, 503, 999]
        .map(|status| CodeClass::of(status).as_label())
        .into();
    assert_eq!(classes, ["1xx", "2xx", "3xx", "4xx", "5xx", "5xx"]);
}

/// A served administration listener.
struct Served {
    address: std::net::SocketAddr,
    ready: Arc<AtomicBool>,
    stop: oneshot::Sender<()>,
    task: tokio::task::JoinHandle<()>,
}

async fn served() -> Served {
    let listener = AdminListener::bind("127.0.0.1:0".parse().unwrap())
        .await
        .unwrap();
    let address = listener.local_addr();
    let ready = Arc::new(AtomicBool::new(false));
    let keys = Arc::clone(&ready);
    let readiness = Readiness::new()
        .check_with_note("assignments", || Ok(Some("half of it is gone".into())))
        .check("keys", move || {
            if keys.load(Ordering::Relaxed) {
                Ok(())
            } else {
                Err("no signing keys of `entra` yet".into())
            }
        });
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(listener.serve(Arc::new(metrics()), readiness, async {
        let _ = stopped.await;
    }));
    Served {
        address,
        ready,
        stop,
        task,
    }
}

/// Sends one request and reads until the server closes.
async fn ask(address: std::net::SocketAddr, method: &str, path: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!("{method} {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_ascii_lowercase(), body.to_owned())
}

#[tokio::test]
async fn readiness_follows_its_checks() {
    let served = served().await;
    let (status, head, body) = ask(served.address, "GET", "/readyz").await;
    assert_eq!(status, 503);
    assert!(head.contains("content-type: application/json"));
    let report: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(
        report,
        serde_json::json!({"ready": false, "checks": [
            {"name": "assignments", "ok": true, "note": "half of it is gone", "reason": null},
            {"name": "keys", "ok": false, "note": null, "reason": "no signing keys of `entra` yet"},
        ]})
    );
    let (_, _, text) = ask(served.address, "GET", "/metrics").await;
    assert_eq!(parsed(&text)["portcullis_ready"], 0.0);

    served.ready.store(true, Ordering::Relaxed);
    let (status, _, body) = ask(served.address, "GET", "/readyz").await;
    assert_eq!(status, 200, "{body}");
    let (status, head, text) = ask(served.address, "GET", "/metrics").await;
    assert_eq!(status, 200);
    assert!(head.contains("content-type: text/plain; version=0.0.4"));
    assert_eq!(parsed(&text)["portcullis_ready"], 1.0);

    served.ready.store(false, Ordering::Relaxed);
    assert_eq!(ask(served.address, "GET", "/readyz").await.0, 503);
    assert_eq!(ask(served.address, "GET", "/livez").await.0, 200);
}

#[tokio::test]
async fn only_three_pages_are_served_and_only_read() {
    let served = served().await;
    for (method, path, expected) in [
        ("GET", "/livez", 200),
        ("GET", "/livez?verbose", 200),
        ("GET", "/", 404),
        ("GET", "/metrics/", 404),
        ("POST", "/livez", 405),
        ("DELETE", "/metrics", 405),
        ("OPTIONS", "/readyz", 405),
    ] {
        let (status, _, _) = ask(served.address, method, path).await;
        assert_eq!(status, expected, "{method} {path}");
    }
    let (status, head, body) = ask(served.address, "HEAD", "/livez").await;
    assert_eq!((status, body.as_str()), (200, ""));
    assert!(head.contains("content-length: 3"), "{head}");
}

#[tokio::test]
async fn the_listener_stops_when_told() {
    let served = served().await;
    // An idle connection does not hold it up.
    let mut idle = TcpStream::connect(served.address).await.unwrap();
    assert_eq!(ask(served.address, "GET", "/livez").await.0, 200);
    served.stop.send(()).unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(10), served.task).await;
    ended.unwrap().unwrap();
    assert_eq!(idle.read(&mut [0; 1]).await.unwrap(), 0);
    assert!(TcpStream::connect(served.address).await.is_err());
}

#[tokio::test]
async fn an_address_in_use_is_named() {
    let served = served().await;
    let error = AdminListener::bind(served.address).await.unwrap_err();
    let text = error.to_string();
    assert!(text.contains(&format!("`{}`", served.address)), "{text}");
}

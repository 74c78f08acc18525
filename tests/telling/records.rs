//! Decision records in a file: in order, whole, and on disk before anything is forwarded.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use portcullis::audit::{AuditError, AuditLog, ClientFacts, KvError, UpstreamAnswer};
use portcullis::config::AuditSink;
use portcullis::reason::{Reason, Verdict};
use serde_json::Value;

use crate::metrics::{metrics, parsed};
use crate::now;

fn client() -> ClientFacts {
    ClientFacts {
        listener: "main".into(),
        ip: Some([192, 0, 2, 9].into()),
        via: None,
        process: None,
        tls: "1.3",
        sni: None,
        certificate: None,
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

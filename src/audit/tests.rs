//! The promises of the audit log, on a sink that blocks and fails on demand.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::keyvault::route;
use crate::principal::{Caller, CallerKind, Claims, TokenGroups};
use crate::reason::{Reason, Verdict};

use super::file::Sink;
use super::*;

/// What the test and the sink share.
#[derive(Default)]
struct Stage {
    state: Mutex<State>,
    changed: Condvar,
    dropped: AtomicUsize,
}

#[derive(Default)]
struct State {
    lines: Vec<u8>,
    closed: bool,
    failing: bool,
    /// How many writes are blocked or have been.
    attempts: usize,
}

struct Scripted(Arc<Stage>);

impl Sink for Scripted {
    fn room(&self) -> u64 {
        u64::MAX
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let mut state = self.0.state.lock().unwrap();
        state.attempts += 1;
        self.0.changed.notify_all();
        state = self.0.changed.wait_while(state, |s| s.closed).unwrap();
        if state.failing {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.lines.extend_from_slice(lines);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stage {
    fn open(limit: Duration) -> (Arc<Self>, AuditLog) {
        let stage = Arc::new(Self::default());
        let told = Arc::clone(&stage);
        let log = AuditLog::start(Scripted(Arc::clone(&stage)), limit, move |event| {
            if let AuditEvent::Dropped(lines) = event {
                told.dropped.fetch_add(lines, Ordering::Relaxed);
            }
        });
        (stage, log.unwrap())
    }

    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
        self.changed.notify_all();
    }

    /// Waits until the writer has begun its `n`th write.
    fn wait_for_attempt(&self, n: usize) {
        let state = self.state.lock().unwrap();
        let (_state, timeout) = self
            .changed
            .wait_timeout_while(state, Duration::from_secs(10), |s| s.attempts < n)
            .unwrap();
        assert!(!timeout.timed_out());
    }

    fn lines(&self) -> Vec<Value> {
        let state = self.state.lock().unwrap();
        let text = String::from_utf8(state.lines.clone()).unwrap();
        text.lines()
            .map(|l| serde_json::from_str(l).unwrap())
            .collect()
    }
}

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(20);

fn now() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_790_000_000)
}

fn client() -> ClientFacts {
    ClientFacts {
        listener: "main".into(),
        ip: [10, 0, 3, 7].into(),
        tls: "1.3",
        sni: Some("kv-fabrikam.vault.azure.net".into()),
        user_agent: Some("azsdk-rust-keyvault/1.0".into()),
        request_id: None,
    }
}

fn caller(token_id: &str, app_id: &str) -> Arc<Caller> {
    Arc::new(Caller::vouched(Claims {
        object_id: "6f0c2f5e-58a9-4c8e-9c57-2f5a3e6b7d10".parse().unwrap(),
        tenant_id: "b2c4d6e8-0a1b-4c3d-8e5f-7a9b0c1d2e3f".parse().unwrap(),
        app_id: Some(app_id.into()),
        issuer: "https://sts.windows.net/b2c4d6e8-0a1b-4c3d-8e5f-7a9b0c1d2e3f/".into(),
        issuer_name: "entra".into(),
        token_id: Some(token_id.into()),
        kind: CallerKind::App,
        groups: TokenGroups::Absent,
        expires_at: now(),
    }))
}

/// A line as `type decision-or-status reason`.
fn summary(line: &Value) -> String {
    let outcome = match line["type"].as_str() {
        Some("decision") => line["decision"].as_str().unwrap().to_owned(),
        _ => format!("{} aborted={}", line["status"], line["aborted"]),
    };
    format!("{} {outcome} {}", line["type"], line["reason"]).replace('"', "")
}

fn summaries(stage: &Stage) -> Vec<String> {
    stage.lines().iter().map(summary).collect()
}

/// Polls once, as a runtime does before it drops a task.
fn poll_once<F: Future>(future: F) -> (Poll<F::Output>, std::pin::Pin<Box<F>>) {
    let mut future = Box::pin(future);
    let poll = future
        .as_mut()
        .poll(&mut Context::from_waker(Waker::noop()));
    (poll, future)
}

#[tokio::test]
async fn the_record_tells_all_and_never_the_token() {
    let (stage, log) = Stage::open(LONG);
    let canary = "s3cr3t-uti-5e1d";
    let mut guard = log.begin(now(), client());
    let id = guard.decision_id().to_string();
    let operation = route::parse(
        &http::Method::GET,
        "/secrets/Db-Password/1d89273b3c364e018f939c2f0d151622",
        Some("api-version=2026-04-01"),
        &[],
    )
    .unwrap();
    let vault =
        "/subscriptions/1f0e/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv-fabrikam";
    guard.method(&http::Method::GET);
    guard.vault("kv-fabrikam", &vault.parse().unwrap());
    guard.operation(&operation);
    guard.caller(&caller(canary, "app"));
    guard.groups(4);
    guard.trace(
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            .parse()
            .unwrap(),
    );
    guard.authn_took(Duration::from_micros(38));
    guard.authz_took(Duration::from_micros(6));
    guard.policy(PolicyFacts {
        snapshot: "sha256:1c43".into(),
        snapshot_at: now(),
        stale: Duration::from_secs(41),
        assignment: None,
        role: None,
        deny_assignment: None,
        evaluated: Some(7),
        nearest: Some(NearestMiss {
            assignment: Some("a1b2c3d4-0000-4000-8000-00000000000a".parse().unwrap()),
            role: Some("Key Vault Reader".into()),
            failed: Reason::ActionNotGranted,
            detail: None,
        }),
    });
    assert!(!format!("{guard:?} {log:?}").contains(canary));
    let trail = guard
        .decide(Verdict::Deny, Reason::ActionNotGranted, Some(403))
        .await
        .unwrap();
    assert_eq!(trail.decision_id().to_string(), id);
    trail.finish(Some(403), None);
    log.flush().await.unwrap();

    let lines = stage.lines();
    assert_eq!(lines.len(), 1, "a refusal has no result line");
    let line = &lines[0];
    assert!(!line.to_string().contains(canary));
    let text = stage.state.lock().unwrap().lines.clone();
    assert!(text.starts_with(br#"{"v":1,"seq":1,"type":"decision","ts":"2026-"#));
    for (pointer, expected) in [
        ("/decision_id", id.as_str()),
        ("/mode", "enforce"),
        ("/decision", "deny"),
        ("/reason", "action_not_granted"),
        ("/op", "SecretGet"),
        (
            "/data_actions/0",
            "Microsoft.KeyVault/vaults/secrets/getSecret/action",
        ),
        ("/api_version", "2026-04-01"),
        ("/method", "GET"),
        ("/vault", "kv-fabrikam"),
        ("/object_type", "secret"),
        ("/object", "Db-Password"),
        ("/object_version", "1d89273b3c364e018f939c2f0d151622"),
        ("/caller/oid", "6f0c2f5e-58a9-4c8e-9c57-2f5a3e6b7d10"),
        ("/caller/idtyp", "app"),
        ("/caller/via", "bearer"),
        ("/client/ip", "10.0.3.7"),
        ("/client/tls", "1.3"),
        ("/policy/snapshot_ts", "2026-09-21T14:13:20.000000Z"),
        ("/policy/nearest/role", "Key Vault Reader"),
        ("/policy/nearest/failed", "action_not_granted"),
        ("/trace/trace_id", "0af7651916cd43dd8448eb211c80319c"),
        ("/trace/span_id", "b7ad6b7169203331"),
    ] {
        let found = line.pointer(pointer).and_then(Value::as_str);
        assert_eq!(found, Some(expected), "{pointer}");
    }
    assert_eq!(line["status"], 403);
    assert_eq!(line["caller"]["groups_n"], 4);
    assert_eq!(line["dur_us"]["authn"], 38);
    assert_eq!(line["policy"]["stale_s"], 41);
    assert!(line.get("truncated").is_none());
    let token_id = line["caller"]["token_id"].as_str().unwrap();
    assert_eq!((token_id.len(), &token_id[..5]), (5 + 16, "hmac:"));
    assert_eq!(log.token_name(canary), token_id);
    assert_ne!(Stage::open(LONG).1.token_name(canary), token_id);
}

#[tokio::test]
async fn the_longest_record_is_one_line_of_at_most_8_kib() {
    let (stage, log) = Stage::open(LONG);
    // What takes most room in JSON for each byte, and what breaks lines and terminals.
    let nasty = "\u{1}\"\\\r\n\u{1b}[2J\u{9b}ä".repeat(8000);
    let boxed: Option<Box<str>> = Some(nasty.as_str().into());
    let shared: Option<Arc<str>> = Some(nasty.as_str().into());
    let guid = "a1b2c3d4-0000-4000-8000-00000000000a";
    let name = "n".repeat(127);
    let mut guard = log.begin(
        now(),
        ClientFacts {
            listener: nasty.as_str().into(),
            ip: "2001:db8:aaaa:bbbb:cccc:dddd:eeee:ffff".parse().unwrap(),
            tls: "1.3",
            sni: boxed.clone(),
            user_agent: boxed.clone(),
            request_id: boxed.clone(),
        },
    );
    let path = format!("/certificates/{name}/pending");
    let query = Some("api-version=2026-07-01-preview");
    guard.operation(&route::parse(&http::Method::DELETE, &path, query, &[]).unwrap());
    guard.vault(
        &"v".repeat(24),
        &format!("/{}", "s\"\\".repeat(4000)).parse().unwrap(),
    );
    guard.caller(&caller(&nasty, &nasty));
    guard.sub_reason("a_label_of_a_closed_enum_of_some_length");
    guard.trace(
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
            .parse()
            .unwrap(),
    );
    guard.policy(PolicyFacts {
        snapshot: nasty.as_str().into(),
        snapshot_at: now(),
        stale: Duration::MAX,
        assignment: Some(guid.parse().unwrap()),
        role: shared.clone(),
        deny_assignment: Some(guid.parse().unwrap()),
        evaluated: Some(usize::MAX),
        nearest: Some(NearestMiss {
            assignment: Some(guid.parse().unwrap()),
            role: shared,
            failed: Reason::RoleDefinitionUnknown,
            detail: boxed.clone(),
        }),
    });
    let mut trail = guard
        .decide(Verdict::Allow, Reason::OkAssignment, None)
        .await
        .unwrap();
    trail.answered(UpstreamAnswer {
        status: 503,
        kv_error: Some(KvError::ForbiddenByFirewall),
        request_id: boxed,
        assignment: Some(guid.parse().unwrap()),
        took: Duration::MAX,
    });
    trail.finish(Some(503), Some(Reason::UpstreamError));
    log.flush().await.unwrap();

    let text = stage.state.lock().unwrap().lines.clone();
    let control = |b: &u8| *b < b' ' && *b != b'\n';
    assert!(!text.iter().any(control));
    assert!(!String::from_utf8(text.clone()).unwrap().contains('\u{9b}'));
    let lengths: Vec<usize> = text.split(|b| *b == b'\n').map(<[u8]>::len).collect();
    assert_eq!(
        lengths.len(),
        3,
        "two lines and what follows the last line feed"
    );
    // The sequence number may grow to 20 digits.
    assert!(
        lengths.iter().all(|length| length + 20 < 8 * 1024),
        "{lengths:?}"
    );
    let cut = stage.lines()[0]["truncated"].clone();
    for field in [
        "client.ua",
        "client.request_id",
        "policy.nearest.detail",
        "resource_id",
    ] {
        assert!(cut.as_array().unwrap().contains(&field.into()), "{field}");
    }
    assert_eq!(stage.lines()[1]["truncated"][0], "upstream.request_id");
}

#[tokio::test]
async fn a_request_that_is_dropped_undecided_has_one_record() {
    let (stage, log) = Stage::open(LONG);
    drop(log.begin(now(), client()));
    let panicking = log.begin(now(), client());
    let panicked = std::thread::spawn(move || {
        let _guard = panicking;
        panic!("on purpose");
    });
    assert!(panicked.join().is_err());
    log.flush().await.unwrap();
    assert_eq!(
        summaries(&stage),
        [
            "decision error client_gone",
            "decision error internal_error"
        ]
    );
}

#[tokio::test]
async fn a_client_that_leaves_while_the_record_is_written_has_one_record_and_one_result() {
    let (stage, log) = Stage::open(LONG);
    stage.set(|s| s.closed = true);
    for verdict in [Verdict::Allow, Verdict::Deny] {
        let guard = log.begin(now(), client());
        let (poll, future) = poll_once(guard.decide(verdict, Reason::OkAssignment, None));
        assert!(poll.is_pending());
        drop(future);
    }
    stage.set(|s| s.closed = false);
    log.flush().await.unwrap();
    assert_eq!(
        summaries(&stage),
        [
            "decision allow ok_assignment",
            "result null aborted=true client_gone",
            "decision deny ok_assignment",
        ]
    );
    let lines = stage.lines();
    assert_eq!(lines[0]["decision_id"], lines[1]["decision_id"]);
    assert_eq!(lines[1]["upstream"]["sent"], false);
}

#[tokio::test]
async fn a_client_that_leaves_while_the_sink_fails_has_one_record_in_the_end() {
    let (stage, log) = Stage::open(LONG);
    stage.set(|s| (s.closed, s.failing) = (true, true));
    let guard = log.begin(now(), client());
    let (_, future) = poll_once(guard.decide(Verdict::Allow, Reason::OkAssignment, None));
    stage.wait_for_attempt(1);
    drop(future);
    stage.set(|s| s.closed = false);
    assert_eq!(
        log.flush().await,
        Err(AuditError::Write(io::ErrorKind::StorageFull))
    );
    stage.set(|s| s.failing = false);
    log.flush().await.unwrap();
    assert_eq!(
        summaries(&stage),
        [
            "decision allow ok_assignment",
            "result null aborted=true client_gone",
        ]
    );
}

#[tokio::test]
async fn a_client_that_leaves_after_the_failure_was_told_has_one_record_in_the_end() {
    let (stage, log) = Stage::open(LONG);
    stage.set(|s| s.failing = true);
    let guard = log.begin(now(), client());
    let (_, future) = poll_once(guard.decide(Verdict::Allow, Reason::OkAssignment, None));
    // The receipt is sent before the flush is answered, and nobody reads it.
    let _ = log.flush().await;
    drop(future);
    stage.set(|s| s.failing = false);
    log.flush().await.unwrap();
    assert_eq!(summaries(&stage), ["decision error client_gone"]);
}

#[tokio::test]
async fn a_record_that_cannot_be_written_refuses_and_is_told_later() {
    let (stage, log) = Stage::open(LONG);
    assert!(log.check().is_ok());
    stage.set(|s| s.failing = true);
    for verdict in [Verdict::Allow, Verdict::Challenge] {
        let refused = log
            .begin(now(), client())
            .decide(verdict, Reason::NoToken, None);
        assert_eq!(
            refused.await.unwrap_err(),
            AuditError::Write(io::ErrorKind::StorageFull)
        );
    }
    assert!(log.check().unwrap_err().contains("storage"));
    stage.set(|s| s.failing = false);
    let guard = log.begin(now(), client());
    let trail = guard.decide(Verdict::Allow, Reason::OkAssignment, None);
    trail.await.unwrap().finish(Some(200), None);
    log.flush().await.unwrap();
    assert!(log.check().is_ok());
    assert_eq!(
        summaries(&stage),
        [
            "decision error audit_unavailable",
            "decision error audit_unavailable",
            "decision allow ok_assignment",
            "result 200 aborted=false null",
        ]
    );
    let seqs: Vec<u64> = stage
        .lines()
        .iter()
        .map(|l| l["seq"].as_u64().unwrap())
        .collect();
    assert_eq!(seqs, [1, 2, 3, 4], "nothing was lost, so there is no gap");
}

#[tokio::test]
async fn a_sink_that_blocks_refuses_in_time_and_the_record_says_what_became_of_it() {
    let (stage, log) = Stage::open(SHORT);
    stage.set(|s| s.closed = true);
    let guard = log.begin(now(), client());
    let (poll, being_written) = poll_once(guard.decide(Verdict::Allow, Reason::OkAssignment, None));
    assert!(poll.is_pending());
    stage.wait_for_attempt(1);
    let guard = log.begin(now(), client());
    let waiting = guard.decide(Verdict::Allow, Reason::OkAssignment, None);
    assert_eq!(being_written.await.unwrap_err(), AuditError::Timeout);
    assert_eq!(waiting.await.unwrap_err(), AuditError::Timeout);
    stage.set(|s| s.closed = false);
    log.flush().await.unwrap();
    assert_eq!(
        summaries(&stage),
        [
            "decision allow ok_assignment",
            "result 503 aborted=false audit_unavailable",
            "decision error audit_unavailable",
        ]
    );
}

#[tokio::test]
async fn what_is_lost_is_counted_and_leaves_a_gap() {
    let (stage, log) = Stage::open(LONG);
    stage.set(|s| s.closed = true);
    drop(log.begin(now(), client()));
    stage.wait_for_attempt(1);
    for _ in 0..8192 + 10 {
        drop(log.begin(now(), client()));
    }
    let dropped = stage.dropped.load(Ordering::Relaxed) as u64;
    assert!(dropped >= 10, "{dropped}");
    stage.set(|s| s.closed = false);
    log.flush().await.unwrap();
    drop(log.begin(now(), client()));
    log.flush().await.unwrap();
    let lines = stage.lines();
    let seqs: Vec<u64> = lines.iter().map(|l| l["seq"].as_u64().unwrap()).collect();
    assert!(seqs.is_sorted_by(|a, b| a < b));
    assert_eq!(*seqs.last().unwrap(), seqs.len() as u64 + dropped);
}

#[tokio::test]
async fn decisions_wait_for_a_place_and_leave_in_time() {
    let (stage, log) = Stage::open(SHORT);
    stage.set(|s| s.closed = true);
    let mut futures = Vec::new();
    for _ in 0..1024 {
        let guard = log.begin(now(), client());
        futures.push(poll_once(guard.decide(Verdict::Deny, Reason::NoAssignment, Some(403))).1);
    }
    assert!(log.check().is_err());
    let guard = log.begin(now(), client());
    let late = guard.decide(Verdict::Allow, Reason::OkAssignment, None);
    assert_eq!(late.await.unwrap_err(), AuditError::Timeout);
    drop(futures);
    stage.set(|s| s.closed = false);
    log.flush().await.unwrap();
    let summaries = summaries(&stage);
    assert_eq!(summaries.len(), 1025);
    let refused = "decision error audit_unavailable".to_owned();
    assert_eq!(summaries.iter().filter(|s| **s == refused).count(), 1);
    assert!(log.check().is_ok());
}

//! The promises of the audit log, on a sink that blocks and fails on demand.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, SystemTime};

use serde_json::Value;

use crate::principal::{Caller, CallerKind, Claims, Evidence, TokenGroups};
use crate::reason::{Reason, Verdict};

use super::file::Sink;
use super::log::{Limits, THREAD};
use super::*;

mod inline;
mod record;

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
    /// How many bytes fit before a rotation; no limit if absent.
    room: Option<u64>,
    /// Whether requests may write for themselves.
    prompt: bool,
    /// How many writes are blocked or have been.
    attempts: usize,
    /// Whether a write panics.
    panics: bool,
    /// Of each write that succeeded, whether it was the thread's.
    by_thread: Vec<bool>,
}

struct Scripted(Arc<Stage>);

impl Sink for Scripted {
    fn room(&self) -> u64 {
        self.0.state.lock().unwrap().room.unwrap_or(u64::MAX)
    }

    fn is_prompt(&self, _bytes: u64) -> bool {
        self.0.state.lock().unwrap().prompt
    }

    fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let mut state = self.0.state.lock().unwrap();
        state.attempts += 1;
        self.0.changed.notify_all();
        state = self.0.changed.wait_while(state, |s| s.closed).unwrap();
        let panics = state.panics;
        if state.failing {
            return Err(io::ErrorKind::StorageFull.into());
        }
        state.lines.extend_from_slice(lines);
        let thread = std::thread::current();
        state.by_thread.push(thread.name() == Some(THREAD));
        drop(state);
        self.0.changed.notify_all();
        assert!(!panics, "on purpose");
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stage {
    fn open(handover: Duration) -> (Arc<Self>, AuditLog) {
        Self::open_with(Limits {
            handover,
            ..Limits::DEFAULT
        })
    }

    fn open_with(limits: Limits) -> (Arc<Self>, AuditLog) {
        let stage = Arc::new(Self::default());
        let told = Arc::clone(&stage);
        let log = AuditLog::start(Scripted(Arc::clone(&stage)), limits, move |event| {
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
        self.wait_until(|s| s.attempts >= n);
    }

    fn wait_until(&self, is_so: impl Fn(&State) -> bool) {
        let state = self.state.lock().unwrap();
        let (_state, timeout) = self
            .changed
            .wait_timeout_while(state, Duration::from_secs(10), |s| !is_so(s))
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
        ip: Some([10, 0, 3, 7].into()),
        via: None,
        process: None,
        tls: "1.3",
        sni: Some("kv-fabrikam.vault.azure.net".into()),
        certificate: Some("5f".repeat(32).into()),
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
        evidence: Evidence::default(),
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
async fn a_panic_after_the_decision_has_a_result_that_says_so() {
    let (stage, log) = Stage::open(LONG);
    let guard = log.begin(now(), client());
    let decided = guard.decide(Verdict::Allow, Reason::OkAssignment, None);
    let result = decided.await.unwrap();
    let panicked = std::thread::spawn(move || {
        let _guard = result;
        panic!("on purpose");
    });
    assert!(panicked.join().is_err());
    log.flush().await.unwrap();
    let [_, result] = &summaries(&stage)[..] else {
        panic!("a decision and a result: {:?}", summaries(&stage));
    };
    assert_eq!(result, "result null aborted=true internal_error");
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
    stage.set(|s| (s.closed, s.failing) = (true, true));
    let guard = log.begin(now(), client());
    let (_, future) = poll_once(guard.decide(Verdict::Allow, Reason::OkAssignment, None));
    stage.set(|s| s.closed = false);
    // The receipt is sent before the flush is answered, and nobody reads it.
    let _ = log.flush().await;
    drop(future);
    stage.set(|s| s.failing = false);
    log.flush().await.unwrap();
    assert_eq!(summaries(&stage), ["decision error client_gone"]);
}

#[tokio::test]
async fn a_record_that_cannot_be_written_refuses_and_is_told_later() {
    for prompt in [false, true] {
        failing_sink_refuses(prompt).await;
    }
}

async fn failing_sink_refuses(prompt: bool) {
    let (stage, log) = Stage::open(LONG);
    stage.set(|s| s.prompt = prompt);
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
async fn what_a_failing_sink_did_not_take_is_written_in_order_once_it_can_be() {
    for room in [None, Some(0), Some(5000)] {
        failing_sink_recovers(room).await;
    }
}

async fn failing_sink_recovers(room: Option<u64>) {
    let (stage, log) = Stage::open(LONG);
    stage.set(|s| (s.failing, s.room) = (true, room));
    let mut expected = Vec::new();
    for _ in 0..2000 {
        let guard = log.begin(now(), client());
        expected.push(Value::from(guard.decision_id().to_string()));
    }
    assert!(log.flush().await.is_err());
    stage.set(|s| s.failing = false);
    log.flush().await.unwrap();
    let lines = stage.lines();
    let written: Vec<Value> = lines.iter().map(|l| l["decision_id"].clone()).collect();
    assert_eq!(written, expected);
    assert_eq!(lines.last().unwrap()["seq"], 2000);
    assert_eq!(stage.dropped.load(Ordering::Relaxed), 0);
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

//! Requests that write for themselves, and when they do not.

use std::collections::HashMap;
use std::thread;

use super::*;
use crate::audit::writer::Patience;

/// With a sink that takes lines at once.
fn prompt(limits: Limits) -> (Arc<Stage>, AuditLog) {
    let (stage, log) = Stage::open_with(limits);
    stage.set(|s| s.prompt = true);
    (stage, log)
}

/// Lines nobody waits for are left to whoever writes next, however busy the machine is.
const LAZY: Limits = Limits {
    linger: LONG,
    patience: Patience {
        write: LONG,
        pause: LONG,
    },
    ..Limits::DEFAULT
};

fn allow(log: &AuditLog) -> impl Future<Output = Result<ResultGuard, AuditError>> + use<> {
    let guard = log.begin(now(), client());
    guard.decide(Verdict::Allow, Reason::OkAssignment, None)
}

/// As a worker of a runtime does: polled on this thread, and woken from others.
fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build();
    runtime.unwrap().block_on(future)
}

fn by_thread(stage: &Stage) -> Vec<bool> {
    stage.state.lock().unwrap().by_thread.clone()
}

fn seqs(lines: &[Value]) -> Vec<u64> {
    lines.iter().map(|l| l["seq"].as_u64().unwrap()).collect()
}

#[test]
fn a_request_writes_for_itself_what_waits_and_then_its_own_line() {
    let (stage, log) = prompt(LAZY);
    for _ in 0..2 {
        let (poll, _) = poll_once(allow(&log));
        let Poll::Ready(Ok(result)) = poll else {
            panic!("it had to wait");
        };
        result.finish(Some(200), None);
    }
    assert_eq!(by_thread(&stage), [false, false]);
    assert_eq!(
        summaries(&stage),
        [
            "decision allow ok_assignment",
            "result 200 aborted=false null",
            "decision allow ok_assignment",
        ]
    );
    assert_eq!(seqs(&stage.lines()), [1, 2, 3]);
}

#[test]
fn a_result_is_written_without_any_further_request() {
    for is_prompt in [false, true] {
        let (stage, log) = Stage::open(LONG);
        stage.set(|s| s.prompt = is_prompt);
        block_on(allow(&log)).unwrap().finish(Some(200), None);
        stage.wait_until(|s| s.by_thread.len() == 2);
        assert_eq!(by_thread(&stage), [!is_prompt, true]);
        assert_eq!(seqs(&stage.lines()), [1, 2]);
    }
}

#[test]
fn what_waits_is_written_at_once_when_asked_for_and_at_the_end() {
    let (stage, log) = prompt(LAZY);
    block_on(allow(&log)).unwrap().finish(Some(200), None);
    block_on(log.flush()).unwrap();
    assert_eq!(stage.lines().len(), 2);
    block_on(allow(&log)).unwrap().finish(Some(200), None);
    drop(log);
    stage.wait_until(|s| s.by_thread.len() == 4);
    assert_eq!(seqs(&stage.lines()), [1, 2, 3, 4]);
}

#[test]
fn a_sink_that_was_slow_is_left_to_the_thread_for_a_while() {
    for (pause, expected) in [
        (LONG, [false, true, true]),
        (Duration::ZERO, [false, false, false]),
    ] {
        let mut limits = LAZY;
        limits.patience.write = Duration::ZERO;
        limits.patience.pause = pause;
        let (stage, log) = prompt(limits);
        for _ in expected {
            drop(block_on(log.begin(now(), client()).decide(
                Verdict::Deny,
                Reason::NoAssignment,
                Some(403),
            )));
        }
        assert_eq!(by_thread(&stage), expected, "{pause:?}");
    }
}

#[test]
fn a_write_that_took_longer_than_promised_refuses_although_the_line_stands() {
    let (stage, log) = prompt(Limits {
        handover: Duration::ZERO,
        ..LAZY
    });
    assert_eq!(block_on(allow(&log)).unwrap_err(), AuditError::Timeout);
    block_on(log.flush()).unwrap();
    assert_eq!(
        summaries(&stage),
        [
            "decision allow ok_assignment",
            "result 503 aborted=false audit_unavailable",
        ]
    );
}

#[test]
fn a_sink_that_hangs_holds_one_request_and_refuses_the_others_in_time() {
    let (stage, log) = prompt(Limits {
        handover: SHORT,
        ..LAZY
    });
    stage.set(|s| s.closed = true);
    let held = thread::spawn({
        let log = log.clone();
        move || block_on(allow(&log)).unwrap_err()
    });
    stage.wait_for_attempt(1);
    for _ in 0..3 {
        assert_eq!(block_on(allow(&log)).unwrap_err(), AuditError::Timeout);
    }
    stage.set(|s| s.closed = false);
    assert_eq!(held.join().unwrap(), AuditError::Timeout);
    block_on(log.flush()).unwrap();
    let mut summaries = summaries(&stage);
    assert_eq!(summaries.remove(0), "decision allow ok_assignment");
    summaries.sort();
    let unavailable = "decision error audit_unavailable";
    let told = "result 503 aborted=false audit_unavailable";
    assert_eq!(summaries, [unavailable, unavailable, unavailable, told]);
}

#[test]
fn after_a_write_that_panicked_nothing_is_written_or_forwarded() {
    let (stage, log) = prompt(LAZY);
    stage.set(|s| s.panics = true);
    let panicked = thread::spawn({
        let log = log.clone();
        move || block_on(allow(&log)).map(drop)
    });
    assert!(panicked.join().is_err());
    stage.set(|s| s.panics = false);
    for _ in 0..2 {
        assert_eq!(block_on(allow(&log)).unwrap_err(), AuditError::Closed);
    }
    assert_eq!(block_on(log.flush()), Err(AuditError::Closed));
    assert_eq!(stage.lines().len(), 1);
    // One of the request that panicked, and one of each that was refused.
    assert_eq!(stage.dropped.load(Ordering::Relaxed), 3);
}

const THREADS: usize = 8;
const REQUESTS: usize = 200;

/// Many threads, each with its own runtime; returns what `decide` said of each decision.
fn storm(stage: &Arc<Stage>, log: &AuditLog) -> HashMap<String, bool> {
    let work = |stage: Arc<Stage>, log: AuditLog| {
        let mut told = Vec::new();
        for _ in 0..REQUESTS {
            let guard = log.begin(now(), client());
            let id = guard.decision_id().to_string();
            let decided = block_on(guard.decide(Verdict::Allow, Reason::OkAssignment, None));
            if let Ok(result) = &decided {
                assert_eq!(result.decision_id().to_string(), id);
                let state = stage.state.lock().unwrap();
                let at = state
                    .lines
                    .windows(id.len())
                    .rposition(|w| w == id.as_bytes());
                assert!(at.is_some(), "it is not written yet");
            }
            assert_ne!(decided.as_ref().err(), Some(&AuditError::Timeout));
            told.push((id, decided.is_ok()));
            drop(decided.map(|result| result.finish(Some(200), None)));
        }
        told
    };
    let threads: Vec<_> = (0..THREADS)
        .map(|_| {
            let (stage, log) = (Arc::clone(stage), log.clone());
            thread::spawn(move || work(stage, log))
        })
        .collect();
    let told = threads.into_iter().flat_map(|t| t.join().unwrap());
    told.collect()
}

/// One decision for each, as it was told, then one result for each that was allowed; and no number
/// is missing.
fn check(stage: &Stage, told: &HashMap<String, bool>) {
    let lines = stage.lines();
    let allowed = told.values().filter(|allowed| **allowed).count();
    assert_eq!(told.len(), THREADS * REQUESTS);
    assert_eq!(lines.len(), told.len() + allowed);
    assert!(seqs(&lines).into_iter().eq(1..=lines.len() as u64));
    let mut seen = HashMap::new();
    for line in &lines {
        let id = line["decision_id"].as_str().unwrap();
        let before = seen.insert(id, &line["decision"]);
        match line["type"].as_str() {
            Some("decision") => {
                assert!(before.is_none());
                assert_eq!(line["decision"] == "allow", told[id], "{line}");
            }
            _ => assert!(before.is_some_and(|d| d == "allow"), "{line}"),
        }
    }
    assert_eq!(stage.dropped.load(Ordering::Relaxed), 0);
}

#[test]
fn many_threads_lose_no_line_and_no_number() {
    for is_prompt in [true, false] {
        let (stage, log) = Stage::open(LONG);
        stage.set(|s| s.prompt = is_prompt);
        let told = storm(&stage, &log);
        block_on(log.flush()).unwrap();
        check(&stage, &told);
        assert!(told.values().all(|allowed| *allowed));
    }
}

#[test]
fn many_threads_lose_no_line_while_the_sink_changes_its_mind() {
    let (stage, log) = prompt(Limits {
        handover: LONG,
        ..Limits::DEFAULT
    });
    let storming = Arc::new(());
    let weather = thread::spawn({
        let (stage, storming) = (Arc::clone(&stage), Arc::downgrade(&storming));
        move || {
            for turn in 0_usize.. {
                if storming.strong_count() == 0 {
                    break;
                }
                let before = stage.state.lock().unwrap().attempts;
                stage.set(|s| (s.prompt, s.failing) = (turn % 3 != 0, turn % 7 == 0));
                stage.wait_until(|s| s.attempts > before || storming.strong_count() == 0);
            }
        }
    });
    let told = storm(&stage, &log);
    drop(storming);
    stage.set(|s| (s.prompt, s.failing) = (true, false));
    weather.join().unwrap();
    stage.set(|s| (s.prompt, s.failing) = (true, false));
    block_on(log.flush()).unwrap();
    check(&stage, &told);
    assert!(told.values().any(|allowed| *allowed));
}

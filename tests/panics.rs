//! A panic in the middle of a request, over the whole proxy. In a process of its own: what is told
//! of panics is set for all of a process.

#![cfg(test)]
#![cfg(feature = "dev")]

use std::io::{self, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime};

use portcullis::clock::{Clock, SystemClock};
use portcullis::config::{AuditSink, Limits};
use portcullis::dev::people::{self, SECRETS_USER};
use portcullis::dev::world::{World, WorldSettings};
use portcullis::hardening::panics;
use serde_json::Value;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(30);

/// What the message of the panic holds, as one might that shows a value.
const CANARY: &str = "canary-of-a-panic";

/// A clock that breaks when a request has asked it so many times.
#[derive(Debug, Default)]
struct Trap(AtomicU32);

impl Clock for Trap {
    fn now(&self) -> SystemTime {
        let serves = thread::current()
            .name()
            .unwrap_or("")
            .starts_with("worker-");
        if serves && self.0.load(Ordering::SeqCst) > 0 {
            let left = self.0.fetch_sub(1, Ordering::SeqCst);
            assert_ne!(left, 1, "{CANARY}");
        }
        SystemClock.now()
    }
}

#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl Write for Captured {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Stage {
    world: World,
    trap: Arc<Trap>,
    directory: tempfile::TempDir,
}

impl Stage {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let trap = Arc::new(Trap::default());
        let settings = WorldSettings {
            audit: AuditSink::File {
                path: directory.path().join("decisions.jsonl"),
                max_bytes: 10 * 1024 * 1024,
                keep: 1,
            },
            // All requests meet on one thread, which must outlive them.
            limits: Limits {
                worker_threads: 1,
                ..Limits::default()
            },
            ..WorldSettings::new(directory.path().into(), Arc::clone(&trap) as _)
        };
        Self {
            world: World::start(settings).await.unwrap(),
            trap,
            directory,
        }
    }

    /// A client with connections of its own, which it keeps.
    fn client(&self) -> reqwest::Client {
        let tls = self.world.pki.client_config().unwrap();
        let client = reqwest::Client::builder().tls_backend_preconfigured(tls);
        client.build().unwrap()
    }

    /// With a token that was not seen before, so that every step is taken.
    async fn get(&self, client: &reqwest::Client) -> reqwest::Result<u16> {
        let token = self.world.issuer.token(SECRETS_USER.object_id).unwrap();
        let secret = format!("/secrets/{}?api-version=7.4", people::DB_SECRET);
        let request = client.get(format!("{}{secret}", self.world.url()));
        let sent = request.bearer_auth(token.expose()).send();
        let response = timeout(SOON, sent).await.unwrap()?;
        Ok(response.status().as_u16())
    }

    async fn metric(&self, name: &str) -> u64 {
        let address = self.world.proxy.admin_address();
        let page = self.client().get(format!("http://{address}/metrics"));
        let text = page.send().await.unwrap().text().await.unwrap();
        let line = text.lines().find(|line| line.starts_with(name));
        let value = line.and_then(|line| line.rsplit_once(' ')).unwrap().1;
        value.parse().unwrap()
    }
}

fn lines(directory: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(directory.join("decisions.jsonl")).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// What is logged from here on.
fn capture() -> Captured {
    let captured = Captured::default();
    let writer = captured.clone();
    tracing_subscriber::fmt()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();
    captured
}

#[tokio::test]
async fn a_panic_ends_its_connection_and_nothing_else_and_is_recorded_counted_and_told() {
    let captured = capture();
    panics::watch();
    let stage = Stage::start().await;
    let bystander = stage.client();
    assert_eq!(stage.get(&bystander).await.unwrap(), 200);
    assert_eq!(stage.metric("portcullis_panics_total").await, 0);
    // When the token is looked at, when it is verified, and when the decision is made.
    for asked in 2..=4 {
        stage.trap.0.store(asked, Ordering::SeqCst);
        let gone = stage.get(&stage.client()).await;
        assert!(gone.is_err_and(|error| error.status().is_none()), "{asked}");
        assert_eq!(stage.get(&bystander).await.unwrap(), 200, "{asked}");
        assert_eq!(stage.get(&stage.client()).await.unwrap(), 200, "{asked}");
    }
    assert_eq!(stage.metric("portcullis_panics_total").await, 3);
    assert_eq!(stage.metric("portcullis_inflight_requests").await, 0);
    // Only the honest ones.
    assert_eq!(stage.world.vault.journal_len(), 7);
    let directory = stage.directory;
    stage.world.stop().await;
    let records = lines(directory.path());
    let decided = records.iter().filter(|line| line["type"] == "decision");
    let told: Vec<_> = decided
        .map(|line| line["reason"].as_str().unwrap())
        .collect();
    let (fine, broken) = ("ok_assignment", "internal_error");
    let each = [broken, fine, fine];
    assert_eq!(told, [&[fine][..], &each, &each, &each].concat());
    let text = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    let events = text.lines().filter(|line| line.contains("a panic ended"));
    assert_eq!(events.count(), 3, "{text}");
    assert!(
        text.contains("worker-0") && text.contains("tests/panics.rs:"),
        "{text}"
    );
    assert!(!text.contains(CANARY), "{text}");
}

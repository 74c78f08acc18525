//! A running world, a client for it, and what can be seen of it from outside: the vault's journal,
//! the decision records in their file, `/metrics` and `/readyz`.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::HeaderMap;
use portcullis::clock::{Clock, SystemClock};
use portcullis::config::{AuditSink, Limits, MetadataQuestions};
use portcullis::dev::people::{GroupsClaim, Person};
use portcullis::dev::vault::JournalEntry;
use portcullis::dev::world::{World, WorldSettings};
use serde_json::{Map, Value};
use tempfile::TempDir;

/// How long a test waits for what must come true.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const VERSION: &str = "api-version=7.4";
pub(crate) const SECRET: &str = "/secrets/app-api-key?api-version=7.4";

/// Fails the test if `future` is not ready in time.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future)
        .await
        .expect("it took too long")
}

/// Looks again and again until there is something to be seen.
pub(crate) async fn eventually<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    soon(async {
        loop {
            if let Some(seen) = look().await {
                return seen;
            }
            tokio::task::yield_now().await;
        }
    })
    .await
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub(crate) struct HandClock(Mutex<SystemTime>);

impl HandClock {
    /// Certificates are checked on the machine's clock, so it begins there, at a whole second.
    fn new() -> Arc<Self> {
        let now = SystemClock.now();
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let whole = SystemTime::UNIX_EPOCH + Duration::from_secs(since.as_secs());
        Arc::new(Self(Mutex::new(whole)))
    }

    pub(crate) fn advance(&self, by: Duration) {
        *self.0.lock().unwrap() += by;
    }

    pub(crate) fn back(&self, by: Duration) {
        *self.0.lock().unwrap() -= by;
    }
}

impl Clock for HandClock {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }
}

/// What a site is made of.
pub(crate) struct Setup {
    pub(crate) limits: Limits,
    pub(crate) metadata: MetadataQuestions,
    pub(crate) groups: GroupsClaim,
    pub(crate) vault_host: &'static str,
    /// Where decision records go instead of a file of this site.
    pub(crate) records: Option<PathBuf>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            metadata: MetadataQuestions::default(),
            groups: GroupsClaim::LeftOut,
            vault_host: "localhost",
            records: None,
        }
    }
}

impl Setup {
    pub(crate) async fn start(self) -> Site {
        let directory = tempfile::tempdir().unwrap();
        let clock = HandClock::new();
        let records = self
            .records
            .unwrap_or_else(|| directory.path().join("decisions.jsonl"));
        let settings = WorldSettings {
            groups: self.groups,
            limits: self.limits,
            metadata: self.metadata,
            vault_host: self.vault_host.into(),
            audit: AuditSink::File {
                path: records.clone(),
                max_bytes: 1 << 30,
                keep: 1,
            },
            ..WorldSettings::new(directory.path().to_owned(), Arc::clone(&clock) as _)
        };
        let world = soon(World::start(settings)).await.unwrap();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(world.pki.client_config().unwrap())
            .redirect(reqwest::redirect::Policy::none())
            .timeout(PATIENCE)
            .build()
            .unwrap();
        Site {
            world,
            clock,
            client,
            records: Records {
                path: records,
                _directory: directory,
            },
            vault_host: self.vault_host,
            seen_decisions: AtomicUsize::new(0),
            seen_forwarded: AtomicU64::new(0),
        }
    }
}

/// A world and what a test has seen of it so far.
pub(crate) struct Site {
    pub(crate) world: World,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) client: reqwest::Client,
    pub(crate) records: Records,
    vault_host: &'static str,
    seen_decisions: AtomicUsize,
    seen_forwarded: AtomicU64,
}

/// The file of decision records.
pub(crate) struct Records {
    path: PathBuf,
    _directory: TempDir,
}

impl Records {
    pub(crate) fn text(&self) -> String {
        fs::read_to_string(&self.path).unwrap()
    }

    /// The lines as far as they are whole.
    pub(crate) fn lines(&self) -> Vec<Value> {
        let text = self.text();
        let (whole, _) = text.rsplit_once('\n').unwrap_or_default();
        whole
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    /// `None` if it broke off.
    pub(crate) body: Option<Bytes>,
}

impl Reply {
    #[track_caller]
    pub(crate) fn bytes(&self) -> &[u8] {
        self.body.as_deref().expect("a whole body")
    }

    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(self.bytes()).unwrap()
    }

    #[track_caller]
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(self.bytes()).expect("JSON")
    }

    #[track_caller]
    pub(crate) fn message(&self) -> String {
        self.json()["error"]["message"]
            .as_str()
            .expect("an error")
            .to_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

pub(crate) async fn read(request: reqwest::RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    Reply {
        status: response.status().as_u16(),
        headers: response.headers().clone(),
        body: response.bytes().await.ok(),
    }
}

impl Site {
    pub(crate) async fn start() -> Self {
        Setup::default().start().await
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.world.address()
    }

    /// The public name of the vault, which is not its own.
    pub(crate) fn host(&self) -> String {
        format!("localhost:{}", self.address().port())
    }

    /// The name the vault calls itself by.
    pub(crate) fn own_host(&self) -> String {
        self.world.vault.authority().to_string()
    }

    pub(crate) const fn vault_host(&self) -> &'static str {
        self.vault_host
    }

    pub(crate) fn token(&self, person: Person) -> String {
        self.mint(&self.claims(person))
    }

    pub(crate) fn claims(&self, person: Person) -> Map<String, Value> {
        self.world.issuer.claims(person.object_id).unwrap()
    }

    pub(crate) fn mint(&self, claims: &Map<String, Value>) -> String {
        self.world.issuer.mint(claims).unwrap().expose().to_owned()
    }

    pub(crate) fn request(&self, method: &str, path_and_query: &str) -> reqwest::RequestBuilder {
        let url = format!("{}{path_and_query}", self.world.url());
        self.client.request(method.parse().unwrap(), url)
    }

    /// Sends `method path_and_query` through the proxy, with `body` as JSON unless it is null.
    pub(crate) async fn send(
        &self,
        person: Person,
        method: &str,
        path_and_query: &str,
        body: &Value,
    ) -> Reply {
        let mut request = self
            .request(method, path_and_query)
            .bearer_auth(self.token(person));
        if !body.is_null() {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        read(request).await
    }

    pub(crate) async fn get(&self, person: Person, path_and_query: &str) -> Reply {
        self.send(person, "GET", path_and_query, &Value::Null).await
    }

    pub(crate) fn lines(&self) -> Vec<Value> {
        self.records.lines()
    }

    pub(crate) fn decisions(&self) -> Vec<Value> {
        let mut lines = self.lines();
        lines.retain(|line| line["type"] == "decision");
        lines
    }

    /// The decision records since the last call.
    pub(crate) fn new_decisions(&self) -> Vec<Value> {
        let mut all = self.decisions();
        let seen = self.seen_decisions.swap(all.len(), Ordering::SeqCst);
        all.split_off(seen)
    }

    /// The one decision record since the last call.
    #[track_caller]
    pub(crate) fn decision(&self) -> Value {
        let mut new = self.new_decisions();
        assert_eq!(new.len(), 1, "exactly one decision record: {new:#?}");
        new.remove(0)
    }

    /// Waits for the result record of a decision.
    pub(crate) async fn result_of(&self, decision: &Value) -> Value {
        let id = &decision["decision_id"];
        let is_its = |line: &Value| line["type"] == "result" && line["decision_id"] == *id;
        let result = eventually(async || self.lines().into_iter().find(is_its)).await;
        assert_eq!(self.lines().into_iter().filter(is_its).count(), 1);
        result
    }

    /// Checks the one request since the last check: refused with `status` and `reason`, recorded
    /// once as that, and not seen by the vault. Returns its record.
    #[track_caller]
    pub(crate) fn refused(&self, reply: &Reply, (status, reason): (u16, &str)) -> Value {
        let shown = String::from_utf8_lossy(reply.body.as_deref().unwrap_or_default());
        assert_eq!(
            (reply.status, reply.header("x-portcullis-reason")),
            (status, Some(reason)),
            "{shown}"
        );
        let record = self.decision();
        assert_eq!(record["reason"], reason);
        assert_eq!(record["status"], status);
        assert_ne!(record["decision"], "allow");
        assert_eq!(
            record["decision_id"].as_str(),
            reply.header("x-portcullis-decision-id")
        );
        assert_eq!(
            self.world.vault.journal_len(),
            self.seen_forwarded.load(Ordering::SeqCst),
            "the vault has seen a request that was refused: {:?}",
            self.world.vault.journal().last()
        );
        record
    }

    /// Checks the one request since the last check: allowed, recorded as that, and sent to the
    /// vault once. Returns its record and what the vault saw.
    #[track_caller]
    pub(crate) fn forwarded(&self) -> (Value, JournalEntry) {
        let record = self.decision();
        assert_eq!(record["decision"], "allow", "{record:#}");
        assert_eq!(record["reason"], "ok_assignment");
        assert_eq!(record["status"], Value::Null);
        let before = self.seen_forwarded.fetch_add(1, Ordering::SeqCst);
        assert_eq!(self.world.vault.journal_len(), before + 1);
        (record, self.world.vault.journal().pop().unwrap())
    }

    /// What reached the vault since the last check.
    pub(crate) fn news(&self) -> Vec<JournalEntry> {
        let reached = self.world.vault.journal_len();
        let seen = self.seen_forwarded.swap(reached, Ordering::SeqCst);
        let new = usize::try_from(reached - seen).unwrap();
        let mut all = self.world.vault.journal();
        all.split_off(all.len() - new)
    }

    /// Waits until so many requests have reached the vault since the last check.
    pub(crate) async fn until_news(&self, count: u64) {
        let seen = self.seen_forwarded.load(Ordering::SeqCst);
        soon(self.world.vault.reached(seen + count)).await;
    }

    /// Takes what has happened so far as given.
    pub(crate) fn forget(&self) {
        self.new_decisions();
        let reached = self.world.vault.journal_len();
        self.seen_forwarded.store(reached, Ordering::SeqCst);
    }

    /// A page of the administration listener.
    pub(crate) async fn admin(&self, path: &str) -> Reply {
        let address = self.world.proxy.admin_address();
        read(self.client.get(format!("http://{address}{path}"))).await
    }

    /// The sum of all series of a metric that have these labels, as they are written.
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> f64 {
        let page = self.admin("/metrics").await;
        let is_wanted = |line: &&str| {
            let rest = line.strip_prefix(name).unwrap_or_default();
            rest.starts_with(['{', ' ']) && labels.iter().all(|label| rest.contains(label))
        };
        page.text()
            .lines()
            .filter(is_wanted)
            .map(|line| line.rsplit_once(' ').unwrap().1.parse::<f64>().unwrap())
            .sum()
    }

    /// Changes the role data and waits until the proxy goes by it.
    pub(crate) async fn change_roles(&self, change: impl FnOnce(&Path)) {
        let revision = async || {
            let page = self.admin("/metrics").await;
            let mut lines = page.text().lines();
            let line = lines.find(|line| line.starts_with("portcullis_snapshot_info{"));
            line.map(str::to_owned)
        };
        // The first is told a moment after it is in force.
        let before = eventually(revision).await;
        change(&self.world.role_directory());
        eventually(async || revision().await.filter(|now| *now != before)).await;
    }
}

/// Puts a whole file in its place at once.
pub(crate) fn put(directory: &Path, name: &str, content: &Value) {
    let aside = directory.join("aside.new");
    fs::write(&aside, content.to_string()).unwrap();
    fs::rename(aside, directory.join(name)).unwrap();
}

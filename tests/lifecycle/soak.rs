//! Honest and hostile callers at once, before a vault that has bad days. Nobody honest gets a wrong
//! answer, no request reaches the vault without its record, and memory stays flat.
//!
//! Three seconds at every run; `PORTCULLIS_SOAK_SECONDS=600 cargo test --test lifecycle soak --
//! --nocapture` takes ten minutes and tells what was done.

mod hostile;
mod ledger;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use http::header::AUTHORIZATION;
use http::{HeaderValue, Request};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Bytes;
use hyper::client::conn::http2;
use portcullis::dev::people::{self, Person};
use portcullis::dev::vault::Script;
use tokio::task::JoinSet;
use tokio::time::{Interval, interval};

use crate::ask::{Answer, PATIENCE, SECRET, send, soon};
use crate::process::Running;
use crate::surroundings::Surroundings;
use ledger::Ledger;

/// One round of a worker in each of these; the machine is shared with the proxy and the vault.
const PACE: Duration = Duration::from_millis(20);
/// How often the vault's journal and the memory are looked at.
const LOOK: Duration = Duration::from_millis(250);
/// What a process may take on between its second quarter and its last.
const GROWTH_KIB: u64 = 16 * 1024;

/// How often each kind of round was done.
type Rounds = BTreeMap<&'static str, u64>;

/// What every worker has.
pub(crate) struct Field {
    world: Surroundings,
    running: Running,
    http1: reqwest::Client,
    http2: http2::SendRequest<Empty<Bytes>>,
    value: String,
    end: Instant,
}

#[tokio::test(flavor = "multi_thread")]
async fn honest_callers_get_their_answers_whatever_others_do() {
    let field = Arc::new(Field::prepare().await);
    let mut workers = JoinSet::new();
    workers.spawn(Arc::clone(&field).rounds("read over 1.1", Field::reads));
    workers.spawn(Arc::clone(&field).rounds("read over 2", Field::reads_over_http2));
    workers.spawn(Arc::clone(&field).rounds("absent", Field::asks_for_what_is_absent));
    workers.spawn(Arc::clone(&field).rounds("refused", Field::is_refused));
    workers.spawn(Arc::clone(&field).rounds("forged", Field::forges));
    workers.spawn(Arc::clone(&field).rounds("bad day", Field::meets_a_bad_day));
    workers.spawn(Arc::clone(&field).rounds("left", Field::leaves));
    workers.spawn(Arc::clone(&field).rounds("smuggled", hostile::smuggles));
    workers.spawn(Arc::clone(&field).rounds("hung up", hostile::hangs_up));
    workers.spawn(Arc::clone(&field).rounds("reset", hostile::resets));
    workers.spawn(Arc::clone(&field).rounds("dribbled", hostile::dribbles));

    let (mut ledger, mut memory) = (Ledger::default(), Vec::new());
    let mut looks = interval(LOOK);
    while Instant::now() < field.end {
        looks.tick().await;
        ledger.look(&field.world.vault);
        memory.push(resident_kib(field.running.process.id()));
    }
    let rounds: Rounds = workers.join_all().await.into_iter().collect();
    ledger.look(&field.world.vault);
    let field = Arc::into_inner(field).expect("every worker is done");
    field.running.process.signal("TERM");
    let outcome = field.running.process.end().await;
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    let sums = ledger.settle(&field.world.path("decisions.jsonl"));
    tell(&format!("{rounds:?}\nmemory in KiB: {memory:?}\n{sums}"));
    assert!(rounds.values().all(|count| *count > 0), "{rounds:?}");
    flat(&memory);
}

#[expect(
    clippy::print_stdout,
    reason = "whoever lets it run for long wants to know"
)]
fn tell(what: &str) {
    println!("{what}");
}

#[expect(
    clippy::disallowed_methods,
    reason = "how long a test takes is told from outside"
)]
fn seconds() -> u64 {
    let seconds = std::env::var("PORTCULLIS_SOAK_SECONDS");
    seconds.map_or(3, |seconds| seconds.parse().expect("a number of seconds"))
}

/// The most in the last quarter against the most in the second, by when everything is warm.
fn flat(memory: &[u64]) {
    let quarter = memory.len() / 4;
    let most = |from: usize| memory[from..from + quarter].iter().max().copied();
    let (Some(warm), Some(last)) = (most(quarter), most(memory.len() - quarter)) else {
        panic!("too few looks: {memory:?}");
    };
    assert!(last <= warm + GROWTH_KIB, "from {warm} to {last} KiB");
}

/// How much memory a process has.
fn resident_kib(process: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let words = line
        .unwrap_or_else(|| panic!("{status}"))
        .split_whitespace();
    words.rev().nth(1).unwrap().parse().unwrap()
}

impl Field {
    async fn prepare() -> Self {
        let world = Surroundings::start().await;
        let toml = world.toml(
            "[audit]\nsink = \"file\"\npath = \"decisions.jsonl\"\nmax_bytes = 1099511627776\n\n\
             [limits]\nheader_read_timeout_seconds = 1\nhandshake_timeout_seconds = 1\n",
        );
        let running = Running::start(&world, &toml).await;
        let http1 = pooled(&world, &running);
        let (http2, driver) = hostile::http2(&world.pki, running.address).await;
        tokio::spawn(driver);
        let answer = running
            .client
            .secret(&world.token(people::SECRETS_USER))
            .await;
        let value = answer.body["value"]
            .as_str()
            .expect("the secret")
            .to_owned();
        Self {
            world,
            running,
            http1,
            http2,
            value,
            end: Instant::now() + Duration::from_secs(seconds()),
        }
    }

    /// One round after the other until the end, at an even pace. Gives how many.
    async fn rounds(
        self: Arc<Self>,
        name: &'static str,
        round: impl AsyncFn(&Self, u64) + Send + 'static,
    ) -> (&'static str, u64) {
        let mut pace: Interval = interval(PACE);
        let mut count = 0;
        while Instant::now() < self.end {
            pace.tick().await;
            round(&self, count).await;
            count += 1;
        }
        (name, count)
    }

    fn url(&self, path: &str) -> String {
        format!("https://localhost:{}{path}", self.running.address.port())
    }

    async fn get(&self, path: &str, token: &str) -> Answer {
        let request = self.http1.get(self.url(path)).bearer_auth(token);
        let answer = send(request.timeout(PATIENCE)).await;
        answer.unwrap_or_else(|error| panic!("{path}: {error:?}"))
    }

    /// The same over one connection of HTTP/2.
    async fn get_over_http2(&self, path: &str, token: &str) -> Answer {
        let request = Request::get(self.url(path))
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .body(Empty::new());
        let response = self.http2.clone().send_request(request.unwrap());
        let (head, body) = soon(response).await.unwrap().into_parts();
        let body = soon(body.collect()).await.unwrap().to_bytes();
        Answer {
            status: head.status,
            headers: head.headers,
            body: serde_json::from_slice(&body).unwrap_or_default(),
        }
    }

    fn token(&self, person: Person) -> String {
        self.world.token(person)
    }

    async fn reads(&self, _count: u64) {
        let answer = self.get(SECRET, &self.token(people::SECRETS_USER)).await;
        self.is_the_secret(&answer);
    }

    async fn reads_over_http2(&self, _count: u64) {
        let token = self.token(people::SECRETS_USER);
        self.is_the_secret(&self.get_over_http2(SECRET, &token).await);
    }

    fn is_the_secret(&self, answer: &Answer) {
        assert_eq!(answer.verdict(), (200, ""), "{answer:?}");
        assert_eq!(answer.body["value"], self.value, "somebody else's answer");
    }

    async fn asks_for_what_is_absent(&self, count: u64) {
        let path = format!("/secrets/soak-absent-{count}?api-version=7.4");
        let answer = self
            .get_over_http2(&path, &self.token(people::SECRETS_USER))
            .await;
        assert_eq!(answer.verdict(), (404, ""), "{answer:?}");
        assert_eq!(answer.body["error"]["code"], "SecretNotFound");
    }

    async fn is_refused(&self, count: u64) {
        let path = format!("/secrets/soak-refused-{count}?api-version=7.4");
        let answer = self.get(&path, &self.token(people::NOBODY)).await;
        assert_eq!(answer.verdict(), (403, "no_assignment"), "{answer:?}");
    }

    /// A token with another key's name, and one whose claims were changed.
    async fn forges(&self, count: u64) {
        let genuine = self.token(people::ADMIN);
        let (message, signature) = genuine.rsplit_once('.').unwrap();
        let forged = if count.is_multiple_of(2) {
            let (_header, payload) = message.split_once('.').unwrap();
            let header = hostile::base64(&format!(r#"{{"alg":"RS256","kid":"soak-{count}"}}"#));
            format!("{header}.{payload}.{signature}")
        } else {
            format!("{message}A.{signature}")
        };
        let path = format!("/secrets/soak-forged-{count}?api-version=7.4");
        let answer = self.get(&path, &forged).await;
        assert_eq!(answer.verdict(), (401, "bad_token"), "{answer:?}");
    }

    async fn meets_a_bad_day(&self, count: u64) {
        const PATH: &str = "/secrets/app-api-key";
        let elsewhere = HeaderValue::from_static("https://vault.example/");
        let days: [(Script, u16); 7] = [
            (Script::disconnected(), 502),
            (Script::throttled(Some(Duration::from_secs(1))), 429),
            (
                Script::forbidden("ForbiddenByFirewall", "not from there"),
                403,
            ),
            (Script::redirected(elsewhere), 502),
            (Script::genuine().chunked(7), 200),
            (Script::genuine().gzip(), 200),
            (Script::genuine().broken_off(3), 502),
        ];
        let which = usize::try_from(count).unwrap() % days.len();
        let (script, status) = days.into_iter().nth(which).unwrap();
        self.world.vault.next_response(PATH, script);
        let path = format!("{PATH}?api-version=7.4");
        let answer = self.get(&path, &self.token(people::ADMIN)).await;
        assert_eq!(answer.status, status, "{which}: {answer:?}");
        let ours = answer.header("x-portcullis-reason") == "upstream_error";
        assert_eq!(ours, status == 502, "{answer:?}");
        assert!(status != 200 || answer.body["value"].is_string());
    }

    /// Goes away while the request is on its way, at one point or another.
    async fn leaves(&self, count: u64) {
        let path = format!("/secrets/soak-left-{count}?api-version=7.4");
        let token = self.token(people::SECRETS_USER);
        let wait = Duration::from_micros(count * 137 % 20_000);
        let request = self.get(&path, &token);
        // In time or not: both are as good.
        let _gone = tokio::time::timeout(wait, request).await;
    }
}

/// A client that keeps its connections.
fn pooled(world: &Surroundings, running: &Running) -> reqwest::Client {
    let builder = reqwest::Client::builder()
        .tls_backend_preconfigured(world.pki.client_config().unwrap())
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .resolve("localhost", running.address);
    builder.build().unwrap()
}

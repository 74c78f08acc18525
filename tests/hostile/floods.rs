//! Slow ones, and many of them: the real program stays small and serves the honest meanwhile.
//!
//! What is measured is the resident memory of its process. The bounds are generous, because a debug
//! build and its allocator keep more than they need; what is not bounded at all passes any bound.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use portcullis::dev::people;
use rustls::pki_types::ServerName;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::ask::{soon, until};
use crate::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, ENHANCE_YOUR_CALM, FLOW_CONTROL_ERROR, GOAWAY,
    HEADERS, PING, PROTOCOL_ERROR, RST_STREAM, Raw, SETTINGS, WINDOW_UPDATE, fields, frame,
};
use crate::process::Running;
use crate::surroundings::Surroundings;

const SECRET: &str = "/secrets/app-db-password?api-version=7.4";

/// How much larger the process may get, in KiB.
const GROWTH: u64 = 96 * 1024;

/// The real program under attack.
struct Besieged {
    world: Surroundings,
    running: Running,
    /// The attackers' token.
    token: String,
    honest: String,
    size: u64,
}

impl Besieged {
    /// Starts it with these `[limits]`, and has it do a little work first.
    async fn start(limits: &str) -> Arc<Self> {
        let world = Surroundings::start().await;
        let toml = world.toml(&format!("[limits]\n{limits}\n"));
        let running = Running::start(&world, &toml).await;
        let token = world.token(people::SECRETS_USER);
        let honest = world.token(people::ADMIN);
        let mut besieged = Self {
            world,
            running,
            token,
            honest,
            size: 0,
        };
        for _ in 0..10 {
            besieged.serves().await;
        }
        besieged.size = besieged.resident();
        Arc::new(besieged)
    }

    /// Resident memory, in KiB.
    fn resident(&self) -> u64 {
        let id = self.running.process.child.id();
        let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:"));
        let words = line.unwrap().split_whitespace().nth(1);
        words.unwrap().parse().unwrap()
    }

    /// An honest client, who is not the attacker, is served.
    async fn serves(&self) {
        assert_eq!(self.running.client.secret(&self.honest).await.status, 200);
    }

    /// It serves, and is not much larger than it was.
    async fn holds(&self, what: &str) {
        self.serves().await;
        let growth = self.resident().saturating_sub(self.size);
        assert!(growth < GROWTH, "{what}: {growth} KiB more");
    }

    async fn metric(&self, series: &str) -> f64 {
        let metrics = self.running.administration.metrics().await;
        metrics.get(series).copied().unwrap_or_default()
    }

    /// Waits until no connection is left.
    async fn is_alone(&self) {
        until(async || {
            let open = self
                .metric("portcullis_connections_open{listener=\"main\"}")
                .await;
            (open == 0.0).then_some(())
        })
        .await;
    }

    async fn tls(&self, protocol: &[u8]) -> TlsStream<TcpStream> {
        let mut config = self.world.pki.client_config().unwrap();
        config.alpn_protocols = vec![protocol.to_vec()];
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TcpStream::connect(self.running.address).await.unwrap();
        let connector = TlsConnector::from(Arc::new(config));
        soon(connector.connect(name, stream)).await.unwrap()
    }

    async fn http1(&self, text: &str) -> TlsStream<TcpStream> {
        let mut stream = self.tls(b"http/1.1").await;
        stream.write_all(text.as_bytes()).await.unwrap();
        stream.flush().await.unwrap();
        stream
    }

    async fn http2(&self, settings: &[u8]) -> Raw {
        Raw::begin_with(self.tls(b"h2").await, settings).await
    }

    fn authority(&self) -> String {
        format!("localhost:{}", self.running.address.port())
    }

    fn lines(&self) -> String {
        let (host, token) = (self.authority(), &self.token);
        format!("Host: {host}\r\nAuthorization: Bearer {token}\r\n")
    }

    fn block(&self, method: &str, path: &str) -> Vec<u8> {
        fields(&[
            (":method", method),
            (":scheme", "https"),
            (":authority", &self.authority()),
            (":path", path),
            ("authorization", &format!("Bearer {}", self.token)),
        ])
    }

    fn get(&self, stream: u32) -> Vec<u8> {
        let block = self.block("GET", SECRET);
        frame(HEADERS, END_HEADERS | END_STREAM, stream, &block)
    }
}

/// As many at once, kept until what is returned is dropped.
async fn many<T: Send + 'static>(
    count: usize,
    besieged: &Arc<Besieged>,
    attack: impl AsyncFn(Arc<Besieged>) -> T,
) -> Vec<T> {
    let mut held = Vec::with_capacity(count);
    for _ in 0..count {
        held.push(attack(Arc::clone(besieged)).await);
    }
    held
}

/// Floods a connection, and expects to be told to calm down or to be cut off.
async fn is_cut_off(what: &str, besieged: &Besieged, bytes: Vec<u8>) {
    let mut raw = besieged.http2(&[]).await;
    raw.flood(&bytes).await;
    if let Some(told) = raw.next(&[GOAWAY]).await {
        let mistakes = [PROTOCOL_ERROR, FLOW_CONTROL_ERROR, ENHANCE_YOUR_CALM];
        assert!(mistakes.contains(&told.error()), "{what}: {told:?}");
    }
}

/// So many streams, each opened and then made to be reset.
fn resets(open: impl Fn(u32) -> Vec<u8>, then: impl Fn(u32) -> Vec<u8>) -> Vec<u8> {
    let streams = (0..3000).map(|number| 2 * number + 1);
    streams
        .flat_map(|stream| [open(stream), then(stream)].concat())
        .collect()
}

/// Floods that were the undoing of servers.
fn floods(besieged: &Besieged) -> Vec<(&'static str, Vec<u8>)> {
    let put = besieged.block("PUT", "/secrets/flood?api-version=7.4");
    let open = |stream| frame(HEADERS, END_HEADERS, stream, &put);
    let get = |stream| besieged.get(stream);
    let cancel = |stream| frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]);
    let nothing = |stream| frame(WINDOW_UPDATE, 0, stream, &[0; 4]);
    let most = |stream| frame(WINDOW_UPDATE, 0, stream, &[0x7f, 0xff, 0xff, 0xff]);
    let more = |stream| frame(DATA, 0, stream, b"x");
    let begun = frame(HEADERS, 0, 1, &put);
    let field = frame(CONTINUATION, 0, 1, &fields(&[("x", "y".repeat(100))]));
    let without = frame(CONTINUATION, 0, 1, &[]);
    let empty = frame(DATA, 0, 1, &[]);
    vec![
        // CVE-2023-44487.
        ("rapid reset", resets(get, cancel)),
        // CVE-2025-8671: the server is made to reset.
        ("resets by a window of nothing", resets(open, nothing)),
        ("resets by a window that overflows", resets(open, most)),
        ("resets by data behind the end", resets(get, more)),
        // RUSTSEC-2024-0332.
        (
            "continuations",
            [begun.clone(), field.repeat(5000)].concat(),
        ),
        (
            "empty continuations",
            [begun, without.repeat(50_000)].concat(),
        ),
        // RUSTSEC-2026-0258.
        ("empty data", [open(1), empty.repeat(50_000)].concat()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_of_frames_are_cut_off() {
    let besieged = Besieged::start("").await;
    for round in 0..5 {
        for (what, bytes) in floods(&besieged) {
            is_cut_off(what, &besieged, bytes).await;
            besieged.holds(&format!("{what}, round {round}")).await;
        }
    }
    besieged.is_alone().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn floods_that_want_answers_and_read_none_fill_nothing() {
    let besieged = Besieged::start("").await;
    let mut floods = JoinSet::new();
    let settings = frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff]).repeat(200_000);
    let pings = frame(PING, 0, 0, &[7; 8]).repeat(200_000);
    let priorities = frame(2, 0, 1, &[0, 0, 0, 0, 7]).repeat(200_000);
    for bytes in [settings, pings, priorities] {
        for _ in 0..4 {
            let (besieged, bytes) = (Arc::clone(&besieged), bytes.clone());
            floods.spawn(async move {
                let mut raw = besieged.http2(&[]).await;
                // Nothing is read, so sooner or later nothing more is taken.
                let writing = raw.0.write_all(&bytes);
                let _stuck = tokio::time::timeout(Duration::from_secs(3), writing).await;
                raw
            });
        }
    }
    besieged.holds("floods that begin").await;
    let mut held = Vec::new();
    while let Some(raw) = floods.join_next().await {
        held.push(raw.unwrap());
        besieged.holds("floods at work").await;
    }
    drop(held);
    besieged.is_alone().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_are_not_taken_are_few() {
    let besieged =
        Besieged::start("total_timeout_seconds = 2\nbody_read_timeout_seconds = 1").await;
    // Windows of nothing: no byte of a body may be sent, on a hundred streams each.
    let no_room = [0, 4, 0, 0, 0, 0];
    let windows = many(5, &besieged, async |besieged| {
        let mut raw = besieged.http2(&no_room).await;
        let requests: Vec<u8> = (0..100).flat_map(|n| besieged.get(2 * n + 1)).collect();
        raw.flood(&requests).await;
        raw
    })
    .await;
    besieged.holds("answers that are not taken").await;
    // They lose their connections, without doing anything.
    besieged.is_alone().await;
    drop(windows);
    // Requests in a row, and nobody reads an answer.
    let get = format!("GET {SECRET} HTTP/1.1\r\n{}\r\n", besieged.lines());
    let mut readers = JoinSet::new();
    for _ in 0..5 {
        let (besieged, get) = (Arc::clone(&besieged), get.repeat(300));
        readers.spawn(async move {
            let mut stream = besieged.tls(b"http/1.1").await;
            let writing = stream.write_all(get.as_bytes());
            let _stuck = tokio::time::timeout(Duration::from_secs(2), writing).await;
            stream
        });
    }
    let mut held = Vec::new();
    while let Some(reader) = readers.join_next().await {
        held.push(reader.unwrap());
        besieged.holds("answers that are not read").await;
    }
    drop(held);
    besieged.is_alone().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_heads_and_slow_bodies_run_out_of_time() {
    let limits = "header_read_timeout_seconds = 1\nbody_read_timeout_seconds = 1";
    let besieged = Besieged::start(limits).await;
    let heads = many(100, &besieged, async |besieged| {
        let head = format!("GET {SECRET} HTTP/1.1\r\n{}X: ", besieged.lines());
        besieged.http1(&head).await
    })
    .await;
    besieged.holds("slow heads").await;
    let bodies = many(100, &besieged, async |besieged| {
        let lines = besieged.lines();
        let put = "PUT /secrets/slow?api-version=7.4 HTTP/1.1\r\n";
        besieged
            .http1(&format!("{put}{lines}Content-Length: 1000000\r\n\r\n{{"))
            .await
    })
    .await;
    besieged.holds("slow bodies").await;
    for mut slow in heads.into_iter().chain(bodies) {
        let mut answer = Vec::new();
        let _end = soon(slow.read_to_end(&mut answer)).await;
    }
    besieged.is_alone().await;
    besieged.holds("those that were slow").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_do_nothing_are_small_and_do_not_last() {
    let limits = "idle_timeout_seconds = 5\nhandshake_timeout_seconds = 5\nmax_connections = 500";
    let besieged = Besieged::start(limits).await;
    let silent = many(100, &besieged, async |besieged| {
        TcpStream::connect(besieged.running.address).await.unwrap()
    })
    .await;
    besieged.holds("handshakes that do not begin").await;
    let idle = many(150, &besieged, async |besieged| {
        besieged.tls(b"http/1.1").await
    })
    .await;
    let idle2 = many(50, &besieged, async |besieged| besieged.http2(&[]).await).await;
    besieged.holds("idle connections").await;
    // They go without a word, while they are answered.
    let gone = many(50, &besieged, async |besieged| {
        let get = format!("GET {SECRET} HTTP/1.1\r\n{}\r\n", besieged.lines());
        let (stream, _session) = besieged.http1(&get).await.into_inner();
        stream.set_zero_linger().unwrap();
    })
    .await;
    assert_eq!(gone.len(), 50);
    besieged.holds("connections whose clients are gone").await;
    besieged.is_alone().await;
    drop((silent, idle, idle2));
    besieged.holds("connections that did nothing").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_and_callers_that_nobody_knows_cause_no_fetch_and_are_not_kept() {
    let besieged = Besieged::start("").await;
    let fetched = async || {
        let metrics = besieged.running.administration.metrics().await;
        let fetches = metrics
            .iter()
            .filter(|(series, _)| series.starts_with("portcullis_jwks_refresh_total"));
        fetches.map(|(_, count)| *count).sum::<f64>()
    };
    let before = fetched().await;
    let claims = besieged
        .world
        .issuer
        .claims(people::NOBODY.object_id)
        .unwrap();
    let reached = besieged.world.vault.journal_len();
    for number in 0..1000_u32 {
        let mut claims = claims.clone();
        let oid = uuid::Uuid::new_v4().to_string();
        claims.insert("oid".to_owned(), Value::from(oid.clone()));
        claims.insert("sub".to_owned(), Value::from(oid));
        let token = besieged.world.issuer.mint(&claims).unwrap();
        let answer = besieged.running.client.secret(token.expose()).await;
        assert_eq!(answer.verdict(), (403, "no_assignment"), "{number}");
    }
    besieged.holds("a thousand strangers").await;
    // The one honest request.
    assert_eq!(besieged.world.vault.journal_len(), reached + 1);
    assert_eq!(fetched().await, before);
}

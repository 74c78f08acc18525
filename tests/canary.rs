//! Promise 5: no token, secret value or body in any log, record, metric, error or `Debug`.
//!
//! Words that occur nowhere else are put wherever a client or a vault can put them, and then looked
//! for wherever the proxy can put them. It has a process of its own, because it listens to all of
//! its logging.
#![cfg(test)]
#![cfg(feature = "dev")]

use std::io::{self, Write};
use std::sync::{Arc, LazyLock, Mutex};

use http::header::CONTENT_ENCODING;
use http::{HeaderValue, StatusCode};
use portcullis::dev::people;
use portcullis::dev::vault::Script;
use serde_json::{Map, Value, json};
use tracing::Level;
use tracing_subscriber::Layer as _;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

#[path = "pipeline/site.rs"]
#[expect(dead_code, reason = "the tests of the pipeline need more of it")]
mod site;
#[path = "pipeline/wire.rs"]
#[expect(dead_code, reason = "the tests of the pipeline need more of it")]
mod wire;

use site::{Reply, SECRET, Site, VERSION, eventually};

/// What no output may contain, each of them put somewhere by [`misuse`].
const CANARIES: [&str; 12] = [
    "canary-claim",
    "canary-value",
    "canary-tag",
    "canary-skiptoken",
    "canary-parameter",
    "canary-version",
    "canary-header",
    "canary-cookie",
    "canary-token",
    "canary-vault-error",
    "canary-vault-header",
    "canary-location",
];

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

impl Captured {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().unwrap()).into_owned()
    }
}

/// Everything this crate logs at any level, and what others log as far as the proxy lets them:
/// `telemetry` keeps them at `info`.
static LOGGED: LazyLock<Captured> = LazyLock::new(|| {
    let captured = Captured::default();
    let writer = captured.clone();
    let lines = tracing_subscriber::fmt::layer()
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .with_filter(filter_fn(|metadata| {
            metadata.target().starts_with("portcullis") || *metadata.level() <= Level::INFO
        }));
    tracing_subscriber::registry().with(lines).init();
    captured
});

/// Looks for canaries and for pieces of tokens.
#[track_caller]
fn is_clean(what: &str, text: &str, tokens: &[String]) {
    for canary in CANARIES {
        let found = text.find(canary).map(|at| {
            let start = text.floor_char_boundary(at.saturating_sub(200));
            text.get(start..at + canary.len())
        });
        assert_eq!(found, None, "{what} has {canary}");
    }
    for token in tokens {
        for part in token.split('.').skip(1) {
            assert!(!text.contains(part), "{what} has a piece of a token");
        }
    }
}

/// A client with a good token and canaries wherever it may put them.
struct Client<'s> {
    site: &'s Site,
    token: String,
}

impl Client<'_> {
    async fn send(&self, method: &str, target: &str, body: &str) -> Reply {
        let request = self.site.request(method, target).bearer_auth(&self.token);
        let request = request
            .header("x-canary", "canary-header")
            .header("cookie", "a=canary-cookie")
            .header("x-forwarded-for", "canary-header")
            .header("tracestate", "a=canary-header");
        site::read(request.body(body.to_owned())).await
    }

    async fn get(&self, target: &str) -> Reply {
        self.send("GET", target, "").await
    }

    /// Good requests, whose answers carry the canaries back to the client and nowhere else.
    async fn behave(&self) {
        let body = json!({ "value": "canary-value", "tags": { "a": "canary-tag" } });
        let stored = self.send("PUT", SECRET, &body.to_string()).await;
        assert_eq!(stored.json()["value"], "canary-value");
        assert_eq!(self.get(SECRET).await.json()["tags"]["a"], "canary-tag");
        let listed = format!("/secrets?{VERSION}&$skiptoken=canary-skiptoken");
        let list = self.get(&listed).await;
        assert_eq!(list.header("x-portcullis-reason"), None, "{}", list.text());
    }

    /// Requests that the proxy refuses.
    async fn misbehave(&self) -> Vec<Reply> {
        let mut replies = Vec::new();
        for (method, target) in [
            ("GET", "/secrets?api-version=canary-version"),
            (
                "GET",
                "/secrets?api-version=7.4&canary-parameter=canary-parameter",
            ),
            (
                "GET",
                "/secrets?api-version=7.4&maxresults=canary-parameter",
            ),
            (
                "GET",
                "/secrets?api-version=7.4&$skiptoken=canary-skiptoken%0d%0a",
            ),
            (
                "POST",
                "/secrets?api-version=7.4&$skiptoken=canary-skiptoken",
            ),
            (
                "GET",
                "/certificates/c/none?api-version=7.4&request_id=canary-parameter",
            ),
        ] {
            replies.push(self.send(method, target, "").await);
        }
        let body = json!({ "value": "canary-value" }).to_string();
        replies.push(self.send("DELETE", SECRET, &body).await);
        replies
    }

    /// Requests that the vault refuses, or answers so badly that the proxy has to answer.
    async fn suffer(&self) -> Vec<Reply> {
        let vault = &self.site.world.vault;
        let order = |script| vault.next_response("/secrets/app-api-key", script);
        let canary = "canary-vault-error";
        let error = json!({ "error": {
            "code": canary, "message": canary, "innererror": { "code": canary },
        }});
        order(Script::json(StatusCode::FORBIDDEN, &error));
        assert_eq!(self.get(SECRET).await.json(), error);
        let mut replies = Vec::new();
        for script in [
            Script::redirected(HeaderValue::from_static("https://canary-location.example/")),
            Script::genuine().header(
                CONTENT_ENCODING,
                HeaderValue::from_static("canary-vault-header"),
            ),
            Script::genuine().next_link("https://canary-location.example/"),
            Script::genuine().broken_off(60),
            Script::disconnected(),
        ] {
            order(script);
            replies.push(self.get(SECRET).await);
        }
        replies
    }
}

/// The claims of a good token with canaries in it.
fn claims(site: &Site) -> Map<String, Value> {
    let mut claims = site.claims(people::ADMIN);
    for name in [
        "name",
        "upn",
        "preferred_username",
        "aio",
        "xms_mirid",
        "uti",
    ] {
        claims.insert(name.into(), "canary-claim".into());
    }
    claims
}

/// Does everything above. The answers that are ours, and the tokens that were used.
async fn misuse(site: &Site) -> (Vec<Reply>, Vec<String>) {
    let token = site.mint(&claims(site));
    let mut replies = Vec::new();
    let mut tokens = refused_tokens(site, &mut replies).await;
    tokens.push(token.clone());
    let client = Client { site, token };
    client.behave().await;
    replies.extend(client.misbehave().await);
    replies.extend(client.suffer().await);
    (replies, tokens)
}

/// Tokens that are refused, each for another reason.
async fn refused_tokens(site: &Site, replies: &mut Vec<Reply>) -> Vec<String> {
    let with = |name: &str, value: Value| {
        let mut claims = claims(site);
        claims.insert(name.into(), value);
        site.mint(&claims)
    };
    let good = with("ver", "1.0".into());
    let (signed, _) = good.rsplit_once('.').unwrap();
    let mut tokens = vec![
        with("exp", 1.into()),
        with("exp", "canary-claim".into()),
        with("oid", "canary-claim".into()),
        with("tid", "canary-claim".into()),
        with("ver", "canary-claim".into()),
        with("appid", json!(["canary-claim"])),
        with("groups", json!(["canary-claim"])),
        with("idtyp", "canary-claim".into()),
        format!("{signed}.canary-token"),
        format!("canary-token.{signed}"),
        "canary-token".to_owned(),
        format!("canary-token.{}", "x".repeat(17_000)),
    ];
    for token in &tokens {
        let request = site.request("GET", SECRET).bearer_auth(token);
        replies.push(site::read(request.header("x-canary", "canary-header")).await);
    }
    let host = site.host();
    for authorization in [
        "canary-token",
        "Basic canary-token",
        "PoP canary-token",
        "Bearer  canary-token",
    ] {
        let head = format!("GET {SECRET} HTTP/1.1\r\nHost: {host}\r\n");
        replies.push(
            site.ask(&format!("{head}Authorization: {authorization}\r\n"))
                .await,
        );
    }
    // Short pieces occur by chance.
    tokens.retain(|token| token.split('.').all(|part| part.len() > 20));
    tokens
}

#[tokio::test]
async fn what_is_secret_is_told_to_nobody() {
    LazyLock::force(&LOGGED);
    let site = Site::start().await;
    let (replies, tokens) = misuse(&site).await;
    assert!(replies.len() == 28 && tokens.len() > 5);
    // Object names are told; their decision is not secret.
    let named = format!("/secrets/canary-name?{VERSION}");
    site.get(people::NOBODY, &named).await;
    for reply in &replies {
        let shown = format!("{:?} {}", reply.headers, reply.text());
        assert!((400..600).contains(&reply.status), "{shown}");
        assert!(
            reply.headers.contains_key("x-portcullis-decision-id"),
            "{shown}"
        );
        is_clean("an answer", &shown, &tokens);
    }
    let settled = |lines: &[Value], kind| lines.iter().filter(|line| line["type"] == kind).count();
    eventually(async || {
        let lines = site.lines();
        let allowed = lines
            .iter()
            .filter(|line| line["decision"] == "allow")
            .count();
        (settled(&lines, "result") == allowed).then_some(())
    })
    .await;
    let records = site.records.text();
    assert!(records.contains("canary-name"), "{records}");
    is_clean("the records", &records, &tokens);
    for path in ["/metrics", "/readyz", "/livez"] {
        is_clean(path, site.admin(path).await.text(), &tokens);
    }
    assert!(!site.admin("/metrics").await.text().contains("canary"));
    is_clean("Debug", &format!("{:?}", site.world.proxy), &tokens);
    let records = site.records;
    site::soon(site.world.stop()).await;
    is_clean("the records", &records.text(), &tokens);
    let logged = LOGGED.text();
    assert!(
        logged.contains("a request could not be forwarded"),
        "{logged}"
    );
    is_clean("the log", &logged, &tokens);
}

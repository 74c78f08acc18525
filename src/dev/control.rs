//! The embedded vault as test suites in other languages need it: what reached it, what it is to
//! answer next, and what time it is for its objects.
//!
//! | request | answer |
//! |---|---|
//! | `GET /journal?since=0` | `{"next": 7, "entries": [..]}`: the requests that reached the vault from that number on |
//! | `POST /script` | the next authenticated request for `path` is answered as the body says |
//! | `POST /release` | answers that are held go on |
//! | `POST /forward` | all objects become older: what falls due meanwhile is done at the next request |
//!
//! The body of `/script` is `{"path": "/secrets/n", "answer": {"status": 429, "headers": {..},
//! "body": {..}}, "held": true}`. Without `answer` it is the genuine one; with `held`, nothing of it
//! is sent until `/release`.
//!
//! The body of `/forward` is `{"seconds": 2678400}`, and its answer `{"ahead": 2678400}`: how far the
//! objects' time is now ahead of the clock. Tokens, the issuer and the proxy stay with the clock.
//! Time does not go back, and no more than ten years ahead.
//!
//! It listens on 127.0.0.1 and only if it is asked for: whoever reaches it learns the names of
//! objects, and no value, body or token.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use http::request::Parts;
use http::{HeaderName, HeaderValue, Request, Response, StatusCode};
use hyper::body::Incoming;
use serde::Deserialize;
use serde_json::{Value, json};

use super::StartError;
use super::server::{Body, Bound, BrokenOff, Peer, Running, Service, read_body, whole};
use super::vault::{Backstage, JournalEntry, Release, Script, VaultHandle};

/// The longest request body.
const MAX_BODY_BYTES: usize = 64 * 1024;

/// Starts the control of `vault` on `port` of 127.0.0.1; 0 lets the system choose.
///
/// # Errors
/// [`StartError::Bind`] if the port is taken.
pub async fn start(
    vault: &VaultHandle,
    port: u16,
    tls: Arc<rustls::ServerConfig>,
) -> Result<ControlHandle, StartError> {
    let control = Control {
        vault: vault.backstage(),
        held: Mutex::default(),
    };
    let running = Bound::bind(port).await?.serve(tls, Arc::new(control));
    Ok(ControlHandle { running })
}

/// A running control. Dropping it ends it at once.
#[derive(Debug)]
pub struct ControlHandle {
    running: Running,
}

impl ControlHandle {
    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.running.address()
    }

    /// Stops: answers in flight may finish, for a few seconds.
    pub async fn stop(self) {
        self.running.stop().await;
    }
}

#[derive(Debug)]
struct Control {
    vault: Backstage,
    held: Mutex<Vec<Release>>,
}

/// The body of `/script`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    path: String,
    answer: Option<Canned>,
    #[serde(default)]
    held: bool,
}

/// The body of `/forward`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Forward {
    seconds: u32,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Canned {
    status: u16,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    body: Value,
}

impl Service for Control {
    async fn answer(
        self: Arc<Self>,
        _peer: Arc<Peer>,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, BrokenOff> {
        let (head, body) = request.into_parts();
        // Read whoever asks for what: a body that is left unread costs the client its connection.
        let answer = match read_body(body, MAX_BODY_BYTES).await {
            Ok(body) => self.told(&head, &body),
            Err(_) => Err("the body cannot be read".to_owned()),
        };
        let (status, body) = match answer {
            Ok(body) => (StatusCode::OK, body),
            Err(problem) => (StatusCode::BAD_REQUEST, json!({ "problem": problem })),
        };
        let mut response = Response::new(whole(body.to_string()));
        *response.status_mut() = status;
        Ok(response)
    }
}

impl Control {
    fn told(&self, head: &Parts, body: &[u8]) -> Result<Value, String> {
        match (head.method.as_str(), head.uri.path()) {
            ("GET", "/journal") => self.journal(head.uri.query().unwrap_or_default()),
            ("POST", "/script") => self.script(body),
            ("POST", "/release") => Ok(self.release()),
            ("POST", "/forward") => self.forward(body),
            _ => Err("expected GET /journal, or POST to /script, /release or /forward".to_owned()),
        }
    }

    fn journal(&self, query: &str) -> Result<Value, String> {
        let mut parameters = form_urlencoded::parse(query.as_bytes());
        let first = match parameters.find(|(name, _)| name == "since") {
            None => 0,
            Some((_, number)) => number.parse().map_err(|_| "`since` is no number")?,
        };
        let (entries, next) = self.vault.journal(first);
        let entries: Value = entries.iter().map(shown).collect();
        Ok(json!({ "next": next, "entries": entries }))
    }

    fn script(&self, body: &[u8]) -> Result<Value, String> {
        let order: Order = serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let mut script = match &order.answer {
            None => Script::genuine(),
            Some(canned) => canned.script()?,
        };
        if order.held {
            let (held, release) = script.held();
            script = held;
            let mut releases = self.held.lock().unwrap_or_else(PoisonError::into_inner);
            releases.push(release);
        }
        self.vault.next_response(&order.path, script);
        Ok(json!({}))
    }

    fn release(&self) -> Value {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let released = held.len();
        held.drain(..).for_each(Release::release);
        json!({ "released": released })
    }

    fn forward(&self, body: &[u8]) -> Result<Value, String> {
        let Forward { seconds } =
            serde_json::from_slice(body).map_err(|error| error.to_string())?;
        let ahead = self.vault.forward(seconds);
        let ahead = ahead.ok_or("expected no more than ten years in all")?;
        Ok(json!({ "ahead": ahead }))
    }
}

impl Canned {
    fn script(&self) -> Result<Script, String> {
        let status = StatusCode::from_u16(self.status).map_err(|error| error.to_string())?;
        let mut script = Script::json(status, &self.body);
        for (name, value) in &self.headers {
            let bad = || format!("the header `{name}` cannot be sent");
            let name = HeaderName::try_from(name).map_err(|_| bad())?;
            let value = HeaderValue::try_from(value).map_err(|_| bad())?;
            script = script.header(name, value);
        }
        Ok(script)
    }
}

/// An entry as suites read it: no caller for a request without a good token, no status for one that
/// is not answered.
fn shown(entry: &JournalEntry) -> Value {
    json!({
        "method": entry.method.as_str(),
        "path_and_query": entry.path_and_query,
        "host": entry.host,
        "caller": entry.caller.map(|caller| caller.to_string()),
        "status": entry.status.map(|status| status.as_u16()),
    })
}

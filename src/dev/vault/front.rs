//! Requests in, answers out: admission, journal, scripts, and the headers Key Vault sends.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use bytes::Bytes;
use http::header::{
    ACCEPT, CACHE_CONTROL, CONTENT_TYPE, EXPIRES, HOST, PRAGMA, RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode};
use hyper::body::Incoming;
use uuid::Uuid;

use crate::clock::Clock;
use crate::dev::server::{Body, BodyError, BrokenOff, Peer, Service, read_body, whole};
use crate::dev::{StartError, unix_seconds};
use crate::keyvault::Authority;

use super::VaultSettings;
use super::authn::Trust;
use super::certificates::Certificate;
use super::failure::Failure;
use super::journal::{EntryNumber, Journal};
use super::keys::{CryptoVerb, Key};
use super::limits::{Meter, Transaction};
use super::objects::Answer;
use super::paging::Query;
use super::route::{self, Collection, Target, unknown_verb};
use super::script::{Script, Scripts};
use super::secrets::Secret;
use super::store::{Shelved, Store};

/// The longest request body.
const MAX_BODY_BYTES: usize = 1024 * 1024;

/// The furthest that the objects' time may be ahead, in seconds: ten years, and every date in them
/// can still be written.
const MAX_AHEAD: i64 = 10 * 365 * 24 * 3600;

const CLIENT_REQUEST_ID: HeaderName = HeaderName::from_static("x-ms-client-request-id");

/// The headers of every answer that do not vary.
const FIXED_HEADERS: [(HeaderName, &str); 7] = [
    (CACHE_CONTROL, "no-cache"),
    (PRAGMA, "no-cache"),
    (EXPIRES, "-1"),
    (
        HeaderName::from_static("x-ms-keyvault-service-version"),
        "1.9.2500.1",
    ),
    (
        HeaderName::from_static("x-ms-keyvault-network-info"),
        "conn_type=Ipv4;addr=127.0.0.1;act_addr_fam=InterNetwork;",
    ),
    (HeaderName::from_static("x-content-type-options"), "nosniff"),
    (
        HeaderName::from_static("strict-transport-security"),
        "max-age=31536000;includeSubDomains",
    ),
];

/// The headers of an allowed request: they tell of the vault's own decision, and a proxy must not
/// pass them on.
const RBAC_HEADERS: [(HeaderName, &str); 2] = [
    (
        HeaderName::from_static("x-ms-keyvault-rbac-assignment-id"),
        "7e7d0c3a-52d5-4f0e-9c43-6f1b7a1d9e52",
    ),
    (
        HeaderName::from_static("x-ms-keyvault-rbac-cache"),
        "ra_age=12;da_age=12;rd_age=12;brd_age=12;ra_notif_age=12;dec_lev=1;",
    ),
];

/// The vault behind its server.
#[derive(Debug)]
pub(super) struct Front {
    pub(super) store: Store,
    trust: Trust,
    challenge: HeaderValue,
    location: HeaderValue,
    clock: Arc<dyn Clock>,
    /// Seconds by which the objects' time is ahead of the clock; never less than it was.
    ahead: AtomicI64,
    /// The authority with the port it really listens on.
    listening: Authority,
    pub(super) journal: Journal,
    pub(super) scripts: Scripts,
    pub(super) meter: Meter,
}

/// One request, read.
pub(super) struct Call {
    pub(super) method: Method,
    pub(super) target: Target,
    pub(super) query: Query,
    pub(super) body: Bytes,
    /// What `Accept` says.
    pub(super) accept: Option<String>,
    pub(super) now: i64,
}

impl Service for Front {
    async fn answer(
        self: Arc<Self>,
        peer: Arc<Peer>,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, BrokenOff> {
        let host = host(&request);
        let server_name = peer.server_name.as_deref();
        let number = self.journal.arrived(&request, host.as_deref(), server_name);
        let client_request_id = request.headers().get(CLIENT_REQUEST_ID).cloned();
        let (mut response, script) = self.respond(request, host.as_deref(), number).await;
        if let Some(id) = client_request_id {
            response.headers_mut().insert(CLIENT_REQUEST_ID, id);
        }
        let response = match script {
            None => response.map(whole),
            Some(script) => script.play(response).await?,
        };
        self.journal.answered(number, response.status());
        Ok(response)
    }
}

impl Front {
    pub(super) fn new(
        settings: VaultSettings,
        store: Store,
        port: u16,
    ) -> Result<Self, StartError> {
        Ok(Self {
            listening: store.authority.with_port(port),
            store,
            challenge: settings.trust.challenge()?,
            trust: settings.trust,
            location: HeaderValue::try_from(&*settings.location)
                .map_err(|_| StartError::Setting("location"))?,
            clock: settings.clock,
            ahead: AtomicI64::new(0),
            journal: Journal::new(),
            scripts: Scripts::default(),
            meter: Meter::new(settings.behavior.limits),
        })
    }

    pub(super) const fn authority(&self) -> &Authority {
        &self.store.authority
    }

    /// Moves the objects' time forward by as many seconds. Gives by how much it is ahead in all, or
    /// nothing if that were more than [`MAX_AHEAD`].
    pub(super) fn forward(&self, seconds: u32) -> Option<i64> {
        let moved = |ahead: i64| Some(ahead + i64::from(seconds)).filter(|sum| *sum <= MAX_AHEAD);
        let before = self
            .ahead
            .try_update(Ordering::Relaxed, Ordering::Relaxed, moved);
        before.ok().and_then(moved)
    }

    /// The answer before a script alters it, and the script.
    async fn respond(
        &self,
        request: Request<Incoming>,
        host: Option<&str>,
        number: EntryNumber,
    ) -> (Response<Bytes>, Option<Script>) {
        let now = unix_seconds(self.clock.now());
        let admitted = self
            .check_host(host)
            .and_then(|()| self.trust.caller(request.headers(), now));
        match admitted {
            Ok(caller) => self.journal.recognized(number, caller),
            Err(failure) => return (self.failed(&failure), None),
        }
        let script = self.scripts.take(request.uri().path());
        let canned = script.as_ref().and_then(Script::canned_status);
        let response = match canned {
            Some(status) => self.response(status, Bytes::new()),
            // Tokens are good by the clock that they were issued by; objects may be older.
            None => match self
                .operate(request, now + self.ahead.load(Ordering::Relaxed))
                .await
            {
                Ok(Answer::Json(body)) => self.response(StatusCode::OK, body.to_string().into()),
                Ok(Answer::Response(answer)) => {
                    let (head, body) = answer.into_parts();
                    let mut response = self.response(head.status, body);
                    response.headers_mut().extend(head.headers);
                    response
                }
                Ok(Answer::Nothing) => self.response(StatusCode::NO_CONTENT, Bytes::new()),
                Err(failure) => self.failed(&failure),
            },
        };
        (response, script)
    }

    /// Azure: the service answers for its own host name only.
    fn check_host(&self, host: Option<&str>) -> Result<(), Failure> {
        let asked: Option<Authority> = host.and_then(|host| host.parse().ok());
        if asked.is_some_and(|host| host == self.store.authority || host == self.listening) {
            return Ok(());
        }
        Err(Failure::new(
            StatusCode::MISDIRECTED_REQUEST,
            "BadParameter",
            format!("This vault is {}.", self.store.authority),
        ))
    }

    async fn operate(&self, request: Request<Incoming>, now: i64) -> Result<Answer, Failure> {
        let (head, body) = request.into_parts();
        let method = route::method(&head.method, &head.headers)?;
        let query = Query::parse(head.uri.query().unwrap_or_default())?;
        let (collection, target) = route::parse(&method, head.uri.path())?;
        let call = Call {
            method,
            target,
            query,
            body: read(body).await?,
            accept: text(&head.headers, &ACCEPT),
            now,
        };
        self.meter.count(self.transaction(collection, &call), now)?;
        self.store.certificates_due(now).await;
        match collection {
            Collection::Certificates => match self.store.certificate_call(&call).await {
                Some(answer) => answer,
                None => self.common_call::<Certificate>(&call),
            },
            Collection::Keys => {
                self.store.rotate_due(now).await;
                self.key_call(&call).await
            }
            Collection::Secrets => self.secret_call(&call),
        }
    }

    /// What the service limits see of a request.
    fn transaction(&self, collection: Collection, call: &Call) -> Transaction {
        let method = call.method.as_str();
        match (collection, method, &call.target) {
            (Collection::Secrets, "PUT", _) => Transaction::Write,
            (Collection::Certificates, "POST", Target::Verb { verb, .. }) if verb == "import" => {
                Transaction::Write
            }
            (Collection::Keys, "PUT", Target::Object { .. }) => Transaction::Write,
            (Collection::Keys, "POST", Target::Verb { verb, .. }) if verb == "create" => {
                Transaction::create_key(&call.body)
            }
            (Collection::Keys, "POST", Target::Verb { name, verb, .. })
                if ["rotate", "release"].contains(&&**verb) =>
            {
                let weight = self.store.key_weight(name, None, call.now);
                weight.map_or(Transaction::Other, |weight| Transaction::CreateKey {
                    hardware: weight.hardware,
                })
            }
            (
                Collection::Keys,
                _,
                Target::Object { name, version } | Target::Verb { name, version, .. },
            ) => {
                let weight = self.store.key_weight(name, version.as_deref(), call.now);
                weight.map_or(Transaction::Other, Transaction::UseKey)
            }
            (Collection::Certificates | Collection::Keys | Collection::Secrets, _, _) => {
                Transaction::Other
            }
        }
    }

    fn secret_call(&self, call: &Call) -> Result<Answer, Failure> {
        let Call { body, now, .. } = call;
        match (call.method.as_str(), &call.target) {
            (
                "PUT",
                Target::Object {
                    name,
                    version: None,
                },
            ) => self.store.set_secret(name, body, *now),
            ("GET", Target::Object { name, version }) => {
                self.store
                    .secret(name, version.as_deref(), &call.query, *now)
            }
            ("PATCH", Target::Object { name, version }) => {
                self.store
                    .update_secret(name, version.as_deref(), body, *now)
            }
            _ => self.common_call::<Secret>(call),
        }
    }

    async fn key_call(&self, call: &Call) -> Result<Answer, Failure> {
        let Call { body, now, .. } = call;
        match (call.method.as_str(), &call.target) {
            (
                "PUT",
                Target::Object {
                    name,
                    version: None,
                },
            ) => self.store.import_key(name, body, *now),
            ("GET", Target::Object { name, version }) => {
                self.store.key(name, version.as_deref(), *now)
            }
            ("PATCH", Target::Object { name, version }) => {
                self.store.update_key(name, version.as_deref(), body, *now)
            }
            (
                _,
                Target::Verb {
                    name,
                    version,
                    verb,
                },
            ) => self.key_verb(call, name, version.as_deref(), verb).await,
            _ => self.common_call::<Key>(call),
        }
    }

    /// What managed HSMs alone have (`/attestation`, `/securewrapkey`, `/secureunwrapkey`) and
    /// what only a preview had (`/export`) a vault knows as little as any other word.
    async fn key_verb(
        &self,
        call: &Call,
        name: &str,
        version: Option<&str>,
        verb: &str,
    ) -> Result<Answer, Failure> {
        let Call { body, now, .. } = call;
        let (store, now) = (&self.store, *now);
        match (call.method.as_str(), verb, CryptoVerb::named(verb)) {
            ("POST", _, Some(crypto)) => store.operate(name, version, crypto, body, now),
            ("POST", "release", _) => store.release_key(name, version, body, now),
            ("POST", "create", _) if version.is_none() => store.create_key(name, body, now).await,
            ("POST", "rotate", _) if version.is_none() => store.rotate_key(name, now).await,
            ("GET", "rotationpolicy", _) if version.is_none() => store.rotation_policy(name, now),
            ("PUT", "rotationpolicy", _) if version.is_none() => {
                store.set_rotation_policy(name, body, now)
            }
            _ => self.common_call::<Key>(call),
        }
    }

    fn common_call<C: Shelved>(&self, call: &Call) -> Result<Answer, Failure> {
        let Call { query, now, .. } = call;
        let store = &self.store;
        let method = call.method.as_str();
        match (method, &call.target) {
            ("GET", Target::All) => Ok(store.list::<C>(query, *now)),
            ("GET", Target::AllDeleted) => Ok(store.list_deleted::<C>(query, *now)),
            ("POST", Target::Restore) => store.restore::<C>(&call.body, *now),
            (
                "DELETE",
                Target::Object {
                    name,
                    version: None,
                },
            ) => store.delete::<C>(name, *now),
            ("GET", Target::Deleted { name }) => store.deleted::<C>(name, *now),
            ("DELETE", Target::Deleted { name }) => store.purge::<C>(name, *now),
            (
                _,
                Target::Verb {
                    name,
                    version: None,
                    verb,
                },
            ) => match (method, verb.as_str()) {
                ("GET", "versions") => store.versions::<C>(name, query, *now),
                ("POST", "backup") => store.backup::<C>(name, *now),
                _ => Err(unknown_verb(method, verb)),
            },
            ("POST", Target::DeletedVerb { name, verb }) if verb == "recover" => {
                store.recover::<C>(name, *now)
            }
            (_, Target::Verb { verb, .. } | Target::DeletedVerb { verb, .. }) => {
                Err(unknown_verb(method, verb))
            }
            _ => Err(Failure::wrong_method(method)),
        }
    }

    fn failed(&self, failure: &Failure) -> Response<Bytes> {
        let mut response = self.response(failure.status, failure.body().to_string().into());
        if let Some(wait) = failure.retry_after {
            response.headers_mut().insert(RETRY_AFTER, wait.into());
        }
        response
    }

    /// An answer with Key Vault's headers.
    fn response(&self, status: StatusCode, body: Bytes) -> Response<Bytes> {
        let mut response = Response::new(body);
        *response.status_mut() = status;
        let headers = response.headers_mut();
        let mut set = |name, value| headers.insert(name, value);
        for (name, value) in FIXED_HEADERS {
            set(name, HeaderValue::from_static(value));
        }
        if status != StatusCode::NO_CONTENT {
            set(
                CONTENT_TYPE,
                HeaderValue::from_static("application/json; charset=utf-8"),
            );
        }
        set(
            HeaderName::from_static("x-ms-keyvault-region"),
            self.location.clone(),
        );
        if let Ok(id) = HeaderValue::try_from(Uuid::new_v4().to_string()) {
            set(HeaderName::from_static("x-ms-request-id"), id);
        }
        if status == StatusCode::UNAUTHORIZED {
            set(WWW_AUTHENTICATE, self.challenge.clone());
        }
        if status.is_success() {
            for (name, value) in RBAC_HEADERS {
                set(name, HeaderValue::from_static(value));
            }
        }
        response
    }
}

/// What the request is for: `:authority` in HTTP/2, the one `Host` in HTTP/1.
fn host<B>(request: &Request<B>) -> Option<String> {
    if let Some(authority) = request.uri().authority() {
        return Some(authority.to_string());
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    let host = hosts.next()?.to_str().ok()?;
    hosts.next().is_none().then(|| host.to_owned())
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

async fn read(body: Incoming) -> Result<Bytes, Failure> {
    read_body(body, MAX_BODY_BYTES).await.map_err(|error| {
        let (status, text) = match error {
            BodyError::Incomplete => (StatusCode::BAD_REQUEST, "is not complete"),
            BodyError::TooLong => (StatusCode::PAYLOAD_TOO_LARGE, "is longer than 1 MiB"),
        };
        Failure::new(status, "BadParameter", format!("The request body {text}."))
    })
}

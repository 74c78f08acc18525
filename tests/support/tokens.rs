//! Keys, tokens and an issuer's configuration for tests: real RSA keys, real signatures.
//!
//! Tokens are signed with aws-lc-rs directly, not with the library that checks them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::{KeyPair, KeySize, PublicKeyComponents};
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_SHA256};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use portcullis::authn::{AuthnEvents, CacheLookup, RefreshResult, TokenDefect};
use portcullis::clock::Clock;
use portcullis::config::{Issuer, KeySource};
use serde_json::{Map, Value, json};
use tokio::sync::watch;

pub(crate) const TENANT: &str = "5a1f0c3e-77d2-4b8e-9c41-2f6b8d90e3a7";
pub(crate) const OTHER_TENANT: &str = "c40b9a16-0e35-4d7f-8a52-91be6f7d2c08";
pub(crate) const PRINCIPAL: &str = "e3b7c9d1-4f26-4a80-b5e9-6d1c0f8a7b42";
pub(crate) const APPLICATION: &str = "18f6a2b4-9c0d-4e57-a3b8-c7d5e4f60912";
pub(crate) const AUDIENCE: &str = "https://vault.contoso.example";
pub(crate) const AUDIENCE_ID: &str = "9d2e7f60-1b3c-4a5d-8e6f-70a1b2c3d4e5";

/// How long a test waits for a condition that must come true.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Keys take a while to make; tests share them.
pub(crate) static ALPHA: LazyLock<Key> = LazyLock::new(|| Key::new("alpha-key", KeySize::Rsa2048));
pub(crate) static BETA: LazyLock<Key> = LazyLock::new(|| Key::new("beta-key", KeySize::Rsa3072));

pub(crate) fn v1_issuer(tenant: &str) -> String {
    format!("https://sts.contoso.example/{tenant}/")
}

pub(crate) fn v2_issuer(tenant: &str) -> String {
    format!("https://login.contoso.example/{tenant}/v2.0")
}

/// A signing key and its name.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) kid: String,
    pair: KeyPair,
}

impl Key {
    pub(crate) fn new(kid: &str, size: KeySize) -> Self {
        Self {
            kid: kid.to_owned(),
            pair: KeyPair::generate(size).unwrap(),
        }
    }

    pub(crate) fn jwk(&self) -> Value {
        self.jwk_named(&self.kid)
    }

    pub(crate) fn jwk_named(&self, kid: &str) -> Value {
        let parts = PublicKeyComponents::<Vec<u8>>::from(self.pair.public_key());
        json!({
            "kty": "RSA", "use": "sig", "kid": kid, "x5t": kid,
            "n": URL_SAFE_NO_PAD.encode(parts.n), "e": URL_SAFE_NO_PAD.encode(parts.e),
            "x5c": ["bm90IGEgY2VydGlmaWNhdGU="],
        })
    }

    /// The public key as SPKI, the usual "secret" of an algorithm-confusion attack.
    pub(crate) fn public_der(&self) -> Vec<u8> {
        let der: PublicKeyX509Der<'_> = self.pair.public_key().as_der().unwrap();
        der.as_ref().to_vec()
    }

    pub(crate) fn sign(&self, message: &str) -> Vec<u8> {
        let mut signature = vec![0; self.pair.public_modulus_len()];
        self.pair
            .sign(
                &RSA_PKCS1_SHA256,
                &SystemRandom::new(),
                message.as_bytes(),
                &mut signature,
            )
            .unwrap();
        signature
    }

    /// A token with exactly these texts as header and payload.
    pub(crate) fn token(&self, header: &str, payload: &str) -> String {
        let message = signed_part(header, payload);
        let signature = URL_SAFE_NO_PAD.encode(self.sign(&message));
        format!("{message}.{signature}")
    }
}

pub(crate) fn signed_part(header: &str, payload: &str) -> String {
    let header = URL_SAFE_NO_PAD.encode(header);
    format!("{header}.{}", URL_SAFE_NO_PAD.encode(payload))
}

pub(crate) fn jwks(keys: &[&Key]) -> String {
    let keys: Vec<Value> = keys.iter().map(|key| key.jwk()).collect();
    json!({ "keys": keys }).to_string()
}

/// A token being written: good unless something is changed.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) header: Map<String, Value>,
    pub(crate) payload: Map<String, Value>,
}

impl Draft {
    /// An application's token, valid for an hour from the start of [`HandClock`].
    pub(crate) fn new() -> Self {
        let start = HandClock::START;
        let header = json!({"typ": "JWT", "alg": "RS256", "x5t": ALPHA.kid, "kid": ALPHA.kid});
        let payload = json!({
            "aud": AUDIENCE, "iss": v1_issuer(TENANT), "iat": start, "nbf": start,
            "exp": start + 3600, "aio": "x", "appid": APPLICATION, "appidacr": "2",
            "oid": PRINCIPAL, "rh": "x", "sub": PRINCIPAL, "tid": TENANT, "uti": "uti-1",
            "ver": "1.0",
        });
        let object = |value: Value| value.as_object().unwrap().clone();
        Self {
            header: object(header),
            payload: object(payload),
        }
    }

    pub(crate) fn claim(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.payload.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.payload.remove(name);
        self
    }

    pub(crate) fn header(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.header.insert(name.to_owned(), value.into());
        self
    }

    pub(crate) fn without_header(mut self, name: &str) -> Self {
        self.header.remove(name);
        self
    }

    pub(crate) fn header_text(&self) -> String {
        Value::Object(self.header.clone()).to_string()
    }

    pub(crate) fn payload_text(&self) -> String {
        Value::Object(self.payload.clone()).to_string()
    }

    /// Signed with `key`, under whatever `kid` the draft names.
    pub(crate) fn signed_by(&self, key: &Key) -> String {
        key.token(&self.header_text(), &self.payload_text())
    }

    pub(crate) fn signed(&self) -> String {
        self.signed_by(&ALPHA)
    }

    /// Signed, with `members` written in front of the payload's own.
    pub(crate) fn signed_with_members(&self, members: &str) -> String {
        let payload = self
            .payload_text()
            .replacen('{', &format!("{{{members},"), 1);
        ALPHA.token(&self.header_text(), &payload)
    }
}

/// A clock that stands still until it is moved.
#[derive(Debug)]
pub(crate) struct HandClock(Mutex<SystemTime>);

impl HandClock {
    /// Seconds since 1970 at which it starts.
    pub(crate) const START: u64 = 1_900_000_000;

    pub(crate) fn new() -> Arc<Self> {
        let start = UNIX_EPOCH + Duration::from_secs(Self::START);
        Arc::new(Self(Mutex::new(start)))
    }

    pub(crate) fn advance(&self, seconds: u64) {
        *self.0.lock().unwrap() += Duration::from_secs(seconds);
    }

    pub(crate) fn back(&self, seconds: u64) {
        *self.0.lock().unwrap() -= Duration::from_secs(seconds);
    }
}

impl Clock for HandClock {
    fn now(&self) -> SystemTime {
        *self.0.lock().unwrap()
    }
}

/// Writes down every event, and lets a test wait for one.
#[derive(Debug)]
pub(crate) struct Recorder {
    pub(crate) refreshes: watch::Sender<Vec<(RefreshResult, usize)>>,
    pub(crate) judged: Mutex<Vec<(String, Result<(), TokenDefect>)>>,
    pub(crate) lookups: Mutex<Vec<CacheLookup>>,
}

impl Recorder {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            refreshes: watch::Sender::new(Vec::new()),
            judged: Mutex::default(),
            lookups: Mutex::default(),
        })
    }

    /// Waits until the refreshes so far satisfy `condition`.
    pub(crate) async fn refreshed(
        &self,
        condition: impl FnMut(&Vec<(RefreshResult, usize)>) -> bool,
    ) {
        let mut refreshes = self.refreshes.subscribe();
        let met = refreshes.wait_for(condition);
        tokio::time::timeout(PATIENCE, met).await.unwrap().unwrap();
    }

    pub(crate) fn refresh_count(&self) -> usize {
        self.refreshes.borrow().len()
    }

    /// What the cache answered since the last call.
    pub(crate) fn take_lookups(&self) -> Vec<CacheLookup> {
        std::mem::take(&mut *self.lookups.lock().unwrap())
    }
}

impl AuthnEvents for Recorder {
    fn token_judged(&self, issuer: &str, result: Result<(), TokenDefect>) {
        self.judged
            .lock()
            .unwrap()
            .push((issuer.to_owned(), result));
    }

    fn cache_consulted(&self, lookup: CacheLookup) {
        self.lookups.lock().unwrap().push(lookup);
    }

    fn keys_refreshed(&self, _: &str, result: RefreshResult, keys: usize, _: Option<SystemTime>) {
        self.refreshes.send_modify(|all| all.push((result, keys)));
    }
}

/// The configuration of an issuer named `main` that reads its keys from `keys`.
pub(crate) fn issuer(keys: KeySource, ca_file: Option<PathBuf>) -> Issuer {
    Issuer {
        name: "main".into(),
        tenant_id: TENANT.parse().unwrap(),
        issuers: vec![v1_issuer(TENANT).into(), v2_issuer(TENANT).into()],
        audiences: vec![AUDIENCE.into(), AUDIENCE_ID.into()],
        challenge_authority: format!("https://login.contoso.example/{TENANT}").into(),
        challenge_resource: AUDIENCE.into(),
        keys,
        ca_file,
        clock_skew: Duration::from_secs(60),
        refresh_interval: Duration::from_secs(3600),
        unknown_kid_cooldown: Duration::from_secs(300),
        max_staleness: Duration::from_secs(86_400),
    }
}

/// Replaces a file as careful writers do: whole.
pub(crate) fn replace_file(path: &Path, content: &str) {
    let aside = path.with_extension("new");
    std::fs::write(&aside, content).unwrap();
    std::fs::rename(&aside, path).unwrap();
}

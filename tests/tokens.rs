//! Tokens, keys and the cache, with real RSA keys, real signatures and a clock moved by hand.
//!
//! Every refusal is one mutation of a token that is accepted, so that it is refused for the reason
//! it says and for no other.
#![cfg(test)]

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use portcullis::authn::{Authenticator, AuthnError, RefreshHandle, TokenDefect};
use portcullis::config::{Issuer, KeySource};
use portcullis::principal::Caller;
use portcullis::secret::BearerToken;
use tempfile::TempDir;

#[path = "support"]
mod support {
    pub(crate) mod key_server;
    pub(crate) mod tokens;
}

#[path = "tokens/accepted.rs"]
mod accepted;
#[path = "tokens/cache.rs"]
mod cache;
#[path = "tokens/properties.rs"]
mod properties;
#[path = "tokens/refused.rs"]
mod refused;
#[path = "tokens/refused_claims.rs"]
mod refused_claims;
#[path = "tokens/refused_header.rs"]
mod refused_header;
#[path = "tokens/ring.rs"]
mod ring;
#[path = "tokens/setup.rs"]
mod setup;
#[path = "tokens/trust.rs"]
mod trust;

use support::tokens::{HandClock, Key, PATIENCE, Recorder, issuer, jwks, replace_file};

/// An authenticator with its clock, its events and its refresher.
#[derive(Debug)]
struct Bench {
    authenticator: Arc<Authenticator>,
    clock: Arc<HandClock>,
    events: Arc<Recorder>,
    refresh: RefreshHandle,
    directory: TempDir,
}

impl Bench {
    /// Not waited for: there are no keys yet.
    fn start(issuers: &[Issuer]) -> Self {
        let (clock, events) = (HandClock::new(), Recorder::new());
        let authenticator =
            Authenticator::new(issuers, Arc::clone(&clock) as _, Arc::clone(&events) as _).unwrap();
        let refresh = authenticator.spawn_refresh();
        Self {
            authenticator: Arc::new(authenticator),
            clock,
            events,
            refresh,
            directory: tempfile::tempdir().unwrap(),
        }
    }

    async fn ready(issuers: &[Issuer]) -> Self {
        let bench = Self::start(issuers);
        bench.until_ready().await;
        bench
    }

    async fn until_ready(&self) {
        let ready = self.authenticator.wait_until_keys_ready();
        tokio::time::timeout(PATIENCE, ready).await.unwrap();
    }

    /// With the issuer `main`, whose key file holds `keys`; `adjust` may change its settings.
    async fn with_file(keys: &[&Key], adjust: impl FnOnce(&mut Issuer)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("keys.json");
        replace_file(&file, &jwks(keys));
        let mut main = issuer(KeySource::JwksFile(file), None);
        adjust(&mut main);
        let mut bench = Self::ready(&[main]).await;
        bench.directory = directory;
        bench
    }

    fn key_file(&self) -> PathBuf {
        self.directory.path().join("keys.json")
    }

    async fn judge(&self, token: &str) -> Result<Arc<Caller>, AuthnError> {
        self.judge_for("main", token).await
    }

    async fn judge_for(&self, issuer: &str, token: &str) -> Result<Arc<Caller>, AuthnError> {
        let Ok(token) = BearerToken::new(token) else {
            // No header could bring it.
            return Err(TokenDefect::Malformed.into());
        };
        let judged = self.authenticator.authenticate(issuer, &token);
        tokio::time::timeout(PATIENCE, judged).await.unwrap()
    }

    async fn defect(&self, token: &str) -> TokenDefect {
        self.judge(token).await.unwrap_err().detail
    }

    /// Waits for two refreshes that both began after now.
    async fn next_refresh(&self) {
        let before = self.events.refresh_count();
        self.events.refreshed(|all| all.len() >= before + 2).await;
    }
}

/// Short enough that a test need not be patient.
const OFTEN: Duration = Duration::from_millis(5);

//! Who is calling: from the `Authorization` header to a [`Caller`], or to a 401.
//!
//! ```text
//! headers --bearer--> BearerToken --Authenticator--> Arc<Caller>
//!                                      |- cache: validated before, and all of it still true?
//!                                      |- token: form, header, signature   (pure)
//!                                      |- claims: issuer, audience, times  (pure)
//!                                      '- keys: the issuer's ring, renewed in the background
//! ```
//!
//! Promises:
//! * The issuer is the one the *vault* is configured with. A token chooses neither its issuer, nor
//!   its algorithm, nor the place its key comes from, and is held against one issuer only: there is
//!   no "try the next one".
//! * Nothing a token says is used before its signature was found good, save the `kid`, which is
//!   looked up in a map.
//! * A request never fetches anything. Where it meets an unknown `kid` it waits, for a bounded time,
//!   for a fetch that the background task makes at most once per cool-down.
//! * Without keys, or with keys older than their bound, nothing is accepted and nothing is refused:
//!   the answer is [`Reason::KeysUnavailable`](crate::reason::Reason::KeysUnavailable).
//! * No token, in whole or in part, in any error, log line or `Debug`; see
//!   [`AuthnError`] for the two claims that Key Vault itself echoes.
//!
//! It does not know what a caller may do, and never looks at names, mail addresses, `roles`, `scp`
//! or `wids` to decide anything.
//!
//! Sources: RFC 7519, RFC 8725, RFC 9068,
//! <https://learn.microsoft.com/entra/identity-platform/access-tokens>.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use http::HeaderValue;
use thiserror::Error;
use tokio::task::JoinSet;

use crate::clock::Clock;
use crate::config;
use crate::principal::Caller;
use crate::secret::BearerToken;

mod bearer;
mod cache;
mod challenge;
mod claims;
mod error;
mod events;
mod fetch;
mod json;
mod jwks;
mod keys;
mod self_test;
mod token;

pub use bearer::{BearerError, MAX_TOKEN_BYTES, bearer};
pub use challenge::{ChallengeError, challenge};
pub use error::{AuthnError, TokenDefect};
pub use events::{AuthnEvents, CacheLookup, NoEvents, RefreshResult};

use cache::{Entry, Fingerprint, TokenCache};
use claims::Policy;
use jwks::{KeySet, SigningKey};
use keys::KeyRing;
use token::Unverified;

/// The most clock skew that an issuer may be given.
const MAX_CLOCK_SKEW: Duration = Duration::from_secs(300);

/// Why no [`Authenticator`] can be made.
#[derive(Debug, Error)]
pub enum SetupError {
    /// The crypto backend does not tell signatures apart.
    #[error("the signature check failed its self-test")]
    Backend,
    /// Clients could not read the challenge.
    #[error("issuer `{issuer}`: {problem}")]
    Challenge {
        /// The issuer's configured name.
        issuer: Arc<str>,
        /// What is wrong with it.
        problem: ChallengeError,
    },
    /// Two issuers have one name.
    #[error("issuer `{0}` is configured twice")]
    Duplicate(Arc<str>),
    /// The address of the keys or the CA file is unusable.
    #[error("issuer `{issuer}`: {problem}")]
    Keys {
        /// The issuer's configured name.
        issuer: Arc<str>,
        /// What is wrong, without any content of a file.
        problem: String,
    },
    /// Clocks may differ by five minutes at most.
    #[error("issuer `{0}`: the clock skew is more than five minutes")]
    Skew(Arc<str>),
    /// An accepted `iss` text holds the id of another tenant.
    #[error("issuer `{issuer}`: `{text}` names another tenant than the issuer's")]
    Tenant {
        /// The issuer's configured name.
        issuer: Arc<str>,
        /// The `iss` text.
        text: Box<str>,
    },
}

/// Validates tokens. One for the whole process; configuration changes need a new one.
#[derive(Debug)]
pub struct Authenticator {
    issuers: HashMap<Arc<str>, TrustedIssuer>,
    cache: TokenCache,
    clock: Arc<dyn Clock>,
    events: Arc<dyn AuthnEvents>,
}

/// Renews signing keys for as long as it is held.
#[must_use = "keys are renewed only as long as the handle is held"]
pub struct RefreshHandle(JoinSet<()>);

impl fmt::Debug for RefreshHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RefreshHandle({} issuers)", self.0.len())
    }
}

impl Authenticator {
    /// An authenticator that trusts `issuers`, each for its own tenant, and has no keys yet.
    ///
    /// # Errors
    /// An issuer's settings cannot be used, or the crypto backend fails its self-test.
    pub fn new(
        issuers: &[config::Issuer],
        clock: Arc<dyn Clock>,
        events: Arc<dyn AuthnEvents>,
    ) -> Result<Self, SetupError> {
        if !self_test::passes() {
            return Err(SetupError::Backend);
        }
        let mut trusted = HashMap::new();
        for issuer in issuers {
            let entry = TrustedIssuer::new(issuer, &clock, &events)?;
            if trusted.insert(Arc::clone(&issuer.name), entry).is_some() {
                return Err(SetupError::Duplicate(Arc::clone(&issuer.name)));
            }
        }
        Ok(Self {
            issuers: trusted,
            cache: TokenCache::new(),
            clock,
            events,
        })
    }

    /// Starts one background task per issuer that fetches its keys and keeps them fresh. Needs a
    /// tokio runtime. While a handle is held, a further call adds nothing.
    pub fn spawn_refresh(&self) -> RefreshHandle {
        let mut tasks = JoinSet::new();
        for issuer in self.issuers.values() {
            tasks.spawn(Arc::clone(&issuer.ring).run());
        }
        RefreshHandle(tasks)
    }

    /// Whether every issuer has keys that may be used at `now`.
    pub fn keys_ready(&self, now: SystemTime) -> bool {
        self.issuers
            .values()
            .all(|issuer| issuer.ring.fresh(now).is_some())
    }

    /// Waits until [`Self::keys_ready`] holds; for as long as that takes.
    pub async fn wait_until_keys_ready(&self) {
        for issuer in self.issuers.values() {
            let mut state = issuer.ring.watch();
            while issuer.ring.fresh(self.clock.now()).is_none() && state.changed().await {}
        }
    }

    /// The `WWW-Authenticate` value for vaults that take tokens of the issuer named `issuer`.
    pub fn challenge(&self, issuer: &str) -> Option<&HeaderValue> {
        self.issuers.get(issuer).map(|issuer| &issuer.challenge)
    }

    /// Establishes who brought `token` to a vault that takes tokens of the issuer configured under
    /// the name `issuer`.
    ///
    /// Cost: a hash over the token if it was validated in the last five minutes, else one RSA
    /// verification. Waits only where the token's `kid` is unknown, and then for seconds at most.
    ///
    /// # Errors
    /// [`AuthnError`] with the reason; 401 save for missing keys (503) and an `issuer` that is not
    /// configured (500).
    pub async fn authenticate(
        &self,
        issuer: &str,
        token: &BearerToken,
    ) -> Result<Arc<Caller>, AuthnError> {
        // The map's own key is the label, so that no caller can make up a new one.
        let Some((name, trusted)) = self.issuers.get_key_value(issuer) else {
            return Err(TokenDefect::Internal.into());
        };
        let result = self.judge(trusted, token).await;
        let verdict = result.as_ref().map(|_| ()).map_err(|error| error.detail);
        self.events.token_judged(name, verdict);
        result
    }

    /// Takes note of credentials that [`bearer()`] took no token from, brought to a vault that takes
    /// tokens of the issuer named `issuer`. [`Self::authenticate`] never sees those. A request
    /// without credentials is a challenge, and none of this.
    pub fn refused_unread(&self, issuer: &str, error: BearerError) {
        if error == BearerError::Absent {
            return;
        }
        if let Some((name, _)) = self.issuers.get_key_value(issuer) {
            self.events.token_judged(name, Err(error.defect()));
        }
    }

    async fn judge(
        &self,
        issuer: &TrustedIssuer,
        token: &BearerToken,
    ) -> Result<Arc<Caller>, AuthnError> {
        // Before anything is done with it, hashing included.
        if token.expose_bytes().len() > MAX_TOKEN_BYTES {
            return Err(TokenDefect::TooLarge.into());
        }
        let now = self.clock.now();
        // SECURITY: before the cache: keys that are too old vouch for nothing, cached or not.
        let keys = issuer.usable_keys(now)?;
        let policy = &issuer.policy;
        let cache_key = issuer.fingerprint.key(&policy.name, token.expose_bytes());
        let (lookup, known) = self.cache.find(cache_key, &keys, now, policy.skew);
        self.events.cache_consulted(lookup);
        if let Some(caller) = known {
            return Ok(caller);
        }
        let unverified = Unverified::parse(token.expose())?;
        let key = match keys.get(unverified.kid()) {
            Some(key) => Arc::clone(key),
            // On the heap, since few requests come here and all would carry its room.
            None => Box::pin(self.renewed_key(issuer, unverified.kid(), now)).await?,
        };
        // Read again: the wait for a key may have taken seconds.
        let now = self.clock.now();
        let payload = unverified.verify(key.decoding())?;
        let (claims, lifetime) = claims::check(&payload, policy, now)?;
        let caller = Arc::new(Caller::vouched(claims));
        let entry = Entry {
            caller: Arc::clone(&caller),
            lifetime,
            kid: unverified.kid().into(),
            thumbprint: *key.thumbprint(),
            validated_at: now,
        };
        self.cache.remember(cache_key, entry);
        Ok(caller)
    }

    async fn renewed_key(
        &self,
        issuer: &TrustedIssuer,
        kid: &str,
        now: SystemTime,
    ) -> Result<Arc<SigningKey>, AuthnError> {
        issuer.ring.renew_for_unknown_kid(now).await;
        let keys = issuer.usable_keys(self.clock.now())?;
        keys.get(kid)
            .map(Arc::clone)
            .ok_or_else(|| TokenDefect::UnknownKey.into())
    }
}

/// One issuer and everything that is its own.
#[derive(Debug)]
struct TrustedIssuer {
    policy: Policy,
    fingerprint: Fingerprint,
    challenge: HeaderValue,
    ring: Arc<KeyRing>,
}

impl TrustedIssuer {
    fn new(
        issuer: &config::Issuer,
        clock: &Arc<dyn Clock>,
        events: &Arc<dyn AuthnEvents>,
    ) -> Result<Self, SetupError> {
        let name = || Arc::clone(&issuer.name);
        if issuer.clock_skew > MAX_CLOCK_SKEW {
            return Err(SetupError::Skew(name()));
        }
        for text in &issuer.issuers {
            if !jwks::names_no_other_tenant(text, issuer.tenant_id) {
                let (issuer, text) = (name(), text.clone());
                return Err(SetupError::Tenant { issuer, text });
            }
        }
        let challenge = challenge(issuer).map_err(|problem| SetupError::Challenge {
            issuer: name(),
            problem,
        })?;
        let ring =
            KeyRing::new(issuer, Arc::clone(clock), Arc::clone(events)).map_err(|error| {
                SetupError::Keys {
                    issuer: name(),
                    problem: error.to_string(),
                }
            })?;
        Ok(Self {
            policy: Policy::of(issuer),
            fingerprint: Fingerprint::of(issuer),
            challenge,
            ring: Arc::new(ring),
        })
    }

    fn usable_keys(&self, now: SystemTime) -> Result<Arc<KeySet>, TokenDefect> {
        self.ring.usable(now).ok_or(TokenDefect::KeysUnavailable)
    }
}

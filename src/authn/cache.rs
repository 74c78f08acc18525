//! Tokens that were validated, so that the next request with the same one need not be.
//!
//! SECURITY: an entry is only as good as everything that made it. Its key covers the issuer's whole
//! configuration, the issuer's name and every byte of the token, so neither another issuer nor a
//! changed configuration can be served an identity that was not established under it. A hit
//! re-checks, against the clock and the key ring of that moment, what can change while an entry
//! lies there. Refusals are never cached. (Oathkeeper GHSA-4mq7-pvjg-xp2r, heimdall #3452.)

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use moka::Expiry;
use moka::sync::Cache;

use super::claims::Lifetime;
use super::events::CacheLookup;
use super::jwks::{KeySet, sha256};
use crate::config;
use crate::principal::Caller;

/// How many tokens are remembered. An entry is a few hundred bytes, at most some 6 KiB with groups.
const CAPACITY: u64 = 10_000;

/// How long a validated token is remembered at most.
const MAX_AGE: Duration = Duration::from_secs(300);

/// Names one token under one issuer's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct CacheKey([u8; 32]);

/// SHA-256 over everything in an issuer's configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// `Debug` of an [`config::Issuer`] holds every field, and new fields as they come.
    pub(super) fn of(issuer: &config::Issuer) -> Self {
        Self(sha256(&[format!("{issuer:?}").as_bytes()]))
    }

    pub(super) fn key(&self, issuer_name: &str, token: &[u8]) -> CacheKey {
        CacheKey(sha256(&[&self.0, issuer_name.as_bytes(), token]))
    }
}

/// One validated token.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    pub(super) caller: Arc<Caller>,
    pub(super) lifetime: Lifetime,
    pub(super) kid: Box<str>,
    /// The key that vouched, by content.
    pub(super) thumbprint: [u8; 32],
    pub(super) validated_at: SystemTime,
}

impl Entry {
    /// Whether what made this entry still holds.
    ///
    /// The skew counts for `nbf` only: past `exp` nothing is served from here, and the token is
    /// judged anew. An entry from the future means that the clock was set back.
    fn holds(&self, keys: &KeySet, now: SystemTime, skew: Duration) -> bool {
        let young = now
            .duration_since(self.validated_at)
            .is_ok_and(|age| age < MAX_AGE);
        let vouched = keys
            .get(&self.kid)
            .is_some_and(|key| *key.thumbprint() == self.thumbprint);
        young && vouched && now < self.lifetime.expires && self.lifetime.check(now, skew).is_ok()
    }
}

/// The validated tokens of all issuers; bounded.
pub(super) struct TokenCache(Cache<CacheKey, Arc<Entry>>);

impl fmt::Debug for TokenCache {
    /// SECURITY: an entry says who called and names the token; neither is for a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenCache").finish_non_exhaustive()
    }
}

impl TokenCache {
    pub(super) fn new() -> Self {
        Self(
            Cache::builder()
                .max_capacity(CAPACITY)
                .expire_after(Removal)
                .build(),
        )
    }

    /// The caller of a token validated before, if all that made it still holds.
    pub(super) fn find(
        &self,
        key: CacheKey,
        keys: &KeySet,
        now: SystemTime,
        skew: Duration,
    ) -> (CacheLookup, Option<Arc<Caller>>) {
        let Some(entry) = self.0.get(&key) else {
            return (CacheLookup::Miss, None);
        };
        if entry.holds(keys, now, skew) {
            return (CacheLookup::Hit, Some(Arc::clone(&entry.caller)));
        }
        self.0.invalidate(&key);
        (CacheLookup::Stale, None)
    }

    /// Remembers a token that was just validated, unless it is past its `exp` already.
    pub(super) fn remember(&self, key: CacheKey, entry: Entry) {
        if entry.validated_at < entry.lifetime.expires {
            self.0.insert(key, Arc::new(entry));
        }
    }
}

/// When memory is given back. Whether an entry counts is decided by [`Entry::holds`] alone, on the
/// injected clock; moka's own clock only sweeps.
struct Removal;

impl Expiry<CacheKey, Arc<Entry>> for Removal {
    fn expire_after_create(
        &self,
        _key: &CacheKey,
        entry: &Arc<Entry>,
        _created_at: Instant,
    ) -> Option<Duration> {
        let left = entry
            .lifetime
            .expires
            .duration_since(entry.validated_at)
            .unwrap_or_default();
        Some(left.min(MAX_AGE))
    }
}

#[cfg(test)]
mod tests {
    use super::super::self_test::MODULUS;
    use super::*;
    use crate::principal::{CallerKind, Claims, Evidence, Guid, ObjectId, TenantId, TokenGroups};

    const SKEW: Duration = Duration::from_secs(60);

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
    }

    /// Valid from 1000 to 2000, validated at 1100 by the key `k`.
    fn entry(keys: &KeySet) -> Entry {
        let claims = Claims {
            object_id: ObjectId(Guid::ZERO),
            tenant_id: TenantId(Guid::ZERO),
            app_id: None,
            issuer: "i".into(),
            issuer_name: "n".into(),
            token_id: None,
            kind: CallerKind::App,
            groups: TokenGroups::Absent,
            evidence: Evidence::default(),
            expires_at: at(2000),
        };
        Entry {
            caller: Arc::new(Caller::vouched(claims)),
            lifetime: Lifetime {
                not_before: at(1000),
                expires: at(2000),
            },
            kid: "k".into(),
            thumbprint: *keys.get("k").unwrap().thumbprint(),
            validated_at: at(1100),
        }
    }

    #[test]
    fn a_hit_is_held_against_everything_that_made_it() {
        let document =
            format!(r#"{{"keys":[{{"kty":"RSA","kid":"k","e":"AQAB","n":"{MODULUS}"}}]}}"#);
        let keys = KeySet::parse(document.as_bytes(), TenantId(Guid::ZERO)).unwrap();
        let good = entry(&keys);
        assert!(good.holds(&keys, at(1100), SKEW));
        assert!(good.holds(&keys, at(1399), SKEW));
        assert!(!good.holds(&keys, at(1400), SKEW));
        assert!(!good.holds(&keys, at(1099), SKEW));
        let mut ended = good.clone();
        ended.lifetime.expires = at(1150);
        assert!(ended.holds(&keys, at(1149), SKEW));
        assert!(!ended.holds(&keys, at(1150), SKEW));
        let mut early = good.clone();
        early.lifetime.not_before = at(1161);
        assert!(!early.holds(&keys, at(1100), SKEW));
        assert!(early.holds(&keys, at(1101), SKEW));
        let mut renamed = good.clone();
        renamed.kid = "other".into();
        assert!(!renamed.holds(&keys, at(1100), SKEW));
        let mut rekeyed = good;
        rekeyed.thumbprint = [0; 32];
        assert!(!rekeyed.holds(&keys, at(1100), SKEW));
    }

    #[test]
    fn keys_of_entries_cover_configuration_issuer_and_token() {
        let (one, two) = (Fingerprint([1; 32]), Fingerprint([2; 32]));
        assert_eq!(one.key("a", b"bc"), one.key("a", b"bc"));
        assert_ne!(one.key("a", b"bc"), two.key("a", b"bc"));
        assert_ne!(one.key("a", b"bc"), one.key("ab", b"c"));
        assert_ne!(one.key("a", b"bc"), one.key("a", b"bC"));
    }
}

//! One issuer's key ring: the keys of now, how old they are, and the one task that renews them.
//!
//! Keys are fetched by the refresher only, never by a request. It runs every refresh interval with
//! ten per cent of jitter, and after a failure again and again with exponential back-off. A failed
//! or unusable fetch changes nothing: the last good keys stay until they are older than
//! `max_staleness`; from then on, as before the first success, tokens cannot be judged.
//!
//! An unknown `kid` asks the refresher for one fetch per cool-down, and the requests that meet it
//! wait for that one fetch, for a bounded time. The cool-down counts from the last such fetch,
//! whatever its result: random `kid`s buy an attacker one fetch per cool-down and no more, also
//! while the issuer is down or answers with an empty set. The price: within a cool-down that an
//! attacker used up, a freshly rotated key waits for the next fetch.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use aws_lc_rs::rand;
use tokio::sync::Notify;

use super::events::{AuthnEvents, RefreshResult};
use super::fetch::{FetchError, Source};
use super::jwks::KeySet;
use crate::clock::Clock;
use crate::config;
use crate::snapshot::{self, Publisher, Snapshot};

/// How long a request waits for the fetch that an unknown `kid` caused.
const UNKNOWN_KID_WAIT: Duration = Duration::from_secs(3);

/// The first pause after a failed fetch; doubled with each further failure.
const FIRST_RETRY: Duration = Duration::from_secs(1);

/// The longest pause after a failed fetch.
const LAST_RETRY: Duration = Duration::from_secs(60);

/// How often a key file is looked at, unless the refresh interval is shorter.
const FILE_POLL: Duration = Duration::from_secs(2);

/// What the ring holds at one moment.
#[derive(Debug, Default)]
pub(super) struct RingState {
    held: Option<Held>,
    /// How many of the fetches asked for by unknown `kid`s have been answered.
    answered: u64,
}

/// Keys and the time as of which they are known to be the issuer's.
#[derive(Clone, Debug)]
struct Held {
    keys: Arc<KeySet>,
    at: SystemTime,
    measured: Instant,
}

impl RingState {
    /// The keys, unless there are none or they are older than `max_staleness`.
    ///
    /// Age is taken on the wall clock and on the monotonic one, and the greater counts: setting the
    /// clock back does not make keys young.
    pub(super) fn fresh(&self, now: SystemTime, max_staleness: Duration) -> Option<&Arc<KeySet>> {
        let held = self.held.as_ref()?;
        let age = now
            .duration_since(held.at)
            .unwrap_or_default()
            .max(held.measured.elapsed());
        (age <= max_staleness).then_some(&held.keys)
    }
}

/// What unknown `kid`s have asked for.
#[derive(Debug, Default)]
struct Demand {
    last: Option<SystemTime>,
    asked: u64,
}

/// One issuer's keys and their renewal.
pub(super) struct KeyRing {
    name: Arc<str>,
    source: Source,
    refresh_interval: Duration,
    cooldown: Duration,
    max_staleness: Duration,
    clock: Arc<dyn Clock>,
    events: Arc<dyn AuthnEvents>,
    state: Publisher<RingState>,
    // A lock, and not on the path of a known `kid`: the cool-down and the count must change
    // together. It is never held across an await.
    demand: Mutex<Demand>,
    wake: Notify,
    running: AtomicBool,
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl KeyRing {
    pub(super) fn new(
        issuer: &config::Issuer,
        clock: Arc<dyn Clock>,
        events: Arc<dyn AuthnEvents>,
    ) -> Result<Self, FetchError> {
        // No reader is kept: each subscribes when it has to wait.
        let (state, _) = snapshot::channel(RingState::default());
        Ok(Self {
            name: Arc::clone(&issuer.name),
            source: Source::of(issuer)?,
            refresh_interval: issuer.refresh_interval,
            cooldown: issuer.unknown_kid_cooldown,
            max_staleness: issuer.max_staleness,
            clock,
            events,
            state,
            demand: Mutex::default(),
            wake: Notify::new(),
            running: AtomicBool::new(false),
        })
    }

    /// The keys that are fresh at `now`.
    pub(super) fn fresh(&self, now: SystemTime) -> Option<Arc<KeySet>> {
        self.state
            .load()
            .fresh(now, self.max_staleness)
            .map(Arc::clone)
    }

    /// The keys for judging a token at `now`.
    ///
    /// Keys that are too old here mean that the machine slept or its clock was set: the refresher,
    /// which measures its pauses, does not know, and is asked to look now, once per cool-down.
    pub(super) fn usable(&self, now: SystemTime) -> Option<Arc<KeySet>> {
        let state = self.state.load();
        let keys = state.fresh(now, self.max_staleness).map(Arc::clone);
        if keys.is_none() && state.held.is_some() {
            self.ask(now);
        }
        keys
    }

    /// A reader that is told of every refresh.
    pub(super) fn watch(&self) -> Snapshot<RingState> {
        self.state.subscribe()
    }

    /// Waits, for a bounded time, until a fetch that began after an unknown `kid` was met has
    /// ended. Returns at once within the cool-down, unless that fetch is still on its way.
    pub(super) async fn renew_for_unknown_kid(&self, now: SystemTime) {
        if !self.running.load(Ordering::Acquire) {
            return;
        }
        let wanted = self.ask(now);
        let mut state = self.state.subscribe();
        let answered = async {
            while state.load().answered < wanted {
                if !state.changed().await {
                    return;
                }
            }
        };
        // A time-out is no error: the caller looks again and finds the key or does not.
        let _ = tokio::time::timeout(UNKNOWN_KID_WAIT, answered).await;
    }

    /// Asks for a fetch unless the cool-down forbids it; the count up to which to wait.
    fn ask(&self, now: SystemTime) -> u64 {
        let mut demand = self.demand.lock().unwrap_or_else(PoisonError::into_inner);
        let cooled = demand.last.is_none_or(|last| {
            // A clock set back ends the cool-down: at worst one fetch more.
            now.duration_since(last)
                .map_or(true, |age| age >= self.cooldown)
        });
        if cooled {
            demand.last = Some(now);
            demand.asked = demand.asked.saturating_add(1);
            self.wake.notify_one();
        }
        demand.asked
    }

    fn asked(&self) -> u64 {
        self.demand
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .asked
    }

    /// Renews the keys for as long as it is polled. A second call while the first runs ends at
    /// once: there is one refresher.
    pub(super) async fn run(self: Arc<Self>) {
        if self.running.swap(true, Ordering::AcqRel) {
            return;
        }
        let _running = Running(Arc::clone(&self));
        let mut failures = 0;
        loop {
            failures = self.refresh(failures).await;
            tokio::select! {
                () = tokio::time::sleep(self.pause(failures)) => {}
                () = self.asked_again() => {}
            }
        }
    }

    /// Ends once an unknown `kid` asks for what no fetch has answered yet.
    async fn asked_again(&self) {
        loop {
            self.wake.notified().await;
            if self.asked() > self.state.load().answered {
                return;
            }
        }
    }

    fn pause(&self, failures: u32) -> Duration {
        let regular = if self.source.is_file() {
            self.refresh_interval.min(FILE_POLL)
        } else {
            self.refresh_interval
        };
        let base = match failures {
            0 => regular,
            _ => regular.min(retry_pause(failures)),
        };
        jittered(base, random())
    }

    /// Fetches once, after `failures` that followed each other, and publishes what follows.
    ///
    /// Result: the new number of failures in a row.
    async fn refresh(&self, failures: u32) -> u32 {
        let asked = self.asked();
        // As of the moment before the fetch: what the answer says may be that old.
        let (at, measured) = (self.clock.now(), Instant::now());
        let outcome = self.source.fetch().await;
        let before = self.state.load();
        let (result, held, failures) = match outcome {
            Ok(keys) => {
                self.tell_success(before.held.as_ref(), &keys, failures);
                let keys = Arc::new(keys);
                (RefreshResult::Ok, Some(Held { keys, at, measured }), 0)
            }
            Err(error) => {
                let failures = failures.saturating_add(1);
                self.tell_failure(&error, failures);
                (error.result(), before.held.clone(), failures)
            }
        };
        let count = held.as_ref().map_or(0, |held| held.keys.len());
        let current = held.as_ref().map(|held| held.at);
        self.state.publish(RingState {
            held,
            answered: asked,
        });
        self.events
            .keys_refreshed(&self.name, result, count, current);
        failures
    }

    fn tell_success(&self, before: Option<&Held>, keys: &KeySet, failures: u32) {
        let changed = before.is_none_or(|held| *held.keys != *keys);
        if changed || failures > 0 {
            let count = keys.len();
            tracing::info!(issuer = &*self.name, keys = count, "signing keys loaded");
        }
    }

    /// Warns at the first failure, the second, the fourth and so on: a file that is looked at every
    /// other second must not fill the log.
    fn tell_failure(&self, error: &FetchError, failures: u32) {
        if failures.is_power_of_two() {
            tracing::warn!(
                issuer = &*self.name,
                %error,
                failures,
                "signing keys could not be renewed"
            );
        }
    }
}

/// Says that the refresher has gone, however it went, so that no request waits for it in vain.
struct Running(Arc<KeyRing>);

impl Drop for Running {
    fn drop(&mut self) {
        self.0.running.store(false, Ordering::Release);
    }
}

fn retry_pause(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    FIRST_RETRY
        .saturating_mul(2_u32.saturating_pow(doublings))
        .min(LAST_RETRY)
}

/// `base` plus or minus at most ten per cent, so that a fleet started together spreads out.
fn jittered(base: Duration, random: u16) -> Duration {
    let spread = base / 5;
    let part = spread.mul_f64(f64::from(random) / f64::from(u16::MAX));
    (base - base / 10).saturating_add(part)
}

/// Without randomness there is no jitter, which harms nobody.
fn random() -> u16 {
    let mut bytes = [0x7f, 0xff];
    let _ = rand::fill(&mut bytes);
    u16::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::super::self_test::MODULUS;
    use super::*;
    use crate::principal::{Guid, TenantId};

    #[test]
    fn jitter_stays_within_ten_per_cent() {
        let base = Duration::from_secs(3600);
        assert_eq!(jittered(base, 0), Duration::from_secs(3240));
        let most = jittered(base, u16::MAX);
        assert!(most > Duration::from_secs(3959) && most <= Duration::from_secs(3960));
        assert_eq!(jittered(Duration::ZERO, 7), Duration::ZERO);
    }

    #[test]
    fn pauses_after_failures_double_up_to_a_minute() {
        let pauses: Vec<u64> = [1, 2, 3, 4, 5, 6, 7, 8, u32::MAX]
            .into_iter()
            .map(|failures| retry_pause(failures).as_secs())
            .collect();
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    }

    #[test]
    fn keys_age_on_both_clocks() {
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let limit = Duration::from_secs(100);
        let document =
            format!(r#"{{"keys":[{{"kty":"RSA","kid":"k","e":"AQAB","n":"{MODULUS}"}}]}}"#);
        let keys = KeySet::parse(document.as_bytes(), TenantId(Guid::ZERO)).unwrap();
        let state = RingState {
            held: Some(Held {
                keys: Arc::new(keys),
                at,
                measured: Instant::now(),
            }),
            answered: 0,
        };
        assert!(state.fresh(at + limit, limit).is_some());
        assert!(
            state
                .fresh(at + limit + Duration::from_nanos(1), limit)
                .is_none()
        );
        assert!(state.fresh(at - Duration::from_secs(500), limit).is_some());
        assert!(RingState::default().fresh(at, limit).is_none());
        assert!(
            state
                .fresh(at - Duration::from_secs(500), Duration::ZERO)
                .is_none(),
            "the monotonic clock has moved on since"
        );
    }
}

//! The role data in force: compiled, published whole, and refused once it is too old.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use quick_cache::UnitWeighter;
use quick_cache::sync::{Cache, DefaultLifecycle};
use thiserror::Error;

use crate::clock::Clock;
use crate::principal::{Claims, Keyed, ObjectId, TokenGroups};
use crate::rbac::{AssignmentSet, Entitlements, Revision, RoleData, VaultScope};
use crate::snapshot::{self, Publisher, Snapshot};

/// How many callers' entitlements are kept. An entry is a few hundred bytes for most callers.
const CACHED_CALLERS: u64 = 10_000;

/// For how many of them there is room from the start.
const EXPECTED_CALLERS: usize = 512;

/// Role data with the time at which it was last known to be what the source says.
#[derive(Clone, Debug)]
pub struct InForce {
    /// The data, compiled.
    pub set: Arc<AssignmentSet>,
    /// When the source was last seen to say the same.
    pub confirmed_at: SystemTime,
    /// The same on the clock that nobody sets.
    measured: Instant,
    callers: Arc<Callers>,
}

/// What callers have under one load. It goes with the load, so nothing in it is ever of another.
///
/// Callers that are not known are looked up by everyone who asks, and nobody waits for somebody
/// else's look-up: it takes a few microseconds.
type Callers = Cache<Whose, Arc<Entitlements>, UnitWeighter, Keyed>;

/// The vault's index and everything else that entitlements depend on, in full, so that no two
/// callers can share an entry. What else they are made of is the load's.
type Whose = (usize, ObjectId, TokenGroups);

impl InForce {
    fn compiled(set: Arc<AssignmentSet>, now: SystemTime) -> Self {
        Self {
            set,
            confirmed_at: now,
            measured: Instant::now(),
            callers: Arc::new(callers()),
        }
    }

    fn confirmed(&self, now: SystemTime) -> Self {
        Self {
            confirmed_at: now,
            measured: Instant::now(),
            ..self.clone()
        }
    }

    /// What a caller has in the vault with index `vault`.
    ///
    /// # Errors
    /// [`StoreError::UnknownVault`] if the set was compiled without that vault.
    pub fn entitlements(&self, claims: &Claims, vault: usize) -> Result<Gathered, StoreError> {
        let whose = (vault, claims.object_id, claims.groups.clone());
        if let Some(entitlements) = self.callers.get(&whose) {
            return Ok(Gathered {
                entitlements,
                known: true,
            });
        }
        let principals = self.set.principals(claims.object_id, &claims.groups);
        let gathered = self
            .set
            .entitlements(&principals, vault)
            .ok_or(StoreError::UnknownVault)?;
        let entitlements = Arc::new(gathered);
        self.callers.insert(whose, Arc::clone(&entitlements));
        Ok(Gathered {
            entitlements,
            known: false,
        })
    }
}

fn callers() -> Callers {
    Cache::with(
        EXPECTED_CALLERS,
        CACHED_CALLERS,
        UnitWeighter,
        Keyed::default(),
        DefaultLifecycle::default(),
    )
}

/// Why there is no data to decide on. None of these is a denial.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum StoreError {
    /// Nothing was loaded yet.
    #[error("role assignments are not loaded yet")]
    Missing,
    /// The source has not confirmed the data for too long.
    #[error("role assignments are too old to decide on")]
    Stale,
    /// The data was compiled without this vault.
    #[error("role assignments were loaded without this vault")]
    UnknownVault,
}

/// The writing side: compiles loads and publishes them.
#[derive(Debug)]
pub struct AssignmentPublisher {
    vaults: Vec<VaultScope>,
    publisher: Publisher<Option<InForce>>,
    /// What was in force before, for as long as a request still uses it.
    replaced: Mutex<Vec<InForce>>,
}

/// The reading side: the policy information point of the request path.
#[derive(Clone, Debug)]
pub struct Assignments {
    in_force: Snapshot<Option<InForce>>,
    max_staleness: Duration,
}

/// What one caller has, as it was found.
#[derive(Clone, Debug)]
pub struct Gathered {
    /// What the caller has.
    pub entitlements: Arc<Entitlements>,
    /// Whether it was known from an earlier request.
    pub known: bool,
}

/// Makes both sides; nothing is in force yet.
///
/// `vaults` are known by their index from here on. Data confirmed longer ago than `max_staleness`
/// is refused.
pub fn store(
    vaults: Vec<VaultScope>,
    max_staleness: Duration,
) -> (AssignmentPublisher, Assignments) {
    let (publisher, in_force) = snapshot::channel(None);
    (
        AssignmentPublisher {
            vaults,
            publisher,
            replaced: Mutex::default(),
        },
        Assignments {
            in_force,
            max_staleness,
        },
    )
}

impl AssignmentPublisher {
    /// Compiles `data` and puts it in force. Takes a second or more where there is much data, so it
    /// must not run where requests do.
    pub fn publish(
        &self,
        data: &RoleData,
        fingerprint: [u8; 32],
        now: SystemTime,
    ) -> Arc<AssignmentSet> {
        self.release();
        let revision = Revision::of(fingerprint);
        let set = Arc::new(AssignmentSet::compile(data, &self.vaults, revision));
        let before = self.publisher.load();
        if let Some(before) = &*before {
            let mut replaced = self.replaced.lock().unwrap_or_else(PoisonError::into_inner);
            replaced.push(before.clone());
        }
        self.publisher
            .publish(Some(InForce::compiled(set.clone(), now)));
        set
    }

    /// Notes that the source still says what is in force.
    pub fn confirm(&self, now: SystemTime) {
        if let Some(in_force) = &*self.publisher.load() {
            self.publisher.publish(Some(in_force.confirmed(now)));
        }
    }

    /// Lets go of what was in force before and is used by no request any more; whether that is all
    /// of it.
    ///
    /// Freeing a million assignments takes a while. Whoever holds them last does it, so they are
    /// held here until no request does.
    pub fn release(&self) -> bool {
        let mut replaced = self.replaced.lock().unwrap_or_else(PoisonError::into_inner);
        replaced.retain(|one| {
            one.callers.clear();
            Arc::strong_count(&one.set) > 1 || one.set.is_in_use()
        });
        replaced.is_empty()
    }
}

impl Assignments {
    /// The data in force.
    ///
    /// # Errors
    /// [`StoreError::Missing`] before the first load, [`StoreError::Stale`] when the source has not
    /// confirmed the data for too long: we do not know, which is not a denial.
    pub fn fresh(&self, now: SystemTime) -> Result<InForce, StoreError> {
        let loaded = self.in_force.load();
        let in_force = loaded.as_ref().as_ref().ok_or(StoreError::Missing)?;
        // SECURITY: age is taken on the wall clock and on the monotonic one, and the greater counts:
        // a clock that is set back makes no data stale, and keeps none young either.
        let age = now
            .duration_since(in_force.confirmed_at)
            .unwrap_or(Duration::ZERO)
            .max(in_force.measured.elapsed());
        if age > self.max_staleness {
            Err(StoreError::Stale)
        } else {
            Ok(in_force.clone())
        }
    }

    /// Waits until [`Self::fresh`] holds, for as long as that takes.
    pub async fn wait_until_fresh(&self, clock: &dyn Clock) {
        let mut in_force = self.in_force.clone();
        while self.fresh(clock.now()).is_err() && in_force.changed().await {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_grows_old_on_both_clocks() {
        let limit = Duration::from_millis(20);
        let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
        let (publisher, assignments) = store(Vec::new(), limit);
        publisher.publish(&RoleData::default(), [0; 32], at);
        let forward = at + Duration::from_secs(1);
        assert_eq!(assignments.fresh(forward).unwrap_err(), StoreError::Stale);
        let back = at - Duration::from_secs(3600);
        let published = Instant::now();
        while assignments.fresh(back).is_ok() {
            assert!(
                published.elapsed() < Duration::from_secs(30),
                "a clock set back keeps the data young"
            );
            std::thread::yield_now();
        }
    }
}

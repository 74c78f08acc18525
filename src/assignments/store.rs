//! The role data in force: compiled, published whole, and refused once it is too old.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use moka::sync::Cache;
use thiserror::Error;

use crate::clock::Clock;
use crate::principal::Claims;
use crate::rbac::{AssignmentSet, Entitlements, Principals, Revision, RoleData, VaultScope};
use crate::snapshot::{self, Publisher, Snapshot};

/// How many callers' entitlements are kept. An entry is a few hundred bytes for most callers.
const CACHED_CALLERS: u64 = 10_000;

/// How long they are kept unused: entries of earlier loads must not keep those loads in memory.
const CACHED_FOR: Duration = Duration::from_secs(600);

/// Role data with the time at which it was last known to be what the source says.
#[derive(Clone, Debug)]
pub struct InForce {
    /// The data, compiled.
    pub set: Arc<AssignmentSet>,
    /// Its revision as records name it, such as `sha256:0123456789ab`.
    pub name: Arc<str>,
    /// When the source was last seen to say the same.
    pub confirmed_at: SystemTime,
    /// The same on the clock that nobody sets.
    measured: Instant,
}

impl InForce {
    fn confirmed(set: Arc<AssignmentSet>, now: SystemTime) -> Self {
        Self {
            name: format!("sha256:{}", set.revision()).into(),
            set,
            confirmed_at: now,
            measured: Instant::now(),
        }
    }
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
}

/// The reading side: the policy information point of the request path.
#[derive(Clone, Debug)]
pub struct Assignments {
    in_force: Snapshot<Option<InForce>>,
    max_staleness: Duration,
    entitlements: Cache<EntitlementsKey, Arc<Entitlements>>,
}

/// What one caller has, as it was found.
#[derive(Clone, Debug)]
pub struct Gathered {
    /// What the caller has.
    pub entitlements: Arc<Entitlements>,
    /// Whether it was known from an earlier request.
    pub known: bool,
}

/// Everything entitlements depend on, in full, so that no two callers can share an entry.
type EntitlementsKey = (Revision, usize, Principals);

/// Makes both sides; nothing is in force yet.
///
/// `vaults` are known by their index from here on. Data confirmed longer ago than `max_staleness`
/// is refused.
pub fn store(
    vaults: Vec<VaultScope>,
    max_staleness: Duration,
) -> (AssignmentPublisher, Assignments) {
    let (publisher, in_force) = snapshot::channel(None);
    let entitlements = Cache::builder()
        .max_capacity(CACHED_CALLERS)
        .time_to_idle(CACHED_FOR)
        .build();
    (
        AssignmentPublisher { vaults, publisher },
        Assignments {
            in_force,
            max_staleness,
            entitlements,
        },
    )
}

impl AssignmentPublisher {
    /// Compiles `data` and puts it in force.
    pub fn publish(
        &self,
        data: &RoleData,
        fingerprint: [u8; 32],
        now: SystemTime,
    ) -> Arc<AssignmentSet> {
        let revision = Revision::of(fingerprint);
        let set = Arc::new(AssignmentSet::compile(data, &self.vaults, revision));
        self.publisher
            .publish(Some(InForce::confirmed(set.clone(), now)));
        set
    }

    /// Notes that the source still says what is in force.
    pub fn confirm(&self, now: SystemTime) {
        if let Some(in_force) = &*self.publisher.load() {
            let set = in_force.set.clone();
            self.publisher.publish(Some(InForce::confirmed(set, now)));
        }
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

    /// What a caller has in the vault with index `vault`, under `set`.
    ///
    /// # Errors
    /// [`StoreError::UnknownVault`] if the set was compiled without that vault.
    pub fn entitlements(
        &self,
        set: &AssignmentSet,
        claims: &Claims,
        vault: usize,
    ) -> Result<Gathered, StoreError> {
        let principals = set.principals(claims.object_id, &claims.groups);
        let key = (set.revision(), vault, principals);
        if let Some(entitlements) = self.entitlements.get(&key) {
            return Ok(Gathered {
                entitlements,
                known: true,
            });
        }
        let gathered = set
            .entitlements(&key.2, vault)
            .ok_or(StoreError::UnknownVault)?;
        let entitlements = Arc::new(gathered);
        self.entitlements.insert(key, Arc::clone(&entitlements));
        Ok(Gathered {
            entitlements,
            known: false,
        })
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

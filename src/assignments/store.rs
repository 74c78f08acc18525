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
    /// Its revision as records name it, such as `sha256:0123456789ab`.
    pub name: Arc<str>,
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
            name: format!("sha256:{}", set.revision()).into(),
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
    use crate::principal::{CallerKind, Evidence, Guid, TenantId};

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

    const VAULT: &str = "/subscriptions/s/resourceGroups/g/providers/Microsoft.KeyVault/vaults/kv";

    fn with_vaults(names: &[&str]) -> (AssignmentPublisher, Assignments) {
        let vault = |name: &&str| VaultScope {
            scope: format!("{VAULT}{name}").parse().unwrap(),
            management_groups: None,
        };
        store(names.iter().map(vault).collect(), Duration::from_secs(60))
    }

    fn claims(object_id: u128, groups: &[u128]) -> Claims {
        let id = |id: u128| ObjectId(Guid::from_u128(id));
        Claims {
            object_id: id(object_id),
            tenant_id: TenantId(Guid::ZERO),
            app_id: None,
            issuer: "issuer".into(),
            issuer_name: "issuer".into(),
            token_id: None,
            kind: CallerKind::App,
            groups: TokenGroups::Present(groups.iter().copied().map(id).collect()),
            evidence: Evidence::default(),
            expires_at: SystemTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn a_caller_is_known_by_its_id_its_groups_and_the_vault() {
        let (publisher, assignments) = with_vaults(&["1", "2"]);
        let now = SystemTime::UNIX_EPOCH;
        publisher.publish(&RoleData::default(), [0; 32], now);
        let in_force = assignments.fresh(now).unwrap();
        let known = |claims: &Claims, vault| in_force.entitlements(claims, vault).unwrap().known;
        let alice = claims(1, &[7, 8]);
        assert!(!known(&alice, 0));
        assert!(known(&alice, 0));
        assert!(
            known(&claims(1, &[7, 8]), 0),
            "another token of the same caller"
        );
        for (other, vault) in [
            (&alice, 1),
            (&claims(2, &[7, 8]), 0),
            (&claims(1, &[7]), 0),
            (&claims(1, &[8, 7]), 0),
            (&claims(1, &[]), 0),
        ] {
            assert!(!known(other, vault), "{other:?} {vault}");
        }
        assert!(in_force.entitlements(&alice, 2).is_err());
        publisher.confirm(now);
        assert!(
            assignments
                .fresh(now)
                .unwrap()
                .entitlements(&alice, 0)
                .unwrap()
                .known
        );
        publisher.publish(&RoleData::default(), [1; 32], now);
        assert!(
            !assignments
                .fresh(now)
                .unwrap()
                .entitlements(&alice, 0)
                .unwrap()
                .known
        );
    }

    #[test]
    fn what_was_in_force_is_let_go_of_when_no_request_uses_it() {
        let (publisher, assignments) = with_vaults(&["1"]);
        let now = SystemTime::UNIX_EPOCH;
        let first = Arc::downgrade(&publisher.publish(&RoleData::default(), [0; 32], now));
        let in_force = assignments.fresh(now).unwrap();
        let gathered = in_force.entitlements(&claims(1, &[]), 0).unwrap();
        publisher.publish(&RoleData::default(), [1; 32], now);
        assert!(!publisher.release());
        drop(in_force);
        assert!(!publisher.release(), "what was gathered is part of it");
        assert!(first.upgrade().is_some());
        drop(gathered);
        assert!(publisher.release());
        assert!(first.upgrade().is_none());
    }
}

//! How much of what there is anybody may hold at a time: requests, connections.
//!
//! Nothing waits for its share, so there is no queue to grow: who finds nothing left is told so at
//! once.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Locks among which the holders are divided, so that threads seldom meet at one.
const SHARDS: usize = 16;

/// So many places, for whoever comes first.
#[derive(Debug)]
pub struct Places {
    most: usize,
    taken: AtomicUsize,
}

/// One of the [`Places`], until it is dropped.
#[derive(Debug)]
#[must_use = "the place is free again when this is dropped"]
pub struct Place(Arc<Places>);

impl Places {
    /// `most` places.
    pub const fn new(most: usize) -> Self {
        Self {
            most,
            taken: AtomicUsize::new(0),
        }
    }

    /// A place; `None` if all are taken.
    pub fn take(self: &Arc<Self>) -> Option<Place> {
        let before = self.taken.fetch_add(1, Ordering::Relaxed);
        // Dropped again if there was none.
        let place = Place(Arc::clone(self));
        (before < self.most).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.taken.fetch_sub(1, Ordering::Relaxed);
    }
}

/// So many for each holder. Those who hold nothing are not remembered.
#[derive(Debug)]
pub struct Shares<K> {
    most: usize,
    hasher: RandomState,
    shards: [Mutex<HashMap<K, usize>>; SHARDS],
}

/// One of a holder's [`Shares`], until it is dropped.
#[derive(Debug)]
#[must_use = "the share is given back when this is dropped"]
pub struct Share<K: Eq + Hash> {
    shares: Arc<Shares<K>>,
    holder: K,
}

impl<K: Eq + Hash + Clone> Shares<K> {
    /// `most` for each.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            hasher: RandomState::new(),
            shards: Default::default(),
        }
    }

    /// One more for `holder`; `None` if it has all it may.
    pub fn take(self: &Arc<Self>, holder: K) -> Option<Share<K>> {
        {
            let mut shard = self.shard(&holder)?;
            let held = shard.entry(holder.clone()).or_default();
            if *held >= self.most {
                return None;
            }
            *held += 1;
        }
        Some(Share {
            shares: Arc::clone(self),
            holder,
        })
    }
}

impl<K: Eq + Hash> Shares<K> {
    /// The part in which `holder` is counted. There is always one.
    fn shard(&self, holder: &K) -> Option<MutexGuard<'_, HashMap<K, usize>>> {
        let hash = usize::try_from(self.hasher.hash_one(holder) % SHARDS as u64).ok()?;
        let shard = self.shards.get(hash)?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<K: Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let Some(mut shard) = self.shares.shard(&self.holder) else {
            return;
        };
        let left = shard.get_mut(&self.holder).map(|held| {
            *held = held.saturating_sub(1);
            *held
        });
        if left == Some(0) {
            shard.remove(&self.holder);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_it_is_left() {
        let places = Arc::new(Places::new(2));
        let (first, second) = (places.take(), places.take());
        assert!(first.is_some() && second.is_some());
        assert!(places.take().is_none() && places.take().is_none());
        drop(first);
        assert!(places.take().is_some());
    }

    #[test]
    fn each_holder_has_shares_of_its_own() {
        let shares = Arc::new(Shares::new(2));
        let held: Vec<_> = (0..100)
            .flat_map(|holder| [shares.take(holder), shares.take(holder)])
            .collect();
        assert!(held.iter().all(Option::is_some));
        assert!((0..100).all(|holder| shares.take(holder).is_none()));
        drop(held);
        assert!(shares.take(7).is_some());
    }

    #[test]
    fn who_holds_nothing_is_not_remembered() {
        let shares = Arc::new(Shares::new(1));
        for holder in 0..1000 {
            drop(shares.take(holder));
        }
        let remembered = |shard: &Mutex<HashMap<_, _>>| shard.lock().unwrap().len();
        assert_eq!(shares.shards.iter().map(remembered).sum::<usize>(), 0);
    }

    #[test]
    fn no_more_are_held_than_there_are_however_many_threads_take_them() {
        let (places, shares) = (Arc::new(Places::new(5)), Arc::new(Shares::new(5)));
        let most = AtomicUsize::new(0);
        let held = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        let (Some(_place), Some(_share)) = (places.take(), shares.take("one"))
                        else {
                            continue;
                        };
                        let now = held.fetch_add(1, Ordering::SeqCst) + 1;
                        most.fetch_max(now, Ordering::SeqCst);
                        held.fetch_sub(1, Ordering::SeqCst);
                    }
                });
            }
        });
        assert!((1..=5).contains(&most.into_inner()));
        assert_eq!(places.taken.load(Ordering::SeqCst), 0);
    }
}

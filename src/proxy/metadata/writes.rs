//! Which writes have passed, so that what was learned before them is not used after.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::keyvault::Operation;

/// Counters per vault. Names that share one cause a question too many, nothing worse.
const COUNTERS: usize = 64;

/// How many writes have passed, by vault and name.
///
/// One name is one counter for keys, secrets and certificates: writing a certificate changes the key
/// and the secret of its name.
#[derive(Debug)]
pub(super) struct Writes(Vec<[AtomicU64; COUNTERS]>);

impl Writes {
    pub(super) fn new(vaults: usize) -> Self {
        let none = || std::array::from_fn(|_| AtomicU64::new(0));
        Self((0..vaults).map(|_| none()).collect())
    }

    /// A number that a write to the name (in lower case) changes.
    pub(super) fn so_far(&self, vault: usize, folded: &str) -> u64 {
        let counters = self.0.get(vault);
        counters
            .and_then(|counters| counters.get(counter_of(folded)))
            .map_or(0, |counter| counter.load(Ordering::SeqCst))
    }

    /// Counts a write twice: now, before it is sent, and when the result is dropped.
    pub(super) fn passing(&self, vault: usize, operation: &Operation) -> Option<Passing<'_>> {
        if !operation.kind().is_write() {
            return None;
        }
        let counters = self.0.get(vault)?.as_slice();
        let touched = match operation.object() {
            Some((_, name)) => {
                let place = counter_of(name.folded());
                counters.get(place..=place)?
            }
            // The name of what is restored is inside the blob, so it may be any.
            None => counters,
        };
        let passing = Passing(touched);
        passing.count();
        Some(passing)
    }
}

/// A write on its way to the vault.
///
/// Dropping it means that the vault has answered, or that nobody waits for it any longer. In the
/// second case the vault may act later still: then what is learned in between counts for its usual
/// seconds.
#[must_use = "the write has passed when this is dropped"]
#[derive(Debug)]
pub struct Passing<'a>(&'a [AtomicU64]);

impl Passing<'_> {
    fn count(&self) {
        for counter in self.0 {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    }
}

impl Drop for Passing<'_> {
    fn drop(&mut self) {
        self.count();
    }
}

fn counter_of(folded: &str) -> usize {
    let mut hasher = DefaultHasher::new();
    folded.hash(&mut hasher);
    let counters = COUNTERS as u64;
    usize::try_from(hasher.finish() % counters).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::keyvault::route;

    use super::*;

    fn operation(method: &str, path: &str) -> Operation {
        let method = method.parse().unwrap();
        route::parse(&method, path, Some("api-version=7.4"), &[]).unwrap()
    }

    #[test]
    fn a_write_counts_before_and_after_for_its_name_in_its_vault() {
        let writes = Writes::new(2);
        let before = writes.so_far(0, "db");
        let passing = writes.passing(0, &operation("PUT", "/secrets/DB")).unwrap();
        let during = writes.so_far(0, "db");
        drop(passing);
        let after = writes.so_far(0, "db");
        assert!(before != during && during != after && before != after);
        assert_ne!(counter_of("db"), counter_of("other"));
        assert_eq!(writes.so_far(0, "other"), 0);
        assert_eq!(writes.so_far(1, "db"), 0);
    }

    #[test]
    fn a_write_without_a_name_counts_for_all_of_its_vault() {
        let writes = Writes::new(2);
        drop(writes.passing(0, &operation("POST", "/keys/restore")));
        for name in ["db", "other"] {
            assert_eq!(writes.so_far(0, name), 2);
            assert_eq!(writes.so_far(1, name), 0);
        }
    }

    #[test]
    fn what_writes_nothing_does_not_count() {
        let writes = Writes::new(1);
        for (method, path) in [("GET", "/secrets/db"), ("POST", "/keys/db/sign")] {
            assert!(writes.passing(0, &operation(method, path)).is_none());
        }
        assert_eq!(writes.so_far(0, "db"), 0);
    }
}

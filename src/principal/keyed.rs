//! A quick hash for what role data is looked up by: object ids, of which a caller brings twenty or
//! more, and the texts of scopes, of which a load brings a million.
//!
//! Sixteen bytes are two multiplications, where the standard library's SipHash takes several times
//! as long. Who could bring about collisions? Keys come from role data, which the tenant's
//! administrators write, and Entra makes up the object ids; what is looked up for a caller comes from
//! a validated token. Even so each map has a seed of its own, from the system's randomness, so
//! nobody knows beforehand which keys collide.

use std::collections::HashMap;
use std::hash::{BuildHasher, Hasher, RandomState};

/// A map whose keys are GUIDs.
pub(crate) type GuidMap<K, V> = HashMap<K, V, Keyed>;

/// Makes hashers with one random seed.
#[derive(Clone)]
pub(crate) struct Keyed {
    seeds: [u64; 2],
}

impl Default for Keyed {
    fn default() -> Self {
        let random = RandomState::new();
        Self {
            seeds: [random.hash_one(0), random.hash_one(1)],
        }
    }
}

impl BuildHasher for Keyed {
    type Hasher = KeyedHasher;

    fn build_hasher(&self) -> KeyedHasher {
        KeyedHasher {
            seeds: self.seeds,
            state: 0,
        }
    }
}

/// Takes sixteen bytes at a time, which is what a GUID has.
pub(crate) struct KeyedHasher {
    seeds: [u64; 2],
    state: u64,
}

impl KeyedHasher {
    fn mix(&mut self, low: u64, high: u64) {
        let [one, other] = self.seeds;
        self.state = folded(low ^ one ^ self.state, high ^ other);
    }
}

impl Hasher for KeyedHasher {
    fn write(&mut self, bytes: &[u8]) {
        let (pairs, rest) = bytes.as_chunks::<16>();
        for pair in pairs {
            let both = u128::from_le_bytes(*pair);
            self.mix(low(both), low(both >> 64));
        }
        if !rest.is_empty() {
            let mut pair = [0; 16];
            for (to, from) in pair.iter_mut().zip(rest) {
                *to = *from;
            }
            let both = u128::from_le_bytes(pair);
            // With the length: what is filled up with zeros is not what ends in them.
            self.mix(low(both), low(both >> 64));
            self.write_usize(rest.len());
        }
    }

    fn write_usize(&mut self, value: usize) {
        // Mostly the length of a key, which is not worth more than this.
        self.state = self.state.rotate_left(5) ^ u64::try_from(value).unwrap_or(u64::MAX);
    }

    fn finish(&self) -> u64 {
        // Once more, so that every bit of the product counts in the bits that maps look at.
        let [one, other] = self.seeds;
        folded(self.state ^ other, one | 1)
    }
}

/// The product of two numbers with its halves laid over each other, so that high bits count too.
fn folded(a: u64, b: u64) -> u64 {
    let product = u128::from(a) * u128::from(b);
    low(product) ^ low(product >> 64)
}

fn low(both: u128) -> u64 {
    u64::try_from(both & u128::from(u64::MAX)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use crate::principal::{Guid, ObjectId};

    use super::*;

    #[test]
    fn guids_that_differ_in_one_place_spread() {
        let keyed = Keyed::default();
        let mut low_bits = HashSet::new();
        let mut high_bits = HashSet::new();
        for place in 0..128 {
            let hash = keyed.hash_one(ObjectId(Guid::from_u128(1 << place)));
            low_bits.insert(hash & 0xffff);
            high_bits.insert(hash >> 48);
        }
        // 128 of 65536: one collision in eight tries.
        assert!(low_bits.len() > 120 && high_bits.len() > 120);
    }

    #[test]
    fn each_map_has_its_own_seed() {
        let id = ObjectId(Guid::from_u128(7));
        assert_ne!(Keyed::default().hash_one(id), Keyed::default().hash_one(id));
    }
}

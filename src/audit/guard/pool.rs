//! Randomness for the names of decisions, from the system in larger draughts: asking for each name
//! would cost more than the rest of a record.

use std::cell::RefCell;

/// As many random bytes as a name of version 7 takes.
pub(super) const NAME_BYTES: usize = 10;

/// A multiple of them.
const POOL_BYTES: usize = 64 * NAME_BYTES;

struct Pool {
    bytes: [u8; POOL_BYTES],
    /// How many of them, from the beginning, were not handed out yet.
    left: usize,
}

thread_local! {
    static POOL: RefCell<Pool> = const {
        RefCell::new(Pool {
            bytes: [0; POOL_BYTES],
            left: 0,
        })
    };
}

/// Random bytes nobody else gets; `None` if the system has none, or the thread is ending.
pub(super) fn random() -> Option<[u8; NAME_BYTES]> {
    POOL.try_with(|pool| pool.try_borrow_mut().ok()?.next())
        .ok()?
}

impl Pool {
    fn next(&mut self) -> Option<[u8; NAME_BYTES]> {
        if self.left < NAME_BYTES {
            aws_lc_rs::rand::fill(&mut self.bytes).ok()?;
            self.left = POOL_BYTES;
        }
        let (rest, last) = self
            .bytes
            .get(..self.left)?
            .split_last_chunk::<NAME_BYTES>()?;
        self.left = rest.len();
        Some(*last)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::thread;

    use super::*;

    #[test]
    fn no_bytes_are_handed_out_twice() {
        let draw = || (0..1000).map(|_| random().unwrap()).collect::<Vec<_>>();
        let threads: Vec<_> = (0..4).map(|_| thread::spawn(draw)).collect();
        let drawn = threads.into_iter().flat_map(|t| t.join().unwrap());
        assert_eq!(drawn.collect::<HashSet<_>>().len(), 4000);
    }
}

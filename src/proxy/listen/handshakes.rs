//! Handshakes in progress, of which there are not too many.
//!
//! A client that opens connections and says nothing on them would otherwise hold every place of a
//! listener until its handshakes time out. When there are too many the oldest gives way: honest
//! clients are done within a few round trips, so the oldest is one that stalls.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

/// The handshakes of one listener.
#[derive(Debug)]
pub(super) struct Handshakes {
    most: usize,
    going: Mutex<Going>,
}

#[derive(Debug, Default)]
struct Going {
    next: u64,
    /// By age; dropping what is held of one has it give way.
    each: BTreeMap<u64, oneshot::Sender<()>>,
}

/// One handshake, until it is dropped.
#[derive(Debug)]
pub(super) struct Handshake {
    all: Arc<Handshakes>,
    number: u64,
    place: oneshot::Receiver<()>,
}

impl Handshakes {
    /// At most `most` at a time.
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            going: Mutex::default(),
        }
    }

    /// One more; the oldest gives way if that is too many.
    pub(super) fn begin(self: &Arc<Self>) -> Handshake {
        let (held, place) = oneshot::channel();
        let mut going = self.lock();
        let number = going.next;
        going.next += 1;
        going.each.insert(number, held);
        if going.each.len() > self.most {
            going.each.pop_first();
        }
        Handshake {
            all: Arc::clone(self),
            number,
            place,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Going> {
        self.going.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Handshake {
    /// Waits until this one has to give way.
    pub(super) async fn gave_way(&mut self) {
        // Nothing is ever sent: the other end is dropped.
        let _dropped = (&mut self.place).await;
    }
}

impl Drop for Handshake {
    fn drop(&mut self) {
        self.all.lock().each.remove(&self.number);
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[test]
    fn the_oldest_gives_way() {
        let all = Arc::new(Handshakes::new(2));
        let (mut first, mut second) = (all.begin(), all.begin());
        assert!(first.gave_way().now_or_never().is_none());
        let mut third = all.begin();
        assert!(first.gave_way().now_or_never().is_some());
        drop(second);
        second = all.begin();
        assert!(second.gave_way().now_or_never().is_none());
        assert!(third.gave_way().now_or_never().is_none());
    }

    #[test]
    fn those_that_are_done_are_forgotten() {
        let all = Arc::new(Handshakes::new(2));
        for _ in 0..100 {
            drop(all.begin());
        }
        assert!(all.lock().each.is_empty());
    }
}

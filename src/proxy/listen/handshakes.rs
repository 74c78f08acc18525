//! Handshakes in progress, of which there are not too many.
//!
//! A client that opens connections and says nothing on them would otherwise hold every place of a
//! listener until its handshakes time out. When there are many, one gives way: the oldest of whoever
//! has most. So somebody with one address is his own first victim. Clients that all come back at
//! once are let be for as long as an honest one needs and there is room.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::origin::Holder;

/// Longer than the few round trips of a handshake take anywhere on Earth.
const HONEST: Duration = Duration::from_secs(1);

/// The handshakes of one listener.
#[derive(Debug)]
pub(super) struct Handshakes {
    many: usize,
    most: usize,
    going: Mutex<Going>,
}

#[derive(Debug, Default)]
struct Going {
    next: u64,
    /// By age.
    each: BTreeMap<u64, Begun>,
}

#[derive(Debug)]
struct Begun {
    /// Whose it is; `None` of all that a load balancer has yet to say for whom they are.
    holder: Option<Holder>,
    at: Instant,
    /// Dropping it has the handshake give way.
    _held: oneshot::Sender<()>,
}

/// One handshake, until it is dropped.
#[derive(Debug)]
pub(super) struct Handshake {
    all: Arc<Handshakes>,
    number: u64,
    place: oneshot::Receiver<()>,
}

impl Handshakes {
    /// For so many `connections`: up to half of them whatever comes, up to three quarters if they are
    /// young. A quarter is left to those that have shaken hands.
    pub(super) fn new(connections: usize) -> Self {
        Self {
            many: connections.div_ceil(2),
            most: (connections - connections / 4).max(1),
            going: Mutex::default(),
        }
    }

    /// One more that begins `at` this time, of `holder`; another may have to give way if that is too
    /// many.
    pub(super) fn begin(self: &Arc<Self>, holder: Option<Holder>, at: Instant) -> Handshake {
        let (_held, place) = oneshot::channel();
        let mut going = self.lock();
        let number = going.next;
        going.next += 1;
        going.each.insert(number, Begun { holder, at, _held });
        let count = going.each.len();
        if count > self.most {
            going.one_gives_way(|_begun| true);
        } else if count > self.many {
            going.one_gives_way(|begun| at.duration_since(begun.at) >= HONEST);
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

impl Going {
    /// Of the oldest, as far as they are `old` enough. Looks at all of these, which is less work than
    /// one handshake.
    fn one_gives_way(&mut self, old: impl Fn(&Begun) -> bool) {
        let aged = || self.each.iter().take_while(|(_, begun)| old(begun));
        let mut held = HashMap::new();
        for (_, begun) in aged() {
            *held.entry(begun.holder).or_insert(0_usize) += 1;
        }
        let most = held.values().max();
        let mut candidates = aged();
        let first = candidates.find(|(_, begun)| held.get(&begun.holder) == most);
        if let Some(number) = first.map(|(number, _)| *number) {
            self.each.remove(&number);
        }
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

    fn holder(number: u32) -> Option<Holder> {
        Some(Holder::User(Some(number)))
    }

    fn goes_on(handshake: &mut Handshake) -> bool {
        handshake.gave_way().now_or_never().is_none()
    }

    #[test]
    fn the_oldest_gives_way_once_it_is_late() {
        let (all, now) = (Arc::new(Handshakes::new(4)), Instant::now());
        let begin = |number, at| all.begin(holder(number), at);
        let (mut first, mut second) = (begin(1, now), begin(2, now));
        let mut third = begin(3, now + HONEST / 2);
        assert!(goes_on(&mut first));
        drop(third);
        third = begin(3, now + HONEST);
        assert!(!goes_on(&mut first) && goes_on(&mut second) && goes_on(&mut third));
    }

    #[test]
    fn whoever_has_most_gives_way() {
        let (all, now) = (Arc::new(Handshakes::new(4)), Instant::now());
        let mut honest = all.begin(holder(1), now);
        let mut many = [all.begin(holder(2), now), all.begin(holder(2), now)];
        let mut more = all.begin(holder(2), now);
        assert!(goes_on(&mut honest) && goes_on(&mut more));
        assert!(!goes_on(&mut many[0]) && goes_on(&mut many[1]));
    }

    #[test]
    fn one_that_is_late_goes_before_many_that_are_not() {
        let (all, now) = (Arc::new(Handshakes::new(12)), Instant::now());
        let mut late = all.begin(holder(1), now);
        let begin = |_| all.begin(holder(2), now + HONEST);
        let mut together: Vec<_> = (0..6).map(begin).collect();
        assert!(!goes_on(&mut late) && together.iter_mut().all(goes_on));
    }

    #[test]
    fn those_that_come_together_are_let_be_while_there_is_room() {
        let (all, now) = (Arc::new(Handshakes::new(12)), Instant::now());
        let begin = |number| all.begin(holder(number), now);
        let mut young: Vec<_> = (0..9).map(begin).collect();
        assert!(young.iter_mut().all(goes_on));
        let _one_too_many = begin(9);
        assert!(!goes_on(&mut young[0]) && young[1..].iter_mut().all(goes_on));
    }

    #[test]
    fn those_that_are_done_are_forgotten() {
        let all = Arc::new(Handshakes::new(2));
        for _ in 0..100 {
            drop(all.begin(holder(1), Instant::now()));
        }
        assert!(all.lock().each.is_empty());
    }
}

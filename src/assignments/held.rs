//! Holding back a load that lost too much.
//!
//! An export job that runs out of permissions writes an empty list and reports success; an
//! upload that breaks writes half. So a load with nothing where there was something, or with
//! fewer than half, is not believed at once: the last good set stays until the very same contents
//! are read again a poll interval later. A real revocation of more than half of everything is
//! delayed by that time and no longer. Deny assignments,
//! schedule instances and conditions from overlay files count as well as role assignments: losing
//! those would grant more.
//!
//! The first load after a start has nothing to be compared with and is believed.

use std::time::{Duration, Instant};

use super::files::Loaded;

/// How many entries of each kind a load has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Role assignments with a condition.
    pub conditional_assignments: usize,
    /// Deny assignments.
    pub deny_assignments: usize,
    /// Memberships of principals in groups.
    pub memberships: usize,
    /// Conditions on role assignments from overlay files.
    pub overlay_conditions: usize,
    /// Role assignments.
    pub role_assignments: usize,
    /// Role assignment schedule instances.
    pub schedule_instances: usize,
}

impl Counts {
    /// Counts the data of a load.
    pub fn of(loaded: &Loaded) -> Self {
        let assignments = &loaded.data.role_assignments;
        let conditional = assignments.iter().filter(|one| one.condition.is_some());
        Self {
            conditional_assignments: conditional.count(),
            deny_assignments: loaded.data.deny_assignments.len(),
            memberships: loaded.data.groups.values().map(Vec::len).sum(),
            overlay_conditions: loaded.data.overlay_conditions.values().map(Vec::len).sum(),
            role_assignments: loaded.data.role_assignments.len(),
            schedule_instances: loaded.data.schedule_instances.len(),
        }
    }
}

/// What shrank, and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shrunk {
    /// `role assignments`, `deny assignments`, `group memberships`,
    /// `role assignment schedule instances`, `role assignments with a condition` or
    /// `conditions in overlay files`.
    pub what: &'static str,
    /// How many the last good load has.
    pub from: usize,
    /// How many the load that is held back has.
    pub to: usize,
}

/// What remembers the last good load and the one that is held back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gate {
    last: Option<(Counts, [u8; 32])>,
    /// And when it was first seen.
    held: Option<([u8; 32], Instant)>,
}

/// What becomes of a load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It replaces the last good one.
    Accept,
    /// The last good one stays.
    HoldBack(Shrunk),
    /// It is the last good one again.
    Same,
}

impl Gate {
    /// The gate once the last good load was seen to be there still.
    #[must_use]
    pub fn confirmed(self) -> Self {
        Self { held: None, ..self }
    }

    /// Judges a load that was read at `now`, by its counts and fingerprint. Contents that are held
    /// back are confirmed when they are there again `delay` after they were first seen: one write
    /// to a file can cause several loads in a moment, and those prove nothing.
    ///
    /// Returns the verdict and the gate for the next load.
    #[must_use]
    pub fn judge(
        self,
        (counts, fingerprint): (Counts, [u8; 32]),
        now: Instant,
        delay: Duration,
    ) -> (Verdict, Self) {
        let accepted = Self {
            last: Some((counts, fingerprint)),
            held: None,
        };
        let Some((last, known)) = self.last else {
            return (Verdict::Accept, accepted);
        };
        if known == fingerprint {
            return (Verdict::Same, accepted);
        }
        let Some(shrunk) = shrunk(last, counts) else {
            return (Verdict::Accept, accepted);
        };
        let since = match self.held {
            Some((held, since)) if held == fingerprint => since,
            _ => now,
        };
        if since != now && now.saturating_duration_since(since) >= delay {
            return (Verdict::Accept, accepted);
        }
        let held = Some((fingerprint, since));
        (Verdict::HoldBack(shrunk), Self { held, ..self })
    }
}

fn shrunk(last: Counts, next: Counts) -> Option<Shrunk> {
    let pairs = [
        (
            "role assignments",
            last.role_assignments,
            next.role_assignments,
        ),
        (
            "deny assignments",
            last.deny_assignments,
            next.deny_assignments,
        ),
        // Memberships take away too: a deny assignment may name a group.
        ("group memberships", last.memberships, next.memberships),
        (
            "role assignment schedule instances",
            last.schedule_instances,
            next.schedule_instances,
        ),
        // An old tool exports the same assignments, and no conditions.
        (
            "role assignments with a condition",
            last.conditional_assignments,
            next.conditional_assignments,
        ),
        (
            "conditions in overlay files",
            last.overlay_conditions,
            next.overlay_conditions,
        ),
    ];
    pairs
        .into_iter()
        // None after some is fewer than half, too.
        .find(|&(_, from, to)| to.saturating_mul(2) < from)
        .map(|(what, from, to)| Shrunk { what, from, to })
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_secs(60);

    fn counts(role_assignments: usize, deny_assignments: usize) -> Counts {
        Counts {
            conditional_assignments: 0,
            deny_assignments,
            memberships: 0,
            overlay_conditions: 0,
            role_assignments,
            schedule_instances: 0,
        }
    }

    /// Feeds loads to a gate: seconds since the start, counts, contents.
    fn verdicts(loads: &[(u64, Counts, u8)]) -> Vec<Verdict> {
        let start = Instant::now();
        let mut gate = Gate::default();
        let mut verdicts = Vec::new();
        for &(at, counts, contents) in loads {
            let now = start + Duration::from_secs(at);
            let verdict;
            (verdict, gate) = gate.judge((counts, [contents; 32]), now, DELAY);
            verdicts.push(verdict);
        }
        verdicts
    }

    fn held(what: &'static str, from: usize, to: usize) -> Verdict {
        Verdict::HoldBack(Shrunk { what, from, to })
    }

    #[test]
    fn the_first_load_is_believed_even_if_empty() {
        assert_eq!(verdicts(&[(0, counts(0, 0), 1)]), [Verdict::Accept]);
    }

    #[test]
    fn the_same_contents_are_the_same_set() {
        let loads = [(0, counts(4, 0), 1), (60, counts(4, 0), 1)];
        assert_eq!(verdicts(&loads), [Verdict::Accept, Verdict::Same]);
    }

    #[test]
    fn half_is_believed_and_less_is_held_back_until_it_is_there_a_poll_later() {
        let loads = [
            (0, counts(4, 0), 1),
            (1, counts(2, 0), 2),
            (2, counts(0, 0), 3),
            (3, counts(0, 0), 3),
            (61, counts(0, 0), 3),
            (62, counts(0, 0), 3),
            (63, counts(0, 0), 3),
        ];
        let empty = held("role assignments", 2, 0);
        let expected = [
            Verdict::Accept,
            Verdict::Accept,
            empty,
            empty,
            empty,
            Verdict::Accept,
            Verdict::Same,
        ];
        assert_eq!(verdicts(&loads), expected);
    }

    #[test]
    fn groups_that_lose_their_members_are_held_back() {
        let members = |memberships| Counts {
            memberships,
            ..counts(3, 1)
        };
        let loads = [(0, members(8), 1), (1, members(0), 2), (61, members(0), 2)];
        let lost = held("group memberships", 8, 0);
        assert_eq!(verdicts(&loads), [Verdict::Accept, lost, Verdict::Accept]);
    }

    #[test]
    fn assignments_that_lose_their_conditions_are_held_back() {
        let conditional = |conditional_assignments| Counts {
            conditional_assignments,
            ..counts(9, 0)
        };
        let loads = [(0, conditional(5), 1), (1, conditional(2), 2)];
        let lost = held("role assignments with a condition", 5, 2);
        assert_eq!(verdicts(&loads), [Verdict::Accept, lost]);
    }

    #[test]
    fn an_overlay_that_loses_its_conditions_is_held_back() {
        let narrowed = |overlay_conditions| Counts {
            overlay_conditions,
            ..counts(3, 1)
        };
        let loads = [(0, narrowed(3), 1), (1, narrowed(1), 2)];
        let lost = held("conditions in overlay files", 3, 1);
        assert_eq!(verdicts(&loads), [Verdict::Accept, lost]);
    }

    #[test]
    fn other_contents_start_the_wait_again() {
        let loads = [
            (0, counts(9, 0), 1),
            (1, counts(1, 0), 2),
            (61, counts(2, 0), 3),
            (62, counts(9, 0), 1),
            (70, counts(1, 0), 2),
            (130, counts(1, 0), 2),
        ];
        let expected = [
            Verdict::Accept,
            held("role assignments", 9, 1),
            held("role assignments", 9, 2),
            Verdict::Same,
            held("role assignments", 9, 1),
            Verdict::Accept,
        ];
        assert_eq!(verdicts(&loads), expected);
    }

    #[test]
    fn lost_deny_assignments_are_held_back_too() {
        let loads = [(0, counts(4, 3), 1), (1, counts(4, 1), 2)];
        let expected = [Verdict::Accept, held("deny assignments", 3, 1)];
        assert_eq!(verdicts(&loads), expected);
    }
}

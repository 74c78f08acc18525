//! Who there is: users, service principals and groups in groups.

use crate::dice::Dice;
use crate::guid::{Guid, Named};

/// No principal is in more groups than this, counting groups of groups.
pub const MAX_GROUPS: usize = 20;

/// The kinds of principal that call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrincipalKind {
    /// An application or a managed identity.
    ServicePrincipal,
    /// A person.
    User,
}

impl PrincipalKind {
    /// Azure's word.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ServicePrincipal => "ServicePrincipal",
            Self::User => "User",
        }
    }
}

/// Somebody who calls.
#[derive(Clone, Debug)]
pub struct Principal {
    /// Its object id.
    pub id: Guid,
    /// What it is.
    pub kind: PrincipalKind,
    /// All its groups by number, transitive and sorted.
    pub groups: Vec<usize>,
}

/// A group.
#[derive(Clone, Debug)]
pub struct Group {
    /// Its object id.
    pub id: Guid,
    /// The groups it is in by number, transitive and sorted; each has a smaller number.
    pub above: Vec<usize>,
}

/// Who holds a role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Holder {
    /// The principal with this number.
    Principal(usize),
    /// The group with this number.
    Group(usize),
}

/// All of them. The home of number n is the subscription n modulo the number of subscriptions.
#[derive(Clone, Debug)]
pub struct People {
    /// Users and service principals.
    pub principals: Vec<Principal>,
    /// Groups.
    pub groups: Vec<Group>,
    subscriptions: usize,
}

impl People {
    pub(crate) fn new(seed: u64, assignments: usize, subscriptions: usize) -> Self {
        let mut dice = Dice::new(seed, 1);
        let mut people = Self {
            principals: Vec::new(),
            groups: Vec::new(),
            subscriptions,
        };
        for number in 0..assignments / 25 + 24 {
            let above = people.groups_above(&mut dice, number);
            people.groups.push(Group {
                id: Guid::of(seed, Named::Group, number),
                above,
            });
        }
        for number in 0..assignments / 8 + 40 {
            let groups = people.groups_of(&mut dice, number);
            let kinds = [(60, PrincipalKind::ServicePrincipal)];
            people.principals.push(Principal {
                id: Guid::of(seed, Named::Principal, number),
                kind: dice.share(&kinds, PrincipalKind::User),
                groups,
            });
        }
        people
    }

    /// The object id of a holder.
    pub fn id(&self, holder: Holder) -> Guid {
        let found = match holder {
            Holder::Principal(number) => self.principals.get(number).map(|one| one.id),
            Holder::Group(number) => self.groups.get(number).map(|one| one.id),
        };
        found.unwrap_or(Guid::ZERO)
    }

    /// Azure's word for what a holder is.
    pub fn kind(&self, holder: Holder) -> &'static str {
        match holder {
            Holder::Group(_) => "Group",
            Holder::Principal(number) => self
                .principals
                .get(number)
                .map_or("Unknown", |one| one.kind.as_str()),
        }
    }

    /// The object ids of a principal's groups.
    pub fn group_ids<'a>(&'a self, principal: &'a Principal) -> impl Iterator<Item = Guid> + 'a {
        let groups = principal.groups.iter();
        groups.filter_map(|number| self.groups.get(*number).map(|group| group.id))
    }

    /// A principal whose home is `subscription`.
    pub(crate) fn principal_at(&self, dice: &mut Dice, subscription: usize) -> usize {
        self.at_home(dice, subscription, self.principals.len())
    }

    /// A group whose home is `subscription`.
    pub(crate) fn group_at(&self, dice: &mut Dice, subscription: usize) -> Holder {
        Holder::Group(self.at_home(dice, subscription, self.groups.len()))
    }

    /// Who gets a role in `subscription`: mostly somebody at home there, and often a group.
    pub(crate) fn holder(&self, dice: &mut Dice, subscription: usize) -> Holder {
        let home = self.home_or_any(dice, subscription);
        if dice.percent(30) {
            self.group_at(dice, home)
        } else {
            Holder::Principal(self.principal_at(dice, home))
        }
    }

    fn home_or_any(&self, dice: &mut Dice, subscription: usize) -> usize {
        if dice.percent(85) {
            subscription
        } else {
            dice.below(self.subscriptions)
        }
    }

    fn at_home(&self, dice: &mut Dice, home: usize, count: usize) -> usize {
        let rounds = (count.saturating_sub(home)).div_ceil(self.subscriptions);
        home + self.subscriptions * dice.below(rounds)
    }

    /// About half of the groups are in others; chains are short, as people make them.
    fn groups_above(&self, dice: &mut Dice, number: usize) -> Vec<usize> {
        let mut above = Vec::new();
        for _ in 0..dice.share(&[(55, 0), (35, 1)], 2) {
            let home = self.home_or_any(dice, number % self.subscriptions);
            if home < number {
                let parent = self.at_home(dice, home, number);
                self.join(&mut above, parent, 6);
            }
        }
        above
    }

    fn groups_of(&self, dice: &mut Dice, number: usize) -> Vec<usize> {
        let wanted = match dice.share(&[(15, 0), (55, 1), (25, 2)], 3) {
            // Somebody is in as many as can be, whatever the seed.
            _ if number == 0 => MAX_GROUPS,
            0 => 0,
            1 => 1 + dice.below(6),
            2 => 7 + dice.below(7),
            _ => 14 + dice.below(7),
        };
        let mut groups = Vec::new();
        for _ in 0..wanted * 12 {
            if groups.len() >= wanted {
                break;
            }
            let home = self.home_or_any(dice, number % self.subscriptions);
            let group = self.at_home(dice, home, self.groups.len());
            self.join(&mut groups, group, wanted);
        }
        groups
    }

    /// Adds a group and those above it, unless they become more than `at_most`.
    fn join(&self, groups: &mut Vec<usize>, group: usize, at_most: usize) {
        let Some(found) = self.groups.get(group) else {
            return;
        };
        let mut joined = groups.clone();
        joined.push(group);
        joined.extend(&found.above);
        joined.sort_unstable();
        joined.dedup();
        if joined.len() <= at_most {
            *groups = joined;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_transitive_and_not_too_many() {
        let people = People::new(1, 4000, 2);
        for principal in &people.principals {
            for group in &principal.groups {
                let above = &people.groups[*group].above;
                assert!(above.iter().all(|one| principal.groups.contains(one)));
            }
        }
        let counts = people.principals.iter().map(|one| one.groups.len());
        assert_eq!(counts.max(), Some(MAX_GROUPS));
        assert!(people.groups.iter().any(|group| group.above.len() > 2));
    }
}

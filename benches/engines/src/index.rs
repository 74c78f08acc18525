//! The role data of a tenant by principal: what an application looks up before it asks an engine.

use std::collections::HashMap;

use portcullis::keyvault::DataActionSet;

use crate::world::{Deny, Reach, Row, World};

/// What one caller or group has.
#[derive(Debug, Default)]
pub(crate) struct Holding {
    /// Its object id.
    pub id: Box<str>,
    /// The groups it is in, by their place in [`Index::holdings`].
    pub groups: Vec<u32>,
    /// Its role assignments.
    pub grants: Vec<Grant>,
}

/// A role assignment.
#[derive(Clone, Debug)]
pub(crate) struct Grant {
    /// At which resource id.
    pub scope: Box<str>,
    /// The same, seen from the vault.
    pub reach: Reach,
    /// Which role.
    pub role: u32,
    /// What the role holds.
    pub held: DataActionSet,
    /// Under which condition.
    pub condition: Option<u32>,
}

/// The index.
#[derive(Debug, Default)]
pub(crate) struct Index {
    /// Where a principal is in [`Self::holdings`].
    pub by_id: HashMap<Box<str>, u32>,
    /// What each has.
    pub holdings: Vec<Holding>,
    /// The deny assignments that reach the vault.
    pub denies: Vec<Deny>,
}

/// A caller, with what it has and what its groups have.
#[derive(Debug)]
pub(crate) struct Caller<'a> {
    /// Its object id.
    pub id: &'a str,
    /// Its own holding and those of its groups, by their places.
    pub holdings: Vec<(u32, &'a Holding)>,
}

impl Caller<'_> {
    /// Whether it is one of these, or in one of these groups.
    pub(crate) fn is_one_of(&self, ids: &[Box<str>]) -> bool {
        self.id_among(ids).is_some()
    }

    /// The first of these that it is or is in.
    pub(crate) fn id_among<'ids>(&self, ids: &'ids [Box<str>]) -> Option<&'ids str> {
        let is = |id: &&str| self.id == *id || self.holdings.iter().any(|(_, one)| *one.id == **id);
        ids.iter().map(|id| &**id).find(is)
    }

    /// Whether a deny assignment hits it.
    pub(crate) fn is_hit_by(&self, deny: &Deny) -> bool {
        (deny.everyone || self.is_one_of(&deny.principals)) && !self.is_one_of(&deny.excluded)
    }
}

impl Index {
    /// Sorts a tenant's role data by principal. Of assignments elsewhere nothing is kept: there is
    /// one vault to decide on.
    pub(crate) fn new(world: &World) -> Self {
        let mut index = Self::default();
        for row in &world.rows {
            index.add(world, row);
        }
        for (member, groups) in &world.groups {
            let groups = groups.iter().map(|group| index.place(group)).collect();
            let member = index.place(member);
            if let Some(holding) = index.at_mut(member) {
                holding.groups = groups;
            }
        }
        let reaching = world.denies.iter();
        let reaching = reaching.filter(|deny| deny.reach != Reach::Elsewhere);
        index.denies = reaching.cloned().collect();
        index
    }

    fn add(&mut self, world: &World, row: &Row) {
        if row.reach == Reach::Elsewhere {
            return;
        }
        let place = self.place(&row.principal);
        let held = world.roles.get(row.role).map(|role| role.held);
        if let Some(holding) = self.at_mut(place) {
            holding.grants.push(Grant {
                scope: row.scope.clone(),
                reach: row.reach.clone(),
                role: number(row.role),
                held: held.unwrap_or_default(),
                condition: row.condition.map(number),
            });
        }
    }

    fn place(&mut self, id: &str) -> u32 {
        if let Some(place) = self.by_id.get(id) {
            return *place;
        }
        let place = number(self.holdings.len());
        self.by_id.insert(id.into(), place);
        self.holdings.push(Holding {
            id: id.into(),
            ..Holding::default()
        });
        place
    }

    fn at_mut(&mut self, place: u32) -> Option<&mut Holding> {
        self.holdings.get_mut(usize::try_from(place).ok()?)
    }

    /// What is in a place.
    pub(crate) fn at(&self, place: u32) -> Option<&Holding> {
        self.holdings.get(usize::try_from(place).ok()?)
    }

    /// The caller's own holding and those of its groups.
    pub(crate) fn caller<'a>(&'a self, id: &'a str) -> Caller<'a> {
        let own = self.by_id.get(id).copied();
        let groups = own.and_then(|own| self.at(own)).map(|own| &own.groups);
        let places = own.into_iter().chain(groups.into_iter().flatten().copied());
        Caller {
            id,
            holdings: places
                .filter_map(|place| Some((place, self.at(place)?)))
                .collect(),
        }
    }
}

fn number(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}

//! The floor: what can be known beforehand is, and a decision is two hash probes and a bit test.
//!
//! For each caller there is what it holds on the vault itself and on any of its objects, and for the
//! objects that some assignment names, what it holds there; groups and deny assignments are worked in.
//! Where an assignment with a condition decides, it has no answer: that is not expressed.

use std::collections::HashMap;

use portcullis::keyvault::DataActionSet;

use super::{Engine, Source};
use crate::Failure;
use crate::index::{Caller, Index};
use crate::world::{Answer, Ask};

const CONDITIONAL: &str = "what depends on a condition";

struct Holds {
    on_vault: DataActionSet,
    on_objects: DataActionSet,
    on_object: HashMap<Box<str>, DataActionSet>,
    /// What an assignment with a condition may give.
    conditional: DataActionSet,
}

struct Probe(HashMap<Box<str>, Holds>);

/// Works out what each caller holds.
pub(super) fn load(source: &Source<'_>) -> Result<Box<dyn Engine>, Failure> {
    let index = Index::new(source.world);
    let callers = source.world.groups.keys();
    let callers = callers.map(|caller| (caller.clone(), Holds::new(&index, caller)));
    Ok(Box::new(Probe(callers.collect())))
}

impl Holds {
    fn new(index: &Index, caller: &str) -> Self {
        let caller = index.caller(caller);
        let grants = || {
            caller
                .holdings
                .iter()
                .flat_map(|(_, holding)| &holding.grants)
        };
        let named = grants().filter_map(|grant| grant.reach.object());
        let denied = index.denies.iter().filter_map(|deny| deny.reach.object());
        let named = named.chain(denied);
        let conditional = grants().filter(|grant| grant.condition.is_some());
        Self {
            on_vault: held(index, &caller, None),
            // No object is named like that.
            on_objects: held(index, &caller, Some("")),
            on_object: named
                .map(|object| (object.into(), held(index, &caller, Some(object))))
                .collect(),
            conditional: conditional.fold(DataActionSet::EMPTY, |set, one| set.union(one.held)),
        }
    }
}

/// What a caller holds without any condition.
fn held(index: &Index, caller: &Caller<'_>, object: Option<&str>) -> DataActionSet {
    let grants = caller
        .holdings
        .iter()
        .flat_map(|(_, holding)| &holding.grants);
    let grants = grants.filter(|one| one.condition.is_none() && one.reach.applies(object));
    let held = grants.fold(DataActionSet::EMPTY, |set, one| set.union(one.held));
    let denies = index.denies.iter();
    let denies = denies.filter(|deny| deny.applies(object) && caller.is_hit_by(deny));
    denies.fold(held, |set, deny| set.minus(deny.taken))
}

impl Engine for Probe {
    fn decide(&mut self, ask: &Ask) -> Result<Answer, Failure> {
        let Some(caller) = self.0.get(&ask.caller) else {
            return Ok(Answer::Deny);
        };
        let held = match &ask.object {
            None => caller.on_vault,
            Some(object) => *caller.on_object.get(object).unwrap_or(&caller.on_objects),
        };
        let mut wanted = ask.checks.iter().map(|check| check.action);
        if wanted.clone().all(|action| held.contains(action)) {
            return Ok(Answer::Allow);
        }
        if wanted.any(|action| caller.conditional.contains(action)) {
            return Ok(Answer::NotExpressed(CONDITIONAL.into()));
        }
        Ok(Answer::Deny)
    }
}

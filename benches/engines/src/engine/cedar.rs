//! Cedar, sliced by the application.
//!
//! Cedar evaluates every policy of the set it is given, so the way to use it at this size is to give
//! it few: of the assignments of the caller and its groups, those that apply to what is asked for.
//! One assignment is one policy, which names principal, role and scope, so a slice that is too large
//! would still be decided rightly. Policies are parsed when they are first needed, and kept.
//!
//! * *Sliced*: the application picks policies and makes entities for each request: the caller, with
//!   those of its groups that the policies name; the resource with all its ancestors as parents, so
//!   that there is no closure to compute; the action with its roles, which is kept. Facts go into the
//!   context when a policy of the slice has a condition.
//! * *Kept*: the application keeps a set for each caller, with all that it has in the vault, as
//!   Portcullis keeps entitlements; and one store of entities for all callers and objects. A request
//!   costs evaluation alone.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, Policy,
    PolicyId, PolicySet, Request, RestrictedExpression,
};
use portcullis::keyvault::DataAction;

use super::{Engine, Source, cedar_text};
use crate::Failure;
use crate::condition::{Formula, Value};
use crate::index::{Caller, Index};
use crate::world::{Answer, Ask, Check, Deny, World};

/// The names of entities.
pub(super) struct Names {
    principal: EntityTypeName,
    place: EntityTypeName,
    action: EntityTypeName,
}

impl Names {
    pub(super) fn new() -> Result<Self, Failure> {
        Ok(Self {
            principal: "Principal".parse()?,
            place: "Place".parse()?,
            action: "Action".parse()?,
        })
    }

    pub(super) fn principal(&self, id: &str) -> EntityUid {
        EntityUid::from_type_name_and_id(self.principal.clone(), EntityId::new(id))
    }

    pub(super) fn place(&self, scope: &str) -> EntityUid {
        EntityUid::from_type_name_and_id(self.place.clone(), EntityId::new(scope))
    }

    fn action(&self, name: &str) -> EntityUid {
        EntityUid::from_type_name_and_id(self.action.clone(), EntityId::new(name))
    }

    /// The data actions, each in the roles that hold it and in what deny assignments take.
    pub(super) fn actions(&self, roles: &World, denies: &[Deny]) -> HashMap<DataAction, Entity> {
        let entity = |action: DataAction| {
            let roles = roles.roles.iter().filter(|role| role.held.contains(action));
            let roles = roles.map(|role| self.action(&role.id));
            let denies = denies.iter().enumerate();
            let taken = denies.filter(|(_, deny)| deny.taken.contains(action));
            let taken = taken.map(|(number, _)| self.action(&taken_by(number)));
            let parents = roles.chain(taken).collect();
            (
                action,
                Entity::new_no_attrs(self.action(action.as_str()), parents),
            )
        };
        DataAction::ALL.iter().copied().map(entity).collect()
    }
}

/// The action group that a deny assignment takes away.
pub(super) fn taken_by(deny: usize) -> String {
    format!("taken by {deny}")
}

/// The deny assignments as policies.
pub(super) fn forbids(denies: &[Deny]) -> Result<Vec<Policy>, Failure> {
    let forbids = denies.iter().enumerate().map(|(number, deny)| {
        let text = cedar_text::forbid(deny, &taken_by(number));
        let id = PolicyId::new(format!("deny {number}"));
        Ok(Policy::parse(Some(id), text)?)
    });
    forbids.collect()
}

/// The context of a request.
pub(super) fn context(check: &Check) -> Result<Context, Failure> {
    let facts = check.facts.iter().enumerate().filter_map(|(fact, value)| {
        let value = match value.as_ref()? {
            Value::Text(text) => RestrictedExpression::new_string(text.to_string()),
            Value::Number(number) => RestrictedExpression::new_long(*number),
            Value::Boolean(value) => RestrictedExpression::new_bool(*value),
        };
        Some((format!("f{fact}"), value))
    });
    Ok(Context::from_pairs(facts)?)
}

/// What one request, or one caller, is decided on.
struct Slice {
    policies: PolicySet,
    /// The groups that the policies name.
    groups: HashSet<EntityUid>,
    has_conditions: bool,
}

struct Cedar {
    names: Names,
    index: Index,
    chain: Vec<EntityUid>,
    vault: Box<str>,
    roles: Vec<Box<str>>,
    conditions: Vec<Result<Formula, String>>,
    authorizer: Authorizer,
    forbids: Vec<Policy>,
    /// Those that were needed so far: by the holding and the grant.
    permits: HashMap<(u32, usize), Policy>,
    /// Each data action in a store of its own.
    actions: HashMap<DataAction, (EntityUid, Entities)>,
    /// `None` if nothing is kept.
    kept: Option<Kept>,
}

/// What is kept between requests.
struct Kept {
    slices: HashMap<Box<str>, (EntityUid, Slice)>,
    places: HashMap<Box<str>, EntityUid>,
    entities: Entities,
}

/// A slice for each request.
pub(super) fn sliced(source: &Source<'_>) -> Result<Box<dyn Engine>, Failure> {
    Ok(Box::new(Cedar::load(source, false)?))
}

/// A slice for each caller, kept.
pub(super) fn kept(source: &Source<'_>) -> Result<Box<dyn Engine>, Failure> {
    Ok(Box::new(Cedar::load(source, true)?))
}

impl Cedar {
    fn load(source: &Source<'_>, keeps: bool) -> Result<Self, Failure> {
        let world = source.world;
        let names = Names::new()?;
        let index = Index::new(world);
        let entities = names.actions(world, &index.denies);
        let kept = Kept {
            slices: HashMap::new(),
            places: HashMap::new(),
            entities: Entities::from_entities(entities.values().cloned(), None)?,
        };
        let actions = entities.into_iter().map(|(action, entity)| {
            let name = entity.uid();
            Ok((action, (name, Entities::from_entities([entity], None)?)))
        });
        Ok(Self {
            chain: world.chain.iter().map(|scope| names.place(scope)).collect(),
            vault: world.chain.last().cloned().unwrap_or_default(),
            roles: world.roles.iter().map(|role| role.id.clone()).collect(),
            conditions: world.conditions.clone(),
            authorizer: Authorizer::new(),
            forbids: forbids(&index.denies)?,
            permits: HashMap::new(),
            actions: actions.collect::<Result<_, Failure>>()?,
            kept: keeps.then_some(kept),
            names,
            index,
        })
    }

    /// The policies for a caller: of a request for `object`, or all of them.
    fn slice(&mut self, caller: &str, object: Option<Option<&str>>) -> Result<Slice, Failure> {
        let mut slice = Slice {
            policies: PolicySet::new(),
            groups: HashSet::new(),
            has_conditions: false,
        };
        let caller = self.index.caller(caller);
        for (place, holding) in &caller.holdings {
            let mut is_named = false;
            for (number, grant) in holding.grants.iter().enumerate() {
                if object.is_some_and(|object| !grant.reach.applies(object)) {
                    continue;
                }
                let policy = match self.permits.get(&(*place, number)) {
                    Some(policy) => policy.clone(),
                    None => {
                        let policy = self.permit(*place, number)?;
                        self.permits.insert((*place, number), policy.clone());
                        policy
                    }
                };
                slice.policies.add(policy)?;
                slice.has_conditions |= grant.condition.is_some();
                is_named = true;
            }
            if is_named && *holding.id != *caller.id {
                slice.groups.insert(self.names.principal(&holding.id));
            }
        }
        self.add_forbids(&mut slice, &caller, object)?;
        Ok(slice)
    }

    fn add_forbids(
        &self,
        slice: &mut Slice,
        caller: &Caller<'_>,
        object: Option<Option<&str>>,
    ) -> Result<(), Failure> {
        for (deny, forbid) in self.index.denies.iter().zip(&self.forbids) {
            let applies = object.is_none_or(|object| deny.applies(object));
            if applies && caller.is_hit_by(deny) {
                slice.policies.add(forbid.clone())?;
                let named = caller.id_among(&deny.principals);
                slice
                    .groups
                    .extend(named.map(|id| self.names.principal(id)));
            }
        }
        Ok(())
    }

    fn permit(&self, place: u32, number: usize) -> Result<Policy, Failure> {
        let holding = self.index.at(place).ok_or("no such holding")?;
        let grant = holding.grants.get(number).ok_or("no such grant")?;
        let role = self
            .roles
            .get(usize::try_from(grant.role)?)
            .ok_or("no such role")?;
        let condition = match grant.condition {
            None => None,
            Some(number) => match self.conditions.get(usize::try_from(number)?) {
                Some(Ok(formula)) => Some(formula),
                Some(Err(why)) => return Err(why.clone().into()),
                None => return Err("no such condition".into()),
            },
        };
        let text = cedar_text::permit(&holding.id, role, &grant.scope, condition);
        let id = PolicyId::new(format!("{place} {number}"));
        Ok(Policy::parse(Some(id), text)?)
    }

    /// What is asked for, with all its ancestors as parents.
    fn place(&self, object: Option<&str>) -> Entity {
        match object {
            Some(object) => {
                let name = self.names.place(&format!("{}/{object}", self.vault));
                Entity::new_no_attrs(name, self.chain.iter().cloned().collect())
            }
            None => {
                let above = self.chain.iter().take(self.chain.len().saturating_sub(1));
                Entity::new_no_attrs(self.names.place(&self.vault), above.cloned().collect())
            }
        }
    }

    fn decide_sliced(&mut self, ask: &Ask) -> Result<bool, Failure> {
        let object = ask.object.as_deref();
        let slice = self.slice(&ask.caller, Some(object))?;
        let principal = self.names.principal(&ask.caller);
        let caller = Entity::new_no_attrs(principal.clone(), slice.groups);
        let place = self.place(object);
        let resource = place.uid();
        let around = [caller, place];
        for check in &ask.checks {
            let (action, store) = self.actions.get(&check.action).ok_or("no such action")?;
            let entities = store.clone().add_entities(around.clone(), None)?;
            let context = if slice.has_conditions {
                context(check)?
            } else {
                Context::empty()
            };
            let (principal, resource) = (principal.clone(), resource.clone());
            let request = Request::new(principal, action.clone(), resource, context, None)?;
            let response = self
                .authorizer
                .is_authorized(&request, &slice.policies, &entities);
            if response.decision() == Decision::Deny {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Makes what is kept for the caller and the object of a request.
    fn keep(&mut self, ask: &Ask) -> Result<(), Failure> {
        let Some(mut kept) = self.kept.take() else {
            return Ok(());
        };
        let mut new = Vec::new();
        if !kept.slices.contains_key(&ask.caller) {
            let mut slice = self.slice(&ask.caller, None)?;
            let principal = self.names.principal(&ask.caller);
            let groups = std::mem::take(&mut slice.groups);
            new.push(Entity::new_no_attrs(principal.clone(), groups));
            kept.slices.insert(ask.caller.clone(), (principal, slice));
        }
        let object = ask.object.clone().unwrap_or_default();
        if let Entry::Vacant(vacant) = kept.places.entry(object) {
            let place = self.place(ask.object.as_deref());
            vacant.insert(place.uid());
            new.push(place);
        }
        if !new.is_empty() {
            kept.entities = kept.entities.add_entities(new, None)?;
        }
        self.kept = Some(kept);
        Ok(())
    }

    fn decide_kept(&mut self, ask: &Ask) -> Result<bool, Failure> {
        self.keep(ask)?;
        let kept = self.kept.as_ref().ok_or("nothing is kept")?;
        let (principal, slice) = kept.slices.get(&ask.caller).ok_or("no slice")?;
        let object = ask.object.as_deref().unwrap_or_default();
        let resource = kept.places.get(object).ok_or("no place")?;
        for check in &ask.checks {
            let (action, _) = self.actions.get(&check.action).ok_or("no such action")?;
            let context = if slice.has_conditions {
                context(check)?
            } else {
                Context::empty()
            };
            let (principal, resource) = (principal.clone(), resource.clone());
            let request = Request::new(principal, action.clone(), resource, context, None)?;
            let response = self
                .authorizer
                .is_authorized(&request, &slice.policies, &kept.entities);
            if response.decision() == Decision::Deny {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Engine for Cedar {
    fn decide(&mut self, ask: &Ask) -> Result<Answer, Failure> {
        let allowed = if self.kept.is_some() {
            self.decide_kept(ask)?
        } else {
            self.decide_sliced(ask)?
        };
        Ok(allowed.into())
    }
}

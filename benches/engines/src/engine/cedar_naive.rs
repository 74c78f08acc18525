//! Cedar without slicing: all policies in one set, and an entity for each caller, kept.
//!
//! What the first hour with Cedar gives. Every request evaluates every policy.

use std::collections::HashMap;

use cedar_policy::{Authorizer, Decision, Entities, Entity, Policy, PolicyId, PolicySet, Request};
use portcullis::keyvault::DataAction;

use super::cedar::{Names, context, forbids};
use super::{Engine, Source, cedar_text};
use crate::Failure;
use crate::world::{Answer, Ask, World};

struct Naive {
    names: Names,
    chain: Vec<Box<str>>,
    policies: PolicySet,
    /// Actions, and callers with all their groups.
    entities: Entities,
    actions: HashMap<DataAction, Entity>,
}

/// Parses everything.
pub(super) fn load(source: &Source<'_>) -> Result<Box<dyn Engine>, Failure> {
    let world = source.world;
    let names = Names::new()?;
    let actions = names.actions(world, &world.denies);
    let callers = world.groups.iter().map(|(id, groups)| {
        let groups = groups.iter().map(|group| names.principal(group));
        Entity::new_no_attrs(names.principal(id), groups.collect())
    });
    let entities = actions.values().cloned().chain(callers);
    Ok(Box::new(Naive {
        chain: world.chain.clone(),
        policies: policies(world)?,
        entities: Entities::from_entities(entities, None)?,
        actions,
        names,
    }))
}

fn policies(world: &World) -> Result<PolicySet, Failure> {
    let mut policies = PolicySet::new();
    for (number, row) in world.rows.iter().enumerate() {
        let role = world.roles.get(row.role).ok_or("no such role")?;
        let condition = match row
            .condition
            .and_then(|number| world.conditions.get(number))
        {
            None => None,
            Some(Ok(formula)) => Some(formula),
            Some(Err(why)) => return Err(why.clone().into()),
        };
        let text = cedar_text::permit(&row.principal, &role.id, &row.scope, condition);
        policies.add(Policy::parse(
            Some(PolicyId::new(number.to_string())),
            text,
        )?)?;
    }
    for forbid in forbids(&world.denies)? {
        policies.add(forbid)?;
    }
    Ok(policies)
}

impl Engine for Naive {
    fn decide(&mut self, ask: &Ask) -> Result<Answer, Failure> {
        let vault = self.chain.last().cloned().unwrap_or_default();
        let resource = match &ask.object {
            Some(object) => self.names.place(&format!("{vault}/{object}")),
            None => self.names.place(&vault),
        };
        let above = self.chain.iter().map(|scope| self.names.place(scope));
        let above = above.filter(|scope| *scope != resource).collect();
        let place = Entity::new_no_attrs(resource.clone(), above);
        let entities = self.entities.clone().add_entities([place], None)?;
        for check in &ask.checks {
            let action = self
                .actions
                .get(&check.action)
                .ok_or("no such action")?
                .uid();
            let principal = self.names.principal(&ask.caller);
            let context = context(check)?;
            let request = Request::new(principal, action, resource.clone(), context, None)?;
            let response = Authorizer::new().is_authorized(&request, &self.policies, &entities);
            if response.decision() == Decision::Deny {
                return Ok(Answer::Deny);
            }
        }
        Ok(Answer::Allow)
    }
}

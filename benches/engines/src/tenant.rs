//! From a made-up tenant to what engines are loaded from and asked.

use std::collections::HashMap;

use portcullis::abac::{Attributes, Lookup, Scalar};
use portcullis::attributes::{self, RequestAttributes};
use portcullis::keyvault::{DataAction, Operation};
use portcullis_tenants::{
    DenyAssignment, DenyPrincipal, Holder, Place, Request, RoleAssignment, Tenant,
};

use crate::Failure;
use crate::condition::{Formula, Reader, Source, Value, seconds};
use crate::engine::portcullis::{Scene, operation};
use crate::world::{Ask, Check, Deny, Reach, Role, Row, World};

/// The tenant as an application has it.
pub(crate) fn world(tenant: &Tenant) -> World {
    let mut conditions = Conditions::default();
    let rows = tenant.role_assignments.iter();
    let rows = rows.map(|one| row(tenant, one, &mut conditions)).collect();
    let principals = tenant.people.principals.iter();
    let groups = principals.map(|one| {
        let groups = tenant.people.group_ids(one).map(|id| text(&id)).collect();
        (text(&one.id), groups)
    });
    let roles = tenant.roles.definitions.iter().map(|one| {
        let held = DataAction::ALL.iter().copied();
        Role {
            id: text(&one.id),
            held: held.filter(|action| one.holds(action.as_str())).collect(),
        }
    });
    World {
        chain: chain(tenant),
        vault_tags: vec![(
            "environment".into(),
            tenant.vault.environment.as_str().into(),
        )],
        roles: roles.collect(),
        rows,
        conditions: conditions.read,
        denies: tenant
            .deny_assignments
            .iter()
            .map(|one| deny(tenant, one))
            .collect(),
        groups: groups.collect(),
        sources: conditions.reader.sources,
    }
}

fn text(value: &impl ToString) -> Box<str> {
    value.to_string().into()
}

fn scope(tenant: &Tenant, place: Place) -> Box<str> {
    tenant.scope(place).to_string().to_lowercase().into()
}

/// The vault's scopes, the root first.
fn chain(tenant: &Tenant) -> Vec<Box<str>> {
    let vault = tenant.vault.resource_id.to_lowercase();
    let above = |end: &str| vault.split_once(end).map_or("", |(above, _)| above).into();
    let mut chain: Vec<Box<str>> = vec!["/".into()];
    chain.extend(tenant.vault.management_groups.iter().rev().map(|name| {
        let name = name.to_lowercase();
        format!("/providers/microsoft.management/managementgroups/{name}").into()
    }));
    chain.push(above("/resourcegroups/"));
    chain.push(above("/providers/"));
    chain.push(vault.into());
    chain
}

fn reach(tenant: &Tenant, place: Place) -> Reach {
    if !tenant.tree.reaches(place, tenant.vault.number) {
        return Reach::Elsewhere;
    }
    match place {
        Place::Object(_, object, number) => {
            Reach::Object(format!("{}/{}", object.collection(), object.name(number)).into())
        }
        Place::ManagementGroup(_)
        | Place::Subscription(_)
        | Place::ResourceGroup(_)
        | Place::Vault(_) => Reach::Vault,
    }
}

fn row(tenant: &Tenant, one: &RoleAssignment, conditions: &mut Conditions) -> Row {
    let condition = one.condition.as_ref();
    Row {
        principal: text(&tenant.people.id(one.holder)),
        scope: scope(tenant, one.place),
        reach: reach(tenant, one.place),
        role: one.role,
        condition: condition.map(|condition| conditions.number(&condition.text)),
    }
}

/// The distinct conditions, read.
#[derive(Default)]
struct Conditions {
    numbers: HashMap<String, usize>,
    read: Vec<Result<Formula, String>>,
    reader: Reader,
}

impl Conditions {
    fn number(&mut self, text: &str) -> usize {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        self.numbers.insert(text.to_owned(), self.read.len());
        self.read.push(self.reader.read(text));
        self.read.len() - 1
    }
}

fn deny(tenant: &Tenant, one: &DenyAssignment) -> Deny {
    let holder = |one: &DenyPrincipal| match one {
        DenyPrincipal::Everyone => None,
        DenyPrincipal::One(holder) => Some(id(tenant, *holder)),
    };
    let taken = DataAction::ALL.iter().copied();
    let at_vault_or_in_it = matches!(one.place, Place::Vault(_) | Place::Object(..));
    Deny {
        principals: one.principals.iter().filter_map(holder).collect(),
        everyone: one.principals.contains(&DenyPrincipal::Everyone),
        excluded: one.excluded.iter().filter_map(holder).collect(),
        scope: scope(tenant, one.place),
        // One that applies above the vault and not below it has nothing to do with it.
        reach: if one.here_only && !at_vault_or_in_it {
            Reach::Elsewhere
        } else {
            reach(tenant, one.place)
        },
        here_only: one.here_only,
        taken: taken
            .filter(|action| one.permission.holds(action.as_str()))
            .collect(),
    }
}

fn id(tenant: &Tenant, holder: Holder) -> Box<str> {
    text(&tenant.people.id(holder))
}

/// The requests, with the facts that conditions ask about.
///
/// # Errors
/// A request that Portcullis cannot read.
pub(crate) fn asks(world: &World, requests: &[Request], now: i64) -> Result<Vec<Ask>, Failure> {
    let mut scene = Scene::new(world, now)?;
    let mut asks = Vec::with_capacity(requests.len());
    for request in requests {
        let (path, query) = match request.path_and_query.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (request.path_and_query.as_str(), None),
        };
        let mut ask = Ask {
            caller: text(&request.object_id),
            method: request.method.into(),
            path: path.into(),
            query: query.map(Into::into),
            object: None,
            checks: Vec::new(),
            is_user: request.is_user(),
            private_link: request.private_link,
            foreign: None,
        };
        let operation = operation(&ask)?;
        ask.object = operation
            .object()
            .map(|(kind, name)| format!("{}/{}", kind.collection(), name.folded()).into());
        scene.admit(&ask)?;
        match checks(world, &scene, &ask, &operation)? {
            Ok(checks) => ask.checks = checks,
            Err(why) => ask.foreign = Some(why),
        }
        if !world.groups.contains_key(&ask.caller) {
            ask.foreign = Some("a caller whose groups nobody knows".into());
        }
        asks.push(ask);
    }
    Ok(asks)
}

fn checks(
    world: &World,
    scene: &Scene,
    ask: &Ask,
    operation: &Operation,
) -> Result<Result<Vec<Check>, String>, Failure> {
    let facts = scene.facts(ask)?;
    let actions = operation.kind().row().data_actions.iter();
    Ok(actions
        .map(|&action| {
            let request = RequestAttributes {
                operation,
                action,
                facts: &facts,
                custom: None,
            };
            let found = world
                .sources
                .iter()
                .map(|source| fact(source, operation, &request));
            Ok(Check {
                action,
                facts: found.collect::<Result<_, _>>()?,
            })
        })
        .collect())
}

/// What a request has for a fact.
fn fact(
    source: &Source,
    operation: &Operation,
    request: &RequestAttributes<'_>,
) -> Result<Option<Value>, String> {
    let (attribute, is_folded) = match source {
        Source::Suboperation => {
            let suboperation = attributes::suboperation(operation.kind());
            return Ok(suboperation.map(|name| Value::Text(name.into())));
        }
        Source::Attribute(attribute) => (attribute, false),
        Source::Folded(attribute) => (attribute, true),
    };
    let values = match request.look_up(attribute) {
        Lookup::Found(values) => values,
        Lookup::Missing => return Ok(None),
        Lookup::Unknown | Lookup::Pending(_) => return Err("an attribute nobody knows".into()),
    };
    let [value] = values.as_slice() else {
        return Err("an attribute with several values".into());
    };
    Ok(Some(match value {
        Scalar::Name(name) if *name.to_lowercase() != **name => {
            return Err("a name in upper case".into());
        }
        Scalar::Text(text) | Scalar::Name(text) if is_folded => {
            Value::Text(text.to_lowercase().into())
        }
        Scalar::Text(text) | Scalar::Name(text) => Value::Text((**text).into()),
        Scalar::Integer(number) => Value::Number(*number),
        Scalar::Boolean(value) => Value::Boolean(*value),
        Scalar::DateTime(time) => Value::Number(seconds(*time)),
        Scalar::Guid(_) | Scalar::Other => return Err("a value of another type".into()),
    }))
}

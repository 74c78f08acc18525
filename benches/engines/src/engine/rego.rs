//! regorus: the policy in `policy.rego`, compiled to bytecode, with the tenant as its data.
//!
//! The data is what a bundle for this purpose would hold: assignments by principal and scope, so that
//! a decision looks up instead of searching; roles expanded to their actions; conditions as tests in
//! disjunctive normal form for each data action, which the policy interprets, because hundreds of
//! generated rules would be tried one after the other. The input brings the caller with its groups,
//! the scopes that contain the resource, the action and the facts. The virtual machine is kept, and
//! values that do not change from request to request are made once.
//!
//! Not expressed: patterns with more than one star.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use portcullis::keyvault::DataAction;
use regorus::Value;
use regorus::languages::rego::compiler::Compiler;
use regorus::rvm::vm::RegoVM;

use super::{Engine, Source};
use crate::Failure;
use crate::condition::{self, Formula, Test};
use crate::world::{Answer, Ask, Check, Deny, World};

const POLICY: &str = include_str!("policy.rego");
const RULE: &str = "data.portcullis.allow";

type Map = BTreeMap<Value, Value>;

struct Rego {
    machine: RegoVM,
    keys: Keys,
    actions: HashMap<DataAction, Value>,
    principals: HashMap<Box<str>, Value>,
    scopes: Vec<Value>,
    vault: Box<str>,
    facts: Vec<Value>,
}

/// The names in the input.
struct Keys {
    principals: Value,
    scopes: Value,
    resource: Value,
    action: Value,
    facts: Value,
}

/// Compiles the policy and builds its data.
pub(super) fn load(source: &Source<'_>) -> Result<Box<dyn Engine>, Failure> {
    let world = source.world;
    let mut engine = regorus::Engine::new();
    engine.add_policy("policy.rego".to_owned(), POLICY.to_owned())?;
    let compiled = engine.compile_with_entrypoint(&RULE.into())?;
    let program = Compiler::compile_from_policy(&compiled, &[RULE])?;
    let mut machine = RegoVM::new();
    machine.load_program(Arc::clone(&program));
    machine.set_data(data(world)?)?;
    let actions = DataAction::ALL.iter();
    Ok(Box::new(Rego {
        machine,
        keys: Keys {
            principals: "principals".into(),
            scopes: "scopes".into(),
            resource: "resource".into(),
            action: "action".into(),
            facts: "facts".into(),
        },
        actions: actions
            .map(|action| (*action, action.as_str().into()))
            .collect(),
        principals: principals(world),
        scopes: world.chain.iter().map(|scope| (**scope).into()).collect(),
        vault: world.chain.last().cloned().unwrap_or_default(),
        facts: (0..world.sources.len())
            .map(|fact| format!("f{fact}").into())
            .collect(),
    }))
}

/// Each caller with its groups.
fn principals(world: &World) -> HashMap<Box<str>, Value> {
    let mut texts: HashMap<&str, Value> = HashMap::new();
    let mut principals = HashMap::new();
    for (caller, groups) in &world.groups {
        let ids = std::iter::once(caller).chain(groups);
        let ids = ids.map(|id| texts.entry(id).or_insert_with(|| (**id).into()).clone());
        principals.insert(caller.clone(), ids.collect::<Vec<_>>().into());
    }
    principals
}

fn object<const N: usize>(pairs: [(&str, Value); N]) -> Value {
    Map::from(pairs.map(|(name, value)| (name.into(), value))).into()
}

fn data(world: &World) -> Result<Value, Failure> {
    let roles = world.roles.iter().map(|role| {
        let held = role
            .held
            .iter()
            .map(|action| (action.as_str().into(), true.into()));
        ((*role.id).into(), held.collect::<Map>().into())
    });
    let mut denies: BTreeMap<Value, Vec<Value>> = BTreeMap::new();
    for deny in &world.denies {
        denies
            .entry((*deny.scope).into())
            .or_default()
            .push(denying(deny));
    }
    let denies = denies.into_iter().map(|(scope, list)| (scope, list.into()));
    Ok(object([
        ("grants", grants(world)),
        ("roles", roles.collect::<Map>().into()),
        ("conditions", conditions(world)?),
        ("denies", denies.collect::<Map>().into()),
    ]))
}

fn grants(world: &World) -> Value {
    let mut made: HashMap<(usize, Option<usize>), Value> = HashMap::new();
    let mut grants: BTreeMap<Value, BTreeMap<Value, Vec<Value>>> = BTreeMap::new();
    for row in &world.rows {
        let grant = made.entry((row.role, row.condition)).or_insert_with(|| {
            let role = world.roles.get(row.role).map_or("", |role| &role.id);
            match row.condition {
                None => object([("role", role.into())]),
                Some(condition) => object([("role", role.into()), ("condition", name(condition))]),
            }
        });
        let held = grants.entry((*row.principal).into()).or_default();
        held.entry((*row.scope).into())
            .or_default()
            .push(grant.clone());
    }
    let grants = grants.into_iter().map(|(principal, held)| {
        let held = held.into_iter().map(|(scope, list)| (scope, list.into()));
        (principal, held.collect::<Map>().into())
    });
    grants.collect::<Map>().into()
}

fn name(condition: usize) -> Value {
    format!("c{condition}").into()
}

fn denying(deny: &Deny) -> Value {
    let set = |ids: &[Box<str>]| -> Value {
        ids.iter()
            .map(|id| ((**id).into(), true.into()))
            .collect::<Map>()
            .into()
    };
    let taken = deny
        .taken
        .iter()
        .map(|action| (action.as_str().into(), true.into()));
    object([
        ("taken", taken.collect::<Map>().into()),
        ("here_only", deny.here_only.into()),
        ("everyone", deny.everyone.into()),
        ("principals", set(&deny.principals)),
        ("excluded", set(&deny.excluded)),
    ])
}

fn conditions(world: &World) -> Result<Value, Failure> {
    let mut conditions = Map::new();
    for (number, read) in world.conditions.iter().enumerate() {
        let formula = read.as_ref().map_err(Clone::clone)?;
        let mut by_action = Map::new();
        for action in DataAction::ALL {
            let alternatives = alternatives(&formula.for_action(*action))?;
            let alternatives: Vec<Value> = alternatives.into_iter().map(Value::from).collect();
            by_action.insert(action.as_str().into(), alternatives.into());
        }
        conditions.insert(name(number), by_action.into());
    }
    Ok(conditions.into())
}

/// The disjunctive normal form of a formula.
fn alternatives(formula: &Formula) -> Result<Vec<Vec<Value>>, String> {
    Ok(match formula {
        Formula::Any(parts) => {
            let parts = parts.iter().map(alternatives);
            parts.collect::<Result<Vec<_>, _>>()?.concat()
        }
        Formula::All(parts) => {
            let mut all: Vec<Vec<Value>> = vec![Vec::new()];
            for part in parts {
                let part = alternatives(part)?;
                let with = |one: &Vec<Value>| {
                    let one = one.clone();
                    part.iter()
                        .map(move |more| [&one[..], &more[..]].concat())
                        .collect::<Vec<_>>()
                };
                all = all.iter().flat_map(with).collect();
            }
            all
        }
        Formula::Action(_) => return Err("an action that is not settled".to_owned()),
        Formula::Has(fact) => vec![vec![test("has", *fact, "", Vec::new())]],
        Formula::Lacks(fact) => vec![vec![test("lacks", *fact, "", Vec::new())]],
        Formula::Compare {
            fact,
            test: how,
            negated,
            values,
            each,
        } => {
            let kind = match (each, negated) {
                (false, false) => "some",
                (true, false) => "each",
                (false, true) => "some not",
                (true, true) => "each not",
            };
            let values = values.iter().map(|value| against(*how, value));
            let values = values.collect::<Result<_, String>>()?;
            vec![vec![test(kind, *fact, operator(*how), values)]]
        }
    })
}

fn test(kind: &str, fact: usize, operator: &str, values: Vec<Value>) -> Value {
    object([
        ("kind", kind.into()),
        ("fact", format!("f{fact}").into()),
        ("operator", operator.into()),
        ("values", values.into()),
    ])
}

const fn operator(test: Test) -> &'static str {
    match test {
        Test::Equals => "equals",
        Test::StartsWith => "starts with",
        Test::EndsWith => "ends with",
        Test::Contains => "contains",
        Test::Like => "like",
        Test::Less => "less",
        Test::LessOrEqual => "less or equal",
    }
}

/// What a fact is compared with.
fn against(test: Test, value: &condition::Value) -> Result<Value, String> {
    let (Test::Like, condition::Value::Text(pattern)) = (test, value) else {
        return Ok(literal(value));
    };
    let (before, after) = pattern.split_once('*').ok_or("a pattern without a star")?;
    if after.contains('*') {
        return Err("a pattern with several stars".to_owned());
    }
    Ok(object([
        ("before", before.into()),
        ("after", after.into()),
        (
            "length",
            (before.chars().count() + after.chars().count()).into(),
        ),
    ]))
}

fn literal(value: &condition::Value) -> Value {
    match value {
        condition::Value::Text(text) => (**text).into(),
        condition::Value::Number(number) => (*number).into(),
        condition::Value::Boolean(value) => (*value).into(),
    }
}

impl Rego {
    fn input(&self, ask: &Ask, check: &Check) -> Value {
        let mut scopes = self.scopes.clone();
        if let Some(object) = &ask.object {
            scopes.push(format!("{}/{object}", self.vault).into());
        }
        let resource = scopes.last().cloned().unwrap_or(Value::Null);
        let facts = self.facts.iter().zip(&check.facts);
        let facts =
            facts.filter_map(|(name, value)| Some((name.clone(), literal(value.as_ref()?))));
        let keys = &self.keys;
        let principals = self.principals.get(&ask.caller).cloned();
        let action = self.actions.get(&check.action).cloned();
        Map::from([
            (
                keys.principals.clone(),
                principals.unwrap_or_else(Value::new_array),
            ),
            (keys.scopes.clone(), scopes.into()),
            (keys.resource.clone(), resource),
            (keys.action.clone(), action.unwrap_or(Value::Null)),
            (keys.facts.clone(), facts.collect::<Map>().into()),
        ])
        .into()
    }
}

impl Engine for Rego {
    fn decide(&mut self, ask: &Ask) -> Result<Answer, Failure> {
        for check in &ask.checks {
            self.machine.set_input(self.input(ask, check));
            if self.machine.execute()? != Value::Bool(true) {
                return Ok(Answer::Deny);
            }
        }
        Ok(Answer::Allow)
    }
}

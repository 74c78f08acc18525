//! casbin: RBAC with roles of callers, of actions and of resources, and deny overriding allow.
//!
//! A policy line is an assignment: whose, at which path, which role, under which rule, with which
//! effect. Callers are in their groups and data actions in the roles that hold them, both by `g`, so
//! that a role is expanded when it is loaded: casbin has no subtraction, and `NotDataActions` are gone
//! by then. Azure's tree is written as one path, management groups first, and `keyMatch` compares
//! prefixes. Conditions, and whom a deny assignment spares, are rules that `eval` reads each time.
//!
//! The enforcer walks through all of its lines for each request. So the expert's model is an enforcer
//! for each caller with its own lines and those of its groups, made when it is first needed and kept,
//! as Portcullis keeps entitlements; `g` is shared. The naive one has all lines in one enforcer.
//!
//! Not expressed: numbers beyond 32 bits, which casbin's expressions do not have.

use std::collections::HashMap;
use std::sync::Arc;

use casbin::function_map::{OperatorFunction, dynamic_to_str};
use casbin::rhai::Dynamic;
use casbin::{CoreApi, DefaultModel, DefaultRoleManager, Enforcer, Model, RoleManager};
use parking_lot::RwLock;
use portcullis::keyvault::DataAction;

use super::{Engine, Source};
use crate::Failure;
use crate::condition::{Formula, Test, Value};
use crate::index::Index;
use crate::world::{Answer, Ask, Check, Deny, Reach, World};

const EVERYONE: &str = "everyone";

type Roles = Arc<RwLock<dyn RoleManager>>;

/// What a text is tested for, as casbin calls it.
type TextTest = fn(Dynamic, Dynamic) -> Dynamic;

struct Casbin {
    model: DefaultModel,
    roles: Roles,
    paths: Paths,
    /// Rules by condition.
    rules: Vec<Result<String, String>>,
    role_ids: Vec<Box<str>>,
    index: Index,
    kept: HashMap<Box<str>, Result<Enforcer, String>>,
    /// The enforcer of everybody, if that is the model.
    single: Option<Enforcer>,
}

/// An enforcer for each caller.
pub(super) fn kept(source: &Source<'_>) -> Result<Box<dyn Engine>, Failure> {
    Ok(Box::new(Casbin::load(source)?))
}

/// One enforcer for everybody.
pub(super) fn naive(source: &Source<'_>) -> Result<Box<dyn Engine>, Failure> {
    let mut casbin = Casbin::load(source)?;
    let mut lines = Vec::new();
    for row in &source.world.rows {
        let condition = row.condition.and_then(|number| casbin.rules.get(number));
        lines.push(vec![
            row.principal.to_string(),
            casbin.paths.below(&row.scope),
            source
                .world
                .roles
                .get(row.role)
                .map_or("", |role| &role.id)
                .to_owned(),
            condition.cloned().transpose()?.unwrap_or_default(),
            "allow".to_owned(),
        ]);
    }
    for (number, deny) in source.world.denies.iter().enumerate() {
        lines.extend(casbin.denying(number, deny));
    }
    casbin.single = Some(casbin.enforcer(lines)?);
    Ok(Box::new(casbin))
}

/// The model, with one token for each fact.
fn model(facts: usize) -> String {
    let facts: String = (0..facts).map(|fact| format!(", f{fact}")).collect();
    format!(
        "[request_definition]\nr = sub, obj, act{facts}\n\
         [policy_definition]\np = sub, obj, role, rule, eft\n\
         [role_definition]\ng = _, _\n\
         [policy_effect]\ne = some(where (p.eft == allow)) && !some(where (p.eft == deny))\n\
         [matchers]\nm = keyMatch(r.obj, p.obj) && g(r.act, p.role) && g(r.sub, p.sub) \
         && (p.rule == \"\" || eval(p.rule))\n"
    )
}

/// Waits for what casbin does in the background, which is nothing here: no file is read.
fn wait<T>(future: impl Future<Output = casbin::Result<T>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    Ok(runtime.block_on(future)?)
}

/// Who is in what: callers in groups and in everyone, data actions in roles.
fn roles(world: &World) -> Roles {
    let mut manager = DefaultRoleManager::new(2);
    for (caller, groups) in &world.groups {
        manager.add_link(caller, EVERYONE, None);
        for group in groups {
            manager.add_link(caller, group, None);
        }
    }
    for action in DataAction::ALL {
        for role in world
            .roles
            .iter()
            .filter(|role| role.held.contains(*action))
        {
            manager.add_link(action.as_str(), &role.id, None);
        }
        let denies = world.denies.iter().enumerate();
        for (number, _) in denies.filter(|(_, deny)| deny.taken.contains(*action)) {
            manager.add_link(action.as_str(), &taken_by(number), None);
        }
    }
    Arc::new(RwLock::new(manager))
}

fn taken_by(deny: usize) -> String {
    format!("taken by {deny}")
}

/// Places as paths.
struct Paths {
    vault: Box<str>,
    chain: Vec<Box<str>>,
    /// The management groups above the vault, as the beginning of its path.
    above: String,
}

impl Paths {
    fn new(world: &World) -> Self {
        let groups = world
            .chain
            .iter()
            .filter(|scope| scope.starts_with("/providers/"));
        let names = groups.filter_map(|scope| scope.rsplit('/').next());
        Self {
            vault: world.chain.last().cloned().unwrap_or_default(),
            chain: world.chain.clone(),
            above: names.map(|name| format!("/{name}")).collect(),
        }
    }

    /// The path of a scope, ending in a slash.
    fn of(&self, scope: &str) -> String {
        if scope == "/" {
            return "/".to_owned();
        }
        match scope.strip_prefix("/providers/microsoft.management/managementgroups/") {
            Some(name) => {
                let place = self.chain.iter().position(|one| **one == *scope);
                match place.and_then(|place| self.above.match_indices('/').nth(place)) {
                    Some((end, _)) => format!("{}/", self.above.get(..end).unwrap_or_default()),
                    None if place.is_some() => format!("{}/", self.above),
                    None => format!("/elsewhere/{name}/"),
                }
            }
            None => format!("{}{scope}/", self.above),
        }
    }

    /// What matches a scope and everything below it.
    fn below(&self, scope: &str) -> String {
        format!("{}*", self.of(scope))
    }

    /// The path of what is asked for.
    fn asked(&self, object: Option<&str>) -> String {
        match object {
            Some(object) => format!("{}{}/{object}/", self.above, self.vault),
            None => format!("{}{}/", self.above, self.vault),
        }
    }
}

impl Casbin {
    fn load(source: &Source<'_>) -> Result<Self, Failure> {
        let world = source.world;
        let conditions = world.conditions.iter();
        Ok(Self {
            model: wait(DefaultModel::from_str(&model(world.sources.len())))?,
            roles: roles(world),
            paths: Paths::new(world),
            rules: conditions
                .map(|read| read.as_ref().map_err(Clone::clone).and_then(rule))
                .collect(),
            role_ids: world.roles.iter().map(|role| role.id.clone()).collect(),
            index: Index::new(world),
            kept: HashMap::new(),
            single: None,
        })
    }

    /// An enforcer of these lines.
    fn enforcer(&self, lines: Vec<Vec<String>>) -> Result<Enforcer, Failure> {
        let mut model = self.model.clone();
        model.add_policies("p", "p", unique(lines));
        let mut enforcer = wait(Enforcer::new_raw(model, ()))?;
        // The links are shared, and made.
        enforcer.enable_auto_build_role_links(false);
        enforcer.set_role_manager(Arc::clone(&self.roles))?;
        let tests: [(&str, TextTest); 3] = [
            ("startsWith", |text, part| {
                dynamic_to_str(&text)
                    .starts_with(&*dynamic_to_str(&part))
                    .into()
            }),
            ("endsWith", |text, part| {
                dynamic_to_str(&text)
                    .ends_with(&*dynamic_to_str(&part))
                    .into()
            }),
            ("includes", |text, part| {
                dynamic_to_str(&text)
                    .contains(&*dynamic_to_str(&part))
                    .into()
            }),
        ];
        for (name, test) in tests {
            enforcer.add_function(name, OperatorFunction::Arg2(test));
        }
        Ok(enforcer)
    }

    /// The enforcer of one caller.
    fn of_caller(&self, caller: &str) -> Result<Enforcer, Failure> {
        let caller = self.index.caller(caller);
        let mut lines = Vec::new();
        for (_, holding) in &caller.holdings {
            for grant in &holding.grants {
                let role = self.role_ids.get(usize::try_from(grant.role)?);
                let condition = grant.condition.map(usize::try_from).transpose()?;
                let rule = condition.and_then(|condition| self.rules.get(condition));
                lines.push(vec![
                    holding.id.to_string(),
                    self.paths.below(&grant.scope),
                    role.map_or("", |role| role).to_owned(),
                    rule.cloned().transpose()?.unwrap_or_default(),
                    "allow".to_owned(),
                ]);
            }
        }
        for (number, deny) in self.index.denies.iter().enumerate() {
            if caller.is_hit_by(deny) {
                lines.extend(self.denying(number, deny));
            }
        }
        self.enforcer(lines)
    }

    /// The lines that a deny assignment is.
    fn denying(&self, number: usize, deny: &Deny) -> Vec<Vec<String>> {
        let path = if deny.here_only && deny.reach != Reach::Elsewhere {
            self.paths.of(&deny.scope)
        } else {
            self.paths.below(&deny.scope)
        };
        let spared = deny.excluded.iter().map(|id| format!("!g(r.sub, {id:?})"));
        let rules: Vec<String> = spared.collect();
        let hit = deny.principals.iter().map(|id| id.to_string());
        let hit = hit.chain(deny.everyone.then(|| EVERYONE.to_owned()));
        hit.map(|id| {
            let rule = rules.join(" && ");
            vec![id, path.clone(), taken_by(number), rule, "deny".to_owned()]
        })
        .collect()
    }

    fn enforce(&mut self, ask: &Ask) -> Result<Result<bool, String>, Failure> {
        let obj = self.paths.asked(ask.object.as_deref());
        if self.single.is_none() && !self.kept.contains_key(&ask.caller) {
            let made = self
                .of_caller(&ask.caller)
                .map_err(|error| error.to_string());
            self.kept.insert(ask.caller.clone(), made);
        }
        let enforcer = match (&self.single, self.kept.get(&ask.caller)) {
            (Some(single), _) => single,
            (None, Some(Ok(kept))) => kept,
            (None, Some(Err(why))) => return Ok(Err(why.clone())),
            (None, None) => return Err("no enforcer".into()),
        };
        for check in &ask.checks {
            let Some(request) = request(ask, &obj, check) else {
                return Ok(Err("a number beyond 32 bits".to_owned()));
            };
            if !enforcer.enforce(request)? {
                return Ok(Ok(false));
            }
        }
        Ok(Ok(true))
    }
}

/// Lines once each: assignments of the same role at the same place are one line here.
fn unique(mut lines: Vec<Vec<String>>) -> Vec<Vec<String>> {
    lines.sort_unstable();
    lines.dedup();
    lines
}

fn request(ask: &Ask, obj: &str, check: &Check) -> Option<Vec<Dynamic>> {
    let mut request: Vec<Dynamic> = Vec::with_capacity(3 + check.facts.len());
    request.push((*ask.caller).into());
    request.push(obj.into());
    request.push(check.action.as_str().into());
    for fact in &check.facts {
        request.push(match fact {
            None => Dynamic::UNIT,
            Some(Value::Text(text)) => (**text).into(),
            Some(Value::Number(number)) => i32::try_from(*number).ok()?.into(),
            Some(Value::Boolean(value)) => (*value).into(),
        });
    }
    Some(request)
}

impl Engine for Casbin {
    fn decide(&mut self, ask: &Ask) -> Result<Answer, Failure> {
        Ok(match self.enforce(ask)? {
            Ok(allowed) => allowed.into(),
            Err(why) => Answer::NotExpressed(why),
        })
    }
}

/// A formula as a rule.
fn rule(formula: &Formula) -> Result<String, String> {
    Ok(match formula {
        Formula::All(parts) => joined(parts, " && ", "true")?,
        Formula::Any(parts) => joined(parts, " || ", "false")?,
        Formula::Action(actions) => {
            let inside: Vec<_> = actions.iter().collect();
            let all = DataAction::ALL.iter().copied();
            let outside: Vec<_> = all.filter(|action| !actions.contains(*action)).collect();
            let (sign, some) = if inside.len() <= outside.len() {
                ("", inside)
            } else {
                ("!", outside)
            };
            let tests = some
                .iter()
                .map(|action| format!("r.act == {:?}", action.as_str()));
            format!(
                "{sign}{}",
                list(&tests.collect::<Vec<_>>(), " || ", "false")
            )
        }
        Formula::Has(fact) => format!("(r.f{fact} != ())"),
        Formula::Lacks(fact) => format!("(r.f{fact} == ())"),
        Formula::Compare {
            fact,
            test,
            negated,
            values,
            each,
        } => {
            let sign = if *negated { "!" } else { "" };
            let tests = values.iter().map(|value| {
                let test = comparison(&format!("r.f{fact}"), *test, value)?;
                Ok(format!("{sign}({test})"))
            });
            let tests = tests.collect::<Result<Vec<_>, String>>()?;
            let (separator, nothing) = if *each {
                (" && ", "true")
            } else {
                (" || ", "false")
            };
            format!("(r.f{fact} != () && {})", list(&tests, separator, nothing))
        }
    })
}

fn joined(parts: &[Formula], separator: &str, nothing: &str) -> Result<String, String> {
    let parts = parts.iter().map(rule).collect::<Result<Vec<_>, _>>()?;
    Ok(list(&parts, separator, nothing))
}

fn list(parts: &[String], separator: &str, nothing: &str) -> String {
    if parts.is_empty() {
        nothing.to_owned()
    } else {
        format!("({})", parts.join(separator))
    }
}

fn comparison(fact: &str, test: Test, value: &Value) -> Result<String, String> {
    let literal = match value {
        Value::Text(text) => format!("{text:?}"),
        Value::Number(number) => i32::try_from(*number)
            .map_err(|_| "a number beyond 32 bits")?
            .to_string(),
        Value::Boolean(value) => value.to_string(),
    };
    Ok(match (test, value) {
        (Test::Equals, _) => format!("{fact} == {literal}"),
        (Test::Less, _) => format!("{fact} < {literal}"),
        (Test::LessOrEqual, _) => format!("{fact} <= {literal}"),
        (Test::StartsWith, _) => format!("startsWith({fact}, {literal})"),
        (Test::EndsWith, _) => format!("endsWith({fact}, {literal})"),
        (Test::Contains, _) => format!("includes({fact}, {literal})"),
        (Test::Like, Value::Text(pattern)) => format!("regexMatch({fact}, {:?})", regex(pattern)),
        (Test::Like, Value::Number(_) | Value::Boolean(_)) => "false".to_owned(),
    })
}

/// A pattern with stars as a regular expression; object names and the like need no escapes.
fn regex(pattern: &str) -> String {
    let escaped: String = pattern
        .chars()
        .map(|c| match c {
            '*' => ".*".to_owned(),
            c if c.is_ascii_alphanumeric() || c == '-' => c.to_string(),
            c => format!("[{c}]"),
        })
        .collect();
    format!("^{escaped}$")
}

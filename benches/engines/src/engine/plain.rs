//! What an application would write: a hash map by principal, and a loop.
//!
//! Roles are compiled to sets of data actions and conditions to formulas when the tenant is loaded. A
//! decision looks up the caller's groups, then for each principal its role assignments, compares
//! scopes as texts, and asks conditions. It answers yes or no: it names no assignment, explains
//! nothing, knows no time windows, and takes facts as they are.

use std::collections::HashMap;

use portcullis::keyvault::{DataAction, DataActionSet};

use super::{Engine, Source};
use crate::Failure;
use crate::condition::Formula;
use crate::world::{Answer, Ask, Check, Deny, Reach};

struct Grant {
    scope: Box<str>,
    held: DataActionSet,
    condition: Option<usize>,
}

struct Plain {
    vault: Box<str>,
    /// Scopes above the vault that its text does not show: the root and management groups.
    above: Vec<Box<str>>,
    grants: HashMap<Box<str>, Vec<Grant>>,
    groups: HashMap<Box<str>, Vec<Box<str>>>,
    conditions: Vec<Result<Formula, String>>,
    denies: Vec<Deny>,
}

/// Loads the whole tenant.
pub(super) fn load(source: &Source<'_>) -> Result<Box<dyn Engine>, Failure> {
    let world = source.world;
    let mut grants: HashMap<Box<str>, Vec<Grant>> = HashMap::new();
    for row in &world.rows {
        let held = world.roles.get(row.role).map(|role| role.held);
        grants
            .entry(row.principal.clone())
            .or_default()
            .push(Grant {
                scope: row.scope.clone(),
                held: held.unwrap_or_default(),
                condition: row.condition,
            });
    }
    let vault = world.chain.last().cloned().unwrap_or_default();
    let hidden = |scope: &str| !vault.starts_with(scope) || scope == "/";
    Ok(Box::new(Plain {
        above: world
            .chain
            .iter()
            .filter(|scope| hidden(scope))
            .cloned()
            .collect(),
        vault,
        grants,
        groups: world.groups.clone(),
        conditions: world.conditions.clone(),
        denies: world
            .denies
            .iter()
            .filter(|deny| deny.reach != Reach::Elsewhere)
            .cloned()
            .collect(),
    }))
}

/// Whether `resource` is `scope` or below it.
fn contains(scope: &str, resource: &str) -> bool {
    resource
        .strip_prefix(scope)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

impl Plain {
    fn denied(&self, ask: &Ask, groups: &[Box<str>], check: &Check) -> bool {
        let is = |id: &str| *id == *ask.caller || groups.iter().any(|group| **group == *id);
        self.denies.iter().any(|deny| {
            deny.taken.contains(check.action)
                && deny.applies(ask.object.as_deref())
                && (deny.everyone || deny.principals.iter().any(|id| is(id)))
                && !deny.excluded.iter().any(|id| is(id))
        })
    }

    fn granted(&self, grants: &[Grant], resource: &str, check: &Check) -> Result<bool, String> {
        let applies = |grant: &&Grant| {
            grant.held.contains(check.action)
                && (contains(&grant.scope, resource) || self.above.contains(&grant.scope))
        };
        for grant in grants.iter().filter(applies) {
            if self.holds(grant, check.action, check)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn holds(&self, grant: &Grant, action: DataAction, check: &Check) -> Result<bool, String> {
        let Some(condition) = grant.condition else {
            return Ok(true);
        };
        match self.conditions.get(condition) {
            Some(Ok(formula)) => Ok(formula.holds(action, &check.facts)),
            Some(Err(why)) => Err(why.clone()),
            None => Ok(false),
        }
    }

    fn allows(&self, ask: &Ask) -> Result<bool, String> {
        let groups = self.groups.get(&ask.caller).map_or(&[][..], Vec::as_slice);
        let resource = match &ask.object {
            Some(object) => format!("{}/{object}", self.vault),
            None => self.vault.to_string(),
        };
        for check in &ask.checks {
            if self.denied(ask, groups, check) {
                return Ok(false);
            }
            let mut granted = false;
            for id in std::iter::once(&ask.caller).chain(groups) {
                if let Some(grants) = self.grants.get(id) {
                    granted = self.granted(grants, &resource, check)?;
                }
                if granted {
                    break;
                }
            }
            if !granted {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Engine for Plain {
    fn decide(&mut self, ask: &Ask) -> Result<Answer, Failure> {
        Ok(match self.allows(ask) {
            Ok(allowed) => allowed.into(),
            Err(why) => Answer::NotExpressed(why),
        })
    }
}

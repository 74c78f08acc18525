//! A second evaluator: slow, obviously correct, and written without the first one's parts.
//!
//! It works on texts: scopes are lists of lower-case segments, actions are compared by a recursive
//! wildcard match, and every question is answered by looking at all the data.

use std::time::SystemTime;

use portcullis::abac::{Context, Expr, Mode, Truth, evaluate, parse};
use portcullis::attributes::{Facts, RequestAttributes, suboperation};
use portcullis::keyvault::{DataAction, ObjectType, Operation};
use portcullis::principal::{ObjectId, TokenGroups};
use portcullis::rbac::{
    ConditionText, DenyAssignment, DenyEffect, MemberType, Origin, Permission, PrincipalType,
    RoleAssignment, RoleData, ScheduleInstance, VaultScope,
};

pub(crate) struct Request<'a> {
    pub(crate) object_id: ObjectId,
    pub(crate) token: &'a TokenGroups,
    pub(crate) operation: &'a Operation,
    pub(crate) facts: &'a Facts<'a>,
}

/// Whether `request` is allowed on `vault`; `None` if that depends on what was not fetched.
pub(crate) fn allows(data: &RoleData, vault: &VaultScope, request: &Request<'_>) -> Option<bool> {
    let groups: Option<Vec<ObjectId>> = match (data.groups.get(&request.object_id), request.token) {
        (Some(groups), _) => Some(groups.clone()),
        (None, TokenGroups::Present(groups)) => Some(groups.to_vec()),
        (None, TokenGroups::Absent) => None,
    };
    let mut ids = vec![request.object_id];
    ids.extend(groups.iter().flatten().copied());
    let mut resource = segments(vault.scope.as_str());
    if let Some((object_type, name)) = request.operation.object() {
        resource.push(collection(object_type).to_owned());
        resource.push(name.as_str().to_lowercase());
    }
    let world = World {
        data,
        vault,
        resource,
        ids,
        groups_known: groups.is_some(),
        claimed: match request.token {
            TokenGroups::Present(groups) => groups.to_vec(),
            TokenGroups::Absent => Vec::new(),
        },
        now: request.facts.now,
        request,
    };
    let answers = request
        .operation
        .kind()
        .row()
        .data_actions
        .iter()
        .map(|action| {
            let denied = data
                .deny_assignments
                .iter()
                .map(|d| world.denies(d, *action));
            let granted = data
                .role_assignments
                .iter()
                .map(|a| world.grants(a, *action));
            both(any(denied).map(|denied| !denied), any(granted))
        });
    answers.fold(Some(true), both)
}

/// `AND` of what may not be known.
fn both(a: Option<bool>, b: Option<bool>) -> Option<bool> {
    match (a, b) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), Some(true)) => Some(true),
        _ => None,
    }
}

/// `OR` of what may not be known.
fn any(mut all: impl Iterator<Item = Option<bool>> + Clone) -> Option<bool> {
    if all.clone().any(|one| one == Some(true)) {
        return Some(true);
    }
    all.all(|one| one == Some(false)).then_some(false)
}

struct World<'a> {
    data: &'a RoleData,
    vault: &'a VaultScope,
    resource: Vec<String>,
    ids: Vec<ObjectId>,
    groups_known: bool,
    claimed: Vec<ObjectId>,
    now: SystemTime,
    request: &'a Request<'a>,
}

impl World<'_> {
    /// What a condition comes to; undefined if it cannot be read.
    fn truth(&self, condition: &ConditionText, mode: Mode, action: DataAction) -> Outlook {
        let read = is_readable(condition).then(|| parse(&condition.text, mode));
        let Some(Ok(expr)) = read else {
            return Truth::Undefined.into();
        };
        let attributes = RequestAttributes {
            operation: self.request.operation,
            action,
            facts: self.request.facts,
            custom: self.data.custom_attributes.get(&self.request.object_id),
        };
        let context = Context {
            action: action.as_str(),
            suboperation: suboperation(self.request.operation.kind()),
            attributes: &attributes,
        };
        Outlook::of(&expr, &context)
    }

    /// Whether some entry covers the action under a condition that holds.
    fn entries(&self, permissions: &[Permission], action: DataAction) -> Outlook {
        let covering = permissions.iter().filter(|p| covers(p, action));
        let truths = covering.map(|p| match &p.condition {
            None => Truth::True.into(),
            Some(condition) => self.truth(condition, Mode::Compatible, action),
        });
        truths.fold(Truth::False.into(), Outlook::or)
    }

    fn grants(&self, assignment: &RoleAssignment, action: DataAction) -> Option<bool> {
        let mut instances: Vec<_> = self
            .data
            .schedule_instances
            .iter()
            .filter(|i| {
                let same = i.principal == assignment.principal
                    && i.role_definition == assignment.role_definition
                    && segments(i.scope.as_str()) == segments(assignment.scope.as_str());
                i.origin.unwrap_or(i.id) == assignment.id || (i.origin.is_none() && same)
            })
            .collect();
        let own = |i: &&ScheduleInstance| {
            i.member_type != MemberType::Group && i.principal == assignment.principal
        };
        if instances.iter().any(own) {
            instances.retain(own);
        }
        let in_time = instances.is_empty()
            || instances.iter().any(|i| {
                !i.ended
                    && i.window.start.is_none_or(|start| start <= self.now)
                    && i.window.end.is_none_or(|end| self.now < end)
            });
        let applies = self.ids.contains(&assignment.principal)
            && !assignment.principal_deleted
            && in_time
            && self.grantable(assignment.scope.as_str())
            && self.is_above(assignment.scope.as_str()) == Some(true);
        let role = self.data.role_definitions.get(&assignment.role_definition);
        let (true, Some(role)) = (applies, role) else {
            return Some(false);
        };
        let own = match assignment.origin {
            Origin::Azure => Mode::Compatible,
            Origin::Overlay => Mode::Strict,
        };
        let own = assignment.condition.iter().map(|c| (c, own));
        let pim = instances.iter().flat_map(|i| &i.condition);
        let pim = pim.map(|c| (c, Mode::Compatible));
        let overlaid = self.data.overlay_conditions.get(&assignment.id);
        let overlaid = overlaid.into_iter().flatten().map(|c| (c, Mode::Strict));
        let conditions = own.chain(pim).chain(overlaid);
        let truths = conditions.map(|(c, mode)| self.truth(c, mode, action));
        let outlook = truths.fold(self.entries(&role.permissions, action), Outlook::and);
        match outlook.truth {
            Truth::True => Some(true),
            Truth::Pending(_) if outlook.may_hold => None,
            Truth::False | Truth::Undefined | Truth::Pending(_) => Some(false),
        }
    }

    fn denies(&self, deny: &DenyAssignment, action: DataAction) -> Option<bool> {
        let hit = deny.principals.iter().any(|entry| {
            entry.kind == PrincipalType::Everyone
                || self.ids.contains(&entry.id)
                || self.claimed.contains(&entry.id)
                || (!self.groups_known
                    && matches!(entry.kind, PrincipalType::Group | PrincipalType::Unknown))
        });
        let spared = deny.excluded(&self.ids);
        let here = segments(deny.scope.as_str()) == self.resource;
        let applies = deny.effect == DenyEffect::Enforced
            && hit
            && !spared
            && self.is_above(deny.scope.as_str()).unwrap_or(true)
            && (here || !deny.does_not_apply_to_child_scopes)
            && deny.permissions.iter().any(|p| covers(p, action));
        if !applies {
            return Some(false);
        }
        let holding = deny
            .permissions
            .iter()
            .filter(|p| DataAction::ALL.iter().any(|action| covers(p, *action)));
        let texts = holding.flat_map(|p| &p.condition).chain(&deny.condition);
        let readable =
            |c: &ConditionText| is_readable(c) && parse(&c.text, Mode::Compatible).is_ok();
        if !texts.clone().all(readable) {
            return Some(true);
        }
        let own = deny.condition.as_ref();
        let own = own.map_or(Truth::True.into(), |c| {
            self.truth(c, Mode::Compatible, action)
        });
        let outlook = self.entries(&deny.permissions, action).and(own);
        match outlook.truth {
            Truth::False => Some(false),
            Truth::Pending(_) if outlook.may_fail => None,
            Truth::True | Truth::Undefined | Truth::Pending(_) => Some(true),
        }
    }

    /// Whether `scope` is the resource or above it; `None` if that cannot be known.
    fn is_above(&self, scope: &str) -> Option<bool> {
        let scope = segments(scope);
        if let [providers, management, groups, name] = scope.as_slice()
            && providers == "providers"
            && management == "microsoft.management"
            && groups == "managementgroups"
        {
            let known = self.vault.management_groups.as_ref()?;
            return Some(
                known
                    .iter()
                    .any(|group| group.to_string().to_lowercase() == *name),
            );
        }
        Some(self.resource.len() >= scope.len() && self.resource[..scope.len()] == scope)
    }

    /// A role assignment inside a vault is on a key, a secret or a certificate, or on nothing.
    fn grantable(&self, scope: &str) -> bool {
        let (scope, vault) = (segments(scope), segments(self.vault.scope.as_str()));
        if scope.len() <= vault.len() || scope[..vault.len()] != vault {
            return true;
        }
        let kinds = ["certificates", "keys", "secrets"];
        scope.len() == vault.len() + 2 && kinds.contains(&scope[vault.len()].as_str())
    }
}

trait Excluded {
    fn excluded(&self, ids: &[ObjectId]) -> bool;
}

impl Excluded for DenyAssignment {
    fn excluded(&self, ids: &[ObjectId]) -> bool {
        self.exclude_principals
            .iter()
            .any(|entry| ids.contains(&entry.id))
    }
}

fn is_readable(condition: &ConditionText) -> bool {
    matches!(condition.version.as_deref(), None | Some("2.0"))
}

fn covers(permission: &Permission, action: DataAction) -> bool {
    let action = action.as_str().to_lowercase();
    let any = |patterns: &[Box<str>]| {
        patterns.iter().any(|pattern| {
            let pattern: Vec<char> = pattern.trim().to_lowercase().chars().collect();
            !pattern.is_empty() && glob(&pattern, &action.chars().collect::<Vec<_>>())
        })
    };
    any(&permission.data_actions) && !any(&permission.not_data_actions)
}

fn glob(pattern: &[char], text: &[char]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some(('*', rest)) => (0..=text.len()).any(|skip| glob(rest, &text[skip..])),
        Some((c, rest)) => text.first() == Some(c) && glob(rest, &text[1..]),
    }
}

fn segments(scope: &str) -> Vec<String> {
    scope
        .split('/')
        .filter(|segment| !segment.is_empty())
        .map(str::to_lowercase)
        .collect()
}

fn collection(object_type: ObjectType) -> &'static str {
    match object_type {
        ObjectType::Certificate => "certificates",
        ObjectType::Key => "keys",
        ObjectType::Secret => "secrets",
    }
}

/// What a condition comes to, and what it may come to when all is fetched.
#[derive(Clone, Copy)]
struct Outlook {
    truth: Truth,
    may_hold: bool,
    may_fail: bool,
}

impl From<Truth> for Outlook {
    fn from(truth: Truth) -> Self {
        let pending = matches!(truth, Truth::Pending(_));
        Self {
            truth,
            may_hold: pending || truth == Truth::True,
            may_fail: pending || truth == Truth::False,
        }
    }
}

impl Outlook {
    fn of(expr: &Expr, context: &Context<'_>) -> Self {
        let of = |part: &Expr| Self::of(part, context);
        match expr {
            Expr::All(parts) => parts.iter().map(of).fold(Truth::True.into(), Self::and),
            Expr::Any(parts) => parts.iter().map(of).fold(Truth::False.into(), Self::or),
            Expr::Not(part) => of(part).negate(),
            Expr::Mixed(_)
            | Expr::Action(_)
            | Expr::SubOperation(_)
            | Expr::Exists(_)
            | Expr::Compare(_) => evaluate(expr, context).into(),
        }
    }

    fn negate(self) -> Self {
        Self {
            truth: self.truth.negate(),
            may_hold: self.may_fail,
            may_fail: self.may_hold,
        }
    }

    fn and(self, other: Self) -> Self {
        Self {
            truth: self.truth.and(other.truth),
            may_hold: self.may_hold && other.may_hold,
            may_fail: self.may_fail || other.may_fail,
        }
    }

    fn or(self, other: Self) -> Self {
        self.negate().and(other.negate()).negate()
    }
}

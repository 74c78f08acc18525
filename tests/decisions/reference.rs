//! A second evaluator: slow, obviously correct, and written without the first one's parts.
//!
//! It works on texts: scopes are lists of lower-case segments, actions are compared by a recursive
//! wildcard match, and every question is answered by looking at all the data.

use std::time::SystemTime;

use portcullis::keyvault::{ObjectType, Operation};
use portcullis::principal::{ObjectId, TokenGroups};
use portcullis::rbac::{
    DenyAssignment, DenyEffect, MemberType, Permission, PrincipalType, RoleAssignment, RoleData,
    ScheduleInstance, VaultScope,
};

pub(crate) struct Request<'a> {
    pub(crate) object_id: ObjectId,
    pub(crate) token: &'a TokenGroups,
    pub(crate) operation: &'a Operation,
    pub(crate) now: SystemTime,
}

/// Whether `request` is allowed on `vault`.
pub(crate) fn allows(data: &RoleData, vault: &VaultScope, request: &Request<'_>) -> bool {
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
        now: request.now,
    };
    request
        .operation
        .kind()
        .row()
        .data_actions
        .iter()
        .all(|action| {
            let action = action.as_str().to_lowercase();
            !data
                .deny_assignments
                .iter()
                .any(|deny| world.denies(deny, &action))
                && data
                    .role_assignments
                    .iter()
                    .any(|assignment| world.grants(assignment, &action))
        })
}

struct World<'a> {
    data: &'a RoleData,
    vault: &'a VaultScope,
    resource: Vec<String>,
    ids: Vec<ObjectId>,
    groups_known: bool,
    claimed: Vec<ObjectId>,
    now: SystemTime,
}

impl World<'_> {
    fn grants(&self, assignment: &RoleAssignment, action: &str) -> bool {
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
        self.ids.contains(&assignment.principal)
            && !assignment.principal_deleted
            && assignment.condition.is_none()
            && instances.iter().all(|i| i.condition.is_none())
            && in_time
            && self.grantable(assignment.scope.as_str())
            && self.is_above(assignment.scope.as_str()) == Some(true)
            && self
                .data
                .role_definitions
                .get(&assignment.role_definition)
                .is_some_and(|role| {
                    role.permissions
                        .iter()
                        .any(|p| p.condition.is_none() && covers(p, action))
                })
    }

    fn denies(&self, deny: &DenyAssignment, action: &str) -> bool {
        let hit = deny.principals.iter().any(|entry| {
            entry.kind == PrincipalType::Everyone
                || self.ids.contains(&entry.id)
                || self.claimed.contains(&entry.id)
                || (!self.groups_known
                    && matches!(entry.kind, PrincipalType::Group | PrincipalType::Unknown))
        });
        let spared = deny.excluded(&self.ids);
        let here = segments(deny.scope.as_str()) == self.resource;
        deny.effect == DenyEffect::Enforced
            && hit
            && !spared
            && self.is_above(deny.scope.as_str()).unwrap_or(true)
            && (here || !deny.does_not_apply_to_child_scopes)
            && deny
                .permissions
                .iter()
                .any(|permission| covers(permission, action))
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

fn covers(permission: &Permission, action: &str) -> bool {
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

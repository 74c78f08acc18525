//! Conditions in exports of role assignments, role definitions and deny assignments.
//!
//! The tools spell the same thing in three ways: ARM puts most members into `properties`, `az`
//! lifts them out, PowerShell renames some and begins all with a capital. Members are therefore
//! looked for in both places, by any of their names, without regard to case. An overlay file has
//! yet another spelling of the same.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::Condition;
use crate::assignments::builtin;
use crate::keyvault::DataActionSet;
use crate::rbac::Permission;

/// Whether `text` is JSON, judged by its beginning: no condition begins with `[`, and one that
/// begins with `{` goes on with a value.
pub(super) fn is_json(text: &str) -> bool {
    let text = text.trim_start();
    text.strip_prefix('{').map_or_else(
        || text.starts_with('['),
        |rest| rest.trim_start().starts_with(['"', '}']),
    )
}

/// The conditions in an export, or in an overlay file, whose members have the same names.
pub(super) fn conditions(export: &Value) -> Vec<Condition> {
    let mut entries = Vec::new();
    collect(export, &mut entries);
    let mut roles: HashMap<String, DataActionSet> = builtin::role_definitions()
        .into_values()
        .flat_map(|role| {
            let held = held(&role.permissions);
            // An overlay file may name a role by what people call it.
            let names = [role.id.to_string(), role.name.to_ascii_lowercase()];
            names.map(|name| (name, held))
        })
        .collect();
    roles.extend(entries.iter().filter_map(role));
    let assignments: Vec<Assignment<'_>> = entries.iter().filter_map(Assignment::of).collect();
    let mut conditions = Vec::new();
    for entry in &entries {
        let assignment = Assignment::of(entry);
        let role = assignment
            .as_ref()
            .and_then(|a| roles.get(&a.role))
            .copied();
        let own = entry.permissions();
        let held = role.or_else(|| (!own.is_empty()).then(|| held(&own)));
        let void = assignment.and_then(|a| a.made_void_by(&assignments, &roles));
        conditions.extend(entry.condition(entry.name(), held, void));
        conditions.extend(entry.conditions_of_permissions());
    }
    conditions
}

/// What `permissions` hold together.
fn held(permissions: &[Permission]) -> DataActionSet {
    permissions
        .iter()
        .map(Permission::held)
        .fold(DataActionSet::EMPTY, DataActionSet::union)
}

/// Everything in `value` that has a condition, permissions or a role.
fn collect<'j>(value: &'j Value, entries: &mut Vec<Entry<'j>>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, entries)),
        Value::Object(members) => {
            let entry = Entry(members);
            let names = [CONDITION, PERMISSIONS, DATA_ACTIONS, ROLE];
            if names.iter().any(|names| entry.get(names).is_some()) {
                entries.push(entry);
            } else {
                members.values().for_each(|value| collect(value, entries));
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// The names of a member in all spellings.
type Names = &'static [&'static str];

const CONDITION: Names = &["condition"];
const CONDITION_VERSION: Names = &["conditionVersion"];
const DATA_ACTIONS: Names = &["dataActions"];
const NOT_DATA_ACTIONS: Names = &["notDataActions"];
const PERMISSIONS: Names = &["permissions"];
const PRINCIPAL: Names = &["principalId", "objectId", "principal_id"];
const ROLE: Names = &["roleDefinitionId", "role_definition_id"];
const SCOPE: Names = &["scope"];
/// What tells an object from others, the best first.
const NAME: Names = &[
    "roleAssignmentName",
    "denyAssignmentName",
    "roleName",
    "name",
    "roleAssignmentId",
    "role_assignment_id",
    "id",
];

/// An object of an export.
#[derive(Clone, Copy)]
struct Entry<'j>(&'j Map<String, Value>);

impl<'j> Entry<'j> {
    /// The member of one of these names that is not null, here or in `properties`.
    fn get(self, names: Names) -> Option<&'j Value> {
        let find = |members: &'j Map<String, Value>, name: &str| {
            let mut members = members.iter();
            let found = members.find(|(other, _)| other.eq_ignore_ascii_case(name));
            found.map(|(_, value)| value).filter(|v| !v.is_null())
        };
        let properties = find(self.0, "properties").and_then(Value::as_object);
        names
            .iter()
            .find_map(|name| find(self.0, name).or_else(|| find(properties?, name)))
    }

    fn text(self, names: Names) -> Option<&'j str> {
        self.get(names).and_then(Value::as_str)
    }

    fn texts(self, names: Names) -> Vec<Box<str>> {
        let items = self.get(names).and_then(Value::as_array);
        let texts = items.into_iter().flatten().filter_map(Value::as_str);
        texts.map(Into::into).collect()
    }

    fn name(self) -> String {
        self.text(NAME).unwrap_or("without a name").to_owned()
    }

    /// Its condition, if it has one.
    fn condition(
        self,
        subject: String,
        held: Option<DataActionSet>,
        void: Option<String>,
    ) -> Option<Condition> {
        let text = self.text(CONDITION).filter(|text| !text.is_empty())?;
        Some(Condition {
            subject: Some(subject),
            text: text.to_owned(),
            version: self.text(CONDITION_VERSION).map(str::to_owned),
            held,
            void,
        })
    }

    /// The elements of `permissions`.
    fn permission_entries(self) -> Vec<Self> {
        let items = self.get(PERMISSIONS).and_then(Value::as_array);
        let objects = items.into_iter().flatten().filter_map(Value::as_object);
        objects.map(Entry).collect()
    }

    fn permission(self) -> Permission {
        Permission {
            data_actions: self.texts(DATA_ACTIONS),
            not_data_actions: self.texts(NOT_DATA_ACTIONS),
            ..Permission::default()
        }
    }

    /// Its permissions; PowerShell writes them into the role itself.
    fn permissions(self) -> Vec<Permission> {
        let mut entries = self.permission_entries();
        if entries.is_empty() && self.get(DATA_ACTIONS).is_some() {
            entries.push(self);
        }
        entries.into_iter().map(Entry::permission).collect()
    }

    fn conditions_of_permissions(self) -> Vec<Condition> {
        let entries = self.permission_entries().into_iter().enumerate();
        entries
            .filter_map(|(i, entry)| {
                let subject = format!("{}, permissions[{i}]", self.name());
                let held = entry.permission().held();
                entry.condition(subject, Some(held), None)
            })
            .collect()
    }
}

/// What a role definition is called by assignments, and what it holds.
fn role(entry: &Entry<'_>) -> Option<(String, DataActionSet)> {
    let permissions = entry.permissions();
    let id = entry
        .text(&["id", "name"])
        .filter(|_| !permissions.is_empty())?;
    Some((last_segment(id), held(&permissions)))
}

/// A role's GUID, whatever stands before it.
fn last_segment(id: &str) -> String {
    let id = id.trim_end_matches('/');
    id.rsplit('/').next().unwrap_or(id).to_ascii_lowercase()
}

/// A role assignment.
struct Assignment<'j> {
    entry: Entry<'j>,
    principal: &'j str,
    /// The last segment of the role definition's id, or its display name, in lower case.
    role: String,
    scope: &'j str,
}

impl<'j> Assignment<'j> {
    fn of(entry: &Entry<'j>) -> Option<Self> {
        Some(Self {
            entry: *entry,
            principal: entry.text(PRINCIPAL)?,
            role: last_segment(entry.text(ROLE)?),
            scope: entry.text(SCOPE)?,
        })
    }

    fn is_conditional(&self) -> bool {
        self.entry
            .text(CONDITION)
            .is_some_and(|condition| !condition.is_empty())
    }

    /// What makes its condition void, in words: an assignment without one to the same principal,
    /// at the same scope or above, of a role that holds something of what this role holds.
    fn made_void_by(
        &self,
        all: &[Assignment<'_>],
        roles: &HashMap<String, DataActionSet>,
    ) -> Option<String> {
        let held = |role: &str| roles.get(role).copied().unwrap_or_default();
        let shares = |other: &Assignment<'_>| {
            let only_here = held(&self.role).minus(held(&other.role));
            other.role == self.role || only_here != held(&self.role)
        };
        let other = all.iter().find(|other| {
            !other.is_conditional()
                && other.principal.eq_ignore_ascii_case(self.principal)
                && covers(other.scope, self.scope)
                && shares(other)
        })?;
        let Assignment { entry, scope, .. } = other;
        Some(format!("{} at {scope} has no condition", entry.name()))
    }
}

/// Whether `scope` is `inner` or above it.
fn covers(scope: &str, inner: &str) -> bool {
    let scope = scope.trim_end_matches('/').to_ascii_lowercase();
    let inner = inner.to_ascii_lowercase();
    inner
        .strip_prefix(&scope)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

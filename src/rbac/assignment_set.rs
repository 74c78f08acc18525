//! Role data, compiled once per load for deciding many times.

use std::fmt;
use std::sync::Arc;

use crate::attributes::CustomAttributes;
use crate::principal::{GuidMap, ObjectId};

use super::assignment::RoleData;
use super::condition::{Compiler, UnreadableCondition};
use super::denies::{Denies, Deny};
use super::grants::Grants;
use super::scope::{ManagementGroup, Scope};

/// Which load of role data a decision rests on: the SHA-256 of what was loaded.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Revision([u8; 32]);

impl Revision {
    /// Names the revision of data with this fingerprint.
    pub const fn of(fingerprint: [u8; 32]) -> Self {
        Self(fingerprint)
    }
}

impl fmt::Display for Revision {
    /// The first 12 hexadecimal digits, which is what records and metrics show.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0
            .iter()
            .take(6)
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A vault as a place in the resource tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VaultScope {
    /// Its resource id.
    pub scope: Scope,
    /// The management groups above its subscription, if they are known.
    pub management_groups: Option<Vec<ManagementGroup>>,
}

impl VaultScope {
    /// Whether `scope` is the vault or above it; `None` for a management group of which that is
    /// not known.
    pub(super) fn is_below(&self, scope: &Scope) -> Option<bool> {
        let known = self.management_groups.as_deref();
        match scope.is_among(known.unwrap_or_default()) {
            Some(is_above) => known.map(|_| is_above),
            None => Some(scope.contains(&self.scope)),
        }
    }

    /// Whether a grant at `scope` may grant something in the vault: known to be above it, the
    /// vault itself, or inside it.
    pub(super) fn is_near(&self, scope: &Scope) -> bool {
        self.is_below(scope).unwrap_or(false) || self.scope.contains(scope)
    }
}

/// What a load held, for the log and the metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Role assignments that grant without a condition.
    pub granting: usize,
    /// Those with a condition: their own, of their role, of a schedule instance or of an overlay.
    pub conditional: usize,
    /// Of those with a condition, the ones whose conditions have the same outcome for all requests
    /// with the same data action.
    pub folded: usize,
    /// Conditions, each counted wherever it stands.
    pub conditions: usize,
    /// Those that cannot be read. They never grant, and on a deny assignment they always deny.
    pub unreadable_conditions: usize,
    /// Role assignments whose role definition is not in the data.
    pub unknown_role_definition: usize,
    /// Those of deleted principals.
    pub deleted_principal: usize,
    /// PIM schedule instances whose role assignment is not in the data; they grant nothing.
    pub orphan_schedule_instances: usize,
    /// Deny assignments that block.
    pub deny_assignments: usize,
    /// Role definitions.
    pub role_definitions: usize,
    /// Principals whose groups are known.
    pub group_members: usize,
}

/// The role data of one load, compiled. Immutable; replaced whole.
#[derive(Clone, Debug)]
pub struct AssignmentSet {
    revision: Revision,
    pub(super) vaults: Vec<VaultScope>,
    /// Shared with what was gathered from it.
    pub(super) grants: Arc<Grants>,
    /// By vault.
    pub(super) denies: Vec<Denies>,
    pub(super) groups: GuidMap<ObjectId, Arc<[ObjectId]>>,
    pub(super) custom_attributes: GuidMap<ObjectId, Arc<CustomAttributes>>,
    census: Census,
    unreadable: Vec<UnreadableCondition>,
}

impl AssignmentSet {
    /// Compiles `data` for deciding on `vaults`, which are known by their index from here on.
    ///
    /// Cost: linear in the assignments, plus one expansion of patterns per role definition, and one
    /// specialisation for each kind of action that each combination of a role with conditions tells
    /// apart.
    pub fn compile(data: &RoleData, vaults: &[VaultScope], revision: Revision) -> Self {
        let mut compiler = Compiler::new(&data.role_definitions);
        let mut census = Census {
            role_definitions: data.role_definitions.len(),
            group_members: data.groups.len(),
            ..Census::default()
        };
        let grants = Grants::compile(data, vaults, &mut compiler, &mut census);
        let denies: Vec<Arc<Deny>> = data
            .deny_assignments
            .iter()
            .filter_map(|deny| Deny::compile(deny, &mut compiler))
            .map(Arc::new)
            .collect();
        census.deny_assignments = denies.len();
        census.conditions = compiler.conditions;
        census.unreadable_conditions = compiler.unreadable;
        let groups = data
            .groups
            .iter()
            .map(|(id, groups)| (*id, groups.as_slice().into()))
            .collect();
        let custom_attributes = data
            .custom_attributes
            .iter()
            .map(|(id, attributes)| (*id, Arc::new(attributes.clone())))
            .collect();
        Self {
            revision,
            vaults: vaults.to_vec(),
            grants: Arc::new(grants),
            denies: vaults
                .iter()
                .map(|vault| Denies::of(&denies, vault))
                .collect(),
            groups,
            custom_attributes,
            census,
            unreadable: compiler.told,
        }
    }

    /// Whether something that was gathered from it is still in use.
    pub fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.grants) > 1
    }

    /// Which load this is.
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// What it holds.
    pub const fn census(&self) -> Census {
        self.census
    }

    /// The first conditions that cannot be read; the census counts all of them.
    pub fn unreadable(&self) -> &[UnreadableCondition] {
        &self.unreadable
    }
}

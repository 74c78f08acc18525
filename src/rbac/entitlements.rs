//! What one caller has in one vault, gathered from an [`AssignmentSet`].

use std::collections::HashMap;
use std::sync::Arc;

use crate::attributes::CustomAttributes;
use crate::keyvault::{ObjectType, Operation};
use crate::principal::{ObjectId, TokenGroups};

use super::assignment::{DenyPrincipal, PrincipalType};
use super::assignment_set::{AssignmentSet, Revision, VaultScope};
use super::denies::Deny;
use super::grants::Grant;
use super::scope::Scope;

/// Whether a caller's groups are known.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Membership {
    /// These, and no others; transitive.
    Known(Arc<[ObjectId]>),
    /// Neither the role data nor the token says.
    Unknown,
}

/// A caller as assignments see it: its own object id and its transitive groups.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Principals {
    /// Its own object id.
    pub object_id: ObjectId,
    /// Its groups, as far as they can grant or spare.
    pub membership: Membership,
    /// The groups its token claims. They can only take away: a group that the role data does not
    /// know of yet may be one that is denied.
    pub claimed: TokenGroups,
}

impl Principals {
    fn groups(&self) -> &[ObjectId] {
        match &self.membership {
            Membership::Known(groups) => groups,
            Membership::Unknown => &[],
        }
    }

    fn includes(&self, id: ObjectId) -> bool {
        self.object_id == id || self.groups().contains(&id)
    }

    /// Whether an entry of a deny assignment's `principals` hits this caller, or may.
    fn are_hit_by(&self, entry: &DenyPrincipal) -> bool {
        let named = self.includes(entry.id)
            || matches!(&self.claimed, TokenGroups::Present(groups) if groups.contains(&entry.id));
        match entry.kind {
            PrincipalType::Everyone => true,
            PrincipalType::Single => named,
            // SECURITY: whether the caller is a member is not known, so it is taken to be one.
            PrincipalType::Group | PrincipalType::Unknown => {
                named || self.membership == Membership::Unknown
            }
        }
    }
}

/// Where a deny assignment that hits the caller applies in the vault.
#[derive(Clone, Debug)]
enum DenyReach {
    /// To the vault and every object in it.
    Everywhere,
    /// To operations on the vault itself.
    VaultOnly,
    /// To what lies at or below this scope, which is inside the vault.
    Inside { scope: Scope, here_only: bool },
}

/// What one caller has in one vault, for as long as the revision stands.
#[derive(Clone, Debug)]
pub struct Entitlements {
    pub(super) revision: Revision,
    pub(super) vault: Scope,
    /// How many groups the caller is in; `None` if that is not known.
    group_count: Option<usize>,
    /// Grants at the vault or above it.
    pub(super) at_vault: Vec<Arc<Grant>>,
    /// Grants on single objects, by type and folded name.
    pub(super) at_object: HashMap<ObjectType, HashMap<Box<str>, Vec<Arc<Grant>>>>,
    /// Grants elsewhere, which explain a denial and nothing more.
    pub(super) elsewhere: Vec<Arc<Grant>>,
    denies: Vec<(DenyReach, Arc<Deny>)>,
    /// The caller's own; `None` if nobody said any.
    pub(super) custom_attributes: Option<Arc<CustomAttributes>>,
}

impl AssignmentSet {
    /// The caller's own id and groups.
    ///
    /// Role data that knows the principal has the last word on the groups that grant, so that
    /// leaving a group takes effect with the next load and not with the next token.
    pub fn principals(&self, object_id: ObjectId, token: &TokenGroups) -> Principals {
        let membership = match (self.groups.get(&object_id), token) {
            (Some(groups), _) | (None, TokenGroups::Present(groups)) => {
                Membership::Known(groups.clone())
            }
            (None, TokenGroups::Absent) => Membership::Unknown,
        };
        Principals {
            object_id,
            membership,
            claimed: token.clone(),
        }
    }

    /// What `principals` have in the vault with index `vault`; `None` if there is no such vault.
    ///
    /// Cost: linear in the caller's own assignments and in the tenant's deny assignments.
    pub fn entitlements(&self, principals: &Principals, vault: usize) -> Option<Entitlements> {
        let vault = self.vaults.get(vault)?;
        let mut gathered = Entitlements {
            revision: self.revision(),
            vault: vault.scope.clone(),
            group_count: match &principals.membership {
                Membership::Known(groups) => Some(groups.len()),
                Membership::Unknown => None,
            },
            at_vault: Vec::new(),
            at_object: HashMap::new(),
            elsewhere: Vec::new(),
            denies: Vec::new(),
            custom_attributes: self.custom_attributes.get(&principals.object_id).cloned(),
        };
        let ids = std::iter::once(&principals.object_id).chain(principals.groups());
        for grant in ids.filter_map(|id| self.grants.get(id)).flatten() {
            gathered.place(grant, vault);
        }
        for deny in &self.denies {
            let hit = deny
                .principals
                .iter()
                .any(|entry| principals.are_hit_by(entry));
            let spared = deny
                .excluded
                .iter()
                .any(|entry| principals.includes(entry.id));
            if hit && !spared {
                gathered
                    .denies
                    .extend(deny_reach(deny, vault).map(|reach| (reach, Arc::clone(deny))));
            }
        }
        Some(gathered)
    }
}

impl Entitlements {
    /// The load this was gathered from.
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// How many groups the caller is in; `None` if that is not known.
    pub const fn group_count(&self) -> Option<usize> {
        self.group_count
    }

    /// The resource `operation` is authorized on.
    pub fn resource(&self, operation: &Operation) -> Scope {
        match operation.object() {
            None => self.vault.clone(),
            Some((object_type, name)) => self.vault.object(object_type, name),
        }
    }

    fn place(&mut self, grant: &Arc<Grant>, vault: &VaultScope) {
        // A management group of which nobody said that it is above the vault does not grant.
        if vault.is_below(&grant.scope).unwrap_or(false) {
            self.at_vault.push(grant.clone());
        } else if let Some((object_type, name)) = object_below(&vault.scope, &grant.scope) {
            let objects = self.at_object.entry(object_type).or_default();
            objects.entry(name.into()).or_default().push(grant.clone());
        } else {
            self.elsewhere.push(grant.clone());
        }
    }

    /// The grants that apply to `operation`.
    pub(super) fn applying(&self, operation: &Operation) -> impl Iterator<Item = &Arc<Grant>> {
        let at_object = operation
            .object()
            .and_then(|(object_type, name)| self.at_object.get(&object_type)?.get(name.folded()));
        self.at_vault.iter().chain(at_object.into_iter().flatten())
    }

    /// The deny assignments that apply to `operation`.
    pub(super) fn denying(&self, operation: &Operation) -> impl Iterator<Item = &Deny> {
        let resource = (!self.denies.is_empty()).then(|| self.resource(operation));
        self.denies.iter().filter_map(move |(reach, deny)| {
            let resource = resource.as_ref()?;
            let applies = match reach {
                DenyReach::Everywhere => true,
                DenyReach::VaultOnly => *resource == self.vault,
                DenyReach::Inside {
                    scope,
                    here_only: true,
                } => scope == resource,
                DenyReach::Inside {
                    scope,
                    here_only: false,
                } => scope.contains(resource),
            };
            applies.then_some(deny.as_ref())
        })
    }
}

/// The object of the vault that `scope` is, as its type and folded name.
fn object_below<'scope>(vault: &Scope, scope: &'scope Scope) -> Option<(ObjectType, &'scope str)> {
    let (collection, name) = vault.below(scope)?.split_once('/')?;
    let object_type = [ObjectType::Certificate, ObjectType::Key, ObjectType::Secret]
        .into_iter()
        .find(|object_type| object_type.collection() == collection)?;
    (!name.contains('/')).then_some((object_type, name))
}

fn deny_reach(deny: &Deny, vault: &VaultScope) -> Option<DenyReach> {
    // SECURITY: a management group that may be above the vault is taken to be.
    let above_or_here = vault.is_below(&deny.scope).unwrap_or(true);
    if above_or_here {
        return match (deny.here_only, deny.scope == vault.scope) {
            (false, _) => Some(DenyReach::Everywhere),
            (true, true) => Some(DenyReach::VaultOnly),
            (true, false) => None,
        };
    }
    vault
        .scope
        .contains(&deny.scope)
        .then(|| DenyReach::Inside {
            scope: deny.scope.clone(),
            here_only: deny.here_only,
        })
}

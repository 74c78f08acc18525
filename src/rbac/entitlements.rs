//! What one caller has in one vault, gathered from an [`AssignmentSet`].

use std::sync::{Arc, OnceLock};

use crate::attributes::CustomAttributes;
use crate::keyvault::{DataAction, DataActionSet, ObjectType, Operation};
use crate::principal::{ObjectId, TokenGroups};

use super::assignment::{DenyPrincipal, PrincipalType};
use super::assignment_set::{AssignmentSet, Revision, VaultScope};
use super::denies::{Deny, DenyReach};
use super::elsewhere::{Elsewhere, Nearest};
use super::grants::{Grant, Grants, Range, Validity};
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

    /// Every id by which a deny assignment may name this caller.
    fn denied_by(&self) -> impl Iterator<Item = ObjectId> {
        let claimed = match &self.claimed {
            TokenGroups::Absent => &[],
            TokenGroups::Present(groups) => &**groups,
        };
        let groups = self.groups().iter().chain(claimed);
        std::iter::once(self.object_id).chain(groups.copied())
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

/// A grant that applies somewhere in the vault, with what is asked first at hand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Holding {
    /// What it grants whatever the request.
    pub(super) held: DataActionSet,
    /// What it grants to some requests.
    pub(super) conditional: DataActionSet,
    /// Whether it holds at any time.
    pub(super) is_unbounded: bool,
    /// Which grant it is.
    at: usize,
}

impl Holding {
    fn of(at: usize, grant: &Grant) -> Self {
        Self {
            held: grant.terms.set(|actions| actions.held),
            conditional: grant.terms.set(|actions| actions.conditional),
            is_unbounded: grant.terms.validity == Validity::Always,
            at,
        }
    }
}

/// A grant on a single object of the vault, by the object's type and folded name.
#[derive(Clone, Debug)]
struct OnObject {
    object_type: ObjectType,
    name: Box<str>,
    holding: Holding,
}

impl OnObject {
    fn key(&self) -> (ObjectType, &str) {
        (self.object_type, &self.name)
    }
}

/// A deny assignment that hits the caller, with what is asked first at hand.
#[derive(Clone, Debug)]
struct Denied {
    /// What it takes away, be it from some requests.
    actions: DataActionSet,
    reach: DenyReach,
    deny: Arc<Deny>,
}

/// What one caller has in one vault, for as long as the revision stands.
#[derive(Clone, Debug)]
pub struct Entitlements {
    pub(super) revision: Revision,
    pub(super) vault: Scope,
    /// How many groups the caller is in; `None` if that is not known.
    group_count: Option<usize>,
    /// Grants at the vault or above it; first those that can make a difference.
    at_vault: Vec<Holding>,
    /// How many of them can.
    deciding: usize,
    /// Grants on single objects, sorted by type and name.
    at_object: Vec<OnObject>,
    /// Where all grants of the caller are, which explain a denial.
    everywhere: Vec<Range>,
    grants: Arc<Grants>,
    /// Looked for when the first denial is to be explained.
    elsewhere: OnceLock<Box<Nearest>>,
    denies: Vec<Denied>,
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
    /// Cost: a look-up for each of the caller's ids, and linear in those of its assignments and of
    /// the deny assignments naming it that apply in a vault.
    pub fn entitlements(&self, principals: &Principals, vault: usize) -> Option<Entitlements> {
        let denies = self.denies.get(vault)?;
        let vault = self.vaults.get(vault)?;
        let mut gathered = Entitlements {
            revision: self.revision(),
            vault: vault.scope.clone(),
            group_count: match &principals.membership {
                Membership::Known(groups) => Some(groups.len()),
                Membership::Unknown => None,
            },
            at_vault: Vec::new(),
            deciding: 0,
            at_object: Vec::new(),
            everywhere: Vec::new(),
            grants: Arc::clone(&self.grants),
            elsewhere: OnceLock::new(),
            denies: Vec::new(),
            custom_attributes: self.custom_attributes.get(&principals.object_id).cloned(),
        };
        let ids = std::iter::once(&principals.object_id).chain(principals.groups());
        for range in ids.filter_map(|id| self.grants.of(*id)) {
            gathered.everywhere.push(range);
            for (at, grant) in self.grants.near(range) {
                gathered.place(at, grant, vault);
            }
        }
        gathered.sort_out();
        // A stable sort: what applies to one object stays in the order it was found in.
        gathered.at_object.sort_by(|a, b| a.key().cmp(&b.key()));
        let groups_are_known = gathered.group_count.is_some();
        for (reach, deny) in denies.candidates(principals.denied_by(), groups_are_known) {
            let hit = deny
                .principals
                .iter()
                .any(|entry| principals.are_hit_by(entry));
            let spared = deny
                .excluded
                .iter()
                .any(|entry| principals.includes(entry.id));
            if hit && !spared {
                gathered.denies.push(Denied {
                    actions: deny.denied.union(deny.conditional),
                    reach: reach.clone(),
                    deny: Arc::clone(deny),
                });
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

    fn place(&mut self, at: usize, grant: &Grant, vault: &VaultScope) {
        // A management group of which nobody said that it is above the vault does not grant.
        if vault.is_below(&grant.scope).unwrap_or(false) {
            self.at_vault.push(Holding::of(at, grant));
        } else if let Some((object_type, name)) = object_below(&vault.scope, &grant.scope) {
            self.at_object.push(OnObject {
                object_type,
                name: name.into(),
                holding: Holding::of(at, grant),
            });
        }
    }

    /// Puts first the grants at the vault that can make a difference, in their order: those with an
    /// action that no grant before them gives at any time, and those with a condition on an action
    /// that none gives at any time. A caller may have hundreds, by many groups and from far above.
    fn sort_out(&mut self) {
        let unbounded = self.at_vault.iter().filter(|one| one.is_unbounded);
        let given = unbounded.fold(DataActionSet::EMPTY, |set, one| set.union(one.held));
        let mut before = DataActionSet::EMPTY;
        let (mut deciding, others): (Vec<_>, Vec<_>) = self.at_vault.iter().partition(|one| {
            let gives_more = !one.held.minus(before).is_empty();
            if one.is_unbounded {
                before = before.union(one.held);
            }
            gives_more || !one.conditional.minus(given).is_empty()
        });
        self.deciding = deciding.len();
        deciding.extend(others);
        self.at_vault = deciding;
    }

    /// The grant behind a holding.
    pub(super) fn grant(&self, holding: &Holding) -> Option<&Grant> {
        self.grants.get(holding.at)
    }

    /// The grants that apply to `operation` and can make a difference.
    pub(super) fn deciding(&self, operation: &Operation) -> impl Iterator<Item = &Holding> {
        let at_vault = self.at_vault.get(..self.deciding).unwrap_or_default();
        at_vault.iter().chain(self.at_object(operation))
    }

    /// All grants that apply to `operation`.
    pub(super) fn applying(&self, operation: &Operation) -> impl Iterator<Item = &Grant> {
        let applying = self.at_vault.iter().chain(self.at_object(operation));
        applying.filter_map(|holding| self.grant(holding))
    }

    /// Not looked for before it is asked for: what is held at the vault mostly settles it.
    fn at_object(&self, operation: &Operation) -> impl Iterator<Item = &Holding> {
        let found = std::iter::once_with(|| match operation.object() {
            Some((object_type, name)) => self.on_object(object_type, name.folded()),
            None => &[],
        });
        found.flatten().map(|one| &one.holding)
    }

    fn on_object(&self, object_type: ObjectType, name: &str) -> &[OnObject] {
        let key = (object_type, name);
        let start = self.at_object.partition_point(|one| one.key() < key);
        let rest = self.at_object.get(start..).unwrap_or_default();
        let count = rest.iter().take_while(|one| one.key() == key).count();
        rest.get(..count).unwrap_or_default()
    }

    /// What explains the denial of `action` if no grant that applies does.
    ///
    /// Cost: for the first denial, linear in the caller's assignments, of which a few dozen
    /// count of any of its ids; then none.
    pub(super) fn elsewhere(&self, action: DataAction) -> Option<&Elsewhere> {
        let nearest = self.elsewhere.get_or_init(|| Box::new(self.nearest()));
        nearest.of(action)
    }

    /// Those that apply here are looked at as well and do no harm: one that offers the action
    /// explains its denial better by applying.
    fn nearest(&self) -> Nearest {
        let mut nearest = Nearest::default();
        let on_objects = self.at_object.iter().map(|one| &one.holding);
        for grant in on_objects.filter_map(|holding| self.grant(holding)) {
            nearest.offer(grant, true);
        }
        for range in &self.everywhere {
            match self.grants.nearest(*range) {
                Some(known) => nearest.join(known),
                None => {
                    for grant in self.grants.all(*range) {
                        nearest.offer(grant, false);
                    }
                }
            }
        }
        nearest
    }

    /// The deny assignments that apply to `operation` and may take `action` away.
    pub(super) fn denying(
        &self,
        operation: &Operation,
        action: DataAction,
    ) -> impl Iterator<Item = &Deny> {
        let object = operation.object();
        let hit_by =
            move |denied: &&Denied| denied.actions.contains(action) && denied.reach.covers(object);
        let denies = self.denies.iter().filter(hit_by);
        denies.map(|denied| denied.deny.as_ref())
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

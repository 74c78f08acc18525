//! A tenant, whole.

use crate::assignments::{DenyAssignment, Maker, RoleAssignment};
use crate::conditions::Conditions;
use crate::guid::{Guid, Named};
use crate::people::People;
use crate::requests::{Asker, Request};
use crate::roles::{RoleDefinition, Roles};
use crate::tree::{Place, RESOURCE_GROUPS, Scope, Tree, VAULTS};

/// What a tenant is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// How many role assignments it has.
    pub assignments: usize,
    /// What all chance comes from.
    pub seed: u64,
}

/// The vault that requests ask.
#[derive(Clone, Debug)]
pub struct Vault {
    /// Its number in the tree.
    pub number: usize,
    /// The number of its subscription.
    pub subscription: usize,
    /// Its name.
    pub name: String,
    /// Its resource id.
    pub resource_id: String,
    /// The host it answers at.
    pub host: String,
    /// The names of the management groups above it, the nearest first.
    pub management_groups: Vec<String>,
    /// Its tag `environment`.
    pub environment: String,
}

/// Everything there is to know for deciding.
#[derive(Clone, Debug)]
pub struct Tenant {
    /// What it was made from.
    pub shape: Shape,
    /// Its id.
    pub id: Guid,
    /// The vault that requests ask.
    pub vault: Vault,
    /// Where things are.
    pub tree: Tree,
    /// Who there is.
    pub people: People,
    /// What roles hold.
    pub roles: Roles,
    /// What role assignments ask besides.
    pub conditions: Conditions,
    /// Who holds what where.
    pub role_assignments: Vec<RoleAssignment>,
    /// What is taken from whom.
    pub deny_assignments: Vec<DenyAssignment>,
}

impl Tenant {
    /// Makes the tenant of this shape: always the same one.
    pub fn generate(shape: Shape) -> Self {
        let Shape { assignments, seed } = shape;
        let tree = Tree::new(seed, assignments);
        let people = People::new(seed, assignments, tree.subscriptions);
        let roles = Roles::new(seed, assignments);
        let conditions = Conditions::new(seed, assignments);
        let vault = vault(&tree, 0);
        let maker = Maker {
            seed,
            tree: &tree,
            people: &people,
            roles: &roles,
            conditions: &conditions,
            vault: vault.number,
        };
        let role_assignments = maker.role_assignments(assignments);
        let deny_assignments = maker.deny_assignments(assignments);
        Self {
            shape,
            id: Guid::of(seed, Named::Tenant, 0),
            vault,
            tree,
            people,
            roles,
            conditions,
            role_assignments,
            deny_assignments,
        }
    }

    /// Requests for the vault: always the same ones for the same seed, the first ones of a longer
    /// list as well.
    pub fn requests(&self, count: usize, seed: u64) -> Vec<Request> {
        let mut asker = Asker::new(self, seed);
        std::iter::repeat_with(|| asker.ask()).take(count).collect()
    }

    /// The role of an assignment.
    pub fn role(&self, assignment: &RoleAssignment) -> Option<&RoleDefinition> {
        self.roles.definitions.get(assignment.role)
    }

    /// The resource id of a place.
    pub fn scope(&self, place: Place) -> Scope<'_> {
        self.tree.scope(place)
    }
}

fn vault(tree: &Tree, number: usize) -> Vault {
    let subscription = number / VAULTS / RESOURCE_GROUPS;
    let name = tree.vault_name(number);
    let above = tree.management_groups_above(subscription);
    Vault {
        number,
        subscription,
        resource_id: tree.scope(Place::Vault(number)).to_string(),
        host: format!("{name}.vault.azure.net"),
        management_groups: above
            .into_iter()
            .map(|one| tree.management_group(one))
            .collect(),
        environment: "prod".to_owned(),
        name,
    }
}

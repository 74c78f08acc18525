//! Where things are: management groups, subscriptions, resource groups, vaults and their objects.
//!
//! All of it is arithmetic on numbers, so that a million places need no memory.

use std::fmt;

use crate::guid::{Guid, Named};

/// How many resource groups a subscription has.
pub(crate) const RESOURCE_GROUPS: usize = 8;
/// How many vaults a resource group has.
pub(crate) const VAULTS: usize = 3;

const TEAMS: [&str; 16] = [
    "payments", "orders", "ledger", "billing", "catalog", "search", "identity", "fraud",
    "shipping", "returns", "loyalty", "pricing", "reports", "mobile", "partners", "archive",
];
const APPS: [&str; 8] = [
    "checkout",
    "refunds",
    "settlement",
    "gateway",
    "console",
    "worker",
    "importer",
    "mailer",
];
const PURPOSES: [&str; 6] = ["db", "api", "queue", "storage", "smtp", "cache"];

/// The kinds of object in a vault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ObjectType {
    /// A certificate.
    Certificate,
    /// A key.
    Key,
    /// A secret.
    Secret,
}

impl ObjectType {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Certificate, Self::Key, Self::Secret];

    /// The segment of paths and resource ids.
    pub const fn collection(self) -> &'static str {
        match self {
            Self::Certificate => "certificates",
            Self::Key => "keys",
            Self::Secret => "secrets",
        }
    }

    /// How many of them each vault has.
    pub const fn count(self) -> usize {
        match self {
            Self::Certificate => APPS.len(),
            Self::Key => 2 * APPS.len(),
            Self::Secret => APPS.len() * PURPOSES.len(),
        }
    }

    /// The name of the object with this number, the same in every vault.
    pub fn name(self, number: usize) -> String {
        let app = word(&APPS, number);
        let rest = number / APPS.len();
        match self {
            Self::Certificate => format!("{app}-tls"),
            Self::Key if rest.is_multiple_of(2) => format!("{app}-signing"),
            Self::Key => format!("{app}-wrapping"),
            Self::Secret => {
                let stage = if number % 5 < 3 { "prod" } else { "test" };
                format!("{app}-{}-{stage}", word(&PURPOSES, rest))
            }
        }
    }
}

/// The first segment of the names of objects.
pub(crate) fn app(number: usize) -> &'static str {
    word(&APPS, number)
}

fn word(words: &[&'static str], number: usize) -> &'static str {
    let found = words.get(number.checked_rem(words.len()).unwrap_or(0));
    found.copied().unwrap_or("thing")
}

/// A place in the tenant. Resource groups and vaults are counted through all subscriptions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Place {
    /// A management group.
    ManagementGroup(usize),
    /// A subscription.
    Subscription(usize),
    /// A resource group.
    ResourceGroup(usize),
    /// A vault.
    Vault(usize),
    /// An object in a vault.
    Object(usize, ObjectType, usize),
}

/// The tenant's tree.
#[derive(Clone, Debug)]
pub struct Tree {
    seed: u64,
    /// How many management groups there are; 0 is the root.
    pub management_groups: usize,
    /// How many subscriptions there are.
    pub subscriptions: usize,
}

impl Tree {
    pub(crate) fn new(seed: u64, assignments: usize) -> Self {
        let subscriptions = (assignments / 2500).max(2);
        Self {
            seed,
            management_groups: subscriptions / 4 + 5,
            subscriptions,
        }
    }

    /// The id of a subscription.
    pub fn subscription(&self, number: usize) -> Guid {
        Guid::of(self.seed, Named::Subscription, number)
    }

    /// The name of a management group.
    pub fn management_group(&self, number: usize) -> String {
        match number {
            0 => "contoso".to_owned(),
            _ => format!("contoso-{}-{number}", word(&TEAMS, number)),
        }
    }

    /// The management groups above a subscription, by number, the nearest first.
    pub fn management_groups_above(&self, subscription: usize) -> Vec<usize> {
        let mut group = self.management_groups - 1 - subscription % (self.management_groups / 2);
        let mut above = vec![group];
        while let Some(child) = group.checked_sub(1) {
            group = child / 3;
            above.push(group);
        }
        above
    }

    /// The name of a vault, unique in the tenant.
    pub fn vault_name(&self, vault: usize) -> String {
        format!(
            "kv-{}-{}-{vault}",
            team_of(vault / VAULTS),
            stage_of(vault / VAULTS)
        )
    }

    /// Whether something assigned at `place` applies to the vault or to something in it.
    pub fn reaches(&self, place: Place, vault: usize) -> bool {
        let group = vault / VAULTS;
        let subscription = group / RESOURCE_GROUPS;
        match place {
            Place::ManagementGroup(number) => {
                self.management_groups_above(subscription).contains(&number)
            }
            Place::Subscription(number) => number == subscription,
            Place::ResourceGroup(number) => number == group,
            Place::Vault(number) | Place::Object(number, ..) => number == vault,
        }
    }

    /// The resource id of a place, as Azure writes it.
    pub fn scope(&self, place: Place) -> Scope<'_> {
        Scope { tree: self, place }
    }
}

fn team_of(resource_group: usize) -> &'static str {
    word(&TEAMS, resource_group)
}

const fn stage_of(resource_group: usize) -> &'static str {
    if resource_group % 3 == 2 {
        "test"
    } else {
        "prod"
    }
}

/// A resource id, to be written.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    tree: &'a Tree,
    place: Place,
}

impl fmt::Display for Scope<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tree = self.tree;
        match self.place {
            Place::ManagementGroup(number) => write!(
                f,
                "/providers/Microsoft.Management/managementGroups/{}",
                tree.management_group(number)
            ),
            Place::Subscription(number) => {
                write!(f, "/subscriptions/{}", tree.subscription(number))
            }
            Place::ResourceGroup(number) => write!(
                f,
                "{}/resourceGroups/rg-{}-{}-{number}",
                tree.scope(Place::Subscription(number / RESOURCE_GROUPS)),
                team_of(number),
                stage_of(number)
            ),
            Place::Vault(number) => write!(
                f,
                "{}/providers/Microsoft.KeyVault/vaults/{}",
                tree.scope(Place::ResourceGroup(number / VAULTS)),
                tree.vault_name(number)
            ),
            Place::Object(vault, object, number) => write!(
                f,
                "{}/{}/{}",
                tree.scope(Place::Vault(vault)),
                object.collection(),
                object.name(number)
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_written_as_azure_writes_it() {
        let tree = Tree::new(1, 100);
        let secret = Place::Object(0, ObjectType::Secret, 9);
        let subscription = tree.subscription(0);
        assert_eq!(
            tree.scope(secret).to_string(),
            format!(
                "/subscriptions/{subscription}/resourceGroups/rg-payments-prod-0/providers/\
                 Microsoft.KeyVault/vaults/kv-payments-prod-0/secrets/refunds-api-test"
            )
        );
        assert!(tree.reaches(secret, 0) && !tree.reaches(secret, 1));
        assert!(tree.reaches(Place::ManagementGroup(0), 0));
    }

    #[test]
    fn no_subscription_is_deeper_than_azure_allows_and_no_vault_name_is_too_long() {
        let tree = Tree::new(1, 1_000_000);
        for subscription in 0..tree.subscriptions {
            assert!((2..=7).contains(&tree.management_groups_above(subscription).len()));
        }
        for vault in 0..tree.subscriptions * RESOURCE_GROUPS * VAULTS {
            assert!(tree.vault_name(vault).len() <= 24);
        }
    }

    #[test]
    fn objects_have_names_of_their_own() {
        for object in ObjectType::ALL {
            let names = (0..object.count()).map(|number| object.name(number));
            let names: std::collections::HashSet<String> = names.collect();
            assert_eq!(names.len(), object.count());
        }
    }
}

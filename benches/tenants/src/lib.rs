//! Azure tenants of any size, made up from a seed, to measure with.
//!
//! The same [`Shape`] gives the same [`Tenant`], byte for byte, on every machine. Of a tenant with
//! n role assignments:
//!
//! | what | how many |
//! |---|---|
//! | subscriptions | n / 2,500, at least 2; so none has more assignments than the 4,000 that Azure allows |
//! | management groups | a quarter of that and 5, a tree in which every one has three below it |
//! | resource groups, vaults | 8 in each subscription, 3 in each resource group |
//! | objects | 48 secrets, 16 keys and 8 certificates in each vault |
//! | users and service principals | n / 8 and 40; 60 % are service principals |
//! | groups | n / 25 and 24; 45 % of them are in one or two others |
//! | groups of a caller, transitive | 15 % none, 55 % 1 to 6, 25 % 7 to 13, 5 % 14 to 20 |
//! | custom roles | n / 5,000, at least 6 and at most 60: wildcards, `NotDataActions`, two entries |
//! | deny assignments | n / 5,000, at least 4 and at most 200 |
//! | texts of conditions | n / 100, at least 8 and at most 400; 10 % of them ask for tags |
//!
//! Of the role assignments:
//!
//! * 10 %, exactly, have a condition. Texts that come first in the list stand on more of them than
//!   those that come last. Most test a name behind a guard; others the time, the private link, the
//!   kind of the caller or a tag of the vault.
//! * 30 % are held by groups. 85 % of the holders are at home in the subscription of the assignment.
//! * 90 % are of built-in roles, *Key Vault Secrets User* above all; 9 % of roles without any data
//!   action.
//! * 2 % are made at management groups, 6 % at subscriptions, 22 % at resource groups, 45 % at
//!   vaults and 25 % on single objects, except that no assignment on a single object has a
//!   condition.
//! * Requests ask one vault. It has 3 √n assignments of its own (at least 20 and at most 1,200),
//!   60 % of them on its objects: a vault does not grow with its tenant. All others count among
//!   those that do not matter for a request, save the ones above the vault.
//!
//! 80 % of the [`Request`]s are made by somebody who holds a role for them and meets its condition;
//! the others by somebody at home in the vault's subscription who holds none for them. Deny
//! assignments take some away, so a little less than 80 % come to be allowed; what is made knows no
//! more than that, and the answers of two engines can be compared one by one. Nothing that applies
//! to the vault asks for the tags of an object, so that each request can be decided from what it
//! says itself, at [`NOW`].
//!
//! Some conditions (key names, kinds of callers, tags) are ones that Azure does not store on Key
//! Vault, and that Portcullis takes from overlay files. Here they stand in the export like the others:
//! what is measured is the same. There are no PIM schedule instances.

mod assignments;
mod conditions;
mod dice;
mod export;
mod guid;
mod people;
mod requests;
mod roles;
mod tenant;
mod tree;

pub use assignments::{DenyAssignment, DenyPrincipal, RoleAssignment};
pub use conditions::{Asked, Condition, Conditions, Guard, NOW, Test};
pub use dice::Dice;
pub use export::SPLIT_BYTES;
pub use guid::Guid;
pub use people::{Group, Holder, MAX_GROUPS, People, Principal, PrincipalKind};
pub use requests::Request;
pub use roles::{PREFIX, Permission, RoleDefinition, Roles};
pub use tenant::{Shape, Tenant, Vault};
pub use tree::{ObjectType, Place, Scope, Tree};

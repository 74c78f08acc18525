//! Role assignments and deny assignments.

use std::sync::Arc;

use crate::conditions::{Condition, Conditions};
use crate::dice::Dice;
use crate::guid::{Guid, Named};
use crate::people::{Holder, People};
use crate::roles::{Permission, Roles};
use crate::tree::{ObjectType, Place, RESOURCE_GROUPS, Tree, VAULTS};

/// A role assignment.
#[derive(Clone, Debug)]
pub struct RoleAssignment {
    /// Its name.
    pub id: Guid,
    /// Where it applies, with everything below.
    pub place: Place,
    /// Who holds the role.
    pub holder: Holder,
    /// The number of the role.
    pub role: usize,
    /// What must hold besides.
    pub condition: Option<Arc<Condition>>,
}

/// Whom a deny assignment hits or spares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DenyPrincipal {
    /// Everyone.
    Everyone,
    /// One principal, or the members of one group.
    One(Holder),
}

/// A deny assignment. It has no condition.
#[derive(Clone, Debug)]
pub struct DenyAssignment {
    /// Its name.
    pub id: Guid,
    /// Its display name.
    pub name: String,
    /// Where it applies.
    pub place: Place,
    /// Whether it applies there only, and not below.
    pub here_only: bool,
    /// Whom it hits.
    pub principals: Vec<DenyPrincipal>,
    /// Whom it spares.
    pub excluded: Vec<DenyPrincipal>,
    /// What it takes away.
    pub permission: Permission,
}

/// What assignments are made from.
pub(crate) struct Maker<'a> {
    pub(crate) seed: u64,
    pub(crate) tree: &'a Tree,
    pub(crate) people: &'a People,
    pub(crate) roles: &'a Roles,
    pub(crate) conditions: &'a Conditions,
    /// The vault that the requests ask.
    pub(crate) vault: usize,
}

impl Maker<'_> {
    /// Those at the asked vault and on its objects first, then those of the whole tenant.
    pub(crate) fn role_assignments(&self, count: usize) -> Vec<RoleAssignment> {
        let mut dice = Dice::new(self.seed, 3);
        let asked = (3 * count.isqrt()).clamp(20, 1200).min(count / 3);
        let made = (0..count).map(|number| {
            let (place, holder) = if number < asked {
                self.asked(&mut dice)
            } else {
                self.anywhere(&mut dice)
            };
            // One in ten exactly, whatever the dice say.
            let condition = (number % 10 == 7).then(|| self.condition(&mut dice, place));
            self.role_assignment(&mut dice, number, (place, holder), condition.flatten())
        });
        made.collect()
    }

    fn role_assignment(
        &self,
        dice: &mut Dice,
        number: usize,
        (place, holder): (Place, Holder),
        condition: Option<Arc<Condition>>,
    ) -> RoleAssignment {
        let role = match &condition {
            Some(condition) => self.roles.draw_holding(dice, condition.guard.action),
            None => self.roles.draw(dice),
        };
        // A condition on one object's own assignment would be an odd one.
        let place = match (place, &condition) {
            (Place::Object(vault, ..), Some(_)) => Place::Vault(vault),
            (place, _) => place,
        };
        RoleAssignment {
            id: Guid::of(self.seed, Named::RoleAssignment, number),
            place,
            holder,
            role,
            condition,
        }
    }

    /// Where requests are asked no condition depends on tags.
    fn condition(&self, dice: &mut Dice, place: Place) -> Option<Arc<Condition>> {
        let tagged = !self.tree.reaches(place, self.vault);
        self.conditions.draw(dice, tagged)
    }

    fn asked(&self, dice: &mut Dice) -> (Place, Holder) {
        let place = if dice.percent(60) {
            object_in(dice, self.vault)
        } else {
            Place::Vault(self.vault)
        };
        let subscription = self.vault / VAULTS / RESOURCE_GROUPS;
        (place, self.people.holder(dice, subscription))
    }

    fn anywhere(&self, dice: &mut Dice) -> (Place, Holder) {
        let subscription = dice.below(self.tree.subscriptions);
        let group = subscription * RESOURCE_GROUPS + dice.below(RESOURCE_GROUPS);
        let vault = group * VAULTS + dice.below(VAULTS);
        let place = match dice.share(&[(2, 0), (6, 1), (22, 2), (45, 3)], 4) {
            0 => Place::ManagementGroup(dice.below(self.tree.management_groups)),
            1 => Place::Subscription(subscription),
            2 => Place::ResourceGroup(group),
            3 => Place::Vault(vault),
            _ => object_in(dice, vault),
        };
        (place, self.people.holder(dice, subscription))
    }

    /// Of four kinds in turn; the first four are around the asked vault, the others anywhere.
    pub(crate) fn deny_assignments(&self, count: usize) -> Vec<DenyAssignment> {
        let mut dice = Dice::new(self.seed, 4);
        let made = (0..(count / 5000).clamp(4, 200)).map(|number| {
            let group = if number < 4 {
                self.vault / VAULTS
            } else {
                dice.below(self.tree.subscriptions * RESOURCE_GROUPS)
            };
            self.deny_assignment(&mut dice, number, group)
        });
        made.collect()
    }

    fn deny_assignment(&self, dice: &mut Dice, number: usize, group: usize) -> DenyAssignment {
        let subscription = group / RESOURCE_GROUPS;
        let somebody = DenyPrincipal::One(self.people.holder(dice, subscription));
        let members = DenyPrincipal::One(self.people.group_at(dice, subscription));
        let vault = group * VAULTS;
        let (name, place, principal, data_actions): (_, _, _, &[&str]) = match number % 4 {
            // What deployment stacks make: nobody but the stack's owners may destroy.
            0 => (
                "Nobody purges",
                Place::ResourceGroup(group),
                DenyPrincipal::Everyone,
                &["*/purge/action", "*/delete"],
            ),
            1 => (
                "A signing key is frozen",
                Place::Object(vault, ObjectType::Key, number % 8),
                DenyPrincipal::Everyone,
                &["keys/sign/action", "keys/update/action"],
            ),
            2 => (
                "Settings of the vault",
                Place::Vault(vault),
                DenyPrincipal::Everyone,
                &["certificatecontacts/write", "certificatecas/*"],
            ),
            _ => (
                "Secrets are read-only for one group",
                Place::ResourceGroup(group),
                members,
                &["secrets/*"],
            ),
        };
        let spared: &[&str] = match number % 4 {
            3 => &["secrets/getSecret/action", "secrets/readMetadata/action"],
            _ => &[],
        };
        DenyAssignment {
            id: Guid::of(self.seed, Named::DenyAssignment, number),
            name: format!("{name} {number}"),
            place,
            here_only: number % 4 == 2,
            principals: vec![principal],
            excluded: vec![somebody],
            permission: Permission::new(data_actions, spared),
        }
    }
}

fn object_in(dice: &mut Dice, vault: usize) -> Place {
    let shares = [(70, ObjectType::Secret), (20, ObjectType::Key)];
    let object = dice.share(&shares, ObjectType::Certificate);
    Place::Object(vault, object, dice.below(object.count()))
}

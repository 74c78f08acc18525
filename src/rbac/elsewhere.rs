//! What explains a denial when nothing that applies does: the grants that offer the action elsewhere.

use crate::keyvault::{DataAction, DataActionSet};

use super::assignment::AssignmentId;
use super::grants::Grant;

/// Of some grants that offer some actions, the one that explains their denial: one on an object of
/// the vault rather than one elsewhere, then the lowest id.
#[derive(Clone, Debug)]
pub(super) struct Elsewhere {
    actions: DataActionSet,
    pub(super) in_vault: bool,
    pub(super) grant: Grant,
}

impl Elsewhere {
    fn key(&self) -> (bool, AssignmentId) {
        (!self.in_vault, self.grant.assignment)
    }
}

/// For each action one grant at most: that which explains its denial.
#[derive(Clone, Debug, Default)]
pub(super) struct Nearest(Vec<Elsewhere>);

impl Nearest {
    /// The one for `action`.
    pub(super) fn of(&self, action: DataAction) -> Option<&Elsewhere> {
        self.0.iter().find(|one| one.actions.contains(action))
    }

    /// Looks at a further grant.
    pub(super) fn offer(&mut self, grant: &Grant, in_vault: bool) {
        let offered = grant.terms.set(|actions| actions.role.offered);
        self.offer_some(offered, grant, in_vault);
    }

    /// Looks at what was found among further grants, none of which is in the vault.
    pub(super) fn join(&mut self, other: &Self) {
        for Elsewhere { actions, grant, .. } in &other.0 {
            self.offer_some(*actions, grant, false);
        }
    }

    fn offer_some(&mut self, offered: DataActionSet, grant: &Grant, in_vault: bool) {
        let key = (!in_vault, grant.assignment);
        let mut won = offered;
        for known in &mut self.0 {
            // No action is in two of them, so the order in which they are asked makes no difference.
            if known.key() <= key {
                won = won.minus(known.actions);
            } else {
                known.actions = known.actions.minus(won);
            }
        }
        if !won.is_empty() {
            self.0.retain(|known| !known.actions.is_empty());
            self.0.push(Elsewhere {
                actions: won,
                in_vault,
                grant: grant.clone(),
            });
        }
    }
}

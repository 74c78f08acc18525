//! What roles hold: those of Azure and those that a tenant makes for itself.
//!
//! Source of the built-in ones:
//! <https://learn.microsoft.com/azure/role-based-access-control/built-in-roles>.

use crate::dice::Dice;
use crate::guid::{Guid, Named};

/// What every data action of Key Vault begins with.
pub const PREFIX: &str = "Microsoft.KeyVault/vaults/";

/// One entry of a role's permissions. Patterns are whole: `Microsoft.KeyVault/vaults/…`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permission {
    /// What it gives.
    pub data_actions: Vec<String>,
    /// What is subtracted from that.
    pub not_data_actions: Vec<String>,
}

impl Permission {
    pub(crate) fn new(data_actions: &[&str], not_data_actions: &[&str]) -> Self {
        let whole = |patterns: &[&str]| {
            patterns
                .iter()
                .map(|one| format!("{PREFIX}{one}"))
                .collect()
        };
        Self {
            data_actions: whole(data_actions),
            not_data_actions: whole(not_data_actions),
        }
    }

    /// Whether it holds a data action.
    pub fn holds(&self, action: &str) -> bool {
        let any = |patterns: &[String]| patterns.iter().any(|one| matches(one, action));
        any(&self.data_actions) && !any(&self.not_data_actions)
    }
}

/// A role definition.
#[derive(Clone, Debug)]
pub struct RoleDefinition {
    /// Its id.
    pub id: Guid,
    /// Its display name.
    pub name: String,
    /// Whether Azure brings it.
    pub built_in: bool,
    /// What it holds.
    pub permissions: Vec<Permission>,
}

impl RoleDefinition {
    /// Whether it holds a data action.
    pub fn holds(&self, action: &str) -> bool {
        self.permissions.iter().any(|one| one.holds(action))
    }
}

/// Whether a pattern, in which `*` stands for anything, matches an action; case does not matter.
fn matches(pattern: &str, action: &str) -> bool {
    let (pattern, action) = (pattern.to_ascii_lowercase(), action.to_ascii_lowercase());
    let mut parts = pattern.split('*');
    let Some(mut rest) = parts.next().and_then(|first| action.strip_prefix(first)) else {
        return false;
    };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else {
        return rest.is_empty();
    };
    for part in middle {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

/// Id, name, how often in 100 it is given, data actions.
type BuiltIn = (u128, &'static str, usize, &'static [&'static str]);

const BUILT_IN: [BuiltIn; 14] = [
    (
        0x4633458b_17de_408a_b874_0445c86b69e6,
        "Key Vault Secrets User",
        34,
        &["secrets/getSecret/action", "secrets/readMetadata/action"],
    ),
    (
        0xb86a8fe4_44ce_4948_aee5_eccb2c155cd7,
        "Key Vault Secrets Officer",
        8,
        &["secrets/*"],
    ),
    (
        0x21090545_7ca7_4776_b22c_e363652d74d2,
        "Key Vault Reader",
        8,
        &["*/read", "secrets/readMetadata/action"],
    ),
    (
        0x12338af0_0e69_4776_bea7_57ae8d297424,
        "Key Vault Crypto User",
        10,
        &[
            "keys/read",
            "keys/update/action",
            "keys/backup/action",
            "keys/encrypt/action",
            "keys/decrypt/action",
            "keys/wrap/action",
            "keys/unwrap/action",
            "keys/sign/action",
            "keys/verify/action",
        ],
    ),
    (
        0xe147488a_f6f5_4113_8e2d_b22465e65bf6,
        "Key Vault Crypto Service Encryption User",
        6,
        &["keys/read", "keys/wrap/action", "keys/unwrap/action"],
    ),
    (
        0x14b46e9e_c2b7_41b4_b07b_48a6ebf60603,
        "Key Vault Crypto Officer",
        3,
        &["keys/*", "keyrotationpolicies/*"],
    ),
    (
        0x08bbd89e_9f13_488c_ac41_acfcb10c90ab,
        "Key Vault Crypto Service Release User",
        1,
        &["keys/release/action"],
    ),
    (
        0xdb79e9a7_68ee_4b58_9aeb_b90e7c24fcba,
        "Key Vault Certificate User",
        5,
        &[
            "certificates/read",
            "secrets/getSecret/action",
            "secrets/readMetadata/action",
            "keys/read",
        ],
    ),
    (
        0xa4417e6f_fecd_4de8_b567_7b0420556985,
        "Key Vault Certificates Officer",
        3,
        &[
            "certificatecas/*",
            "certificates/*",
            "certificatecontacts/write",
        ],
    ),
    (
        0x00482a5a_887f_4fb3_b363_3b7fe8e74483,
        "Key Vault Administrator",
        3,
        &["*"],
    ),
    (
        0xf25e0fa2_a7c8_4377_a976_54943a77a395,
        "Key Vault Contributor",
        2,
        &[],
    ),
    (
        0xb24988ac_6180_42a0_ab88_20f7382dd24c,
        "Contributor",
        3,
        &[],
    ),
    (0xacdd72a7_3385_48ef_bd42_f606fba81ae7, "Reader", 3, &[]),
    (0x8e3af657_a8ff_443c_a75c_2fe8c4bcb635, "Owner", 1, &[]),
];

/// The built-in roles and, after them, the custom ones.
#[derive(Clone, Debug)]
pub struct Roles {
    /// By number.
    pub definitions: Vec<RoleDefinition>,
}

impl Roles {
    pub(crate) fn new(seed: u64, assignments: usize) -> Self {
        let built_in = BUILT_IN
            .iter()
            .map(|&(id, name, _, actions)| RoleDefinition {
                id: Guid(id),
                name: name.to_owned(),
                built_in: true,
                permissions: vec![Permission::new(actions, &[])],
            });
        let custom = (0..(assignments / 5000).clamp(6, 60)).map(|number| custom(seed, number));
        Self {
            definitions: built_in.chain(custom).collect(),
        }
    }

    /// A role as often as it is given; 10 in 100 are custom ones.
    pub(crate) fn draw(&self, dice: &mut Dice) -> usize {
        let mut drawn = dice.below(100);
        for (number, &(_, _, percent, _)) in BUILT_IN.iter().enumerate() {
            match drawn.checked_sub(percent) {
                Some(left) => drawn = left,
                None => return number,
            }
        }
        BUILT_IN.len() + dice.below(self.definitions.len() - BUILT_IN.len())
    }

    /// A role that holds a data action, as often as it is given.
    pub(crate) fn draw_holding(&self, dice: &mut Dice, action: &str) -> usize {
        let holds = |number: &usize| {
            self.definitions
                .get(*number)
                .is_some_and(|one| one.holds(action))
        };
        let drawn = std::iter::repeat_with(|| self.draw(dice))
            .take(1000)
            .find(holds);
        drawn
            .or_else(|| (0..self.definitions.len()).find(holds))
            .unwrap_or(0)
    }
}

/// Six kinds of role that people make: wildcards, `notDataActions`, several entries.
fn custom(seed: u64, number: usize) -> RoleDefinition {
    let (name, permissions) = match number % 6 {
        0 => (
            "Secrets Operator",
            vec![Permission::new(
                &["secrets/*"],
                &["secrets/purge/action", "secrets/backup/action"],
            )],
        ),
        1 => (
            "Vault Auditor",
            vec![Permission::new(
                &["*/read", "secrets/readMetadata/action"],
                &["certificatecas/read"],
            )],
        ),
        2 => (
            "Signer",
            vec![Permission::new(
                &["keys/read", "keys/sign/action", "keys/verify/action"],
                &[],
            )],
        ),
        3 => (
            "Everything but Destruction",
            vec![Permission::new(
                &["*"],
                &["*/purge/action", "*/delete", "*/backup/action"],
            )],
        ),
        4 => (
            "Rotation Robot",
            vec![Permission::new(
                &[
                    "keys/rotate/action",
                    "keyrotationpolicies/*",
                    "secrets/setSecret/action",
                ],
                &[],
            )],
        ),
        _ => (
            "Web Team",
            vec![
                Permission::new(&["secrets/getSecret/action"], &[]),
                Permission::new(&["certificates/*"], &["certificates/purge/action"]),
            ],
        ),
    };
    RoleDefinition {
        id: Guid::of(seed, Named::Role, number),
        name: format!("Contoso {name} {}", number / 6 + 1),
        built_in: false,
        permissions,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_read_as_azure_reads_them() {
        let action = "Microsoft.KeyVault/vaults/secrets/purge/action";
        for (pattern, expected) in [
            ("*", true),
            ("microsoft.keyvault/vaults/*", true),
            ("Microsoft.KeyVault/vaults/*/purge/action", true),
            ("Microsoft.KeyVault/vaults/*/read", false),
            ("Microsoft.KeyVault/vaults/secrets/purge/action", true),
            ("Microsoft.KeyVault/vaults/secrets/purge", false),
        ] {
            assert_eq!(matches(pattern, action), expected, "{pattern}");
        }
    }

    #[test]
    fn the_shares_of_roles_leave_a_tenth_to_custom_ones() {
        let given: usize = BUILT_IN.iter().map(|one| one.2).sum();
        assert_eq!(given, 90);
    }
}

//! The built-in roles, as far as Key Vault's data plane is concerned.
//!
//! Compiled in, so that exports of role assignments alone are enough for most vaults. An export
//! that has one of these roles overrides it here. Only `dataActions` are listed: `actions` never
//! give access to data. The well-known roles without data actions are here as well, so that an
//! `Owner` is somebody who holds nothing, and not a role nobody knows.
//!
//! Source: <https://learn.microsoft.com/azure/role-based-access-control/built-in-roles>, checked
//! against `tests/data/builtin-roles.tsv`.

use std::collections::HashMap;

use crate::principal::Guid;
use crate::rbac::{Permission, RoleDefinition, RoleDefinitionId};

/// What every data action of Key Vault begins with.
const PREFIX: &str = "Microsoft.KeyVault/vaults/";

struct Role {
    id: RoleDefinitionId,
    name: &'static str,
    /// Without [`PREFIX`].
    data_actions: &'static [&'static str],
}

const fn role(id: u128, name: &'static str, data_actions: &'static [&'static str]) -> Role {
    Role {
        id: RoleDefinitionId(Guid::from_u128(id)),
        name,
        data_actions,
    }
}

const ROLES: &[Role] = &[
    role(0xb24988ac_6180_42a0_ab88_20f7382dd24c, "Contributor", &[]),
    role(
        0x00482a5a_887f_4fb3_b363_3b7fe8e74483,
        "Key Vault Administrator",
        &["*"],
    ),
    role(
        0xdb79e9a7_68ee_4b58_9aeb_b90e7c24fcba,
        "Key Vault Certificate User",
        &[
            "certificates/read",
            "secrets/getSecret/action",
            "secrets/readMetadata/action",
            "keys/read",
        ],
    ),
    role(
        0xa4417e6f_fecd_4de8_b567_7b0420556985,
        "Key Vault Certificates Officer",
        &[
            "certificatecas/*",
            "certificates/*",
            "certificatecontacts/write",
        ],
    ),
    role(
        0xf25e0fa2_a7c8_4377_a976_54943a77a395,
        "Key Vault Contributor",
        &[],
    ),
    role(
        0x14b46e9e_c2b7_41b4_b07b_48a6ebf60603,
        "Key Vault Crypto Officer",
        &["keys/*", "keyrotationpolicies/*"],
    ),
    role(
        0xe147488a_f6f5_4113_8e2d_b22465e65bf6,
        "Key Vault Crypto Service Encryption User",
        &["keys/read", "keys/wrap/action", "keys/unwrap/action"],
    ),
    role(
        0x08bbd89e_9f13_488c_ac41_acfcb10c90ab,
        "Key Vault Crypto Service Release User",
        &["keys/release/action"],
    ),
    role(
        0x12338af0_0e69_4776_bea7_57ae8d297424,
        "Key Vault Crypto User",
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
    role(
        0x8b54135c_b56d_4d72_a534_26097cfdc8d8,
        "Key Vault Data Access Administrator",
        &[],
    ),
    role(
        0xa68e7c17_0ab2_4c09_9a58_125dae29748c,
        "Key Vault Purge Operator",
        &[],
    ),
    role(
        0x21090545_7ca7_4776_b22c_e363652d74d2,
        "Key Vault Reader",
        &["*/read", "secrets/readMetadata/action"],
    ),
    role(
        0xb86a8fe4_44ce_4948_aee5_eccb2c155cd7,
        "Key Vault Secrets Officer",
        &["secrets/*"],
    ),
    role(
        0x4633458b_17de_408a_b874_0445c86b69e6,
        "Key Vault Secrets User",
        &["secrets/getSecret/action", "secrets/readMetadata/action"],
    ),
    role(
        0x18500a29_7fe2_46b2_a342_b16a415e101d,
        "Managed HSM contributor",
        &[],
    ),
    role(
        0x44f0a1a8_6fea_4b35_980a_8ff50c487c97,
        "Operator Nexus Key Vault Writer Service Role (Preview)",
        &["secrets/setSecret/action"],
    ),
    role(0x8e3af657_a8ff_443c_a75c_2fe8c4bcb635, "Owner", &[]),
    role(0xacdd72a7_3385_48ef_bd42_f606fba81ae7, "Reader", &[]),
    role(
        0xf58310d9_a9f6_439a_9e8d_f62e7b41a168,
        "Role Based Access Control Administrator",
        &[],
    ),
    role(
        0x18d7d88d_d35e_4fb5_a5c3_7773c20a72d9,
        "User Access Administrator",
        &[],
    ),
];

/// The built-in roles by id. None has a condition on data actions or `notDataActions`.
pub fn role_definitions() -> HashMap<RoleDefinitionId, RoleDefinition> {
    ROLES
        .iter()
        .map(|role| (role.id, definition(role)))
        .collect()
}

fn definition(role: &Role) -> RoleDefinition {
    let with_prefix = |action: &&str| format!("{PREFIX}{action}").into();
    RoleDefinition {
        id: role.id,
        name: role.name.into(),
        permissions: vec![Permission {
            data_actions: role.data_actions.iter().map(with_prefix).collect(),
            ..Permission::default()
        }],
    }
}

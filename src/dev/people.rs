//! The people of the development tenant, what they may do, and what the vault holds for them.
//!
//! | name | holds | where |
//! |---|---|---|
//! | `admin` | Key Vault Administrator | the vault |
//! | `secrets-user` | Key Vault Secrets User | the vault |
//! | `reader` | Key Vault Reader | the subscription |
//! | `crypto-user` | Key Vault Crypto User | the vault |
//! | `db-app` | Key Vault Secrets User | the secret `app-db-password` alone |
//! | `app-reader` | Key Vault Secrets User | the vault, under a condition: only names with `app-` |
//! | `group-member` | Secrets User and Crypto User | through `platform-team` and a group above it |
//! | `no-purge` | everything on secrets but delete and purge | the vault, by a custom role |
//! | `expired-pim` | Key Vault Administrator, until an hour before the start | the resource group |
//! | `nobody` | nothing | |
//!
//! [`ROLE_HOLDERS`] are there besides: one for each of Key Vault's other built-in roles, held on the
//! vault.
//!
//! The role data is written in the forms Azure exports, so that the proxy reads it with its
//! ordinary loader.

mod assignments;
mod role_data;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::principal::{Guid, ObjectId, TenantId};

use super::issuer::Application;
use super::pki::{Pki, PkiError};
use super::vault::Seed;
use super::{StartError, random};
pub use role_data::{RoleDataError, write_role_data};

/// The development tenant.
pub const TENANT: TenantId = TenantId(Guid::from_u128(0x2c1f6d0a_8b54_4e1c_9d37_5a0e7b46c912));

/// The vault's name.
pub const VAULT_NAME: &str = "portcullis-dev";

/// The vault's Azure region.
pub const LOCATION: &str = "westeurope";

/// The subscription the vault pretends to be in.
pub const SUBSCRIPTION: &str = "/subscriptions/d3a5c7e9-1b2f-4c68-8e90-7f4b6a2d1c35";

/// The vault's resource group.
pub const RESOURCE_GROUP: &str =
    "/subscriptions/d3a5c7e9-1b2f-4c68-8e90-7f4b6a2d1c35/resourceGroups/rg-portcullis-dev";

/// The vault's resource id.
pub const RESOURCE_ID: &str = "/subscriptions/d3a5c7e9-1b2f-4c68-8e90-7f4b6a2d1c35/resourceGroups/rg-portcullis-dev/providers/Microsoft.KeyVault/vaults/portcullis-dev";

/// The one secret that `db-app` may read.
pub const DB_SECRET: &str = "app-db-password";

/// The secret that is no application's.
pub const TLS_SECRET: &str = "tls";

/// The key that is there from the start.
pub const SIGNING_KEY: &str = "signing";

/// One of the sample identities: an application with a service principal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Person {
    /// The name by which `portcullis dev token --as` knows it.
    pub name: &'static str,
    /// The application's id: `client_id`, `appid`.
    pub client_id: Guid,
    /// The service principal's object id: `oid`, `principalId`.
    pub object_id: ObjectId,
    /// Its groups, nested ones included.
    pub groups: &'static [ObjectId],
    /// What it may do, in a few words.
    pub about: &'static str,
}

const fn person(
    name: &'static str,
    client_id: u128,
    object_id: u128,
    about: &'static str,
) -> Person {
    Person {
        name,
        client_id: Guid::from_u128(client_id),
        object_id: ObjectId(Guid::from_u128(object_id)),
        groups: &[],
        about,
    }
}

/// The group `group-member` is in; it holds Secrets User.
pub const PLATFORM_TEAM: ObjectId =
    ObjectId(Guid::from_u128(0x91b7e4c2_3d58_4f06_a1c9_e25f70d8346b));

/// The group `platform-team` is in; it holds Crypto User.
pub const ENGINEERING: ObjectId = ObjectId(Guid::from_u128(0x5e08c3d9_f427_4b1a_8d66_09b3a7e1f254));

/// Administrator of the vault.
pub const ADMIN: Person = person(
    "admin",
    0xa4d9f1b6_07e3_4c52_b8a1_6f2d95c0e713,
    0x1f8b3c6d_92a7_4e50_8c4f_d7e01b5a6923,
    "may do everything",
);

/// Secrets User of the vault.
pub const SECRETS_USER: Person = person(
    "secrets-user",
    0xc70e52a8_6b1d_4f93_9e28_34d8b1f7a05c,
    0x3b92d7e4_5f0c_4816_a7d3_8e6c1f204b95,
    "reads every secret",
);

/// Reader at the subscription.
pub const READER: Person = person(
    "reader",
    0xe83b4d07_c956_4a21_8f7e_b05d6931c2a4,
    0x58c1e09f_7d24_4b3a_9f68_2ac5d7e3106b,
    "lists everything, reads no secret's value",
);

/// Crypto User of the vault.
pub const CRYPTO_USER: Person = person(
    "crypto-user",
    0x06f7a9d3_284c_4be5_a3d0_9c71e8f254b6,
    0x7ad40f2b_c138_4695_8be2_f5039d6e17c8,
    "signs and encrypts with keys",
);

/// Secrets User of one secret.
pub const DB_APP: Person = person(
    "db-app",
    0x29c8e6b1_d05f_4a74_9b3c_7e4f12d8a960,
    0x94e6b17c_0a5d_4f28_b6c3_d18f72e5093a,
    "reads the secret app-db-password and no other",
);

/// Secrets User under a condition on names.
pub const APP_READER: Person = person(
    "app-reader",
    0x5a17e0c3_94bd_4f28_8c61_d3e7092fb84a,
    0x61d0f9a8_3c27_4be5_b1f4_8a95c7e2d036,
    "lists secrets, and reads those whose names begin with app-",
);

/// A member of a group.
pub const GROUP_MEMBER: Person = Person {
    groups: &[PLATFORM_TEAM, ENGINEERING],
    ..person(
        "group-member",
        0x4be05f92_a7c1_4d38_86f4_c2d9e3b7105a,
        0xb5f3280d_6e94_4c17_93ad_06e8d4c7f12b,
        "reads secrets and uses keys, through its groups",
    )
};

/// Holder of a custom role with `NotDataActions`.
pub const NO_PURGE: Person = person(
    "no-purge",
    0x6d21b8f4_e370_4958_a14c_50f7c9de32b8,
    0xd607f5a3_48eb_4290_8f1d_39b2c5e6a74f,
    "manages secrets, but deletes and purges none",
);

/// Holder of a PIM grant that is over.
pub const EXPIRED_PIM: Person = person(
    "expired-pim",
    0x8f53d0c6_19b4_4e7a_b920_e6a8417cd5f3,
    0xf81a64e9_2c07_4d5b_ae36_7b90d3f5c21e,
    "was administrator until an hour ago",
);

/// A principal without any role.
pub const NOBODY: Person = person(
    "nobody",
    0xab76e2d9_50f8_4c13_9d45_1f8c03b6e7a2,
    0x0c5d92b7_e1f6_4a38_95c0_a4e7f8d1362b,
    "may do nothing",
);

/// The people that examples and tests are about.
pub const PEOPLE: [Person; 10] = [
    ADMIN,
    SECRETS_USER,
    READER,
    CRYPTO_USER,
    DB_APP,
    APP_READER,
    GROUP_MEMBER,
    NO_PURGE,
    EXPIRED_PIM,
    NOBODY,
];

/// Holders of the built-in roles that nobody of [`PEOPLE`] holds, each on the vault.
pub const ROLE_HOLDERS: [Person; 9] = [
    person(
        "certificate-user",
        0x3ceaaf30_8142_48ea_91d9_3080f9b439fc,
        0x9dfb369b_ab13_4fae_a276_55daa05f1119,
        "reads certificates with their keys and secrets",
    ),
    person(
        "certificates-officer",
        0x6301bbfc_a0c5_454e_8ff9_bb510944fe0c,
        0x6fced11d_2bd8_41e6_847a_8387cdde8d51,
        "manages certificates",
    ),
    person(
        "contributor",
        0x3a124c64_7e02_4f05_b7c1_dce27f7695f5,
        0x66080f17_4c96_48e2_9cbd_0ba3a1a6bcde,
        "manages vaults, and has no access to what is in them",
    ),
    person(
        "crypto-officer",
        0xb120a366_f0bb_49cf_82f2_dc05873f9bd0,
        0x78b7d0ac_8477_4ce0_8e4c_da11b43c589b,
        "manages and uses keys",
    ),
    person(
        "data-access-admin",
        0x2330fcf1_562a_44b8_8866_8d77e827062c,
        0xc1acc990_6424_450a_a36b_f9b3ddcb369d,
        "gives others access, and has none",
    ),
    person(
        "encryption-user",
        0x9ad9b9a2_5e78_454d_b065_a1c284cc4549,
        0x99356597_6fba_4662_b6a7_30b7b12e9eed,
        "wraps and unwraps with keys",
    ),
    person(
        "purge-operator",
        0x8df08078_a22e_4180_85c2_c2af3977a654,
        0xf3194a3b_381e_43e7_952c_466e473a1797,
        "purges vaults, and nothing in them",
    ),
    person(
        "release-user",
        0xc498b6e7_3648_445e_9afa_3a387f006745,
        0xab57f985_4332_43da_a75a_2e199b58ba8d,
        "has keys released",
    ),
    person(
        "secrets-officer",
        0xc1b87f1a_7323_491b_99f9_cbef0f69a4d0,
        0x2eb73728_2fea_475e_b536_5e1458294a90,
        "manages secrets",
    ),
];

/// [`PEOPLE`] and [`ROLE_HOLDERS`].
pub fn everybody() -> impl Iterator<Item = &'static Person> {
    PEOPLE.iter().chain(&ROLE_HOLDERS)
}

/// The person of this name.
pub fn named(name: &str) -> Option<&'static Person> {
    everybody().find(|person| person.name == name)
}

/// Whether tokens carry a `groups` claim.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GroupsClaim {
    /// They do, where there are groups.
    Carried,
    /// They do not, as Azure's Key Vault tokens for applications; groups come from an export.
    LeftOut,
}

/// Everybody as an application of the embedded issuer.
pub fn applications(groups: GroupsClaim) -> Vec<Application> {
    let application = |person: &Person| Application {
        client_id: person.client_id,
        object_id: person.object_id,
        groups: match groups {
            GroupsClaim::Carried => person.groups.to_vec(),
            GroupsClaim::LeftOut => Vec::new(),
        },
    };
    everybody().map(application).collect()
}

/// The seeds could not be made.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// The certificate could not be made.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The system gave no random bytes.
    #[error(transparent)]
    Random(#[from] StartError),
}

/// What the vault holds from the start: the secrets `app-db-password`, `app-api-key` and `tls`, and
/// the RSA key `signing`. Values are random and worth nothing.
///
/// # Errors
/// [`SeedError`] if the system gives no keys or random bytes.
pub fn seeds(pki: &Pki) -> Result<Vec<Seed>, SeedError> {
    let leaf = pki.leaf(&["app.example.com"])?;
    let pem = format!("{}{}", leaf.private_key_pem(), leaf.certificate_pem());
    let secret = |name: &str, value: String, content_type: &str| Seed::Secret {
        name: name.into(),
        value: value.into(),
        content_type: content_type.into(),
    };
    Ok(vec![
        secret(DB_SECRET, worthless()?, "text/plain"),
        secret("app-api-key", worthless()?, "text/plain"),
        secret(TLS_SECRET, pem, "application/x-pem-file"),
        Seed::RsaKey {
            name: SIGNING_KEY.into(),
        },
    ])
}

fn worthless() -> Result<String, StartError> {
    let bytes = random::<12>()?;
    Ok(format!("dev-only-{}", URL_SAFE_NO_PAD.encode(bytes)))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::keyvault::VaultName;
    use crate::rbac::Scope;

    #[test]
    fn the_resource_id_is_that_of_the_vault() {
        let scope: Scope = RESOURCE_ID.parse().unwrap();
        let name: VaultName = VAULT_NAME.parse().unwrap();
        assert_eq!(scope.vault_name(), Ok(name));
        assert!(RESOURCE_GROUP.parse::<Scope>().unwrap().contains(&scope));
        assert!(SUBSCRIPTION.parse::<Scope>().unwrap().contains(&scope));
    }

    #[test]
    fn nobody_shares_an_id() {
        let mut ids = HashSet::new();
        for person in everybody() {
            assert!(ids.insert(person.client_id), "{}", person.name);
            assert!(ids.insert(person.object_id.0), "{}", person.name);
            assert_eq!(named(person.name), Some(person));
        }
        assert!(ids.insert(PLATFORM_TEAM.0) && ids.insert(ENGINEERING.0));
    }
}

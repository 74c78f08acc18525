//! Who holds which role in the development tenant, and where.

use crate::principal::ObjectId;

use super::{
    ADMIN, APP_READER, CRYPTO_USER, DB_APP, DB_SECRET, ENGINEERING, EXPIRED_PIM, NO_PURGE,
    PLATFORM_TEAM, Person, READER, RESOURCE_GROUP, RESOURCE_ID, ROLE_HOLDERS, SECRETS_USER,
    SUBSCRIPTION,
};

pub(super) const ADMINISTRATOR: Role = Role(
    "00482a5a-887f-4fb3-b363-3b7fe8e74483",
    "Key Vault Administrator",
);
const CRYPTO_USER_ROLE: Role = Role(
    "12338af0-0e69-4776-bea7-57ae8d297424",
    "Key Vault Crypto User",
);
const READER_ROLE: Role = Role("21090545-7ca7-4776-b22c-e363652d74d2", "Key Vault Reader");
const SECRETS_USER_ROLE: Role = Role(
    "4633458b-17de-408a-b874-0445c86b69e6",
    "Key Vault Secrets User",
);
pub(super) const NO_PURGE_ROLE: Role = Role(
    "b02f7c9e-64d1-4a83-9e57-c8d13f60a2b4",
    "Development Secrets Operator (no purge)",
);

/// The name of the assignment that PIM made and ended.
pub(super) const ENDED_ASSIGNMENT: &str = "e5d81c37-9b04-4f62-a8c3-17f0b2d6954e";

/// A role's GUID and display name.
#[derive(Clone, Copy)]
pub(super) struct Role(pub(super) &'static str, pub(super) &'static str);

impl Role {
    /// Its id as assignments name it.
    pub(super) fn definition_id(self) -> String {
        format!(
            "{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{}",
            self.0
        )
    }
}

/// Where a role assignment applies.
#[derive(Clone, Copy)]
pub(super) enum Place {
    DbSecret,
    ResourceGroup,
    Subscription,
    Vault,
}

impl Place {
    /// The resource id.
    pub(super) fn scope(self) -> String {
        match self {
            Self::DbSecret => format!("{RESOURCE_ID}/secrets/{DB_SECRET}"),
            Self::ResourceGroup => RESOURCE_GROUP.to_owned(),
            Self::Subscription => SUBSCRIPTION.to_owned(),
            Self::Vault => RESOURCE_ID.to_owned(),
        }
    }
}

/// One role assignment.
#[derive(Clone, Copy)]
pub(super) struct Assignment {
    pub(super) name: &'static str,
    pub(super) place: Place,
    pub(super) role: Role,
    pub(super) principal: ObjectId,
    pub(super) principal_name: &'static str,
    pub(super) principal_type: &'static str,
    pub(super) condition: Option<&'static str>,
}

/// What `app-reader` may do: with attributes that Azure has itself.
const APP_SECRETS: &str = "((!(ActionMatches{'Microsoft.KeyVault/vaults/secrets/getSecret/action'})) OR (@Resource[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith 'app-'))";

const fn to_person(name: &'static str, place: Place, role: Role, person: Person) -> Assignment {
    Assignment {
        name,
        place,
        role,
        principal: person.object_id,
        principal_name: person.name,
        principal_type: "ServicePrincipal",
        condition: None,
    }
}

const fn to_group(
    name: &'static str,
    place: Place,
    role: Role,
    (principal, principal_name): (ObjectId, &'static str),
) -> Assignment {
    Assignment {
        name,
        place,
        role,
        principal,
        principal_name,
        principal_type: "Group",
        condition: None,
    }
}

/// Who holds what, and where.
const ASSIGNMENTS: [Assignment; 10] = [
    to_person(
        "13c7a0f5-d28e-4b96-8417-5ea9c3f0d6b2",
        Place::Vault,
        ADMINISTRATOR,
        ADMIN,
    ),
    to_person(
        "24d8b1e6-0f3a-4c57-9528-6fbad4e1c793",
        Place::Vault,
        SECRETS_USER_ROLE,
        SECRETS_USER,
    ),
    to_person(
        "35e9c2d7-1a4b-4d68-a639-70cbe5f2d8a4",
        Place::Subscription,
        READER_ROLE,
        READER,
    ),
    to_person(
        "46fad3c8-2b5c-4e79-b74a-81dcf603e9b5",
        Place::Vault,
        CRYPTO_USER_ROLE,
        CRYPTO_USER,
    ),
    to_person(
        "570be4b9-3c6d-4f8a-885b-92ed0714fac6",
        Place::DbSecret,
        SECRETS_USER_ROLE,
        DB_APP,
    ),
    Assignment {
        condition: Some(APP_SECRETS),
        ..to_person(
            "9b4f289d-70a1-43ce-8c9f-d6214b583e0a",
            Place::Vault,
            SECRETS_USER_ROLE,
            APP_READER,
        )
    },
    to_group(
        "681cf5aa-4d7e-409b-996c-a3fe18250bd7",
        Place::ResourceGroup,
        SECRETS_USER_ROLE,
        (PLATFORM_TEAM, "platform-team"),
    ),
    to_group(
        "792d069b-5e8f-41ac-aa7d-b40f29361ce8",
        Place::Vault,
        CRYPTO_USER_ROLE,
        (ENGINEERING, "engineering"),
    ),
    to_person(
        "8a3e178c-6f90-42bd-bb8e-c5103a472df9",
        Place::Vault,
        NO_PURGE_ROLE,
        NO_PURGE,
    ),
    // Azure: the plain list has PIM's assignments, without their end; an export made while this
    // one was active still has it.
    to_person(
        ENDED_ASSIGNMENT,
        Place::ResourceGroup,
        ADMINISTRATOR,
        EXPIRED_PIM,
    ),
];

/// What [`ROLE_HOLDERS`] hold, in their order: the assignment's name and the role.
const HELD: [(&str, Role); ROLE_HOLDERS.len()] = [
    (
        "ac3e0b5b-c291-4709-8c1e-26038dabf68e",
        Role(
            "db79e9a7-68ee-4b58-9aeb-b90e7c24fcba",
            "Key Vault Certificate User",
        ),
    ),
    (
        "2f314fdb-43c4-4bc7-a4cc-dcf9ea5ee53c",
        Role(
            "a4417e6f-fecd-4de8-b567-7b0420556985",
            "Key Vault Certificates Officer",
        ),
    ),
    (
        "bafe9bd1-20c5-4152-9127-c47089bf36a2",
        Role(
            "f25e0fa2-a7c8-4377-a976-54943a77a395",
            "Key Vault Contributor",
        ),
    ),
    (
        "fe014372-9313-4adf-bba3-fec76ca387b5",
        Role(
            "14b46e9e-c2b7-41b4-b07b-48a6ebf60603",
            "Key Vault Crypto Officer",
        ),
    ),
    (
        "9280ba2e-1534-43fd-b357-71b237d047c9",
        Role(
            "8b54135c-b56d-4d72-a534-26097cfdc8d8",
            "Key Vault Data Access Administrator",
        ),
    ),
    (
        "6800e67e-527f-4da6-96ec-4c60da8f3fe2",
        Role(
            "e147488a-f6f5-4113-8e2d-b22465e65bf6",
            "Key Vault Crypto Service Encryption User",
        ),
    ),
    (
        "98daa4bf-7559-4f89-b3fb-95ee22432045",
        Role(
            "a68e7c17-0ab2-4c09-9a58-125dae29748c",
            "Key Vault Purge Operator",
        ),
    ),
    (
        "b6d9f6f4-5cdc-48b9-9a64-00c790010259",
        Role(
            "08bbd89e-9f13-488c-ac41-acfcb10c90ab",
            "Key Vault Crypto Service Release User",
        ),
    ),
    (
        "6a015b66-5e4a-429c-9be7-df00cba497dd",
        Role(
            "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
            "Key Vault Secrets Officer",
        ),
    ),
];

/// Every role assignment of the tenant.
pub(super) fn all() -> impl Iterator<Item = Assignment> {
    let held = ROLE_HOLDERS.iter().zip(HELD);
    let held = held.map(|(person, (name, role))| to_person(name, Place::Vault, role, *person));
    ASSIGNMENTS.into_iter().chain(held)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::assignments::builtin;
    use crate::principal::Guid;
    use crate::rbac::RoleDefinitionId;

    #[test]
    fn every_assignment_has_a_name_of_its_own() {
        let names: HashSet<_> = all().map(|assignment| assignment.name).collect();
        assert_eq!(names.len(), all().count());
    }

    #[test]
    fn every_built_in_role_of_key_vault_is_held_by_somebody() {
        let held: HashSet<_> = all().map(|assignment| assignment.role.0).collect();
        let definitions = builtin::role_definitions();
        for (RoleDefinitionId(id), role) in &definitions {
            if role.name.starts_with("Key Vault ") {
                assert!(held.contains(id.to_string().as_str()), "{}", role.name);
            }
        }
        for (_, Role(id, name)) in HELD {
            let id: Guid = id.parse().unwrap();
            assert_eq!(&*definitions[&RoleDefinitionId(id)].name, name);
        }
    }
}

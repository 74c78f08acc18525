//! Role data as a user would write it: files of exports, and an overlay file.

use std::fs;
use std::path::Path;
use std::time::Duration;

use portcullis::dev::people::{self, Person, RESOURCE_ID, SUBSCRIPTION};
use portcullis::dev::world::WorldSettings;
use serde_json::{Value, json};

use crate::gate::{Gate, Placement};

/// Who holds nothing but what a test gives.
pub(crate) const CALLER: Person = people::NOBODY;

/// A built-in role: its id and its name.
#[derive(Clone, Copy)]
pub(crate) struct Role(&'static str, &'static str);

pub(crate) const ADMINISTRATOR: Role = Role(
    "00482a5a-887f-4fb3-b363-3b7fe8e74483",
    "Key Vault Administrator",
);
pub(crate) const CERTIFICATES_OFFICER: Role = Role(
    "a4417e6f-fecd-4de8-b567-7b0420556985",
    "Key Vault Certificates Officer",
);
pub(crate) const CRYPTO_OFFICER: Role = Role(
    "14b46e9e-c2b7-41b4-b07b-48a6ebf60603",
    "Key Vault Crypto Officer",
);
pub(crate) const CRYPTO_USER: Role = Role(
    "12338af0-0e69-4776-bea7-57ae8d297424",
    "Key Vault Crypto User",
);
pub(crate) const SECRETS_OFFICER: Role = Role(
    "b86a8fe4-44ce-4948-aee5-eccb2c155cd7",
    "Key Vault Secrets Officer",
);
pub(crate) const SECRETS_USER: Role = Role(
    "4633458b-17de-408a-b874-0445c86b69e6",
    "Key Vault Secrets User",
);

/// What is added to the role data of the sample people.
#[derive(Default)]
pub(crate) struct Policy {
    exported: Vec<Value>,
    denied: Vec<Value>,
    overlay: String,
}

impl Policy {
    fn name(&self) -> String {
        let entries = self.exported.len() + self.denied.len() + self.overlay.len();
        format!("0b1d5c3e-7a42-4f19-8e60-{entries:012}")
    }

    /// A role assignment of the caller as Azure exports it, with its condition.
    pub(crate) fn exported(self, role: Role, condition: &str) -> Self {
        self.assigned(
            CALLER,
            role,
            &json!({ "condition": condition, "conditionVersion": "2.0" }),
        )
    }

    /// A role assignment of the overlay file, with its condition.
    pub(crate) fn local(self, role: Role, condition: &str) -> Self {
        self.local_to(CALLER, role, condition)
    }

    pub(crate) fn local_to(mut self, person: Person, role: Role, condition: &str) -> Self {
        let name = self.name();
        let entry = [
            ("name", name.as_str()),
            ("principal_id", &person.object_id.to_string()),
            ("role_definition_id", role.1),
            ("scope", RESOURCE_ID),
            ("condition", condition),
        ];
        self.overlay.push_str(&table("role_assignments", &entry));
        self
    }

    /// A role assignment as Azure exports it, without a condition, and a condition of the overlay
    /// file that narrows it.
    pub(crate) fn narrowed(self, role: Role, condition: &str) -> Self {
        let name = self.name();
        let mut narrowed = self.assigned(CALLER, role, &json!({}));
        let entry = [
            ("role_assignment_id", name.as_str()),
            ("condition", condition),
        ];
        narrowed.overlay.push_str(&table("conditions", &entry));
        narrowed
    }

    /// The caller's custom security attributes, as the TOML of an inline table.
    pub(crate) fn custom_attributes(mut self, attributes: &str) -> Self {
        let id = CALLER.object_id;
        let entry = format!(
            "[[custom_security_attributes]]\nprincipal_id = \"{id}\"\nattributes = {attributes}\n"
        );
        self.overlay.push_str(&entry);
        self
    }

    /// A deny assignment for everybody, on everything in the vault.
    pub(crate) fn denied(mut self, condition: &str) -> Self {
        let name = self.name();
        self.denied.push(json!({
            "properties": {
                "denyAssignmentName": "Here",
                "permissions": [{
                    "actions": [],
                    "notActions": [],
                    "dataActions": ["Microsoft.KeyVault/vaults/*"],
                    "notDataActions": [],
                }],
                "scope": RESOURCE_ID,
                "doNotApplyToChildScopes": false,
                "principals": [{
                    "id": "00000000-0000-0000-0000-000000000000",
                    "type": "SystemDefined",
                }],
                "excludePrincipals": [{
                    "id": people::ADMIN.object_id.to_string(),
                    "type": "ServicePrincipal",
                }],
                "isSystemProtected": true,
                "condition": condition,
                "conditionVersion": "2.0",
            },
            "id": authorization("denyAssignments", &name),
            "type": "Microsoft.Authorization/denyAssignments",
            "name": name,
        }));
        self
    }

    fn assigned(mut self, person: Person, role: Role, more: &Value) -> Self {
        let name = self.name();
        let mut assignment = json!({
            "id": authorization("roleAssignments", &name),
            "name": name,
            "type": "Microsoft.Authorization/roleAssignments",
            "scope": RESOURCE_ID,
            "roleDefinitionId":
                format!("{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{}", role.0),
            "roleDefinitionName": role.1,
            "principalId": person.object_id.to_string(),
            "principalType": "ServicePrincipal",
        });
        let members = assignment.as_object_mut().unwrap();
        members.extend(more.as_object().unwrap().clone());
        self.exported.push(assignment);
        self
    }

    fn write(&self, directory: &Path) {
        let roles = directory.join("roles");
        fs::create_dir_all(&roles).unwrap();
        let put = |name: &str, content: &[Value]| {
            if !content.is_empty() {
                fs::write(roles.join(name), Value::from(content).to_string()).unwrap();
            }
        };
        put("given-role-assignments.json", &self.exported);
        put("given-deny-assignments.json", &self.denied);
        fs::write(directory.join("overlay.toml"), &self.overlay).unwrap();
    }

    /// A world with this role data.
    pub(crate) async fn start(self) -> Gate {
        self.start_in(|_| {}).await
    }

    /// A world with this role data that `change` makes otherwise than usual.
    pub(crate) async fn start_in(self, change: impl FnOnce(&mut WorldSettings)) -> Gate {
        Gate::made(Placement::OwnName, |settings| {
            self.write(&settings.directory);
            settings.overlay_files = vec![settings.directory.join("overlay.toml")];
            // What a test asks twice is to be asked twice.
            settings.metadata.remembered_for = Duration::ZERO;
            change(settings);
        })
        .await
    }
}

fn authorization(kind: &str, name: &str) -> String {
    format!("{RESOURCE_ID}/providers/Microsoft.Authorization/{kind}/{name}")
}

fn table(name: &str, entries: &[(&str, &str)]) -> String {
    let mut text = format!("[[{name}]]\n");
    for (key, value) in entries {
        // A text of JSON is one of TOML.
        text.push_str(&format!("{key} = {}\n", Value::from(*value)));
    }
    text
}

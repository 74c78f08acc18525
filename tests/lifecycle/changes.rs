//! Role data that changes while requests come in.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use portcullis::dev::people::{self, Person};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

use crate::ask::{soon, until};
use crate::surroundings::{Client, Gate, Surroundings, replace};

/// The role assignments of the sample people, and `more` of them.
fn assignments(world: &Surroundings, more: &[Value]) -> String {
    let file = world.roles().join("role-assignments.json");
    let mut all: Value = serde_json::from_slice(&fs::read(file).unwrap()).unwrap();
    all.as_array_mut().unwrap().extend_from_slice(more);
    all.to_string()
}

/// Key Vault Secrets User of the vault for `person`, who may be anybody.
fn grant(person: Person) -> Value {
    let name = "0b9d7e52-61f8-4c3a-8d40-f5a27c6e9134";
    let definition = "4633458b-17de-408a-b874-0445c86b69e6";
    let provider = "providers/Microsoft.Authorization";
    json!({
        "id": format!("{}/{provider}/roleAssignments/{name}", people::RESOURCE_ID),
        "name": name,
        "type": "Microsoft.Authorization/roleAssignments",
        "scope": people::RESOURCE_ID,
        "roleDefinitionId": format!("{}/{provider}/roleDefinitions/{definition}", people::SUBSCRIPTION),
        "roleDefinitionName": "Key Vault Secrets User",
        "principalId": person.object_id.to_string(),
        "principalType": "ServicePrincipal",
        "principalName": person.name,
        "createdOn": "2026-03-02T08:15:00.000000+00:00",
        "updatedOn": "2026-03-02T08:15:00.000000+00:00",
        "createdBy": people::ADMIN.object_id.to_string(),
        "updatedBy": people::ADMIN.object_id.to_string(),
    })
}

/// A deny assignment that takes the reading of secrets from `person`, as ARM lists it.
fn deny(person: Person) -> Value {
    let name = "7f1c3a90-2e5b-4d68-b0c4-96d8e7a2f351";
    json!({ "value": [{
        "properties": {
            "denyAssignmentName": "Under investigation",
            "description": "",
            "permissions": [{
                "actions": [],
                "notActions": [],
                "dataActions": ["Microsoft.KeyVault/vaults/secrets/getSecret/action"],
                "notDataActions": [],
                "condition": null,
                "conditionVersion": null,
            }],
            "scope": people::RESOURCE_GROUP,
            "doNotApplyToChildScopes": false,
            "principals": [{ "id": person.object_id.to_string(), "type": "ServicePrincipal" }],
            "excludePrincipals": [],
            "isSystemProtected": false,
            "condition": null,
            "conditionVersion": null,
            "createdOn": "2026-03-02T08:15:00.0000000Z",
            "updatedOn": "2026-03-02T08:15:00.0000000Z",
            "createdBy": people::ADMIN.object_id.to_string(),
            "updatedBy": people::ADMIN.object_id.to_string(),
        },
        "id": format!(
            "{}/providers/Microsoft.Authorization/denyAssignments/{name}",
            people::RESOURCE_GROUP
        ),
        "type": "Microsoft.Authorization/denyAssignments",
        "name": name,
    }]})
}

/// Waits until `person` gets `verdict` for the secret; until then it may only be `before`.
async fn turns(gate: &Gate, token: &str, before: (u16, &str), verdict: (u16, &str)) {
    until(async || {
        let answer = gate.client.secret(token).await;
        if answer.verdict() != verdict {
            assert_eq!(answer.verdict(), before);
        }
        (answer.verdict() == verdict).then_some(())
    })
    .await;
}

const ALLOWED: (u16, &str) = (200, "");
const REFUSED: (u16, &str) = (403, "no_assignment");

/// Requests without a pause, and how often each verdict was given.
struct Requests {
    stop: Arc<AtomicBool>,
    verdicts: JoinHandle<BTreeMap<String, usize>>,
}

impl Requests {
    fn begin(client: &Client, token: String) -> Self {
        let (client, stop) = (client.clone(), Arc::new(AtomicBool::new(false)));
        let told = Arc::clone(&stop);
        let verdicts = tokio::spawn(async move {
            let mut verdicts = BTreeMap::new();
            while !told.load(Ordering::Relaxed) {
                let answer = client.secret(&token).await;
                let (status, reason) = answer.verdict();
                *verdicts.entry(format!("{status} {reason}")).or_default() += 1;
            }
            verdicts
        });
        Self { stop, verdicts }
    }

    async fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        let verdicts = soon(self.verdicts).await.unwrap();
        verdicts.into_keys().collect()
    }
}

/// Has `swap` put role data in place with a grant for `nobody` and without it, in turn, while
/// requests come in without a pause. Each must have the old answer or the new one.
async fn never_drops_a_request(world: &Surroundings, gate: &Gate, mut swap: impl FnMut(bool)) {
    let token = world.token(people::NOBODY);
    let unconcerned = Requests::begin(&gate.client, world.token(people::SECRETS_USER));
    let concerned = Requests::begin(&gate.client, token.clone());
    for _ in 0..3 {
        swap(true);
        turns(gate, &token, REFUSED, ALLOWED).await;
        swap(false);
        turns(gate, &token, ALLOWED, REFUSED).await;
    }
    assert_eq!(unconcerned.end().await, ["200 "]);
    assert_eq!(concerned.end().await, ["200 ", "403 no_assignment"]);
    gate.administration.loaded("ok", 7.0).await;
    assert_eq!(gate.administration.loads("schema").await, 0.0);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_are_renamed_into_place_drop_no_request() {
    let world = Surroundings::start().await;
    let gate = world.ready().await;
    let with = assignments(&world, &[grant(people::NOBODY)]);
    let without = assignments(&world, &[]);
    let file = world.roles().join("role-assignments.json");
    let swap = |granted| replace(&file, if granted { &with } else { &without });
    never_drops_a_request(&world, &gate, swap).await;
    gate.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_volume_that_kubernetes_swaps_drops_no_request() {
    let world = Surroundings::start().await;
    let with = assignments(&world, &[grant(people::NOBODY)]);
    let without = assignments(&world, &[]);
    let volume = world.path("volume");
    fs::create_dir(&volume).unwrap();
    let mut version = 0;
    let mut swap = |granted: bool| {
        version += 1;
        let contents = if granted { &with } else { &without };
        publish(&volume, &world.roles(), &format!("..v{version}"), contents);
    };
    swap(false);
    for file in fs::read_dir(world.roles()).unwrap() {
        let name = file.unwrap().file_name();
        symlink(Path::new("..data").join(&name), volume.join(&name)).unwrap();
    }
    let toml = world.toml("").replace("[\"roles\"]", "[\"volume\"]");
    let gate = world.begin(world.config(&toml)).await;
    soon(gate.app.ready()).await;
    never_drops_a_request(&world, &gate, swap).await;
    gate.app.stop().await;
}

/// What a kubelet does: a whole new directory, and `..data` turned to it in one step; then the old
/// one goes.
fn publish(volume: &Path, roles: &Path, version: &str, contents: &str) {
    let new = volume.join(version);
    fs::create_dir(&new).unwrap();
    for file in fs::read_dir(roles).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), new.join(file.file_name())).unwrap();
    }
    fs::write(new.join("role-assignments.json"), contents).unwrap();
    let data = volume.join("..data");
    let old = fs::read_link(&data);
    symlink(version, volume.join("..data_tmp")).unwrap();
    fs::rename(volume.join("..data_tmp"), &data).unwrap();
    if let Ok(old) = old {
        fs::remove_dir_all(volume.join(old)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deny_assignment_takes_away_at_once_and_gives_back_when_it_is_gone() {
    let world = Surroundings::start().await;
    let gate = world.ready().await;
    let (token, other) = (
        world.token(people::SECRETS_USER),
        world.token(people::ADMIN),
    );
    assert_eq!(gate.client.secret(&token).await.verdict(), ALLOWED);
    let file = world.roles().join("deny-assignments.json");
    replace(&file, &deny(people::SECRETS_USER).to_string());
    turns(&gate, &token, ALLOWED, (403, "deny_assignment")).await;
    let answer = gate.client.secret(&token).await;
    let text = answer.body["error"]["message"].as_str().unwrap();
    let line = "DenyAssignmentId: '7f1c3a90-2e5b-4d68-b0c4-96d8e7a2f351'";
    assert!(text.contains(line), "{text}");
    assert_eq!(gate.client.secret(&other).await.verdict(), ALLOWED);
    let series = r#"portcullis_snapshot_objects{kind="deny_assignment"}"#;
    let counted = async || gate.administration.metrics().await[series];
    until(async || (counted().await == 1.0).then_some(())).await;

    // Losing every deny assignment grants more, so it is looked at twice.
    fs::remove_file(&file).unwrap();
    turns(&gate, &token, (403, "deny_assignment"), ALLOWED).await;
    assert!(gate.administration.loads("held_back").await >= 1.0);
    gate.app.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_files_that_change_together_a_broken_one_keeps_both_out() {
    let world = Surroundings::start().await;
    let gate = world.ready().await;
    let groups = world.roles().join("groups.json");
    let good = fs::read_to_string(&groups).unwrap();
    replace(&groups, "{");
    let file = world.roles().join("role-assignments.json");
    replace(&file, &assignments(&world, &[grant(people::NOBODY)]));
    let told = |text: &str| text.contains("groups.json");
    let administration = gate.administration;
    administration
        .readiness(|now| told(now.note("assignments")))
        .await;
    // Once more, with both as they are now.
    let failed = administration.loads("schema").await;
    until(async || (administration.loads("schema").await > failed + 1.0).then_some(())).await;
    let token = world.token(people::NOBODY);
    assert_eq!(gate.client.secret(&token).await.verdict(), REFUSED);
    replace(&groups, &good);
    turns(&gate, &token, REFUSED, ALLOWED).await;
    gate.app.stop().await;
}

//! Conditions on tags, which only the vault knows: it is asked for the list of versions, and for a
//! value only when that is allowed.

use azure_security_keyvault_secrets::ResourceExt as _;
use portcullis::dev::people;
use portcullis::dev::vault::Script;
use serde_json::{Value, json};

use super::policy::{CALLER, Policy, SECRETS_USER};
use super::{body, false_because, missing};
use crate::gate::Gate;

const SAME_PROJECT: &str = "\
    ((!(ActionMatches{'Microsoft.KeyVault/vaults/secrets/getSecret/action'})) OR \
    (@Resource[Microsoft.KeyVault/vaults/secrets/tags:Project<$key_case_sensitive$>] \
    ForAnyOfAnyValues:StringEquals \
    @Principal[Microsoft.Directory/CustomSecurityAttributes/Id:Engineering_Project]))";
const PROJECTS_MEET: &str = "\
    @Resource[Microsoft.KeyVault/vaults/secrets/tags:Project<$key_case_sensitive$>] \
    ForAnyOfAnyValues:StringEquals \
    @Principal[Microsoft.Directory/CustomSecurityAttributes/Id:Engineering_Project]";
const PROJECT: &str =
    "@Resource[Microsoft.KeyVault/vaults/secrets/tags:Project<$key_case_sensitive$>]";

const SENSITIVE: &str = "\
    ((!(ActionMatches{'Microsoft.KeyVault/vaults/secrets/getSecret/action'})) OR \
    (@Environment[isPrivateLink] BoolEquals true OR \
    @Resource[Microsoft.KeyVault/vaults/secrets/tags:sensitivity<$key_case_sensitive$>] \
    ForAnyOfAllValues:StringNotEquals {'high', 'critical'}))";
const NOT_SENSITIVE: &str = "\
    @Resource[Microsoft.KeyVault/vaults/secrets/tags:sensitivity<$key_case_sensitive$>] \
    ForAnyOfAllValues:StringNotEquals {'high', 'critical'}";
/// All alternatives that fail are named.
const NEITHER: &str = "@Environment[isPrivateLink] BoolEquals true OR \
    @Resource[Microsoft.KeyVault/vaults/secrets/tags:sensitivity<$key_case_sensitive$>] \
    ForAnyOfAllValues:StringNotEquals {'high', 'critical'}";
const SENSITIVITY: &str =
    "@Resource[Microsoft.KeyVault/vaults/secrets/tags:sensitivity<$key_case_sensitive$>]";

/// Has the administrator set a secret with these tags; returns its version.
pub(super) async fn set_tagged(gate: &Gate, name: &str, tags: &Value) -> String {
    let content = body(&json!({ "value": "hush", "tags": tags }));
    let client = gate.secrets(people::ADMIN);
    let response = client.set_secret(name, content, None).await.unwrap();
    let id = response.into_model().unwrap().resource_id().unwrap();
    gate.reached();
    id.version.unwrap()
}

/// What the vault sees of a read that is allowed because of a tag.
pub(super) fn looked_at_and_read(name: &str, version: &str) -> [String; 2] {
    [
        format!("GET /secrets/{name}/versions"),
        format!("GET /secrets/{name}/{version}"),
    ]
}

/// What it sees of one that is refused.
pub(super) fn looked_at(name: &str) -> [String; 1] {
    [format!("GET /secrets/{name}/versions")]
}

#[tokio::test]
async fn a_secret_is_for_those_who_have_its_project() {
    let gate = Policy::default()
        .local(SECRETS_USER, SAME_PROJECT)
        .local_to(people::READER, SECRETS_USER, SAME_PROJECT)
        .custom_attributes(r#"{ Engineering_Project = ["Baker", "Cascade"] }"#)
        .start()
        .await;
    let cascade = set_tagged(&gate, "oven", &json!({ "Project": "Cascade" })).await;
    set_tagged(&gate, "other", &json!({ "Project": "Delta" })).await;
    set_tagged(&gate, "lower", &json!({ "project": "Cascade" })).await;
    let client = gate.secrets(CALLER);

    client.get_secret("oven", None).await.unwrap();
    assert_eq!(gate.reached(), looked_at_and_read("oven", &cascade));
    false_because(client.get_secret("other", None).await, PROJECTS_MEET);
    assert_eq!(gate.reached(), looked_at("other"));
    // Names of tags have a case.
    let outcome = client.get_secret("lower", None).await;
    missing(outcome, PROJECTS_MEET, PROJECT);
    assert_eq!(gate.reached(), looked_at("lower"));
    let outcome = client.get_secret(people::DB_SECRET, None).await;
    missing(outcome, PROJECTS_MEET, PROJECT);
    assert_eq!(gate.reached(), looked_at(people::DB_SECRET));

    let outcome = gate.secrets(people::READER).get_secret("oven", None).await;
    let projects =
        "@Principal[Microsoft.Directory/CustomSecurityAttributes/Id:Engineering_Project]";
    missing(outcome, PROJECTS_MEET, projects);
    // Whatever the tag is, it would not do.
    assert!(gate.reached().is_empty());
    gate.finish().await;
}

#[tokio::test]
async fn what_is_sensitive_leaves_over_private_links_alone() {
    let gate = Policy::default()
        .narrowed(SECRETS_USER, SENSITIVE)
        .start()
        .await;
    let low = set_tagged(&gate, "low", &json!({ "sensitivity": "low" })).await;
    set_tagged(&gate, "high", &json!({ "sensitivity": "high" })).await;
    let client = gate.secrets(CALLER);
    client.get_secret("low", None).await.unwrap();
    assert_eq!(gate.reached(), looked_at_and_read("low", &low));
    false_because(client.get_secret("high", None).await, NEITHER);
    assert_eq!(gate.reached(), looked_at("high"));
    // What has no tag may be anything.
    let outcome = client.get_secret(people::DB_SECRET, None).await;
    missing(outcome, NOT_SENSITIVE, SENSITIVITY);
    assert_eq!(gate.reached(), looked_at(people::DB_SECRET));
    gate.finish().await;
}

#[tokio::test]
async fn over_a_private_link_the_vault_is_not_even_asked_for_tags() {
    let gate = Policy::default()
        .narrowed(SECRETS_USER, SENSITIVE)
        .start_in(|settings| settings.private_link = true)
        .await;
    set_tagged(&gate, "high", &json!({ "sensitivity": "high" })).await;
    gate.secrets(CALLER).get_secret("high", None).await.unwrap();
    assert_eq!(gate.reached(), ["GET /secrets/high"]);
    gate.finish().await;
}

#[tokio::test]
async fn a_version_made_after_the_look_is_not_what_is_sent() {
    let gate = Policy::default()
        .narrowed(SECRETS_USER, SENSITIVE)
        .start()
        .await;
    let low = set_tagged(&gate, "key", &json!({ "sensitivity": "low" })).await;
    let versions = "/secrets/key/versions";
    let (script, release) = Script::genuine().held();
    gate.world.vault.next_response(versions, script);
    let client = gate.secrets(CALLER);
    let before = gate.world.vault.journal_len();
    let rotating = async {
        gate.world.vault.reached(before + 1).await;
        // The answer with the old version is on its way.
        let content = json!({ "value": "new", "tags": { "sensitivity": "critical" } });
        let admin = gate.secrets(people::ADMIN);
        admin.set_secret("key", body(&content), None).await.unwrap();
        release.release();
    };
    let (read, ()) = tokio::join!(client.get_secret("key", None), rotating);
    let read = read.unwrap().into_model().unwrap();
    assert_eq!(read.value.as_deref(), Some("hush"));
    let [looked, got] = looked_at_and_read("key", &low);
    assert_eq!(gate.reached(), [looked, "PUT /secrets/key".to_owned(), got]);
    // The next one sees the new version, and is refused for it.
    false_because(client.get_secret("key", None).await, NEITHER);
    assert_eq!(gate.reached(), looked_at("key"));
    gate.finish().await;
}

#[tokio::test]
async fn a_vault_that_does_not_tell_leaves_it_undecided() {
    let gate = Policy::default()
        .narrowed(SECRETS_USER, SENSITIVE)
        .start()
        .await;
    let client = gate.secrets(CALLER);
    for _ in 0..=crate::gate::RETRIES {
        let script = Script::forbidden("ForbiddenByRbac", "Caller is not authorized.");
        gate.world
            .vault
            .next_response("/secrets/tls/versions", script);
    }
    let refusal = crate::gate::Refusal::of(client.get_secret("tls", None).await);
    assert_eq!(u16::from(refusal.status), 503);
    assert_eq!(refusal.reason.as_deref(), Some("metadata_unavailable"));
    let reached = gate.reached();
    assert!(
        reached
            .iter()
            .all(|path| path == "GET /secrets/tls/versions")
    );
    gate.finish().await;
}

//! Conditions on names, with the attributes Azure itself has, on role assignments as it exports
//! them.

use azure_core::http::StatusCode;
use azure_security_keyvault_secrets::SecretClient;
use futures_util::TryStreamExt as _;
use portcullis::dev::people;
use serde_json::json;

use super::policy::{CALLER, Policy, SECRETS_OFFICER, SECRETS_USER};
use super::{body, false_because, missing, refused};
use crate::gate::{Refusal, set};

const OWN_SECRETS: &str = "\
    ((!(ActionMatches{'Microsoft.KeyVault/vaults/secrets/getSecret/action'})) \
    OR (@Resource[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith 'payments-'))";

const OWN_PREFIX: &str = "
    (
     (
      !(ActionMatches{'Microsoft.KeyVault/vaults/secrets/update/action'})
      AND
      !(ActionMatches{'Microsoft.KeyVault/vaults/secrets/delete'})
     )
     OR
     (
      @Resource[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith 'payments-'
     )
    )
    AND
    (
     (
      !(ActionMatches{'Microsoft.KeyVault/vaults/secrets/setSecret/action'})
      AND
      !(ActionMatches{'Microsoft.KeyVault/vaults/secrets/restore/action'})
     )
     OR
     (
      @Request[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith 'payments-'
     )
    )";

const RESOURCE_NAME: &str =
    "@Resource[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith 'payments-'";
const REQUEST_NAME: &str =
    "@Request[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith 'payments-'";
const NOT_BREAKGLASS: &str =
    "@Resource[Microsoft.KeyVault/vaults/secrets:name] StringNotStartsWith 'breakglass-'";

/// No break-glass secret, and only in vaults of these names.
fn production(vaults: &str) -> String {
    format!(
        "((!(ActionMatches{{'Microsoft.KeyVault/vaults/secrets/getSecret/action'}})) \
         OR (@Resource[Microsoft.KeyVault/vaults:name] StringLike '{vaults}' \
         AND {NOT_BREAKGLASS}))"
    )
}

async fn list(client: &SecretClient) -> azure_core::Result<usize> {
    let listed = client.list_secret_properties(None)?;
    Ok(listed.try_collect::<Vec<_>>().await?.len())
}

#[tokio::test]
async fn an_application_reads_its_own_secrets_and_no_others() {
    let gate = Policy::default()
        .exported(SECRETS_USER, OWN_SECRETS)
        .start()
        .await;
    set(&gate.secrets(people::ADMIN), "payments-db", "one").await;
    gate.reached();
    let client = gate.secrets(CALLER);
    client.get_secret("payments-db", None).await.unwrap();
    // The name is in the request: nothing is asked for.
    assert_eq!(gate.reached(), ["GET /secrets/payments-db"]);
    for other in [people::DB_SECRET, "xpayments-db", "payments"] {
        false_because(client.get_secret(other, None).await, RESOURCE_NAME);
    }
    assert!(gate.reached().is_empty());
    // The condition is about getSecret alone.
    assert_eq!(list(&client).await.unwrap(), 4);
    gate.finish().await;
}

#[tokio::test]
async fn a_name_in_another_case_is_no_way_around_a_condition() {
    let gate = Policy::default()
        .exported(SECRETS_USER, &production("portcullis-*"))
        .start()
        .await;
    let admin = gate.secrets(people::ADMIN);
    set(&admin, "breakglass-root", "one").await;
    set(&admin, "db", "two").await;
    gate.reached();
    let client = gate.secrets(CALLER);
    // The vault knows no case, so each of these is the break-glass secret.
    for name in ["breakglass-root", "BREAKGLASS-root", "Breakglass-Root"] {
        false_because(client.get_secret(name, None).await, NOT_BREAKGLASS);
    }
    assert!(gate.reached().is_empty());
    client.get_secret("db", None).await.unwrap();
    client.get_secret("DB", None).await.unwrap();
    gate.finish().await;

    let gate = Policy::default()
        .exported(SECRETS_USER, OWN_SECRETS)
        .start()
        .await;
    let client = gate.secrets(CALLER);
    // Azure may compare this either way; what is uncertain does not grant.
    false_because(client.get_secret("Payments-db", None).await, RESOURCE_NAME);
    gate.finish().await;
}

#[tokio::test]
async fn a_vault_of_another_name_is_another_vault() {
    let gate = Policy::default()
        .exported(SECRETS_USER, &production("kv-*-prod"))
        .start()
        .await;
    let outcome = gate
        .secrets(CALLER)
        .get_secret(people::DB_SECRET, None)
        .await;
    let clause = "@Resource[Microsoft.KeyVault/vaults:name] StringLike 'kv-*-prod'";
    false_because(outcome, clause);
    assert!(gate.reached().is_empty());
    gate.finish().await;
}

#[tokio::test]
async fn a_team_writes_under_its_prefix_and_nowhere_else() {
    let gate = Policy::default()
        .exported(SECRETS_OFFICER, OWN_PREFIX)
        .start()
        .await;
    let client = gate.secrets(CALLER);
    set(&client, "payments-api", "one").await;
    let update = || body(&json!({ "contentType": "text/plain" }));
    client
        .update_secret_properties("payments-api", update(), None)
        .await
        .unwrap();
    let backup = client.backup_secret("payments-api", None).await.unwrap();
    let backup = backup.into_model().unwrap().value.unwrap();
    client.delete_secret("payments-api", None).await.unwrap();
    assert_eq!(gate.reached().len(), 4);

    let others = people::DB_SECRET;
    let value = || body(&json!({ "value": "x" }));
    let outcome = client.set_secret(others, value(), None).await;
    false_because(outcome, REQUEST_NAME);
    let outcome = client.set_secret("PAYMENTS-x", value(), None).await;
    false_because(outcome, REQUEST_NAME);
    let outcome = client
        .update_secret_properties(others, update(), None)
        .await;
    false_because(outcome, RESOURCE_NAME);
    false_because(client.delete_secret(others, None).await, RESOURCE_NAME);
    // The name is inside the blob, which only the vault can open.
    let blob = azure_core::base64::encode_url_safe(&backup);
    let outcome = client
        .restore_secret(body(&json!({ "value": blob })), None)
        .await;
    let name = "@Request[Microsoft.KeyVault/vaults/secrets:name]";
    missing(outcome, REQUEST_NAME, name);
    assert!(gate.reached().is_empty());
    // Reading is not what this condition is about.
    client.get_secret(others, None).await.unwrap();
    gate.finish().await;
}

#[tokio::test]
async fn a_list_has_no_name_so_a_condition_on_names_refuses_it_as_in_azure() {
    let gate = Policy::default()
        .exported(SECRETS_USER, RESOURCE_NAME)
        .start()
        .await;
    set(&gate.secrets(people::ADMIN), "payments-db", "one").await;
    gate.reached();
    let client = gate.secrets(CALLER);
    let attribute = "@Resource[Microsoft.KeyVault/vaults/secrets:name]";
    missing(list(&client).await, RESOURCE_NAME, attribute);
    assert!(gate.reached().is_empty());
    // The versions of one secret have its name.
    let versions = client.list_secret_properties_versions("payments-db", None);
    let versions: Vec<_> = versions.unwrap().try_collect().await.unwrap();
    assert_eq!(versions.len(), 1);
    let versions = client.list_secret_properties_versions(people::DB_SECRET, None);
    let versions = versions.unwrap().try_collect::<Vec<_>>().await;
    false_because(versions, RESOURCE_NAME);
    gate.finish().await;
}

#[tokio::test]
async fn of_two_conditional_assignments_one_is_enough() {
    let app = "@Resource[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith 'app-'";
    let gate = Policy::default()
        .exported(SECRETS_USER, OWN_SECRETS)
        .local(SECRETS_USER, app)
        .start()
        .await;
    set(&gate.secrets(people::ADMIN), "payments-db", "one").await;
    let client = gate.secrets(CALLER);
    client.get_secret("payments-db", None).await.unwrap();
    client.get_secret(people::DB_SECRET, None).await.unwrap();
    let refusal = Refusal::of(client.get_secret("tls", None).await);
    assert_eq!(refusal.reason.as_deref(), Some("condition_false"));
    gate.finish().await;
}

#[tokio::test]
async fn a_condition_that_cannot_be_read_never_grants() {
    for unreadable in [
        "@Resource[Microsoft.KeyVault/vaults/secrets:name] IpMatch '10.0.0.0/8'",
        "@Resource[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith 'app-",
        "",
    ] {
        let gate = Policy::default()
            .exported(SECRETS_USER, unreadable)
            .start()
            .await;
        let outcome = gate
            .secrets(CALLER)
            .get_secret(people::DB_SECRET, None)
            .await;
        let text = "its condition cannot be read\r\n";
        refused(outcome, "condition_unsupported", text);
        assert!(gate.reached().is_empty());
        gate.finish().await;
    }
}

#[tokio::test]
async fn a_conditional_deny_assignment_takes_away_what_it_names() {
    let app = "@Resource[Microsoft.KeyVault/vaults/secrets:name] StringStartsWith 'app-'";
    let gate = Policy::default().denied(app).start().await;
    let client = gate.secrets(people::SECRETS_USER);
    client.get_secret("tls", None).await.unwrap();
    let reached = gate.reached().len();
    let refusal = Refusal::of(client.get_secret(people::DB_SECRET, None).await);
    assert_eq!(refusal.status, StatusCode::Forbidden);
    assert_eq!(refusal.reason.as_deref(), Some("deny_assignment"));
    // What it comes to for a list nobody can say, so it applies.
    let refusal = Refusal::of(list(&client).await);
    assert_eq!(refusal.reason.as_deref(), Some("deny_assignment"));
    assert_eq!((reached, gate.reached().len()), (1, 0));
    gate.finish().await;
}

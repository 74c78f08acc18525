//! The life of a secret, by those who may live it.

use azure_core::http::StatusCode;
use azure_security_keyvault_secrets::ResourceExt as _;
use azure_security_keyvault_secrets::SecretClient;
use azure_security_keyvault_secrets::models::{
    RestoreSecretParameters, SecretClientGetSecretOptions, UpdateSecretPropertiesParameters,
};
use portcullis::dev::people;

use crate::gate::{Gate, Refusal, set};

async fn value(client: &SecretClient, name: &str, version: Option<String>) -> String {
    let options = SecretClientGetSecretOptions {
        secret_version: version,
        ..SecretClientGetSecretOptions::default()
    };
    let response = client.get_secret(name, Some(options)).await.unwrap();
    response.into_model().unwrap().value.unwrap()
}

#[tokio::test]
async fn the_first_call_is_challenged_by_the_proxy_and_the_vault_never_sees_it() {
    let gate = Gate::start().await;
    let client = gate.secrets(people::SECRETS_USER);
    value(&client, people::DB_SECRET, None).await;
    let sent = gate.sent();
    assert_eq!(sent.len(), 2);
    assert_eq!((sent[0].with_token, sent[0].status), (false, 401));
    assert_eq!((sent[1].with_token, sent[1].status), (true, 200));
    // The same client asks again without being challenged.
    value(&client, people::DB_SECRET, None).await;
    assert_eq!(gate.sent().len(), 3);
    let journal = gate.journal();
    assert_eq!(journal.len(), 2);
    let caller = Some(people::SECRETS_USER.object_id);
    assert!(journal.iter().all(|entry| entry.caller == caller));
    gate.finish().await;
}

#[tokio::test]
async fn a_challenged_write_sends_its_value_once_and_only_with_a_token() {
    let gate = Gate::start().await;
    set(&gate.secrets(people::ADMIN), "first", "hush").await;
    let sent = gate.sent();
    assert_eq!(sent.len(), 2);
    assert_eq!((sent[0].method.as_str(), sent[0].with_body), ("PUT", false));
    assert_eq!((sent[1].method.as_str(), sent[1].with_body), ("PUT", true));
    assert_eq!(gate.journal().len(), 1);
    gate.finish().await;
}

#[tokio::test]
async fn the_administrator_lives_through_the_whole_life() {
    let gate = Gate::start().await;
    let client = gate.secrets(people::ADMIN);
    let first = set(&client, "a", "one").await;
    let second = set(&client, "a", "two").await;
    assert_ne!(first, second);
    assert_eq!(value(&client, "a", None).await, "two");
    assert_eq!(value(&client, "a", Some(first.clone())).await, "one");

    let update = UpdateSecretPropertiesParameters {
        content_type: Some("text/plain".into()),
        ..UpdateSecretPropertiesParameters::default()
    };
    let body = update.try_into().unwrap();
    let updated = client.update_secret_properties("a", body, None).await;
    let updated = updated.unwrap().into_model().unwrap();
    assert_eq!(updated.content_type.as_deref(), Some("text/plain"));
    // The id leads to the proxy, and the SDK reads name and version from it.
    let id = updated.resource_id().unwrap();
    assert_eq!(id.vault_url, gate.url);
    assert_eq!((id.name.as_str(), id.version), ("a", Some(second)));

    let backup = client.backup_secret("a", None).await.unwrap();
    let blob = backup.into_model().unwrap().value;
    let deleted = client.delete_secret("a", None).await.unwrap();
    let recovery_id = deleted.into_model().unwrap().recovery_id.unwrap();
    assert_eq!(recovery_id, format!("{}/deletedsecrets/a", gate.url));
    let gone = Refusal::of(client.get_secret("a", None).await);
    assert_eq!(gone.status, StatusCode::NotFound);
    assert_eq!(gone.code, "SecretNotFound");
    // The vault's own answer, not the proxy's.
    assert_eq!(gone.reason, None);
    client.get_deleted_secret("a", None).await.unwrap();
    client.recover_deleted_secret("a", None).await.unwrap();
    assert_eq!(value(&client, "a", Some(first)).await, "one");

    client.delete_secret("a", None).await.unwrap();
    client.purge_deleted_secret("a", None).await.unwrap();
    let restore = RestoreSecretParameters {
        secret_backup: blob,
    };
    let body = restore.try_into().unwrap();
    client.restore_secret(body, None).await.unwrap();
    assert_eq!(value(&client, "a", None).await, "two");
    gate.finish().await;
}

#[tokio::test]
async fn who_may_not_purge_does_everything_up_to_deleting() {
    let gate = Gate::start().await;
    let client = gate.secrets(people::NO_PURGE);
    set(&client, "b", "one").await;
    assert_eq!(value(&client, "b", None).await, "one");
    let backup = client.backup_secret("b", None).await.unwrap();
    assert!(backup.into_model().unwrap().value.is_some());
    let reached = gate.journal().len();

    let refused = Refusal::of(client.delete_secret("b", None).await);
    assert_eq!(refused.status, StatusCode::Forbidden);
    assert_eq!(refused.reason.as_deref(), Some("not_data_action"));
    assert!(
        refused
            .message
            .contains("Action: 'Microsoft.KeyVault/vaults/secrets/delete'")
    );
    assert_eq!(gate.journal().len(), reached);

    let admin = gate.secrets(people::ADMIN);
    admin.delete_secret("b", None).await.unwrap();
    let refused = Refusal::of(client.purge_deleted_secret("b", None).await);
    assert_eq!(refused.reason.as_deref(), Some("not_data_action"));
    client.recover_deleted_secret("b", None).await.unwrap();
    assert_eq!(value(&client, "b", None).await, "one");
    gate.finish().await;
}

#[tokio::test]
async fn values_pass_unchanged_whatever_they_look_like() {
    let gate = Gate::start().await;
    let client = gate.secrets(people::ADMIN);
    let vault = gate.world.vault.authority();
    let large = "x".repeat(25_000);
    let values = [
        // What looks like a link of the vault is nobody's link.
        format!("https://{vault}/secrets/a/0123456789abcdef0123456789abcdef"),
        format!(r#"{{"id":"https://{vault}/secrets/a","nextLink":"https://{vault}/"}}"#),
        "schlüssel \u{1f511} \"quoted\" \\ \r\n\t".to_owned(),
        large,
    ];
    for (number, expected) in values.iter().enumerate() {
        let name = format!("value-{number}");
        set(&client, &name, expected).await;
        assert_eq!(&value(&client, &name, None).await, expected);
    }
    gate.finish().await;
}

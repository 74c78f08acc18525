//! The names by which a client may know the proxy, and what the SDK's check makes of them.

use azure_security_keyvault_keys::ResourceExt as _;
use azure_security_keyvault_secrets::{SecretClient, SecretClientOptions};
use futures_util::TryStreamExt as _;
use portcullis::dev::people;

use crate::gate::{Gate, Placement, Refusal, VAULT_HOST, set};

/// What an application does that was written for the vault, with the SDK's check on.
async fn an_unchanged_application(gate: &Gate) {
    let client = gate.secrets(people::ADMIN);
    for number in 0..27 {
        set(&client, &format!("s{number}"), "v").await;
    }
    let listed: Vec<_> = client
        .list_secret_properties(None)
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(listed.len(), 27 + 3);
    let keys = gate.keys(people::ADMIN);
    let key = keys.get_key(people::SIGNING_KEY, None).await.unwrap();
    let id = key.into_model().unwrap().resource_id().unwrap();
    assert_eq!(id.vault_url, gate.url);
    let nobody = gate.secrets(people::NOBODY);
    let refused = Refusal::of(nobody.get_secret("s0", None).await);
    assert_eq!(refused.inner.as_deref(), Some("ForbiddenByPortcullis"));
}

#[tokio::test]
async fn under_the_vaults_own_name_the_application_is_unchanged_and_so_are_the_answers() {
    let gate = Gate::placed(Placement::Transparent).await;
    assert_eq!(gate.url, format!("https://{VAULT_HOST}"));
    an_unchanged_application(&gate).await;
    // The vault was reached by its name, through the proxy alone.
    for entry in gate.journal() {
        assert_eq!(entry.host.as_deref(), Some(VAULT_HOST));
        assert_eq!(entry.server_name.as_deref(), Some(VAULT_HOST));
    }
    gate.finish().await;
}

#[tokio::test]
async fn under_the_vaults_name_on_another_port_the_links_lead_to_that_port() {
    let gate = Gate::placed(Placement::VaultNameOtherPort).await;
    assert_ne!(
        gate.world.vault.authority().port(),
        gate.world.address().port()
    );
    an_unchanged_application(&gate).await;
    gate.finish().await;
}

#[tokio::test]
async fn under_a_name_of_its_own_the_check_must_be_switched_off() {
    let gate = Gate::start().await;
    let with_check = SecretClientOptions {
        client_options: gate.options(),
        verify_challenge_resource: Some(true),
        ..SecretClientOptions::default()
    };
    let credential = gate.credential(people::ADMIN);
    let client = SecretClient::new(&gate.url, credential, Some(with_check)).unwrap();
    let error = client.get_secret("a", None).await.unwrap_err();
    let cause = std::error::Error::source(&error).unwrap().to_string();
    assert!(cause.contains("verify_challenge_resource"), "{cause}");
    // The SDK gave up before it had a token: only the probe was sent.
    assert_eq!(gate.sent().len(), 1);
    assert!(!gate.sent()[0].with_token);
    // With the check off, as in every other test here, it works.
    let client = gate.secrets(people::ADMIN);
    client.get_secret(people::DB_SECRET, None).await.unwrap();
    gate.finish().await;
}

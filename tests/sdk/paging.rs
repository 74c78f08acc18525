//! Lists of many pages, each of which must lead back to the proxy.

use std::collections::HashSet;

use azure_security_keyvault_secrets::ResourceExt as _;
use azure_security_keyvault_secrets::models::SecretClientListSecretPropertiesVersionsOptions;
use futures_util::TryStreamExt as _;
use portcullis::dev::people;

use crate::gate::{Gate, set};

/// Secrets the vault has from the start.
const SEEDED: usize = 3;

#[tokio::test]
async fn a_list_of_many_pages_never_leaves_the_gate() {
    let gate = Gate::start().await;
    let admin = gate.secrets(people::ADMIN);
    for number in 0..62 {
        set(&admin, &format!("s{number}"), "v").await;
    }
    let before = gate.sent().len();
    let reader = gate.secrets(people::READER);
    let listed: Vec<_> = reader
        .list_secret_properties(None)
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    assert_eq!(listed.len(), 62 + SEEDED);
    let names: HashSet<_> = listed
        .iter()
        .map(|secret| secret.resource_id().unwrap())
        .map(|id| {
            assert_eq!(id.vault_url, gate.url);
            id.name
        })
        .collect();
    assert_eq!(names.len(), 62 + SEEDED);
    // The challenge and three pages of at most 25; `finish` checks where they went.
    let sent = &gate.sent()[before..];
    assert_eq!(sent.len(), 4);
    for page in &sent[2..] {
        // The SDK writes the link's query anew.
        assert!(page.path_and_query.contains("%24skiptoken="), "{page:?}");
    }
    gate.finish().await;
}

#[tokio::test]
async fn small_pages_of_a_list_of_versions_are_followed_to_the_end() {
    let gate = Gate::start().await;
    let admin = gate.secrets(people::ADMIN);
    let mut versions = HashSet::new();
    for number in 0..7 {
        versions.insert(set(&admin, "often", &format!("v{number}")).await);
    }
    let before = gate.sent().len();
    let options = SecretClientListSecretPropertiesVersionsOptions {
        maxresults: Some(2),
        ..SecretClientListSecretPropertiesVersionsOptions::default()
    };
    let listed: Vec<_> = admin
        .list_secret_properties_versions("often", Some(options))
        .unwrap()
        .try_collect()
        .await
        .unwrap();
    let found: HashSet<_> = listed
        .iter()
        .map(|secret| secret.resource_id().unwrap().version.unwrap())
        .collect();
    assert_eq!(found, versions);
    assert_eq!(gate.sent().len() - before, 4);
    gate.finish().await;
}

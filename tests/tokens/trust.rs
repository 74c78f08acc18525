//! A token is held against the vault's issuer and no other.

use std::path::Path;

use portcullis::authn::TokenDefect;
use portcullis::config::{Issuer, KeySource};
use serde_json::json;
use tempfile::TempDir;

use crate::Bench;
use crate::support::tokens::{
    ALPHA, BETA, Draft, OTHER_TENANT, TENANT, issuer, replace_file, v1_issuer,
};

/// An issuer of the given name and tenant with a key file of its own.
fn issuer_with(directory: &Path, name: &str, tenant: &str, keys: &str) -> Issuer {
    let file = directory.join(format!("{name}.json"));
    replace_file(&file, keys);
    let mut issuer = issuer(KeySource::JwksFile(file), None);
    issuer.name = name.into();
    issuer.tenant_id = tenant.parse().unwrap();
    issuer.issuers = vec![v1_issuer(tenant).into()];
    issuer
}

fn set(key: &serde_json::Value) -> String {
    json!({ "keys": [key] }).to_string()
}

async fn two(first_keys: &str, second_tenant: &str, second_keys: &str) -> (Bench, TempDir) {
    let directory = tempfile::tempdir().unwrap();
    let issuers = [
        issuer_with(directory.path(), "first", TENANT, first_keys),
        issuer_with(directory.path(), "second", second_tenant, second_keys),
    ];
    (Bench::ready(&issuers).await, directory)
}

#[tokio::test]
async fn shared_keys_do_not_make_tenants_interchangeable() {
    let keys = set(&ALPHA.jwk());
    let (bench, _directory) = two(&keys, OTHER_TENANT, &keys).await;
    let token = Draft::new().signed();
    // In both orders: the second time the token is in the cache, for the first issuer only.
    for _ in 0..2 {
        let error = bench.judge_for("second", &token).await.unwrap_err();
        assert_eq!(error.detail, TokenDefect::Tenant);
        let caller = bench.judge_for("first", &token).await.unwrap();
        assert_eq!(&*caller.claims().issuer_name, "first");
    }
}

#[tokio::test]
async fn one_token_at_two_issuers_is_two_identities() {
    let keys = set(&ALPHA.jwk());
    let (bench, _directory) = two(&keys, TENANT, &keys).await;
    let token = Draft::new().signed();
    for name in ["first", "second", "first", "second"] {
        let caller = bench.judge_for(name, &token).await.unwrap();
        assert_eq!(&*caller.claims().issuer_name, name);
    }
}

#[tokio::test]
async fn a_kid_means_the_issuers_own_key() {
    let (first, second) = (ALPHA.jwk_named("shared"), BETA.jwk_named("shared"));
    let (bench, _directory) = two(&set(&first), TENANT, &set(&second)).await;
    let draft = Draft::new().header("kid", "shared");
    let (by_alpha, by_beta) = (draft.signed(), draft.signed_by(&BETA));
    assert!(bench.judge_for("first", &by_alpha).await.is_ok());
    assert!(bench.judge_for("second", &by_beta).await.is_ok());
    for (name, token) in [("first", by_beta), ("second", by_alpha)] {
        let error = bench.judge_for(name, &token).await.unwrap_err();
        assert_eq!(error.detail, TokenDefect::Signature, "{name}");
    }
}

#[tokio::test]
async fn another_issuers_key_is_not_looked_for() {
    let (bench, _directory) = two(&set(&ALPHA.jwk()), TENANT, &set(&BETA.jwk())).await;
    let token = Draft::new().signed();
    let error = bench.judge_for("second", &token).await.unwrap_err();
    assert_eq!(error.detail, TokenDefect::UnknownKey);
    assert!(bench.judge_for("first", &token).await.is_ok());
    let judged = bench.events.judged.lock().unwrap().clone();
    assert_eq!(
        judged,
        [
            ("second".to_owned(), Err(TokenDefect::UnknownKey)),
            ("first".to_owned(), Ok(())),
        ]
    );
}

#[tokio::test]
async fn another_configuration_starts_from_nothing() {
    let token = Draft::new().signed();
    let before = Bench::with_file(&[&ALPHA], |_| ()).await;
    assert!(before.judge(&token).await.is_ok());
    let after = Bench::with_file(&[&ALPHA], |main| {
        main.audiences = vec!["https://other.contoso.example".into()];
    })
    .await;
    assert_eq!(after.defect(&token).await, TokenDefect::Audience);
}

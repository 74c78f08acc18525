//! Conditions on what a body says: new secrets, and keys as they are made.

use portcullis::dev::people;
use serde_json::{Value, json};

use super::policy::{CALLER, CRYPTO_OFFICER, Policy, SECRETS_OFFICER};
use super::{body, false_because, missing};
use crate::gate::{Gate, Refusal};

const NEW_SECRETS: &str = "\
    ((!(ActionMatches{'Microsoft.KeyVault/vaults/secrets/setSecret/action'})) OR \
    (@Request[Microsoft.KeyVault/vaults/secrets:expires] DateTimeLessThan \
    '2028-01-01T00:00:00.0Z' AND \
    @Request[Microsoft.KeyVault/vaults/secrets/tags&$keys$&] ForAllOfAnyValues:StringEquals \
    {'owner', 'env'} AND \
    @Request[Microsoft.KeyVault/vaults/secrets/tags:owner<$key_case_sensitive$>] StringLike \
    '*@contoso.com' AND (NOT Exists @Request[Microsoft.KeyVault/vaults/secrets:enabled] OR \
    @Request[Microsoft.KeyVault/vaults/secrets:enabled] BoolEquals true)))";

const EXPIRES: &str = "\
    @Request[Microsoft.KeyVault/vaults/secrets:expires] DateTimeLessThan '2028-01-01T00:00:00.0Z'";
const TAGS: &str = "\
    @Request[Microsoft.KeyVault/vaults/secrets/tags&$keys$&] ForAllOfAnyValues:StringEquals \
    {'owner', 'env'}";
const OWNER: &str = "\
    @Request[Microsoft.KeyVault/vaults/secrets/tags:owner<$key_case_sensitive$>] StringLike \
    '*@contoso.com'";
/// The first of two alternatives, which is the one that is named if both fail.
const ENABLED: &str = "NOT Exists @Request[Microsoft.KeyVault/vaults/secrets:enabled] OR \
    @Request[Microsoft.KeyVault/vaults/secrets:enabled] BoolEquals true";

/// The end of 2027 and the beginning of 2028, in seconds.
const BEFORE_2028: u64 = 1_830_297_599;
const IN_2028: u64 = 1_830_297_600;

/// A body that passes, with `changes` made to it; null takes a member away.
fn secret(changes: &[(&str, Value)]) -> Value {
    let mut content = json!({
        "value": "hush",
        "attributes": { "exp": BEFORE_2028 },
        "tags": { "owner": "alice@contoso.com", "env": "prod" },
    });
    for (pointer, value) in changes {
        let (parent, name) = pointer.rsplit_once('/').unwrap();
        let members = content
            .pointer_mut(parent)
            .unwrap()
            .as_object_mut()
            .unwrap();
        if value.is_null() {
            members.remove(name);
        } else {
            members.insert((*name).to_owned(), value.clone());
        }
    }
    content
}

async fn set(gate: &Gate, name: &str, content: &Value) -> azure_core::Result<()> {
    let client = gate.secrets(CALLER);
    client.set_secret(name, body(content), None).await.map(drop)
}

#[tokio::test]
async fn a_new_secret_ends_has_an_owner_and_is_enabled() {
    let gate = Policy::default()
        .local(SECRETS_OFFICER, NEW_SECRETS)
        .start()
        .await;
    for (number, good) in [
        secret(&[]),
        secret(&[("/attributes/enabled", json!(true))]),
        secret(&[("/tags/env", Value::Null)]),
    ]
    .iter()
    .enumerate()
    {
        set(&gate, &format!("new-{number}"), good).await.unwrap();
    }
    assert_eq!(gate.reached().len(), 3);
    // What was understood is what was sent.
    let read = gate
        .secrets(CALLER)
        .get_secret("new-0", None)
        .await
        .unwrap();
    let read = read.into_model().unwrap();
    assert_eq!(read.value.as_deref(), Some("hush"));
    assert_eq!(read.tags.unwrap()["owner"], "alice@contoso.com");
    gate.reached();

    let late = secret(&[("/attributes/exp", json!(IN_2028))]);
    false_because(set(&gate, "bad", &late).await, EXPIRES);
    let endless = secret(&[("/attributes/exp", Value::Null)]);
    let expires = "@Request[Microsoft.KeyVault/vaults/secrets:expires]";
    missing(set(&gate, "bad", &endless).await, EXPIRES, expires);
    let more = secret(&[("/tags/team", json!("x"))]);
    false_because(set(&gate, "bad", &more).await, TAGS);
    let none = secret(&[("/tags", Value::Null)]);
    let keys = "@Request[Microsoft.KeyVault/vaults/secrets/tags&$keys$&]";
    missing(set(&gate, "bad", &none).await, TAGS, keys);
    let foreign = secret(&[("/tags/owner", json!("mallory@example.com"))]);
    false_because(set(&gate, "bad", &foreign).await, OWNER);
    let unowned = secret(&[("/tags/owner", Value::Null)]);
    let owner = "@Request[Microsoft.KeyVault/vaults/secrets/tags:owner<$key_case_sensitive$>]";
    missing(set(&gate, "bad", &unowned).await, OWNER, owner);
    let disabled = secret(&[("/attributes/enabled", json!(false))]);
    false_because(set(&gate, "bad", &disabled).await, ENABLED);
    assert!(gate.reached().is_empty());
    gate.finish().await;
}

#[tokio::test]
async fn a_body_that_two_readers_could_read_in_two_ways_is_refused() {
    let gate = Policy::default()
        .local(SECRETS_OFFICER, NEW_SECRETS)
        .start()
        .await;
    for two_ways in [
        r#"{"value":"x","attributes":{"exp":1},"tags":{"owner":"a@contoso.com"},"Tags":{"o":"x"}}"#,
        r#"{"value":"x","attributes":{"exp":1},"tags":{"o":"x"},"tags":{"owner":"a@contoso.com"}}"#,
        r#"{"value":"x","attributes":{"exp":1,"exp":9000000000},"tags":{"owner":"a@contoso.com"}}"#,
        r#"{"value":"x","attributes":{"exp":1,"Enabled":false},"tags":{"owner":"a@contoso.com"}}"#,
        r#"{"value":"x","attributes":{"exp":1},"tags":{"owner":"a@contoso.com"}} {}"#,
        r#"[{"value":"x"}]"#,
    ] {
        let (status, reason, text) = gate.send(CALLER, "PUT", "/secrets/bad", two_ways).await;
        assert_eq!(
            (status, reason.as_deref()),
            (400, Some("bad_body")),
            "{text}"
        );
        // A text that says what is wrong repeats nothing of the body.
        assert!(!text.contains("contoso"), "{text}");
    }
    assert!(gate.reached().is_empty());
    // Who holds the role without a condition may send what the vault makes of it.
    let body = r#"{"value":"x","odd":1,"odd":2}"#;
    let (_, reason, _) = gate.send(people::ADMIN, "PUT", "/secrets/odd", body).await;
    assert_eq!(reason, None);
    assert_eq!(gate.reached(), ["PUT /secrets/odd"]);
    gate.finish().await;
}

const STRONG_KEYS: &str = "\
    ((!(ActionMatches{'Microsoft.KeyVault/vaults/keys/create/action'}) AND \
    !(ActionMatches{'Microsoft.KeyVault/vaults/keys/import/action'})) OR \
    ((@Request[Microsoft.KeyVault/vaults/keys:keyType] StringEquals 'RSA-HSM' AND \
    @Request[Microsoft.KeyVault/vaults/keys:keySize] NumericGreaterThanEquals 3072) OR \
    (@Request[Microsoft.KeyVault/vaults/keys:keyType] StringEquals 'EC-HSM' AND \
    @Request[Microsoft.KeyVault/vaults/keys:curve] ForAnyOfAnyValues:StringEquals \
    {'P-384', 'P-521'})))";

async fn create(gate: &Gate, content: &Value) -> azure_core::Result<()> {
    let client = gate.keys(CALLER);
    client.create_key("k", body(content), None).await.map(drop)
}

const RSA: &str = "@Request[Microsoft.KeyVault/vaults/keys:keyType] StringEquals 'RSA-HSM'";
const EC: &str = "@Request[Microsoft.KeyVault/vaults/keys:keyType] StringEquals 'EC-HSM'";
const SIZE: &str = "@Request[Microsoft.KeyVault/vaults/keys:keySize] NumericGreaterThanEquals 3072";

#[tokio::test]
async fn keys_are_made_in_hardware_and_strong() {
    let gate = Policy::default()
        .local(CRYPTO_OFFICER, STRONG_KEYS)
        .start()
        .await;
    for strong in [
        json!({ "kty": "RSA-HSM", "key_size": 3072 }),
        json!({ "kty": "RSA-HSM", "key_size": 4096 }),
        json!({ "kty": "EC-HSM", "crv": "P-384" }),
        json!({ "kty": "EC-HSM", "crv": "P-521" }),
    ] {
        create(&gate, &strong).await.unwrap();
        assert_eq!(gate.reached(), ["POST /keys/k/create"]);
    }
    let curve = "@Request[Microsoft.KeyVault/vaults/keys:curve] \
                 ForAnyOfAnyValues:StringEquals {'P-384', 'P-521'}";
    // Of each alternative, what is wrong with it.
    for (weak, first, second) in [
        (json!({ "kty": "RSA", "key_size": 4096 }), RSA, EC),
        (json!({ "kty": "EC", "crv": "P-521" }), RSA, EC),
        (json!({ "kty": "RSA-HSM", "key_size": 2048 }), SIZE, EC),
        (json!({ "kty": "EC-HSM", "crv": "P-256" }), RSA, curve),
    ] {
        let clauses = format!("{first} OR {second}");
        false_because(create(&gate, &weak).await, &clauses);
    }
    let outcome = create(&gate, &json!({ "kty": "RSA-HSM" })).await;
    missing(
        outcome,
        SIZE,
        "@Request[Microsoft.KeyVault/vaults/keys:keySize]",
    );
    let outcome = create(&gate, &json!({ "kty": "EC-HSM" })).await;
    missing(
        outcome,
        curve,
        "@Request[Microsoft.KeyVault/vaults/keys:curve]",
    );
    let outcome = create(&gate, &json!({ "key_size": 4096 })).await;
    missing(
        outcome,
        &format!("{RSA} OR {EC}"),
        "@Request[Microsoft.KeyVault/vaults/keys:keyType]",
    );
    assert!(gate.reached().is_empty());
    gate.finish().await;
}

#[tokio::test]
async fn what_is_imported_is_held_against_the_same() {
    let gate = Policy::default()
        .local(CRYPTO_OFFICER, STRONG_KEYS)
        .start()
        .await;
    let client = gate.keys(CALLER);
    let modulus = |bytes: usize| azure_core::base64::encode_url_safe(vec![0xc5; bytes]);
    let imported = |kty: &str, bytes: usize| json!({ "key": { "kty": kty, "n": modulus(bytes), "e": "AQAB" } });
    let outcome = client.import_key("k", body(&imported("RSA-HSM", 384)), None);
    // The vault is asked, and wants more of the key.
    assert_eq!(Refusal::of(outcome.await).reason, None);
    assert_eq!(gate.reached(), ["PUT /keys/k"]);
    let outcome = client.import_key("k", body(&imported("RSA-HSM", 256)), None);
    false_because(outcome.await, &format!("{SIZE} OR {EC}"));
    let outcome = client.import_key("k", body(&imported("RSA", 384)), None);
    false_because(outcome.await, &format!("{RSA} OR {EC}"));
    assert!(gate.reached().is_empty());
    gate.finish().await;
}

//! Conditions on how a key is used: its properties as the vault tells them, and the algorithm in
//! the body.

use azure_security_keyvault_keys::ResourceExt as _;
use portcullis::dev::people;
use serde_json::{Value, json};

use super::policy::{CALLER, CRYPTO_USER, Policy};
use super::{body, false_because, missing};
use crate::gate::Gate;

const SIGNING: &str = "\
    ((!(ActionMatches{'Microsoft.KeyVault/vaults/keys/sign/action'})) OR \
    (@Resource[Microsoft.KeyVault/vaults/keys:name] StringEquals 'release-signing' AND \
    @Resource[Microsoft.KeyVault/vaults/keys:enabled] BoolEquals true AND \
    @Resource[Microsoft.KeyVault/vaults/keys:exportable] BoolEquals false AND \
    @Request[Microsoft.KeyVault/vaults/keys:algorithm] ForAnyOfAnyValues:StringEquals \
    {'ES384', 'PS384', 'PS512'}))";
const ALGORITHM: &str = "@Request[Microsoft.KeyVault/vaults/keys:algorithm]";

const KEY: &str = "release-signing";
const LOOK: &str = "GET /keys/release-signing";

/// Has the administrator make a version of the signing key; returns it.
async fn make(gate: &Gate, attributes: &Value) -> String {
    let content = json!({ "kty": "EC", "crv": "P-384", "attributes": attributes });
    made(gate, &content).await
}

/// Has the administrator put an exportable key in the place of the signing key: no version of a
/// key is exportable if the first is not.
async fn make_exportable(gate: &Gate) {
    let client = gate.keys(people::ADMIN);
    client.delete_key(KEY, None).await.unwrap();
    client.purge_deleted_key(KEY, None).await.unwrap();
    let claim = json!({ "claim": "x-ms-attestation-type", "equals": "sevsnpvm" });
    let rules = json!({
        "version": "1.0.0",
        "anyOf": [{ "authority": "https://attest.example/", "allOf": [claim] }],
    });
    let rules = azure_core::base64::encode_url_safe(rules.to_string());
    let content = json!({
        "kty": "EC-HSM", "crv": "P-384", "attributes": { "exportable": true },
        "release_policy": { "data": rules },
    });
    made(gate, &content).await;
}

async fn made(gate: &Gate, content: &Value) -> String {
    let client = gate.keys(people::ADMIN);
    let key = client.create_key(KEY, body(content), None).await.unwrap();
    let id = key.into_model().unwrap().resource_id().unwrap();
    gate.reached();
    id.version.unwrap()
}

async fn sign(gate: &Gate, name: &str, algorithm: Option<&str>) -> azure_core::Result<()> {
    let digest = azure_core::base64::encode_url_safe([7; 48]);
    let content = match algorithm {
        Some(algorithm) => json!({ "alg": algorithm, "value": digest }),
        None => json!({ "value": digest }),
    };
    let client = gate.keys(CALLER);
    client.sign(name, body(&content), None).await.map(drop)
}

#[tokio::test]
async fn a_signing_service_signs_with_its_key_and_modern_algorithms() {
    let gate = Policy::default()
        .narrowed(CRYPTO_USER, SIGNING)
        .start()
        .await;
    let version = make(&gate, &json!({})).await;
    sign(&gate, KEY, Some("ES384")).await.unwrap();
    let signed = format!("POST /keys/{KEY}/{version}/sign");
    assert_eq!(gate.reached(), [LOOK, &signed]);

    let clause = "@Resource[Microsoft.KeyVault/vaults/keys:name] StringEquals 'release-signing'";
    let outcome = sign(&gate, people::SIGNING_KEY, Some("PS384")).await;
    false_because(outcome, clause);
    let clause =
        format!("{ALGORITHM} ForAnyOfAnyValues:StringEquals {{'ES384', 'PS384', 'PS512'}}");
    for other in ["ES256", "RS384", "es384"] {
        false_because(sign(&gate, KEY, Some(other)).await, &clause);
    }
    missing(sign(&gate, KEY, None).await, &clause, ALGORITHM);
    // The request says enough: the vault is not asked about the key.
    assert!(gate.reached().is_empty());

    make(&gate, &json!({ "enabled": false })).await;
    let clause = "@Resource[Microsoft.KeyVault/vaults/keys:enabled] BoolEquals true";
    false_because(sign(&gate, KEY, Some("ES384")).await, clause);
    assert_eq!(gate.reached(), [LOOK]);
    make_exportable(&gate).await;
    let clause = "@Resource[Microsoft.KeyVault/vaults/keys:exportable] BoolEquals false";
    false_because(sign(&gate, KEY, Some("ES384")).await, clause);
    assert_eq!(gate.reached(), [LOOK]);
    // Looking at a key is not signing with it.
    gate.keys(CALLER)
        .get_key(people::SIGNING_KEY, None)
        .await
        .unwrap();
    gate.finish().await;
}

const UNWRAPPING: &str = "\
    ((!(ActionMatches{'Microsoft.KeyVault/vaults/keys/unwrap/action'}) AND \
    !(ActionMatches{'Microsoft.KeyVault/vaults/keys/decrypt/action'})) OR \
    (@Request[Microsoft.KeyVault/vaults/keys:algorithm] ForAnyOfAnyValues:StringEquals \
    {'RSA-OAEP-256', 'A256KW', 'A256GCM'}))";

#[tokio::test]
async fn nothing_is_unwrapped_or_decrypted_with_an_old_algorithm() {
    let gate = Policy::default()
        .local(CRYPTO_USER, UNWRAPPING)
        .start()
        .await;
    let client = gate.keys(CALLER);
    let key = people::SIGNING_KEY;
    let plain = azure_core::base64::encode_url_safe("thirty-two bytes of key material");
    let content = |algorithm: &str, value: &str| json!({ "alg": algorithm, "value": value });
    let wrapped = client
        .wrap_key(key, body(&content("RSA-OAEP-256", &plain)), None)
        .await
        .unwrap();
    let wrapped = wrapped.into_model().unwrap().result.unwrap();
    let wrapped = azure_core::base64::encode_url_safe(wrapped);
    // Wrapping is not what this condition is about.
    client
        .wrap_key(key, body(&content("RSA-OAEP", &plain)), None)
        .await
        .unwrap();
    gate.reached();

    let good = || content("RSA-OAEP-256", &wrapped);
    client
        .unwrap_key(key, "", body(&good()), None)
        .await
        .unwrap();
    client.decrypt(key, "", body(&good()), None).await.unwrap();
    // A body says it all, so nothing is asked and nothing is pinned.
    let verbs = ["unwrapkey", "decrypt"];
    assert_eq!(
        gate.reached(),
        verbs.map(|verb| format!("POST /keys/{key}/{verb}"))
    );

    let clause = format!(
        "{ALGORITHM} ForAnyOfAnyValues:StringEquals {{'RSA-OAEP-256', 'A256KW', 'A256GCM'}}"
    );
    for old in ["RSA1_5", "RSA-OAEP", "rsa-oaep-256"] {
        let old = || content(old, &wrapped);
        let outcome = client.unwrap_key(key, "", body(&old()), None).await;
        false_because(outcome, &clause);
        let outcome = client.decrypt(key, "", body(&old()), None).await;
        false_because(outcome, &clause);
    }
    let content = json!({ "value": wrapped });
    let outcome = client.unwrap_key(key, "", body(&content), None).await;
    missing(outcome, &clause, ALGORITHM);
    assert!(gate.reached().is_empty());
    gate.finish().await;
}

//! Exportable keys, their release policies, and what becomes of a request to release one.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use serde_json::{Value, json};

use crate::world::{Reply, World};

fn encoded(rules: &str) -> String {
    URL_SAFE_NO_PAD.encode(rules)
}

/// Rules with their members in another order than the service's.
fn rules(claim: &str) -> String {
    encoded(&format!(
        r#"{{"anyOf":[{{"allOf":[{{"claim":"{claim}","equals":"true"}}],"authority":"https://attest.example/"}}],"version":"1.0.0"}}"#
    ))
}

/// The same as the service shows them.
fn shown_rules(claim: &str) -> String {
    encoded(&format!(
        r#"{{"version":"1.0.0","anyOf":[{{"authority":"https://attest.example/","allOf":[{{"claim":"{claim}","equals":"true"}}]}}]}}"#
    ))
}

fn exportable(policy: &Value) -> Value {
    json!({
        "kty": "EC-HSM", "attributes": { "exportable": true }, "release_policy": policy,
    })
}

#[track_caller]
fn refused(reply: &Reply, code: &str, text: &str) {
    assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{}", reply.body);
    assert_eq!(
        reply.body,
        json!({ "error": { "code": "BadParameter", "message": format!("{code}: {text}") } })
    );
}

#[tokio::test]
async fn a_release_policy_is_kept_and_shown_and_inherited() {
    let world = World::start().await;
    let body = exportable(&json!({ "data": rules("a") }));
    let created = world.send("POST", "/keys/k/create", body).await;
    assert_eq!(created.status, StatusCode::OK, "{}", created.body);
    assert_eq!(created.body["attributes"]["exportable"], true);
    let shown = json!({
        "contentType": "application/json; charset=utf-8", "data": shown_rules("a"),
    });
    assert_eq!(created.body["release_policy"], shown);
    assert_eq!(world.get("/keys/k").await.body, created.body);
    // Further versions have what the first one has.
    let body = json!({ "kty": "EC-HSM" });
    let second = world.send("POST", "/keys/k/create", body).await;
    assert_eq!(second.body["attributes"]["exportable"], true);
    assert_eq!(second.body["release_policy"], shown);
    let third = world.send("POST", "/keys/k/rotate", Value::Null).await;
    assert_eq!(third.body["release_policy"], shown);

    let policy = json!({ "data": rules("b"), "immutable": true, "contentType": "a/b" });
    let change = json!({ "release_policy": policy });
    let updated = world.send("PATCH", "/keys/k/", change).await;
    let shown = json!({ "contentType": "a/b", "data": shown_rules("b"), "immutable": true });
    assert_eq!(updated.body["release_policy"], shown);
    let backup = world.send("POST", "/keys/k/backup", Value::Null).await;
    world.send("DELETE", "/keys/k", Value::Null).await;
    world.send("DELETE", "/deletedkeys/k", Value::Null).await;
    let blob = json!({ "value": backup.text("value") });
    let restored = world.send("POST", "/keys/restore", blob).await;
    assert_eq!(restored.body, updated.body);
}

#[tokio::test]
async fn an_immutable_policy_is_not_changed_in_any_way() {
    let world = World::start().await;
    let policy = json!({ "data": rules("a"), "immutable": true });
    let created = world
        .send("POST", "/keys/k/create", exportable(&policy))
        .await;
    let text = "Immutable Key Release Policy cannot be modified.";
    for other in [
        json!({ "data": rules("b"), "immutable": true }),
        json!({ "data": rules("a"), "immutable": false }),
    ] {
        let change = json!({ "release_policy": other });
        let reply = world.send("PATCH", "/keys/k", change).await;
        refused(&reply, "AKV.SKR.1020", text);
        let reply = world
            .send("POST", "/keys/k/create", exportable(&other))
            .await;
        refused(&reply, "AKV.SKR.1020", text);
    }
    let change = json!({ "release_policy": policy, "tags": { "a": "b" } });
    let same = world.send("PATCH", "/keys/k", change).await;
    assert_eq!(same.status, StatusCode::OK);
    assert_eq!(same.body["release_policy"], created.body["release_policy"]);
}

#[tokio::test]
async fn what_does_not_go_together_is_refused_in_key_vaults_words() {
    let world = World::start().await;
    let policy = json!({ "data": rules("a") });
    let create = |body| world.send("POST", "/keys/k/create", body);
    let reply = create(json!({ "kty": "EC-HSM", "attributes": { "exportable": true } })).await;
    refused(
        &reply,
        "AKV.SKR.1004",
        "Exportable keys must have release policy.",
    );
    let reply = create(json!({ "kty": "EC-HSM", "release_policy": policy })).await;
    let text = "Non-exportable keys must not have release policy.";
    refused(&reply, "AKV.SKR.1005", text);
    let mut software = exportable(&policy);
    software["kty"] = "EC".into();
    let reply = create(software).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    for data in ["e30", "!", "", &encoded(r#"{"version":"1","anyOf":[{}]}"#)] {
        let reply = create(exportable(&json!({ "data": data }))).await;
        assert_eq!(reply.error(), ("BadParameter", None), "{data}");
    }
    assert_eq!(world.get("/keys/k").await.status, StatusCode::NOT_FOUND);

    let created = create(exportable(&policy)).await;
    let change = json!({ "attributes": { "exportable": false } });
    let reply = world.send("PATCH", "/keys/k", change).await;
    let text = "Cannot modify the exportable state of a key.";
    refused(&reply, "AKV.SKR.1014", text);
    let kid = reqwest::Url::parse(created.body["key"]["kid"].as_str().unwrap()).unwrap();
    let change = json!({ "release_policy": policy });
    let reply = world.send("PATCH", kid.path(), change).await;
    let text = "Key Release Policy can only be set on versionless key.";
    refused(&reply, "AKV.SKR.1016", text);
    let reply = create(json!({ "kty": "EC", "attributes": { "exportable": false } })).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert_eq!(world.get("/keys/k").await.body, created.body);
}

#[tokio::test]
async fn no_statement_can_be_verified_whichever_way_it_comes() {
    let world = World::start().await;
    let body = exportable(&json!({ "data": rules("a") }));
    let created = world.send("POST", "/keys/k/create", body).await;
    let kid = reqwest::Url::parse(created.body["key"]["kid"].as_str().unwrap()).unwrap();
    let request = json!({ "target": "eyJhbGciOiJub25lIn0.e30.", "enc": "RSA_AES_KEY_WRAP_256" });
    for path in ["/keys/k", "/keys/k/", kid.path()] {
        let path = format!("{path}/release");
        let reply = world.send("POST", &path, request.clone()).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{path}");
        assert_eq!(
            reply.body,
            json!({ "error": {
                "code": "Forbidden",
                "message": "Target environment attestation statement cannot be verified.",
                "innererror": { "code": "AccessDenied" },
            }})
        );
    }
    for body in [
        json!({}),
        json!({ "target": "" }),
        json!({ "target": "a", "enc": "A256KW" }),
    ] {
        let reply = world.send("POST", "/keys/k/release", body).await;
        assert_eq!(reply.error(), ("BadParameter", None));
    }
    let change = json!({ "attributes": { "enabled": false } });
    world.send("PATCH", "/keys/k", change).await;
    let reply = world.send("POST", "/keys/k/release", request.clone()).await;
    assert_eq!(reply.error(), ("Forbidden", Some("KeyDisabled")));
    let reply = world.send("POST", "/keys/signing/release", request).await;
    assert_eq!(reply.error(), ("Forbidden", Some("KeyOperationForbidden")));
}

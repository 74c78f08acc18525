//! The issuer: discovery, keys, tokens, errors, rotation.

use std::collections::HashMap;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use portcullis::dev::people;
use serde_json::{Value, json};

use crate::world::{Reply, World, read, tenant_issuer};

async fn token(world: &World, form: &[(&str, &str)]) -> Reply {
    let body: String = form_urlencode(form);
    let request = world
        .client
        .post(format!("{}/oauth2/v2.0/token", world.issuer.tenant_url()))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body);
    read(request).await
}

fn form_urlencode(form: &[(&str, &str)]) -> String {
    reqwest::Url::parse_with_params("form:", form)
        .unwrap()
        .query()
        .unwrap_or_default()
        .to_owned()
}

fn decoded(part: &str) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap()
}

/// A good form, with some members changed; an empty value leaves the member out.
async fn altered(world: &World, changes: &[(&str, &str)]) -> Reply {
    let client_id = people::DB_APP.client_id.to_string();
    let mut form = HashMap::from([
        ("grant_type", "client_credentials"),
        ("client_id", client_id.as_str()),
        ("client_secret", world.issuer.client_secret()),
        ("scope", "https://vault.azure.net/.default"),
        // SDKs send members the issuer does not know.
        ("client_info", "1"),
    ]);
    form.extend(changes.iter().copied());
    form.retain(|_, value| !value.is_empty());
    let form: Vec<_> = form.into_iter().collect();
    token(world, &form).await
}

#[tokio::test]
async fn a_client_gets_a_token_of_key_vaults_form() {
    let world = World::start().await;
    let reply = altered(&world, &[]).await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(reply.body["token_type"], "Bearer");
    assert_eq!(reply.body["expires_in"], 3599);
    assert_eq!(reply.body["ext_expires_in"], 3599);
    let parts: Vec<&str> = reply.text("access_token").split('.').collect();
    let [header, claims, _] = parts.as_slice() else {
        panic!("three parts");
    };
    let header = decoded(header);
    assert_eq!(
        (&header["alg"], &header["typ"]),
        (&json!("RS256"), &json!("JWT"))
    );
    let claims = decoded(claims);
    let object_id = people::DB_APP.object_id.to_string();
    let now = world.clock.seconds();
    for (name, value) in [
        ("aud", json!("https://vault.azure.net")),
        ("iss", json!(tenant_issuer())),
        ("appid", json!(people::DB_APP.client_id.to_string())),
        ("oid", json!(object_id)),
        ("sub", json!(object_id)),
        ("tid", json!(people::TENANT.to_string())),
        ("ver", json!("1.0")),
        ("iat", json!(now - 300)),
        ("nbf", json!(now - 300)),
        ("exp", json!(now + 3600)),
    ] {
        assert_eq!(claims[name], value, "{name}");
    }
    assert!(claims["uti"].is_string());
    assert!(claims.get("groups").is_none() && claims.get("idtyp").is_none());
}

#[tokio::test]
async fn an_assertion_takes_the_place_of_the_secret() {
    let world = World::start().await;
    let assertion = world.issuer.client_assertion().unwrap();
    let form = |assertion| {
        [
            ("client_secret", ""),
            ("client_assertion", assertion),
            (
                "client_assertion_type",
                "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
            ),
        ]
    };
    let reply = altered(&world, &form(assertion.expose())).await;
    assert_eq!(reply.status, 200, "{}", reply.body);
    let claims = decoded(reply.text("access_token").split('.').nth(1).unwrap());
    assert_eq!(claims["oid"], people::DB_APP.object_id.to_string());

    // A token of the same issuer is none, nor is one without its type, nor one that is a day old.
    let refused = async |changes: &[(&str, &str)]| {
        let reply = altered(&world, changes).await;
        assert_eq!(reply.status, 401, "{changes:?}");
        assert_eq!(reply.body["error_codes"], json!([700_027]), "{changes:?}");
    };
    refused(&form(reply.text("access_token"))).await;
    refused(&form(assertion.expose())[..2]).await;
    refused(&form("a.b.c")).await;
    world.clock.advance(Duration::from_secs(24 * 3600));
    refused(&form(assertion.expose())).await;
}

#[tokio::test]
async fn a_bad_token_request_gets_entras_error() {
    let world = World::start().await;
    for (change, status, error, code) in [
        (("grant_type", ""), 400, "invalid_request", 900_144),
        (
            ("grant_type", "password"),
            400,
            "unsupported_grant_type",
            70003,
        ),
        (("client_id", ""), 400, "invalid_request", 900_144),
        (
            ("client_id", "unknown"),
            400,
            "unauthorized_client",
            700_016,
        ),
        (("client_secret", ""), 401, "invalid_client", 7_000_216),
        (("client_secret", "wrong"), 401, "invalid_client", 7_000_215),
        (("scope", ""), 400, "invalid_request", 900_144),
        (
            ("scope", "https://vault.azure.net"),
            400,
            "invalid_scope",
            1_002_012,
        ),
        (
            ("scope", "https://other.example/.default"),
            400,
            "invalid_resource",
            500_011,
        ),
    ] {
        let reply = altered(&world, &[change]).await;
        assert_eq!(reply.status, status, "{change:?}");
        assert_eq!(reply.body["error"], error, "{change:?}");
        assert_eq!(reply.body["error_codes"], json!([code]), "{change:?}");
        let text = reply.text("error_description");
        assert!(text.starts_with(&format!("AADSTS{code}: ")), "{text}");
        assert!(reply.body["trace_id"].is_string() && reply.body["correlation_id"].is_string());
    }
}

#[tokio::test]
async fn the_scope_becomes_the_audience_to_the_letter() {
    let world = World::start().await;
    for (scope, audience) in [
        (
            "https://vault.azure.net//.default",
            "https://vault.azure.net/",
        ),
        (
            "https://management.azure.com/.default",
            "https://management.azure.com",
        ),
    ] {
        let reply = altered(&world, &[("scope", scope)]).await;
        let claims = reply.text("access_token").split('.').nth(1).unwrap();
        assert_eq!(decoded(claims)["aud"], audience);
    }
}

#[tokio::test]
async fn discovery_leads_to_the_key_that_signs() {
    let world = World::start().await;
    let base = world.issuer.tenant_url();
    let v1 = read(world.client.get(world.issuer.discovery_url())).await;
    assert_eq!(v1.body["issuer"], tenant_issuer());
    let v2 = format!("{base}/v2.0/.well-known/openid-configuration");
    let v2 = read(world.client.get(v2)).await;
    assert_eq!(v2.body["issuer"], format!("{base}/v2.0"));
    assert_eq!(
        v2.body["token_endpoint"],
        format!("{base}/oauth2/v2.0/token")
    );
    let token = world.token(people::ADMIN);
    let header = decoded(token.split('.').next().unwrap());
    for document in [v1, v2] {
        let keys = read(world.client.get(document.text("jwks_uri"))).await;
        let [key] = keys.body["keys"].as_array().unwrap().as_slice() else {
            panic!("one key");
        };
        assert_eq!(key["kid"], header["kid"]);
        assert_eq!((&key["kty"], &key["use"]), (&json!("RSA"), &json!("sig")));
        assert_eq!(key["e"], "AQAB");
    }
    let keys = read(world.client.get(format!("{base}/discovery/v2.0/keys"))).await;
    assert_eq!(keys.body["keys"][0]["issuer"], tenant_issuer());
}

#[tokio::test]
async fn rotation_keeps_the_old_key_for_a_while_unless_told_otherwise() {
    let world = World::start().await;
    let base = world.issuer.tenant_url();
    let jwks = async || {
        let keys = read(world.client.get(format!("{base}/discovery/keys"))).await;
        let keys = keys.body["keys"].as_array().unwrap().clone();
        keys.iter()
            .map(|key| key["kid"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    let rotate = |query: &str| read(world.client.post(format!("{base}/dev/rotate{query}")));
    let first = jwks().await;
    let reply = rotate("").await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(jwks().await, [reply.text("kid"), &first[0]]);
    rotate("").await;
    rotate("").await;
    assert_eq!(jwks().await.len(), 3);
    let reply = rotate("?retire=true").await;
    assert_eq!(jwks().await, [reply.text("kid")]);
}

#[tokio::test]
async fn another_tenant_and_another_place_are_refused() {
    let world = World::start().await;
    let other = format!("{}/other/discovery/keys", world.issuer.url());
    let reply = read(world.client.get(other)).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
    assert_eq!(reply.body["error_codes"], json!([90002]));
    let nowhere = format!("{}/nowhere", world.issuer.tenant_url());
    let reply = read(world.client.get(nowhere)).await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_form_that_is_too_long_is_refused() {
    let world = World::start().await;
    let long = "x".repeat(100 * 1024);
    let reply = altered(&world, &[("client_secret", &long)]).await;
    assert_eq!(reply.status, StatusCode::BAD_REQUEST);
}

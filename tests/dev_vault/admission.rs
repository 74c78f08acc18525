//! Who is let in, and what every answer carries.

use http::StatusCode;
use portcullis::dev::issuer::OldKeys;
use portcullis::dev::people;
use serde_json::{Value, json};

use crate::world::{World, read, tenant_issuer};

const PATH: &str = "/secrets/app-db-password?api-version=7.6";

#[tokio::test]
async fn without_a_token_the_answer_is_key_vaults_challenge() {
    let world = World::start().await;
    let request = world
        .client
        .put(world.url("/secrets/a"))
        .header("x-ms-client-request-id", "probe-1");
    let reply = read(request).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    assert_eq!(
        reply.body,
        json!({ "error": {
            "code": "Unauthorized",
            "message": "AKV10000: Request is missing a Bearer or PoP token.",
        }})
    );
    assert_eq!(
        reply.headers["www-authenticate"],
        format!(
            "Bearer authorization=\"{}\", resource=\"https://vault.azure.net\"",
            world.issuer.tenant_url()
        )
    );
    assert_eq!(reply.headers["x-ms-client-request-id"], "probe-1");
    assert!(
        !reply
            .headers
            .contains_key("x-ms-keyvault-rbac-assignment-id")
    );
    assert_eq!(world.vault.journal()[0].caller, None);
}

#[tokio::test]
async fn tokens_that_are_not_good_are_refused_in_key_vaults_words() {
    let world = World::start().await;
    let claims = world.issuer.claims(people::ADMIN.object_id).unwrap();
    for (claim, value, message) in [
        ("aud", json!("https://management.azure.com/"), "AKV10022"),
        (
            "aud",
            json!(["https://vault.azure.net"]),
            "Error validating",
        ),
        ("iss", json!("https://sts.windows.net/other/"), "AKV10032"),
        ("exp", json!(world.clock.seconds() - 301), "[TokenExpired]"),
        (
            "nbf",
            json!(world.clock.seconds() + 301),
            "Error validating",
        ),
        ("oid", json!("admin"), "Error validating"),
        ("oid", Value::Null, "Error validating"),
    ] {
        let mut claims = claims.clone();
        claims.insert(claim.to_owned(), value);
        let token = world.issuer.mint(&claims).unwrap();
        let request = world.client.get(world.url(PATH));
        let reply = read(request.bearer_auth(token.expose())).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{claim}");
        let text = reply.body["error"]["message"].as_str().unwrap();
        assert!(text.starts_with(message), "{claim}: {text}");
        assert!(reply.headers.contains_key("www-authenticate"));
    }
}

#[tokio::test]
async fn a_token_that_the_issuer_did_not_sign_is_refused() {
    let world = World::start().await;
    let good = world.token(people::ADMIN);
    let (signed, _) = good.rsplit_once('.').unwrap();
    let stranger = World::start().await;
    let foreign = stranger.token(people::ADMIN);
    for token in [
        signed.to_owned(),
        format!("{signed}."),
        format!("{signed}.AAAA"),
        good.replacen('.', "..", 1),
        foreign,
        String::new(),
    ] {
        let request = world.client.get(world.url(PATH));
        let reply = read(request.bearer_auth(&token)).await;
        assert_eq!(reply.status, StatusCode::UNAUTHORIZED, "{token}");
    }
    // The same text under another scheme is no bearer token.
    let request = world.client.get(world.url(PATH));
    let reply = read(request.header("authorization", format!("PoP {good}"))).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn a_retired_key_ends_its_tokens_and_a_kept_one_does_not() {
    let world = World::start().await;
    let token = world.token(people::ADMIN);
    let get = || read(world.client.get(world.url(PATH)).bearer_auth(&token));
    world.issuer.rotate(OldKeys::Keep).await.unwrap();
    assert_eq!(get().await.status, StatusCode::OK);
    world.issuer.rotate(OldKeys::Retire).await.unwrap();
    let reply = get().await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    let message = reply.body["error"]["message"].as_str().unwrap();
    assert!(message.starts_with("AKV10046"), "{message}");
    assert_eq!(
        world.get("/secrets/app-db-password").await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn an_allowed_answer_has_key_vaults_headers() {
    let world = World::start().await;
    let request = world.request("GET", PATH);
    let reply = read(request.header("x-ms-client-request-id", "c-1")).await;
    assert_eq!(reply.status, StatusCode::OK);
    for (name, value) in [
        ("cache-control", "no-cache"),
        ("pragma", "no-cache"),
        ("expires", "-1"),
        ("content-type", "application/json; charset=utf-8"),
        ("x-ms-keyvault-region", people::LOCATION),
        ("x-ms-client-request-id", "c-1"),
        ("x-content-type-options", "nosniff"),
    ] {
        assert_eq!(reply.headers[name], value, "{name}");
    }
    for name in [
        "x-ms-request-id",
        "x-ms-keyvault-service-version",
        "x-ms-keyvault-network-info",
        "x-ms-keyvault-rbac-assignment-id",
        "x-ms-keyvault-rbac-cache",
        "strict-transport-security",
    ] {
        assert!(reply.headers.contains_key(name), "{name}");
    }
}

#[tokio::test]
async fn the_journal_tells_what_arrived_and_nothing_secret() {
    let world = World::start().await;
    let token = world.token(people::READER);
    let request = world
        .client
        .put(world.url("//secrets/a/?api-version=7.6"))
        .bearer_auth(&token)
        .header("x-odd", "odd-value")
        .body("odd-body");
    read(request).await;
    let journal = world.vault.journal();
    let [entry] = journal.as_slice() else {
        panic!("one entry, not {}", journal.len());
    };
    assert_eq!(world.vault.journal_len(), 1);
    assert_eq!(entry.method, "PUT");
    assert_eq!(entry.path_and_query, "//secrets/a/?api-version=7.6");
    assert_eq!(entry.host, Some(world.vault.authority().to_string()));
    assert_eq!(
        entry.server_name.as_deref(),
        Some(world.vault.authority().host())
    );
    assert_eq!(entry.caller, Some(people::READER.object_id));
    assert_eq!(entry.status, Some(StatusCode::BAD_REQUEST));
    assert!(entry.header_names.contains(&"x-odd".to_owned()));
    let text = format!("{journal:?}");
    for secret in [token.as_str(), "odd-value", "odd-body"] {
        assert!(!text.contains(secret), "{secret}");
    }
}

#[tokio::test]
async fn a_request_for_another_host_is_misdirected() {
    let world = World::start().await;
    let request = world
        .request("GET", PATH)
        .header("host", "other.vault.azure.net");
    assert_eq!(read(request).await.status, StatusCode::MISDIRECTED_REQUEST);
    let port = world.vault.address().port();
    let localhost = format!("https://localhost:{port}{PATH}");
    let request = world.client.get(localhost);
    let reply = read(request.bearer_auth(world.token(people::ADMIN))).await;
    assert_eq!(reply.status, StatusCode::MISDIRECTED_REQUEST);
}

#[tokio::test]
async fn what_the_debug_form_shows_is_no_secret() {
    let world = World::start().await;
    let text = format!("{:?} {:?}", world.issuer, world.vault);
    assert!(!text.contains(world.issuer.client_secret()));
    assert!(!text.contains("dev-only-"));
    assert!(text.contains(&tenant_issuer()));
}

#[tokio::test]
async fn both_servers_stop_while_clients_hold_connections_open() {
    let world = World::start().await;
    assert_eq!(
        world.get("/secrets/app-db-password").await.status,
        StatusCode::OK
    );
    let url = world.url(PATH);
    world.vault.stop().await;
    world.issuer.stop().await;
    assert!(world.client.get(url).send().await.is_err());
}

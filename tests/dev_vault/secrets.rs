//! Secrets from the first version to the purge.

use std::time::Duration;

use http::StatusCode;
use portcullis::dev::people;
use serde_json::{Value, json};

use crate::world::{World, read};

#[tokio::test]
async fn a_secret_is_set_read_and_updated_in_versions() {
    let world = World::start().await;
    let now = world.clock.seconds();
    let body = json!({
        "value": "one", "contentType": "text/plain", "tags": { "team": "a" },
        "attributes": { "nbf": 10, "exp": 20 },
    });
    let first = world.send("PUT", "/secrets/App-Db", body).await;
    assert_eq!(first.status, StatusCode::OK);
    assert_eq!(first.body["value"], "one");
    assert_eq!(
        first.body["attributes"],
        json!({
            "enabled": true, "nbf": 10, "exp": 20, "created": now, "updated": now,
            "recoveryLevel": "Recoverable+Purgeable", "recoverableDays": 90,
        })
    );
    let base = world.url("/secrets/App-Db/");
    assert!(first.text("id").starts_with(&base), "{}", first.text("id"));
    world.clock.advance(Duration::from_secs(5));
    // The name keeps its first case.
    let second = world
        .send("PUT", "/secrets/app-db", json!({ "value": "two" }))
        .await;
    assert!(second.text("id").starts_with(&base));
    assert!(second.body.get("tags").is_none() && second.body.get("contentType").is_none());
    // Dates do not keep a secret from being read.
    for (path, value) in [
        ("/secrets/APP-DB".to_owned(), "two"),
        ("/secrets/app-db/".to_owned(), "two"),
        ("//secrets/app-db".to_owned(), "two"),
        (path_of(first.text("id")), "one"),
        (path_of(second.text("id")), "two"),
    ] {
        let reply = world.get(&path).await;
        assert_eq!(reply.body["value"], value, "{path}");
    }
    let (versions, _) = world
        .list("/secrets/app-db/versions?api-version=7.6", "id")
        .await;
    assert_eq!(versions, [first.text("id"), second.text("id")]);
}

#[tokio::test]
async fn an_update_changes_what_it_names_in_one_version() {
    let world = World::start().await;
    let now = world.clock.seconds();
    let body = json!({ "value": "v", "tags": { "team": "a" }, "attributes": { "exp": 20 } });
    let first = world.send("PUT", "/secrets/a", body).await;
    let second = world
        .send("PUT", "/secrets/a", json!({ "value": "w" }))
        .await;
    world.clock.advance(Duration::from_secs(5));
    let path = path_of(first.text("id"));
    let change = json!({ "contentType": "x/y", "attributes": { "enabled": false } });
    let updated = world.send("PATCH", &path, change).await;
    assert_eq!(updated.status, StatusCode::OK);
    assert!(updated.body.get("value").is_none());
    assert_eq!(updated.body["contentType"], "x/y");
    assert_eq!(updated.body["tags"], json!({ "team": "a" }));
    assert_eq!(updated.body["attributes"]["exp"], 20);
    assert_eq!(updated.body["attributes"]["updated"], now + 5);
    let refused = world.get(&path).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(refused.error(), ("Forbidden", Some("SecretDisabled")));
    // Without a version the latest is changed.
    let change = json!({ "tags": {} });
    let updated = world.send("PATCH", "/secrets/a/", change).await;
    assert_eq!(updated.body["id"], second.body["id"]);
    assert_eq!(updated.body["tags"], json!({}));
    assert_eq!(world.get("/secrets/a").await.body["value"], "w");
}

#[tokio::test]
async fn the_dates_of_a_secret_inform_and_do_not_refuse() {
    let world = World::start().await;
    let now = world.clock.seconds();
    for attributes in [json!({ "nbf": now + 100 }), json!({ "exp": now - 100 })] {
        let body = json!({ "value": "v", "attributes": attributes });
        world.send("PUT", "/secrets/a", body).await;
        let reply = world.get("/secrets/a").await;
        assert_eq!((reply.status, reply.text("value")), (StatusCode::OK, "v"));
    }
}

#[tokio::test]
async fn two_versions_of_one_second_can_be_told_apart() {
    let world = World::start().await;
    let now = world.clock.seconds();
    for value in ["one", "two", "three"] {
        world
            .send("PUT", "/secrets/a", json!({ "value": value }))
            .await;
    }
    let times = async |path: &str| {
        let reply = world.get(path).await;
        let attributes = reply.body["attributes"].clone();
        (attributes["created"].clone(), attributes["updated"].clone())
    };
    let versions = world.get("/secrets/a/versions").await;
    let items = versions.body["value"].as_array().unwrap();
    let created: Vec<Value> = items
        .iter()
        .map(|item| item["attributes"]["created"].clone())
        .collect();
    assert_eq!(created, [now, now + 1, now + 2]);
    // A change never seems older than what it changes.
    let change = json!({ "tags": { "a": "b" } });
    world.send("PATCH", "/secrets/a", change).await;
    let ahead = (json!(now + 2), json!(now + 2));
    assert_eq!(times("/secrets/a").await, ahead);
    world.clock.advance(Duration::from_secs(10));
    let body = json!({ "value": "four" });
    world.send("PUT", "/secrets/a", body).await;
    let caught_up = (json!(now + 10), json!(now + 10));
    assert_eq!(times("/secrets/a").await, caught_up);
}

#[tokio::test]
async fn lists_and_deleted_secrets_show_all_but_the_value() {
    let world = World::start().await;
    let body = json!({
        "value": "hush", "contentType": "text/plain", "tags": { "team": "a" },
        "attributes": { "enabled": false, "nbf": 10, "exp": 20 },
    });
    let set = world.send("PUT", "/secrets/a", body).await;
    let versions = world.get("/secrets/a/versions").await;
    let secrets = world.get("/secrets").await;
    let deleted = world.send("DELETE", "/secrets/a", Value::Null).await;
    let deleted_again = world.get("/deletedsecrets/a").await;
    let shown = [
        &versions.body["value"][0],
        &secrets.body["value"][0],
        &deleted.body,
        &deleted_again.body,
    ];
    for shown in shown {
        for key in ["attributes", "contentType", "tags"] {
            assert_eq!(shown[key], set.body[key], "{key} of {shown}");
        }
        assert!(shown.get("value").is_none());
    }
    assert_eq!(versions.body["value"][0]["id"], set.body["id"]);
}

#[tokio::test]
async fn a_body_of_the_wrong_form_is_a_bad_parameter_that_quotes_nothing() {
    let world = World::start().await;
    let many: Value = (0..16).map(|n| (n.to_string(), json!(""))).collect();
    for body in [
        json!({}),
        json!({ "value": null }),
        json!({ "value": 123_456 }),
        json!({ "value": ["hush"] }),
        json!("hush"),
        json!({ "value": "hush", "contentType": 5 }),
        json!({ "value": "hush", "tags": { "a": 1 } }),
        json!({ "value": "hush", "tags": many }),
        json!({ "value": "hush", "attributes": { "enabled": "hush" } }),
        json!({ "value": "hush", "attributes": { "exp": "hush" } }),
        json!({ "value": "hush", "attributes": { "exp": -1 } }),
        json!({ "value": "hush", "attributes": { "nbf": 2, "exp": 1 } }),
        json!({ "value": "h".repeat(25 * 1024 + 1) }),
    ] {
        let reply = world.send("PUT", "/secrets/a", body.clone()).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{body}");
        assert_eq!(reply.error(), ("BadParameter", None));
        let text = reply.body.to_string();
        assert!(!text.contains("hush") && !text.contains("123456"), "{text}");
    }
    for body in ["", "{", "{\"value\":\"a\",\"value\":\"b\"}", "\u{feff}{}"] {
        let request = world.request("PUT", "/secrets/a?api-version=7.6");
        let reply = read(request.body(body)).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{body}");
    }
    assert_eq!(world.get("/secrets/a").await.status, StatusCode::NOT_FOUND);
    let longest = json!({ "value": "h".repeat(25 * 1024) });
    let reply = world.send("PUT", "/secrets/a", longest).await;
    assert_eq!(reply.status, StatusCode::OK);
}

#[tokio::test]
async fn a_missing_secret_is_not_found_in_key_vaults_words() {
    let world = World::start().await;
    let version = "0".repeat(32);
    for path in [
        "/secrets/nope".to_owned(),
        "/secrets/nope/versions".to_owned(),
        format!("/secrets/app-db-password/{version}"),
    ] {
        let reply = world.get(&path).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{path}");
        assert_eq!(reply.error(), ("SecretNotFound", None));
    }
    let reply = world.get("/secrets/nope").await;
    assert_eq!(
        reply.body["error"]["message"],
        "A secret with (name/id) nope was not found in this key vault. If you recently deleted \
         this secret you may be able to recover it using the correct recovery command. For help \
         resolving this issue, please see https://go.microsoft.com/fwlink/?linkid=2125182"
    );
}

#[tokio::test]
async fn a_list_is_followed_page_by_page_to_its_end() {
    let world = World::start().await;
    for number in 0..60 {
        let path = format!("/secrets/list-{number:02}");
        let reply = world.send("PUT", &path, json!({ "value": "v" })).await;
        assert_eq!(reply.status, StatusCode::OK);
    }
    // Three were there from the start.
    let (ids, sizes) = world.list("/secrets?api-version=7.6", "id").await;
    assert_eq!((ids.len(), sizes.as_slice()), (63, [25, 25, 13].as_slice()));
    assert!(ids.is_sorted());
    assert!(ids.contains(&world.url("/secrets/list-59")));
    let (again, sizes) = world
        .list("/secrets?api-version=7.6&maxresults=21", "id")
        .await;
    assert_eq!((again, sizes), (ids, vec![21, 21, 21]));
    let page = read(world.request("GET", "/secrets?api%2Dversion=2026-04-01&maxresults=1")).await;
    let next = page.text("nextLink");
    let port = world.vault.authority().port();
    let host = world.vault.authority().host();
    let start = format!("https://{host}:{port}/secrets?api-version=2026-04-01&$skiptoken=");
    assert!(next.starts_with(&start), "{next}");
    assert!(next.ends_with("&maxresults=1"), "{next}");
    for query in [
        "maxresults=0",
        "maxresults=26",
        "maxresults=x",
        "$skiptoken=x",
    ] {
        let reply = read(world.request("GET", &format!("/secrets?api-version=7.6&{query}"))).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{query}");
    }
}

#[tokio::test]
async fn the_versions_of_a_secret_are_paged_too() {
    let world = World::start().await;
    for number in 0..5 {
        let body = json!({ "value": number.to_string() });
        world.send("PUT", "/secrets/a", body).await;
    }
    let (ids, sizes) = world
        .list("/secrets/a/versions?api-version=7.6&maxresults=2", "id")
        .await;
    assert_eq!(sizes, [2, 2, 1]);
    let mut values = Vec::new();
    for id in ids {
        values.push(world.get(&path_of(&id)).await.text("value").to_owned());
    }
    assert_eq!(values, ["0", "1", "2", "3", "4"]);
}

#[tokio::test]
async fn deleting_is_soft_until_the_purge() {
    let world = World::start().await;
    let now = world.clock.seconds();
    world
        .send("PUT", "/secrets/a", json!({ "value": "v" }))
        .await;
    let deleted = world.send("DELETE", "/secrets/a", Value::Null).await;
    assert_eq!(deleted.status, StatusCode::OK);
    assert_eq!(deleted.body["recoveryId"], world.url("/deletedsecrets/a"));
    assert_eq!(deleted.body["deletedDate"], now);
    assert_eq!(deleted.body["scheduledPurgeDate"], now + 90 * 24 * 3600);
    assert!(deleted.body.get("value").is_none());
    assert_eq!(world.get("/secrets/a").await.status, StatusCode::NOT_FOUND);
    let conflict = world
        .send("PUT", "/secrets/A", json!({ "value": "w" }))
        .await;
    assert_eq!(conflict.status, StatusCode::CONFLICT);
    assert_eq!(
        conflict.error(),
        ("Conflict", Some("ObjectIsDeletedButRecoverable"))
    );
    assert_eq!(world.get("/deletedsecrets/a").await.body, deleted.body);
    let (ids, _) = world
        .list("/deletedsecrets?api-version=7.6", "recoveryId")
        .await;
    assert_eq!(ids, [world.url("/deletedsecrets/a")]);
    let path = "/deletedsecrets/a/recover";
    let recovered = world.send("POST", path, Value::Null).await;
    assert_eq!(recovered.status, StatusCode::OK);
    assert_eq!(recovered.body["id"], deleted.body["id"]);
    assert_eq!(world.get("/secrets/a").await.body["value"], "v");
    assert_eq!(
        world.get("/deletedsecrets/a").await.error(),
        ("SecretNotFound", None)
    );
}

#[tokio::test]
async fn a_purge_is_the_end_and_frees_the_name() {
    let world = World::start().await;
    world
        .send("PUT", "/secrets/a", json!({ "value": "v" }))
        .await;
    world.send("DELETE", "/secrets/a", Value::Null).await;
    let purged = world.send("DELETE", "/deletedsecrets/a", Value::Null).await;
    assert_eq!(
        (purged.status, purged.body),
        (StatusCode::NO_CONTENT, Value::Null)
    );
    for (method, path) in [
        ("DELETE", "/deletedsecrets/a"),
        ("POST", "/deletedsecrets/a/recover"),
    ] {
        let reply = world.send(method, path, Value::Null).await;
        assert_eq!(reply.status, StatusCode::NOT_FOUND, "{method} {path}");
    }
    let anew = world
        .send("PUT", "/secrets/a", json!({ "value": "w" }))
        .await;
    assert_eq!(anew.status, StatusCode::OK);
    let (versions, _) = world
        .list("/secrets/a/versions?api-version=7.6", "id")
        .await;
    assert_eq!(versions.len(), 1);
}

#[tokio::test]
async fn what_has_been_deleted_for_90_days_is_gone() {
    let world = World::start().await;
    world.send("DELETE", "/secrets/tls", Value::Null).await;
    world.clock.advance(Duration::from_secs(90 * 24 * 3600 - 1));
    assert_eq!(
        world.get("/deletedsecrets/tls").await.status,
        StatusCode::OK
    );
    world.clock.advance(Duration::from_secs(1));
    let reply = world.get("/deletedsecrets/tls").await;
    assert_eq!(reply.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn a_backup_brings_back_every_version() {
    let world = World::start().await;
    for value in ["one", "two"] {
        let body = json!({ "value": value, "tags": { "n": value } });
        world.send("PUT", "/secrets/a", body).await;
    }
    let before = world.get("/secrets/a").await.body;
    let backup = world.send("POST", "/secrets/a/backup", Value::Null).await;
    assert_eq!(backup.status, StatusCode::OK);
    let blob = json!({ "value": backup.text("value") });
    let conflict = world.send("POST", "/secrets/restore", blob.clone()).await;
    assert_eq!(conflict.status, StatusCode::CONFLICT);
    world.send("DELETE", "/secrets/a", Value::Null).await;
    let conflict = world.send("POST", "/secrets/restore", blob.clone()).await;
    assert_eq!(conflict.error().1, Some("ObjectIsDeletedButRecoverable"));
    world.send("DELETE", "/deletedsecrets/a", Value::Null).await;
    let restored = world.send("POST", "/secrets/restore", blob.clone()).await;
    assert_eq!(restored.status, StatusCode::OK);
    assert!(restored.body.get("value").is_none());
    assert_eq!(world.get("/secrets/a").await.body, before);
    let (versions, _) = world
        .list("/secrets/a/versions?api-version=7.6", "id")
        .await;
    assert_eq!(versions.len(), 2);
    for (path, blob) in [
        // A secret's blob is no key's.
        ("/keys/restore", blob),
        ("/secrets/restore", json!({ "value": "AAAA" })),
        ("/secrets/restore", json!({ "value": "not base64!" })),
        ("/secrets/restore", json!({})),
    ] {
        let reply = world.send("POST", path, blob).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{path}");
    }
}

#[tokio::test]
async fn the_seeds_are_there() {
    let world = World::start().await;
    for name in [people::DB_SECRET, "app-api-key", "tls"] {
        let reply = world.get(&format!("/secrets/{name}")).await;
        assert_eq!(reply.status, StatusCode::OK, "{name}");
        assert!(!reply.text("value").is_empty());
    }
    let key = world.get(&format!("/keys/{}", people::SIGNING_KEY)).await;
    assert_eq!(key.body["key"]["kty"], "RSA");
}

/// The path of an id.
fn path_of(id: &str) -> String {
    reqwest::Url::parse(id).unwrap().path().to_owned()
}

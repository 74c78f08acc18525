//! Certificates from the pending operation to the purge, with the key and the secret they own.

use std::time::Duration;

use http::StatusCode;
use portcullis::dev::vault::CertificatePace;
use serde_json::{Value, json};

use crate::operations::signs;
use crate::world::{Reply, World, read};

/// Asks for a certificate that signs itself, and waits for it as the service's clients do.
pub(crate) async fn made(world: &World, name: &str, policy: Value) -> Reply {
    let path = format!("/certificates/{name}");
    let body = json!({ "policy": policy });
    let begun = world.send("POST", &format!("{path}/create"), body).await;
    assert_eq!(begun.status, StatusCode::ACCEPTED, "{}", begun.body);
    let looked = world.get(&format!("{path}/pending")).await;
    assert_eq!(looked.body["status"], "completed", "{}", looked.body);
    world.get(&path).await
}

/// A policy of an elliptic key, which is made at once.
pub(crate) fn elliptic(subject: &str) -> Value {
    json!({
        "issuer": { "name": "Self" },
        "key_props": { "kty": "EC", "crv": "P-256" },
        "x509_props": { "subject": subject },
    })
}

/// The path of an id.
pub(crate) fn path_of(id: &Value) -> String {
    let url = reqwest::Url::parse(id.as_str().expect("an id")).unwrap();
    url.path().to_owned()
}

/// What a policy is unless it says otherwise.
fn default_policy(base: &str, now: u64) -> Value {
    json!({
        "id": format!("{base}/policy"),
        "key_props": {
            "exportable": true, "kty": "RSA", "key_size": 2048, "reuse_key": false,
        },
        "secret_props": { "contentType": "application/x-pkcs12" },
        "x509_props": {
            "subject": "cn=MyCert", "sans": {},
            "ekus": ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"],
            "key_usage": ["digitalSignature", "keyEncipherment"],
            "validity_months": 12, "basic_constraints": { "ca": false },
        },
        "lifetime_actions": [{
            "trigger": { "lifetime_percentage": 80 },
            "action": { "action_type": "AutoRenew" },
        }],
        "issuer": { "name": "Self" },
        "attributes": { "enabled": true, "created": now, "updated": now },
    })
}

#[tokio::test]
async fn a_certificate_is_pending_until_it_is_made() {
    let world = World::start().await;
    let now = world.clock.seconds();
    let policy = json!({
        "issuer": { "name": "Self" }, "key_props": {}, "secret_props": {},
        "x509_props": { "subject": "cn=MyCert", "sans": {} }, "attributes": {},
    });
    let body = json!({ "policy": policy, "tags": { "team": "a" }, "attributes": {} });
    let begun = world.send("POST", "/certificates/Web/create", body).await;
    assert_eq!(begun.status, StatusCode::ACCEPTED);
    assert_eq!(begun.headers["retry-after"], "10");
    let request_id = begun.text("request_id").to_owned();
    let location = format!(
        "{}?api-version=7.6&request_id={request_id}",
        world.url("/certificates/Web/pending")
    );
    assert_eq!(begun.headers["location"], location);
    assert_eq!(begun.body["id"], world.url("/certificates/Web/pending"));
    assert_eq!(begun.body["issuer"], json!({ "name": "Self" }));
    assert_eq!(begun.body["cancellation_requested"], false);
    assert_eq!(begun.body["status"], "inProgress");
    assert!(begun.text("status_details").contains("in progress"));
    // There already, disabled, and with nothing to show but what is planned.
    let planned = world.get("/certificates/web/").await;
    assert_eq!(planned.status, StatusCode::OK);
    assert_eq!(planned.body["attributes"]["enabled"], false);
    for member in ["cer", "kid", "sid", "x5t"] {
        assert!(planned.body.get(member).is_none(), "{member}");
    }
    let base = world.url("/certificates/Web");
    assert_eq!(planned.body["pending"]["id"], format!("{base}/pending"));
    assert_eq!(planned.body["policy"], default_policy(&base, now));
    let looked = world.get("/certificates/web/pending").await;
    assert_eq!(looked.status, StatusCode::OK);
    assert_eq!(looked.body["status"], "completed");
    assert_eq!(looked.body["target"], base);
    let certificate = world.get("/certificates/web").await;
    let version = certificate.text("id").rsplit('/').next().unwrap();
    for (member, collection) in [("kid", "keys"), ("sid", "secrets")] {
        let id = world.url(&format!("/{collection}/Web/{version}"));
        assert_eq!(certificate.body[member], id);
    }
    assert_eq!(certificate.body["tags"], json!({ "team": "a" }));
    let attributes = &certificate.body["attributes"];
    assert_eq!(attributes["enabled"], true);
    assert_eq!(attributes["nbf"], now - 600);
    // Twelve months, not so many days.
    assert_eq!(attributes["exp"], now + 365 * 24 * 3600);
}

#[tokio::test]
async fn a_certificate_takes_as_many_looks_as_it_is_set_to_or_its_time() {
    let world = World::start().await;
    world.vault.pace_certificates(CertificatePace {
        polls: 3,
        retry_after: Duration::from_secs(2),
    });
    for name in ["a", "b"] {
        let body = json!({ "policy": elliptic("CN=a") });
        let path = format!("/certificates/{name}/create");
        let begun = world.send("POST", &path, body).await;
        assert_eq!(begun.headers["retry-after"], "2");
    }
    for status in ["inProgress", "inProgress", "completed", "completed"] {
        let looked = world.get("/certificates/a/pending").await;
        assert_eq!(looked.body["status"], status);
        let waits = looked.headers.contains_key("retry-after");
        assert_eq!(waits, status == "inProgress");
    }
    world.clock.advance(Duration::from_secs(5));
    let early = world.get("/certificates/b").await;
    assert!(early.body.get("cer").is_none());
    world.clock.advance(Duration::from_secs(1));
    let made = world.get("/certificates/b").await;
    assert!(made.body.get("cer").is_some());
}

#[tokio::test]
async fn what_is_in_progress_is_cancelled_or_deleted_and_not_begun_twice() {
    let world = World::start().await;
    let body = json!({ "policy": elliptic("CN=a") });
    let create = "/certificates/a/create";
    let pending = "/certificates/a/pending";
    let begun = world.send("POST", create, body.clone()).await;
    let twice = world.send("POST", create, body.clone()).await;
    assert_eq!(twice.status, StatusCode::CONFLICT);
    assert_eq!(twice.error(), ("Forbidden", None));
    let request = json!({ "cancellation_requested": true });
    let asked = world.send("PATCH", pending, request.clone()).await;
    assert_eq!(asked.status, StatusCode::OK);
    assert_eq!(asked.body["cancellation_requested"], true);
    assert_eq!(asked.body["status"], "inProgress");
    assert_eq!(world.get(pending).await.body["status"], "cancelled");
    let late = world.send("PATCH", pending, request).await;
    assert_eq!(late.status, StatusCode::BAD_REQUEST);
    // The request's id is a filter.
    let other = world.request("GET", &format!("{pending}?api-version=7.6&request_id=1"));
    let other = read(other).await;
    assert_eq!(other.status, StatusCode::NOT_FOUND);
    let id = begun.text("request_id");
    let same = world.request("GET", &format!("{pending}?api-version=7.6&request_id={id}"));
    assert_eq!(read(same).await.status, StatusCode::OK);
    let deleted = world.send("DELETE", pending, Value::Null).await;
    assert_eq!(deleted.body["request_id"], id);
    let gone = world.get(pending).await;
    assert_eq!(gone.status, StatusCode::NOT_FOUND);
    assert_eq!(gone.error(), ("PendingCertificateNotFound", None));
    let planned = world.get("/certificates/a").await;
    assert!(planned.body.get("pending").is_none());
    let again = world.send("POST", create, body).await;
    assert_eq!(again.status, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn the_key_signs_and_the_secret_is_the_certificates_own() {
    let world = World::start().await;
    let certificate = made(&world, "a", elliptic("CN=a")).await;
    let key = world.get(&path_of(&certificate.body["kid"])).await;
    assert_eq!(key.status, StatusCode::OK);
    assert_eq!(key.body["managed"], true);
    assert_eq!(key.body["key"]["key_ops"], json!(["sign", "verify"]));
    signs(&world, "/keys/a", "ES256", &key.body["key"]).await;
    let secret = world.get(&path_of(&certificate.body["sid"])).await;
    assert_eq!(secret.body["managed"], true);
    assert_eq!(secret.body["kid"], certificate.body["kid"]);
    assert_eq!(secret.body["contentType"], "application/x-pkcs12");
    for dates in ["nbf", "exp"] {
        let date = &certificate.body["attributes"][dates];
        assert_eq!(key.body["attributes"][dates], *date);
        assert_eq!(secret.body["attributes"][dates], *date);
    }
    // Only the certificate changes them.
    for (method, path, body) in [
        ("PUT", "/secrets/a", json!({ "value": "mine" })),
        ("PATCH", "/secrets/a", json!({ "tags": {} })),
        ("DELETE", "/secrets/a", Value::Null),
        ("POST", "/keys/a/create", json!({ "kty": "EC" })),
        ("DELETE", "/keys/a", Value::Null),
    ] {
        let reply = world.send(method, path, body).await;
        assert_eq!(reply.status, StatusCode::FORBIDDEN, "{method} {path}");
    }
    let disable = json!({ "attributes": { "enabled": false }, "tags": { "a": "b" } });
    let disabled = world.send("PATCH", "/certificates/a/", disable).await;
    assert_eq!(disabled.status, StatusCode::OK);
    assert_eq!(disabled.body["attributes"]["enabled"], false);
    assert_eq!(disabled.body["tags"], json!({ "a": "b" }));
    assert_eq!(world.get("/certificates/a").await.status, StatusCode::OK);
    let refused = world.get("/secrets/a").await;
    assert_eq!(refused.error(), ("Forbidden", Some("SecretDisabled")));
    let digest = json!({ "alg": "ES256", "value": "A".repeat(43) });
    let refused = world.send("POST", "/keys/a/sign", digest).await;
    assert_eq!(refused.error(), ("Forbidden", Some("KeyDisabled")));
}

#[tokio::test]
async fn the_key_does_what_its_usage_says() {
    let world = World::start().await;
    let mut policy = elliptic("CN=a");
    policy["key_props"] = json!({ "kty": "RSA", "key_size": 2048 });
    policy["x509_props"]["key_usage"] = json!(["keyEncipherment", "dataEncipherment"]);
    made(&world, "a", policy).await;
    let key = world.get("/keys/a").await;
    let operations = json!(["wrapKey", "unwrapKey", "encrypt", "decrypt"]);
    assert_eq!(key.body["key"]["key_ops"], operations);
}

#[tokio::test]
async fn a_key_that_is_called_hardware_stays_in_the_vault() {
    let world = World::start().await;
    let mut policy = elliptic("CN=a");
    policy["key_props"] = json!({ "kty": "EC-HSM", "crv": "P-384", "exportable": false });
    let certificate = made(&world, "a", policy).await;
    assert_eq!(
        certificate.body["policy"]["key_props"]["kty"],
        json!("EC-HSM")
    );
    let key = world.get("/keys/a").await;
    assert_eq!(key.body["key"]["kty"], "EC-HSM");
    signs(&world, "/keys/a", "ES384", &key.body["key"]).await;
}

#[tokio::test]
async fn a_certificate_takes_its_key_and_secret_along() {
    let world = World::start().await;
    let first = made(&world, "a", elliptic("CN=a")).await;
    let deleted = world.send("DELETE", "/certificates/a", Value::Null).await;
    assert_eq!(deleted.status, StatusCode::OK);
    assert_eq!(deleted.body["cer"], first.body["cer"]);
    assert_eq!(
        deleted.body["recoveryId"],
        world.url("/deletedcertificates/a")
    );
    for collection in ["certificates", "keys", "secrets"] {
        let live = world.get(&format!("/{collection}/a")).await;
        assert_eq!(live.status, StatusCode::NOT_FOUND, "{collection}");
        let gone = world.get(&format!("/deleted{collection}/a")).await;
        assert_eq!(gone.status, StatusCode::OK, "{collection}");
    }
    let listed = world
        .list("/deletedcertificates?api-version=7.6", "id")
        .await
        .0;
    assert_eq!(listed, [world.url("/certificates/a")]);
    let taken = json!({ "policy": elliptic("CN=a") });
    let taken = world.send("POST", "/certificates/a/create", taken).await;
    assert_eq!(
        taken.error(),
        ("Conflict", Some("ObjectIsDeletedButRecoverable"))
    );
    let recover = "/deletedcertificates/a/recover";
    let recovered = world.send("POST", recover, Value::Null).await;
    assert_eq!(recovered.body["id"], first.body["id"]);
    for member in ["kid", "sid"] {
        let path = path_of(&first.body[member]);
        assert_eq!(world.get(&path).await.status, StatusCode::OK, "{path}");
    }
    world.send("DELETE", "/certificates/a", Value::Null).await;
    let purged = world
        .send("DELETE", "/deletedcertificates/a", Value::Null)
        .await;
    assert_eq!(purged.status, StatusCode::NO_CONTENT);
    for collection in ["certificates", "keys", "secrets"] {
        let gone = world.get(&format!("/deleted{collection}/a")).await;
        assert_eq!(gone.status, StatusCode::NOT_FOUND, "{collection}");
    }
}

#[tokio::test]
async fn a_backup_brings_the_key_and_the_secret_back() {
    let world = World::start().await;
    let first = made(&world, "a", elliptic("CN=a")).await;
    let backup = world
        .send("POST", "/certificates/a/backup", Value::Null)
        .await;
    for path in ["/certificates/a", "/deletedcertificates/a"] {
        world.send("DELETE", path, Value::Null).await;
    }
    let blob = json!({ "value": backup.body["value"] });
    let restored = world
        .send("POST", "/certificates/restore", blob.clone())
        .await;
    assert_eq!(restored.status, StatusCode::OK, "{}", restored.body);
    for member in ["id", "cer", "x5t", "kid", "sid", "attributes"] {
        assert_eq!(restored.body[member], first.body[member], "{member}");
    }
    let key = world.get(&path_of(&first.body["kid"])).await;
    signs(&world, "/keys/a", "ES256", &key.body["key"]).await;
    let twice = world.send("POST", "/certificates/restore", blob).await;
    assert_eq!(twice.status, StatusCode::CONFLICT);
}

#[tokio::test]
async fn versions_share_a_policy_and_a_key_if_it_is_reused() {
    let world = World::start().await;
    let first = made(&world, "a", elliptic("CN=a")).await;
    let reuse = json!({ "key_props": { "reuse_key": true }, "x509_props": { "subject": "CN=b" } });
    let updated = world.send("PATCH", "/certificates/a/policy", reuse).await;
    assert_eq!(updated.status, StatusCode::OK);
    assert_eq!(updated.body["x509_props"]["subject"], "CN=b");
    assert_eq!(updated.body["key_props"]["kty"], "EC");
    assert_eq!(updated.body, world.get("/certificates/a/policy").await.body);
    // Without a policy it is the one that is there.
    let again = world
        .send("POST", "/certificates/a/create", json!({}))
        .await;
    assert_eq!(again.status, StatusCode::ACCEPTED, "{}", again.body);
    let during = world.get("/certificates/a").await;
    assert_eq!(during.body["id"], first.body["id"]);
    world.get("/certificates/a/pending").await;
    let second = world.get("/certificates/a").await;
    assert_ne!(second.body["cer"], first.body["cer"]);
    let (versions, _) = world
        .list("/certificates/a/versions?api-version=7.6", "id")
        .await;
    assert_eq!(versions, [first.text("id"), second.text("id")]);
    let key = async |id: &Value| world.get(&path_of(id)).await.body["key"]["x"].clone();
    assert_eq!(
        key(&first.body["kid"]).await,
        key(&second.body["kid"]).await
    );
}

#[tokio::test]
async fn a_key_of_another_kind_is_not_reused() {
    let world = World::start().await;
    let mut policy = elliptic("CN=a");
    policy["key_props"]["reuse_key"] = json!(true);
    made(&world, "a", policy.clone()).await;
    policy["key_props"]["crv"] = json!("P-384");
    made(&world, "a", policy).await;
    let key = world.get("/keys/a").await;
    assert_eq!(key.body["key"]["crv"], "P-384");
}

#[tokio::test]
async fn lists_leave_out_what_is_in_the_making() {
    let world = World::start().await;
    for number in 0..3 {
        made(&world, &format!("c{number}"), elliptic("CN=a")).await;
    }
    let body =
        json!({ "policy": { "x509_props": { "subject": "CN=a" }, "key_props": { "kty": "EC" } } });
    world.send("POST", "/certificates/open/create", body).await;
    let query = "/certificates?api-version=7.6&maxresults=2";
    let (ids, sizes) = world.list(query, "id").await;
    assert_eq!(
        ids,
        ["c0", "c1", "c2"].map(|name| world.url(&format!("/certificates/{name}")))
    );
    assert_eq!(sizes, [2, 1]);
    let (ids, _) = world
        .list(
            "/certificates?api-version=7.6&includePending=true&maxresults=2",
            "id",
        )
        .await;
    assert_eq!(ids.len(), 4);
    let list = world.get("/certificates").await;
    let item = &list.body["value"][0];
    assert!(item["x5t"].is_string() && item["attributes"]["exp"].is_number());
    assert!(item.get("cer").is_none() && item.get("policy").is_none());
}

#[tokio::test]
async fn a_certificate_is_renewed_when_its_policy_says_so() {
    let world = World::start().await;
    let day = 24 * 3600;
    let mut renewed = elliptic("CN=a");
    renewed["lifetime_actions"] = json!([{
        "trigger": { "days_before_expiry": 30 }, "action": { "action_type": "AutoRenew" },
    }]);
    let mut told = elliptic("CN=b");
    told["lifetime_actions"] = json!([{
        "trigger": { "days_before_expiry": 30 }, "action": { "action_type": "EmailContacts" },
    }]);
    let first = made(&world, "a", renewed).await;
    let other = made(&world, "b", told).await;
    world.clock.advance(Duration::from_secs(334 * day));
    assert_eq!(
        world.get("/certificates/a").await.body["id"],
        first.body["id"]
    );
    world.clock.advance(Duration::from_secs(2 * day));
    // Whoever asks first finds it done: here somebody who only wants the secret.
    let secret = world.get("/secrets/a").await;
    assert_ne!(secret.body["id"], first.body["sid"]);
    let second = world.get("/certificates/a").await;
    assert_eq!(second.body["sid"], secret.body["id"]);
    let end = second.body["attributes"]["exp"].as_u64().unwrap();
    assert!(end > first.body["attributes"]["exp"].as_u64().unwrap() + 300 * day);
    let (versions, _) = world
        .list("/certificates/a/versions?api-version=7.6", "id")
        .await;
    assert_eq!(versions.len(), 2);
    assert_eq!(
        world.get("/certificates/b").await.body["id"],
        other.body["id"]
    );
}

#[tokio::test]
async fn policies_that_make_no_sense_are_refused() {
    let world = World::start().await;
    for (member, value) in [
        ("key_props", json!({ "kty": "oct" })),
        ("key_props", json!({ "kty": "RSA", "key_size": 1024 })),
        ("key_props", json!({ "kty": "RSA-HSM", "exportable": true })),
        ("key_props", json!({ "kty": "EC", "crv": "P-128" })),
        ("secret_props", json!({ "contentType": "text/plain" })),
        ("x509_props", json!({})),
        ("x509_props", json!({ "subject": "contoso" })),
        (
            "x509_props",
            json!({ "subject": "CN=a", "ekus": ["server"] }),
        ),
        (
            "x509_props",
            json!({ "subject": "CN=a", "validity_months": 0 }),
        ),
        (
            "x509_props",
            json!({ "subject": "CN=a", "key_usage": ["everything"] }),
        ),
        (
            "x509_props",
            json!({ "subject": "CN=a", "sans": { "dns_names": ["ü"] } }),
        ),
        (
            "lifetime_actions",
            json!([{
                "trigger": { "days_before_expiry": 325 }, "action": { "action_type": "AutoRenew" },
            }]),
        ),
    ] {
        let mut policy = elliptic("CN=a");
        policy[member] = value;
        let body = json!({ "policy": policy });
        let reply = world.send("POST", "/certificates/a/create", body).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{policy}");
        assert_eq!(reply.error().0, "BadParameter");
    }
    for path in ["/certificates/a/create", "/certificates/contacts/create"] {
        let reply = world.send("POST", path, json!({})).await;
        assert_eq!(reply.status, StatusCode::BAD_REQUEST, "{path}");
    }
    assert_eq!(
        world.get("/certificates/a").await.status,
        StatusCode::NOT_FOUND
    );
}

#[tokio::test]
async fn a_name_that_another_key_or_secret_has_is_taken() {
    let world = World::start().await;
    world
        .send("PUT", "/secrets/a", json!({ "value": "v" }))
        .await;
    world
        .send("POST", "/keys/b/create", json!({ "kty": "EC" }))
        .await;
    for name in ["a", "b"] {
        let body = json!({ "policy": elliptic("CN=a") });
        let path = format!("/certificates/{name}/create");
        let reply = world.send("POST", &path, body).await;
        assert_eq!(reply.status, StatusCode::CONFLICT, "{name}");
    }
}

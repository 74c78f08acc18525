//! Issuers and contacts: what a vault's certificates share.

use http::StatusCode;
use serde_json::{Value, json};

use crate::certificates::elliptic;
use crate::world::World;

#[tokio::test]
async fn issuers_are_set_changed_listed_and_deleted() {
    let world = World::start().await;
    let now = world.clock.seconds();
    let issuer = "/certificates/issuers/Digi";
    let body = json!({
        "provider": "DigiCert", "credentials": { "account_id": "a", "pwd": "hush" },
        "org_details": { "admin_details": [{ "email": "admin@contoso.com" }] },
    });
    let set = world.send("PUT", issuer, body).await;
    assert_eq!(set.status, StatusCode::OK);
    let shown = json!({
        "id": world.url(issuer), "provider": "DigiCert", "credentials": { "account_id": "a" },
        "org_details": { "zip": 0, "admin_details": [{ "email": "admin@contoso.com" }] },
        "attributes": { "enabled": true, "created": now, "updated": now },
    });
    assert_eq!(set.body, shown);
    assert_eq!(world.get("/certificates/issuers/digi").await.body, shown);
    let change = json!({ "attributes": { "enabled": false } });
    let changed = world.send("PATCH", issuer, change).await;
    assert_eq!(changed.body["attributes"]["enabled"], false);
    assert_eq!(changed.body["provider"], "DigiCert");
    world
        .send(
            "PUT",
            "/certificates/issuers/other",
            json!({ "provider": "Test" }),
        )
        .await;
    let query = "/certificates/issuers?api-version=7.6&maxresults=1";
    let (ids, sizes) = world.list(query, "id").await;
    assert_eq!(
        ids,
        [world.url(issuer), world.url("/certificates/issuers/other")]
    );
    assert_eq!(sizes, [1, 1]);
    let deleted = world.send("DELETE", issuer, Value::Null).await;
    assert_eq!(deleted.body["id"], world.url(issuer));
    for method in ["GET", "DELETE", "PATCH"] {
        let gone = world.send(method, issuer, json!({})).await;
        assert_eq!(gone.status, StatusCode::NOT_FOUND, "{method}");
        assert_eq!(gone.error(), ("CertificateIssuerNotFound", None));
    }
}

#[tokio::test]
async fn what_an_issuer_is_to_sign_stays_in_progress() {
    let world = World::start().await;
    let mut policy = elliptic("CN=a");
    policy["issuer"] = json!({ "name": "digi", "cty": "OV-SSL" });
    let body = json!({ "policy": policy });
    let create = "/certificates/a/create";
    let unknown = world.send("POST", create, body.clone()).await;
    assert_eq!(unknown.error(), ("CertificateIssuerNotFound", None));
    let issuer = json!({ "provider": "DigiCert" });
    world
        .send("PUT", "/certificates/issuers/digi", issuer)
        .await;
    let begun = world.send("POST", create, body).await;
    assert_eq!(begun.status, StatusCode::ACCEPTED);
    assert_eq!(begun.body["issuer"], json!({ "name": "digi" }));
    let looked = world.get("/certificates/a/pending").await;
    assert_eq!(looked.body["status"], "inProgress");
    assert!(looked.text("status_details").contains("issuer provider"));
    let merge = json!({ "x5c": [] });
    let refused = world
        .send("POST", "/certificates/a/pending/merge", merge)
        .await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(refused.error(), ("Forbidden", None));
}

#[tokio::test]
async fn contacts_are_set_read_and_deleted_together() {
    let world = World::start().await;
    let path = "/certificates/contacts";
    for method in ["GET", "DELETE"] {
        let none = world.send(method, path, Value::Null).await;
        assert_eq!(none.status, StatusCode::NOT_FOUND, "{method}");
        assert_eq!(none.error(), ("ContactsNotFound", None));
    }
    let contacts = json!([{ "email": "a@b.c", "name": "a", "phone": "1" }, { "email": "d@e.f" }]);
    let shown = json!({ "id": world.url(path), "contacts": contacts });
    let body = json!({ "contacts": contacts });
    assert_eq!(world.send("PUT", path, body).await.body, shown);
    assert_eq!(world.get(path).await.body, shown);
    assert_eq!(world.send("DELETE", path, Value::Null).await.body, shown);
    assert_eq!(world.get(path).await.status, StatusCode::NOT_FOUND);
}

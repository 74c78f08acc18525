//! Retention, purge protection, and deletions and recoveries that take their time.

use std::time::Duration;

use http::StatusCode;
use portcullis::dev::people;
use portcullis::dev::vault::{Behavior, RetentionDays, SoftDelete};
use serde_json::{Value, json};

use crate::world::World;

const DAY: u64 = 24 * 3600;

async fn world(soft_delete: SoftDelete) -> World {
    let behavior = Behavior {
        soft_delete,
        ..Behavior::default()
    };
    World::behaving(behavior).await
}

#[tokio::test]
async fn every_object_tells_how_it_is_kept() {
    for (days, purge_protection, level) in [
        (90, false, "Recoverable+Purgeable"),
        (90, true, "Recoverable"),
        (7, false, "CustomizedRecoverable+Purgeable"),
        (89, true, "CustomizedRecoverable"),
    ] {
        let world = world(SoftDelete {
            retention: RetentionDays::try_from(days).unwrap(),
            purge_protection,
            ..SoftDelete::default()
        })
        .await;
        for path in ["/secrets/tls", "/keys/signing"] {
            let attributes = &world.get(path).await.body["attributes"];
            assert_eq!(attributes["recoveryLevel"], level);
            assert_eq!(attributes["recoverableDays"], days);
        }
    }
}

#[tokio::test]
async fn a_deleted_object_is_kept_for_the_retention_and_no_longer() {
    let world = world(SoftDelete {
        retention: RetentionDays::try_from(7).unwrap(),
        ..SoftDelete::default()
    })
    .await;
    let now = world.clock.seconds();
    let deleted = world.send("DELETE", "/keys/signing", Value::Null).await;
    assert_eq!(deleted.body["scheduledPurgeDate"], now + 7 * DAY);
    world.clock.advance(Duration::from_secs(7 * DAY - 1));
    let path = "/deletedkeys/signing";
    assert_eq!(world.get(path).await.status, StatusCode::OK);
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.get(path).await.status, StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn purge_protection_leaves_the_purge_to_time() {
    let world = world(SoftDelete {
        purge_protection: true,
        ..SoftDelete::default()
    })
    .await;
    world.send("DELETE", "/secrets/tls", Value::Null).await;
    let path = "/deletedsecrets/tls";
    let refused = world.send("DELETE", path, Value::Null).await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    assert_eq!(refused.error(), ("Forbidden", Some("ForbiddenByPolicy")));
    let message = refused.body["error"]["message"].as_str().unwrap();
    let expected = "Operation \"purge\" is not allowed because purge protection is enabled for \
                    this vault. Key Vault service will automatically purge it after the retention \
                    period has passed.\r\nVault: portcullis-dev;location=";
    assert_eq!(message, format!("{expected}{}", people::LOCATION));
    let missing = world.send("DELETE", "/deletedsecrets/none", Value::Null);
    assert_eq!(missing.await.status, StatusCode::NOT_FOUND);
    world.clock.advance(Duration::from_secs(90 * DAY));
    assert_eq!(world.get(path).await.status, StatusCode::NOT_FOUND);
}

/// How an object is made, and where it is, live or deleted.
struct Kind {
    noun: &'static str,
    create: (&'static str, &'static str, Value),
    live: &'static str,
    deleted: &'static str,
}

impl Kind {
    fn both() -> [Self; 2] {
        let secret = Self {
            noun: "Secret",
            create: ("PUT", "/secrets/o", json!({ "value": "v" })),
            live: "/secrets/o",
            deleted: "/deletedsecrets/o",
        };
        let key = Self {
            noun: "Key",
            create: ("POST", "/keys/o/create", json!({ "kty": "EC" })),
            live: "/keys/o",
            deleted: "/deletedkeys/o",
        };
        [secret, key]
    }

    /// Nobody finds it, its name is taken, and nothing can be done about it.
    async fn is_being(&self, world: &World, participle: &str, inner: &str) {
        for path in [self.live, self.deleted] {
            assert_eq!(world.get(path).await.status, StatusCode::NOT_FOUND);
        }
        let noun = self.noun;
        let again = format!(
            "{noun} o is currently being {participle} and cannot be re-created; retry later."
        );
        let nothing = format!("{noun} is currently being {participle}.");
        let recover = format!("{}/recover", self.deleted);
        let (method, path, body) = self.create.clone();
        for (method, path, body, message) in [
            (method, path, body, &again),
            ("DELETE", self.deleted, Value::Null, &nothing),
            ("POST", &recover, Value::Null, &nothing),
        ] {
            let refused = world.send(method, path, body).await;
            assert_eq!(refused.status, StatusCode::CONFLICT);
            assert_eq!(
                refused.body,
                json!({ "error": {
                    "code": "Conflict", "message": message, "innererror": { "code": inner },
                }})
            );
        }
    }
}

#[tokio::test]
async fn an_object_that_is_being_deleted_or_recovered_is_nowhere_and_keeps_its_name() {
    let world = world(SoftDelete {
        deletion: Duration::from_secs(10),
        recovery: Duration::from_secs(20),
        ..SoftDelete::default()
    })
    .await;
    for kind in Kind::both() {
        let (method, path, body) = kind.create.clone();
        world.send(method, path, body).await;
        let before = world.get(kind.live).await;
        let deleted = world.send("DELETE", kind.live, Value::Null).await;
        assert_eq!(deleted.status, StatusCode::OK);
        kind.is_being(&world, "deleted", "ObjectIsBeingDeleted")
            .await;
        world.clock.advance(Duration::from_secs(10));
        assert_eq!(world.get(kind.deleted).await.body, deleted.body);

        let recover = format!("{}/recover", kind.deleted);
        let recovered = world.send("POST", &recover, Value::Null).await;
        assert_eq!(recovered.status, StatusCode::OK);
        kind.is_being(&world, "recovered", "ObjectIsBeingRecovered")
            .await;
        world.clock.advance(Duration::from_secs(20));
        assert_eq!(world.get(kind.live).await.body, before.body);
    }
}

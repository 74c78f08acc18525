//! Service limits: who does too much in ten seconds is told to wait.

use std::time::Duration;

use http::StatusCode;
use portcullis::dev::vault::{Behavior, KeyLimits, ServiceLimits};
use serde_json::{Value, json};

use crate::world::{Reply, World};

const FEW: KeyLimits = KeyLimits {
    create: 1,
    ordinary: 2,
    rsa_3072: 1,
    rsa_4096: 1,
};
const LIMITS: ServiceLimits = ServiceLimits {
    software_keys: FEW,
    hardware_keys: FEW,
    writes: 2,
    others: 3,
    retry_after: true,
};

async fn limited(limits: ServiceLimits) -> World {
    World::behaving(Behavior {
        limits: Some(limits),
        ..Behavior::default()
    })
    .await
}

#[track_caller]
fn throttled(reply: &Reply) {
    assert_eq!(reply.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(
        reply.body,
        json!({ "error": {
            "code": "Throttled",
            "message": "Request was not processed because too many requests were received. \
                        Reason: VaultRequestTypeLimitReached",
        }})
    );
    assert!(!reply.headers.contains_key("x-ms-keyvault-rbac-cache"));
}

#[tokio::test]
async fn what_is_too_much_is_throttled_until_the_next_ten_seconds() {
    let world = limited(LIMITS).await;
    world.clock.advance(Duration::from_secs(3));
    for _ in 0..3 {
        assert_eq!(world.get("/secrets/tls").await.status, StatusCode::OK);
    }
    for _ in 0..2 {
        let reply = world.get("/secrets/tls").await;
        throttled(&reply);
        // The hand clock started at full ten seconds.
        assert_eq!(reply.headers["retry-after"], "7");
    }
    // Who has no good token is not counted.
    let probe = world.client.get(world.url("/secrets/tls"));
    assert_eq!(
        probe.send().await.unwrap().status(),
        StatusCode::UNAUTHORIZED
    );
    world.clock.advance(Duration::from_secs(7));
    assert_eq!(world.get("/secrets/tls").await.status, StatusCode::OK);
}

#[tokio::test]
async fn writes_and_keys_have_limits_of_their_own() {
    let world = limited(LIMITS).await;
    let set = || world.send("PUT", "/secrets/a", json!({ "value": "v" }));
    let create = |kty| world.send("POST", "/keys/a/create", json!({ "kty": kty }));
    let rotate = || world.send("POST", "/keys/a/rotate", Value::Null);
    let key = || world.get("/keys/a");
    assert_eq!(set().await.status, StatusCode::OK);
    assert_eq!(set().await.status, StatusCode::OK);
    throttled(&set().await);
    assert_eq!(create("EC").await.status, StatusCode::OK);
    throttled(&create("EC-HSM").await);
    throttled(&rotate().await);
    assert_eq!(key().await.status, StatusCode::OK);
    assert_eq!(key().await.status, StatusCode::OK);
    throttled(&key().await);
    assert_eq!(world.get("/secrets/tls").await.status, StatusCode::OK);
    world.clock.advance(Duration::from_secs(10));
    assert_eq!(rotate().await.status, StatusCode::OK);
}

#[tokio::test]
async fn limits_come_and_go_on_demand_and_may_not_say_when_to_come_back() {
    let world = World::start().await;
    let all = async || {
        for _ in 0..10 {
            assert_eq!(world.get("/secrets/tls").await.status, StatusCode::OK);
        }
    };
    all().await;
    world.vault.limit(Some(ServiceLimits {
        others: 0,
        retry_after: false,
        ..ServiceLimits::DOCUMENTED
    }));
    let reply = world.get("/secrets/tls").await;
    throttled(&reply);
    assert!(!reply.headers.contains_key("retry-after"));
    world.vault.limit(None);
    all().await;
}

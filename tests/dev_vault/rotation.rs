//! Rotating keys: by hand, by policy when the vault's clock says so, and what a policy may say.

use std::time::Duration;

use http::StatusCode;
use serde_json::{Value, json};

use crate::operations::signs;
use crate::world::{Reply, World};

const DAY: u64 = 24 * 3600;
const POLICY: &str = "/keys/k/rotationpolicy";

fn days(count: u64) -> Duration {
    Duration::from_secs(count * DAY)
}

fn rotate(trigger: &str, period: &str) -> Value {
    json!({ "trigger": { trigger: period }, "action": { "type": "Rotate" } })
}

fn notify(period: &str) -> Value {
    json!({ "trigger": { "timeBeforeExpiry": period }, "action": { "type": "Notify" } })
}

async fn make(world: &World, body: Value) -> Value {
    let made = world.send("POST", "/keys/k/create", body).await;
    assert_eq!(made.status, StatusCode::OK);
    made.body
}

async fn set(world: &World, actions: Value, expiry: Option<&str>) -> Reply {
    let body = json!({ "lifetimeActions": actions, "attributes": { "expiryTime": expiry } });
    world.send("PUT", POLICY, body).await
}

/// `created` and `exp` of every version.
async fn versions(world: &World) -> Vec<(u64, Option<u64>)> {
    let listed = world.get("/keys/k/versions").await.body;
    let items = listed["value"].as_array().unwrap();
    items
        .iter()
        .map(|item| {
            let attributes = &item["attributes"];
            (
                attributes["created"].as_u64().unwrap(),
                attributes["exp"].as_u64(),
            )
        })
        .collect()
}

#[tokio::test]
async fn a_key_rotated_by_hand_has_a_new_version_like_the_one_before() {
    let world = World::start().await;
    let now = world.clock.seconds();
    let before = make(
        &world,
        json!({
            "kty": "EC-HSM", "crv": "P-521", "key_ops": ["sign", "verify"],
            "tags": { "a": "b" }, "attributes": { "enabled": false, "exp": now + 5 },
        }),
    )
    .await;
    let after = world.send("POST", "/keys/k/rotate", Value::Null).await;
    assert_eq!(after.status, StatusCode::OK);
    let after = after.body;
    for inherited in ["kty", "crv", "key_ops"] {
        assert_eq!(after["key"][inherited], before["key"][inherited]);
    }
    assert_eq!(after["tags"], before["tags"]);
    for own in ["kid", "x", "y"] {
        assert_ne!(after["key"][own], before["key"][own]);
    }
    assert_eq!(after["attributes"]["enabled"], true);
    // Without a policy it does not expire.
    assert!(after["attributes"].get("exp").is_none());
    signs(&world, "/keys/k", "ES512", &after["key"]).await;
    assert_eq!(versions(&world).await.len(), 2);

    set(&world, json!([]), Some("P30D")).await;
    let after = world.send("POST", "/keys/k/rotate", Value::Null).await.body;
    let created = after["attributes"]["created"].as_u64().unwrap();
    assert_eq!(after["attributes"]["exp"], now + 30 * DAY);
    assert!(created < now + DAY);
    let missing = world.send("POST", "/keys/none/rotate", Value::Null).await;
    assert_eq!(missing.error(), ("KeyNotFound", None));
}

#[tokio::test]
async fn a_policy_is_shown_as_key_vault_shows_it() {
    let world = World::start().await;
    make(&world, json!({ "kty": "EC" })).await;
    let id = world.url("/keys/k/rotationpolicy");
    assert_eq!(
        world.get(POLICY).await.body,
        json!({ "id": id, "lifetimeActions": [notify("P30D")], "attributes": {} })
    );
    let created = world.clock.seconds();
    let reply = set(&world, json!([rotate("timeAfterCreate", "P2M")]), None).await;
    assert_eq!(reply.status, StatusCode::OK);
    // To notify is added, as the service does.
    let expected = json!({
        "id": id,
        "lifetimeActions": [rotate("timeAfterCreate", "P2M"), notify("P30D")],
        "attributes": { "created": created, "updated": created },
    });
    assert_eq!(reply.body, expected);
    assert_eq!(world.get(POLICY).await.body, expected);

    world.clock.advance(days(1));
    let actions = json!([notify("P10D"), rotate("timeBeforeExpiry", "P30D")]);
    let reply = set(&world, actions, Some("P1Y10D")).await;
    assert_eq!(
        reply.body,
        json!({
            "id": id,
            "lifetimeActions": [rotate("timeBeforeExpiry", "P30D"), notify("P10D")],
            "attributes": {
                "expiryTime": "P1Y10D", "created": created, "updated": created + DAY,
            },
        })
    );
    for (method, path) in [("GET", "/keys/none"), ("PUT", "/keys/none")] {
        let path = format!("{path}/rotationpolicy");
        let missing = world.send(method, &path, json!({})).await;
        assert_eq!(missing.error(), ("KeyNotFound", None));
    }
}

#[tokio::test]
async fn a_key_is_rotated_when_its_time_has_come_and_as_often() {
    let world = World::start().await;
    let made = world.clock.seconds();
    make(&world, json!({ "kty": "RSA" })).await;
    let actions = json!([rotate("timeAfterCreate", "P90D")]);
    set(&world, actions, Some("P120D")).await;
    world.clock.advance(days(90) - Duration::from_secs(1));
    assert_eq!(versions(&world).await.len(), 1);
    world.clock.advance(Duration::from_secs(1));
    let first = (made + 90 * DAY, Some(made + 210 * DAY));
    assert_eq!(versions(&world).await, [(made, None), first]);
    // Nobody asked for half a year; the key was rotated all the same.
    world.clock.advance(days(180));
    let later = [180, 270].map(|day| (made + day * DAY, Some(made + (day + 120) * DAY)));
    let expected = [(made, None), first, later[0], later[1]];
    assert_eq!(versions(&world).await, expected);
    let key = world.get("/keys/k").await.body;
    signs(&world, "/keys/k", "RS256", &key["key"]).await;
}

#[tokio::test]
async fn a_key_is_rotated_before_it_expires_if_it_does() {
    let world = World::start().await;
    let now = world.clock.seconds();
    make(&world, json!({ "kty": "EC" })).await;
    let actions = json!([rotate("timeBeforeExpiry", "P30D")]);
    assert_eq!(
        set(&world, actions, Some("P90D")).await.status,
        StatusCode::OK
    );
    // This version never expires.
    world.clock.advance(days(1000));
    assert_eq!(versions(&world).await.len(), 1);
    let now = now + 1000 * DAY;
    let change = json!({ "attributes": { "exp": now + 40 * DAY } });
    world.send("PATCH", "/keys/k", change).await;
    world.clock.advance(days(10));
    let rotated = (now + 10 * DAY, Some(now + 100 * DAY));
    assert_eq!(versions(&world).await[1..], [rotated]);
    // The new version expires as the policy says, and is rotated in its turn.
    world.clock.advance(days(59));
    assert_eq!(versions(&world).await.len(), 2);
    world.clock.advance(days(1));
    assert_eq!(versions(&world).await.len(), 3);
}

#[tokio::test]
async fn a_policy_does_nothing_before_it_is_there_nor_to_a_deleted_key() {
    let world = World::start().await;
    make(&world, json!({ "kty": "EC" })).await;
    world.clock.advance(days(100));
    let set_at = world.clock.seconds();
    set(&world, json!([rotate("timeAfterCreate", "P50D")]), None).await;
    // Long overdue, from now on.
    assert_eq!(versions(&world).await[1..], [(set_at, None)]);
    world.send("DELETE", "/keys/k", Value::Null).await;
    world.clock.advance(days(60));
    let deleted = world.get("/deletedkeys/k").await;
    assert_eq!(deleted.body["attributes"]["created"], set_at);
    world
        .send("POST", "/deletedkeys/k/recover", Value::Null)
        .await;
    assert_eq!(versions(&world).await.len(), 3);
}

#[tokio::test]
async fn concurrent_requests_rotate_a_key_once() {
    let world = World::start().await;
    make(&world, json!({ "kty": "RSA" })).await;
    set(&world, json!([rotate("timeAfterCreate", "P90D")]), None).await;
    world.clock.advance(days(91));
    let asked = (0..8).map(|_| world.get("/keys/k"));
    let answers = futures_util::future::join_all(asked).await;
    for answer in &answers {
        assert_eq!(answer.body["key"]["kid"], answers[0].body["key"]["kid"]);
    }
    assert_eq!(versions(&world).await.len(), 2);
}

#[tokio::test]
async fn a_backup_keeps_the_policy() {
    let world = World::start().await;
    make(&world, json!({ "kty": "EC" })).await;
    set(&world, json!([rotate("timeAfterCreate", "P90D")]), None).await;
    let policy = world.get(POLICY).await.body;
    let backup = world.send("POST", "/keys/k/backup", Value::Null).await;
    world.send("DELETE", "/keys/k", Value::Null).await;
    world.send("DELETE", "/deletedkeys/k", Value::Null).await;
    let blob = json!({ "value": backup.text("value") });
    world.send("POST", "/keys/restore", blob).await;
    assert_eq!(world.get(POLICY).await.body, policy);
    world.clock.advance(days(90));
    assert_eq!(versions(&world).await.len(), 2);
}

async fn refused(world: &World, policies: &[(Value, Option<&str>)]) {
    for (actions, expiry) in policies {
        let reply = set(world, actions.clone(), *expiry).await;
        assert_eq!(
            reply.status,
            StatusCode::BAD_REQUEST,
            "{actions} {expiry:?}"
        );
        assert_eq!(reply.error(), ("BadParameter", None));
    }
}

#[tokio::test]
async fn a_policy_must_leave_a_key_its_time() {
    let world = World::start().await;
    make(&world, json!({ "kty": "EC" })).await;
    let after = |period| json!([rotate("timeAfterCreate", period)]);
    let before = |period| json!([rotate("timeBeforeExpiry", period)]);
    let policies = [
        (json!([]), Some("P27D")),
        (after("P6D"), None),
        (after("P84D"), Some("P90D")),
        (before("P30D"), None),
        (before("P6D"), Some("P90D")),
        (before("P84D"), Some("P90D")),
    ];
    refused(&world, &policies).await;
    for (actions, expiry) in [
        (after("P7D"), Some("P28D")),
        (before("P7D"), Some("P28D")),
        (before("P83D"), Some("P90D")),
        (Value::Null, None),
    ] {
        let reply = set(&world, actions.clone(), expiry).await;
        assert_eq!(reply.status, StatusCode::OK, "{actions} {}", reply.body);
    }
}

#[tokio::test]
async fn a_policy_that_makes_no_sense_is_a_bad_parameter() {
    let world = World::start().await;
    make(&world, json!({ "kty": "EC" })).await;
    let action = |kind, trigger| json!([{ "trigger": trigger, "action": { "type": kind } }]);
    let after = rotate("timeAfterCreate", "P30D");
    let both = json!({ "timeAfterCreate": "P90D", "timeBeforeExpiry": "P30D" });
    let policies = [
        (json!([]), Some("90 days")),
        (json!([rotate("timeAfterCreate", "90D")]), None),
        (action("Rotate", both), Some("P120D")),
        (action("Rotate", json!({})), Some("P120D")),
        (
            action("Notify", json!({ "timeAfterCreate": "P90D" })),
            Some("P120D"),
        ),
        (
            action("Explode", json!({ "timeBeforeExpiry": "P90D" })),
            Some("P120D"),
        ),
        (json!([after, after]), None),
        (json!([notify("P30D"), notify("P30D")]), None),
        (json!([1]), None),
        (json!("P90D"), None),
    ];
    refused(&world, &policies).await;
    // What is null is not there, and the type of an action is written in any case.
    let trigger = json!({ "timeAfterCreate": "P90D", "timeBeforeExpiry": null });
    let reply = set(&world, action("rotate", trigger), None).await;
    assert_eq!(reply.status, StatusCode::OK);
}

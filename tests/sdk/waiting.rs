//! When the SDK tries again, and when it does not.

use std::time::Duration;

use azure_core::http::StatusCode;
use azure_core::time::Duration as Wait;
use http::StatusCode as Status;
use portcullis::dev::people;
use portcullis::dev::vault::Script;
use serde_json::json;

use crate::gate::{Gate, RETRIES, Refusal, set};
use crate::wire::waits;

#[tokio::test]
async fn a_refusal_is_asked_once_each_time() {
    let gate = Gate::start().await;
    let client = gate.secrets(people::DB_APP);
    client.get_secret(people::DB_SECRET, None).await.unwrap();
    let before = gate.sent().len();
    for asked in 1..=3 {
        let refused = Refusal::of(client.get_secret("app-api-key", None).await);
        assert_eq!(refused.status, StatusCode::Forbidden);
        assert_eq!(gate.sent().len() - before, asked);
    }
    assert!(waits().is_empty());
    gate.finish().await;
}

#[tokio::test]
async fn without_role_data_the_sdk_waits_as_told_and_tries_again() {
    let gate = Gate::start().await;
    gate.lose_role_data();
    let client = gate.secrets(people::ADMIN);
    let refused = Refusal::of(client.get_secret(people::DB_SECRET, None).await);
    // Not a denial: the application must not take it for one.
    assert_eq!(refused.status, StatusCode::ServiceUnavailable);
    assert_eq!(refused.code, "ServiceUnavailable");
    assert_eq!(refused.inner.as_deref(), Some("RefusedByPortcullis"));
    assert_eq!(refused.reason.as_deref(), Some("snapshot_stale"));
    assert!(refused.message.contains("role assignments are too old"));
    let statuses: Vec<u16> = gate.sent().iter().map(|sent| sent.status).collect();
    assert_eq!(statuses, [401, 503, 503, 503]);
    assert_eq!(waits(), [Wait::seconds(5); RETRIES as usize]);
    assert_eq!(gate.journal().len(), 0);
    gate.finish().await;
}

#[tokio::test]
async fn the_vaults_own_wish_to_be_left_alone_gets_through() {
    let gate = Gate::start().await;
    let client = gate.secrets(people::ADMIN);
    let unavailable = Script::json(
        Status::SERVICE_UNAVAILABLE,
        &json!({ "error": { "code": "ServiceUnavailable", "message": "try later" } }),
    );
    gate.world
        .vault
        .next_response("/secrets/patient", unavailable);
    let throttled = Script::throttled(Some(Duration::from_secs(7)));
    gate.world
        .vault
        .next_response("/secrets/patient", throttled);
    set(&client, "patient", "v").await;
    let statuses: Vec<u16> = gate.sent().iter().map(|sent| sent.status).collect();
    assert_eq!(statuses, [401, 503, 429, 200]);
    let waited = waits();
    assert_eq!(waited.len(), 2);
    // The vault named no time for the first; for the second it did.
    assert!(waited[0] < Wait::seconds(1), "{waited:?}");
    assert_eq!(waited[1], Wait::seconds(7));
    // The SDK tried again, the proxy did not.
    assert_eq!(gate.journal().len(), 3);
    gate.finish().await;
}

#[tokio::test]
async fn a_broken_answer_is_tried_again_by_the_sdk_and_not_by_the_proxy() {
    let gate = Gate::start().await;
    let client = gate.secrets(people::ADMIN);
    set(&client, "once", "first").await;
    // The connection breaks after the vault has the request: nobody knows whether it was done.
    gate.world
        .vault
        .next_response("/secrets/once", Script::disconnected());
    let before = gate.journal().len();
    set(&client, "once", "second").await;
    let statuses: Vec<u16> = gate.sent().iter().map(|sent| sent.status).collect();
    assert_eq!(statuses, [401, 200, 502, 200]);
    assert_eq!(gate.journal().len() - before, 2);
    gate.finish().await;
}

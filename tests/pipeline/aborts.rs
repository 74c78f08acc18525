//! Answers that do not end: the vault's doing, the clock's, or the client's.

use std::time::Duration;

use portcullis::config::Limits;
use portcullis::dev::people;
use portcullis::dev::vault::Script;
use serde_json::{Value, json};

use crate::relay::under_two_names;
use crate::site::{SECRET, Setup, Site, soon};
use crate::wire::Wire;

const PATH: &str = "/secrets/app-api-key";

/// Asks for the secret under the vault's own name, so that the answer streams through.
async fn ask(site: &Site) -> Wire {
    let head = site.head_to(&site.own_host(), people::ADMIN, &format!("GET {SECRET}"));
    let mut wire = site.wire_to(site.vault_host()).await;
    wire.send(format!("{head}\r\n")).await;
    wire
}

#[tokio::test]
async fn a_vault_that_breaks_off_its_answer_breaks_off_ours() {
    let site = under_two_names().await;
    let broken = Script::genuine().broken_off(10);
    site.world.vault.next_response(PATH, broken);
    let reply = ask(&site).await.answer().await;
    assert_eq!((reply.status, reply.body), (200, None));
    let (record, _) = site.forwarded();
    let result = site.result_of(&record).await;
    assert_eq!(
        (&result["status"], &result["reason"]),
        (&json!(200), &json!("upstream_error"))
    );
    assert_eq!(result["upstream"]["status"], 200);
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_broken_off() {
    let setup = Setup {
        limits: Limits {
            total_timeout: Duration::from_secs(1),
            ..Limits::default()
        },
        vault_host: "portcullis-dev.vault.azure.net",
        ..Setup::default()
    };
    let site = setup.start().await;
    let (script, _release) = Script::genuine().stalled(10);
    site.world.vault.next_response(PATH, script);
    let reply = ask(&site).await.answer().await;
    assert_eq!((reply.status, reply.body), (200, None));
    let (record, _) = site.forwarded();
    let result = site.result_of(&record).await;
    assert_eq!(
        (&result["status"], &result["reason"]),
        (&json!(200), &json!("upstream_timeout"))
    );
}

#[tokio::test]
async fn a_client_that_leaves_in_the_middle_of_an_answer_is_recorded() {
    let site = under_two_names().await;
    let (script, _release) = Script::genuine().stalled(10);
    site.world.vault.next_response(PATH, script);
    let mut wire = ask(&site).await;
    assert!(wire.answer_head().await.starts_with("HTTP/1.1 200 "));
    assert_eq!(wire.exactly(10).await.unwrap().len(), 10);
    drop(wire);
    let (record, _) = site.forwarded();
    let result = site.result_of(&record).await;
    assert_eq!(
        (&result["aborted"], &result["reason"]),
        (&json!(true), &json!("client_gone"))
    );
    assert_eq!(result["upstream"]["sent"], true);
    assert_eq!(result["upstream"]["status"], 200);
}

#[tokio::test]
async fn a_client_that_leaves_before_the_answer_is_recorded_as_one_whose_request_was_sent() {
    let site = under_two_names().await;
    let (script, _release) = Script::genuine().held();
    site.world.vault.next_response(PATH, script);
    let wire = ask(&site).await;
    soon(site.world.vault.reached(1)).await;
    drop(wire);
    let (record, _) = site.forwarded();
    let result = site.result_of(&record).await;
    assert_eq!(
        (&result["aborted"], &result["reason"]),
        (&json!(true), &json!("client_gone"))
    );
    assert_eq!(
        (&result["status"], &result["upstream"]["status"]),
        (&Value::Null, &Value::Null)
    );
    // The vault may have acted: whoever reads the record must know.
    assert_eq!(result["upstream"]["sent"], true);
}

#[tokio::test]
async fn a_client_that_leaves_while_it_sends_is_recorded_and_the_vault_is_left() {
    let site = under_two_names().await;
    let head = site.head(people::ADMIN, "PUT /secrets/fresh?api-version=7.4");
    let mut wire = site.wire().await;
    wire.send(format!("{head}Content-Length: 100\r\n\r\n{{\"value\":"))
        .await;
    soon(site.world.vault.reached(1)).await;
    drop(wire);
    let (record, _) = site.forwarded();
    let result = site.result_of(&record).await;
    assert_eq!(result["upstream"]["sent"], true);
    let reply = site
        .get(people::ADMIN, "/secrets/fresh?api-version=7.4")
        .await;
    assert_eq!(reply.status, 404);
    site.forwarded();
}

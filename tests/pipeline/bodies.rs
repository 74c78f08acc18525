//! Request bodies that are larger than allowed.

use portcullis::config::Limits;
use portcullis::dev::people::{self, Person};
use serde_json::{Value, json};

use crate::site::{Setup, Site};

const LIMIT: usize = 100;
const TARGET: &str = "/secrets/fresh?api-version=7.4";

async fn small() -> Site {
    Setup {
        limits: Limits {
            max_body_bytes: LIMIT as u64,
            ..Limits::default()
        },
        ..Setup::default()
    }
    .start()
    .await
}

fn put(site: &Site, person: Person) -> String {
    let head = site.head(person, &format!("PUT {TARGET}"));
    format!("{head}Content-Type: application/json\r\n")
}

/// A secret whose JSON has `length` bytes.
fn body(length: usize) -> String {
    let frame = json!({ "value": "" }).to_string().len();
    json!({ "value": "x".repeat(length - frame) }).to_string()
}

#[tokio::test]
async fn a_body_of_the_largest_size_passes() {
    let site = small().await;
    let body = body(LIMIT);
    let head = put(&site, people::ADMIN);
    let mut wire = site.wire().await;
    let reply = wire
        .ask(format!("{head}Content-Length: {LIMIT}\r\n\r\n{body}"))
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    site.forwarded();
}

#[tokio::test]
async fn a_body_declared_too_large_is_413_and_nothing_is_sent() {
    let site = small().await;
    let body = body(LIMIT + 1);
    let head = put(&site, people::ADMIN);
    let mut wire = site.wire().await;
    let length = body.len();
    let reply = wire
        .ask(format!("{head}Content-Length: {length}\r\n\r\n{body}"))
        .await;
    assert_eq!(reply.json()["error"]["code"], "RequestTooLarge");
    let record = site.refused(&reply, (413, "body_too_large"));
    assert_eq!(record["decision"], "deny");
    // The connection is still good.
    let head = put(&site, people::NOBODY);
    let reply = wire.ask(format!("{head}Content-Length: 0\r\n\r\n")).await;
    site.refused(&reply, (403, "no_assignment"));
}

#[tokio::test]
async fn a_chunked_body_that_grows_too_large_is_413_and_aborted() {
    let site = small().await;
    let head = put(&site, people::ADMIN);
    let mut wire = site.wire().await;
    let body = body(2 * LIMIT);
    let (first, second) = body.split_at(LIMIT);
    wire.send(format!("{head}Transfer-Encoding: chunked\r\n\r\n"))
        .await;
    wire.send(format!("{:x}\r\n{first}\r\n", first.len())).await;
    crate::site::soon(site.world.vault.reached(1)).await;
    wire.send(format!("{:x}\r\n{second}\r\n0\r\n\r\n", second.len()))
        .await;
    let reply = wire.answer().await;
    assert_eq!(
        (reply.status, reply.header("x-portcullis-reason")),
        (413, Some("body_too_large"))
    );
    let (record, _) = site.forwarded();
    let result = site.result_of(&record).await;
    assert_eq!(
        (&result["status"], &result["reason"]),
        (&json!(413), &json!("body_too_large"))
    );
    assert_eq!(result["upstream"]["sent"], true);
    assert_eq!(result["upstream"]["status"], Value::Null);
    // The vault did not take the half for the whole.
    let reply = site.get(people::ADMIN, TARGET).await;
    assert_eq!(reply.status, 404);
}

#[tokio::test]
async fn a_large_body_of_somebody_without_a_role_is_refused_for_that() {
    let site = small().await;
    let head = put(&site, people::NOBODY);
    let mut wire = site.wire().await;
    wire.send(format!(
        "{head}Transfer-Encoding: chunked\r\n\r\n40\r\n{}\r\n",
        "x".repeat(64)
    ))
    .await;
    let reply = wire.answer().await;
    site.refused(&reply, (403, "no_assignment"));
}

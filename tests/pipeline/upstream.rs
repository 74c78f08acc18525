//! A vault that is slow, gone or broken: 502 and 504, and never a second try.

use std::time::Duration;

use portcullis::config::Limits;
use portcullis::dev::people;
use portcullis::dev::vault::Script;
use portcullis::dev::world::World;
use serde_json::{Value, json};

use crate::relay::under_two_names;
use crate::site::{Reply, SECRET, Setup, Site, VERSION};

const PATH: &str = "/secrets/app-api-key";

/// Long enough for a machine that is busy to answer at once, short enough to be waited for.
const SHORT: Duration = Duration::from_secs(1);

/// Checks an answer of ours to a request that was allowed, and its two records.
async fn failed(site: &Site, reply: &Reply, (status, reason): (u16, &str), sent: bool) {
    assert_eq!(
        (reply.status, reply.header("x-portcullis-reason")),
        (status, Some(reason)),
        "{}",
        reply.text()
    );
    let record = site.decision();
    assert_eq!(record["decision"], "allow");
    assert_eq!(
        record["decision_id"].as_str(),
        reply.header("x-portcullis-decision-id")
    );
    let result = site.result_of(&record).await;
    assert_eq!(
        (&result["status"], &result["reason"]),
        (&json!(status), &json!(reason))
    );
    assert_eq!(
        (&result["aborted"], &result["upstream"]["sent"]),
        (&json!(false), &json!(sent))
    );
    assert_eq!(result["upstream"]["status"], Value::Null);
    let inner = &reply.json()["error"]["innererror"]["code"];
    assert_eq!(inner, "RefusedByPortcullis");
}

#[tokio::test]
async fn a_vault_that_does_not_begin_to_answer_is_504() {
    let limits = Limits {
        first_byte_timeout: SHORT,
        ..Limits::default()
    };
    let setup = Setup {
        limits,
        ..Setup::default()
    };
    let site = setup.start().await;
    let (script, _release) = Script::genuine().held();
    site.world.vault.next_response(PATH, script);
    let reply = site.get(people::ADMIN, SECRET).await;
    failed(&site, &reply, (504, "upstream_timeout"), true).await;
    assert_eq!(reply.json()["error"]["code"], "GatewayTimeout");
    assert_eq!(site.world.vault.journal_len(), 1);
}

#[tokio::test]
async fn a_request_that_takes_too_long_in_all_is_504() {
    let limits = Limits {
        total_timeout: SHORT,
        ..Limits::default()
    };
    let setup = Setup {
        limits,
        ..Setup::default()
    };
    let site = setup.start().await;
    let (script, _release) = Script::genuine().held();
    site.world.vault.next_response(PATH, script);
    let body = json!({ "value": "v" });
    let reply = site.send(people::ADMIN, "PUT", SECRET, &body).await;
    failed(&site, &reply, (504, "upstream_timeout"), true).await;
    // The body has to be read for its links, and does not end.
    let (script, _release) = Script::genuine().stalled(5);
    site.world.vault.next_response(PATH, script);
    let reply = site.get(people::ADMIN, SECRET).await;
    failed(&site, &reply, (504, "upstream_timeout"), true).await;
    assert_eq!(site.world.vault.journal_len(), 2);
}

#[tokio::test]
async fn a_vault_that_breaks_off_is_502_and_asked_once() {
    let site = Site::start().await;
    // On a fresh connection and on one that was used before.
    for asked in 1..=3 {
        site.world.vault.next_response(PATH, Script::disconnected());
        let body = json!({ "value": "v" });
        let reply = site.send(people::ADMIN, "PUT", SECRET, &body).await;
        failed(&site, &reply, (502, "upstream_error"), true).await;
        assert_eq!(site.world.vault.journal_len(), 2 * asked - 1);
        assert_eq!(site.get(people::ADMIN, SECRET).await.status, 200);
        site.decision();
    }
    let broken = Script::genuine().broken_off(10);
    site.world.vault.next_response(PATH, broken);
    let reply = site.get(people::ADMIN, SECRET).await;
    failed(&site, &reply, (502, "upstream_error"), true).await;
    assert_eq!(site.world.vault.journal_len(), 7);
}

#[tokio::test]
async fn an_answer_that_is_not_the_json_it_claims_to_be_is_502() {
    let site = under_two_names().await;
    let script = Script::genuine().header(
        http::header::CONTENT_ENCODING,
        http::HeaderValue::from_static("br"),
    );
    site.world.vault.next_response(PATH, script);
    let reply = site.get(people::ADMIN, SECRET).await;
    failed(&site, &reply, (502, "upstream_error"), true).await;
    assert!(!reply.text().contains("dev-only"));
}

#[tokio::test]
async fn a_vault_that_is_gone_is_502_and_nothing_was_sent() {
    let site = Site::start().await;
    let (host, token) = (site.host(), site.token(people::ADMIN));
    let url = format!("https://{host}/secrets/app-api-key?{VERSION}");
    let Site {
        world,
        client,
        records,
        ..
    } = site;
    let World { vault, proxy, .. } = world;
    vault.stop().await;
    let reply = crate::site::read(client.get(url).bearer_auth(token)).await;
    assert_eq!(
        (reply.status, reply.header("x-portcullis-reason")),
        (502, Some("upstream_error"))
    );
    assert_eq!(reply.json()["error"]["code"], "BadGateway");
    proxy.stop().await;
    let lines = records.lines();
    let [decision, result] = lines.as_slice() else {
        panic!("{lines:?}");
    };
    assert_eq!(decision["decision"], "allow");
    assert_eq!(
        decision["decision_id"].as_str(),
        reply.header("x-portcullis-decision-id")
    );
    assert_eq!(result["decision_id"], decision["decision_id"]);
    assert_eq!(
        (&result["status"], &result["reason"]),
        (&json!(502), &json!("upstream_error"))
    );
    assert_eq!(result["upstream"]["sent"], false);
}

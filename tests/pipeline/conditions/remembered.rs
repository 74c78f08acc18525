//! What is remembered of a vault's answers, for whom, and until when.

use std::time::Duration;

use portcullis::config::{Limits, MetadataQuestions};
use portcullis::dev::people;
use portcullis::dev::vault::Script;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{ASKED, CALLER, GET, LIST, NAME, asked, only_red, paint, refused, site, site_with};
use crate::site::{Setup, Site, VERSION, eventually, read};

/// How often the vault was asked about the secret since the last look.
fn looks(site: &Site) -> usize {
    let is_look = |line: &String| line.contains("/versions?");
    asked(site).into_iter().filter(is_look).count()
}

async fn hits(site: &Site, result: &str) -> f64 {
    let labels = ["cache=\"metadata\"", &format!("result=\"{result}\"")];
    site.metric("portcullis_cache_requests_total", &labels)
        .await
}

#[tokio::test]
async fn an_answer_is_remembered_for_its_seconds() {
    let site = site(&only_red()).await;
    paint(&site, NAME, "scarlet", "red").await;
    for _ in 0..3 {
        assert_eq!(site.get(CALLER, GET).await.status, 200);
    }
    assert_eq!(looks(&site), 1);
    assert_eq!(
        (hits(&site, "miss").await, hits(&site, "hit").await),
        (1.0, 2.0)
    );
    site.clock.advance(Duration::from_secs(4));
    assert_eq!(site.get(CALLER, GET).await.status, 200);
    assert_eq!(looks(&site), 0);
    site.clock.advance(Duration::from_secs(1));
    assert_eq!(site.get(CALLER, GET).await.status, 200);
    assert_eq!(looks(&site), 1);
    assert_eq!(hits(&site, "stale").await, 1.0);
    // A clock that was set back makes nothing younger.
    site.clock.back(Duration::from_secs(3));
    assert_eq!(site.get(CALLER, GET).await.status, 200);
    assert_eq!(looks(&site), 1);
}

#[tokio::test]
async fn nothing_is_remembered_if_the_configuration_says_so() {
    let setup = Setup {
        metadata: MetadataQuestions {
            remembered_for: Duration::ZERO,
            ..MetadataQuestions::default()
        },
        ..Setup::default()
    };
    let site = site_with(setup, &only_red()).await;
    paint(&site, NAME, "scarlet", "red").await;
    for _ in 0..2 {
        assert_eq!(site.get(CALLER, GET).await.status, 200);
    }
    assert_eq!(looks(&site), 2);
}

#[tokio::test]
async fn whoever_asks_at_the_same_time_shares_one_question() {
    let site = site(&only_red()).await;
    paint(&site, NAME, "scarlet", "red").await;
    let (script, release) = Script::genuine().held();
    site.world.vault.next_response(LIST, script);
    let mut asking = JoinSet::new();
    for _ in 0..8 {
        let request = site.request("GET", GET).bearer_auth(site.token(CALLER));
        asking.spawn(read(request));
    }
    // All of them are being answered, and the vault has one question.
    let all = ["listener"];
    eventually(async || {
        let in_flight = site.metric("portcullis_inflight_requests", &all).await;
        (in_flight >= 8.0).then_some(())
    })
    .await;
    release.release();
    while let Some(reply) = asking.join_next().await {
        assert_eq!(reply.unwrap().status, 200);
    }
    assert_eq!(looks(&site), 1);
}

#[tokio::test]
async fn a_question_goes_on_for_the_others_when_the_first_to_ask_goes_away() {
    let site = site(&only_red()).await;
    paint(&site, NAME, "scarlet", "red").await;
    let (script, release) = Script::genuine().held();
    site.world.vault.next_response(LIST, script);
    let ask = || {
        tokio::spawn(read(
            site.request("GET", GET).bearer_auth(site.token(CALLER)),
        ))
    };
    let first = ask();
    site.until_news(1).await;
    let second = ask();
    first.abort();
    assert_eq!(second.await.unwrap().status, 200);
    drop(release);
}

#[tokio::test]
async fn many_that_go_away_one_after_the_other_take_nobody_along() {
    const MANY: u64 = 205;
    let setup = Setup {
        // One thread: requests wait for the answer in the order in which they began. None may run out
        // of time, however slow the machine is.
        limits: Limits {
            worker_threads: 1,
            total_timeout: Duration::from_secs(600),
            ..Limits::default()
        },
        metadata: MetadataQuestions {
            timeout: Duration::from_secs(600),
            ..MetadataQuestions::default()
        },
        ..Setup::default()
    };
    let site = site_with(setup, &only_red()).await;
    paint(&site, NAME, "scarlet", "red").await;
    let mut releases = Vec::new();
    for _ in 0..MANY {
        let (script, release) = Script::genuine().held();
        site.world.vault.next_response(LIST, script);
        releases.push(release);
    }
    let mut asking = Vec::new();
    for count in 1..=MANY + 1 {
        let request = site
            .request("GET", GET)
            .bearer_auth(site.token(CALLER))
            // The first waits until the last is here, however slow the machine is.
            .timeout(Duration::from_secs(600));
        asking.push(tokio::spawn(read(request)));
        let labels = ["listener"];
        eventually(async || {
            let in_flight = site.metric("portcullis_inflight_requests", &labels);
            (in_flight.await >= f64::from(u32::try_from(count).unwrap())).then_some(())
        })
        .await;
    }
    let last = asking.pop().unwrap();
    for (gone, one) in (1..).zip(asking) {
        site.until_news(gone).await;
        one.abort();
    }
    drop(releases);
    assert_eq!(last.await.unwrap().status, 200);
}

#[tokio::test]
async fn what_one_caller_was_told_is_not_used_for_another() {
    let site = site(&only_red()).await;
    paint(&site, NAME, "scarlet", "red").await;
    assert_eq!(site.get(CALLER, GET).await.status, 200);
    let mut others = super::assignment(&only_red());
    let other = people::EXPIRED_PIM;
    others[0]["principalId"] = json!(other.object_id.to_string());
    others[0]["name"] = json!("b28fa4e5-69c3-4d10-8f72-e405938c17d6");
    others[0]["id"] = json!(
        others[0]["id"]
            .as_str()
            .unwrap()
            .replace(super::ASSIGNMENT, "b28fa4e5-69c3-4d10-8f72-e405938c17d6")
    );
    site.change_roles(|directory| crate::site::put(directory, "other.json", &others))
        .await;
    asked(&site);
    assert_eq!(site.get(other, GET).await.status, 200);
    assert_eq!(looks(&site), 1);
}

#[tokio::test]
async fn a_write_through_us_is_seen_at_once() {
    let site = site(&only_red()).await;
    let path = format!("/secrets/PAINT?{VERSION}");
    for (method, body) in [
        (
            "PUT",
            json!({ "value": "navy", "tags": { "team": "blue" } }),
        ),
        ("PATCH", json!({ "tags": { "team": "blue" } })),
    ] {
        paint(&site, NAME, "scarlet", "red").await;
        assert_eq!(site.get(CALLER, GET).await.status, 200, "{method}");
        let reply = site.send(people::ADMIN, method, &path, &body).await;
        assert_eq!(reply.status, 200, "{method}: {}", reply.text());
        site.forget();
        let reply = site.get(CALLER, GET).await;
        refused(&site, &reply, (403, "condition_false"));
        site.clock.advance(Duration::from_secs(1));
    }
}

#[tokio::test]
async fn an_answer_that_is_on_its_way_during_a_write_is_not_remembered() {
    let site = site(&only_red()).await;
    paint(&site, NAME, "scarlet", "red").await;
    let (script, release) = Script::genuine().stalled(5);
    site.world.vault.next_response(LIST, script);
    let request = site.request("GET", GET).bearer_auth(site.token(CALLER));
    let asking = tokio::spawn(read(request));
    site.until_news(1).await;
    let body = json!({ "tags": { "team": "blue" } });
    let reply = site.send(people::ADMIN, "PATCH", GET, &body).await;
    assert_eq!(reply.status, 200);
    release.release();
    // It was asked before, and is decided as of then.
    assert_eq!(asking.await.unwrap().status, 200);
    site.forget();
    let reply = site.get(CALLER, GET).await;
    refused(&site, &reply, (403, "condition_false"));
}

#[tokio::test]
async fn a_request_that_writes_asks_whatever_is_remembered() {
    let update = "Microsoft.KeyVault/vaults/secrets/update/action";
    let condition = only_red().replace(
        "ActionMatches{'Microsoft.KeyVault/vaults/secrets/getSecret/action'}",
        &format!(
            "ActionMatches{{'Microsoft.KeyVault/vaults/secrets/getSecret/action'}} OR \
             ActionMatches{{'{update}'}}"
        ),
    );
    let site = site(&condition).await;
    let version = paint(&site, NAME, "scarlet", "red").await;
    assert_eq!(site.get(CALLER, GET).await.status, 200);
    asked(&site);
    let body: Value = json!({ "contentType": "text/plain" });
    let reply = site.send(CALLER, "PATCH", GET, &body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let patched = format!("PATCH /secrets/paint/{version}?{VERSION}");
    assert_eq!(asked(&site), [format!("GET {LIST}?{ASKED}"), patched]);
}

//! What is asked about an object before a request is decided, and what a bad answer comes to.

use std::time::Duration;

use http::StatusCode;
use portcullis::config::MetadataQuestions;
use portcullis::dev::people;
use portcullis::dev::vault::Script;
use serde_json::{Value, json};

use super::{
    ASKED, CALLER, GET, LIST, NAME, PATH, asked, only_red, paint, refused, site, site_with,
};
use crate::site::{Setup, Site, VERSION, put, read, soon};

const LISTED: &str = "GET /secrets/paint/versions?api-version=2026-04-01";

#[tokio::test]
async fn a_value_is_served_after_its_metadata_and_in_the_version_that_was_looked_at() {
    let site = site(&only_red()).await;
    let version = paint(&site, NAME, "scarlet", "red").await;
    for path in [GET, "/secrets/paint/?api-version=7.4"] {
        let reply = site.get(CALLER, path).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        assert_eq!(reply.json()["value"], "scarlet");
        let record = site.decision();
        assert_eq!(record["decision"], "allow");
        assert_eq!(record["object_version"], Value::Null);
        assert_eq!(record["policy"]["pinned_version"], *version);
    }
    let read = format!("GET {PATH}/{version}?api-version=7.4");
    assert_eq!(asked(&site), [LISTED, &read, &read]);
}

#[tokio::test]
async fn a_value_is_never_asked_for_when_its_metadata_denies_it() {
    let site = site(&only_red()).await;
    paint(&site, NAME, "navy", "blue").await;
    let reply = site.get(CALLER, GET).await;
    let record = refused(&site, &reply, (403, "condition_false"));
    assert_eq!(record["status"], 403);
    assert_eq!(asked(&site), [LISTED]);
    assert!(!reply.text().contains("navy"));
    assert!(!site.records.text().contains("blue"));
}

#[tokio::test]
async fn the_question_brings_the_callers_token_and_nothing_else_of_it() {
    let site = site(&only_red()).await;
    paint(&site, NAME, "scarlet", "red").await;
    let request = site
        .request("GET", GET)
        .bearer_auth(site.token(CALLER))
        .header("x-ms-client-request-id", "17-a")
        .header("if-none-match", "\"x\"")
        .header("accept-encoding", "gzip");
    assert_eq!(read(request).await.status, 200);
    let news = site.news();
    let question = &news[0];
    let mut names: Vec<&str> = question.header_names.iter().map(String::as_str).collect();
    names.sort_unstable();
    let expected = [
        "accept",
        "accept-encoding",
        "authorization",
        "host",
        "user-agent",
    ];
    assert_eq!(names, expected);
    assert_eq!(question.caller, Some(CALLER.object_id));
    assert_eq!(question.host, Some(site.own_host()));
}

#[tokio::test]
async fn nothing_is_asked_for_whoever_needs_no_condition_or_is_denied_anyway() {
    let site = site(&only_red()).await;
    paint(&site, NAME, "navy", "blue").await;
    assert_eq!(site.get(people::ADMIN, GET).await.status, 200);
    assert_eq!(asked(&site), [format!("GET {GET}")]);
    assert_eq!(site.get(people::CRYPTO_USER, GET).await.status, 403);
    assert!(asked(&site).is_empty());
}

#[tokio::test]
async fn an_object_that_is_not_there_has_no_tag() {
    let site = site(&only_red()).await;
    let reply = site.get(CALLER, GET).await;
    refused(&site, &reply, (403, "condition_attribute_missing"));
    assert_eq!(asked(&site), [LISTED]);
    let version = "0".repeat(32);
    paint(&site, NAME, "scarlet", "red").await;
    let reply = site
        .get(CALLER, &format!("{PATH}/{version}?{VERSION}"))
        .await;
    refused(&site, &reply, (403, "condition_attribute_missing"));
    // An empty list says the same.
    let empty = Script::json(StatusCode::OK, &json!({ "value": [], "nextLink": null }));
    site.world.vault.next_response(LIST, empty);
    let reply = site.get(CALLER, GET).await;
    refused(&site, &reply, (403, "condition_attribute_missing"));
}

/// One request to a vault that answers the question like this.
async fn undecided(site: &Site, script: Script, sub_reason: &str) -> crate::site::Reply {
    site.forget();
    site.world.vault.next_response(LIST, script);
    let reply = site.get(CALLER, GET).await;
    let record = refused(site, &reply, (503, "metadata_unavailable"));
    assert_eq!(record["sub_reason"], sub_reason);
    assert_eq!(record["decision"], "error");
    let forwarded = asked(site).iter().filter(|line| **line != LISTED).count();
    assert_eq!(forwarded, 0, "nothing is forwarded undecided");
    reply
}

#[tokio::test]
async fn an_answer_that_cannot_be_used_is_503_and_nothing_is_forwarded() {
    let site = site(&only_red()).await;
    paint(&site, NAME, "scarlet", "red").await;
    let page = |page: &Value| Script::json(StatusCode::OK, page);
    let item = |id: &str| {
        let attributes = json!({ "enabled": true, "created": 1 });
        json!({ "value": [{ "id": id, "attributes": attributes, "tags": { "team": "red" } }] })
    };
    let version = "1d89273b3c364e018f939c2f0d151622";
    let of_other = format!("https://{}/secrets/other/{version}", site.own_host());
    let of_key = format!("https://{}/keys/paint/{version}", site.own_host());
    let unversioned = format!("https://{}/secrets/paint", site.own_host());
    let huge = json!({ "value": [], "padding": "x".repeat(1 << 20) });
    for (script, sub_reason) in [
        (
            Script::forbidden("ForbiddenByRbac", "No."),
            "metadata_refused",
        ),
        (
            Script::json(StatusCode::UNAUTHORIZED, &json!({})),
            "metadata_refused",
        ),
        (
            Script::json(StatusCode::INTERNAL_SERVER_ERROR, &json!({})),
            "metadata_unavailable",
        ),
        (
            Script::json(StatusCode::ACCEPTED, &json!({ "value": [] })),
            "metadata_unavailable",
        ),
        (Script::throttled(None), "metadata_throttled"),
        (Script::disconnected(), "metadata_unavailable"),
        (Script::genuine().broken_off(10), "metadata_unavailable"),
        (Script::genuine().gzip(), "metadata_malformed"),
        (
            Script::redirected("https://evil.example/".parse().unwrap()),
            "metadata_malformed",
        ),
        (page(&json!([])), "metadata_malformed"),
        (page(&json!({})), "metadata_malformed"),
        (page(&json!({ "value": {} })), "metadata_malformed"),
        (page(&json!({ "value": [{}] })), "metadata_malformed"),
        (page(&item(&of_other)), "metadata_malformed"),
        (page(&item(&of_key)), "metadata_malformed"),
        (page(&item(&unversioned)), "metadata_malformed"),
        (page(&huge), "metadata_too_long"),
    ] {
        let reply = undecided(&site, script, sub_reason).await;
        assert_eq!(reply.header("retry-after"), Some("5"));
    }
    // None of it is remembered.
    assert_eq!(site.get(CALLER, GET).await.status, 200);
}

#[tokio::test]
async fn a_vault_that_says_when_to_come_back_is_believed() {
    let site = site(&only_red()).await;
    let script = Script::throttled(Some(Duration::from_secs(17)));
    let reply = undecided(&site, script, "metadata_throttled").await;
    assert_eq!(reply.header("retry-after"), Some("17"));
}

#[tokio::test]
async fn a_vault_that_does_not_answer_the_question_in_time_is_503() {
    let setup = Setup {
        metadata: MetadataQuestions {
            timeout: Duration::from_millis(300),
            ..MetadataQuestions::default()
        },
        ..Setup::default()
    };
    let site = site_with(setup, &only_red()).await;
    let (script, _release) = Script::genuine().held();
    undecided(&site, script, "metadata_timeout").await;
    let (script, _release) = Script::genuine().stalled(5);
    undecided(&site, script, "metadata_timeout").await;
    let labels = ["result=\"timeout\""];
    let timeouts = site.metric("portcullis_metadata_fetches_total", &labels);
    assert!((timeouts.await - 2.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn an_object_that_appears_after_the_look_is_not_served_unseen() {
    let condition = format!(
        "(!(ActionMatches{{'Microsoft.KeyVault/vaults/secrets/getSecret/action'}})) OR \
         (NOT Exists @Resource[{}])",
        super::TEAM
    );
    let site = site(&condition).await;
    paint(&site, NAME, "scarlet", "red").await;
    let absent = json!({ "error": { "code": "SecretNotFound", "message": "" } });
    for script in [
        Script::json(StatusCode::NOT_FOUND, &absent),
        Script::json(StatusCode::OK, &json!({ "value": [], "nextLink": null })),
    ] {
        site.world.vault.next_response(LIST, script);
        let reply = site.get(CALLER, GET).await;
        assert_eq!(reply.status, 404, "{}", reply.text());
        assert_eq!(reply.json()["error"]["code"], "SecretNotFound");
    }
}

#[tokio::test]
async fn a_condition_that_comes_into_force_meanwhile_is_asked_for_too() {
    let setup = Setup {
        metadata: MetadataQuestions {
            timeout: Duration::from_secs(30),
            ..MetadataQuestions::default()
        },
        ..Setup::default()
    };
    let site = site_with(setup, &only_red()).await;
    paint(&site, NAME, "scarlet", "red").await;
    let (script, release) = Script::genuine().held();
    site.world.vault.next_response(LIST, script);
    let request = site.request("GET", GET).bearer_auth(site.token(CALLER));
    let asking = tokio::spawn(read(request));
    site.until_news(1).await;
    let conditional = super::assignment(&super::only_current());
    site.change_roles(|directory| put(directory, "conditional.json", &conditional))
        .await;
    release.release();
    let reply = soon(asking).await.unwrap();
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(asked(&site).len(), 3);
}

#[tokio::test]
async fn a_client_that_goes_away_takes_its_question_along() {
    let site = site(&only_red()).await;
    paint(&site, NAME, "scarlet", "red").await;
    let (script, release) = Script::genuine().held();
    site.world.vault.next_response(LIST, script);
    let request = site.request("GET", GET).bearer_auth(site.token(CALLER));
    let asking = tokio::spawn(read(request));
    site.until_news(1).await;
    asking.abort();
    let record = crate::site::eventually(async || site.new_decisions().pop()).await;
    assert_eq!(record["reason"], "client_gone");
    drop(release);
    assert_eq!(asked(&site), [LISTED]);
}

#[tokio::test]
async fn keys_are_asked_for_directly_and_used_in_the_version_that_was_looked_at() {
    let condition = "(!(ActionMatches{'Microsoft.KeyVault/vaults/keys/sign/action'})) OR \
                     (@Resource[Microsoft.KeyVault/vaults/keys:enabled] BoolEquals true)";
    let site = site(condition).await;
    let path = format!("/keys/signing?{VERSION}");
    let kid = site.get(people::ADMIN, &path).await.json()["key"]["kid"].clone();
    let version = kid.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    site.forget();
    let body = json!({ "alg": "RS256", "value": "A".repeat(43) });
    let sign = format!("/keys/signing/sign?{VERSION}");
    let reply = soon(site.send(CALLER, "POST", &sign, &body)).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let signed = format!("POST /keys/signing/{version}/sign?{VERSION}");
    let look = format!("GET /keys/signing?{ASKED}");
    assert_eq!(asked(&site), [look, signed]);
}

#[tokio::test]
async fn whether_a_key_is_current_takes_a_second_look() {
    let condition = "(!(ActionMatches{'Microsoft.KeyVault/vaults/keys/sign/action'})) OR \
                     (@Resource[Microsoft.KeyVault/vaults/keys:isCurrentVersion] BoolEquals true)";
    let site = site(condition).await;
    let path = format!("/keys/signing?{VERSION}");
    let kid = site.get(people::ADMIN, &path).await.json()["key"]["kid"].clone();
    let old = kid.as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    site.forget();
    let body = json!({ "alg": "RS256", "value": "A".repeat(43) });
    let sign = format!("/keys/signing/{old}/sign?{VERSION}");
    assert_eq!(site.send(CALLER, "POST", &sign, &body).await.status, 200);
    let looks = [
        format!("GET /keys/signing/{old}?{ASKED}"),
        format!("GET /keys/signing?{ASKED}"),
    ];
    assert_eq!(
        asked(&site),
        [&looks[..], &[format!("POST {sign}")]].concat()
    );
    let create = format!("/keys/signing/create?{VERSION}");
    let made = json!({ "kty": "EC", "crv": "P-256" });
    let reply = site.send(people::ADMIN, "POST", &create, &made).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    site.forget();
    let reply = site.send(CALLER, "POST", &sign, &body).await;
    refused(&site, &reply, (403, "condition_false"));
    assert_eq!(asked(&site), looks);
    // Another version than the one that was asked for is no answer.
    site.clock.advance(Duration::from_secs(60));
    let script = Script::json(StatusCode::OK, &json!({ "key": { "kid": kid } }));
    let other = format!("/keys/signing/{}", "0".repeat(32));
    site.world.vault.next_response(&other, script);
    let sign = format!("{other}/sign?{VERSION}");
    let reply = site.send(CALLER, "POST", &sign, &body).await;
    let record = refused(&site, &reply, (503, "metadata_unavailable"));
    assert_eq!(record["sub_reason"], "metadata_malformed");
}

#[tokio::test]
async fn a_deleted_object_is_asked_for_among_the_deleted_ones() {
    let recover = "Microsoft.KeyVault/vaults/secrets/recover/action";
    let condition = format!(
        "(!(ActionMatches{{'{recover}'}})) OR (@Resource[{}] StringEquals 'red')",
        super::TEAM
    );
    let site = site(&condition).await;
    for (team, status) in [("blue", 403), ("red", 200)] {
        let name = format!("paint-{team}");
        paint(&site, &name, "v", team).await;
        let reply = site
            .send(
                people::ADMIN,
                "DELETE",
                &format!("/secrets/{name}?{VERSION}"),
                &Value::Null,
            )
            .await;
        assert_eq!(reply.status, 200);
        site.forget();
        let path = format!("/deletedsecrets/{name}/recover?{VERSION}");
        let reply = site.send(CALLER, "POST", &path, &Value::Null).await;
        assert_eq!(reply.status, status, "{}", reply.text());
        let look = format!("GET /deletedsecrets/{name}?{ASKED}");
        assert_eq!(asked(&site)[0], look);
    }
}

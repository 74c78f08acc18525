//! Keys over the network: fetched in the background, renewed once per cool-down, never lost.

use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis::authn::{RefreshResult, TokenDefect};
use portcullis::clock::Clock as _;
use portcullis::config::{Issuer, KeySource};
use portcullis::reason::Reason;
use serde_json::json;
use tokio::task::JoinSet;

use crate::support::key_server::{Answer, KeyServer};
use crate::support::tokens::{ALPHA, BETA, Draft, TENANT, issuer, jwks, v1_issuer, v2_issuer};
use crate::{Bench, OFTEN};

const DISCOVERY: &str = "/.well-known/openid-configuration";

async fn server() -> KeyServer {
    let server = KeyServer::start().await;
    server.say_keys(jwks(&[&ALPHA]));
    server
}

fn settings(server: &KeyServer) -> Issuer {
    issuer(server.jwks(), Some(server.ca_file.clone()))
}

fn beta_token() -> String {
    Draft::new().header("kid", &*BETA.kid).signed_by(&BETA)
}

fn discovery(issuer: &str, keys: &str) -> Answer {
    Answer::Body(json!({ "issuer": issuer, "jwks_uri": keys }).to_string())
}

#[tokio::test]
async fn a_thousand_random_kids_cause_one_fetch() {
    let server = server().await;
    let bench = Bench::ready(&[settings(&server)]).await;
    assert_eq!(server.hits(), 1);
    for number in 0..1000 {
        let draft = Draft::new().header("kid", format!("random-{number}"));
        let token = format!("{}.AAAA", draft.signed().rsplit_once('.').unwrap().0);
        assert_eq!(bench.defect(&token).await, TokenDefect::UnknownKey);
    }
    assert_eq!(server.hits(), 2);
    bench.clock.advance(299);
    assert_eq!(bench.defect(&beta_token()).await, TokenDefect::UnknownKey);
    assert_eq!(server.hits(), 2);
    bench.clock.advance(1);
    assert_eq!(bench.defect(&beta_token()).await, TokenDefect::UnknownKey);
    assert_eq!(server.hits(), 3);
}

#[tokio::test]
async fn the_cooldown_holds_while_fetches_fail_or_come_back_empty() {
    for answer in [
        Answer::Body(json!({ "keys": [] }).to_string()),
        Answer::Status(500),
    ] {
        let server = server().await;
        let bench = Bench::ready(&[settings(&server)]).await;
        server.say("/keys", answer);
        let started = Instant::now();
        for _ in 0..50 {
            assert_eq!(bench.defect(&beta_token()).await, TokenDefect::UnknownKey);
        }
        // One for the unknown kid; the refresher's own retry comes a second later at the soonest.
        let most = 3 + started.elapsed().as_secs();
        assert!(server.hits() as u64 <= most, "{}", server.hits());
        assert!(bench.judge(&Draft::new().signed()).await.is_ok());
    }
}

#[tokio::test]
async fn a_rotated_key_is_picked_up_by_its_first_token() {
    let server = server().await;
    let bench = Bench::ready(&[settings(&server)]).await;
    server.say_keys(jwks(&[&ALPHA, &BETA]));
    assert!(bench.judge(&beta_token()).await.is_ok());
    assert!(bench.judge(&Draft::new().signed()).await.is_ok());
    assert_eq!(server.hits(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_that_meet_an_unknown_kid_together_share_one_fetch() {
    let server = server().await;
    let bench = Bench::ready(&[settings(&server)]).await;
    server.say_keys(jwks(&[&ALPHA, &BETA]));
    server.gate(false);
    let mut judged = JoinSet::new();
    for number in 0..50 {
        let authenticator = Arc::clone(&bench.authenticator);
        let token = Draft::new().header("kid", &*BETA.kid).claim("x", number);
        let token = portcullis::secret::BearerToken::new(&token.signed_by(&BETA)).unwrap();
        judged.spawn(async move { authenticator.authenticate("main", &token).await });
    }
    server.hit(2).await;
    // While the server keeps them waiting, known keys go on.
    let started = Instant::now();
    assert!(bench.judge(&Draft::new().signed()).await.is_ok());
    assert!(started.elapsed() < Duration::from_secs(4));
    server.gate(true);
    while let Some(result) = judged.join_next().await {
        result.unwrap().unwrap();
    }
    assert_eq!(server.hits(), 2);
}

#[tokio::test]
async fn a_server_that_never_answers_keeps_a_request_for_a_bounded_time() {
    let server = server().await;
    let bench = Bench::ready(&[settings(&server)]).await;
    server.gate(false);
    assert_eq!(bench.defect(&beta_token()).await, TokenDefect::UnknownKey);
    assert!(bench.judge(&Draft::new().signed()).await.is_ok());
}

#[tokio::test]
async fn without_keys_nothing_is_decided() {
    let server = KeyServer::start().await;
    let bench = Bench::start(&[settings(&server)]);
    server.hit(1).await;
    let error = bench.judge(&Draft::new().signed()).await.unwrap_err();
    assert_eq!(error.reason, Reason::KeysUnavailable);
    assert!(!bench.authenticator.keys_ready(bench.clock.now()));
    // The retry after a failure comes by itself.
    server.say_keys(jwks(&[&ALPHA]));
    bench.until_ready().await;
    assert!(bench.judge(&Draft::new().signed()).await.is_ok());
    assert!(bench.authenticator.keys_ready(bench.clock.now()));
}

#[tokio::test]
async fn unusable_answers_keep_the_last_good_keys_and_are_counted() {
    let oversized = format!("{{\"keys\":[],\"x\":\"{}\"}}", "x".repeat(256 * 1024));
    let weak = ALPHA.jwk()["n"]
        .as_str()
        .unwrap()
        .split_at(100)
        .0
        .to_owned();
    let weak = json!({"keys": [{"kty": "RSA", "kid": "w", "e": "AQAB", "n": weak}]});
    for (answer, result) in [
        (Answer::Body(String::new()), RefreshResult::Document),
        (Answer::Body("<html>".to_owned()), RefreshResult::Document),
        (
            Answer::Body(json!({ "keys": [] }).to_string()),
            RefreshResult::Document,
        ),
        (Answer::Body(weak.to_string()), RefreshResult::Document),
        (Answer::Body(oversized), RefreshResult::Fetch),
        (Answer::Status(404), RefreshResult::Fetch),
        (Answer::Status(503), RefreshResult::Fetch),
        (
            Answer::Redirect("/elsewhere".to_owned()),
            RefreshResult::Fetch,
        ),
    ] {
        let server = server().await;
        server.say("/elsewhere", Answer::Body(jwks(&[&BETA])));
        let bench = Bench::ready(&[settings(&server)]).await;
        server.say("/keys", answer.clone());
        assert_eq!(bench.defect(&beta_token()).await, TokenDefect::UnknownKey);
        bench.events.refreshed(|all| all.len() >= 2).await;
        assert_eq!(
            bench.events.refreshes.borrow()[1],
            (result, 1),
            "{answer:?}"
        );
        assert!(bench.judge(&Draft::new().signed()).await.is_ok());
        assert!(server.paths().iter().all(|path| path == "/keys"));
    }
}

#[tokio::test]
async fn keys_past_their_bound_vouch_for_nothing_until_they_are_renewed() {
    let server = server().await;
    let bench = Bench::ready(&[settings(&server)]).await;
    let token = Draft::new().claim("exp", 4_000_000_000_u64).signed();
    bench.judge(&token).await.unwrap();
    bench.clock.advance(86_400);
    bench.judge(&token).await.unwrap();
    server.say("/keys", Answer::Status(500));
    bench.clock.advance(1);
    for _ in 0..2 {
        let error = bench.judge(&token).await.unwrap_err();
        assert_eq!(error.reason, Reason::KeysUnavailable);
    }
    assert!(!bench.authenticator.keys_ready(bench.clock.now()));
    server.say_keys(jwks(&[&ALPHA]));
    bench.until_ready().await;
    bench.judge(&token).await.unwrap();
}

#[tokio::test]
async fn keys_are_renewed_by_themselves() {
    let server = server().await;
    let mut settings = settings(&server);
    settings.refresh_interval = OFTEN;
    let bench = Bench::ready(&[settings]).await;
    server.say_keys(jwks(&[&BETA]));
    bench.next_refresh().await;
    assert!(bench.judge(&beta_token()).await.is_ok());
    // Once the handle is gone, so is the refresher.
    let Bench {
        refresh,
        events,
        authenticator,
        clock,
        ..
    } = bench;
    drop(refresh);
    tokio::task::yield_now().await;
    let (hits, count) = (server.hits(), events.refresh_count());
    let token = portcullis::secret::BearerToken::new(&Draft::new().signed()).unwrap();
    let error = authenticator
        .authenticate("main", &token)
        .await
        .unwrap_err();
    assert_eq!(error.detail, TokenDefect::UnknownKey);
    assert!(server.hits() <= hits + 1 && events.refresh_count() == count);
    assert!(authenticator.keys_ready(clock.now()));
}

#[tokio::test]
async fn a_second_refresher_adds_nothing() {
    let server = server().await;
    let bench = Bench::ready(&[settings(&server)]).await;
    let second = bench.authenticator.spawn_refresh();
    assert_eq!(bench.defect(&beta_token()).await, TokenDefect::UnknownKey);
    assert_eq!(server.hits(), 2);
    drop(second);
    server.say_keys(jwks(&[&BETA]));
    bench.clock.advance(300);
    assert!(bench.judge(&beta_token()).await.is_ok());
}

#[tokio::test]
async fn a_server_that_the_ca_does_not_vouch_for_is_not_asked() {
    let (server, other) = (server().await, KeyServer::start().await);
    let wrong_ca = issuer(server.jwks(), Some(other.ca_file.clone()));
    let system_roots = issuer(server.jwks(), None);
    for settings in [wrong_ca, system_roots] {
        let bench = Bench::start(&[settings]);
        bench.events.refreshed(|all| !all.is_empty()).await;
        assert_eq!(
            bench.events.refreshes.borrow()[0],
            (RefreshResult::Fetch, 0)
        );
    }
    assert_eq!(server.hits(), 0);
}

#[tokio::test]
async fn a_name_that_is_not_in_the_certificate_is_not_trusted() {
    let server = server().await;
    let url = format!("https://127.0.0.2:{}/keys", server.address.port());
    let keys = KeySource::JwksUrl(url.into());
    let bench = Bench::start(&[issuer(keys, Some(server.ca_file.clone()))]);
    bench.events.refreshed(|all| !all.is_empty()).await;
    assert_eq!(
        bench.events.refreshes.borrow()[0],
        (RefreshResult::Fetch, 0)
    );
}

#[tokio::test]
async fn discovery_leads_to_the_keys_of_a_configured_issuer() {
    for issuer_text in [v1_issuer(TENANT), v2_issuer(TENANT)] {
        let server = server().await;
        server.say(DISCOVERY, discovery(&issuer_text, &server.url("/keys")));
        let bench = Bench::ready(&[issuer(server.discovery(), Some(server.ca_file.clone()))]).await;
        assert!(bench.judge(&Draft::new().signed()).await.is_ok());
        assert_eq!(server.hits(), 2);
    }
}

#[tokio::test]
async fn a_discovery_document_cannot_lead_elsewhere() {
    let (server, trap) = (server().await, server().await);
    let ours = v1_issuer(TENANT);
    let keys = server.url("/keys");
    let port = server.address.port();
    let documents = [
        discovery("https://sts.evil.example/", &keys),
        discovery(&v2_issuer("{tenantid}"), &keys),
        discovery(ours.trim_end_matches('/'), &keys),
        discovery(&ours, &trap.url("/keys")),
        discovery(&ours, &format!("https://localhost:{port}/keys")),
        discovery(&ours, &keys.replace("https", "http")),
        discovery(&ours, &keys.replace("https://", "https://127.0.0.1@")),
        discovery(&ours, "/keys"),
        discovery(&ours, "file:///dev/null"),
        Answer::Body(json!({ "issuer": ours }).to_string()),
        Answer::Body(json!({ "jwks_uri": keys }).to_string()),
        Answer::Body(json!({ "issuer": [ours], "jwks_uri": keys }).to_string()),
        Answer::Body(format!(
            r#"{{"issuer":"{ours}","issuer":"{ours}","jwks_uri":"{keys}"}}"#
        )),
        Answer::Body("not JSON".to_owned()),
    ];
    for document in documents {
        server.say(DISCOVERY, document.clone());
        let before = server.hits();
        let bench = Bench::start(&[issuer(server.discovery(), Some(server.ca_file.clone()))]);
        bench.events.refreshed(|all| !all.is_empty()).await;
        let refreshes = bench.events.refreshes.borrow().clone();
        assert_eq!(refreshes[0], (RefreshResult::Discovery, 0), "{document:?}");
        assert_eq!(server.hits(), before + 1, "{document:?}");
    }
    assert_eq!(trap.hits(), 0);
}

#[tokio::test]
async fn a_key_file_is_read_again_and_a_broken_one_keeps_the_last_good_keys() {
    let bench = Bench::with_file(&[&ALPHA], |main| main.refresh_interval = OFTEN).await;
    let token = Draft::new().signed();
    for broken in ["", "{", "{\"keys\":[]}", &"x".repeat(300_000)] {
        crate::support::tokens::replace_file(&bench.key_file(), broken);
        bench.next_refresh().await;
        let last = *bench.events.refreshes.borrow().last().unwrap();
        assert!(last.0 != RefreshResult::Ok && last.1 == 1, "{last:?}");
        assert!(bench.judge(&token).await.is_ok());
    }
    std::fs::remove_file(bench.key_file()).unwrap();
    bench.next_refresh().await;
    assert!(bench.judge(&token).await.is_ok());
    crate::support::tokens::replace_file(&bench.key_file(), &jwks(&[&BETA]));
    bench.next_refresh().await;
    assert!(bench.judge(&beta_token()).await.is_ok());
    assert_eq!(bench.defect(&token).await, TokenDefect::UnknownKey);
}

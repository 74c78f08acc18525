//! What is remembered, and what makes it count no longer.

use std::sync::Arc;

use portcullis::authn::{CacheLookup, TokenDefect};
use serde_json::json;

use crate::support::tokens::{ALPHA, BETA, Draft, HandClock, jwks, replace_file};
use crate::{Bench, OFTEN};

use CacheLookup::{Hit, Miss, Stale};

#[tokio::test]
async fn the_same_token_is_validated_once() {
    let bench = Bench::with_file(&[&ALPHA], |_| ()).await;
    let token = Draft::new().signed();
    let first = bench.judge(&token).await.unwrap();
    let second = bench.judge(&token).await.unwrap();
    assert!(Arc::ptr_eq(&first, &second));
    assert_eq!(bench.events.take_lookups(), [Miss, Hit]);
}

#[tokio::test]
async fn two_tokens_never_share_an_entry() {
    let bench = Bench::with_file(&[&ALPHA], |_| ()).await;
    let draft = Draft::new();
    bench.judge(&draft.signed()).await.unwrap();
    // Same claims, other bytes; then other claims.
    bench
        .judge(&draft.clone().header("x", 1).signed())
        .await
        .unwrap();
    bench.judge(&draft.claim("x", 1).signed()).await.unwrap();
    assert_eq!(bench.events.take_lookups(), [Miss, Miss, Miss]);
}

#[tokio::test]
async fn nothing_is_served_past_exp() {
    let bench = Bench::with_file(&[&ALPHA], |_| ()).await;
    let token = Draft::new().claim("exp", HandClock::START + 100).signed();
    bench.judge(&token).await.unwrap();
    bench.clock.advance(99);
    bench.judge(&token).await.unwrap();
    assert_eq!(bench.events.take_lookups(), [Miss, Hit]);
    // Within the skew it is judged anew each time and never remembered.
    bench.clock.advance(1);
    bench.judge(&token).await.unwrap();
    bench.judge(&token).await.unwrap();
    assert_eq!(bench.events.take_lookups(), [Stale, Miss]);
    bench.clock.advance(60);
    assert_eq!(bench.defect(&token).await, TokenDefect::Expired);
}

#[tokio::test]
async fn an_entry_counts_for_five_minutes() {
    let bench = Bench::with_file(&[&ALPHA], |_| ()).await;
    let token = Draft::new().signed();
    bench.judge(&token).await.unwrap();
    bench.clock.advance(299);
    bench.judge(&token).await.unwrap();
    bench.clock.advance(1);
    bench.judge(&token).await.unwrap();
    assert_eq!(bench.events.take_lookups(), [Miss, Hit, Stale]);
}

#[tokio::test]
async fn a_clock_set_back_is_noticed_on_a_hit() {
    let bench = Bench::with_file(&[&ALPHA], |_| ()).await;
    let token = Draft::new().signed();
    bench.judge(&token).await.unwrap();
    bench.clock.back(30);
    bench.judge(&token).await.unwrap();
    assert_eq!(bench.events.take_lookups(), [Miss, Stale]);
    bench.clock.back(31);
    assert_eq!(bench.defect(&token).await, TokenDefect::NotYetValid);
}

#[tokio::test]
async fn a_key_that_went_takes_its_tokens_along() {
    let bench = Bench::with_file(&[&ALPHA], |main| main.refresh_interval = OFTEN).await;
    let token = Draft::new().signed();
    bench.judge(&token).await.unwrap();
    replace_file(&bench.key_file(), &jwks(&[&BETA]));
    bench.next_refresh().await;
    assert_eq!(bench.defect(&token).await, TokenDefect::UnknownKey);
    assert_eq!(bench.events.take_lookups(), [Miss, Stale]);
}

#[tokio::test]
async fn a_key_replaced_under_its_name_takes_its_tokens_along() {
    let bench = Bench::with_file(&[&ALPHA], |main| main.refresh_interval = OFTEN).await;
    let token = Draft::new().signed();
    bench.judge(&token).await.unwrap();
    let swapped = json!({ "keys": [BETA.jwk_named(&ALPHA.kid)] });
    replace_file(&bench.key_file(), &swapped.to_string());
    bench.next_refresh().await;
    assert_eq!(bench.defect(&token).await, TokenDefect::Signature);
}

#[tokio::test]
async fn an_unchanged_refresh_keeps_entries() {
    let bench = Bench::with_file(&[&ALPHA], |main| main.refresh_interval = OFTEN).await;
    let token = Draft::new().signed();
    bench.judge(&token).await.unwrap();
    replace_file(&bench.key_file(), &jwks(&[&BETA, &ALPHA]));
    bench.next_refresh().await;
    bench.judge(&token).await.unwrap();
    assert_eq!(bench.events.take_lookups(), [Miss, Hit]);
}

#[tokio::test]
async fn refusals_are_not_remembered() {
    let bench = Bench::with_file(&[&ALPHA], |_| ()).await;
    let early = Draft::new().claim("nbf", HandClock::START + 100).signed();
    assert_eq!(bench.defect(&early).await, TokenDefect::NotYetValid);
    bench.clock.advance(100);
    bench.judge(&early).await.unwrap();
    assert_eq!(bench.events.take_lookups(), [Miss, Miss]);
}

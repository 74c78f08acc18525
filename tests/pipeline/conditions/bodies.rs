//! Bodies that a condition depends on, and bodies that none does.

use std::time::Duration;

use portcullis::config::Limits;
use portcullis::dev::people;
use serde_json::{Value, json};

use super::{CALLER, GET, asked, refused, set_red, site, site_with};
use crate::site::{Reply, Setup, Site, eventually, read};

/// Sends these bytes as a body that sets the secret.
async fn put(site: &Site, content_type: &str, body: impl Into<reqwest::Body>) -> Reply {
    let request = site
        .request("PUT", GET)
        .bearer_auth(site.token(CALLER))
        .header("content-type", content_type)
        .body(body);
    read(request).await
}

const JSON: &str = "application/json";

fn red(value: &str) -> Value {
    json!({ "value": value, "tags": { "team": "red" } })
}

#[tokio::test]
async fn a_body_is_decided_on_and_arrives_as_it_was_meant() {
    let site = site(&set_red()).await;
    let value = "\u{e9}\u{20ac} \u{1f512} \"quoted\" \\ \u{0}".repeat(100);
    let reply = put(&site, JSON, red(&value).to_string()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    site.forwarded();
    let reply = site.get(people::ADMIN, GET).await.json();
    assert_eq!(reply["value"], value);
    assert_eq!(reply["tags"], json!({ "team": "red" }));
}

#[tokio::test]
async fn a_body_that_the_condition_does_not_like_is_not_forwarded() {
    let site = site(&set_red()).await;
    for (body, reason) in [
        (
            json!({ "value": "v", "tags": { "team": "blue" } }),
            "condition_false",
        ),
        (
            json!({ "value": "v", "tags": { "Team": "red" } }),
            "condition_attribute_missing",
        ),
        (json!({ "value": "v" }), "condition_attribute_missing"),
        (
            json!({ "value": "v", "tags": null }),
            "condition_attribute_missing",
        ),
    ] {
        let reply = put(&site, JSON, body.to_string()).await;
        site.refused(&reply, (403, reason));
    }
}

#[tokio::test]
async fn a_body_with_two_readings_is_400() {
    let site = site(&set_red()).await;
    for body in [
        r#"{"value":"v","tags":{"team":"red"},"tags":{"team":"blue"}}"#,
        r#"{"value":"v","tags":{"team":"red","team":"blue"}}"#,
        r#"{"value":"v","tags":{"team":"red"},"t\u0061gs":{"team":"blue"}}"#,
        r#"{"value":"v","tags":{"team":"red"},"Tags":{"team":"blue"}}"#,
        r#"{"value":"v","tags":{"team":"red"},"Attributes":{"enabled":false}}"#,
        r#"{"value":"v","tags":{"team":"red"}} trailing"#,
        r#"{"value":"v","tags":{"team":"red"}}{"value":"w"}"#,
        r#"[{"value":"v","tags":{"team":"red"}}]"#,
        r#""canary-value""#,
    ] {
        let reply = put(&site, JSON, body).await;
        site.refused(&reply, (400, "bad_body"));
        assert!(!reply.text().contains("canary-value"));
    }
    let labels = ["result=\"bad\""];
    let bad = site.metric("portcullis_body_inspections_total", &labels);
    assert!((bad.await - 9.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn a_member_of_another_type_is_400_and_never_taken_for_none() {
    let condition = "(!(ActionMatches{'Microsoft.KeyVault/vaults/secrets/setSecret/action'})) OR \
        (NOT Exists @Request[Microsoft.KeyVault/vaults/secrets/tags:team<$key_case_sensitive$>] \
         AND NOT Exists @Request[Microsoft.KeyVault/vaults/secrets:expires])";
    let site = site(condition).await;
    for body in [
        json!({ "value": "v", "tags": { "team": 1 } }),
        json!({ "value": "v", "tags": { "team": "red", "other": null } }),
        json!({ "value": "v", "tags": ["team"] }),
        json!({ "value": "v", "attributes": { "exp": "1900000000" } }),
        json!({ "value": "v", "attributes": { "exp": 1.9e9 } }),
        json!({ "value": "v", "attributes": "exp" }),
        json!({ "value": { "tags": { "team": "red" } } }),
    ] {
        let reply = put(&site, JSON, body.to_string()).await;
        site.refused(&reply, (400, "bad_body"));
    }
    let body = json!({ "value": "v", "tags": null, "attributes": { "exp": null } });
    assert_eq!(put(&site, JSON, body.to_string()).await.status, 200);
}

#[tokio::test]
async fn an_escaped_name_is_the_name_it_stands_for() {
    let site = site(&set_red()).await;
    let body = r#"{"v\u0061lue":"v","t\u0061gs":{"te\u0061m":"r\u0065d"}}"#;
    let reply = put(&site, JSON, body).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(reply.json()["tags"], json!({ "team": "red" }));
}

#[tokio::test]
async fn a_body_in_another_form_is_400() {
    let site = site(&set_red()).await;
    let text = red("v").to_string();
    let utf_16: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let typed = "application/json; charset=utf-16";
    for (content_type, body) in [
        (typed, utf_16.clone()),
        (typed, text.clone().into_bytes()),
        (JSON, utf_16),
        ("text/plain", text.clone().into_bytes()),
        (JSON, b"{\"value\":\"\xff\"}".to_vec()),
    ] {
        let reply = put(&site, content_type, body).await;
        site.refused(&reply, (400, "bad_body"));
    }
    let request = site
        .request("PUT", GET)
        .bearer_auth(site.token(CALLER))
        .header("content-type", JSON)
        .header("content-encoding", "gzip")
        .body(text);
    site.refused(&read(request).await, (400, "bad_body"));
}

#[tokio::test]
async fn a_body_that_is_too_large_or_too_slow_is_refused_unsent() {
    let limits = Limits {
        max_body_bytes: 200,
        body_read_timeout: Duration::from_secs(1),
        ..Limits::default()
    };
    let setup = Setup {
        limits,
        ..Setup::default()
    };
    let site = site_with(setup, &set_red()).await;
    let large = red(&"x".repeat(200)).to_string();
    let reply = put(&site, JSON, large.clone()).await;
    site.refused(&reply, (413, "body_too_large"));
    // Its length is not known before.
    let head = site.head(CALLER, &format!("PUT {GET}"));
    let head =
        format!("{head}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n");
    let mut wire = site.wire().await;
    let chunk = format!("{head}{:x}\r\n{large}\r\n0\r\n\r\n", large.len());
    let reply = wire.ask(chunk).await;
    site.refused(&reply, (413, "body_too_large"));
    let mut wire = site.wire().await;
    let reply = wire.ask(format!("{head}5\r\n{{\"val\r\n")).await;
    site.refused(&reply, (408, "body_timeout"));
    let labels = ["result=\"timeout\""];
    let late = site.metric("portcullis_body_inspections_total", &labels);
    assert!((late.await - 1.0).abs() < f64::EPSILON);
}

#[tokio::test]
async fn bodies_in_chunks_and_over_http2_are_read_alike() {
    let site = site(&set_red()).await;
    let text = red("v").to_string();
    let head = site.head(CALLER, &format!("PUT {GET}"));
    let mut wire = site.wire().await;
    wire.send(format!(
        "{head}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    ))
    .await;
    for byte in text.chars() {
        wire.send(format!("1\r\n{byte}\r\n")).await;
    }
    let reply = wire.ask("0\r\n\r\n").await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let mut http2 = site.http2("localhost").await;
    let url = format!("https://{}{GET}", site.host());
    let request = http::Request::put(url)
        .header("authorization", format!("Bearer {}", site.token(CALLER)))
        .header("content-type", JSON);
    let reply = http2.send(request, text.into()).await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(asked(&site).len(), 2);
}

#[tokio::test]
async fn a_body_that_no_condition_asks_for_is_not_read() {
    let site = site(&set_red()).await;
    // The vault has the request while half of the body is still to come.
    let body = red("v").to_string();
    let (first, second) = body.split_at(10);
    let head = site.head(people::ADMIN, &format!("PUT {GET}"));
    let mut wire = site.wire().await;
    wire.send(format!(
        "{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{first}",
        body.len()
    ))
    .await;
    site.until_news(1).await;
    assert_eq!(wire.ask(second).await.status, 200);
    // Bytes are left as they are, also where they have two readings.
    let odd = r#"{ "value": "v", "value": "w" }"#;
    let request = site
        .request("PUT", GET)
        .bearer_auth(site.token(people::ADMIN))
        .header("content-type", JSON)
        .body(odd);
    assert_ne!(
        read(request).await.header("x-portcullis-reason"),
        Some("bad_body")
    );
}

#[tokio::test]
async fn what_was_taken_away_while_a_body_came_in_grants_nothing() {
    let site = site(&set_red()).await;
    let body = red("v").to_string();
    let (first, second) = body.split_at(10);
    let head = site.head(CALLER, &format!("PUT {GET}"));
    let mut wire = site.wire().await;
    wire.send(format!(
        "{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{first}",
        body.len()
    ))
    .await;
    // The request has been decided on once, and waits for its body.
    let entitlements = ["cache=\"entitlements\""];
    eventually(async || {
        let asked = site.metric("portcullis_cache_requests_total", &entitlements);
        (asked.await > 0.0).then_some(())
    })
    .await;
    site.change_roles(|directory| {
        std::fs::remove_file(directory.join("conditional.json")).unwrap();
    })
    .await;
    let reply = wire.ask(second).await;
    site.refused(&reply, (403, "no_assignment"));
}

#[tokio::test]
async fn the_body_of_a_caller_who_is_denied_anyway_is_not_read() {
    let site = site(&set_red()).await;
    let head = site.head(people::CRYPTO_USER, &format!("PUT {GET}"));
    let mut wire = site.wire().await;
    // None of the body is sent, and the answer is there all the same.
    let reply = wire
        .ask(format!(
            "{head}Content-Type: application/json\r\nContent-Length: 10\r\n\r\n"
        ))
        .await;
    site.refused(&reply, (403, "action_not_granted"));
}

#[tokio::test]
async fn a_record_holds_nothing_of_a_body() {
    let site = site(&set_red()).await;
    let reply = put(&site, JSON, red("canary-value").to_string()).await;
    assert_eq!(reply.status, 200);
    site.forget();
    let blue = json!({ "value": "canary-value", "tags": { "team": "canary-tag" } });
    let reply = put(&site, JSON, blue.to_string()).await;
    refused(&site, &reply, (403, "condition_false"));
    assert!(!site.records.text().contains("canary"));
    assert!(!reply.text().contains("canary"));
}

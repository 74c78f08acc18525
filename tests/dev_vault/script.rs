//! Answers on order, as a client meets them.

use std::io::Read as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use flate2::read::GzDecoder;
use http::{HeaderName, HeaderValue, Request, StatusCode, Version};
use http_body_util::{BodyExt as _, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use portcullis::dev::people;
use portcullis::dev::vault::Script;
use rustls::pki_types::ServerName;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::world::{VAULT_HOST, World};

const SECRET: &str = "/secrets/app-api-key";

fn get(world: &World) -> reqwest::RequestBuilder {
    world.request("GET", &format!("{SECRET}?api-version=7.6"))
}

#[tokio::test]
async fn scripts_are_used_up_in_order_by_their_path_alone() {
    let world = World::start().await;
    world
        .vault
        .next_response(SECRET, Script::throttled(Some(Duration::from_secs(7))));
    world.vault.next_response(SECRET, Script::throttled(None));
    // Neither another path nor a request without a token uses one up.
    assert_eq!(world.get("/secrets/tls").await.status, StatusCode::OK);
    let probe = world.client.get(world.url(SECRET)).send().await.unwrap();
    assert_eq!(probe.status(), StatusCode::UNAUTHORIZED);
    let first = world.get(&format!("{SECRET}/")).await;
    assert_eq!(first.status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(first.headers["retry-after"], "7");
    assert_eq!(first.error(), ("Throttled", None));
    assert!(!first.headers.contains_key("x-ms-keyvault-rbac-cache"));
    let second = world.get(SECRET).await;
    assert_eq!(second.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(!second.headers.contains_key("retry-after"));
    assert_eq!(world.get(SECRET).await.status, StatusCode::OK);
}

#[tokio::test]
async fn refusals_and_redirects_come_as_ordered() {
    let world = World::start().await;
    let order = |script| world.vault.next_response(SECRET, script);
    order(Script::forbidden(
        "ForbiddenByRbac",
        "Caller is not authorized.",
    ));
    let reply = world.get(SECRET).await;
    assert_eq!(reply.error(), ("Forbidden", Some("ForbiddenByRbac")));
    let challenge = "Bearer authorization=\"https://x/t\", resource=\"https://vault.azure.net\", \
                     error=\"insufficient_claims\", claims=\"eyJ9\"";
    order(Script::challenged(HeaderValue::from_static(challenge)));
    let reply = world.get(SECRET).await;
    assert_eq!(reply.status, StatusCode::UNAUTHORIZED);
    let challenges: Vec<_> = reply.headers.get_all("www-authenticate").iter().collect();
    assert_eq!(challenges, [challenge]);
    order(Script::redirected(HeaderValue::from_static(
        "https://evil.example/",
    )));
    let reply = world.get(SECRET).await;
    assert_eq!(reply.status, StatusCode::TEMPORARY_REDIRECT);
    assert_eq!(reply.headers["location"], "https://evil.example/");
    let odd = Script::json(StatusCode::OK, &json!({ "a": 1 }));
    order(odd.header(
        HeaderName::from_static("x-odd"),
        HeaderValue::from_static("1"),
    ));
    let reply = world.get(SECRET).await;
    assert_eq!(
        (reply.body, reply.headers["x-odd"].as_bytes()),
        (json!({ "a": 1 }), &b"1"[..])
    );
}

#[tokio::test]
async fn a_genuine_answer_can_be_compressed_chunked_and_led_astray() {
    let world = World::start().await;
    let genuine = world.get(SECRET).await.body;
    world
        .vault
        .next_response(SECRET, Script::genuine().gzip().chunked(7));
    let response = get(&world).send().await.unwrap();
    assert_eq!(response.headers()["content-encoding"], "gzip");
    assert!(!response.headers().contains_key("content-length"));
    let mut text = String::new();
    let compressed = response.bytes().await.unwrap();
    GzDecoder::new(&compressed[..])
        .read_to_string(&mut text)
        .unwrap();
    let body: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(body, genuine);
    let evil = "https://evil.example:443/secrets?$skiptoken=x";
    world
        .vault
        .next_response("/secrets", Script::genuine().next_link(evil));
    let page = world.get("/secrets").await;
    assert_eq!(page.body["nextLink"], evil);
    assert_eq!(page.body["value"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn an_answer_can_break_off() {
    let world = World::start().await;
    world
        .vault
        .next_response(SECRET, Script::genuine().broken_off(10));
    let response = get(&world).send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    assert!(response.content_length().unwrap() > 10);
    assert!(response.bytes().await.is_err());
    world.vault.next_response(SECRET, Script::disconnected());
    assert!(get(&world).send().await.is_err());
    let last = world.vault.journal().pop().unwrap();
    assert_eq!(last.status, None);
}

#[tokio::test]
async fn an_answer_can_be_late_until_it_is_released() {
    let world = World::start().await;
    let (script, release) = Script::genuine().held();
    world.vault.next_response(SECRET, script);
    let before = world.vault.journal_len();
    let mut waiting = tokio::spawn(get(&world).send());
    world.vault.reached(before + 1).await;
    assert_eq!(world.vault.journal().pop().unwrap().status, None);
    let early = timeout(Duration::from_millis(50), &mut waiting).await;
    assert!(early.is_err());
    release.release();
    let response = waiting.await.unwrap().unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let (script, release) = Script::genuine().stalled(5);
    world.vault.next_response(SECRET, script);
    let mut response = get(&world).send().await.unwrap();
    let first = response.chunk().await.unwrap().unwrap();
    assert_eq!(first.len(), 5);
    let early = timeout(Duration::from_millis(50), response.chunk()).await;
    assert!(early.is_err());
    drop(release);
    assert!(response.chunk().await.unwrap().is_some());
}

#[tokio::test]
async fn http_2_is_spoken_where_the_client_asks_for_it() {
    let world = World::start().await;
    let mut tls = world.pki.client_config().unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let stream = TcpStream::connect(world.vault.address()).await.unwrap();
    let connector = tokio_rustls::TlsConnector::from(Arc::new(tls));
    let name = ServerName::try_from(VAULT_HOST).unwrap();
    let stream = connector.connect(name, stream).await.unwrap();
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    let (mut sender, connection) =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(stream))
            .await
            .unwrap();
    let connection = tokio::spawn(connection);
    let request = Request::get(world.url(&format!("{SECRET}?api-version=7.6")))
        .header(
            "authorization",
            format!("Bearer {}", world.token(people::ADMIN)),
        )
        .body(Empty::<Bytes>::new())
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let body = response.into_body().collect().await.unwrap().to_bytes();
    assert!(body.starts_with(b"{"));
    let entry = world.vault.journal().pop().unwrap();
    assert_eq!(entry.version, Version::HTTP_2);
    assert_eq!(entry.host, Some(world.vault.authority().to_string()));
    drop(sender);
    connection.await.unwrap().unwrap();
}

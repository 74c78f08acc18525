//! Which vault is meant: one answer from `Host`, `:authority`, the target and the handshake, or
//! none.

use portcullis::dev::people;
use serde_json::Value;

use crate::site::{SECRET, Setup, Site};

const VAULT_HOST: &str = "portcullis-dev.vault.azure.net";

#[tokio::test]
async fn a_host_that_is_not_served_is_421() {
    let site = Site::start().await;
    let host = site.host();
    let port = site.address().port();
    for (name, asked, reason) in [
        // A handshake with an address names no host.
        ("127.0.0.1", "evil.example".to_owned(), "unknown_vault"),
        (
            "127.0.0.1",
            format!("other.vault.azure.net:{port}"),
            "unknown_vault",
        ),
        ("127.0.0.1", format!("{host}.evil.example"), "bad_host"),
        ("127.0.0.1", format!("evil.{host}"), "unknown_vault"),
        ("127.0.0.1", format!("127.0.0.1:{port}"), "unknown_vault"),
        ("127.0.0.1", format!("user@{host}"), "bad_host"),
        ("127.0.0.1", format!("{host}/secrets"), "bad_host"),
        ("127.0.0.1", String::new(), "bad_host"),
        ("localhost", "evil.example".to_owned(), "bad_host"),
        ("localhost", format!("evil.example:{port}"), "bad_host"),
        ("localhost", "localhost".to_owned(), "unknown_vault"),
        ("localhost", "localhost:1".to_owned(), "unknown_vault"),
        ("localhost", format!("{host}\r\nHost: {host}"), "bad_host"),
        (
            "localhost",
            format!("{host}\r\nHost: evil.example"),
            "bad_host",
        ),
    ] {
        let head = site.head_to(&asked, people::ADMIN, &format!("GET {SECRET}"));
        let reply = site.wire_to(name).await.ask(format!("{head}\r\n")).await;
        let record = site.refused(&reply, (421, reason));
        assert_eq!(record["vault"], Value::Null, "{asked}");
        assert_eq!(record["caller"], Value::Null, "{asked}");
        assert_eq!(reply.header("www-authenticate"), None);
    }
}

#[tokio::test]
async fn an_absolute_target_must_agree_with_the_host() {
    let site = Site::start().await;
    let host = site.host();
    for target in [
        format!("https://evil.example{SECRET}"),
        format!("https://localhost:1{SECRET}"),
        format!("http://{host}{SECRET}"),
    ] {
        let reply = site
            .ask(&site.head(people::ADMIN, &format!("GET {target}")))
            .await;
        site.refused(&reply, (421, "bad_host"));
    }
    let target = format!("https://{host}{SECRET}");
    let reply = site
        .ask(&site.head(people::ADMIN, &format!("GET {target}")))
        .await;
    assert_eq!(reply.status, 200);
    let (_, entry) = site.forwarded();
    assert_eq!(entry.path_and_query, SECRET);
}

#[tokio::test]
async fn the_handshake_must_agree_with_the_host() {
    let site = Setup {
        vault_host: VAULT_HOST,
        ..Setup::default()
    }
    .start()
    .await;
    let (public, own) = (site.host(), site.own_host());
    for (name, host) in [(VAULT_HOST, &public), ("localhost", &own)] {
        let head = site.head_to(host, people::ADMIN, &format!("GET {SECRET}"));
        let reply = site.wire_to(name).await.ask(format!("{head}\r\n")).await;
        site.refused(&reply, (421, "bad_host"));
    }
    for (name, host) in [
        (VAULT_HOST, &own),
        ("localhost", &public),
        ("127.0.0.1", &own),
    ] {
        let head = site.head_to(host, people::ADMIN, &format!("GET {SECRET}"));
        let reply = site.wire_to(name).await.ask(format!("{head}\r\n")).await;
        assert_eq!(reply.status, 200, "{name} {host}");
        let (record, entry) = site.forwarded();
        assert_eq!(entry.host.as_deref(), Some(&*own));
        assert_eq!(entry.server_name.as_deref(), Some(VAULT_HOST));
        let named = (name != "127.0.0.1").then_some(name);
        assert_eq!(record["client"]["sni"].as_str(), named);
    }
}

#[tokio::test]
async fn case_and_a_final_dot_are_no_other_host() {
    let site = Site::start().await;
    let port = site.address().port();
    for host in [format!("LOCALHOST:{port}"), format!("localhost.:{port}")] {
        let head = site.head_to(&host, people::ADMIN, &format!("GET {SECRET}"));
        let reply = site.ask(&head).await;
        assert_eq!(reply.status, 200, "{host}: {}", reply.text());
        let (_, entry) = site.forwarded();
        assert_eq!(entry.host, Some(site.own_host()));
        // Links lead to the configured name, whatever `Host` said.
        let id = reply.json()["id"].as_str().unwrap().to_owned();
        assert!(
            id.starts_with(&format!("https://localhost:{port}/")),
            "{id}"
        );
    }
}

#[tokio::test]
async fn forwarding_headers_select_nothing() {
    let site = Site::start().await;
    let head = site.head_to("evil.example", people::ADMIN, &format!("GET {SECRET}"));
    let host = site.host();
    let reply = site
        .wire_to("127.0.0.1")
        .await
        .ask(format!(
            "{head}X-Forwarded-Host: {host}\r\nForwarded: host={host}\r\n\
             X-Original-Host: {host}\r\nX-Forwarded-Server: {host}\r\n\r\n"
        ))
        .await;
    site.refused(&reply, (421, "unknown_vault"));
}

#[tokio::test]
async fn http_2_names_its_host_once() {
    let site = Site::start().await;
    let token = format!("Bearer {}", site.token(people::ADMIN));
    let url = site.world.url();
    let get = |uri: String| http::Request::get(uri).header("authorization", &token);
    let mut client = site.http2("localhost").await;
    let reply = client
        .ask(get(format!("{url}{SECRET}")).header("host", "evil.example"))
        .await;
    site.refused(&reply, (421, "bad_host"));
    let reply = client
        .ask(get(format!("https://evil.example{SECRET}")))
        .await;
    site.refused(&reply, (421, "bad_host"));
    let reply = client
        .ask(get(format!("http://{}{SECRET}", site.host())))
        .await;
    site.refused(&reply, (421, "bad_host"));
    let mut client = site.http2("127.0.0.1").await;
    let reply = client
        .ask(get(format!("https://evil.example{SECRET}")))
        .await;
    site.refused(&reply, (421, "unknown_vault"));
    let reply = client
        .ask(get(format!("{url}{SECRET}")).header("host", site.host()))
        .await;
    assert_eq!(reply.status, 200);
    site.forwarded();
}

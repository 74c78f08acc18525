//! What is sent is what was authorized: rendered anew, to the vault's own name, with listed headers
//! and no others.

use portcullis::dev::people;
use serde_json::json;

use crate::site::{SECRET, Setup, Site, VERSION};

const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

/// What is asked for, and the path and query that the vault gets.
const RENDERINGS: [(&str, &str); 13] = [
    ("GET /secrets/app-api-key?api-version=7.4", SECRET),
    (
        "GET /secrets/app-api-key/?api-version=7.4",
        "/secrets/app-api-key/?api-version=7.4",
    ),
    ("GET //secrets/app-api-key?api-version=7.4", SECRET),
    (
        "GET //SECRETS/App-API-Key/?api-version=7.4",
        "/secrets/App-API-Key/?api-version=7.4",
    ),
    ("GET /secrets/app-api-key?api%2Dversion=7.4", SECRET),
    ("GET /secrets/app-api-key?api%2dversion=7%2E4&", SECRET),
    (
        "GET /secrets?maxresults=5&api-version=7.6-preview.2",
        "/secrets?api-version=7.6-preview.2&maxresults=5",
    ),
    (
        "GET /Secrets/app-api-key/Versions?api-version=2026-04-01",
        "/secrets/app-api-key/versions?api-version=2026-04-01",
    ),
    (
        "GET /secrets/app-api-key/1D89273B3C364E018F939C2F0D151622?api-version=7.4",
        "/secrets/app-api-key/1d89273b3c364e018f939c2f0d151622?api-version=7.4",
    ),
    (
        "POST /keys/signing//Sign?api-version=7.4",
        "/keys/signing//sign?api-version=7.4",
    ),
    (
        "POST /keys/signing/sign?api-version=7.4",
        "/keys/signing/sign?api-version=7.4",
    ),
    (
        "POST /KEYS/signing/wrapKey?api-version=7.4",
        "/keys/signing/wrapkey?api-version=7.4",
    ),
    (
        "DELETE /DeletedSecrets/absent?api-version=7.4",
        "/deletedsecrets/absent?api-version=7.4",
    ),
];

#[tokio::test]
async fn the_vault_gets_the_canonical_rendering() {
    let site = Site::start().await;
    for (asked, sent) in RENDERINGS {
        let mut head = site.head(people::ADMIN, asked);
        if asked.starts_with("POST") {
            head.push_str("Content-Length: 0\r\n");
        }
        let reply = site.ask(&head).await;
        assert_ne!(reply.status, 421, "{asked}");
        let (record, entry) = site.forwarded();
        assert_eq!(entry.path_and_query, sent, "{asked}");
        assert!(asked.starts_with(entry.method.as_str()), "{asked}");
        assert_eq!(entry.caller, Some(people::ADMIN.object_id));
        assert_eq!(entry.version, http::Version::HTTP_11);
        assert_eq!(record["method"], entry.method.as_str());
    }
}

#[tokio::test]
async fn the_vault_is_called_by_its_own_name() {
    let site = Setup {
        vault_host: "portcullis-dev.vault.azure.net",
        ..Setup::default()
    }
    .start()
    .await;
    assert_eq!(site.get(people::ADMIN, SECRET).await.status, 200);
    let (record, entry) = site.forwarded();
    assert_eq!(entry.host, Some(site.own_host()));
    assert_eq!(entry.server_name.as_deref(), Some(site.vault_host()));
    assert_eq!(record["vault"], people::VAULT_NAME);
    let resource_id = record["resource_id"].as_str().unwrap();
    assert!(resource_id.eq_ignore_ascii_case(people::RESOURCE_ID));
}

#[tokio::test]
async fn only_listed_headers_reach_the_vault() {
    let site = Site::start().await;
    let head = site.head(people::ADMIN, &format!("GET {SECRET}"));
    let forged = "01890000-0000-7000-8000-000000000000";
    let reply = site
        .ask(&format!(
            "{head}Accept: application/json\r\nUser-Agent: azsdk-test/1.0\r\n\
             traceparent: {TRACE}\r\ntracestate: a=b\r\nx-ms-client-request-id: 17-a\r\n\
             X-Forwarded-For: 10.0.0.1\r\nX_Forwarded-For: 10.0.0.1\r\n\
             X-Forwarded-Host: evil.example\r\nX-Forwarded-Prefix: /keys\r\n\
             X-Forwarded-Proto: http\r\nForwarded: host=evil.example\r\n\
             X-Original-URL: /keys/signing\r\nX-Rewrite-URL: /keys/signing\r\n\
             X-Envoy-Original-Path: /keys/signing\r\nX-Real-IP: 10.0.0.1\r\n\
             Cookie: a=b\r\nProxy-Authorization: Basic YTpi\r\nVia: 1.1 elsewhere\r\n\
             Range: bytes=0-1\r\nx-ms-keyvault-region: moon\r\n\
             x-portcullis-decision-id: {forged}\r\nx-portcullis-reason: ok_assignment\r\n\
             Connection: keep-alive, x-hop\r\nx-hop: 1\r\nKeep-Alive: timeout=1\r\nTE: trailers\r\n"
        ))
        .await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    let (record, entry) = site.forwarded();
    let mut names = entry.header_names;
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "accept",
            // Links are to be rewritten, so nothing may be compressed.
            "accept-encoding",
            "authorization",
            "host",
            "traceparent",
            "tracestate",
            "user-agent",
            "x-ms-client-request-id",
        ]
    );
    assert_ne!(record["decision_id"], forged);
    assert_eq!(reply.header("x-ms-client-request-id"), Some("17-a"));
    assert_eq!(record["client"]["request_id"], "17-a");
    assert_eq!(record["client"]["ua"], "azsdk-test/1.0");
    assert_eq!(record["client"]["ip"], "127.0.0.1");
    assert_eq!(
        record["trace"]["trace_id"],
        "4bf92f3577b34da6a3ce929d0e0e4736"
    );
    assert_eq!(record["trace"]["span_id"], "00f067aa0ba902b7");
}

#[tokio::test]
async fn what_connection_names_stays_here() {
    let site = Site::start().await;
    let head = site.head(people::ADMIN, &format!("GET {SECRET}"));
    let reply = site
        .ask(&format!(
            "{head}x-ms-client-request-id: 17-a\r\nConnection: x-ms-client-request-id\r\n"
        ))
        .await;
    assert_eq!(reply.status, 200);
    let (_, entry) = site.forwarded();
    assert!(
        !entry
            .header_names
            .contains(&"x-ms-client-request-id".to_owned())
    );
}

#[tokio::test]
async fn the_vaults_own_decision_is_recorded_and_not_passed_on() {
    let site = Site::start().await;
    let reply = site.get(people::ADMIN, SECRET).await;
    let (record, _) = site.forwarded();
    let result = site.result_of(&record).await;
    assert_eq!(
        (&result["status"], &result["aborted"]),
        (&json!(200), &json!(false))
    );
    assert_eq!(result["reason"], serde_json::Value::Null);
    let upstream = &result["upstream"];
    assert_eq!(upstream["sent"], true);
    assert_eq!(upstream["status"], 200);
    assert_eq!(
        upstream["request_id"].as_str(),
        reply.header("x-ms-request-id")
    );
    assert!(upstream["assignment"].is_string());
    let told: Vec<_> = reply.headers.keys().map(http::HeaderName::as_str).collect();
    assert!(
        !told
            .iter()
            .any(|name| name.starts_with("x-ms-keyvault-rbac"))
    );
    assert!(!told.iter().any(|name| name.starts_with("x-portcullis-")));
}

#[tokio::test]
async fn a_body_arrives_as_it_was_sent() {
    let site = Site::start().await;
    let value = "\u{e9}\u{20ac} \u{1f512} \"quoted\" \\ \u{0}".repeat(100);
    let set = format!("/secrets/odd?{VERSION}");
    let body = json!({ "value": value, "tags": { "k": "v" } });
    let reply = site.send(people::ADMIN, "PUT", &set, &body).await;
    assert_eq!(reply.status, 200);
    site.forwarded();
    // The same in chunks.
    let text = body.to_string();
    let (first, second) = text.as_bytes().split_at(1000);
    let head = site.head(people::ADMIN, &format!("PUT /secrets/chunked?{VERSION}"));
    let mut wire = site.wire().await;
    wire.send(format!(
        "{head}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    ))
    .await;
    for part in [first, second, b""] {
        wire.send(format!("{:x}\r\n", part.len())).await;
        wire.send(part).await;
        wire.send("\r\n").await;
    }
    let reply = wire.answer().await;
    assert_eq!(reply.status, 200, "{}", reply.text());
    site.forwarded();
    for name in ["odd", "chunked"] {
        let reply = site
            .get(people::ADMIN, &format!("/secrets/{name}?{VERSION}"))
            .await;
        assert_eq!(reply.json()["value"], value);
        site.forwarded();
    }
}

//! The control that test suites in other languages use.

use std::sync::Arc;

use http::StatusCode;
use portcullis::clock::SystemClock;
use portcullis::dev::people;
use portcullis::dev::world::{World, WorldSettings};
use reqwest::{Client, Method};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A world with a control, and a client that trusts its CA.
struct Controlled {
    world: World,
    client: Client,
    _directory: TempDir,
}

impl Controlled {
    async fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let world = World::start(WorldSettings {
            control_port: Some(0),
            ..WorldSettings::new(directory.path().to_owned(), Arc::new(SystemClock))
        });
        let world = world.await.unwrap();
        let client = Client::builder()
            .tls_backend_preconfigured(world.pki.client_config().unwrap())
            .build()
            .unwrap();
        Self {
            world,
            client,
            _directory: directory,
        }
    }

    /// Asks the control.
    async fn control(&self, method: Method, path: &str, body: &Value) -> (StatusCode, Value) {
        let address = self.world.control.as_ref().unwrap().address();
        let url = format!("https://localhost:{}{path}", address.port());
        let request = self.client.request(method, url).body(body.to_string());
        let response = request.send().await.unwrap();
        let status = response.status();
        let bytes = response.bytes().await.unwrap();
        (status, serde_json::from_slice(&bytes).unwrap())
    }

    async fn journal(&self, since: u64) -> Value {
        let path = format!("/journal?since={since}");
        let (status, journal) = self.control(Method::GET, &path, &Value::Null).await;
        assert_eq!(status, StatusCode::OK);
        journal
    }

    /// Asks the vault, through the proxy.
    async fn ask(&self, method: Method, path: &str, body: &Value) -> reqwest::Response {
        let token = self.world.issuer.token(people::ADMIN.object_id).unwrap();
        let url = format!("{}{path}?api-version=7.6", self.world.url());
        let mut request = self.client.request(method, url).bearer_auth(token.expose());
        if !body.is_null() {
            request = request.body(body.to_string());
        }
        request.send().await.unwrap()
    }

    /// Reads a secret through the proxy.
    async fn secret(&self) -> reqwest::Response {
        let path = "/secrets/app-api-key";
        self.ask(Method::GET, path, &Value::Null).await
    }

    /// How many versions of the key there are.
    async fn versions(&self) -> usize {
        let path = "/keys/turning/versions";
        let listed = self.ask(Method::GET, path, &Value::Null).await;
        let listed: Value = serde_json::from_slice(&listed.bytes().await.unwrap()).unwrap();
        listed["value"].as_array().unwrap().len()
    }
}

#[tokio::test]
async fn it_tells_what_reached_the_vault_and_of_nobody_s_token_or_value() {
    let controlled = Controlled::start().await;
    assert_eq!(
        controlled.journal(0).await,
        json!({ "next": 0, "entries": [] })
    );
    let value: Value =
        serde_json::from_slice(&controlled.secret().await.bytes().await.unwrap()).unwrap();
    controlled.secret().await;
    let journal = controlled.journal(1).await;
    let entry = json!({
        "method": "GET",
        "path_and_query": "/secrets/app-api-key?api-version=7.6",
        "host": controlled.world.vault.authority().to_string(),
        "caller": people::ADMIN.object_id.to_string(),
        "status": 200,
    });
    assert_eq!(journal, json!({ "next": 2, "entries": [entry] }));
    assert!(
        !journal
            .to_string()
            .contains(value["value"].as_str().unwrap())
    );
}

#[tokio::test]
async fn it_scripts_the_next_answer_and_holds_one_back() {
    let controlled = Controlled::start().await;
    let canned = json!({
        "path": "/secrets/app-api-key",
        "answer": {
            "status": 429,
            "headers": { "retry-after": "3" },
            "body": { "error": { "code": "Throttled", "message": "later" } },
        },
    });
    let (status, _) = controlled.control(Method::POST, "/script", &canned).await;
    assert_eq!(status, StatusCode::OK);
    let throttled = controlled.secret().await;
    assert_eq!(throttled.status(), StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(throttled.headers()["retry-after"], "3");

    let held = json!({ "path": "/secrets/app-api-key", "held": true });
    controlled.control(Method::POST, "/script", &held).await;
    let release = async {
        controlled.world.vault.reached(2).await;
        let journal = controlled.journal(1).await;
        assert_eq!(journal["entries"][0]["status"], Value::Null);
        controlled
            .control(Method::POST, "/release", &Value::Null)
            .await
    };
    let (answer, (status, released)) = tokio::join!(controlled.secret(), release);
    assert_eq!(
        (status, released),
        (StatusCode::OK, json!({ "released": 1 }))
    );
    assert_eq!(answer.status(), StatusCode::OK);
}

#[tokio::test]
async fn it_makes_objects_older_and_tokens_not() {
    let controlled = Controlled::start().await;
    let policy = json!({ "lifetimeActions": [
        { "trigger": { "timeAfterCreate": "P30D" }, "action": { "type": "Rotate" } },
    ] });
    for (method, path, body) in [
        (Method::POST, "/keys/turning/create", json!({ "kty": "EC" })),
        (Method::PUT, "/keys/turning/rotationpolicy", policy),
    ] {
        let done = controlled.ask(method, path, &body).await;
        assert_eq!(done.status(), StatusCode::OK, "{path}");
    }
    let day = 24 * 3600;
    for (days, ahead, versions) in [(29, 29, 1), (1, 30, 2), (0, 30, 2), (61, 91, 4)] {
        let body = json!({ "seconds": days * day });
        let (status, answer) = controlled.control(Method::POST, "/forward", &body).await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(answer, json!({ "ahead": ahead * day }));
        assert_eq!(controlled.versions().await, versions, "after {ahead} days");
    }
    let body = json!({ "seconds": 3650 * day });
    let (status, _) = controlled.control(Method::POST, "/forward", &body).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let body = json!({ "seconds": 0 });
    let (_, answer) = controlled.control(Method::POST, "/forward", &body).await;
    assert_eq!(answer, json!({ "ahead": 91 * day }));
}

#[tokio::test]
async fn what_it_does_not_know_it_refuses() {
    let controlled = Controlled::start().await;
    for (method, path, body) in [
        (Method::GET, "/", Value::Null),
        (Method::GET, "/script", Value::Null),
        (Method::GET, "/journal?since=x", Value::Null),
        (Method::POST, "/script", json!({ "pth": "/secrets/a" })),
        (Method::POST, "/forward", json!({})),
        (Method::POST, "/forward", json!({ "seconds": -1 })),
        (
            Method::POST,
            "/script",
            json!({ "path": "/a", "answer": { "status": 9, "body": {} } }),
        ),
    ] {
        let (status, answer) = controlled.control(method, path, &body).await;
        assert_eq!(status, StatusCode::BAD_REQUEST, "{path}");
        assert!(answer["problem"].is_string(), "{path}");
    }
}

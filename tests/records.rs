//! What the records say of requests that do not end well, over the whole proxy.

#![cfg(test)]
#![cfg(feature = "dev")]

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use portcullis::clock::SystemClock;
use portcullis::config::AuditSink;
use portcullis::dev::people::{self, ADMIN, Person, SECRETS_USER};
use portcullis::dev::vault::Script;
use portcullis::dev::world::{World, WorldSettings};
use serde_json::Value;
use tokio::time::timeout;

const SOON: Duration = Duration::from_secs(30);

struct Stage {
    world: World,
    records: PathBuf,
    _directory: tempfile::TempDir,
}

impl Stage {
    async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let records = directory.path().join("decisions.jsonl");
        let settings = WorldSettings {
            audit: AuditSink::File {
                path: records.clone(),
                max_bytes: 10 * 1024 * 1024,
                keep: 1,
            },
            ..WorldSettings::new(directory.path().into(), Arc::new(SystemClock))
        };
        Self {
            world: World::start(settings).await.unwrap(),
            records,
            _directory: directory,
        }
    }

    fn get(&self) -> reqwest::RequestBuilder {
        self.request(Method::GET, &SECRETS_USER)
    }

    fn request(&self, method: Method, person: &Person) -> reqwest::RequestBuilder {
        let token = self.world.issuer.token(person.object_id).unwrap();
        let tls = self.world.pki.client_config().unwrap();
        let client = reqwest::Client::builder().tls_backend_preconfigured(tls);
        let secret = format!("/secrets/{}", people::DB_SECRET);
        let url = format!("{}{secret}?api-version=7.4", self.world.url());
        let request = client.build().unwrap().request(method, url);
        request.bearer_auth(token.expose())
    }

    fn order(&self, script: Script) {
        let secret = format!("/secrets/{}", people::DB_SECRET);
        self.world.vault.next_response(&secret, script);
    }

    /// Stops the proxy and reads what it wrote.
    async fn records(self) -> Vec<Value> {
        self.world.stop().await;
        lines(&self.records)
    }
}

fn lines(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines();
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[tokio::test]
async fn a_client_that_leaves_while_the_vault_is_at_work_does_not_make_it_unsent() {
    let stage = Stage::start().await;
    let (script, release) = Script::genuine().held();
    stage.order(script);
    let before = stage.world.vault.journal_len();
    let request = tokio::spawn(stage.get().send());
    timeout(SOON, stage.world.vault.reached(before + 1))
        .await
        .unwrap();
    request.abort();
    assert!(request.await.unwrap_err().is_cancelled());
    let records = stage.records().await;
    drop(release);
    let [decision, result] = records.as_slice() else {
        panic!("{records:?}");
    };
    assert_eq!(decision["decision"], "allow");
    assert_eq!(result["type"], "result");
    assert_eq!(result["aborted"], true);
    assert_eq!(result["upstream"]["sent"], true, "{result}");
}

#[tokio::test]
async fn a_vault_that_breaks_off_is_told_apart_from_one_that_was_not_reached() {
    let stage = Stage::start().await;
    stage.order(Script::disconnected());
    let answer = stage.get().send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::BAD_GATEWAY);
    let records = stage.records().await;
    let [_, result] = records.as_slice() else {
        panic!("{records:?}");
    };
    assert_eq!(result["upstream"]["sent"], true);
    assert_eq!(result["reason"], "upstream_error");
}

#[tokio::test]
async fn a_body_declared_too_large_is_refused_before_anything_is_allowed() {
    let stage = Stage::start().await;
    let put = stage.request(Method::PUT, &ADMIN);
    let answer = put.body(vec![b' '; 1024 * 1024 + 1]).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::PAYLOAD_TOO_LARGE);
    let records = stage.records().await;
    let [decision] = records.as_slice() else {
        panic!("{records:?}");
    };
    assert_eq!(decision["decision"], "deny");
    assert_eq!(decision["reason"], "body_too_large");
}

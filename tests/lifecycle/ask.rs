//! Asking a proxy, and waiting until it says something.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use http::{HeaderMap, StatusCode};
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// The vault's answer to this is its seeded secret.
pub(crate) const SECRET: &str = "/secrets/app-db-password?api-version=7.4";

/// Much longer than anything here takes; a test that waits for so long has failed.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// What `what` gives, which must be soon.
#[track_caller]
pub(crate) fn soon<F: Future>(what: F) -> impl Future<Output = F::Output> {
    let caller = std::panic::Location::caller();
    async move {
        match timeout(PATIENCE, what).await {
            Ok(output) => output,
            Err(_) => panic!("waited in vain at {caller}"),
        }
    }
}

/// Asks `look` again and again until it finds something.
#[track_caller]
pub(crate) fn until<T>(mut look: impl AsyncFnMut() -> Option<T>) -> impl Future<Output = T> {
    soon(async move {
        // Most looks are a connection each; without a pause the system would run out of ports.
        let mut looks = tokio::time::interval(Duration::from_millis(10));
        loop {
            looks.tick().await;
            if let Some(found) = look().await {
                return found;
            }
        }
    })
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// A header's value, or nothing.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    /// The status and, for a refusal of ours, its reason.
    pub(crate) fn verdict(&self) -> (u16, &str) {
        (self.status.as_u16(), self.header("x-portcullis-reason"))
    }
}

pub(crate) async fn send(request: reqwest::RequestBuilder) -> reqwest::Result<Answer> {
    let response = request.send().await?;
    let (status, headers) = (response.status(), response.headers().clone());
    let bytes = response.bytes().await?;
    Ok(Answer {
        status,
        headers,
        body: serde_json::from_slice(&bytes).unwrap_or_default(),
    })
}

/// The administration listener, asked over plain HTTP.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Administration(pub(crate) SocketAddr);

impl Administration {
    /// The status and text of a page; an error if nobody listens.
    pub(crate) async fn page(self, path: &str) -> std::io::Result<(u16, String)> {
        let mut stream = TcpStream::connect(self.0).await?;
        let request = format!("GET {path} HTTP/1.1\r\nhost: admin\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let status = status.ok_or(std::io::ErrorKind::UnexpectedEof)?;
        Ok((status, body.to_owned()))
    }

    pub(crate) async fn ready(self) -> Readiness {
        let (status, body) = soon(self.page("/readyz")).await.unwrap();
        let report: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(report["ready"], status == 200, "{status} {report}");
        Readiness(report)
    }

    /// Waits until `/readyz` says what `pick` is looking for.
    #[track_caller]
    pub(crate) fn readiness(
        self,
        pick: impl Fn(&Readiness) -> bool,
    ) -> impl Future<Output = Readiness> {
        until(async move || Some(self.ready().await).filter(&pick))
    }

    /// All metrics by series, such as `portcullis_snapshot_loads_total{result="ok"}`.
    pub(crate) async fn metrics(self) -> HashMap<String, f64> {
        let (status, text) = soon(self.page("/metrics")).await.unwrap();
        assert_eq!(status, 200);
        let series = |line: &str| {
            let (name, value) = line.rsplit_once(' ').unwrap();
            (name.to_owned(), value.parse().unwrap())
        };
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines.map(series).collect()
    }

    /// Waits until at least so many loads of role data ended with `result`. A load is in force a
    /// moment before it is counted.
    #[track_caller]
    pub(crate) fn loaded(self, result: &str, count: f64) -> impl Future<Output = ()> {
        until(async move || (self.loads(result).await >= count).then_some(()))
    }

    /// How many loads of role data ended with `result`.
    pub(crate) async fn loads(self, result: &str) -> f64 {
        self.metrics().await[&format!(r#"portcullis_snapshot_loads_total{{result="{result}"}}"#)]
    }
}

/// What `/readyz` said.
#[derive(Debug)]
pub(crate) struct Readiness(Value);

impl Readiness {
    pub(crate) fn is_ready(&self) -> bool {
        self.0["ready"] == true
    }

    /// One of the checks; the test fails if there is none of this name.
    #[track_caller]
    fn check(&self, name: &str) -> &Value {
        let mut checks = self.0["checks"].as_array().unwrap().iter();
        checks
            .find(|check| check["name"] == name)
            .unwrap_or_else(|| panic!("no check `{name}` in {}", self.0))
    }

    pub(crate) fn holds(&self, name: &str) -> bool {
        self.check(name)["ok"] == true
    }

    /// What a check that holds has to tell.
    pub(crate) fn note(&self, name: &str) -> &str {
        self.check(name)["note"].as_str().unwrap_or("")
    }

    /// Why a check does not hold.
    pub(crate) fn reason(&self, name: &str) -> &str {
        self.check(name)["reason"].as_str().unwrap_or("")
    }
}

//! The SDK's transport, credential and clock, watched.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, Once};

use async_trait::async_trait;
use azure_core::async_runtime::{AsyncRuntime, SpawnedTask, TaskFuture, set_async_runtime};
use azure_core::credentials::{AccessToken, TokenCredential, TokenRequestOptions};
use azure_core::http::headers::AUTHORIZATION;
use azure_core::http::{AsyncRawResponse, HttpClient, Request};
use azure_core::time::{Duration, OffsetDateTime};
use portcullis::dev::people::Person;
use serde_json::Value;

/// One request as the SDK sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) method: String,
    /// Scheme, host and port.
    pub(crate) origin: String,
    pub(crate) path_and_query: String,
    pub(crate) with_token: bool,
    pub(crate) with_body: bool,
    pub(crate) status: u16,
}

/// Sends what the SDK wants sent, and remembers it.
#[derive(Debug)]
pub(crate) struct Wire {
    client: reqwest::Client,
    sent: Arc<Mutex<Vec<Sent>>>,
}

impl Wire {
    pub(crate) fn new(client: reqwest::Client) -> Arc<Self> {
        Arc::new(Self {
            client,
            sent: Arc::default(),
        })
    }

    /// The same with another client.
    pub(crate) fn over(&self, client: reqwest::Client) -> Arc<Self> {
        Arc::new(Self {
            client,
            sent: Arc::clone(&self.sent),
        })
    }

    /// Sends what the SDK has no way to send, with a token.
    pub(crate) async fn send(&self, request: reqwest::RequestBuilder) -> reqwest::Response {
        let request = request.build().unwrap();
        let (method, url) = (request.method().to_string(), request.url().clone());
        let with_body = request.body().is_some();
        let response = self.client.execute(request).await.unwrap();
        self.sent.lock().unwrap().push(Sent {
            method,
            origin: url.origin().ascii_serialization(),
            path_and_query: path_and_query(&url),
            with_token: true,
            with_body,
            status: response.status().as_u16(),
        });
        response
    }

    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.sent.lock().unwrap().clone()
    }
}

fn path_and_query(url: &reqwest::Url) -> String {
    match url.query() {
        Some(query) => format!("{}?{query}", url.path()),
        None => url.path().to_owned(),
    }
}

#[async_trait]
impl HttpClient for Wire {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let response = self.client.execute_request(request).await?;
        let url = request.url();
        self.sent.lock().unwrap().push(Sent {
            method: request.method().as_str().to_owned(),
            origin: url.origin().ascii_serialization(),
            path_and_query: path_and_query(url),
            with_token: request.headers().get_optional_str(&AUTHORIZATION).is_some(),
            with_body: request.body().is_empty() != Some(true),
            status: response.status().into(),
        });
        Ok(response)
    }
}

/// Asks the embedded issuer, as the real credentials ask Entra ID.
#[derive(Debug)]
pub(crate) struct IssuerCredential {
    pub(crate) client: reqwest::Client,
    pub(crate) token_url: String,
    pub(crate) person: Person,
    pub(crate) secret: String,
}

#[async_trait]
impl TokenCredential for IssuerCredential {
    async fn get_token(
        &self,
        scopes: &[&str],
        _options: Option<TokenRequestOptions<'_>>,
    ) -> azure_core::Result<AccessToken> {
        // The scope is what the proxy's challenge names.
        assert_eq!(scopes, ["https://vault.azure.net/.default"]);
        let client_id = self.person.client_id.to_string();
        let form = reqwest::Url::parse_with_params(
            "form:",
            [
                ("grant_type", "client_credentials"),
                ("client_id", &client_id),
                ("client_secret", &self.secret),
                ("scope", scopes[0]),
            ],
        )
        .unwrap();
        let body = form.query().unwrap().to_owned();
        let response = self.client.post(&self.token_url).body(body).send().await;
        let bytes = response.unwrap().bytes().await.unwrap();
        let answer: Value = serde_json::from_slice(&bytes).unwrap();
        let token = answer["access_token"].as_str().unwrap().to_owned();
        let expires = OffsetDateTime::now_utc() + Duration::hours(1);
        Ok(AccessToken::new(token, expires))
    }
}

thread_local! {
    /// How long the SDK wanted to wait, in this test: each has its thread.
    static WAITS: RefCell<Vec<Duration>> = const { RefCell::new(Vec::new()) };
}

/// The SDK's runtime, in which every wait is over at once.
struct Impatient;

impl AsyncRuntime for Impatient {
    fn spawn(&self, _task: TaskFuture) -> SpawnedTask {
        panic!("the clients spawn nothing");
    }

    fn sleep(&self, duration: Duration) -> TaskFuture {
        WAITS.with_borrow_mut(|waits| waits.push(duration));
        Box::pin(std::future::ready(()))
    }

    fn yield_now(&self) -> TaskFuture {
        Box::pin(std::future::ready(()))
    }
}

/// Has the SDK's waits recorded instead of waited.
pub(crate) fn record_waits() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| set_async_runtime(Arc::new(Impatient)).unwrap());
}

/// How long the SDK wanted to wait since this was asked last.
pub(crate) fn waits() -> Vec<Duration> {
    WAITS.take()
}

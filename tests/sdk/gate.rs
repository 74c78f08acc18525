//! The world with the proxy in it, and the SDK's clients for each of its people.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use azure_core::credentials::TokenCredential;
use azure_core::error::{ErrorKind, ErrorResponse};
use azure_core::http::headers::HeaderName;
use azure_core::http::{ClientOptions, FixedRetryOptions, RetryOptions, StatusCode, Transport};
use azure_security_keyvault_certificates::{CertificateClient, CertificateClientOptions};
use azure_security_keyvault_keys::{KeyClient, KeyClientOptions};
use azure_security_keyvault_secrets::models::SetSecretParameters;
use azure_security_keyvault_secrets::{SecretClient, SecretClientOptions};
use portcullis::clock::{Clock, SystemClock};
use portcullis::config::AuditSink;
use portcullis::dev::people::Person;
use portcullis::dev::vault::JournalEntry;
use portcullis::dev::world::{World, WorldSettings};
use serde_json::Value;
use tempfile::TempDir;

use crate::wire::{IssuerCredential, Sent, Wire, record_waits};

/// The vault's own host name, which resolves to the proxy in the tests' client alone.
pub(crate) const VAULT_HOST: &str = "portcullis-dev.vault.azure.net";

/// How often the SDK tries again, here.
pub(crate) const RETRIES: u32 = 2;

/// How the client knows the proxy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Placement {
    /// A name of its own: links are rewritten, and the SDK must be told not to check the challenge.
    OwnName,
    /// The vault's name and port, by another resolution of the name: nothing is rewritten, and
    /// nothing in the client is changed.
    Transparent,
    /// The vault's name on a port of the proxy's own.
    VaultNameOtherPort,
}

/// The machine's clock, moved ahead by hand.
#[derive(Debug, Default)]
struct Ahead(AtomicU64);

impl Clock for Ahead {
    fn now(&self) -> SystemTime {
        SystemClock.now() + Duration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

/// A running world, the SDK's way to it, and everything that was sent.
pub(crate) struct Gate {
    pub(crate) world: World,
    pub(crate) url: String,
    placement: Placement,
    wire: Arc<Wire>,
    client: reqwest::Client,
    clock: Arc<Ahead>,
    records: PathBuf,
    looked_at: AtomicUsize,
    _directory: TempDir,
}

fn client(world: &World, tls: rustls::ClientConfig) -> reqwest::Client {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        // Its port stands for the one a URL leaves out.
        .resolve(VAULT_HOST, world.address())
        .timeout(Duration::from_secs(30))
        .no_proxy()
        .build()
        .unwrap()
}

impl Gate {
    /// A world whose proxy has a name of its own.
    pub(crate) async fn start() -> Self {
        Self::placed(Placement::OwnName).await
    }

    pub(crate) async fn placed(placement: Placement) -> Self {
        Self::made(placement, |_| {}).await
    }

    /// A world that `change` makes otherwise than usual.
    pub(crate) async fn made(
        placement: Placement,
        change: impl FnOnce(&mut WorldSettings),
    ) -> Self {
        record_waits();
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(Ahead::default());
        let records = directory.path().join("decisions.jsonl");
        let mut settings = WorldSettings::new(
            directory.path().to_owned(),
            Arc::clone(&clock) as Arc<dyn Clock>,
        );
        settings.vault_host = VAULT_HOST.into();
        settings.vault_port = (placement == Placement::Transparent).then_some(443);
        settings.audit = AuditSink::File {
            path: records.clone(),
            max_bytes: 64 * 1024 * 1024,
            keep: 1,
        };
        change(&mut settings);
        let world = World::start(settings).await.unwrap();
        let client = client(&world, world.pki.client_config().unwrap());
        let url = match placement {
            Placement::OwnName => world.url(),
            Placement::Transparent => format!("https://{VAULT_HOST}"),
            Placement::VaultNameOtherPort => {
                format!("https://{VAULT_HOST}:{}", world.address().port())
            }
        };
        Self {
            world,
            url,
            placement,
            wire: Wire::new(client.clone()),
            client,
            clock,
            records,
            looked_at: AtomicUsize::new(0),
            _directory: directory,
        }
    }

    /// Has clients that are made from now on connect with `tls`.
    pub(crate) fn reconnect(&mut self, tls: rustls::ClientConfig) {
        self.wire = self.wire.over(client(&self.world, tls));
    }

    pub(crate) fn options(&self) -> ClientOptions {
        ClientOptions {
            transport: Some(Transport::new(
                Arc::clone(&self.wire) as Arc<dyn azure_core::http::HttpClient>
            )),
            retry: RetryOptions::fixed(FixedRetryOptions {
                max_retries: RETRIES,
                ..FixedRetryOptions::default()
            }),
            ..ClientOptions::default()
        }
    }

    pub(crate) fn credential(&self, person: Person) -> Arc<IssuerCredential> {
        Arc::new(IssuerCredential {
            client: self.client.clone(),
            token_url: format!("{}/oauth2/v2.0/token", self.world.issuer.tenant_url()),
            person,
            secret: self.world.issuer.client_secret().to_owned(),
        })
    }

    /// The SDK's default, unless the proxy's name leaves no choice.
    fn verify(&self) -> Option<bool> {
        Some(self.placement != Placement::OwnName)
    }

    pub(crate) fn secrets(&self, person: Person) -> SecretClient {
        self.secrets_by(self.credential(person))
    }

    pub(crate) fn secrets_by(&self, credential: Arc<dyn TokenCredential>) -> SecretClient {
        let options = SecretClientOptions {
            client_options: self.options(),
            verify_challenge_resource: self.verify(),
            ..SecretClientOptions::default()
        };
        SecretClient::new(&self.url, credential, Some(options)).unwrap()
    }

    pub(crate) fn keys(&self, person: Person) -> KeyClient {
        let options = KeyClientOptions {
            client_options: self.options(),
            verify_challenge_resource: self.verify(),
            ..KeyClientOptions::default()
        };
        KeyClient::new(&self.url, self.credential(person), Some(options)).unwrap()
    }

    pub(crate) fn certificates(&self, person: Person) -> CertificateClient {
        let options = CertificateClientOptions {
            client_options: self.options(),
            verify_challenge_resource: self.verify(),
            ..CertificateClientOptions::default()
        };
        CertificateClient::new(&self.url, self.credential(person), Some(options)).unwrap()
    }

    /// What the SDK has sent so far.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.wire.sent()
    }

    /// What has reached the vault so far.
    pub(crate) fn journal(&self) -> Vec<JournalEntry> {
        self.world.vault.journal()
    }

    /// The method and path of what has reached the vault since this was asked last.
    pub(crate) fn reached(&self) -> Vec<String> {
        let journal = self.journal();
        let seen = self.looked_at.swap(journal.len(), Ordering::SeqCst);
        journal[seen..].iter().map(shown).collect()
    }

    /// Sends `body` as it is, for what the SDK has no way to send. Returns the status, the reason
    /// if the answer is the proxy's, and the text.
    pub(crate) async fn send(
        &self,
        person: Person,
        method: &str,
        path: &str,
        body: &'static str,
    ) -> (u16, Option<String>, String) {
        let token = self.world.issuer.token(person.object_id).unwrap();
        let url = format!("{}{path}?api-version=7.6", self.url);
        let request = self
            .client
            .request(method.parse().unwrap(), url)
            .bearer_auth(token.expose())
            .header("content-type", "application/json")
            .body(body);
        let response = self.wire.send(request).await;
        let status = response.status().as_u16();
        let reason = response.headers().get("x-portcullis-reason");
        let reason = reason.map(|reason| reason.to_str().unwrap().to_owned());
        (status, reason, response.text().await.unwrap())
    }

    /// Sets the clock forward.
    pub(crate) fn advance(&self, by: Duration) {
        self.clock.0.fetch_add(by.as_secs(), Ordering::SeqCst);
    }

    /// Takes the role data away for longer than the proxy may do without.
    pub(crate) fn lose_role_data(&self) {
        fs::remove_dir_all(self.world.role_directory()).unwrap();
        // What was read before is as old as its reading; what is read from now on is not there.
        self.advance(Duration::from_secs(5 * 3600));
    }

    /// Stops the world, checks what must hold of every run, and gives the decision records.
    pub(crate) async fn finish(self) -> Vec<Value> {
        let (sent, journal) = (self.sent(), self.journal());
        let (questions, forwarded): (Vec<_>, Vec<_>) = journal.iter().partition(is_question);
        let origin = url_origin(&self.url);
        self.world.stop().await;
        let text = fs::read_to_string(&self.records).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str(line).unwrap());
        let (decisions, results): (Vec<Value>, Vec<Value>) =
            lines.partition(|line: &Value| line["type"] == "decision");
        for request in &sent {
            assert_eq!(request.origin, origin, "left the gate: {request:?}");
            assert!(
                request.with_token || !request.with_body,
                "a body without a token: {request:?}"
            );
        }
        assert_eq!(decisions.len(), sent.len(), "one record for each request");
        let allowed = decisions.iter().filter(|line| line["decision"] == "allow");
        let mut allowed: Vec<_> = allowed.map(of_decision).collect();
        let mut arrived: Vec<_> = forwarded.iter().map(|entry| of_entry(entry)).collect();
        allowed.sort_unstable();
        arrived.sort_unstable();
        assert_eq!(arrived, allowed, "only what is allowed arrives");
        assert_eq!(results.len(), forwarded.len(), "each answer has its result");
        for entry in &journal {
            assert!(entry.caller.is_some(), "came without a token: {entry:?}");
        }
        for question in questions {
            assert_tells_no_value(question);
            let caller = question.caller.unwrap().to_string();
            let asked = |line: &Value| line["caller"]["oid"] == caller;
            assert!(decisions.iter().any(asked), "nobody asked: {question:?}");
        }
        let challenged = |line: &&Value| line["decision"] == "challenge";
        assert_eq!(
            decisions.iter().filter(challenged).count(),
            sent.iter().filter(|request| !request.with_token).count(),
        );
        decisions
    }
}

/// What a client sent has headers of Azure's or its own beside these.
fn is_question(entry: &&JournalEntry) -> bool {
    let mut names = entry.header_names.clone();
    names.sort_unstable();
    names
        == [
            "accept",
            "accept-encoding",
            "authorization",
            "host",
            "user-agent",
        ]
}

/// The proxy looks at metadata, and at nothing else, before it decides.
fn assert_tells_no_value(question: &JournalEntry) {
    let path = segments(question);
    let harmless = matches!(
        path.as_slice(),
        ["secrets", _, "versions"]
            | ["deletedsecrets" | "deletedkeys" | "deletedcertificates", _]
            | ["keys" | "certificates", _]
            | ["keys" | "certificates", _, _]
    );
    assert!(harmless && question.method == "GET", "{question:?}");
}

/// The segments of its path, without the empty ones that the SDK sends.
fn segments(entry: &JournalEntry) -> Vec<&str> {
    let path = entry.path_and_query.split('?').next().unwrap();
    path.split('/').filter(|part| !part.is_empty()).collect()
}

fn shown(entry: &JournalEntry) -> String {
    format!("{} /{}", entry.method, segments(entry).join("/"))
}

/// By what an arrival and the decision that let it through are held together: the method, the
/// caller, and the name, where there is one.
fn of_entry(entry: &JournalEntry) -> (String, String, String) {
    let path = segments(entry);
    let name = match path.as_slice() {
        ["secrets" | "keys" | "certificates", "restore"] => "",
        [_, name, ..] => name,
        _ => "",
    };
    (
        entry.method.to_string(),
        entry
            .caller
            .map(|caller| caller.to_string())
            .unwrap_or_default(),
        name.to_ascii_lowercase(),
    )
}

fn of_decision(line: &Value) -> (String, String, String) {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    (
        text(&line["method"]),
        text(&line["caller"]["oid"]),
        text(&line["object"]).to_ascii_lowercase(),
    )
}

fn url_origin(url: &str) -> String {
    let url: reqwest::Url = url.parse().unwrap();
    url.origin().ascii_serialization()
}

/// A refusal, as an application finds it in the SDK's error.
#[derive(Debug)]
pub(crate) struct Refusal {
    pub(crate) status: StatusCode,
    pub(crate) code: String,
    pub(crate) inner: Option<String>,
    pub(crate) message: String,
    /// `x-portcullis-reason`, which only the proxy's own answers have.
    pub(crate) reason: Option<String>,
    pub(crate) decision_id: Option<String>,
    pub(crate) shown: String,
}

impl Refusal {
    #[track_caller]
    pub(crate) fn of<T>(outcome: azure_core::Result<T>) -> Self {
        let error = outcome.err().expect("an error");
        let shown = error.to_string();
        let ErrorKind::HttpResponse {
            status,
            raw_response: Some(response),
            ..
        } = error.kind()
        else {
            panic!("not an answer: {error}");
        };
        let header = |name| {
            let headers = response.headers();
            headers
                .get_optional_str(&HeaderName::from_static(name))
                .map(str::to_owned)
        };
        let (reason, decision_id) = (
            header("x-portcullis-reason"),
            header("x-portcullis-decision-id"),
        );
        let status = *status;
        let detail = ErrorResponse::try_from(error).unwrap().error.unwrap();
        Self {
            status,
            code: detail.code.unwrap(),
            inner: detail.inner_error.and_then(|inner| inner.code),
            message: detail.message.unwrap(),
            reason,
            decision_id,
            shown,
        }
    }
}

pub(crate) async fn set(client: &SecretClient, name: &str, value: &str) -> String {
    use azure_security_keyvault_secrets::ResourceExt as _;
    let parameters = SetSecretParameters {
        value: Some(value.to_owned()),
        ..SetSecretParameters::default()
    };
    let body = parameters.try_into().unwrap();
    let response = client.set_secret(name, body, None).await.unwrap();
    let id = response.into_model().unwrap().resource_id().unwrap();
    id.version.unwrap()
}

//! The world with the proxy in it, and the SDK's clients for each of its people.

use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

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
    _directory: TempDir,
}

impl Gate {
    /// A world whose proxy has a name of its own.
    pub(crate) async fn start() -> Self {
        Self::placed(Placement::OwnName).await
    }

    pub(crate) async fn placed(placement: Placement) -> Self {
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
        let world = World::start(settings).await.unwrap();
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(world.pki.client_config().unwrap())
            .redirect(reqwest::redirect::Policy::none())
            // Its port stands for the one a URL leaves out.
            .resolve(VAULT_HOST, world.address())
            .timeout(Duration::from_secs(30))
            .no_proxy()
            .build()
            .unwrap();
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
            _directory: directory,
        }
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
        let options = SecretClientOptions {
            client_options: self.options(),
            verify_challenge_resource: self.verify(),
            ..SecretClientOptions::default()
        };
        SecretClient::new(&self.url, self.credential(person), Some(options)).unwrap()
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

    /// Takes the role data away for longer than the proxy may do without.
    pub(crate) fn lose_role_data(&self) {
        fs::remove_dir_all(self.world.role_directory()).unwrap();
        // What was read before is as old as its reading; what is read from now on is not there.
        self.clock.0.fetch_add(5 * 3600, Ordering::SeqCst);
    }

    /// Stops the world, checks what must hold of every run, and gives the decision records.
    pub(crate) async fn finish(self) -> Vec<Value> {
        let (sent, journal) = (self.sent(), self.journal());
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
        assert_eq!(
            journal.len(),
            allowed.count(),
            "only what is allowed arrives"
        );
        assert_eq!(results.len(), journal.len(), "each answer has its result");
        for entry in &journal {
            assert!(entry.caller.is_some(), "came without a token: {entry:?}");
        }
        let challenged = |line: &&Value| line["decision"] == "challenge";
        assert_eq!(
            decisions.iter().filter(challenged).count(),
            sent.iter().filter(|request| !request.with_token).count(),
        );
        decisions
    }
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

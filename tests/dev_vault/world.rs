//! An issuer, a vault and a client that trusts both.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use http::{HeaderMap, StatusCode};
use portcullis::clock::{Clock, SystemClock};
use portcullis::dev::issuer::{self, IssuerHandle, IssuerSettings, VAULT_RESOURCE};
use portcullis::dev::people::{self, GroupsClaim, Person};
use portcullis::dev::pki::Pki;
use portcullis::dev::vault::{self, Behavior, Trust, VaultHandle, VaultSettings};
use serde_json::Value;

/// The host the vault calls itself by; it resolves to the machine only in the tests' client.
pub(crate) const VAULT_HOST: &str = "portcullis-dev.vault.azure.net";

/// A clock that is moved by hand.
#[derive(Debug)]
pub(crate) struct HandClock(AtomicU64);

impl HandClock {
    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_secs(), Ordering::SeqCst);
    }

    pub(crate) fn seconds(&self) -> u64 {
        self.0.load(Ordering::SeqCst)
    }
}

impl Clock for HandClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.seconds())
    }
}

pub(crate) struct World {
    pub(crate) pki: Pki,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) issuer: IssuerHandle,
    pub(crate) vault: VaultHandle,
    pub(crate) client: reqwest::Client,
}

/// An answer, read to its end.
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Reply {
    /// `error.code` and, if there is one, `error.innererror.code`.
    #[track_caller]
    pub(crate) fn error(&self) -> (&str, Option<&str>) {
        let error = &self.body["error"];
        let code = error["code"].as_str().expect("an error");
        assert!(error["message"].is_string());
        (code, error["innererror"]["code"].as_str())
    }

    #[track_caller]
    pub(crate) fn text(&self, member: &str) -> &str {
        self.body[member].as_str().expect("a text")
    }
}

pub(crate) fn tenant_issuer() -> String {
    format!("https://sts.windows.net/{}/", people::TENANT)
}

/// A client that trusts `pki` alone and finds the vault's host at `address`.
pub(crate) fn client(pki: &Pki, address: SocketAddr) -> reqwest::Client {
    reqwest::Client::builder()
        .tls_backend_preconfigured(pki.client_config().unwrap())
        .redirect(reqwest::redirect::Policy::none())
        .resolve(VAULT_HOST, address)
        .timeout(Duration::from_secs(30))
        .build()
        .unwrap()
}

impl World {
    pub(crate) async fn start() -> Self {
        Self::behaving(Behavior::default()).await
    }

    /// A world whose vault behaves like this.
    pub(crate) async fn behaving(behavior: Behavior) -> Self {
        // Certificates are checked on the machine's clock, everything else on the hand's.
        let pki = Pki::new(SystemClock.now()).unwrap();
        let clock = Arc::new(HandClock(AtomicU64::new(1_790_000_000)));
        let tls = pki.leaf(&[VAULT_HOST]).unwrap().server_config().unwrap();
        let issuer = issuer::start(IssuerSettings {
            port: 0,
            host: "localhost".into(),
            tenant: people::TENANT,
            issuer: tenant_issuer().into(),
            applications: people::applications(GroupsClaim::LeftOut),
            token_lifetime: Duration::from_secs(3600),
            tls: Arc::clone(&tls),
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
        })
        .await
        .unwrap();
        let vault = vault::start(VaultSettings {
            port: 0,
            authority: format!("{VAULT_HOST}:0").parse().unwrap(),
            location: people::LOCATION.into(),
            trust: Trust {
                keys: issuer.keys(),
                issuer: issuer.issuer().into(),
                audiences: vec![VAULT_RESOURCE.into()],
                challenge_authority: issuer.tenant_url().into(),
                challenge_resource: VAULT_RESOURCE.into(),
            },
            seeds: people::seeds(&pki).unwrap(),
            behavior,
            tls,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
        })
        .await
        .unwrap();
        let client = client(&pki, vault.address());
        Self {
            pki,
            clock,
            issuer,
            vault,
            client,
        }
    }

    pub(crate) fn token(&self, person: Person) -> String {
        let token = self.issuer.token(person.object_id).unwrap();
        token.expose().to_owned()
    }

    pub(crate) fn url(&self, path_and_query: &str) -> String {
        format!("https://{}{path_and_query}", self.vault.authority())
    }

    /// A request with a good token.
    pub(crate) fn request(&self, method: &str, path_and_query: &str) -> reqwest::RequestBuilder {
        self.client
            .request(method.parse().unwrap(), self.url(path_and_query))
            .bearer_auth(self.token(people::ADMIN))
    }

    /// Sends `method path?api-version=7.6` with a good token.
    pub(crate) async fn send(&self, method: &str, path: &str, body: Value) -> Reply {
        let mut request = self.request(method, &format!("{path}?api-version=7.6"));
        if !body.is_null() {
            request = request
                .header("content-type", "application/json")
                .body(body.to_string());
        }
        read(request).await
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, Value::Null).await
    }

    /// The ids of a list, page by page to its end, and the sizes of the pages.
    pub(crate) async fn list(&self, path_and_query: &str, id: &str) -> (Vec<String>, Vec<usize>) {
        let mut url = self.url(path_and_query);
        let (mut ids, mut sizes) = (Vec::new(), Vec::new());
        loop {
            let request = self.client.get(&url);
            let page = read(request.bearer_auth(self.token(people::ADMIN))).await;
            assert_eq!(page.status, StatusCode::OK, "{url}");
            let items = page.body["value"].as_array().unwrap();
            assert!(items.iter().all(|item| item.get("value").is_none()));
            ids.extend(
                items
                    .iter()
                    .map(|item| item[id].as_str().unwrap().to_owned()),
            );
            sizes.push(items.len());
            match page.body["nextLink"].as_str() {
                Some(next) => next.clone_into(&mut url),
                None => return (ids, sizes),
            }
        }
    }
}

pub(crate) async fn read(request: reqwest::RequestBuilder) -> Reply {
    let response = request.send().await.unwrap();
    let status = response.status();
    let headers = response.headers().clone();
    let bytes = response.bytes().await.unwrap();
    let body = match bytes.as_ref() {
        [] => Value::Null,
        bytes => serde_json::from_slice(bytes).unwrap(),
    };
    Reply {
        status,
        headers,
        body,
    }
}

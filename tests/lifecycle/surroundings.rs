//! What a proxy stands between: an issuer, a vault, certificates and role data; and a configuration
//! for them, as the text of a file.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use portcullis::app::App;
use portcullis::clock::{Clock, SystemClock};
use portcullis::config::{AuditSink, Config, Files};
use portcullis::dev::issuer::{self, IssuerHandle, IssuerSettings, VAULT_RESOURCE};
use portcullis::dev::people::{self, GroupsClaim, Person};
use portcullis::dev::pki::Pki;
use portcullis::dev::vault::{self, Trust, VaultHandle, VaultSettings};
use portcullis::principal::TenantId;
use rustls::ClientConfig;
use tempfile::TempDir;

use crate::ask::{Administration, Answer, SECRET, send, soon};

/// A clock that starts at the machine's time and is moved by hand.
#[derive(Debug)]
pub(crate) struct HandClock(AtomicU64);

impl HandClock {
    fn new() -> Self {
        let now = SystemClock.now().duration_since(SystemTime::UNIX_EPOCH);
        Self(AtomicU64::new(now.unwrap().as_secs()))
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_secs(), Ordering::SeqCst);
    }
}

impl Clock for HandClock {
    fn now(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(self.0.load(Ordering::SeqCst))
    }
}

/// The name of the vault's issuer in the configuration.
pub(crate) const ISSUER: &str = "contoso";

/// Everything around a proxy.
pub(crate) struct Surroundings {
    pub(crate) directory: TempDir,
    pub(crate) clock: Arc<HandClock>,
    pub(crate) pki: Pki,
    pub(crate) issuer: IssuerHandle,
    pub(crate) vault: VaultHandle,
}

pub(crate) async fn start_issuer(
    pki: &Pki,
    clock: &Arc<HandClock>,
    tenant: TenantId,
) -> IssuerHandle {
    let settings = IssuerSettings {
        port: 0,
        host: "localhost".into(),
        tenant,
        issuer: format!("https://sts.windows.net/{tenant}/").into(),
        applications: people::applications(GroupsClaim::LeftOut),
        token_lifetime: Duration::from_secs(3600),
        tls: pki.leaf(&[]).unwrap().server_config().unwrap(),
        clock: Arc::clone(clock) as Arc<dyn Clock>,
    };
    issuer::start(settings).await.unwrap()
}

/// A vault that calls itself by `host` and trusts `issuer`.
pub(crate) async fn start_vault(
    pki: &Pki,
    clock: &Arc<HandClock>,
    host: &str,
    issuer: &IssuerHandle,
) -> VaultHandle {
    let settings = VaultSettings {
        port: 0,
        authority: format!("{host}:0").parse().unwrap(),
        location: people::LOCATION.into(),
        trust: Trust {
            keys: issuer.keys(),
            issuer: issuer.issuer().into(),
            audiences: vec![VAULT_RESOURCE.into()],
            challenge_authority: issuer.tenant_url().into(),
            challenge_resource: VAULT_RESOURCE.into(),
        },
        seeds: people::seeds(pki).unwrap(),
        behavior: vault::Behavior::default(),
        tls: pki.leaf(&[host]).unwrap().server_config().unwrap(),
        clock: Arc::clone(clock) as Arc<dyn Clock>,
    };
    vault::start(settings).await.unwrap()
}

impl Surroundings {
    pub(crate) async fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let clock = Arc::new(HandClock::new());
        let pki = Pki::new(clock.now()).unwrap();
        let issuer = start_issuer(&pki, &clock, people::TENANT).await;
        let vault = start_vault(&pki, &clock, "localhost", &issuer).await;
        let at = directory.path();
        pki.write_ca(&at.join("ca.pem")).unwrap();
        let names = ["a.vault.example", "b.vault.example"];
        pki.leaf(&names).unwrap().write(at, "proxy").unwrap();
        fs::create_dir(at.join("roles")).unwrap();
        people::write_role_data(&at.join("roles"), clock.now()).unwrap();
        Self {
            directory,
            clock,
            pki,
            issuer,
            vault,
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn roles(&self) -> PathBuf {
        self.path("roles")
    }

    /// A configuration with one listener `main`; `more` is appended, and may begin tables.
    pub(crate) fn toml(&self, more: &str) -> String {
        self.toml_of(&listener("main"), &self.issuer_toml(), more)
    }

    /// [`Self::toml`] with other listeners and issuers.
    pub(crate) fn toml_of(&self, listeners: &str, issuers: &str, more: &str) -> String {
        let vault = vault_toml(people::RESOURCE_ID, &self.vault, "localhost", ISSUER);
        self.toml_with(listeners, &vault, issuers, more)
    }

    /// [`Self::toml_of`] with other vaults.
    pub(crate) fn toml_with(
        &self,
        listeners: &str,
        vaults: &str,
        issuers: &str,
        more: &str,
    ) -> String {
        format!(
            "{listeners}\n[admin]\naddress = \"127.0.0.1:0\"\n\n{vaults}\n{issuers}\n\
             [assignments]\npaths = [\"roles\"]\nmax_staleness_seconds = 3600\n\n{more}\n"
        )
    }

    /// The issuer's table, with keys found by discovery.
    pub(crate) fn issuer_toml(&self) -> String {
        let discovery = self.issuer.discovery_url();
        let keys = format!("discovery_url = \"{discovery}\"\nca_file = \"ca.pem\"");
        issuer_toml(ISSUER, &self.issuer, &keys)
    }

    /// Writes a configuration where relative paths in it mean what they should.
    pub(crate) fn write(&self, toml: &str) -> PathBuf {
        let path = self.path("portcullis.toml");
        fs::write(&path, toml).unwrap();
        path
    }

    /// Reads a configuration as if it had been written. Records go to a file.
    pub(crate) fn config(&self, toml: &str) -> Config {
        let path = self.path("portcullis.toml");
        let mut config = Config::parse(toml, &path, [], Files::NotChecked).unwrap();
        // What is not notified is soon seen all the same.
        config.assignments.poll_interval = Duration::from_millis(100);
        config.audit = AuditSink::File {
            path: self.path("decisions.jsonl"),
            max_bytes: 1 << 30,
            keep: 1,
        };
        config
    }

    /// A proxy in this process, whose clock is [`Self::clock`].
    pub(crate) async fn begin(&self, config: Config) -> Gate {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let app = App::start(config, clock).await.unwrap();
        Gate {
            administration: Administration(app.admin_address()),
            client: client(&self.pki, app.address("main").unwrap()),
            app,
        }
    }

    /// [`Self::begin`] with the plain configuration, ready.
    pub(crate) async fn ready(&self) -> Gate {
        let gate = self.begin(self.config(&self.toml(""))).await;
        soon(gate.app.ready()).await;
        gate
    }

    pub(crate) fn token(&self, person: Person) -> String {
        let token = self.issuer.token(person.object_id).unwrap();
        token.expose().to_owned()
    }
}

/// A proxy in this process.
pub(crate) struct Gate {
    pub(crate) app: App,
    pub(crate) administration: Administration,
    pub(crate) client: Client,
}

/// A client of one listener.
#[derive(Clone, Debug)]
pub(crate) struct Client {
    http: reqwest::Client,
    port: u16,
}

/// A client that trusts `pki` alone and finds every host used here at `address`.
pub(crate) fn client(pki: &Pki, address: SocketAddr) -> Client {
    client_with(pki.client_config().unwrap(), address)
}

/// A client whose requests each have a connection of their own.
pub(crate) fn client_with(tls: ClientConfig, address: SocketAddr) -> Client {
    let mut builder = reqwest::Client::builder()
        .tls_backend_preconfigured(tls)
        .redirect(reqwest::redirect::Policy::none())
        .no_proxy()
        .pool_max_idle_per_host(0);
    for host in ["localhost", "a.vault.example", "b.vault.example"] {
        builder = builder.resolve(host, address);
    }
    Client {
        http: builder.build().unwrap(),
        port: address.port(),
    }
}

impl Client {
    /// A GET of `path` at `host`.
    pub(crate) fn get_at(&self, host: &str, path: &str, token: &str) -> reqwest::RequestBuilder {
        let url = format!("https://{host}:{}{path}", self.port);
        self.http.get(url).bearer_auth(token)
    }

    /// A GET of the seeded secret.
    pub(crate) async fn secret(&self, token: &str) -> Answer {
        soon(self.try_secret(token)).await.unwrap()
    }

    pub(crate) async fn try_secret(&self, token: &str) -> reqwest::Result<Answer> {
        send(self.get_at("localhost", SECRET, token)).await
    }
}

/// A listener on a port of the system's choice.
pub(crate) fn listener(name: &str) -> String {
    format!(
        "[[listener]]\nname = \"{name}\"\naddress = \"127.0.0.1:0\"\n\
         certificate_file = \"proxy.crt\"\nprivate_key_file = \"proxy.key\"\n"
    )
}

/// A vault's table; clients call it by `public`, on whatever port the listener has.
pub(crate) fn vault_toml(
    resource_id: &str,
    vault: &VaultHandle,
    public: &str,
    issuer: &str,
) -> String {
    let name = resource_id.rsplit('/').next().unwrap();
    format!(
        "[[vault]]\nname = \"{name}\"\nresource_id = \"{resource_id}\"\n\
         authority = \"{}\"\nconnect_address = \"{}\"\nca_file = \"ca.pem\"\n\
         public_names = [\"{public}:0\"]\nissuer = \"{issuer}\"\n",
        vault.authority(),
        vault.address(),
    )
}

/// An issuer's table; `keys` says where its keys are.
pub(crate) fn issuer_toml(name: &str, issuer: &IssuerHandle, keys: &str) -> String {
    let url = issuer.tenant_url();
    let tenant = url.rsplit('/').next().unwrap();
    format!(
        "[[issuer]]\nname = \"{name}\"\ntenant_id = \"{tenant}\"\nissuers = [\"{}\"]\n\
         audiences = [\"{VAULT_RESOURCE}\"]\nchallenge_authority = \"{}\"\n\
         challenge_resource = \"{VAULT_RESOURCE}\"\n{keys}\n",
        issuer.issuer(),
        issuer.tenant_url(),
    )
}

/// Puts a file with these contents in place, in one step.
pub(crate) fn replace(path: &Path, contents: &str) {
    let new = path.with_extension("new");
    fs::write(&new, contents).unwrap();
    fs::rename(new, path).unwrap();
}

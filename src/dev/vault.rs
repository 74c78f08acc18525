//! The embedded vault: secrets, keys and certificates that really behave, in memory, over TLS.
//!
//! It authenticates every request as Key Vault does, with the challenge SDKs start from, and then
//! decides no roles: whoever has a good token may do everything. That is the point: what a test
//! sees refused was refused by the proxy.
//!
//! * Secrets: set, get, update, list, versions, delete, recover, purge, backup, restore.
//! * Keys: the same with create and import; encrypt, decrypt, sign, verify, wrap and unwrap with
//!   real RSA and elliptic curves; rotation, by hand and when a policy's time has come by the
//!   clock; and release up to the attestation, which nothing here can give. Keys "in hardware" are
//!   called so and are not.
//! * Certificates: the same with create, import and merge; pending operations, policies, issuers and
//!   contacts; the key and the secret each brings; and renewal by the clock. They sign themselves,
//!   or are signed elsewhere: what an issuer is to sign stays in progress, for there is no CA here.
//! * What only a managed HSM has is refused; everything else is 501 in Key Vault's error shape.
//!
//! [`Behavior`] says how long deleting takes, what may be purged, and how much is done in ten
//! seconds, and [`CertificatePace`] how long a certificate is in the making. The
//! [journal](JournalEntry) says what arrived, and a [`Script`] makes the vault have a bad day.
//!
//! Source: <https://learn.microsoft.com/rest/api/keyvault/>.

mod authn;
mod backup;
mod behavior;
mod body;
mod certificates;
mod crypto;
mod failure;
mod front;
mod journal;
mod keys;
mod limits;
mod objects;
mod paging;
mod route;
mod script;
mod secrets;
mod shelf;
mod store;

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::json;

use crate::clock::Clock;
use crate::keyvault::Authority;

use super::server::{Bound, Running};
use super::{StartError, unix_seconds};
pub use authn::Trust;
pub use behavior::{Behavior, RetentionDays, RetentionError, SoftDelete};
pub use certificates::CertificatePace;
use front::Front;
pub use journal::JournalEntry;
pub use limits::{KeyLimits, ServiceLimits};
pub use script::{Release, Script};
use store::Store;

/// What a vault is started with.
#[derive(Clone, Debug)]
pub struct VaultSettings {
    /// The port of 127.0.0.1; 0 lets the system choose.
    pub port: u16,
    /// What the vault calls itself in ids and links. Port 0 stands for the port it listens on.
    /// A request for another host is 421.
    pub authority: Authority,
    /// The Azure region it pretends to be in.
    pub location: Box<str>,
    /// Whose tokens it takes.
    pub trust: Trust,
    /// What it holds from the start.
    pub seeds: Vec<Seed>,
    /// How it keeps and limits what it does.
    pub behavior: Behavior,
    /// The server's certificate.
    pub tls: Arc<rustls::ServerConfig>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

/// An object the vault holds from the start.
#[derive(Clone)]
pub enum Seed {
    /// An RSA key of 2048 bits.
    RsaKey {
        /// Its name.
        name: Box<str>,
    },
    /// A secret.
    Secret {
        /// Its name.
        name: Box<str>,
        /// Its value.
        value: Box<str>,
        /// Its content type.
        content_type: Box<str>,
    },
}

impl fmt::Debug for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seed({})", self.name())
    }
}

impl Seed {
    /// Its name.
    pub fn name(&self) -> &str {
        match self {
            Self::RsaKey { name } | Self::Secret { name, .. } => name,
        }
    }

    async fn sow(&self, store: &Store, now: i64) -> Result<(), StartError> {
        let sown = match self {
            Self::RsaKey { name } => {
                let body = json!({ "kty": "RSA" }).to_string();
                store.create_key(name, body.as_bytes(), now).await
            }
            Self::Secret {
                name,
                value,
                content_type,
            } => {
                let body = json!({ "value": value, "contentType": content_type }).to_string();
                store.set_secret(name, body.as_bytes(), now)
            }
        };
        sown.map(drop)
            .map_err(|_| StartError::Seed(self.name().into()))
    }
}

/// Starts the vault.
///
/// # Errors
/// [`StartError`] if the port is taken, a setting cannot be used, or the system gives no keys.
pub async fn start(settings: VaultSettings) -> Result<VaultHandle, StartError> {
    let bound = Bound::bind(settings.port).await?;
    let port = bound.address().port();
    let authority = match settings.authority.port() {
        0 => settings.authority.with_port(port),
        _ => settings.authority.clone(),
    };
    let soft_delete = settings.behavior.soft_delete;
    let store = Store::new(authority, &settings.location, soft_delete)?;
    let now = unix_seconds(settings.clock.now());
    for seed in &settings.seeds {
        seed.sow(&store, now).await?;
    }
    let tls = Arc::clone(&settings.tls);
    let front = Arc::new(Front::new(settings, store, port)?);
    let running = bound.serve(tls, Arc::clone(&front));
    Ok(VaultHandle { front, running })
}

/// A running vault. Dropping it ends it at once.
#[derive(Debug)]
pub struct VaultHandle {
    front: Arc<Front>,
    running: Running,
}

impl VaultHandle {
    /// The journal, the scripts and the time, for a server that has them in its turn.
    pub(super) fn backstage(&self) -> Backstage {
        Backstage(Arc::clone(&self.front))
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.running.address()
    }

    /// What it calls itself.
    pub fn authority(&self) -> &Authority {
        self.front.authority()
    }

    /// The requests that reached it, oldest first, refused ones included; the latest 4096.
    pub fn journal(&self) -> Vec<JournalEntry> {
        self.front.journal.entries()
    }

    /// The requests from number `first` on, counted from 0, oldest first, and the number of the
    /// next to come. Those before the latest 4096 are not among them.
    pub fn journal_since(&self, first: u64) -> (Vec<JournalEntry>, u64) {
        self.front.journal.since(first)
    }

    /// How many requests have reached it.
    pub fn journal_len(&self) -> u64 {
        self.front.journal.len()
    }

    /// Waits until `count` requests have reached it, whether answered or not.
    pub async fn reached(&self, count: u64) {
        self.front.journal.reached(count).await;
    }

    /// Has the next authenticated request for `path` answered by `script`. Slashes at the ends of
    /// the path do not matter, nor does the query. Scripts for one path are used up in order.
    pub fn next_response(&self, path: &str, script: Script) {
        self.front.scripts.queue(path, script);
    }

    /// Throttles what comes from now on by these limits, or not at all.
    pub fn limit(&self, limits: Option<ServiceLimits>) {
        self.front.meter.limit(limits);
    }

    /// How long certificates that are begun from now on take.
    pub fn pace_certificates(&self, pace: CertificatePace) {
        self.front.store.desk.set_pace(pace);
    }

    /// Stops: answers in flight may finish, for a few seconds.
    pub async fn stop(self) {
        self.running.stop().await;
    }
}

/// A vault's journal, scripts and time.
#[derive(Clone, Debug)]
pub(super) struct Backstage(Arc<Front>);

impl Backstage {
    /// The requests from number `first` on, oldest first, and the number of the next to come.
    pub(super) fn journal(&self, first: u64) -> (Vec<JournalEntry>, u64) {
        self.0.journal.since(first)
    }

    /// As [`VaultHandle::next_response`].
    pub(super) fn next_response(&self, path: &str, script: Script) {
        self.0.scripts.queue(path, script);
    }

    /// Makes all objects as much older, in seconds. Tokens are still judged by the clock. Gives the
    /// seconds that they are ahead of it in all, or nothing, and none is moved, if these were more than ten years.
    pub(super) fn forward(&self, seconds: u32) -> Option<i64> {
        self.0.forward(seconds)
    }
}

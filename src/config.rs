//! The settings as meant.
//!
//! [`Config`] holds only checked values: durations, addresses, scopes. It is made from a TOML file
//! by [`Config::load`], which reports every problem at once, or built in code by
//! `portcullis dev` and by tests. Nothing that grants has a default. `Debug` of a `Config` is safe
//! to print: a secret is always the path of a file, never a value.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Zone;
use crate::keyvault::{ApiVersion, Authority, VaultName};
use crate::principal::TenantId;
use crate::rbac::{ManagementGroup, Scope};

mod check;
mod client_name;
mod conform;
mod document;
mod environment;
mod form;
mod limits;
mod listener;
mod network;
mod problem;
mod process;
mod raw;
mod schema;
mod shape;

pub use client_name::ClientName;
pub(crate) use client_name::{claims_spiffe, is_spiffe_id};
pub(crate) use form::levels;
pub use limits::Limits;
pub use listener::{
    Address, CertificateSource, ClientCertificates, Listener, TrustedPeers, UnixSocket,
};
pub use network::{AddressRange, Network, Subnet};
pub use problem::{ConfigErrors, Place, Problem};
pub use process::{Process, Sandbox};
pub use schema::schema;

/// Whether the files that a configuration names are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Files {
    /// Each must be there and readable.
    MustExist,
    /// Nothing is looked at, for a configuration meant for another machine.
    NotChecked,
}

/// Everything the proxy is told.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where clients connect; at least one.
    pub listeners: Vec<Listener>,
    /// The administration listener.
    pub admin: Admin,
    /// The vaults behind the gate; at least one, no two with a public name in common.
    pub vaults: Vec<Vault>,
    /// Who may issue tokens; at least one.
    pub issuers: Vec<Issuer>,
    /// Where role data lies.
    pub assignments: AssignmentFiles,
    /// Where decision records go.
    pub audit: AuditSink,
    /// How the proxy logs.
    pub log: Log,
    /// Time, size and count limits.
    pub limits: Limits,
    /// How the metadata of objects is asked for.
    pub metadata: MetadataQuestions,
    /// Query parameters that pass besides the ones Key Vault documents.
    pub extra_query_parameters: Vec<Box<str>>,
    /// Address ranges that conditions may ask about.
    pub network: Network,
    /// Where this proxy runs.
    pub deployment: Deployment,
    /// What the process gives up.
    pub process: Process,
}

impl Config {
    /// Reads the TOML file at `path` and applies the overrides in `environment`.
    ///
    /// Only variables that begin with `PORTCULLIS_` matter, and of those each must name a setting:
    /// `PORTCULLIS_LIMITS__MAX_BODY_BYTES`, `PORTCULLIS_VAULT__KV_PAYMENTS__CONNECT_ADDRESS`. The
    /// caller takes out the ones it reads itself. Relative paths in the file are relative to its
    /// directory; the result has them resolved.
    ///
    /// # Errors
    /// Everything that is wrong, each with its line and key.
    pub fn load(
        path: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, ConfigErrors> {
        Self::load_with(path, environment, Files::MustExist)
    }

    /// [`Self::load`] with a choice whether the files it names are looked at.
    ///
    /// # Errors
    /// As for [`Self::load`].
    pub fn load_with(
        path: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
        files: Files,
    ) -> Result<Self, ConfigErrors> {
        match std::fs::read_to_string(path) {
            Ok(text) => Self::parse(&text, path, environment, files),
            Err(error) => Err(ConfigErrors::new(path, vec![Problem::unreadable(&error)])),
        }
    }

    /// [`Self::load`] of a text that was read from `path`, or stands for what is to be there.
    ///
    /// # Errors
    /// As for [`Self::load`].
    pub fn parse(
        text: &str,
        path: &Path,
        environment: impl IntoIterator<Item = (String, String)>,
        files: Files,
    ) -> Result<Self, ConfigErrors> {
        let mut document = document::Document::parse(text)
            .map_err(|problems| ConfigErrors::new(path, problems))?;
        let mut problems = environment::apply(&mut document, environment);
        let (raw, misshapen) = shape::read(&mut document);
        let directory = path.parent().unwrap_or(Path::new(""));
        let (config, wrong) = check::read(raw, &document, directory, files);
        problems.extend(misshapen);
        problems.extend(wrong);
        config
            .filter(|_| problems.is_empty())
            .ok_or_else(|| ConfigErrors::new(path, problems))
    }

    /// Every name that clients may call a vault by, the vaults' own names among them.
    pub fn authorities(&self) -> impl Iterator<Item = &Authority> {
        self.vaults
            .iter()
            .flat_map(|vault| std::iter::once(&vault.authority).chain(&vault.public_names))
    }
}

/// Where this proxy runs.
#[derive(Clone, Debug, Default)]
pub struct Deployment {
    /// The environment, such as `prod`.
    pub environment: Option<Box<str>>,
    /// The Azure region.
    pub region: Option<Box<str>>,
    /// In which zone days and hours are told.
    pub zone: Zone,
}

/// The administration listener: plain HTTP with `/livez`, `/readyz` and `/metrics`.
#[derive(Clone, Debug)]
pub struct Admin {
    /// The address to bind; loopback unless configured otherwise.
    pub address: SocketAddr,
}

/// One vault behind the gate.
#[derive(Clone, Debug)]
pub struct Vault {
    /// The vault's name as Azure shows it, also its label in metrics.
    pub name: VaultName,
    /// Its resource id: `/subscriptions/…/providers/Microsoft.KeyVault/vaults/…`.
    pub resource_id: Scope,
    /// Its Azure region, for the text of a 403.
    pub location: Option<Box<str>>,
    /// The authority the vault calls itself by, such as `kv.vault.azure.net`: upstream `Host`, SNI
    /// and the authority of links in its answers.
    pub authority: Authority,
    /// Where to connect instead of resolving `authority`.
    pub connect: Connect,
    /// PEM file of the CAs that may vouch for the vault; the system's roots if absent.
    pub ca_file: Option<PathBuf>,
    /// The names clients use, in the order of preference, besides `authority` itself. Port 0
    /// stands for the port of the listener the client came to.
    pub public_names: Vec<Authority>,
    /// The management groups above the vault's subscription, if they are known. Their order does
    /// not matter.
    pub management_groups: Option<Vec<ManagementGroup>>,
    /// The name of the issuer whose tokens this vault takes.
    pub issuer: Arc<str>,
    /// Whether object ids in answers are rewritten for clients that came by another name.
    /// `nextLink` and `Location` always are.
    pub rewrite_ids: bool,
    /// What conditions may ask about the vault itself.
    pub properties: VaultProperties,
}

/// What Azure shows of a vault, as far as it is configured.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct VaultProperties {
    /// `standard` or `premium`.
    pub sku: Option<Box<str>>,
    /// `Enabled` or `Disabled`.
    pub public_network_access: Option<Box<str>>,
    /// Whether purge protection is on.
    pub enable_purge_protection: Option<bool>,
    /// Whether soft delete is on.
    pub enable_soft_delete: Option<bool>,
    /// The tags of the vault, not of what it holds; no two names differ by case alone.
    pub tags: BTreeMap<Box<str>, Box<str>>,
}

/// How the vault's address is found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connect {
    /// Connect to this address.
    Address(SocketAddr),
    /// Ask these DNS servers, or those of `/etc/resolv.conf` if there are none here; never the
    /// hosts file: in a sidecar it points the vault's name back at the proxy.
    Dns(Arc<[SocketAddr]>),
}

/// One trusted issuer of tokens: one Entra tenant.
#[derive(Clone, Debug)]
pub struct Issuer {
    /// The name used in `Vault::issuer`, logs and metrics.
    pub name: Arc<str>,
    /// The one tenant (`tid`) it speaks for.
    pub tenant_id: TenantId,
    /// The accepted `iss` texts, compared exactly.
    pub issuers: Vec<Box<str>>,
    /// The accepted `aud` texts, compared exactly.
    pub audiences: Vec<Box<str>>,
    /// The `authorization` of the challenge: `https://login.microsoftonline.com/{tenant}`.
    pub challenge_authority: Box<str>,
    /// The `resource` of the challenge: `https://vault.azure.net`.
    pub challenge_resource: Box<str>,
    /// Where its signing keys come from.
    pub keys: KeySource,
    /// PEM file of the CAs that may vouch for the key server; the system's roots if absent.
    pub ca_file: Option<PathBuf>,
    /// Tolerated difference between clocks, at most five minutes.
    pub clock_skew: Duration,
    /// How often keys are fetched again, before jitter.
    pub refresh_interval: Duration,
    /// The shortest time between two fetches caused by an unknown `kid`.
    pub unknown_kid_cooldown: Duration,
    /// How old the keys may be before tokens are refused with 503.
    pub max_staleness: Duration,
}

/// Where signing keys come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeySource {
    /// An OIDC discovery document; its `issuer` must be one of `Issuer::issuers`, its `jwks_uri`
    /// must be https on the same host.
    Discovery(Box<str>),
    /// A JWKS document on the network.
    JwksUrl(Box<str>),
    /// A JWKS file, read again when it changes.
    JwksFile(PathBuf),
}

/// Where role data lies.
#[derive(Clone, Debug)]
pub struct AssignmentFiles {
    /// Files, or directories whose `*.json` files are read.
    pub paths: Vec<PathBuf>,
    /// Overlay files: local role assignments, conditions and custom security attributes.
    pub overlay_files: Vec<PathBuf>,
    /// How often files are looked at when no change is notified.
    pub poll_interval: Duration,
    /// How old the last successful load may be before requests are answered 503.
    pub max_staleness: Duration,
}

/// Where decision records go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AuditSink {
    /// One JSON line each on standard output.
    Stdout,
    /// One JSON line each in a file, rotated by size.
    File {
        /// The file being written.
        path: PathBuf,
        /// Size at which the file is rotated.
        max_bytes: u64,
        /// How many rotated files are kept.
        keep: u32,
    },
}

/// How the proxy logs, on standard error.
#[derive(Clone, Debug)]
pub struct Log {
    /// The form of a line.
    pub format: LogFormat,
    /// A `tracing` filter such as `info` or `portcullis=debug`.
    pub filter: Box<str>,
}

/// The form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For eyes.
    Human,
    /// One JSON object a line.
    Json,
}

/// How the metadata of objects is asked for when a condition depends on it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MetadataQuestions {
    /// The api-version of the questions.
    ///
    /// SECURITY: not the caller's. Older ones leave properties out, and a property that is left out
    /// must not pass for one that the object lacks.
    pub api_version: ApiVersion,
    /// How long the answers to one request's questions may take in all.
    pub timeout: Duration,
    /// How long an answer is remembered; zero remembers none.
    pub remembered_for: Duration,
    /// How many answers are remembered.
    pub max_remembered: u64,
}

impl Default for MetadataQuestions {
    /// The defaults of `config/portcullis.example.toml`, where each has its reason.
    fn default() -> Self {
        Self {
            api_version: ApiVersion::latest(),
            timeout: Duration::from_secs(2),
            remembered_for: Duration::from_secs(5),
            max_remembered: 10_000,
        }
    }
}

//! The settings as written: the keys of the TOML file, one struct a table.
//!
//! The doc comments are the descriptions of the JSON Schema, the attributes its constraints. Also a
//! required key is an `Option` or may be empty: that it is there is the schema's business
//! (`schema.rs`), so that one missing key does not hide what is wrong with the others. Every
//! number carries its unit in its key; a bare count is named for what is counted.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::MetadataQuestions;

mod limits;
mod listener;
mod process;
mod surroundings;

pub(super) use limits::RawLimits;
pub(super) use listener::{RawClientCertificates, RawListener};
pub(super) use process::RawProcess;
pub(super) use surroundings::{
    RawDeployment, RawNetwork, RawPublicNetworkAccess, RawRange, RawSku, RawSubnet,
    RawVaultProperties,
};

/// A year; much longer waits overflow the arithmetic of clocks.
const MAX_SECONDS: u64 = 365 * 24 * 3600;
/// Plain HTTP, so loopback; the port is free in Prometheus' list of exporters.
const ADMIN_ADDRESS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 9464);
/// Clocks that are kept at all differ by less.
const CLOCK_SKEW_SECONDS: u64 = 60;
/// Entra announces a key long before it signs with it; an hour is early enough.
const REFRESH_INTERVAL_SECONDS: u64 = 3600;
/// Bounds what a caller who makes up key ids can cause to be fetched.
const UNKNOWN_KID_COOLDOWN_SECONDS: u64 = 300;
/// Outlasts an outage of the issuer; a withdrawn key is trusted no longer than this.
const KEYS_MAX_STALENESS_SECONDS: u64 = 24 * 3600;
/// Changes are usually notified; this is for file systems that notify nobody.
const POLL_INTERVAL_SECONDS: u64 = 30;
/// About a hundred thousand records.
const AUDIT_MAX_BYTES: u64 = 100 * 1024 * 1024;
/// A gigabyte together with the default size.
const AUDIT_KEEP: u32 = 10;
/// The life cycle, and what a human must act on.
const LOG_FILTER: &str = "info";

/// The configuration of Portcullis.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
#[schemars(title = "Portcullis")]
pub(super) struct RawConfig {
    /// The addresses on which clients are served over TLS.
    #[schemars(required, length(min = 1))]
    pub(super) listener: Vec<RawListener>,
    /// The administration listener: plain HTTP with `/livez`, `/readyz` and `/metrics`.
    pub(super) admin: RawAdmin,
    /// The vaults behind the gate.
    #[schemars(required, length(min = 1))]
    pub(super) vault: Vec<RawVault>,
    /// The trusted issuers of tokens, one Entra tenant each.
    #[schemars(required, length(min = 1))]
    pub(super) issuer: Vec<RawIssuer>,
    /// The DNS servers that vaults are looked up at.
    pub(super) dns: RawDns,
    /// Where role assignments, role definitions, deny assignments and groups are read.
    #[schemars(required)]
    pub(super) assignments: RawAssignments,
    /// Where decision records go, one JSON line each.
    pub(super) audit: RawAudit,
    /// How the proxy logs, on standard error.
    pub(super) log: RawLog,
    /// Limits of time, size and count.
    pub(super) limits: RawLimits,
    /// How the metadata of objects is asked for when a condition depends on it.
    pub(super) metadata: RawMetadata,
    /// What requests may carry.
    pub(super) requests: RawRequests,
    /// Address ranges that conditions may ask about.
    pub(super) network: RawNetwork,
    /// Where this proxy runs, as conditions may ask.
    pub(super) deployment: RawDeployment,
    /// What the process gives up once it has read its configuration.
    pub(super) process: RawProcess,
}

/// The administration listener.
#[derive(Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawAdmin {
    /// The IP address and port to bind. Whoever can connect can read the metrics.
    #[schemars(example = "127.0.0.1:9464")]
    pub(super) address: String,
}

/// One vault behind the gate.
#[derive(Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawVault {
    /// The vault's name as Azure shows it: the last segment of `resource_id`.
    #[schemars(required, example = "kv-payments-prod")]
    pub(super) name: Option<String>,
    /// The vault's Azure resource id.
    #[schemars(
        required,
        example = "/subscriptions/{id}/resourceGroups/{name}/providers/Microsoft.KeyVault/vaults/{name}"
    )]
    pub(super) resource_id: Option<String>,
    /// The vault's Azure region, for the text of a 403.
    #[schemars(length(min = 1), example = &"westeurope")]
    pub(super) location: Option<String>,
    /// The host the vault calls itself by: sent as `Host` and in the TLS handshake, and accepted
    /// from clients.
    #[schemars(required, example = "kv-payments-prod.vault.azure.net")]
    pub(super) authority: Option<String>,
    /// The IP address and port to connect to. Without it the DNS servers are asked for
    /// `authority`; the hosts file never is.
    #[schemars(example = "10.20.0.4:443")]
    pub(super) connect_address: Option<String>,
    /// PEM file with the CAs that may vouch for the vault, instead of the system's.
    #[schemars(length(min = 1), example = "tls/vault-ca.pem")]
    pub(super) ca_file: Option<PathBuf>,
    /// Other hosts that clients reach this vault by, the preferred one first; port 0 is the port of
    /// the listener the client came to.
    #[schemars(example = ["payments.vault.contoso.example:0"])]
    pub(super) public_names: Vec<String>,
    /// Names of the management groups above the vault's subscription, in any order. If they are not
    /// known, no assignment at a management group applies.
    #[schemars(example = ["contoso", "contoso-production"])]
    pub(super) management_groups: Option<Vec<String>>,
    /// The `name` of the issuer whose tokens this vault takes.
    #[schemars(required, example = &"contoso")]
    pub(super) issuer: Option<String>,
    /// Whether object ids in answers name the host the client used instead of `authority`.
    pub(super) rewrite_ids: bool,
    /// What conditions may ask about the vault itself, as Azure shows it.
    pub(super) properties: RawVaultProperties,
}

/// The DNS servers that vaults are looked up at.
#[derive(Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawDns {
    /// The IP addresses and ports of the servers; those of `/etc/resolv.conf` if absent.
    #[schemars(example = ["10.0.0.10:53"])]
    pub(super) servers: Vec<String>,
}

/// One trusted issuer of tokens: one Entra tenant.
#[derive(Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawIssuer {
    /// The issuer's name in `vault.issuer`, logs and metrics.
    #[schemars(required, example = &"contoso")]
    pub(super) name: Option<String>,
    /// The tenant this issuer speaks for: the only accepted `tid`.
    #[schemars(required, example = "5d1c0a7e-3b52-4f6e-8a94-c7e2f01b6d38")]
    pub(super) tenant_id: Option<String>,
    /// The accepted `iss` texts, compared exactly.
    #[schemars(required, length(min = 1), inner(length(min = 1)))]
    #[schemars(example = ["https://sts.windows.net/{tenant}/", "https://login.microsoftonline.com/{tenant}/v2.0"])]
    pub(super) issuers: Vec<String>,
    /// The accepted `aud` texts, compared exactly.
    #[schemars(required, length(min = 1), inner(length(min = 1)))]
    #[schemars(example = ["https://vault.azure.net", "cfa8b339-82a2-471a-a3c9-0fc0be7a4093"])]
    pub(super) audiences: Vec<String>,
    /// Where clients are sent for a token: the `authorization` of the challenge.
    #[schemars(required, example = "https://login.microsoftonline.com/{tenant}")]
    pub(super) challenge_authority: Option<String>,
    /// What clients ask a token for: the `resource` of the challenge.
    #[schemars(required, example = "https://vault.azure.net")]
    pub(super) challenge_resource: Option<String>,
    /// The OpenID discovery document that leads to the signing keys.
    #[schemars(
        example = "https://login.microsoftonline.com/{tenant}/v2.0/.well-known/openid-configuration"
    )]
    pub(super) discovery_url: Option<String>,
    /// The JWKS document with the signing keys.
    #[schemars(example = "https://login.microsoftonline.com/{tenant}/discovery/v2.0/keys")]
    pub(super) jwks_url: Option<String>,
    /// A file with the JWKS document, read again when it changes.
    #[schemars(length(min = 1), example = "issuer/jwks.json")]
    pub(super) jwks_file: Option<PathBuf>,
    /// PEM file with the CAs that may vouch for the key server, instead of the system's.
    #[schemars(length(min = 1), example = "tls/issuer-ca.pem")]
    pub(super) ca_file: Option<PathBuf>,
    /// Tolerated difference between the issuer's clock and ours.
    #[schemars(range(min = 0, max = 300))]
    pub(super) clock_skew_seconds: u64,
    /// How often keys are fetched again, before jitter.
    #[schemars(range(min = 1, max = MAX_SECONDS))]
    pub(super) refresh_interval_seconds: u64,
    /// The shortest time between two fetches caused by an unknown `kid`.
    #[schemars(range(min = 30, max = MAX_SECONDS))]
    pub(super) unknown_kid_cooldown_seconds: u64,
    /// How old the keys may be before tokens are refused with 503.
    #[schemars(range(min = 1, max = MAX_SECONDS))]
    pub(super) max_staleness_seconds: u64,
}

/// Where role data is read.
#[derive(Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawAssignments {
    /// Files, or directories whose `*.json` files are read.
    #[schemars(required, length(min = 1), inner(length(min = 1)))]
    #[schemars(example = ["assignments"])]
    pub(super) paths: Vec<PathBuf>,
    /// TOML files with local role assignments, with conditions that narrow role assignments, and
    /// with custom security attributes of principals.
    #[schemars(inner(length(min = 1)), example = ["overlay.toml"])]
    pub(super) overlay_files: Vec<PathBuf>,
    /// How often the files are looked at when no change is notified.
    #[schemars(range(min = 1, max = MAX_SECONDS))]
    pub(super) poll_interval_seconds: u64,
    /// How old the last successful load may be before requests are answered 503. No default: for
    /// this long a withdrawn assignment may go on granting.
    #[schemars(required, range(min = 1, max = MAX_SECONDS), example = 900)]
    pub(super) max_staleness_seconds: Option<u64>,
}

/// Where decision records go.
#[derive(Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawAudit {
    /// Standard output, or a file that is rotated by size.
    pub(super) sink: RawSink,
    /// The file to write; only for `sink = "file"`, and required there.
    #[schemars(length(min = 1), example = "/var/log/portcullis/decisions.jsonl")]
    pub(super) path: Option<PathBuf>,
    /// Size at which the file is rotated; only for `sink = "file"`.
    #[schemars(range(min = 65_536, max = 1_099_511_627_776_u64))]
    #[schemars(extend("default" = AUDIT_MAX_BYTES))]
    pub(super) max_bytes: Option<u64>,
    /// How many rotated files are kept; only for `sink = "file"`.
    #[schemars(range(min = 1, max = 10_000))]
    #[schemars(extend("default" = AUDIT_KEEP))]
    pub(super) keep: Option<u32>,
}

// Variants without doc comments: a plain `enum` in the schema gives the better message.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawSink {
    Stdout,
    File,
}

/// How the proxy logs.
#[derive(Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawLog {
    /// The form of a line: for collectors or for eyes.
    pub(super) format: RawLogFormat,
    /// What is logged: a level, or levels by module.
    #[schemars(example = "info,portcullis::authn=debug")]
    pub(super) filter: String,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum RawLogFormat {
    Human,
    Json,
}

/// How the metadata of objects is asked for when a condition depends on it.
#[derive(Debug, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawMetadata {
    /// The api-version of the questions; a vault of another cloud may know older ones only.
    pub(super) api_version: String,
    /// How long the answers to one request's questions may take in all.
    #[schemars(range(min = 1, max = 60_000))]
    pub(super) timeout_milliseconds: u64,
    /// How long an answer is remembered; 0 remembers none.
    // A tag that was changed elsewhere counts for this long as it was.
    #[schemars(range(min = 0, max = 300))]
    pub(super) cache_seconds: u64,
    /// How many answers are remembered.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub(super) max_cached_answers: u64,
}

/// What requests may carry.
#[derive(Debug, Default, Deserialize, JsonSchema, Serialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct RawRequests {
    /// Query parameters that pass besides the ones Key Vault documents.
    #[schemars(inner(length(min = 1)), example = ["trace"])]
    pub(super) extra_query_parameters: Vec<String>,
}

impl RawAudit {
    /// Size and count of the rotated files.
    pub(super) fn rotation(&self) -> (u64, u32) {
        (
            self.max_bytes.unwrap_or(AUDIT_MAX_BYTES),
            self.keep.unwrap_or(AUDIT_KEEP),
        )
    }
}

impl Default for RawAdmin {
    fn default() -> Self {
        Self {
            address: ADMIN_ADDRESS.to_string(),
        }
    }
}

impl Default for RawVault {
    fn default() -> Self {
        Self {
            name: None,
            resource_id: None,
            location: None,
            authority: None,
            connect_address: None,
            ca_file: None,
            public_names: Vec::new(),
            management_groups: None,
            issuer: None,
            rewrite_ids: true,
            properties: RawVaultProperties::default(),
        }
    }
}

impl Default for RawIssuer {
    fn default() -> Self {
        Self {
            name: None,
            tenant_id: None,
            issuers: Vec::new(),
            audiences: Vec::new(),
            challenge_authority: None,
            challenge_resource: None,
            discovery_url: None,
            jwks_url: None,
            jwks_file: None,
            ca_file: None,
            clock_skew_seconds: CLOCK_SKEW_SECONDS,
            refresh_interval_seconds: REFRESH_INTERVAL_SECONDS,
            unknown_kid_cooldown_seconds: UNKNOWN_KID_COOLDOWN_SECONDS,
            max_staleness_seconds: KEYS_MAX_STALENESS_SECONDS,
        }
    }
}

impl Default for RawAssignments {
    fn default() -> Self {
        Self {
            paths: Vec::new(),
            overlay_files: Vec::new(),
            poll_interval_seconds: POLL_INTERVAL_SECONDS,
            max_staleness_seconds: None,
        }
    }
}

impl Default for RawAudit {
    fn default() -> Self {
        Self {
            sink: RawSink::Stdout,
            path: None,
            max_bytes: None,
            keep: None,
        }
    }
}

impl Default for RawLog {
    fn default() -> Self {
        Self {
            format: RawLogFormat::Json,
            filter: LOG_FILTER.to_owned(),
        }
    }
}

impl Default for RawMetadata {
    fn default() -> Self {
        let questions = MetadataQuestions::default();
        Self {
            api_version: questions.api_version.as_str().into(),
            timeout_milliseconds: u64::try_from(questions.timeout.as_millis()).unwrap_or(u64::MAX),
            cache_seconds: questions.remembered_for.as_secs(),
            max_cached_answers: questions.max_remembered,
        }
    }
}

//! From the settings as written to the settings as meant.
//!
//! Each function reads one table and reports all that is wrong with it; it gives nothing if
//! something needed is missing, which has been reported by then.

use std::collections::BTreeSet;
use std::fmt::Display;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::keyvault::{Query, VaultName};
use crate::rbac::Scope;

use super::document::Document;
use super::problem::{Problem, shown};
use super::raw::{
    RawAssignments, RawAudit, RawConfig, RawIssuer, RawLog, RawLogFormat, RawMetadata, RawSink,
    RawVault,
};
use super::{
    Admin, AssignmentFiles, AuditSink, Config, Connect, Files, Issuer, KeySource, Log, LogFormat,
    MetadataQuestions, Vault, form,
};

mod fit;
mod listener;
mod surroundings;

/// Reads the settings and reports what is wrong with them.
pub(super) fn read(
    raw: RawConfig,
    document: &Document,
    directory: &Path,
    files: Files,
) -> (Option<Config>, Vec<Problem>) {
    let mut check = Check {
        document,
        directory,
        files,
        problems: Vec::new(),
    };
    let config = check.config(raw);
    (config, check.problems)
}

struct Check<'a> {
    document: &'a Document,
    /// What relative paths are relative to.
    directory: &'a Path,
    files: Files,
    problems: Vec<Problem>,
}

impl Check<'_> {
    fn config(&mut self, raw: RawConfig) -> Option<Config> {
        let admin = self.read("/admin", "address", Some(&raw.admin.address), form::address);
        let listeners = self.each("/listener", raw.listener, Self::listener);
        let issuers = self.each("/issuer", raw.issuer, Self::issuer);
        let servers = self.list("/dns", "servers", &raw.dns.servers, form::destination);
        let vaults = self.each("/vault", raw.vault, Self::vault);
        let assignments = self.assignments(&raw.assignments);
        let audit = self.audit(raw.audit);
        let log = self.log(&raw.log);
        let parameters = raw.requests.extra_query_parameters;
        let extra_query_parameters = self.parameters(&parameters);
        let network = self.network(raw.network);
        let deployment = self.deployment(raw.deployment);
        let metadata = self.metadata(&raw.metadata);
        self.unique("/listener", "name");
        self.unique("/issuer", "name");
        self.unique("/vault", "name");
        self.unique("/vault", "resource_id");
        self.addresses(admin);
        self.hosts();
        self.issuers_of_vaults();
        Some(Config {
            listeners: all(listeners)?,
            admin: Admin { address: admin? },
            vaults: asking(&servers.into(), all(vaults)?),
            issuers: all(issuers)?,
            assignments: assignments?,
            audit: audit?,
            log: log?,
            limits: raw.limits.meant(),
            metadata: metadata?,
            extra_query_parameters,
            network: network?,
            deployment: deployment?,
            process: raw.process.meant(),
        })
    }

    fn metadata(&mut self, raw: &RawMetadata) -> Option<MetadataQuestions> {
        let version = Some(raw.api_version.as_str());
        Some(MetadataQuestions {
            api_version: self.read("/metadata", "api_version", version, str::parse)?,
            timeout: Duration::from_millis(raw.timeout_milliseconds),
            remembered_for: Duration::from_secs(raw.cache_seconds),
            max_remembered: raw.max_cached_answers,
        })
    }

    fn vault(&mut self, at: &str, raw: RawVault) -> Option<Vault> {
        let name = self.read(at, "name", raw.name.as_deref(), str::parse::<VaultName>);
        let resource_id = self.read(at, "resource_id", raw.resource_id.as_deref(), form::vault);
        if let (Some(name), Some(resource_id)) = (&name, &resource_id) {
            self.name_of_vault(at, name, resource_id);
        }
        let authority = self.read(at, "authority", raw.authority.as_deref(), form::authority);
        let connect = match raw.connect_address.as_deref() {
            None => Some(Connect::Dns(Arc::default())),
            address => self
                .read(at, "connect_address", address, form::destination)
                .map(Connect::Address),
        };
        let public_names = self.list(at, "public_names", &raw.public_names, str::parse);
        let groups = raw
            .management_groups
            .map(|groups| self.list(at, "management_groups", &groups, form::management_group));
        let ca_file = self.file(at, "ca_file", raw.ca_file);
        let properties = self.vault_properties(at, raw.properties);
        Some(Vault {
            name: name?,
            resource_id: resource_id?,
            location: raw.location.map(Into::into),
            authority: authority?,
            connect: connect?,
            ca_file,
            public_names,
            management_groups: groups,
            issuer: raw.issuer?.into(),
            rewrite_ids: raw.rewrite_ids,
            properties,
        })
    }

    /// The name decides labels, the id decides access: they must be the same vault's.
    fn name_of_vault(&mut self, at: &str, name: &VaultName, resource_id: &Scope) {
        if let Ok(last) = resource_id.vault_name()
            && !last.as_str().eq_ignore_ascii_case(name.as_str())
        {
            let what = format!("`{}` is not the vault of `resource_id`", name.as_str());
            let hint = format!("expected `{}`", last.as_str());
            self.report(&format!("{at}/name"), what, hint);
        }
    }

    fn issuer(&mut self, at: &str, raw: RawIssuer) -> Option<Issuer> {
        let name = self.read(at, "name", raw.name.as_deref(), form::name);
        let tenant_id = self.read(at, "tenant_id", raw.tenant_id.as_deref(), str::parse);
        let authority = raw.challenge_authority.as_deref();
        let challenge_authority = self.read(at, "challenge_authority", authority, |text| {
            form::challenge_authority(text, tenant_id)
        });
        let resource = raw.challenge_resource.as_deref();
        let challenge_resource =
            self.read(at, "challenge_resource", resource, form::challenge_resource);
        self.longer(
            at,
            "max_staleness_seconds",
            raw.max_staleness_seconds,
            ("refresh_interval_seconds", raw.refresh_interval_seconds),
        );
        let ca_file = self.file(at, "ca_file", raw.ca_file);
        let discovery = self.read(at, "discovery_url", raw.discovery_url.as_deref(), form::url);
        let jwks_url = self.read(at, "jwks_url", raw.jwks_url.as_deref(), form::url);
        let jwks_file = self.file(at, "jwks_file", raw.jwks_file);
        self.key_source(at);
        let keys = discovery
            .map(KeySource::Discovery)
            .or(jwks_url.map(KeySource::JwksUrl))
            .or(jwks_file.map(KeySource::JwksFile));
        Some(Issuer {
            name: name?,
            tenant_id: tenant_id?,
            issuers: boxed(&raw.issuers),
            audiences: boxed(&raw.audiences),
            challenge_authority: challenge_authority?,
            challenge_resource: challenge_resource?,
            keys: keys?,
            ca_file,
            clock_skew: Duration::from_secs(raw.clock_skew_seconds),
            refresh_interval: Duration::from_secs(raw.refresh_interval_seconds),
            unknown_kid_cooldown: Duration::from_secs(raw.unknown_kid_cooldown_seconds),
            max_staleness: Duration::from_secs(raw.max_staleness_seconds),
        })
    }

    /// Exactly one place to have signing keys from.
    fn key_source(&mut self, at: &str) {
        const SOURCES: [&str; 3] = ["discovery_url", "jwks_url", "jwks_file"];
        let expected = "expected exactly one of `discovery_url`, `jwks_url` and `jwks_file`";
        let written: Vec<&str> = SOURCES
            .into_iter()
            .filter(|key| self.document.is_written(&format!("{at}/{key}")))
            .collect();
        match written.as_slice() {
            [] => self.report(at, "has no source of signing keys", expected),
            [_] => {}
            [_, others @ ..] => {
                for key in others {
                    self.report(
                        &format!("{at}/{key}"),
                        "is a second source of signing keys",
                        expected,
                    );
                }
            }
        }
        let ca_file = format!("{at}/ca_file");
        if written == ["jwks_file"] && self.document.is_written(&ca_file) {
            let hint = "expected it only beside `discovery_url` or `jwks_url`";
            self.report(&ca_file, "has no effect beside `jwks_file`", hint);
        }
    }

    fn assignments(&mut self, raw: &RawAssignments) -> Option<AssignmentFiles> {
        let at = "/assignments";
        for (key, listed) in [("paths", &raw.paths), ("overlay_files", &raw.overlay_files)] {
            let joined = listed.iter().map(|path| self.directory.join(path));
            let texts = joined.map(|path| path.to_string_lossy().into()).collect();
            self.once_each(&format!("{at}/{key}"), texts, "expected each path once");
        }
        let paths = raw.paths.iter().enumerate().filter_map(|(index, path)| {
            let pointer = format!("{at}/paths/{index}");
            self.path(&pointer, path, form::file_or_directory)
        });
        let paths = paths.collect();
        let overlays = raw.overlay_files.iter().enumerate();
        let overlays = overlays.filter_map(|(index, path)| {
            self.path(&format!("{at}/overlay_files/{index}"), path, form::file)
        });
        let overlay_files = overlays.collect();
        let max_staleness = raw.max_staleness_seconds?;
        self.longer(
            at,
            "max_staleness_seconds",
            max_staleness,
            ("poll_interval_seconds", raw.poll_interval_seconds),
        );
        Some(AssignmentFiles {
            paths,
            overlay_files,
            poll_interval: Duration::from_secs(raw.poll_interval_seconds),
            max_staleness: Duration::from_secs(max_staleness),
        })
    }

    fn audit(&mut self, raw: RawAudit) -> Option<AuditSink> {
        if self.document.is_refused("/audit/sink") {
            return None;
        }
        if raw.sink == RawSink::Stdout {
            for pointer in ["/audit/path", "/audit/max_bytes", "/audit/keep"] {
                if self.document.is_written(pointer) {
                    let hint = "expected it only beside `sink = \"file\"`";
                    self.report(pointer, "has no effect on standard output", hint);
                }
            }
            return Some(AuditSink::Stdout);
        }
        let (max_bytes, keep) = raw.rotation();
        let Some(path) = raw.path else {
            if !self.document.is_refused("/audit/path") {
                let hint = "expected the file to write, because `sink` is `file`";
                self.report("/audit/path", "missing", hint);
            }
            return None;
        };
        Some(AuditSink::File {
            path: self.path("/audit/path", &path, form::writable_place)?,
            max_bytes,
            keep,
        })
    }

    fn log(&mut self, raw: &RawLog) -> Option<Log> {
        let filter = self.read("/log", "filter", Some(&raw.filter), form::log_filter)?;
        Some(Log {
            format: match raw.format {
                RawLogFormat::Human => LogFormat::Human,
                RawLogFormat::Json => LogFormat::Json,
            },
            filter,
        })
    }

    fn parameters(&mut self, names: &[String]) -> Vec<Box<str>> {
        let at = "/requests";
        let pointer = format!("{at}/extra_query_parameters");
        let folded = names.iter().map(|name| name.to_ascii_lowercase()).collect();
        self.once_each(&pointer, folded, "expected each name once");
        self.list(at, "extra_query_parameters", names, |name| {
            form::parameter(name, Query::KNOWN)
        })
    }

    /// `value` at `key` is longer than another time of the same table.
    fn longer(&mut self, at: &str, key: &str, value: u64, (other, least): (&str, u64)) {
        let pointer = format!("{at}/{key}");
        let doubtful = [&pointer, &format!("{at}/{other}")].map(|p| self.document.is_refused(p));
        if value <= least && !doubtful.contains(&true) {
            let what = format!("`{value}` is not longer than `{other}`");
            self.report(&pointer, what, format!("expected more than {least}"));
        }
    }

    fn report(&mut self, pointer: &str, what: impl Into<String>, hint: impl Into<String>) {
        self.problems
            .push(self.document.problem(pointer, what, hint));
    }

    /// Of the list at `pointer`, no two texts are equal.
    fn once_each(&mut self, pointer: &str, texts: Vec<String>, expected: &str) {
        let mut seen = BTreeSet::new();
        for (index, text) in texts.into_iter().enumerate() {
            let repeated = format!("{} is listed twice", shown(&text));
            if !seen.insert(text) {
                self.report(&format!("{pointer}/{index}"), repeated, expected);
            }
        }
    }

    fn each<Raw, T>(
        &mut self,
        list: &str,
        elements: Vec<Raw>,
        read: fn(&mut Self, &str, Raw) -> Option<T>,
    ) -> Vec<Option<T>> {
        let elements = elements.into_iter().enumerate();
        elements
            .map(|(index, raw)| read(self, &format!("{list}/{index}"), raw))
            .collect()
    }

    /// Parses a text; the error says what was expected.
    fn read<T, E: Display>(
        &mut self,
        at: &str,
        key: &str,
        text: Option<&str>,
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Option<T> {
        let text = text?;
        parse(text)
            .map_err(|expected| {
                let what = format!("cannot use {}", shown(text));
                self.report(&format!("{at}/{key}"), what, expected.to_string());
            })
            .ok()
    }

    fn list<T, E: Display>(
        &mut self,
        at: &str,
        key: &str,
        texts: &[String],
        parse: impl Fn(&str) -> Result<T, E>,
    ) -> Vec<T> {
        let texts = texts.iter().enumerate();
        texts
            .filter_map(|(index, text)| {
                self.read(at, &format!("{key}/{index}"), Some(text), &parse)
            })
            .collect()
    }

    fn file(&mut self, at: &str, key: &str, path: Option<PathBuf>) -> Option<PathBuf> {
        self.path(&format!("{at}/{key}"), &path?, form::file)
    }

    /// Resolves a path and, if files are to be there, tries it.
    fn path(
        &mut self,
        pointer: &str,
        path: &Path,
        attempt: fn(&Path) -> Result<(), String>,
    ) -> Option<PathBuf> {
        let path = self.directory.join(path);
        if self.files == Files::MustExist
            && let Err(reason) = attempt(&path)
        {
            let what = format!("cannot use {}", shown(&path.to_string_lossy()));
            self.report(pointer, what, reason);
            return None;
        }
        Some(path)
    }
}

/// The vaults that are looked up are looked up at these servers.
fn asking(servers: &Arc<[SocketAddr]>, mut vaults: Vec<Vault>) -> Vec<Vault> {
    for vault in &mut vaults {
        if let Connect::Dns(asked) = &mut vault.connect {
            *asked = Arc::clone(servers);
        }
    }
    vaults
}

fn all<T>(elements: Vec<Option<T>>) -> Option<Vec<T>> {
    elements.into_iter().collect()
}

fn boxed(texts: &[String]) -> Vec<Box<str>> {
    texts.iter().map(|text| text.as_str().into()).collect()
}

//! Issuer, vault and the real proxy between them, on this machine.
//!
//! `portcullis dev` is this world with a clock on the wall; the integration tests are this world
//! with a clock they move by hand. The proxy in it is [`App`], as `portcullis run` starts it, with
//! a configuration made in code instead of read from a file.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;

use super::control::{self, ControlHandle};
use super::issuer::{self, IssuerHandle, IssuerSettings, VAULT_RESOURCE};
use super::people::{self, GroupsClaim, RoleDataError, SeedError};
use super::pki::{LeafFiles, Pki, PkiError};
use super::vault::{self, Behavior, Trust, VaultHandle, VaultSettings};
use crate::app::{self, App};
use crate::clock::Clock;
use crate::config::{
    Address, Admin, AssignmentFiles, AuditSink, CertificateSource, ClientCertificates, Config,
    Connect, Deployment, Issuer, KeySource, Limits, Listener, Log, LogFormat, MetadataQuestions,
    Network, Process, TrustedPeers, Vault, VaultProperties,
};
use crate::keyvault::{Authority, NameError};
use crate::rbac::ScopeError;

/// The name of the one listener.
pub const LISTENER: &str = "dev";

/// The name of the one issuer.
const ISSUER: &str = "dev";

/// The application id of Key Vault itself, which is an audience too.
const VAULT_APPLICATION: &str = "cfa8b339-82a2-471a-a3c9-0fc0be7a4093";

/// How often role data is looked at: somebody is editing it and waits.
const POLL: Duration = Duration::from_secs(2);

/// How long role data may be unreadable: a long lunch.
const MAX_STALENESS: Duration = Duration::from_secs(4 * 3600);

/// How long tokens are valid.
const TOKEN_LIFETIME: Duration = Duration::from_secs(3600);

/// Where the parts listen on 127.0.0.1; 0 lets the system choose.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ports {
    /// The proxy.
    pub proxy: u16,
    /// The embedded issuer.
    pub issuer: u16,
    /// The embedded vault.
    pub vault: u16,
    /// The proxy's administration listener.
    pub admin: u16,
}

/// What a world is made of.
#[derive(Clone, Debug)]
pub struct WorldSettings {
    /// An existing directory for the CA, certificates and role data.
    pub directory: PathBuf,
    /// Where the parts listen.
    pub ports: Ports,
    /// The port of the vault's control, which there is only if it is asked for; 0 lets the system
    /// choose.
    pub control_port: Option<u16>,
    /// Whether tokens carry groups.
    pub groups: GroupsClaim,
    /// Where decision records go.
    pub audit: AuditSink,
    /// The proxy's limits.
    pub limits: Limits,
    /// How the proxy asks for metadata.
    pub metadata: MetadataQuestions,
    /// Overlay files beside the role data.
    pub overlay_files: Vec<PathBuf>,
    /// Where clients come from.
    pub network: Network,
    /// Where the proxy says it runs.
    pub deployment: Deployment,
    /// Whether the listener is one that only private links reach.
    pub private_link: bool,
    /// Whether clients are asked for a certificate.
    pub client_certificates: Option<ClientCertificates>,
    /// What the vault calls itself, without its port. The proxy goes by this name too, on its own
    /// port, and is `localhost`.
    pub vault_host: Box<str>,
    /// The port in the vault's name, such as 443; `None` for the one it listens on. Clients that
    /// take the name for the proxy then need not be told of it.
    pub vault_port: Option<u16>,
    /// How the vault keeps and limits what it does.
    pub behavior: Behavior,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

impl WorldSettings {
    /// The settings of `portcullis dev`, in `directory`.
    pub fn new(directory: PathBuf, clock: Arc<dyn Clock>) -> Self {
        Self {
            directory,
            ports: Ports::default(),
            control_port: None,
            groups: GroupsClaim::LeftOut,
            audit: AuditSink::Stdout,
            limits: Limits::default(),
            metadata: MetadataQuestions::default(),
            overlay_files: Vec::new(),
            network: Network::default(),
            deployment: Deployment::default(),
            private_link: false,
            client_certificates: None,
            vault_host: "localhost".into(),
            vault_port: None,
            behavior: Behavior::default(),
            clock,
        }
    }
}

/// A world could not be made.
#[derive(Debug, Error)]
pub enum WorldError {
    /// A certificate.
    #[error(transparent)]
    Pki(#[from] PkiError),
    /// The role data.
    #[error(transparent)]
    RoleData(#[from] RoleDataError),
    /// The vault's first objects.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// The issuer or the vault.
    #[error(transparent)]
    Server(#[from] super::StartError),
    /// The proxy.
    #[error(transparent)]
    Proxy(Box<app::StartError>),
    /// A host name.
    #[error(transparent)]
    Name(#[from] NameError),
    /// The resource id of the vault.
    #[error(transparent)]
    Scope(#[from] ScopeError),
    /// The directory for role data.
    #[error("cannot make `{path}`: {cause}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
}

/// A running world.
#[derive(Debug)]
pub struct World {
    /// The embedded issuer.
    pub issuer: IssuerHandle,
    /// The embedded vault.
    pub vault: VaultHandle,
    /// The vault's control, if it was asked for.
    pub control: Option<ControlHandle>,
    /// The proxy.
    pub proxy: App,
    /// The CA that all three have their certificates from.
    pub pki: Pki,
    directory: PathBuf,
}

impl World {
    /// Starts issuer, vault and proxy, and waits until the proxy has keys and role data.
    ///
    /// # Errors
    /// [`WorldError`].
    pub async fn start(settings: WorldSettings) -> Result<Self, WorldError> {
        let now = settings.clock.now();
        let directory = settings.directory.clone();
        let roles = role_directory(&directory)?;
        people::write_role_data(&roles, now)?;
        let pki = Pki::new(now)?;
        pki.write_ca(&ca_file(&directory))?;
        let issuer = start_issuer(&settings, &pki).await?;
        let vault = start_vault(&settings, &pki, &issuer).await?;
        let control = match settings.control_port {
            Some(port) => {
                Some(control::start(&vault, port, pki.leaf(&[])?.server_config()?).await?)
            }
            None => None,
        };
        let certificate = pki
            .leaf(&[&settings.vault_host])?
            .write(&directory, "proxy")?;
        let config = configuration(&settings, &issuer, &vault, certificate, roles)?;
        let proxy = App::start(config, Arc::clone(&settings.clock))
            .await
            .map_err(|error| WorldError::Proxy(Box::new(error)))?;
        proxy.ready().await;
        Ok(Self {
            issuer,
            vault,
            control,
            proxy,
            pki,
            directory,
        })
    }

    /// Where clients connect.
    pub fn address(&self) -> SocketAddr {
        // There is one listener, of this name.
        self.proxy.address(LISTENER).unwrap_or_else(|| at(0))
    }

    /// The vault's URL as clients use it, through the proxy.
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.address().port())
    }

    /// The CA's certificate.
    pub fn ca_file(&self) -> PathBuf {
        ca_file(&self.directory)
    }

    /// Where the proxy's role data lies.
    pub fn role_directory(&self) -> PathBuf {
        self.directory.join("roles")
    }

    /// Stops the proxy first, so that what is in flight can end.
    pub async fn stop(self) {
        self.proxy.stop().await;
        if let Some(control) = self.control {
            control.stop().await;
        }
        self.vault.stop().await;
        self.issuer.stop().await;
    }
}

fn ca_file(directory: &Path) -> PathBuf {
    directory.join("ca.pem")
}

fn role_directory(directory: &Path) -> Result<PathBuf, WorldError> {
    let path = directory.join("roles");
    match std::fs::create_dir_all(&path) {
        Ok(()) => Ok(path),
        Err(cause) => Err(WorldError::Directory { path, cause }),
    }
}

const fn at(port: u16) -> SocketAddr {
    SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), port)
}

async fn start_issuer(settings: &WorldSettings, pki: &Pki) -> Result<IssuerHandle, WorldError> {
    let issuer = IssuerSettings {
        port: settings.ports.issuer,
        host: "localhost".into(),
        tenant: people::TENANT,
        issuer: format!("https://sts.windows.net/{}/", people::TENANT).into(),
        applications: people::applications(settings.groups),
        token_lifetime: TOKEN_LIFETIME,
        tls: pki.leaf(&[])?.server_config()?,
        clock: Arc::clone(&settings.clock),
    };
    Ok(issuer::start(issuer).await?)
}

async fn start_vault(
    settings: &WorldSettings,
    pki: &Pki,
    issuer: &IssuerHandle,
) -> Result<VaultHandle, WorldError> {
    let authority: Authority = settings.vault_host.parse()?;
    let vault = VaultSettings {
        port: settings.ports.vault,
        // Port 0 stands for the one it listens on.
        authority: authority.with_port(settings.vault_port.unwrap_or(settings.ports.vault)),
        location: people::LOCATION.into(),
        trust: Trust {
            keys: issuer.keys(),
            issuer: issuer.issuer().into(),
            audiences: audiences(),
            challenge_authority: issuer.tenant_url().into(),
            challenge_resource: VAULT_RESOURCE.into(),
        },
        seeds: people::seeds(pki)?,
        behavior: settings.behavior,
        tls: pki.leaf(&[&settings.vault_host])?.server_config()?,
        clock: Arc::clone(&settings.clock),
    };
    Ok(vault::start(vault).await?)
}

fn audiences() -> Vec<Box<str>> {
    vec![VAULT_RESOURCE.into(), VAULT_APPLICATION.into()]
}

fn configuration(
    settings: &WorldSettings,
    issuer: &IssuerHandle,
    vault: &VaultHandle,
    certificate: LeafFiles,
    roles: PathBuf,
) -> Result<Config, WorldError> {
    let ca = ca_file(&settings.directory);
    Ok(Config {
        listeners: vec![Listener {
            name: LISTENER.into(),
            address: Address::Ip(at(settings.ports.proxy)),
            certificate: CertificateSource::Files {
                certificate: certificate.certificate,
                private_key: certificate.private_key,
            },
            client_certificates: settings.client_certificates.clone(),
            proxy_protocol_from: TrustedPeers::default(),
            forwarded_headers_from: TrustedPeers::default(),
            private_link: settings.private_link,
            private_endpoint: None,
        }],
        admin: Admin {
            address: at(settings.ports.admin),
        },
        vaults: vec![guarded_vault(vault, ca.clone())?],
        issuers: vec![trusted_issuer(issuer, ca)],
        assignments: AssignmentFiles {
            overlay_files: settings.overlay_files.clone(),
            paths: vec![roles],
            poll_interval: POLL,
            max_staleness: MAX_STALENESS,
        },
        audit: settings.audit.clone(),
        log: Log {
            format: LogFormat::Human,
            filter: "info".into(),
        },
        limits: settings.limits.clone(),
        metadata: settings.metadata.clone(),
        extra_query_parameters: Vec::new(),
        network: settings.network.clone(),
        deployment: settings.deployment.clone(),
        process: Process::default(),
    })
}

fn guarded_vault(vault: &VaultHandle, ca: PathBuf) -> Result<Vault, WorldError> {
    let localhost: Authority = "localhost".parse()?;
    // The port of the listener, whichever it is.
    let public_names = vec![localhost.with_port(0), vault.authority().with_port(0)];
    Ok(Vault {
        name: people::VAULT_NAME.parse()?,
        resource_id: people::RESOURCE_ID.parse()?,
        location: Some(people::LOCATION.into()),
        authority: vault.authority().clone(),
        connect: Connect::Address(vault.address()),
        ca_file: Some(ca),
        public_names,
        management_groups: Some(Vec::new()),
        issuer: ISSUER.into(),
        rewrite_ids: true,
        properties: VaultProperties::default(),
    })
}

fn trusted_issuer(issuer: &IssuerHandle, ca: PathBuf) -> Issuer {
    Issuer {
        name: ISSUER.into(),
        tenant_id: people::TENANT,
        issuers: vec![issuer.issuer().into()],
        audiences: audiences(),
        challenge_authority: issuer.tenant_url().into(),
        challenge_resource: VAULT_RESOURCE.into(),
        keys: KeySource::Discovery(issuer.discovery_url().into()),
        ca_file: Some(ca),
        clock_skew: Duration::from_secs(60),
        refresh_interval: Duration::from_secs(3600),
        unknown_kid_cooldown: Duration::from_secs(30),
        max_staleness: Duration::from_secs(24 * 3600),
    }
}

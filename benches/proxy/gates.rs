//! The proxies that are compared: how each is set up and started.

mod envoy;
mod haproxy;
mod nginx;
pub(crate) mod portcullis;

use std::net::SocketAddr;
use std::path::Path;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

use crate::Failure;
use crate::process::{Core, Placement, Process, Stream};
use crate::scenario::Scenario;
use crate::site::Site;

/// A proxy.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Kind {
    /// The forwarder on hyper that checks nothing
    Bare,
    /// The same on tokio's single-threaded runtime
    BareSingle,
    /// Portcullis with everything on
    Portcullis,
    /// nginx, checks nothing
    Nginx,
    /// `HAProxy`, checks tokens
    Haproxy,
    /// Envoy with its cache of tokens, checks tokens and a role
    EnvoyCache,
    /// Envoy as it is by default, checks tokens and a role
    Envoy,
}

impl Kind {
    /// What the command line and the results call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::BareSingle => "bare-single",
            Self::Portcullis => "portcullis",
            Self::Nginx => "nginx",
            Self::Haproxy => "haproxy",
            Self::EnvoyCache => "envoy-cache",
            Self::Envoy => "envoy",
        }
    }

    /// The right status for a scenario: who checks nothing refuses nothing.
    pub(crate) const fn expected(self, scenario: Scenario) -> u16 {
        let (checks_token, checks_role) = match self {
            Self::Bare | Self::BareSingle | Self::Nginx => (false, false),
            Self::Haproxy => (true, false),
            Self::Portcullis | Self::EnvoyCache | Self::Envoy => (true, true),
        };
        match scenario {
            Scenario::NoToken if checks_token => 401,
            Scenario::Forbidden if checks_role => 403,
            Scenario::H1Hot
            | Scenario::H2Hot
            | Scenario::H1New
            | Scenario::H2New
            | Scenario::Connect
            | Scenario::Resume
            | Scenario::NoToken
            | Scenario::Forbidden => 200,
        }
    }
}

/// What every proxy is put in front of.
#[derive(Debug)]
pub(crate) struct Surroundings {
    pub(crate) site: Site,
    pub(crate) placement: Placement,
    pub(crate) vault: Process,
    pub(crate) vault_address: SocketAddr,
    /// Worker threads of each proxy.
    pub(crate) workers: usize,
}

impl Surroundings {
    /// Starts the vault.
    pub(crate) fn start(site: Site, placement: Placement, workers: usize) -> Result<Self, Failure> {
        let mut command = placement.command(Core::Load, &std::env::current_exe()?);
        command.args(["vault", "--host", &site.vault.host]);
        certificate(&mut command, &site);
        let vault = Process::start(command, Stream::Out)?;
        let vault_address = vault.address()?;
        Ok(Self {
            site,
            placement,
            vault,
            vault_address,
            workers,
        })
    }

    /// A command on the proxies' core.
    fn command(&self, program: &Path) -> std::process::Command {
        let mut command = self.placement.command(Core::Proxy, program);
        command.env("TOKIO_WORKER_THREADS", self.workers.to_string());
        command
    }
}

fn certificate(command: &mut std::process::Command, site: &Site) {
    command.arg("--certificate").arg(site.path("server.crt"));
    command.arg("--private-key").arg(site.path("server.key"));
}

/// What is asked, and watched meanwhile.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Target {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    /// The process.
    pub(crate) pid: u32,
}

/// A running proxy.
#[derive(Debug)]
pub(crate) struct Gate {
    pub(crate) kind: Kind,
    process: Process,
    address: SocketAddr,
}

impl Gate {
    pub(crate) fn target(&self) -> Target {
        Target {
            kind: self.kind,
            address: self.address,
            pid: self.process.id(),
        }
    }

    /// Starts a proxy and waits until it serves; `None` if it is not installed.
    pub(crate) fn start(kind: Kind, around: &Surroundings) -> Result<Option<Self>, Failure> {
        let started = match kind {
            Kind::Bare => Some(bare(around, false)?),
            Kind::BareSingle => Some(bare(around, true)?),
            Kind::Portcullis => {
                let started = portcullis::start(around)?;
                Some((started.process, started.address))
            }
            Kind::Nginx => nginx::start(around)?,
            Kind::Haproxy => haproxy::start(around)?,
            Kind::EnvoyCache => envoy::start(around, true)?,
            Kind::Envoy => envoy::start(around, false)?,
        };
        Ok(started.map(|(process, address)| Self {
            kind,
            process,
            address,
        }))
    }
}

fn bare(around: &Surroundings, single: bool) -> Result<(Process, SocketAddr), Failure> {
    let mut command = around.command(&std::env::current_exe()?);
    command.arg("bare");
    certificate(&mut command, &around.site);
    command.arg("--ca").arg(around.site.path("ca.pem"));
    command.args(["--host", &around.site.vault.host]);
    command.arg("--vault").arg(around.vault_address.to_string());
    if single {
        command.arg("--single");
    }
    let process = Process::start(command, Stream::Out)?;
    let address = process.address()?;
    Ok((process, address))
}

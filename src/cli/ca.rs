//! `portcullis ca`: a private CA for the names that clients know the proxy by.

mod env;
mod init;
mod issue;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::{Context, Failure, print};
use crate::ca::Host;
use crate::config::{Config, Files};
use crate::keyvault::Authority;

/// The subcommands of `portcullis ca`.
#[derive(Debug, Subcommand)]
pub(super) enum Ca {
    /// Make a CA that can vouch for these hosts and for no others
    Init(init::Init),
    /// Issue a certificate that a listener shows for some days
    Issue(issue::Issue),
    /// Print what an application needs in order to trust the CA
    Env(env::Env),
}

impl Ca {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Init(command) => command.run(context),
            Self::Issue(command) => command.run(context),
            Self::Env(command) => command.run(),
        }
    }
}

/// Where a CA is.
#[derive(Args, Debug)]
struct At {
    /// The directory of the CA
    #[arg(long, value_name = "DIR", default_value = "/etc/portcullis/ca")]
    dir: PathBuf,
}

/// The hosts that certificates are for.
#[derive(Args, Debug)]
#[group(required = true, multiple = true)]
struct Hosts {
    /// A configuration: every host of every vault in it
    #[arg(long, short, value_name = "FILE")]
    config: Option<PathBuf>,
    /// A host name or IP address; may be repeated
    #[arg(long, value_name = "NAME")]
    host: Vec<Authority>,
}

impl Hosts {
    fn read(&self, context: &Context) -> Result<Vec<Host>, Failure> {
        let environment = context.environment.iter().cloned();
        let config = self.config.as_ref().map(|path| {
            // What it names, such as this CA, need not be there yet.
            Config::load_with(path, environment, Files::NotChecked)
        });
        let config = config.transpose()?;
        let configured = config.iter().flat_map(Config::authorities);
        Ok(Host::each(configured.chain(&self.host)))
    }
}

const fn days(number: u32) -> Duration {
    Duration::from_secs(number as u64 * 24 * 3600)
}

/// `hosts` as a list for people.
fn listed(hosts: &[Host]) -> String {
    let hosts = hosts.iter().map(ToString::to_string);
    hosts.collect::<Vec<_>>().join(", ")
}

//! `portcullis ca issue`.

use std::path::PathBuf;

use clap::Args;

use super::{At, Hosts, days, listed, print};
use crate::ca::{Ca, LEAF_LIFETIME};
use crate::cli::{Context, Failure};
use crate::clock::{Clock as _, SystemClock};

/// The arguments of `portcullis ca issue`.
#[derive(Args, Debug)]
pub(in crate::cli) struct Issue {
    #[command(flatten)]
    hosts: Hosts,
    #[command(flatten)]
    at: At,
    /// How long the certificate is valid; 7 if not given
    // Nobody takes a stolen one back, so that it should not live for long.
    #[arg(long, value_name = "DAYS")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=397))]
    days: Option<u32>,
    /// The directory for `tls.crt` and `tls.key`, which are replaced if they are there
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
}

impl Issue {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let hosts = self.hosts.read(context)?;
        let lifetime = self.days.map_or(LEAF_LIFETIME, days);
        let ca = Ca::open(&self.at.dir)?;
        let leaf = ca.issue(&hosts, lifetime, SystemClock.now())?;
        let (chain, private_key) = (self.out.join("tls.crt"), self.out.join("tls.key"));
        leaf.write(&chain, &private_key)?;
        print(&format!(
            "A certificate for {}: {}, {}\n",
            listed(&hosts),
            chain.display(),
            private_key.display(),
        ))
    }
}

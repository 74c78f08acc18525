//! `portcullis ca init`.

use clap::Args;

use super::{At, Hosts, days, listed, print};
use crate::ca::{Ca, CaFiles, Existing};
use crate::cli::{Context, Failure};
use crate::clock::{Clock as _, SystemClock};

/// The arguments of `portcullis ca init`.
#[derive(Args, Debug)]
pub(in crate::cli) struct Init {
    #[command(flatten)]
    hosts: Hosts,
    #[command(flatten)]
    at: At,
    // Applications are told once; ten years later somebody else has to tell them again.
    /// How long the CA is valid
    #[arg(long, value_name = "DAYS", default_value_t = 3650)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=36500))]
    days: u32,
    /// Replace a CA that is there; clients that trust it must then be told of the new one
    #[arg(long)]
    force: bool,
}

impl Init {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        let hosts = self.hosts.read(context)?;
        let existing = if self.force {
            Existing::Replace
        } else {
            Existing::Keep
        };
        let now = SystemClock.now();
        let fingerprint = Ca::init(&self.at.dir, &hosts, days(self.days), now, existing)?;
        let files = CaFiles::of(&self.at.dir);
        print(&format!(
            "A CA for {}, valid for {} days.\n\
             Applications trust {}, which is no secret:\n  \
             portcullis ca env --dir {} --for python\n\
             The proxy alone reads {}.\n\
             SHA-256 {fingerprint}\n",
            listed(&hosts),
            self.days,
            files.root.display(),
            self.at.dir.display(),
            files.key.display(),
        ))
    }
}

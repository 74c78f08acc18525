//! `portcullis condition`: work with conditions before they are in force.

mod context;
mod eval;

use clap::Subcommand;

use super::Failure;

/// The subcommands of `portcullis condition`.
#[derive(Debug, Subcommand)]
pub(super) enum Condition {
    /// Show what a condition comes to for a request, or run rows of such questions as tests
    Eval(eval::Eval),
}

impl Condition {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Eval(command) => command.run(),
        }
    }
}

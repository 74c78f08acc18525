//! `portcullis condition`: work with conditions before they are in force.

mod check;
mod context;
mod eval;
mod fmt;
mod input;

use clap::Subcommand;

use super::Failure;

/// The subcommands of `portcullis condition`.
#[derive(Debug, Subcommand)]
pub(super) enum Condition {
    /// Report what is wrong with conditions, and what is seldom meant
    Check(check::Check),
    /// Show what a condition comes to for a request, or run rows of such questions as tests
    Eval(eval::Eval),
    /// Print conditions in their canonical layout
    Fmt(fmt::Fmt),
}

impl Condition {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Check(command) => command.run(),
            Self::Eval(command) => command.run(),
            Self::Fmt(command) => command.run(),
        }
    }
}

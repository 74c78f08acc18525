//! `portcullis config`: check a configuration, or print its schema.

use std::path::PathBuf;

use clap::Subcommand;

use super::{Context, Failure, print};
use crate::config;

/// The subcommands of `portcullis config`.
#[derive(Debug, Subcommand)]
pub(super) enum Config {
    /// Report every problem of a configuration, with line, key and expected form
    Check {
        /// The TOML file
        file: PathBuf,
        /// Do not look at the files the configuration names
        #[arg(long)]
        no_files: bool,
    },
    /// Print the JSON Schema of the configuration
    Schema,
}

impl Config {
    pub(super) fn run(self, context: &Context) -> Result<(), Failure> {
        match self {
            Self::Check { file, no_files } => {
                let files = if no_files {
                    config::Files::NotChecked
                } else {
                    config::Files::MustExist
                };
                config::Config::load_with(&file, context.environment.iter().cloned(), files)?;
                print(&format!("{}: ok\n", file.display()))
            }
            Self::Schema => print(&format!(
                "{}\n",
                serde_json::to_string_pretty(&config::schema())?
            )),
        }
    }
}

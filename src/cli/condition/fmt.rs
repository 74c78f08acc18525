//! `portcullis condition fmt`: conditions in their canonical layout.

use std::path::PathBuf;

use clap::Args;

use super::input::Input;
use crate::abac::{self, MAX_BYTES, Mode};
use crate::cli::{Failure, print};

/// The arguments of `portcullis condition fmt`.
#[derive(Debug, Args)]
pub(in crate::cli) struct Fmt {
    /// Files with one condition each; standard input if there are none, or for `-`
    files: Vec<PathBuf>,
    /// Print nothing but the names of files that are laid out otherwise, and fail if there are any
    #[arg(long)]
    check: bool,
}

impl Fmt {
    pub(super) fn run(self) -> Result<(), Failure> {
        let mut others = Vec::new();
        for input in Input::all(&self.files)? {
            let layout = layout(&input)?;
            if !self.check {
                print(&format!("{layout}\n"))?;
            } else if input.text.trim_end_matches(['\r', '\n']) != layout {
                others.push(input.name);
            }
        }
        if others.is_empty() {
            return Ok(());
        }
        print(&format!("{}\n", others.join("\n")))?;
        Err("not in canonical layout".into())
    }
}

/// Looks make no difference to what is granted, so what only Azure would store is laid out too.
fn layout(input: &Input) -> Result<String, Failure> {
    let expr = abac::parse(&input.text, Mode::Compatible)
        .map_err(|error| format!("{}: {}", input.name, error.render(&input.text)))?;
    let layout = expr.layout().to_string();
    if layout.len() > MAX_BYTES {
        let line = "in canonical layout it would be longer than a condition may be";
        return Err(format!("{}: {line}: {} bytes", input.name, layout.len()).into());
    }
    Ok(layout)
}

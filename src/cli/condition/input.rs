//! Texts from files and from standard input.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use crate::assignments::wire::{self, TextError};
use crate::cli::Failure;

/// A text and where it is from.
pub(super) struct Input {
    /// The file, or `standard input`.
    pub(super) name: String,
    /// What it holds.
    pub(super) text: String,
}

impl Input {
    /// The texts of `files`; of standard input if there are none, and for `-`.
    pub(super) fn all(files: &[PathBuf]) -> Result<Vec<Self>, Failure> {
        if files.is_empty() {
            return Ok(vec![Self::standard()?]);
        }
        let read = |file: &PathBuf| {
            if file.as_path() == Path::new("-") {
                Self::standard()
            } else {
                Self::of_file(file)
            }
        };
        files.iter().map(read).collect()
    }

    fn standard() -> Result<Self, Failure> {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text)?;
        let name = "standard input".to_owned();
        Ok(Self { name, text })
    }

    fn of_file(file: &Path) -> Result<Self, Failure> {
        let name = file.display().to_string();
        let bytes = fs::read(file).map_err(|error| format!("{name}: {error}"))?;
        let text = match wire::decode(&bytes) {
            Ok(text) => text.into_owned(),
            // What is wrong with an empty condition is told like other mistakes.
            Err(TextError::Empty) => String::new(),
            Err(error) => return Err(format!("{name}: {error}").into()),
        };
        Ok(Self { name, text })
    }
}

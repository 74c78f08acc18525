//! What is wrong with a configuration, told so that it can be mended.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

/// The longest text of the configuration that a message repeats.
const MAX_SHOWN_CHARS: usize = 160;

/// Everything that is wrong with a configuration, in the order of the file; at least one problem.
///
/// Its text has one line a problem:
/// ``portcullis.toml:12: limits.max_body_bytes: `0` is too small; expected …``.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    file: PathBuf,
    problems: Vec<Problem>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where it was written, or where it should have been.
    pub place: Place,
    /// The key, such as `limits.max_body_bytes`, `vault.kv-payments.authority` (an element by its
    /// name) or `vault[0].name` (by its position, from 0). Empty if no key is concerned.
    pub key: String,
    /// What is wrong.
    pub what: String,
    /// What was expected, or what was probably meant. Empty if `what` says it all.
    pub hint: String,
}

/// Where a setting was written.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The file as a whole.
    File,
    /// A line of the file, from 1.
    Line(usize),
    /// A line and a column of the file, both from 1.
    Column(usize, usize),
    /// An environment variable.
    Variable(String),
}

impl Problem {
    /// The file cannot be read.
    pub(super) fn unreadable(error: &io::Error) -> Self {
        Self {
            place: Place::File,
            key: String::new(),
            what: format!("cannot read the configuration: {error}"),
            hint: String::new(),
        }
    }
}

impl ConfigErrors {
    /// Sorts the problems found in `file`.
    pub(super) fn new(file: &Path, mut problems: Vec<Problem>) -> Self {
        problems.sort();
        problems.dedup();
        Self {
            file: file.to_owned(),
            problems,
        }
    }

    /// The problems, in the order of the file; those of environment variables come last.
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let file = self.file.display();
        for (index, problem) in self.problems.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            match &problem.place {
                Place::File => write!(f, "{file}: ")?,
                Place::Line(line) => write!(f, "{file}:{line}: ")?,
                Place::Column(line, column) => write!(f, "{file}:{line}:{column}: ")?,
                Place::Variable(name) => write!(f, "environment variable {name}: ")?,
            }
            if !problem.key.is_empty() {
                write!(f, "{}: ", problem.key)?;
            }
            f.write_str(&problem.what)?;
            if !problem.hint.is_empty() {
                write!(f, "; {}", problem.hint)?;
            }
        }
        Ok(())
    }
}

impl Error for ConfigErrors {}

/// A text of the configuration in backticks, for a message.
///
/// SECURITY: a text of several lines or of great length is not repeated: it may be a key pasted
/// where the name of its file belongs.
pub(super) fn shown(text: &str) -> String {
    let chars = text.chars().count();
    if chars > MAX_SHOWN_CHARS || text.chars().any(char::is_control) {
        format!("a text of {chars} characters")
    } else {
        format!("`{text}`")
    }
}

/// The one of `known` that `unknown` was probably meant to be.
pub(super) fn nearest<'a>(unknown: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let tolerated = (unknown.chars().count() / 3).max(1);
    known
        .map(|candidate| (strsim::damerau_levenshtein(unknown, candidate), candidate))
        .filter(|(distance, _)| *distance <= tolerated)
        .min()
        .map(|(_, candidate)| candidate)
}

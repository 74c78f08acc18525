//! What can be wrong with an overlay file, and where.
//!
//! SECURITY: an error names tables, entries and fields, never the value of a field; only of a
//! condition it says what stands where it went wrong.

use std::fmt;

use thiserror::Error;

use crate::assignments::wire::MAX_FILE_BYTES;
use crate::rbac::ConditionError;

/// How many errors of one file are reported; the rest are counted.
const MAX_REPORTED: usize = 10;

/// An entry of an overlay file; entries of a table count from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OverlayEntry {
    /// `[[conditions]]`
    Condition(usize),
    /// `[[custom_security_attributes]]`
    CustomSecurityAttributes(usize),
    /// `[[role_assignments]]`
    RoleAssignment(usize),
}

impl fmt::Display for OverlayEntry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Condition(index) => write!(f, "conditions[{index}]"),
            Self::CustomSecurityAttributes(index) => {
                write!(f, "custom_security_attributes[{index}]")
            }
            Self::RoleAssignment(index) => write!(f, "role_assignments[{index}]"),
        }
    }
}

/// One thing that is wrong with an overlay file.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum OverlayError {
    /// A condition that cannot be read; line and column are those inside its text.
    #[error("{0}.condition: {1}")]
    Condition(OverlayEntry, ConditionError),
    /// Neither TOML nor an overlay.
    #[error("line {line}, column {column}: {message}")]
    Toml {
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
        /// What is wrong.
        message: Box<str>,
    },
    /// Larger than an export may be.
    #[error("expected at most {} MiB", MAX_FILE_BYTES / (1024 * 1024))]
    TooLarge,
    /// A name, principal or attribute that is given already, here or in another file.
    #[error("{0}.{1} is given twice; expected each once in all files")]
    Twice(OverlayEntry, &'static str),
    /// A condition asks for what no request has.
    #[error("{0}.condition: there is no attribute `{1}`")]
    UnknownAttribute(OverlayEntry, Box<str>),
    /// Not UTF-8.
    #[error("invalid UTF-8 at byte {0}")]
    Utf8(usize),
    /// A field holds something else than it should.
    #[error("{entry}.{field}: expected {expected}")]
    Wrong {
        /// Where.
        entry: OverlayEntry,
        /// The field.
        field: &'static str,
        /// What should be there.
        expected: &'static str,
    },
}

impl OverlayError {
    pub(super) fn toml(text: &str, error: &toml::de::Error) -> Self {
        let offset = error.span().map_or(0, |span| span.start);
        let before = text.get(..offset).unwrap_or_default();
        let last_line = before.rsplit('\n').next().unwrap_or_default();
        // `invalid type: string "…", expected …` would show the value.
        let expected = match error.message() {
            message if message.starts_with("invalid ") => message.rsplit_once(", expected "),
            _ => None,
        };
        Self::Toml {
            line: before.matches('\n').count() + 1,
            column: last_line.chars().count() + 1,
            message: match expected {
                Some((_, expected)) => format!("expected {expected}").into(),
                None => error.message().into(),
            },
        }
    }
}

/// All that is wrong with an overlay file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OverlayErrors {
    first: Vec<OverlayError>,
    more: usize,
}

impl OverlayErrors {
    /// The first errors, in the order of the file.
    pub fn first(&self) -> &[OverlayError] {
        &self.first
    }

    pub(super) fn push(&mut self, error: OverlayError) {
        if self.first.len() < MAX_REPORTED {
            self.first.push(error);
        } else {
            self.more += 1;
        }
    }

    /// `value`, if there is no error.
    pub(super) fn unless_any<T>(self, value: T) -> Result<T, Self> {
        if self.first.is_empty() {
            Ok(value)
        } else {
            Err(self)
        }
    }
}

impl From<OverlayError> for OverlayErrors {
    fn from(error: OverlayError) -> Self {
        Self {
            first: vec![error],
            more: 0,
        }
    }
}

impl fmt::Display for OverlayErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.first.iter().enumerate() {
            let separator = if index > 0 { "; " } else { "" };
            write!(f, "{separator}{error}")?;
        }
        if self.more > 0 {
            write!(f, "; and {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for OverlayErrors {}

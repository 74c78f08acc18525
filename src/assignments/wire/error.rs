//! What can be wrong with a file of role data, and where.
//!
//! SECURITY: an error names members, places and entry names, never the value of a field: a
//! wrong file in the directory may hold anything, a token included.

use std::fmt;

use thiserror::Error;

use super::kind::Kind;
use super::text::TextError;
use crate::json::JsonError;

/// How many errors of one file are reported; the rest are counted.
const MAX_REPORTED: usize = 10;

/// Where in a file something is. Entries and pages count from 0, as `jq '.[3]'` does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// An entry of a list, or the only object of the file.
    Entry {
        /// The page the entry is on, if the file holds a list of pages.
        page: Option<usize>,
        /// Its number on the page.
        index: usize,
        /// Its name or the end of its id, if it has one.
        name: Option<Box<str>>,
    },
    /// A member of the groups file.
    Member(Box<str>),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Entry { page, index, name } => {
                if let Some(page) = page {
                    write!(f, "page {page}, ")?;
                }
                write!(f, "entry {index}")?;
                name.as_ref()
                    .map_or(Ok(()), |name| write!(f, " (`{name}`)"))
            }
            Self::Member(name) => write!(f, "member `{name}`"),
        }
    }
}

/// What is wrong with one entry.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum EntryError {
    /// A field is there twice: in two cases, or beside `properties` and inside.
    #[error("field `{0}` is given twice, in two cases or in and beside `properties`")]
    Ambiguous(Box<str>),
    /// Two fields that name the entry say different things.
    #[error("field `{0}` and field `{1}` name different entries")]
    IdMismatch(&'static str, &'static str),
    /// The export may have dropped conditions.
    #[error(
        "no `condition` where a current tool writes one: the export may have dropped conditions; export again with `az role assignment list --all --include-inherited -o json` or `Get-AzRoleAssignment | ConvertTo-Json` of a current release, or with ARM api-version 2022-04-01"
    )]
    Legacy,
    /// A required field is missing or null.
    #[error("field `{field}` is missing; expected {expected}")]
    Missing {
        /// The field.
        field: Box<str>,
        /// What should be there.
        expected: Box<str>,
    },
    /// `type`, id and fields do not agree on what the entry is.
    #[error("looks like a {0} and like a {1}")]
    MixedKinds(Kind, Kind),
    /// Not an object.
    #[error("expected an object, found {0}")]
    NotAnObject(&'static str),
    /// Nothing says what the entry is, or it is something else.
    #[error(
        "not recognised; expected a `type` such as `Microsoft.Authorization/roleAssignments`, an id that ends in `/providers/Microsoft.Authorization/roleAssignments/{{GUID}}`, or PowerShell's fields"
    )]
    UnknownKind,
    /// A field holds something else than it should.
    #[error("field `{field}`: expected {expected}, found {found}")]
    Wrong {
        /// The field.
        field: Box<str>,
        /// What should be there.
        expected: Box<str>,
        /// What is there, in general words.
        found: &'static str,
    },
}

/// Why a file cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum WireError {
    /// An error answer was saved instead of data.
    #[error("expected role data, found the error answer `{0}` of a failed call")]
    ErrorAnswer(Box<str>),
    /// An entry is wrong.
    #[error("{place}: {error}")]
    Entry {
        /// Where.
        place: Place,
        /// What.
        error: EntryError,
    },
    /// A page says that there are more, and going without them would grant too much.
    #[error(
        "{}a non-null `nextLink` says that more {} follow; expected the whole list: join all pages, for example with `jq -s '{{value: (map(.value) | add)}}'`",
        shown(*.page),
        kind.map_or("entries".into(), |kind| format!("{kind}s"))
    )]
    Incomplete {
        /// The page, if the file holds a list of pages.
        page: Option<usize>,
        /// What it lists, if that can be told.
        kind: Option<Kind>,
    },
    /// Not JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// Graph's answer without the principal it is about.
    #[error(
        "expected `{{ \"<principal object id>\": [\"<group object id>\", …] }}`, found a list of ids without a principal"
    )]
    MembersOfNobody,
    /// Not text.
    #[error(transparent)]
    Text(#[from] TextError),
    /// Larger than [`super::MAX_FILE_BYTES`].
    #[error("expected at most {} MiB", super::MAX_FILE_BYTES / (1024 * 1024))]
    TooLarge,
    /// Neither a list nor an object that holds role data.
    #[error(
        "expected a list of entries, `{{\"value\": […]}}`, one entry, or groups by principal; found {0}"
    )]
    Unrecognised(&'static str),
}

fn shown(page: Option<usize>) -> String {
    page.map_or(String::new(), |page| format!("page {page}: "))
}

/// All that is wrong with a file; at least one error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WireErrors {
    first: Vec<WireError>,
    more: usize,
}

impl WireErrors {
    /// The first errors, in the order of the file.
    pub fn first(&self) -> &[WireError] {
        &self.first
    }

    /// Adds an error. The same mistake in many entries is reported once: a wrong kind of file is
    /// wrong throughout.
    pub(super) fn push(&mut self, error: WireError) {
        let same = |one: &WireError| {
            matches!((one, &error),
                (WireError::Entry { error: one, .. }, WireError::Entry { error, .. }) if one == error)
        };
        let known = self.first.iter().any(same);
        if self.first.len() < MAX_REPORTED && !known {
            self.first.push(error);
        } else {
            self.more += 1;
        }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.first.is_empty()
    }
}

impl<E: Into<WireError>> From<E> for WireErrors {
    fn from(error: E) -> Self {
        Self {
            first: vec![error.into()],
            more: 0,
        }
    }
}

impl fmt::Display for WireErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.first.iter().enumerate() {
            if index > 0 {
                f.write_str("; ")?;
            }
            error.fmt(f)?;
        }
        if self.more > 0 {
            write!(f, "; and {} more", self.more)?;
        }
        Ok(())
    }
}

impl std::error::Error for WireErrors {}

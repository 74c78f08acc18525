//! Points in time as conditions write them.

use std::fmt;
use std::str::FromStr;
use std::time::SystemTime;

use thiserror::Error;

/// A text that should have been a point in time.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("expected a point in time such as `2026-01-31T00:00:00.0Z`")]
pub struct DateTimeError;

/// A point in time, to 100 nanoseconds, in the years 1 to 9999 of the Gregorian calendar, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DateTime {
    /// Since the Unix epoch, in units of 100 ns.
    ticks: i64,
}

impl DateTime {
    /// The point in time that is `seconds` after the Unix epoch; `None` past the year 9999.
    pub fn from_unix_seconds(seconds: i64) -> Option<Self> {
        let _ = seconds;
        None
    }
}

impl TryFrom<SystemTime> for DateTime {
    type Error = DateTimeError;

    fn try_from(_time: SystemTime) -> Result<Self, DateTimeError> {
        Err(DateTimeError)
    }
}

impl FromStr for DateTime {
    type Err = DateTimeError;

    /// Reads `yyyy-mm-ddThh:mm:ss[.f]Z` with 1 to 7 digits of fraction.
    fn from_str(_text: &str) -> Result<Self, DateTimeError> {
        Err(DateTimeError)
    }
}

impl fmt::Display for DateTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.ticks)
    }
}

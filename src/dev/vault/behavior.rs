//! What can be set of a vault, and what every vault has unless it is.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

use super::limits::ServiceLimits;

/// How a vault behaves: with the defaults, like a new one in Azure, except that deleting and
/// recovering take no time and nothing is throttled.
#[derive(Clone, Copy, Debug, Default)]
pub struct Behavior {
    /// What becomes of deleted objects.
    pub soft_delete: SoftDelete,
    /// How much is done in ten seconds; `None` for any amount.
    pub limits: Option<ServiceLimits>,
}

/// What becomes of deleted objects.
#[derive(Clone, Copy, Debug, Default)]
pub struct SoftDelete {
    /// How long they can be recovered.
    pub retention: RetentionDays,
    /// Whether nobody can purge them sooner.
    pub purge_protection: bool,
    /// How long an object is being deleted, in whole seconds: it is neither live nor deleted.
    pub deletion: Duration,
    /// How long an object is being recovered, in whole seconds: likewise.
    pub recovery: Duration,
}

impl SoftDelete {
    /// `recoveryLevel` of every object.
    pub(super) fn recovery_level(&self) -> &'static str {
        let customized = self.retention != RetentionDays::default();
        match (customized, self.purge_protection) {
            (false, false) => "Recoverable+Purgeable",
            (false, true) => "Recoverable",
            (true, false) => "CustomizedRecoverable+Purgeable",
            (true, true) => "CustomizedRecoverable",
        }
    }
}

/// Days for which deleted objects are kept: from 7 to 90, and 90 by default.
///
/// Source: <https://learn.microsoft.com/azure/key-vault/general/soft-delete-overview>.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RetentionDays(u8);

/// A number of days that no vault keeps deleted objects for.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("deleted objects are kept for 7 to 90 days, not `{0}`")]
pub struct RetentionError(u8);

impl RetentionDays {
    /// The number of days.
    pub const fn get(self) -> u8 {
        self.0
    }

    pub(super) fn seconds(self) -> i64 {
        i64::from(self.0) * 24 * 3600
    }
}

impl TryFrom<u8> for RetentionDays {
    type Error = RetentionError;

    fn try_from(days: u8) -> Result<Self, RetentionError> {
        match days {
            7..=90 => Ok(Self(days)),
            0..=6 | 91.. => Err(RetentionError(days)),
        }
    }
}

impl Default for RetentionDays {
    fn default() -> Self {
        Self(90)
    }
}

impl fmt::Debug for RetentionDays {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Whole seconds of a duration, for a clock that knows no others.
pub(super) fn whole_seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deleted_objects_are_kept_for_7_to_90_days() {
        for days in [7, 90] {
            assert_eq!(
                RetentionDays::try_from(days).map(RetentionDays::get),
                Ok(days)
            );
        }
        for days in [0, 6, 91, 255] {
            assert_eq!(RetentionDays::try_from(days), Err(RetentionError(days)));
        }
    }
}

//! What time it is.

use crate::abac::vocabulary::Clock;
use crate::abac::{DateTime, Scalar, Values};

use super::{Facts, integer, text};

/// One reading of the clock.
pub(super) fn read<'a>(facts: &Facts<'_>, reading: Clock) -> Option<Values<'a>> {
    match reading {
        Clock::UtcNow => {
            let now = DateTime::try_from(facts.now).ok()?;
            Some(Values::One(Scalar::DateTime(now)))
        }
        Clock::DayOfWeek => facts.local_time.map(|time| text(time.day_of_week)),
        Clock::Hour => facts.local_time.map(|time| integer(i64::from(time.hour))),
    }
}

/// How many seconds ago the user signed in. An issuer whose clock is ahead of ours by a moment
/// makes it 0, not missing.
pub(super) fn age_seconds(facts: &Facts<'_>) -> Option<i64> {
    let signed_in = facts.claims.evidence.authenticated_at?;
    let age = facts.now.duration_since(signed_in).unwrap_or_default();
    i64::try_from(age.as_secs()).ok()
}

//! Periods of time as policies write them: ISO 8601, with months and years as long as they are.

use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};
use serde::{Deserialize, Serialize};

use crate::dev::vault::failure::Failure;

/// A period that is longer than nothing, such as `P90D` or `P1Y10D`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(try_from = "String", into = "String")]
pub(super) struct Period {
    /// As the client wrote it, and has it back.
    text: String,
    span: Span,
}

impl Period {
    /// Reads the period of the property `name`.
    pub(super) fn read(name: &str, text: String) -> Result<Self, Failure> {
        Self::try_from(text).map_err(|_| {
            Failure::bad_parameter(format!(
                "The property '{name}' must be a period in ISO 8601, such as 'P90D'."
            ))
        })
    }

    /// As the client wrote it.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The time that is this long after `time`, in seconds since 1970.
    pub(super) fn after(&self, time: i64) -> i64 {
        moved(time, self.span).unwrap_or(i64::MAX)
    }

    /// The time that is this long before `time`, in seconds since 1970.
    pub(super) fn before(&self, time: i64) -> i64 {
        moved(time, -self.span).unwrap_or(i64::MIN)
    }
}

/// Jiff also reads `90 days`, which is not ISO 8601, and `-P90D`, which no policy can mean.
impl TryFrom<String> for Period {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, &'static str> {
        let span = text.parse::<Span>().ok().filter(|span| {
            // Whatever the calendar can hold from 1970 on.
            text.starts_with('P') && span.is_positive() && moved(0, *span).is_ok()
        });
        match span {
            Some(span) => Ok(Self { text, span }),
            None => Err("not a period in ISO 8601"),
        }
    }
}

impl From<Period> for String {
    fn from(period: Period) -> Self {
        period.text
    }
}

fn moved(time: i64, span: Span) -> Result<i64, jiff::Error> {
    let time = Timestamp::from_second(time)?.to_zoned(TimeZone::UTC);
    Ok(time.checked_add(span)?.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: i64 = 24 * 3600;

    #[test]
    fn a_period_is_as_long_as_the_calendar_makes_it() {
        // 2024-01-31.
        let january = 1_706_659_200;
        for (text, days) in [
            ("P7D", 7),
            ("P1W", 7),
            ("PT48H", 2),
            ("P1M", 29),
            ("P1Y", 366),
        ] {
            let period = Period::try_from(text.to_owned()).unwrap();
            assert_eq!(period.after(january), january + days * DAY, "{text}");
            assert_eq!(period.text(), text);
        }
        let year = Period::try_from("P1Y".to_owned()).unwrap();
        assert_eq!(year.before(january), january - 365 * DAY);
    }

    #[test]
    fn what_is_no_period_of_iso_8601_is_refused() {
        for text in [
            "", "P", "90 days", "-P90D", "P0D", "90D", "P90", "P99999Y", "p 9 d",
        ] {
            let failure = Period::read("expiryTime", text.to_owned()).unwrap_err();
            assert_eq!(failure.status, http::StatusCode::BAD_REQUEST, "{text}");
        }
    }
}

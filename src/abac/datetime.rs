//! Points in time as conditions write them.
//!
//! Source: <https://learn.microsoft.com/azure/role-based-access-control/conditions-format#datetime-comparison-operators>.

use std::fmt;
use std::str::FromStr;
use std::time::{SystemTime, UNIX_EPOCH};

use thiserror::Error;

const TICKS_PER_SECOND: i64 = 10_000_000;
const SECONDS_PER_DAY: i64 = 86_400;
/// Digits of a second's fraction: one tick is the last of them.
const FRACTION_DIGITS: usize = 7;
/// `0001-01-01T00:00:00Z`, in seconds since the Unix epoch.
const FIRST_SECOND: i64 = -62_135_596_800;
/// `9999-12-31T23:59:59Z`, in seconds since the Unix epoch.
const LAST_SECOND: i64 = 253_402_300_799;

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
    /// The point in time that is `seconds` after the Unix epoch; `None` outside of the years 1 to
    /// 9999.
    pub fn from_unix_seconds(seconds: i64) -> Option<Self> {
        Self::new(seconds, 0)
    }

    /// `seconds` after the Unix epoch, rounded down, and `ticks` more, of which a second has
    /// [`TICKS_PER_SECOND`].
    fn new(seconds: i64, ticks: i64) -> Option<Self> {
        if !(FIRST_SECOND..=LAST_SECOND).contains(&seconds) {
            return None;
        }
        let ticks = seconds.checked_mul(TICKS_PER_SECOND)?.checked_add(ticks)?;
        Some(Self { ticks })
    }
}

impl TryFrom<SystemTime> for DateTime {
    type Error = DateTimeError;

    /// Rounds down to 100 ns.
    fn try_from(time: SystemTime) -> Result<Self, DateTimeError> {
        let nanoseconds = match time.duration_since(UNIX_EPOCH) {
            Ok(after) => i128::try_from(after.as_nanos()),
            Err(before) => i128::try_from(before.duration().as_nanos()).map(|n| -n),
        };
        let ticks = nanoseconds.map_err(|_| DateTimeError)?.div_euclid(100);
        let per_second = i128::from(TICKS_PER_SECOND);
        let seconds = i64::try_from(ticks.div_euclid(per_second)).map_err(|_| DateTimeError)?;
        let rest = i64::try_from(ticks.rem_euclid(per_second)).map_err(|_| DateTimeError)?;
        Self::new(seconds, rest).ok_or(DateTimeError)
    }
}

impl FromStr for DateTime {
    type Err = DateTimeError;

    /// Reads `yyyy-mm-ddThh:mm:ss[.f]Z` with 1 to 7 digits of fraction.
    fn from_str(text: &str) -> Result<Self, DateTimeError> {
        read(text).ok_or(DateTimeError)
    }
}

fn read(text: &str) -> Option<DateTime> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let (time, ticks) = match time.split_once('.') {
        Some((time, fraction)) => (time, ticks_of(fraction)?),
        None => (time, 0),
    };
    let [year, month, day] = fields(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = fields(time, ':', [2, 2, 2])?;
    let real = (1..=9999).contains(&year)
        && (1..=12).contains(&month)
        && (1..=days_in(year, month)).contains(&day)
        && hour < 24
        && minute < 60
        && second < 60;
    let seconds =
        days_since_epoch(year, month, day) * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
    if real {
        DateTime::new(seconds, ticks)
    } else {
        None
    }
}

/// Three numbers of so many digits, joined by `separator`.
fn fields(text: &str, separator: char, widths: [usize; 3]) -> Option<[i64; 3]> {
    let mut parts = text.split(separator);
    let [first, second, third] = widths.map(|width| {
        let part = parts.next().filter(|part| part.len() == width);
        part.and_then(digits)
    });
    let fields = [first?, second?, third?];
    parts.next().is_none().then_some(fields)
}

/// A number of up to seven decimal digits, without a sign.
fn digits(text: &str) -> Option<i64> {
    let all = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if all { text.parse().ok() } else { None }
}

/// The fraction of a second, in ticks.
fn ticks_of(fraction: &str) -> Option<i64> {
    if fraction.len() > FRACTION_DIGITS {
        return None;
    }
    let missing = FRACTION_DIGITS - fraction.len();
    let scale = 10_i64.checked_pow(u32::try_from(missing).ok()?)?;
    digits(fraction)?.checked_mul(scale)
}

fn days_in(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days from 1970-01-01 to a date, counted in years that begin in March, so that the leap day is
/// the last.
fn days_since_epoch(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
    year * 365 + leap_days + day_of_year - 719_468
}

/// Year, month and day of the date that is `days` after 1970-01-01: [`days_since_epoch`] backwards.
fn date_of(days: i64) -> (i64, i64, i64) {
    const DAYS_IN_400_YEARS: i64 = 146_097;
    let days = days + 719_468;
    let era = days.div_euclid(DAYS_IN_400_YEARS);
    let day = days.rem_euclid(DAYS_IN_400_YEARS);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month + 2) / 5 + 1;
    let year = year + era * 400;
    if month < 10 {
        (year, month + 3, day)
    } else {
        (year + 1, month - 9, day)
    }
}

impl fmt::Display for DateTime {
    /// As conditions write it, with one to seven digits of fraction.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.ticks.div_euclid(TICKS_PER_SECOND);
        let fraction = format!("{:07}", self.ticks.rem_euclid(TICKS_PER_SECOND));
        let fraction = match fraction.trim_end_matches('0') {
            "" => "0",
            digits => digits,
        };
        let (year, month, day) = date_of(seconds.div_euclid(SECONDS_PER_DAY));
        let second = seconds.rem_euclid(SECONDS_PER_DAY);
        let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T")?;
        write!(f, "{hour:02}:{minute:02}:{second:02}.{fraction}Z")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> DateTime {
        text.parse().unwrap()
    }

    #[test]
    fn known_points_in_time_are_read() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00Z", 0),
            ("0001-01-01T00:00:00.0Z", FIRST_SECOND),
            ("9999-12-31T23:59:59.0Z", LAST_SECOND),
            ("2000-02-29T12:00:00.000Z", 951_825_600),
            ("2038-01-19T03:14:07Z", 2_147_483_647),
            ("1969-12-31T23:59:59Z", -1),
        ] {
            assert_eq!(
                DateTime::from_unix_seconds(seconds).unwrap(),
                read(text),
                "{text}"
            );
        }
    }

    #[test]
    fn fractions_count_to_one_tick() {
        assert_eq!(
            read("2022-06-01T23:38:32.8883645Z").ticks % 10_000_000,
            8_883_645
        );
        assert_eq!(read("2022-06-01T00:00:00.5Z").ticks % 10_000_000, 5_000_000);
        assert!(read("2022-06-01T00:00:00.0000001Z") > read("2022-06-01T00:00:00.0Z"));
    }

    #[test]
    fn what_is_not_a_real_point_in_time_is_refused() {
        for text in [
            "",
            "2026-01-31",
            "2026-01-31T00:00:00",
            "2026-01-31T00:00:00z",
            "2026-01-31t00:00:00Z",
            "2026-01-31 00:00:00Z",
            "2026-01-31T00:00:00+00:00",
            "2026-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2026-04-31T00:00:00Z",
            "2026-00-01T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-00T00:00:00Z",
            "2026-01-31T24:00:00Z",
            "2026-01-31T00:60:00Z",
            "2026-01-31T00:00:60Z",
            "2026-01-31T00:00:00.Z",
            "2026-01-31T00:00:00.12345678Z",
            "2026-01-31T00:00:00.+1Z",
            "0000-01-01T00:00:00Z",
            "+026-01-31T00:00:00Z",
            "12026-01-31T00:00:00Z",
            "2026-1-31T00:00:00Z",
            "2026-01-31-01T00:00:00Z",
            "٢٠٢٦-01-31T00:00:00Z",
        ] {
            assert_eq!(text.parse::<DateTime>(), Err(DateTimeError), "{text}");
        }
    }

    #[test]
    fn the_clock_is_read_to_the_tick_below() {
        let at = |nanoseconds| UNIX_EPOCH + Duration::from_nanos(nanoseconds);
        assert_eq!(DateTime::try_from(at(199)).unwrap().ticks, 1);
        let before = UNIX_EPOCH - Duration::from_nanos(1);
        assert_eq!(DateTime::try_from(before).unwrap().ticks, -1);
        let late = UNIX_EPOCH + Duration::from_secs(LAST_SECOND.unsigned_abs() + 1);
        assert_eq!(DateTime::try_from(late), Err(DateTimeError));
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_again(
            seconds in FIRST_SECOND..=LAST_SECOND,
            ticks in 0..TICKS_PER_SECOND,
        ) {
            let time = DateTime::new(seconds, ticks).unwrap();
            prop_assert_eq!(time.to_string().parse(), Ok(time));
        }

        #[test]
        fn the_order_of_texts_is_the_order_in_time(
            a in FIRST_SECOND..=LAST_SECOND,
            b in FIRST_SECOND..=LAST_SECOND,
        ) {
            let text = |seconds| DateTime::from_unix_seconds(seconds).unwrap().to_string();
            prop_assert_eq!(a.cmp(&b), text(a).cmp(&text(b)));
        }
    }
}

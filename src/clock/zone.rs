//! Days and hours where people live.

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::{TimeZone, TimeZoneDatabase};

use crate::attributes::LocalTime;

/// A time zone of the IANA database. The default is UTC.
///
/// The database is compiled in: the same release tells the same time on every machine, also in a
/// container without files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone(TimeZone);

impl Default for Zone {
    fn default() -> Self {
        Self(TimeZone::UTC)
    }
}

impl Zone {
    /// The zone with this name, such as `Europe/Berlin`, whatever its case.
    pub fn named(name: &str) -> Option<Self> {
        let zone = TimeZoneDatabase::bundled().get(name).ok()?;
        // `Etc/Unknown` stands for a zone that nobody knows.
        (!zone.is_unknown()).then_some(Self(zone))
    }

    /// The day of the week and the hour at `now`; `None` outside the years -9999 to 9999.
    ///
    /// An hour that the clocks repeat is told twice, one that they leave out is never told.
    pub fn local_time(&self, now: SystemTime) -> Option<LocalTime> {
        let local = Timestamp::try_from(now).ok()?.to_zoned(self.0.clone());
        Some(LocalTime {
            day_of_week: name(local.weekday()),
            hour: u8::try_from(local.hour()).ok()?,
        })
    }
}

const fn name(day: Weekday) -> &'static str {
    match day {
        Weekday::Monday => "Monday",
        Weekday::Tuesday => "Tuesday",
        Weekday::Wednesday => "Wednesday",
        Weekday::Thursday => "Thursday",
        Weekday::Friday => "Friday",
        Weekday::Saturday => "Saturday",
        Weekday::Sunday => "Sunday",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[track_caller]
    fn assert_local(zone: &str, utc: &str, day_of_week: &'static str, hour: u8) {
        let now = SystemTime::from(utc.parse::<Timestamp>().unwrap());
        let expected = Some(LocalTime { day_of_week, hour });
        assert_eq!(
            Zone::named(zone).unwrap().local_time(now),
            expected,
            "{utc}"
        );
    }

    #[test]
    fn the_hour_that_summer_time_leaves_out_is_never_told() {
        let zone = "Europe/Berlin";
        assert_local(zone, "2026-03-29T00:59:59Z", "Sunday", 1);
        assert_local(zone, "2026-03-29T01:00:00Z", "Sunday", 3);
    }

    #[test]
    fn the_hour_that_winter_time_repeats_is_told_twice() {
        let zone = "Europe/Berlin";
        assert_local(zone, "2026-10-25T00:30:00Z", "Sunday", 2);
        assert_local(zone, "2026-10-25T01:30:00Z", "Sunday", 2);
        assert_local(zone, "2026-10-25T02:30:00Z", "Sunday", 3);
    }

    #[test]
    fn the_day_is_the_one_of_the_zone() {
        // 2026-07-31 is a Friday.
        assert_local("UTC", "2026-07-31T23:30:00Z", "Friday", 23);
        assert_local("Europe/Berlin", "2026-07-31T23:30:00Z", "Saturday", 1);
        assert_local("America/New_York", "2026-08-01T03:59:59Z", "Friday", 23);
        assert_local("Asia/Kathmandu", "2026-07-31T18:15:00Z", "Saturday", 0);
    }

    #[test]
    fn times_before_1970_are_told_too() {
        let early = SystemTime::UNIX_EPOCH - Duration::from_millis(500);
        let expected = LocalTime {
            day_of_week: "Wednesday",
            hour: 23,
        };
        assert_eq!(Zone::default().local_time(early), Some(expected));
    }

    #[test]
    fn a_time_beyond_the_calendar_is_not_told() {
        let late = SystemTime::UNIX_EPOCH + Duration::from_secs(400_000_000_000);
        assert_eq!(Zone::default().local_time(late), None);
    }

    #[test]
    fn unknown_zones_have_no_name_here() {
        for name in ["", "Europe/Atlantis", "Etc/Unknown", "CET+1", "../UTC"] {
            assert_eq!(Zone::named(name), None, "{name}");
        }
        assert_eq!(Zone::named("utc"), Some(Zone::default()));
    }
}

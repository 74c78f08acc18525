//! The spellings of a time in exports.

use std::time::SystemTime;

use jiff::Timestamp;

/// What a time looks like, for errors.
pub(super) const EXPECTED: &str =
    "a time with an offset such as `2026-03-02T09:14:22.4567890Z` or `/Date(1772442862456)/`";

/// Reads a time: RFC 3339 with any offset and up to nine digits of fraction (ARM writes seven,
/// `az` writes `+00:00`), or Windows PowerShell's milliseconds since 1970.
///
/// A time without an offset is `None`: it would mean different instants on different machines.
pub(super) fn parse(text: &str) -> Option<SystemTime> {
    let timestamp = match text.strip_prefix("/Date(") {
        Some(rest) => milliseconds(rest.strip_suffix(")/")?)?,
        None if text.contains('[') => return None,
        None => text.parse().ok()?,
    };
    Some(timestamp.into())
}

/// `1772442862456` or `1772442862456+0100`: the offset is for show and changes no instant.
fn milliseconds(text: &str) -> Option<Timestamp> {
    let offset = text.rfind(['+', '-']).filter(|&at| at > 0);
    let (digits, offset) = offset.map_or((text, ""), |at| text.split_at(at));
    let offset = offset.get(1..).unwrap_or("");
    if !matches!(offset.len(), 0 | 4) || !offset.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    Timestamp::from_millisecond(digits.parse().ok()?).ok()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_same_instant_is_read_from_every_spelling() {
        let instant = SystemTime::UNIX_EPOCH + Duration::from_millis(1_772_442_862_456);
        for text in [
            "2026-03-02T09:14:22.4560000Z",
            "2026-03-02T09:14:22.456Z",
            "2026-03-02T09:14:22.456000+00:00",
            "2026-03-02T11:14:22.456+02:00",
            "/Date(1772442862456)/",
            "/Date(1772442862456+0200)/",
            "/Date(1772442862456-0500)/",
        ] {
            assert_eq!(parse(text), Some(instant), "{text}");
        }
        let before = SystemTime::UNIX_EPOCH - Duration::from_millis(1);
        assert_eq!(parse("/Date(-1)/"), Some(before));
    }

    #[test]
    fn other_texts_are_no_times() {
        for text in [
            "",
            "2026-03-02",
            "2026-03-02T09:14:22",
            "2026-02-30T09:14:22Z",
            "2026-03-02T09:14:22Z[Europe/Berlin]",
            "03/02/2026 09:14:22",
            "/Date()/",
            "/Date(1+02)/",
            "/Date(99999999999999999999)/",
            "/Date(1772442862456)",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}

//! Times as senders write them.

use super::table::TimeFormat;
use chrono::{DateTime, Utc};

/// The instant; `None` if it is written otherwise. Strict, because a proof's time is text that two sides must read alike:
/// digits only, no sign, no fraction, no spaces.
pub(super) fn instant(text: &str, format: TimeFormat) -> Option<DateTime<Utc>> {
    let number = || {
        (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
            .then(|| text.parse::<i64>().ok())
            .flatten()
    };
    match format {
        TimeFormat::Unix => DateTime::from_timestamp(number()?, 0),
        TimeFormat::UnixMs => DateTime::from_timestamp_millis(number()?),
        TimeFormat::Rfc2822 => DateTime::parse_from_rfc2822(text).ok().map(|at| at.to_utc()),
        TimeFormat::Rfc3339 => DateTime::parse_from_rfc3339(text).ok().map(|at| at.to_utc()),
    }
}

/// How many whole seconds `at` is from `now`, if that is outside the bounds; negative is the past.
pub(super) fn outside(at: DateTime<Utc>, now: DateTime<Utc>, past: u32, future: u32) -> Option<i64> {
    // Seconds on both sides: senders round, and 300 s old must be 300 s old.
    let off = at.timestamp().checked_sub(now.timestamp())?;
    (off < -i64::from(past) || off > i64::from(future)).then_some(off)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_digits_are_a_unix_time() {
        assert_eq!(instant("1760000000", TimeFormat::Unix).unwrap().timestamp(), 1_760_000_000);
        assert_eq!(instant("1760000000123", TimeFormat::UnixMs).unwrap().timestamp(), 1_760_000_000);
        for text in ["", "+1", "-1", " 1", "1.0", "1x", "99999999999999999999"] {
            assert_eq!(instant(text, TimeFormat::Unix), None, "{text}");
        }
        assert!(instant("2025-10-09T08:53:20.123456789Z", TimeFormat::Rfc3339).is_some());
        assert!(instant("2025-10-09 08:53", TimeFormat::Rfc3339).is_none());
    }

    #[test]
    fn bounds_are_inclusive() {
        let now = DateTime::from_timestamp(1000, 999_000_000).unwrap();
        for (at, off) in [(700, None), (699, Some(-301)), (1300, None), (1301, Some(301))] {
            assert_eq!(outside(DateTime::from_timestamp(at, 0).unwrap(), now, 300, 300), off);
        }
    }
}

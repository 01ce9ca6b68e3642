//! Times as people write them.

use chrono::{DateTime, TimeDelta, Utc};

/// A time, or how long ago.
pub(super) fn since(text: &str) -> Result<DateTime<Utc>, String> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    let refused = || "must be a time such as 2026-11-22T10:00:00Z, or '24 hours ago'".to_owned();
    let words: Vec<&str> = text.split_whitespace().collect();
    let (count, unit) = match words[..] {
        [count, unit, "ago"] => (count.parse::<i64>().map_err(|_| refused())?, unit),
        _ => return Err(refused()),
    };
    let span = match unit.trim_end_matches('s') {
        "second" => TimeDelta::try_seconds(count),
        "minute" => TimeDelta::try_minutes(count),
        "hour" => TimeDelta::try_hours(count),
        "day" => TimeDelta::try_days(count),
        "week" => TimeDelta::try_weeks(count),
        _ => None,
    };
    span.and_then(|span| Utc::now().checked_sub_signed(span)).ok_or_else(refused)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_or_counted_back() {
        assert_eq!(since("2026-11-22T10:00:00+03:00").unwrap().to_rfc3339(), "2026-11-22T07:00:00+00:00");
        let ago = |text| {
            let then = since(text).unwrap();
            Utc::now() - then
        };
        assert_eq!(ago("24 hours ago").num_minutes(), 24 * 60);
        assert_eq!(ago("1 minute ago").num_seconds(), 60);
        for bad in
            ["", "yesterday", "x hours ago", "24 hours", "24 moons ago", "9223372036854775807 weeks ago"]
        {
            assert!(since(bad).is_err(), "{bad}");
        }
    }
}

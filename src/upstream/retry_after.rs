//! How long an upstream wants to be left alone, by the headers of its reply.

use chrono::{DateTime, Utc};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use std::time::Duration;

/// No reply keeps us away for longer: a wrong clock or a typing error there must not stop the sync for a day.
pub(super) const LONGEST: Duration = Duration::from_secs(600);

/// How long to wait after this reply; `None` if its headers do not say. At most [`LONGEST`], never zero.
///
/// A refusal (429, 503) counts with any of the headers, the longest of them. `MoySklad` sends its own ones with every
/// reply; on any other status they count only where they say that the next call would be refused.
pub(super) fn wait(status: u16, headers: &HeaderMap, now: DateTime<Utc>) -> Option<Duration> {
    let lognex = |name| text(headers, name).and_then(milliseconds);
    let waits = match status {
        429 => [
            text(headers, RETRY_AFTER.as_str()).and_then(|value| retry_after(value, now)),
            lognex("x-lognex-retry-after"),
            lognex("x-lognex-reset"),
        ],
        503 => [text(headers, RETRY_AFTER.as_str()).and_then(|value| retry_after(value, now)), None, None],
        _ if text(headers, "x-ratelimit-remaining") == Some("0") => {
            [lognex("x-lognex-retry-after"), None, None]
        }
        _ => return None,
    };
    waits.into_iter().flatten().max().filter(|wait| !wait.is_zero()).map(|wait| wait.min(LONGEST))
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok().map(str::trim)
}

/// RFC 9110, 10.2.3: whole seconds, or a date in the form that senders must use.
fn retry_after(value: &str, now: DateTime<Utc>) -> Option<Duration> {
    if let Some(seconds) = number(value) {
        return Some(Duration::from_secs(seconds));
    }
    let date = DateTime::parse_from_rfc2822(value).ok()?;
    Some((date.with_timezone(&Utc) - now).to_std().unwrap_or_default())
}

/// Unlike Retry-After, `MoySklad` counts milliseconds, and from now: 0 means not limited.
fn milliseconds(value: &str) -> Option<Duration> {
    number(value).map(Duration::from_millis)
}

/// Digits only: `u64::from_str` would take a plus sign. More digits than fit are as good as for ever.
fn number(value: &str) -> Option<u64> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| value.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use reqwest::header::{HeaderName, HeaderValue};

    /// Sunday, 6 November 1994, 08:49:37 GMT: the example of RFC 9110.
    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(784_111_777, 0).unwrap()
    }

    fn wait_of(status: u16, lines: &[(&str, &str)]) -> Option<Duration> {
        let mut headers = HeaderMap::new();
        for (name, value) in lines {
            headers.insert(name.parse::<HeaderName>().unwrap(), HeaderValue::from_str(value).unwrap());
        }
        wait(status, &headers, now())
    }

    #[test]
    fn retry_after_counts_seconds() {
        assert_eq!(wait_of(429, &[("Retry-After", "3")]), Some(Duration::from_secs(3)));
        assert_eq!(wait_of(503, &[("Retry-After", " 3 ")]), Some(Duration::from_secs(3)));
    }

    #[test]
    fn retry_after_may_be_a_date() {
        let later = [("Retry-After", "Sun, 06 Nov 1994 08:49:57 GMT")];
        assert_eq!(wait_of(429, &later), Some(Duration::from_secs(20)));
        let past = [("Retry-After", "Sun, 06 Nov 1994 08:49:07 GMT")];
        assert_eq!(wait_of(429, &past), None, "a date that is over asks for nothing");
    }

    #[test]
    fn lognex_headers_count_milliseconds() {
        assert_eq!(wait_of(429, &[("X-Lognex-Retry-After", "250")]), Some(Duration::from_millis(250)));
        assert_eq!(wait_of(429, &[("X-Lognex-Reset", "1500")]), Some(Duration::from_millis(1500)));
        assert_eq!(wait_of(429, &[("X-Lognex-Retry-After", "0")]), None, "zero means not limited");
    }

    #[test]
    fn the_longest_of_several_waits_counts() {
        let all = [("Retry-After", "1"), ("X-Lognex-Retry-After", "2500"), ("X-Lognex-Reset", "0")];
        assert_eq!(wait_of(429, &all), Some(Duration::from_millis(2500)));
    }

    #[test]
    fn a_success_asks_for_a_pause_only_when_nothing_remains() {
        let empty = [("X-RateLimit-Remaining", "0"), ("X-Lognex-Retry-After", "700")];
        assert_eq!(wait_of(200, &empty), Some(Duration::from_millis(700)));
        let left = [("X-RateLimit-Remaining", "1"), ("X-Lognex-Retry-After", "700")];
        assert_eq!(wait_of(200, &left), None);
        let not_limited = [("X-RateLimit-Remaining", "0"), ("X-Lognex-Retry-After", "0")];
        assert_eq!(wait_of(200, &not_limited), None);
        assert_eq!(wait_of(200, &[("Retry-After", "9")]), None, "not a refusal");
    }

    #[test]
    fn absurd_waits_are_capped() {
        for value in ["86400", "99999999999999999999999999", "Fri, 31 Dec 9999 23:59:59 GMT"] {
            assert_eq!(wait_of(429, &[("Retry-After", value)]), Some(LONGEST), "{value}");
        }
    }

    #[test]
    fn nonsense_says_nothing() {
        for value in ["", "-1", "+5", "1.5", "soon", "1e9", "0x10", "\u{7f}"] {
            let headers = HeaderMap::from_iter([(
                RETRY_AFTER,
                HeaderValue::from_bytes(value.as_bytes())
                    .unwrap_or_else(|_| HeaderValue::from_static("nothing")),
            )]);
            assert_eq!(wait(429, &headers, now()), None, "{value}");
        }
    }

    proptest! {
        #[test]
        fn any_header_gives_a_sane_wait(
            status in prop_oneof![Just(429_u16), Just(503), Just(200), any::<u16>()],
            value in prop_oneof!["[0-9]{0,30}", "\\PC{0,40}", "[A-Z][a-z]{2}, [0-9]{1,2} [A-Z][a-z]{2} [0-9]{1,6} [0-9:]{1,8} GMT"],
            name in prop_oneof![Just("retry-after"), Just("x-lognex-retry-after"), Just("x-lognex-reset")],
            seconds in -100_000_000_000_i64..100_000_000_000,
        ) {
            let mut headers = HeaderMap::new();
            headers.insert("x-ratelimit-remaining", HeaderValue::from_static("0"));
            if let Ok(value) = HeaderValue::from_bytes(value.as_bytes()) {
                headers.insert(name, value);
            }
            let now = DateTime::from_timestamp(seconds, 0).unwrap_or_default();
            if let Some(wait) = wait(status, &headers, now) {
                prop_assert!(wait > Duration::ZERO && wait <= LONGEST);
            }
        }
    }
}

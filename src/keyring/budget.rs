//! How many things that nobody knew are fetched within a minute.
//!
//! Whoever may call can name certificates and keys that do not exist, each of which would be a fetch. What has been
//! fetched before is not counted: a flood must not keep a known key from being renewed.

use chrono::{DateTime, Duration, Utc};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// New things of one host, and of all hosts, within a minute. A provider changes its certificate once a year and its
/// keys once a day.
const OF_ONE_HOST: u32 = 10;
const OF_ALL_HOSTS: u32 = 120;

#[derive(Default)]
pub(super) struct Budget(Mutex<Minute>);

#[derive(Default)]
struct Minute {
    since: Option<DateTime<Utc>>,
    all: u32,
    /// Not more than all fetches of the minute.
    hosts: HashMap<String, u32>,
}

impl Budget {
    /// Whether one more may be fetched.
    pub(super) fn take(&self, host: &str, now: DateTime<Utc>) -> bool {
        let mut minute = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let runs = minute.since.is_some_and(|since| since <= now && now < since + Duration::minutes(1));
        if !runs {
            *minute = Minute { since: Some(now), ..Minute::default() };
        }
        let taken = minute.hosts.get(host).copied().unwrap_or_default();
        if minute.all >= OF_ALL_HOSTS || taken >= OF_ONE_HOST {
            return false;
        }
        minute.all += 1;
        minute.hosts.insert(host.to_owned(), taken + 1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_has_room_for_a_few() {
        let (budget, now) = (Budget::default(), Utc::now());
        let taken = |host: &str, seconds| {
            (0..1000).filter(|_| budget.take(host, now + Duration::seconds(seconds))).count()
        };
        assert_eq!(taken("a", 0), 10);
        assert_eq!(taken("a", 59), 0);
        assert_eq!(taken("b", 59), 10, "another host has its own");
        assert_eq!(taken("a", 60), 10);
        assert_eq!(taken("a", -1), 10, "a clock that was set back");
        let all = (0..1000).filter(|host| budget.take(&host.to_string(), now + Duration::hours(1))).count();
        assert_eq!(all, 120);
        assert!(budget.0.lock().unwrap().hosts.len() <= 120);
    }
}

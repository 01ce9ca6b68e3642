//! Replies that are used again for a while. In memory only: they hold personal data.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// More are not kept; what a burst of leads needs is far below.
const CAPACITY: usize = 1000;

/// Values that expire.
pub(super) struct Cache<V> {
    life: Duration,
    entries: Mutex<HashMap<String, (Instant, V)>>,
}

impl<V: Clone> Cache<V> {
    /// An empty cache whose values live this long.
    pub(super) fn new(life: Duration) -> Self {
        Self { life, entries: Mutex::default() }
    }

    /// The value, unless it has expired.
    pub(super) fn get(&self, key: &str) -> Option<V> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.get(key).filter(|entry| entry.0.elapsed() < self.life).map(|entry| entry.1.clone())
    }

    /// Keeps a value; a full cache drops what has expired, else all.
    pub(super) fn put(&self, key: String, value: V) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if entries.len() >= CAPACITY {
            entries.retain(|_, entry| entry.0.elapsed() < self.life);
        }
        if entries.len() >= CAPACITY {
            entries.clear();
        }
        entries.insert(key, (Instant::now(), value));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_kept_until_they_expire() {
        let cache = Cache::new(Duration::from_secs(60));
        cache.put("a".to_owned(), 1);
        assert_eq!(cache.get("a"), Some(1));
        assert_eq!(cache.get("b"), None);
        let expired = Cache::new(Duration::ZERO);
        expired.put("a".to_owned(), 1);
        assert_eq!(expired.get("a"), None);
    }

    #[test]
    fn it_never_holds_more_than_its_capacity() {
        let cache = Cache::new(Duration::from_secs(60));
        for key in 0..=CAPACITY {
            cache.put(key.to_string(), key);
        }
        assert!(cache.entries.lock().unwrap().len() <= CAPACITY);
        assert_eq!(cache.get(&CAPACITY.to_string()), Some(CAPACITY));
    }
}

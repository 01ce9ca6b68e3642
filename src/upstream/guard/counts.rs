//! How often a thing happened within the last minute, for many things at once, in bounded memory.

use std::collections::{HashMap, VecDeque};
use std::hash::Hash;
use std::time::Duration;
use tokio::time::Instant;

/// What is counted is counted over this time, and held for as long.
pub(super) const WINDOW: Duration = Duration::from_secs(60);
/// Kinds of failures, and things written, that are remembered at once.
pub(super) const MOST: usize = 1024;

/// What happened within the last minute, and until when no more of it shall.
#[derive(Default)]
pub(super) struct Count {
    times: VecDeque<Instant>,
    held: Option<Instant>,
}

/// The same of many things.
pub(super) struct Counts<K>(HashMap<K, Count>);

impl<K> Default for Counts<K> {
    fn default() -> Self {
        Self(HashMap::new())
    }
}

impl Count {
    /// Counts one; true when it is the last that fits into the window.
    pub(super) fn add(&mut self, now: Instant, most: u32) -> bool {
        if most == u32::MAX {
            return false;
        }
        while self.times.front().is_some_and(|time| now - *time >= WINDOW) {
            self.times.pop_front();
        }
        self.times.push_back(now);
        let is_full = self.times.len() >= most as usize;
        if is_full {
            self.times.clear();
            self.held = Some(now + WINDOW);
        }
        is_full
    }

    fn is_idle(&self, now: Instant) -> bool {
        self.held.is_none_or(|until| until <= now)
            && self.times.back().is_none_or(|time| now - *time >= WINDOW)
    }
}

impl<K: Hash + Eq + Copy> Counts<K> {
    /// Counts one of this thing; true when it is the last that fits into the window.
    pub(super) fn add(&mut self, key: K, now: Instant, most: u32) -> bool {
        if self.0.len() >= MOST && !self.0.contains_key(&key) {
            self.0.retain(|_, count| !count.is_idle(now));
            // Within a minute nobody makes so many calls but a test: the one furthest from its threshold is forgotten.
            if self.0.len() >= MOST
                && let Some(least) = self
                    .0
                    .iter()
                    .min_by_key(|(_, count)| (count.held, count.times.len()))
                    .map(|(key, _)| *key)
            {
                self.0.remove(&least);
            }
        }
        self.0.entry(key).or_default().add(now, most)
    }

    /// How many more of this thing fit into the window, of `most`.
    pub(super) fn left(&self, key: &K, now: Instant, most: u32) -> u32 {
        let Some(count) = self.0.get(key) else { return most };
        if count.held.is_some_and(|until| until > now) {
            return 0;
        }
        let within = count.times.iter().filter(|time| now - **time < WINDOW).count();
        most.saturating_sub(u32::try_from(within).unwrap_or(u32::MAX))
    }

    /// Until when no more of this thing shall happen.
    pub(super) fn held(&self, key: &K, now: Instant) -> Option<Instant> {
        self.0.get(key)?.held.filter(|until| *until > now)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

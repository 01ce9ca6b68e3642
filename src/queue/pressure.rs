//! How busy the receiver of this process is, so that its workers step back while acknowledgements wait.
//!
//! A provider gives up after seconds, a queue can wait: under a flood the processor belongs to the door, and what it lets in
//! is worked off afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Requests that share a commit when acknowledgements begin to wait for the processor.
const BUSY: usize = 8;
/// A flood is over when no commit has been shared so widely for this long: batches vary within it.
const MEMORY_MILLIS: u64 = 100;

/// The load at the door. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub struct Pressure(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    begin: Instant,
    /// In milliseconds after `begin`.
    high_until: AtomicU64,
}

impl Default for Pressure {
    fn default() -> Self {
        Self(Arc::new(Inner { begin: Instant::now(), high_until: AtomicU64::new(0) }))
    }
}

impl Pressure {
    /// So many requests shared the last commit.
    pub fn note(&self, batch: usize) {
        self.note_at(batch, self.now());
    }

    /// Whether acknowledgements wait for each other now.
    pub fn is_high(&self) -> bool {
        self.is_high_at(self.now())
    }

    fn note_at(&self, batch: usize, millis: u64) {
        if batch >= BUSY {
            self.0.high_until.store(millis + MEMORY_MILLIS, Ordering::Relaxed);
        }
    }

    fn is_high_at(&self, millis: u64) -> bool {
        millis < self.0.high_until.load(Ordering::Relaxed)
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.begin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_high_from_a_widely_shared_commit_until_a_while_after_the_last() {
        let pressure = Pressure::default();
        pressure.note_at(BUSY - 1, 1000);
        assert!(!pressure.is_high_at(1000));
        pressure.note_at(BUSY, 1000);
        pressure.clone().note_at(1, 1050);
        assert!(pressure.is_high_at(1000 + MEMORY_MILLIS - 1));
        assert!(!pressure.is_high_at(1000 + MEMORY_MILLIS));
    }
}

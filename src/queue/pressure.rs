//! How busy the receiver of this process is, so that its workers step back while acknowledgements wait.
//!
//! A provider gives up after seconds, a queue can wait: under a flood the processor belongs to the door, and what it lets in
//! is worked off afterwards.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Requests that share a commit when acknowledgements begin to wait for the processor.
const BUSY: usize = 8;
/// A flood that has said nothing for this long is over.
const MEMORY: Duration = Duration::from_millis(100);

/// The load at the door. Cheap to clone; clones share it.
#[derive(Clone, Debug)]
pub struct Pressure(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    begin: Instant,
    batch: AtomicUsize,
    at_millis: AtomicU64,
}

impl Default for Pressure {
    fn default() -> Self {
        let inner = Inner { begin: Instant::now(), batch: AtomicUsize::new(0), at_millis: AtomicU64::new(0) };
        Self(Arc::new(inner))
    }
}

impl Pressure {
    /// So many requests shared the last commit.
    pub fn note(&self, batch: usize) {
        self.0.batch.store(batch, Ordering::Relaxed);
        self.0.at_millis.store(self.now(), Ordering::Relaxed);
    }

    /// Whether acknowledgements wait for each other now.
    pub fn is_high(&self) -> bool {
        let age = self.now().saturating_sub(self.0.at_millis.load(Ordering::Relaxed));
        self.0.batch.load(Ordering::Relaxed) >= BUSY && u128::from(age) < MEMORY.as_millis()
    }

    fn now(&self) -> u64 {
        u64::try_from(self.0.begin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_high_only_while_many_share_a_commit() {
        let pressure = Pressure::default();
        assert!(!pressure.is_high());
        pressure.note(BUSY);
        assert!(pressure.clone().is_high());
        pressure.note(BUSY - 1);
        assert!(!pressure.is_high());
    }
}

//! When to try again: exponential with full jitter, so that what failed together does not come back together.

use rand::RngExt as _;
use std::time::Duration;

/// A schedule of retries.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// The first retry comes within this; it doubles with each attempt.
    pub base: Duration,
    /// No retry waits longer.
    pub max: Duration,
}

impl Backoff {
    /// The longest wait after attempt number `attempt` (from 1).
    pub fn ceiling(&self, attempt: i32) -> Duration {
        let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(0).min(30);
        self.base.saturating_mul(1 << doublings).min(self.max)
    }

    /// A random wait between nothing and the ceiling.
    pub fn wait(&self, attempt: i32) -> Duration {
        self.ceiling(attempt).mul_f64(rand::rng().random())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_up_to_the_maximum_and_never_overflows() {
        let backoff = Backoff { base: Duration::from_secs(10), max: Duration::from_secs(3600) };
        assert_eq!(backoff.ceiling(1), Duration::from_secs(10));
        assert_eq!(backoff.ceiling(4), Duration::from_secs(80));
        assert_eq!(backoff.ceiling(i32::MAX), Duration::from_secs(3600));
        assert_eq!(backoff.ceiling(i32::MIN), Duration::from_secs(10));
        for _ in 0..1000 {
            assert!(backoff.wait(2) <= Duration::from_secs(20));
        }
    }
}

//! How many leads are worked on at once.
//!
//! Both APIs are slow by their rates: a burst of leads would wait in all places of the worker, and the events of every
//! other provider behind it. So leads get a share of the places, and the rest is put off without a call made.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::{Semaphore, SemaphorePermit};

const SHORTEST_WAIT: Duration = Duration::from_millis(500);
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The places for leads in this process.
pub(super) struct Places {
    free: Semaphore,
    /// Running mean of how long a place was held, in milliseconds.
    held_ms: AtomicU64,
}

impl Places {
    /// A quarter of the worker's places.
    pub(super) fn new(concurrency: usize) -> Self {
        let count = (concurrency / 4).clamp(1, Semaphore::MAX_PERMITS);
        Self { free: Semaphore::new(count), held_ms: AtomicU64::new(0) }
    }

    /// A place until it is dropped, or how long to put the lead off: about as long as a place is held, and not the same
    /// for all who found none. `random` is within 0 to 1.
    pub(super) fn take(&self, random: f64) -> Result<Place<'_>, Duration> {
        if let Ok(permit) = self.free.try_acquire() {
            return Ok(Place { places: self, since: Instant::now(), _permit: permit });
        }
        let held = Duration::from_millis(self.held_ms.load(Ordering::Relaxed));
        Err(held.clamp(SHORTEST_WAIT, LONGEST_WAIT).mul_f64(1.0 + random.clamp(0.0, 1.0)))
    }
}

/// Leave to work on one lead.
pub(super) struct Place<'a> {
    places: &'a Places,
    since: Instant,
    _permit: SemaphorePermit<'a>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let held = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        // Two places given up at once may lose one of their times, which a mean can bear.
        let mean = self.places.held_ms.load(Ordering::Relaxed);
        self.places.held_ms.store((mean / 4).saturating_mul(3).saturating_add(held / 4), Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_the_worker_is_for_leads_and_the_rest_is_put_off() {
        let places = Places::new(8);
        let (one, two) = (places.take(0.0), places.take(0.0));
        assert!(one.is_ok() && two.is_ok());
        assert_eq!(places.take(0.0).err(), Some(SHORTEST_WAIT));
        assert_eq!(places.take(1.0).err(), Some(SHORTEST_WAIT * 2));
        drop(one);
        assert!(places.take(0.0).is_ok());
        assert!(Places::new(1).take(0.0).is_ok(), "there is always one");
    }

    #[test]
    fn the_wait_follows_the_time_that_places_are_held() {
        let places = Places::new(4);
        let mut held = places.take(0.0).ok().unwrap();
        held.since = Instant::now().checked_sub(Duration::from_secs(40)).unwrap();
        drop(held);
        let _held = places.take(0.0).ok().unwrap();
        let wait = places.take(0.0).err().unwrap();
        assert!(wait >= Duration::from_secs(9) && wait <= Duration::from_secs(11), "{wait:?}");
    }
}

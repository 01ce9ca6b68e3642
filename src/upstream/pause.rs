//! When a principal may be called again after its upstream asked for quiet, and how long to wait between tries.

use super::retry_after::LONGEST;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// First pause after a refusal that names none; it doubles with each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// Longest pause of those that nobody named.
const LONGEST_GUESS: Duration = Duration::from_secs(64);
/// Wait before the second try of a call; it doubles with each further one.
const FIRST_BACKOFF: Duration = Duration::from_millis(200);
/// Longest wait between two tries.
const LONGEST_BACKOFF: Duration = Duration::from_secs(2);

/// Until when a principal must not be called.
#[derive(Default)]
pub(super) struct Pause(Mutex<State>);

#[derive(Default)]
struct State {
    until: Option<Instant>,
    /// Refusals in a row that named no wait.
    strikes: u32,
    struck: Option<Instant>,
}

impl Pause {
    /// How long from now; zero when calls may be made.
    pub(super) fn remaining(&self) -> Duration {
        self.state().until.map_or(Duration::ZERO, |until| until.saturating_duration_since(Instant::now()))
    }

    /// Makes it last for `wait` from now at least.
    pub(super) fn extend(&self, wait: Duration) {
        self.state().extend(wait);
    }

    /// A try sent at `sent` was refused without a word on how long. `random` is within 0 to 1.
    pub(super) fn strike(&self, sent: Instant, random: f64) {
        let mut state = self.state();
        // Calls that were in flight together and refused together are one refusal, not many.
        if state.struck.is_none_or(|struck| sent > struck) {
            let wait = doubled(FIRST_PAUSE, state.strikes, LONGEST_GUESS);
            state.strikes = state.strikes.saturating_add(1);
            state.struck = Some(Instant::now());
            state.extend(wait.mul_f64(1.0 + random.clamp(0.0, 1.0) / 4.0));
        }
    }

    /// A try sent at `sent` was not refused.
    pub(super) fn clear_strikes(&self, sent: Instant) {
        let mut state = self.state();
        if state.struck.is_none_or(|struck| sent > struck) {
            state.strikes = 0;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn extend(&mut self, wait: Duration) {
        let until = Instant::now() + wait.min(LONGEST);
        self.until = self.until.max(Some(until));
    }
}

/// How long to wait after failed try number `tries`, counted from 1: anything up to a doubling limit ("full
/// jitter"), so that callers who failed together do not come back together. `random` is within 0 to 1.
pub(super) fn backoff(tries: u32, random: f64) -> Duration {
    doubled(FIRST_BACKOFF, tries.saturating_sub(1), LONGEST_BACKOFF).mul_f64(random.clamp(0.0, 1.0))
}

fn doubled(first: Duration, times: u32, longest: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(times)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn refusals_without_a_word_double_the_pause() {
        let pause = Pause::default();
        let mut waits = Vec::new();
        for _ in 0..9 {
            pause.strike(Instant::now(), 0.0);
            waits.push(pause.remaining().as_secs());
            tokio::time::sleep(pause.remaining() + Duration::from_millis(1)).await;
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
        pause.clear_strikes(Instant::now());
        tokio::time::sleep(Duration::from_millis(1)).await;
        pause.strike(Instant::now(), 1.0);
        assert_eq!(pause.remaining(), Duration::from_millis(1250), "a quarter of jitter at most");
    }

    #[tokio::test(start_paused = true)]
    async fn calls_refused_together_count_once() {
        let pause = Pause::default();
        let sent = Instant::now();
        tokio::time::sleep(Duration::from_millis(50)).await;
        for _ in 0..8 {
            pause.strike(sent, 0.0);
        }
        assert_eq!(pause.remaining(), Duration::from_secs(1));
        pause.clear_strikes(sent);
        assert_eq!(pause.state().strikes, 1, "a success of before the refusal proves nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn a_pause_is_never_shortened_and_never_endless() {
        let pause = Pause::default();
        pause.extend(Duration::from_secs(5));
        pause.extend(Duration::from_secs(1));
        assert_eq!(pause.remaining(), Duration::from_secs(5));
        pause.extend(Duration::MAX);
        assert_eq!(pause.remaining(), LONGEST);
    }

    #[test]
    fn backoff_grows_to_its_cap() {
        let longest: Vec<_> = (1..=6).map(|tries| backoff(tries, 1.0).as_millis()).collect();
        assert_eq!(longest, [200, 400, 800, 1600, 2000, 2000]);
        assert_eq!(backoff(3, 0.5), Duration::from_millis(400));
        assert_eq!(backoff(u32::MAX, 0.0), Duration::ZERO);
        assert_eq!(backoff(0, 1.0), Duration::from_millis(200));
    }
}

//! How many calls a principal may make in a while.

use super::Policy;
use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

type Limiter = RateLimiter<NotKeyed, InMemoryState, TokioClock, NoOpMiddleware<Duration>>;

/// Rate units that refill steadily.
pub(super) struct Rate(Mutex<State>);

struct State {
    limiter: Limiter,
    burst: NonZeroU32,
}

impl Rate {
    pub(super) fn new(policy: &Policy) -> Self {
        Self(Mutex::new(State::new(policy)))
    }

    /// Takes the units, or says after what time they will be there if nobody else takes some. More units than the
    /// burst are taken as the burst: they would never be there at once.
    pub(super) fn take(&self, units: u32) -> Result<(), Duration> {
        let Some(units) = NonZeroU32::new(units) else { return Ok(()) };
        let state = self.state();
        match state.limiter.check_n(units.min(state.burst)) {
            Ok(Err(not_until)) => Err(not_until.wait_time_from(state.limiter.clock().now())),
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }

    /// Keeps to another policy from now on. Begins without a unit: what was taken lately counts under both.
    pub(super) fn change(&self, policy: &Policy) {
        let new = State::new(policy);
        let _ = new.limiter.check_n(new.burst);
        *self.state() = new;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn new(policy: &Policy) -> Self {
        let burst = at_least_one(policy.burst.min(policy.units));
        let refill = (policy.per / policy.units.max(1)).max(Duration::from_nanos(1));
        let quota = Quota::with_period(refill).unwrap_or(Quota::per_second(burst)).allow_burst(burst);
        Self { limiter: RateLimiter::direct_with_clock(quota, TokioClock(Instant::now())), burst }
    }
}

fn at_least_one(number: u32) -> NonZeroU32 {
    NonZeroU32::new(number).unwrap_or(NonZeroU32::MIN)
}

/// Tokio's clock, so that waits and limits agree, and tests can move it. Time counts from its start.
struct TokioClock(Instant);

impl Clock for TokioClock {
    type Instant = Duration;

    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(units: u32, per: Duration, burst: u32) -> Rate {
        Rate::new(&Policy { units, per, burst, ..Policy::default() })
    }

    /// Virtual time that `calls` of `weight` units take.
    async fn run(rate: &Rate, calls: u32, weight: u32) -> Duration {
        let start = Instant::now();
        for _ in 0..calls {
            while let Err(wait) = rate.take(weight) {
                tokio::time::sleep(wait).await;
            }
        }
        start.elapsed()
    }

    #[tokio::test(start_paused = true)]
    async fn a_burst_is_free_and_the_rest_waits_for_the_refill() {
        let rate = rate(10, Duration::from_secs(60), 5);
        assert!(run(&rate, 5, 1).await.is_zero());
        let rest = run(&rate, 10, 1).await;
        assert!(rest >= Duration::from_secs(60) && rest < Duration::from_millis(60_100), "{rest:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn heavy_calls_cost_their_weight() {
        let rate = rate(45, Duration::from_secs(3), 45);
        assert!(run(&rate, 9, 5).await.is_zero(), "9 x 5 units are the burst");
        let rest = run(&rate, 9, 5).await;
        assert!(rest >= Duration::from_millis(2_999) && rest < Duration::from_millis(3_100), "{rest:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_heavier_than_the_burst_waits_for_the_whole_burst() {
        let rate = rate(4, Duration::from_secs(4), 4);
        assert_eq!(rate.take(1), Ok(()));
        let wait = rate.take(100).unwrap_err();
        assert_eq!(wait, Duration::from_secs(1));
        tokio::time::sleep(wait).await;
        assert_eq!(rate.take(100), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_policy_of_zeros_still_lets_calls_through() {
        let rate = rate(0, Duration::ZERO, 0);
        assert!(run(&rate, 10, 3).await < Duration::from_millis(100));
        assert_eq!(rate.take(0), Ok(()), "weight 0 costs nothing");
    }

    /// An upstream that counts within a second does not say when its second begins.
    #[tokio::test(start_paused = true)]
    async fn no_while_sees_more_than_the_burst_and_the_refill() {
        let per = Duration::from_secs(1);
        for (units, burst) in [(20, 5), (8, 2)] {
            let rate = rate(units, per, burst);
            let mut taken = Vec::new();
            for call in 0..150 {
                if call % 40 == 39 {
                    // The whole burst comes back.
                    tokio::time::sleep(per * 2).await;
                }
                run(&rate, 1, 1).await;
                taken.push(Instant::now());
            }
            let within = |start: &Instant| {
                taken.iter().filter(|at| **at >= *start && at.duration_since(*start) < per).count()
            };
            let most = u32::try_from(taken.iter().map(within).max().unwrap()).unwrap();
            assert!(most > units && most <= units + burst, "{most} of {units} and {burst}");
        }
    }

    /// Whenever the policy changes, no window sees more units than the larger of the two allows.
    #[tokio::test(start_paused = true)]
    async fn a_change_gives_no_second_burst() {
        let policy = |units, burst| Policy { units, per: Duration::from_secs(3), burst, ..Policy::default() };
        let (whole, half) = (policy(36, 9), policy(18, 4));
        for step in 0..40 {
            let rate = Rate::new(&whole);
            tokio::time::sleep(Duration::from_secs(3)).await;
            let start = Instant::now();
            let change = Duration::from_millis(step * 100);
            let (mut taken, mut changes) =
                (0, [(change, &half), (change * 2, &whole)].into_iter().peekable());
            while start.elapsed() < Duration::from_secs(3) {
                if let Some((_, policy)) = changes.next_if(|(at, _)| start.elapsed() >= *at) {
                    rate.change(policy);
                }
                taken += u32::from(rate.take(1).is_ok());
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
            assert!(taken <= 45, "{taken} with changes at {change:?}");
        }
    }
}

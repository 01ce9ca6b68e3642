//! What an upstream bans a principal for, counted for each: equal failures, refusals, writes of one and the same thing.
//! Well before the threshold further calls are held back.
//!
//! The counts are of this process; where several share an upstream, so do they the thresholds.

mod counts;

use counts::{Count, Counts, WINDOW};
use reqwest::Method;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How many of each a minute may see before calls are held for a minute; `u32::MAX` is never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Thresholds {
    /// Failures with the same status and error code. Holds every call of the principal.
    pub equal_failures: u32,
    /// Refusals for too many calls (429). Holds every call of the principal.
    pub refusals: u32,
    /// PUTs of one path and of parts of it. Holds further ones of that path.
    pub writes_of_one: u32,
}

impl Thresholds {
    /// No upstream is known to ban for these.
    pub const NONE: Self = Self { equal_failures: u32::MAX, refusals: u32::MAX, writes_of_one: u32::MAX };
}

/// Why calls are held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Held {
    /// Too many equal failures.
    EqualFailures,
    /// Too many answers 429.
    Refusals,
    /// Too many writes of one thing.
    WritesOfOne,
}

impl Held {
    /// For people.
    pub fn reason(self) -> &'static str {
        match self {
            Self::EqualFailures => "too many equal failures in a minute",
            Self::Refusals => "too many answers 429 in a minute",
            Self::WritesOfOne => "too many writes of one entity in a minute",
        }
    }

    /// What a person can do about it.
    pub(super) fn remedy(self) -> &'static str {
        match self {
            Self::EqualFailures => {
                "`hookgate queue list` names the error: mend what is refused, or set the account inactive"
            }
            Self::Refusals => {
                "other programs use the same token: give this gateway a token of its own, or lower the settings of its \
                 rate"
            }
            Self::WritesOfOne => "something changes this entity without end: find what writes it",
        }
    }

    /// Value of the metrics label `reason`.
    pub(super) fn label(self) -> &'static str {
        match self {
            Self::EqualFailures => "equal_failures",
            Self::Refusals => "refusals",
            Self::WritesOfOne => "writes_of_one",
        }
    }
}

/// The counts of one principal.
pub(super) struct Guard {
    hasher: RandomState,
    state: Mutex<State>,
}

struct State {
    thresholds: Thresholds,
    failures: Counts<(u16, u64)>,
    refusals: Count,
    writes: Counts<u64>,
    held: Option<(Instant, Held)>,
}

impl Guard {
    pub(super) fn new(thresholds: Thresholds) -> Self {
        let (failures, refusals, writes) = (Counts::default(), Count::default(), Counts::default());
        let state = State { thresholds, failures, refusals, writes, held: None };
        Self { hasher: RandomState::new(), state: Mutex::new(state) }
    }

    /// Holds from these on, counting what was counted.
    pub(super) fn change(&self, thresholds: Thresholds) {
        self.state().thresholds = thresholds;
    }

    /// Whether a call is held now, for how long and why.
    pub(super) fn holds(&self, method: &Method, path: &str) -> Option<(Duration, Held)> {
        let now = Instant::now();
        let state = self.state();
        if let Some((until, why)) = state.held.filter(|(until, _)| *until > now) {
            return Some((until - now, why));
        }
        if *method != Method::PUT {
            return None;
        }
        let until = state.writes.held(&self.hasher.hash_one(path), now)?;
        Some((until - now, Held::WritesOfOne))
    }

    /// How many more PUTs of this path a minute may see from now on; none while they are held.
    pub(super) fn writes_left(&self, path: &str) -> u32 {
        let state = self.state();
        let most = state.thresholds.writes_of_one;
        state.writes.left(&self.hasher.hash_one(path), Instant::now(), most)
    }

    /// A call goes out. Says so when it is the last of its kind for a minute.
    pub(super) fn sent(&self, method: &Method, path: &str) -> Option<Held> {
        let mut state = self.state();
        let most = state.thresholds.writes_of_one;
        if *method != Method::PUT || most == u32::MAX {
            return None;
        }
        let is_last = state.writes.add(self.hasher.hash_one(path), Instant::now(), most);
        is_last.then_some(Held::WritesOfOne)
    }

    /// It was answered so. Says so when every call is held from now on because of it.
    pub(super) fn answered(&self, status: u16, code: Option<u64>) -> Option<Held> {
        if status < 400 {
            return None;
        }
        let now = Instant::now();
        let mut state = self.state();
        let most = state.thresholds;
        let key = (status, code.unwrap_or_default());
        let mut why = None;
        if most.equal_failures != u32::MAX && state.failures.add(key, now, most.equal_failures) {
            why = Some(Held::EqualFailures);
        }
        if status == 429 && state.refusals.add(now, most.refusals) {
            why = Some(Held::Refusals);
        }
        if let Some(why) = why {
            let begins = state.held.is_none_or(|(until, _)| until <= now);
            state.held = Some((now + WINDOW, why));
            return Some(why).filter(|_| begins);
        }
        None
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::counts::MOST;
    use super::*;

    const FEW: Thresholds = Thresholds { equal_failures: 5, refusals: 4, writes_of_one: 3 };
    const SECOND: Duration = Duration::from_secs(1);

    fn put(guard: &Guard, path: &str) -> bool {
        if guard.holds(&Method::PUT, path).is_some() {
            return false;
        }
        guard.sent(&Method::PUT, path);
        true
    }

    #[tokio::test(start_paused = true)]
    async fn equal_failures_hold_every_call_for_a_minute() {
        let guard = Guard::new(FEW);
        for _ in 0..4 {
            assert_eq!(guard.answered(412, Some(3006)), None);
            assert_eq!(guard.answered(200, None), None);
            assert_eq!(guard.answered(404, Some(1021)), None, "another failure");
        }
        assert_eq!(guard.holds(&Method::GET, "/x"), None);
        assert_eq!(guard.answered(412, Some(3006)), Some(Held::EqualFailures));
        assert_eq!(guard.holds(&Method::GET, "/x"), Some((WINDOW, Held::EqualFailures)));
        assert_eq!(guard.answered(404, Some(1021)), None, "told once");
        tokio::time::sleep(WINDOW).await;
        assert_eq!(guard.holds(&Method::GET, "/x"), None);
    }

    #[tokio::test(start_paused = true)]
    async fn failures_of_more_than_a_minute_ago_do_not_count() {
        let guard = Guard::new(FEW);
        for _ in 0..30 {
            assert_eq!(guard.answered(500, None), None);
            tokio::time::sleep(SECOND * 15).await;
        }
    }

    #[tokio::test(start_paused = true)]
    async fn refusals_count_whatever_their_code() {
        let guard = Guard::new(FEW);
        let told: Vec<_> = [1049, 1073, 1049, 1073].map(|code| guard.answered(429, Some(code))).to_vec();
        assert_eq!(told, [None, None, None, Some(Held::Refusals)]);
        assert_eq!(guard.holds(&Method::POST, "/x"), Some((WINDOW, Held::Refusals)));
    }

    #[tokio::test(start_paused = true)]
    async fn one_entity_written_too_often_waits_and_the_others_do_not() {
        let guard = Guard::new(FEW);
        assert!(put(&guard, "/a") && put(&guard, "/a") && put(&guard, "/a"));
        assert!(!put(&guard, "/a"));
        assert!(put(&guard, "/b"));
        assert_eq!(guard.holds(&Method::GET, "/a"), None, "it may still be read");
        tokio::time::sleep(WINDOW).await;
        assert!(put(&guard, "/a"));
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_known_how_many_writes_are_left() {
        let guard = Guard::new(FEW);
        assert_eq!(guard.writes_left("/a"), 3);
        put(&guard, "/a");
        tokio::time::sleep(SECOND * 30).await;
        put(&guard, "/a");
        assert_eq!((guard.writes_left("/a"), guard.writes_left("/b")), (1, 3));
        tokio::time::sleep(SECOND * 30).await;
        assert_eq!(guard.writes_left("/a"), 2, "a minute has passed since the first");
        put(&guard, "/a");
        put(&guard, "/a");
        assert_eq!(guard.writes_left("/a"), 0, "held");
        guard.change(Thresholds { writes_of_one: 1, ..FEW });
        assert_eq!((guard.writes_left("/a"), guard.writes_left("/b")), (0, 1));
        assert_eq!(Guard::new(Thresholds::NONE).writes_left("/a"), u32::MAX);
    }

    /// However the calls fall, no minute sees more of them than the threshold.
    #[tokio::test(start_paused = true)]
    async fn no_minute_sees_more_than_the_threshold() {
        let guard = Guard::new(FEW);
        let mut sent: Vec<Instant> = Vec::new();
        for step in 0..2000_u64 {
            if put(&guard, "/a") {
                sent.push(Instant::now());
            }
            tokio::time::sleep(Duration::from_millis(step * 7919 % 40_000)).await;
        }
        assert!(sent.len() > 100);
        for window in sent.windows(FEW.writes_of_one as usize + 1) {
            assert!(window[window.len() - 1] - window[0] >= WINDOW, "{window:?}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded_and_what_is_held_is_not_forgotten() {
        let guard = Guard::new(FEW);
        while put(&guard, "/hot") {}
        for number in 0..MOST * 2 {
            put(&guard, &format!("/{number}"));
            guard.answered(400, Some(number as u64));
        }
        let remembered = || {
            let state = guard.state();
            (state.writes.len(), state.failures.len())
        };
        assert_eq!(remembered(), (MOST, MOST));
        assert!(!put(&guard, "/hot"));
        tokio::time::sleep(WINDOW).await;
        put(&guard, "/new");
        assert_eq!(remembered().0, 1, "all the idle ones went");
    }

    #[tokio::test(start_paused = true)]
    async fn without_thresholds_nothing_is_counted() {
        let guard = Guard::new(Thresholds::NONE);
        for _ in 0..1000 {
            assert!(put(&guard, "/a"));
            assert_eq!(guard.answered(429, None), None);
        }
        let state = guard.state();
        assert_eq!((state.writes.len(), state.failures.len()), (0, 0));
    }

    #[tokio::test(start_paused = true)]
    async fn lower_thresholds_hold_what_was_counted_under_higher_ones() {
        let guard = Guard::new(FEW);
        assert!(put(&guard, "/a") && put(&guard, "/a"));
        assert_eq!([500; 3].map(|status| guard.answered(status, None)), [None; 3]);
        guard.change(Thresholds { equal_failures: 2, refusals: 2, writes_of_one: 1 });
        assert!(put(&guard, "/a") && !put(&guard, "/a"), "the one that was the last");
        assert_eq!(guard.answered(500, None), Some(Held::EqualFailures));
    }
}

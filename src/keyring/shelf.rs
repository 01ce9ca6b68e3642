//! What has been fetched, what could not be, and whose turn it is to fetch: bounded, and without any waiting except for
//! a turn.

use super::KeyringError;
use chrono::{DateTime, Duration, Utc};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::{Mutex as FairMutex, OwnedMutexGuard};

/// Failures that are remembered. They have a table of their own, so that a flood of bad names pushes out no good value.
const MOST_FAILURES: usize = 256;
/// How long a failure is answered from memory: the first time, and at most. It doubles from time to time.
const FIRST_PAUSE: Duration = Duration::seconds(5);
const LONGEST_PAUSE: Duration = Duration::seconds(60);
/// After this long without a failure the pauses begin anew.
const FORGET_FAILURES: Duration = Duration::minutes(10);
/// How often a value is fetched again only because something was not in it.
const REFRESH: Duration = Duration::seconds(60);
/// Turns that are kept before unused ones are looked for.
const MANY_TURNS: usize = 1024;

/// Values by key, shared by all requests.
pub(super) struct Shelf<V> {
    /// Most values.
    most: usize,
    /// How long a value may serve after its end while no other can be had.
    stale: Duration,
    state: Mutex<State<V>>,
}

struct State<V> {
    values: HashMap<String, Held<V>>,
    failures: HashMap<String, Failure>,
    turns: HashMap<String, Arc<FairMutex<()>>>,
    /// Counts looks: a value's last one says how recently it was used.
    looks: u64,
}

struct Held<V> {
    value: V,
    since: DateTime<Utc>,
    until: DateTime<Utc>,
    used: u64,
}

struct Failure {
    error: KeyringError,
    since: DateTime<Utc>,
    pause: Duration,
}

/// What somebody who needs a value has to do.
#[derive(Debug, PartialEq)]
pub(super) enum Find<V> {
    /// Take this one.
    Use(V),
    /// Fetch it.
    Fetch,
    /// Give up for now.
    Fail(KeyringError),
}

impl<V: Clone> Shelf<V> {
    pub(super) fn new(most: usize, stale: Duration) -> Self {
        let (values, failures, turns) = (HashMap::new(), HashMap::new(), HashMap::new());
        Self { most, stale, state: Mutex::new(State { values, failures, turns, looks: 0 }) }
    }

    /// Looks for a value that `fits`. One that does not is fetched again at most once a minute, and is given as it is
    /// meanwhile: then what was looked for is taken not to exist.
    pub(super) fn find(&self, key: &str, now: DateTime<Utc>, fits: impl Fn(&V) -> bool) -> Find<V> {
        let state = &mut *self.state();
        state.looks += 1;
        let held =
            state.values.get_mut(key).filter(|held| held.since <= now && now <= held.until + self.stale);
        let failure = state.failures.get(key).filter(|failure| failure.is_active(now));
        let Some(held) = held else {
            return failure.map_or(Find::Fetch, |failure| Find::Fail(failure.error.clone()));
        };
        held.used = state.looks;
        let (fits, fresh) = (fits(&held.value), now < held.until);
        match failure {
            _ if fits && fresh => Find::Use(held.value.clone()),
            Some(_) if fits => Find::Use(held.value.clone()),
            Some(failure) => Find::Fail(failure.error.clone()),
            None if fresh && now < held.since + REFRESH => Find::Use(held.value.clone()),
            None => Find::Fetch,
        }
    }

    /// Whether there is or was a value: what is known to be genuine may be fetched again when floods are held off.
    pub(super) fn knows(&self, key: &str) -> bool {
        self.state().values.contains_key(key)
    }

    /// Waits until nobody else fetches this key.
    pub(super) async fn turn(&self, key: &str) -> Turn<'_, V> {
        let turn = {
            let mut state = self.state();
            if state.turns.len() >= MANY_TURNS {
                state.turns.retain(|_, turn| Arc::strong_count(turn) > 1);
            }
            state.turns.entry(key.to_owned()).or_default().clone()
        };
        Turn { shelf: self, key: key.to_owned(), guard: turn.lock_owned().await }
    }

    pub(super) fn keep(&self, key: &str, value: V, now: DateTime<Utc>, until: DateTime<Utc>) {
        let mut state = self.state();
        state.failures.remove(key);
        state.looks += 1;
        let used = state.looks;
        state.values.insert(key.to_owned(), Held { value, since: now, until, used });
        while state.values.len() > self.most {
            let oldest = state.values.iter().min_by_key(|entry| entry.1.used).map(|entry| entry.0.clone());
            let Some(oldest) = oldest else { break };
            state.values.remove(&oldest);
        }
    }

    pub(super) fn fail(&self, key: &str, error: KeyringError, now: DateTime<Utc>) {
        let mut state = self.state();
        let fresh = state.values.get(key).is_some_and(|held| now < held.until);
        let before = state.failures.get(key).filter(|failure| now < failure.since + FORGET_FAILURES);
        let pause = match before {
            // The value is good, something is only missing in it.
            _ if fresh => REFRESH,
            // Several that failed side by side are one failure.
            Some(failure) if failure.is_active(now) => failure.pause,
            Some(failure) => (failure.pause * 2).min(LONGEST_PAUSE),
            None => FIRST_PAUSE,
        };
        state.failures.insert(key.to_owned(), Failure { error, since: now, pause });
        while state.failures.len() > MOST_FAILURES {
            let oldest = state.failures.iter().min_by_key(|entry| entry.1.since).map(|entry| entry.0.clone());
            let Some(oldest) = oldest else { break };
            state.failures.remove(&oldest);
        }
    }

    /// Forgets that there was trouble.
    pub(super) fn heal(&self, key: &str) {
        self.state().failures.remove(key);
    }

    pub(super) fn forget(&self, key: &str) {
        self.state().values.remove(key);
    }

    fn state(&self) -> MutexGuard<'_, State<V>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Failure {
    /// A clock that was set back ends it too.
    fn is_active(&self, now: DateTime<Utc>) -> bool {
        self.since <= now && now < self.since + self.pause
    }
}

/// The right to fetch one key. Ends when dropped, also by a caller who has gone away.
pub(super) struct Turn<'a, V: Clone> {
    shelf: &'a Shelf<V>,
    key: String,
    guard: OwnedMutexGuard<()>,
}

impl<V: Clone> Drop for Turn<'_, V> {
    fn drop(&mut self) {
        let mut state = self.shelf.state();
        // One is the table's and one this turn's; any other is of somebody who waits.
        if Arc::strong_count(OwnedMutexGuard::mutex(&self.guard)) == 2 {
            state.turns.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Kind, Reason};
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap()
    }

    fn error() -> KeyringError {
        KeyringError::Fetch { kind: Kind::KeySet, host: "h".to_owned(), reason: Reason::Timeout }
    }

    fn shelf() -> Shelf<u32> {
        Shelf::new(2, Duration::seconds(1000))
    }

    #[allow(clippy::trivially_copy_pass_by_ref, reason = "what `find` calls")]
    fn any(_: &u32) -> bool {
        true
    }

    #[test]
    fn a_value_serves_until_its_end_and_is_fetched_again_then() {
        let shelf = shelf();
        assert_eq!(shelf.find("a", at(0), any), Find::Fetch);
        shelf.keep("a", 1, at(0), at(300));
        assert_eq!(shelf.find("a", at(299), any), Find::Use(1));
        assert_eq!(shelf.find("a", at(300), any), Find::Fetch);
        assert_eq!(shelf.find("a", at(-1), any), Find::Fetch, "a clock that was set back");
    }

    #[test]
    fn a_stale_value_serves_while_no_other_can_be_had_but_not_forever() {
        let shelf = shelf();
        shelf.keep("a", 1, at(0), at(300));
        shelf.fail("a", error(), at(300));
        assert_eq!(shelf.find("a", at(301), any), Find::Use(1));
        assert_eq!(shelf.find("a", at(305), any), Find::Fetch, "once more");
        shelf.fail("a", error(), at(1299));
        assert_eq!(shelf.find("a", at(1300), any), Find::Use(1));
        assert_eq!(shelf.find("a", at(1301), any), Find::Fail(error()));
        assert!(shelf.knows("a") && !shelf.knows("b"));
    }

    #[test]
    fn failures_are_answered_from_memory_for_pauses_that_double() {
        let shelf = shelf();
        let mut now = 0;
        for pause in [5, 10, 20, 40, 60, 60] {
            shelf.fail("a", error(), at(now));
            assert_eq!(shelf.find("a", at(now), any), Find::Fail(error()));
            assert_eq!(shelf.find("a", at(now + pause - 1), any), Find::Fail(error()));
            assert_eq!(shelf.find("a", at(now + pause), any), Find::Fetch);
            now += pause;
        }
        for _ in 0..16 {
            shelf.fail("a", error(), at(now + 600));
        }
        assert_eq!(shelf.find("a", at(now + 605), any), Find::Fetch, "after a long peace it begins anew");
        shelf.heal("a");
        assert_eq!(shelf.find("a", at(now + 601), any), Find::Fetch);
        shelf.fail("a", error(), at(now));
        shelf.keep("a", 1, at(now), at(now + 10));
        assert_eq!(shelf.find("a", at(now), any), Find::Use(1), "a success ends it");
    }

    #[test]
    fn what_is_not_in_a_value_is_looked_for_once_a_minute() {
        let shelf = shelf();
        let none = |_: &u32| false;
        shelf.keep("a", 1, at(0), at(300));
        assert_eq!(shelf.find("a", at(59), none), Find::Use(1), "it is taken not to exist");
        assert_eq!(shelf.find("a", at(60), none), Find::Fetch);
        shelf.fail("a", error(), at(60));
        assert_eq!(shelf.find("a", at(119), none), Find::Fail(error()), "nobody knows whether it exists");
        assert_eq!(shelf.find("a", at(119), any), Find::Use(1));
        assert_eq!(shelf.find("a", at(120), none), Find::Fetch);
        shelf.keep("a", 2, at(120), at(400));
        assert_eq!(shelf.find("a", at(179), none), Find::Use(2));
    }

    #[test]
    fn the_value_that_was_used_longest_ago_makes_room_and_failures_push_out_none() {
        let shelf = shelf();
        shelf.keep("a", 1, at(0), at(300));
        shelf.keep("b", 2, at(0), at(300));
        shelf.find("a", at(1), any);
        shelf.keep("c", 3, at(2), at(300));
        assert_eq!(shelf.find("b", at(3), any), Find::Fetch);
        for number in 0..2000 {
            shelf.fail(&number.to_string(), error(), at(number));
        }
        assert_eq!(shelf.find("a", at(4), any), Find::Use(1));
        assert_eq!(shelf.find("c", at(4), any), Find::Use(3));
        assert_eq!(shelf.state().failures.len(), MOST_FAILURES);
        shelf.forget("a");
        assert_eq!(shelf.find("a", at(4), any), Find::Fetch);
    }

    #[tokio::test]
    async fn turns_come_one_after_another_and_leave_nothing_behind() {
        let shelf = shelf();
        let first = shelf.turn("a").await;
        let other = shelf.turn("b").await;
        let mut second = Box::pin(shelf.turn("a"));
        assert!(futures_util::poll!(&mut second).is_pending());
        let mut gone = Box::pin(shelf.turn("a"));
        assert!(futures_util::poll!(&mut gone).is_pending());
        drop(gone);
        drop(first);
        drop(second.await);
        drop(other);
        assert!(shelf.state().turns.is_empty());
    }
}

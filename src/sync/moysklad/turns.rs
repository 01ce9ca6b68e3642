//! A place for each account: a slow one holds a few of the workers, never all of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;
use uuid::Uuid;

/// Nobody is sent away for longer: the account may be quicker by then.
const LONGEST: Duration = Duration::from_secs(60);

/// How many tasks of one account run at once, and when the others may ask again.
#[derive(Clone, Default)]
pub(super) struct Turns(Arc<Mutex<HashMap<Uuid, Account>>>);

struct Account {
    /// One clone for each that runs.
    running: Arc<()>,
    next: Instant,
}

/// The right to run, until it is dropped.
#[derive(Debug)]
pub(super) struct Running(#[allow(dead_code, reason = "held, not looked at")] Arc<()>);

impl Turns {
    /// The right to run for one of `at_once`; or how long to stay away. `pace`: how often the account can finish a task at
    /// best. Tasks that are sent away come back spread by it, so that a long backlog is not claimed and sent away again and
    /// again.
    pub(super) fn take(&self, account: Uuid, at_once: usize, pace: Duration) -> Result<Running, Duration> {
        let now = Instant::now();
        let mut accounts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let account =
            accounts.entry(account).or_insert_with(|| Account { running: Arc::default(), next: now });
        if Arc::strong_count(&account.running) <= at_once {
            return Ok(Running(account.running.clone()));
        }
        account.next = (account.next.max(now) + pace).min(now + LONGEST);
        Err(account.next - now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Duration = Duration::from_secs(1);

    #[test]
    fn a_full_account_sends_away_without_holding_another() {
        let turns = Turns::default();
        let take = |account| turns.take(account, 2, PACE);
        let (slow, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let first = take(slow).unwrap();
        let _second = take(slow).unwrap();
        assert!(take(slow).is_err());
        assert!(take(other).is_ok());
        drop(first);
        assert!(take(slow).is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn those_sent_away_come_back_one_after_another() {
        let turns = Turns::default();
        let take = || turns.take(Uuid::nil(), 1, PACE);
        let _running = take().unwrap();
        assert_eq!((take().unwrap_err(), take().unwrap_err()), (PACE, PACE * 2));
        let last = (0..100).map(|_| take().unwrap_err()).max().unwrap();
        assert_eq!(last, LONGEST);
    }
}

//! A place for each account: a slow one holds a few of the workers, never all of them.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use uuid::Uuid;

/// Nobody is sent away for longer: the account may be quicker by then.
const LONGEST: Duration = Duration::from_secs(60);

/// How many tasks of one account run at once, and when the others may ask again.
#[derive(Clone)]
pub(super) struct Turns {
    accounts: Arc<Mutex<HashMap<Uuid, Account>>>,
    at_once: usize,
    pace: Duration,
}

struct Account {
    free: Arc<Semaphore>,
    next: Instant,
}

impl Turns {
    /// `pace`: how often one account can finish a task at best. Tasks that are sent away come back spread by it, so
    /// that a long backlog is not claimed and sent away again and again.
    pub(super) fn new(at_once: usize, pace: Duration) -> Self {
        Self { accounts: Arc::default(), at_once, pace }
    }

    /// The right to run, until it is dropped; or how long to stay away.
    pub(super) fn take(&self, account: Uuid) -> Result<OwnedSemaphorePermit, Duration> {
        let now = Instant::now();
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        let account = accounts
            .entry(account)
            .or_insert_with(|| Account { free: Arc::new(Semaphore::new(self.at_once)), next: now });
        if let Ok(permit) = account.free.clone().try_acquire_owned() {
            return Ok(permit);
        }
        account.next = (account.next.max(now) + self.pace).min(now + LONGEST);
        Err(account.next - now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_account_sends_away_without_holding_another() {
        let turns = Turns::new(2, Duration::from_secs(1));
        let (slow, other) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let first = turns.take(slow).unwrap();
        let _second = turns.take(slow).unwrap();
        assert!(turns.take(slow).is_err());
        assert!(turns.take(other).is_ok());
        drop(first);
        assert!(turns.take(slow).is_ok());
    }

    #[test]
    fn those_sent_away_come_back_one_after_another() {
        let turns = Turns::new(1, Duration::from_secs(1));
        let _running = turns.take(Uuid::nil()).unwrap();
        let first = turns.take(Uuid::nil()).unwrap_err();
        let second = turns.take(Uuid::nil()).unwrap_err();
        assert!(second > first + Duration::from_millis(900), "{first:?} {second:?}");
        let last = (0..100).map(|_| turns.take(Uuid::nil()).unwrap_err()).max().unwrap();
        assert!(last <= LONGEST);
    }
}

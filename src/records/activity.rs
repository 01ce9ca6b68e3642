//! Counts of what happens at the door, in memory and every few seconds in the database.

use super::store;
use crate::db::{Pool, error_kind};
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// How often the counts go to the database.
const EVERY: Duration = Duration::from_secs(3);

/// Counts what happens at the door, without waiting. Only configured providers and secrets come here, so the maps are
/// bounded; counting is a shared lock, a lookup and an addition.
#[derive(Debug, Clone, Default)]
pub struct Activity(Arc<RwLock<HashMap<String, Arc<Counts>>>>);

#[derive(Debug, Default)]
struct Counts {
    by_secret: RwLock<HashMap<String, Arc<AtomicU64>>>,
    unproven: AtomicU64,
    unreadable: AtomicU64,
    events: AtomicU64,
}

/// The entry of a map that only grows; the exclusive lock is taken for a newcomer alone.
fn entry<V: Default>(map: &RwLock<HashMap<String, Arc<V>>>, name: &str) -> Arc<V> {
    if let Some(known) = map.read().unwrap_or_else(PoisonError::into_inner).get(name) {
        return known.clone();
    }
    map.write().unwrap_or_else(PoisonError::into_inner).entry(name.to_owned()).or_default().clone()
}

/// What was counted of one provider.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Counted {
    pub(super) provider: String,
    /// Requests by the id of the secret that proved them.
    pub(super) proven: Vec<(String, u64)>,
    pub(super) unproven: u64,
    pub(super) unreadable: u64,
    pub(super) events: u64,
}

impl Activity {
    /// A request was proven by this secret.
    pub fn proven(&self, provider: &str, secret_id: &str) {
        entry(&entry(&self.0, provider).by_secret, secret_id).fetch_add(1, Ordering::Relaxed);
    }

    /// A request was not proven, or not readable; `reason` is the label of what was wrong.
    pub fn failed(&self, provider: &str, reason: &'static str) {
        let counts = entry(&self.0, provider);
        let count = if reason == "unreadable" { &counts.unreadable } else { &counts.unproven };
        count.fetch_add(1, Ordering::Relaxed);
    }

    /// New events were stored.
    pub fn stored(&self, provider: &str, events: usize) {
        if events > 0 {
            entry(&self.0, provider).events.fetch_add(events as u64, Ordering::Relaxed);
        }
    }

    /// Brings the counts to the database until `stop`, and once more then.
    pub async fn keep(self, pool: Pool, stop: CancellationToken) {
        let mut tick = tokio::time::interval(EVERY);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let last = tokio::select! {
                _ = tick.tick() => false,
                () = stop.cancelled() => true,
            };
            self.flush(&pool).await;
            if last {
                return;
            }
        }
    }

    async fn flush(&self, pool: &Pool) {
        let counted = self.take();
        if counted.is_empty() {
            return;
        }
        let done = match pool.get().await {
            Ok(mut conn) => store::add(&mut conn, &counted).await.map_err(|error| {
                tracing::warn!(kind = error_kind(&error), "the counts of providers were not stored");
            }),
            Err(_) => Err(()),
        };
        if done.is_err() {
            self.give_back(&counted);
        }
    }

    fn take(&self) -> Vec<Counted> {
        let zero = |count: &AtomicU64| count.swap(0, Ordering::Relaxed);
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let counted = all.iter().map(|(provider, counts)| {
            let secrets = counts.by_secret.read().unwrap_or_else(PoisonError::into_inner);
            let proven = secrets.iter().map(|(id, uses)| (id.clone(), zero(uses)));
            Counted {
                provider: provider.clone(),
                proven: proven.filter(|(_, uses)| *uses > 0).collect(),
                unproven: zero(&counts.unproven),
                unreadable: zero(&counts.unreadable),
                events: zero(&counts.events),
            }
        });
        let something = |counted: &Counted| {
            !counted.proven.is_empty() || counted.unproven + counted.unreadable + counted.events > 0
        };
        counted.filter(something).collect()
    }

    fn give_back(&self, counted: &[Counted]) {
        for counted in counted {
            let counts = entry(&self.0, &counted.provider);
            for (id, uses) in &counted.proven {
                entry(&counts.by_secret, id).fetch_add(*uses, Ordering::Relaxed);
            }
            counts.unproven.fetch_add(counted.unproven, Ordering::Relaxed);
            counts.unreadable.fetch_add(counted.unreadable, Ordering::Relaxed);
            counts.events.fetch_add(counted.events, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_taken_is_counted_once_and_comes_back_whole() {
        let activity = Activity::default();
        activity.proven("stripe", "a");
        activity.proven("stripe", "a");
        activity.failed("stripe", "mismatch");
        activity.failed("stripe", "unreadable");
        activity.stored("stripe", 3);
        activity.stored("github", 0);
        let expected = || Counted {
            provider: "stripe".to_owned(),
            proven: vec![("a".to_owned(), 2)],
            unproven: 1,
            unreadable: 1,
            events: 3,
        };
        let taken = activity.take();
        assert_eq!(taken, [expected()]);
        assert_eq!(activity.take(), []);
        activity.give_back(&taken);
        assert_eq!(activity.take(), [expected()]);
    }
}

//! All principals of one upstream: what each may do now, and who is remembered.

use super::Policy;
use super::principal::Principal;
use super::retry_after::LONGEST;
use crate::nodes::{Follower, Standing};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use tokio::time::Instant;

/// Principals that are remembered at once, for each upstream.
const MOST: usize = 4096;

/// All principals of one upstream that were heard of lately.
pub(super) struct Principals(Mutex<State>);

struct State {
    /// What each may do now; `None`: nothing.
    policy: Option<Policy>,
    /// When that was last changed.
    changed: Option<Instant>,
    known: HashMap<String, Known>,
}

struct Known {
    principal: Arc<Principal>,
    used: Instant,
}

impl Principals {
    pub(super) fn new(policy: Policy) -> Self {
        Self(Mutex::new(State { policy: Some(policy), changed: None, known: HashMap::new() }))
    }

    pub(super) fn get(&self, name: &str) -> Arc<Principal> {
        let mut state = self.state();
        let used = Instant::now();
        if let Some(found) = state.known.get_mut(name) {
            found.used = used;
            return found.principal.clone();
        }
        if state.known.len() >= MOST {
            forget_idle(&mut state.known, used);
        }
        let principal = Arc::new(state.make(name, used));
        state.known.insert(name.to_owned(), Known { principal: principal.clone(), used });
        principal
    }

    /// From now on these are the limits of each principal, also of those who wait already.
    pub(super) fn change(&self, policy: Option<Policy>) {
        let mut state = self.state();
        state.known.values().for_each(|known| known.principal.change(policy.as_ref()));
        (state.policy, state.changed) = (policy, Some(Instant::now()));
    }

    /// Whether no principal has more in flight than it may have.
    pub(super) fn have_settled(&self) -> bool {
        self.state().known.values().all(|known| known.principal.slots.have_settled())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn make(&self, name: &str, now: Instant) -> Principal {
        let Some(policy) = &self.policy else {
            let principal = Principal::new(name, &Policy::default());
            principal.change(None);
            return principal;
        };
        let principal = Principal::new(name, policy);
        if self.changed.is_some_and(|changed| now - changed < policy.per) {
            // Another process may have made calls for it until then, with a larger share.
            principal.change(Some(policy));
        }
        principal
    }
}

/// Forgets those whose state has run out by itself; if there are none, the one unused for longest. Those with a
/// call under way stay: a second state beside theirs would double their limits.
fn forget_idle(known: &mut HashMap<String, Known>, now: Instant) {
    known.retain(|_, one| Arc::strong_count(&one.principal) > 1 || now - one.used < LONGEST);
    if known.len() < MOST {
        return;
    }
    let idle = known.iter().filter(|(_, one)| Arc::strong_count(&one.principal) == 1);
    if let Some(oldest) = idle.min_by_key(|(_, one)| one.used).map(|(name, _)| name.clone()) {
        known.remove(&oldest);
    }
}

/// Keeps the principals of an upstream, for as long as it lives, to the share of this process.
pub(super) struct Limits {
    principals: Weak<Principals>,
    share: Box<dyn Fn(Standing) -> Option<Policy> + Send + Sync>,
}

impl Limits {
    pub(super) fn new(
        principals: &Arc<Principals>,
        share: impl Fn(Standing) -> Option<Policy> + Send + Sync + 'static,
    ) -> Self {
        Self { principals: Arc::downgrade(principals), share: Box::new(share) }
    }
}

impl Follower for Limits {
    fn follow(&self, standing: Option<Standing>) {
        if let Some(principals) = self.principals.upgrade() {
            principals.change(standing.and_then(&self.share));
        }
    }

    fn has_settled(&self) -> bool {
        self.principals.upgrade().is_none_or(|principals| principals.have_settled())
    }
}

#[cfg(test)]
mod tests {
    use super::super::principal::Refusal;
    use super::super::principal::tests::{admit, policy};
    use super::*;
    use std::time::Duration;

    #[tokio::test(start_paused = true)]
    async fn the_memory_of_principals_is_bounded_and_keeps_those_in_use() {
        let principals = Principals::new(policy());
        let busy = principals.get("busy");
        for name in 0..MOST * 2 {
            principals.get(&name.to_string());
        }
        assert_eq!(principals.state().known.len(), MOST);
        assert!(Arc::ptr_eq(&busy, &principals.get("busy")));
        tokio::time::sleep(LONGEST).await;
        principals.get("new");
        assert_eq!(principals.state().known.len(), 2, "all the idle ones went");
    }

    #[tokio::test(start_paused = true)]
    async fn other_limits_hold_for_those_who_wait_already() {
        let principals = Principals::new(Policy { parallel: 1, ..policy() });
        let principal = principals.get("a");
        let held = admit(&principal, 1).await.unwrap();
        let second = async {
            let start = Instant::now();
            let admitted = admit(&principal, 1).await;
            (admitted.is_ok(), start.elapsed())
        };
        let change = async {
            tokio::time::sleep(Duration::from_secs(1)).await;
            principals.change(Some(Policy { parallel: 2, ..policy() }));
        };
        let ((is_admitted, waited), ()) = tokio::join!(second, change);
        assert!(is_admitted && waited.as_secs() == 1, "{waited:?}");
        principals.change(Some(Policy { parallel: 1, ..policy() }));
        assert!(principals.have_settled(), "the one that is left");
        drop(held);
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_share_no_call_is_made_also_for_those_unknown() {
        let principals = Principals::new(policy());
        let known = principals.get("known");
        principals.change(None);
        for principal in [known, principals.get("unknown")] {
            assert!(matches!(admit(&principal, 1).await, Err(Refusal::Limited(_))));
        }
        principals.change(Some(policy()));
        for name in ["known", "unknown", "new"] {
            assert!(admit(&principals.get(name), 1).await.is_ok());
        }
    }

    #[tokio::test(start_paused = true)]
    async fn who_is_new_after_a_change_begins_without_units_for_a_while() {
        let principals = Principals::new(policy());
        let few = Policy { units: 4, per: Duration::from_secs(4), burst: 4, ..policy() };
        principals.change(Some(few));
        let start = Instant::now();
        admit(&principals.get("at once"), 2).await.unwrap();
        assert_eq!(start.elapsed().as_secs(), 2);
        tokio::time::sleep(Duration::from_secs(2)).await;
        let start = Instant::now();
        admit(&principals.get("later"), 4).await.unwrap();
        assert!(start.elapsed().is_zero());
    }
}

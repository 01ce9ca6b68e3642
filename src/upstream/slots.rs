//! How many calls of a principal may be in flight: fewer after its upstream said that they are too many, and slowly more
//! again ("additive increase, multiplicative decrease").

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// Quiet time after which one more call may be in flight.
const QUIET: Duration = Duration::from_secs(10);

/// The slots of one principal.
pub(super) struct Slots {
    semaphore: Semaphore,
    state: Mutex<State>,
}

struct State {
    /// Slots that there may be at all.
    most: usize,
    /// Slots that refusals have left; more than `most` where they leave all.
    left: usize,
    /// Slots that go when they get free.
    surplus: usize,
    /// When refusals last had a say.
    changed: Instant,
}

impl State {
    /// Slots that there are now, free or taken.
    fn allowed(&self) -> usize {
        self.most.min(self.left)
    }
}

/// One slot, taken until it is dropped.
pub(super) struct Slot<'a> {
    slots: &'a Slots,
    permit: Option<SemaphorePermit<'a>>,
}

impl Slots {
    pub(super) fn new(most: usize) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        let state = State { most, left: usize::MAX, surplus: 0, changed: Instant::now() };
        Self { semaphore: Semaphore::new(most), state: Mutex::new(state) }
    }

    /// Waits for a slot, in the order of those who wait.
    pub(super) async fn take(&self) -> Result<Slot<'_>, AcquireError> {
        self.recover();
        let permit = self.semaphore.acquire().await?;
        Ok(Slot { slots: self, permit: Some(permit) })
    }

    /// A call sent at `sent` was refused because too many were in flight: from now on half as many may be, one at least.
    /// Gives how many that are now, if this changed it.
    pub(super) fn halve(&self, sent: Instant) -> Option<usize> {
        let mut state = self.state();
        // Calls that were in flight together and refused together are one refusal, not many.
        if sent < state.changed || state.allowed() == 1 {
            return None;
        }
        state.changed = Instant::now();
        self.change(&mut state, |state| state.left = state.allowed() / 2);
        Some(state.allowed())
    }

    /// There are so many from now on, at once; what refusals have taken stays away.
    pub(super) fn resize(&self, most: usize) {
        self.change(&mut self.state(), |state| state.most = most.clamp(1, Semaphore::MAX_PERMITS));
    }

    /// Whether no more are taken than there are.
    pub(super) fn have_settled(&self) -> bool {
        self.state().surplus == 0
    }

    /// One more for each quiet time that has passed.
    fn recover(&self) {
        let mut state = self.state();
        while state.left < state.most && state.changed.elapsed() >= QUIET {
            state.changed += QUIET;
            self.change(&mut state, |state| state.left += 1);
        }
    }

    fn change(&self, state: &mut State, how: impl FnOnce(&mut State)) {
        let before = state.allowed();
        how(state);
        let after = state.allowed();
        if after < before {
            state.surplus += before - after - self.semaphore.forget_permits(before - after);
        } else {
            let kept = state.surplus.min(after - before);
            state.surplus -= kept;
            self.semaphore.add_permits(after - before - kept);
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut state = self.slots.state();
        if state.surplus > 0
            && let Some(permit) = self.permit.take()
        {
            state.surplus -= 1;
            permit.forget();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;

    /// Takes what is free.
    fn all(slots: &Slots) -> Vec<Slot<'_>> {
        std::iter::from_fn(|| slots.take().now_or_never()).map(Result::unwrap).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_halves_them_down_to_one() {
        let slots = Slots::new(5);
        for expected in [Some(2), Some(1), None] {
            tokio::time::sleep(Duration::from_millis(1)).await;
            assert_eq!(slots.halve(Instant::now()), expected);
        }
        assert_eq!(all(&slots).len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn calls_refused_together_count_once() {
        let slots = Slots::new(8);
        let sent = Instant::now();
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert_eq!(slots.halve(sent), Some(4));
        assert_eq!(slots.halve(sent), None, "sent before the number changed");
        assert_eq!(all(&slots).len(), 4);
    }

    #[tokio::test(start_paused = true)]
    async fn taken_slots_go_when_they_get_free() {
        let slots = Slots::new(4);
        let mut taken = all(&slots);
        slots.halve(Instant::now());
        taken.truncate(2);
        assert!(slots.take().now_or_never().is_none(), "two are in flight, and no more may be");
        taken.clear();
        assert_eq!(all(&slots).len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn after_quiet_time_they_come_back_one_by_one() {
        let slots = Slots::new(4);
        slots.halve(Instant::now());
        for expected in [2, 3, 4, 4] {
            assert_eq!(all(&slots).len(), expected);
            tokio::time::sleep(QUIET).await;
        }
        let taken = all(&slots);
        slots.halve(Instant::now());
        tokio::time::sleep(QUIET).await;
        drop(taken);
        assert_eq!(all(&slots).len(), 3, "one of those that were to go has stayed");
    }

    #[tokio::test(start_paused = true)]
    async fn a_further_refusal_starts_the_quiet_time_again() {
        let slots = Slots::new(8);
        slots.halve(Instant::now());
        tokio::time::sleep(QUIET / 2).await;
        assert_eq!(slots.halve(Instant::now()), Some(2));
        tokio::time::sleep(QUIET * 3 / 4).await;
        assert_eq!(all(&slots).len(), 2);
    }

    #[tokio::test(start_paused = true)]
    async fn another_number_holds_at_once_and_is_settled_when_the_surplus_is_back() {
        let slots = Slots::new(5);
        let mut taken = all(&slots);
        slots.resize(2);
        assert!(!slots.have_settled());
        taken.truncate(2);
        assert!(slots.have_settled() && slots.take().now_or_never().is_none());
        slots.resize(5);
        assert_eq!(all(&slots).len(), 3);
        taken.clear();
        assert_eq!(all(&slots).len(), 5);
    }

    #[tokio::test(start_paused = true)]
    async fn another_number_does_not_undo_a_refusal() {
        let slots = Slots::new(8);
        slots.halve(Instant::now());
        slots.resize(6);
        assert_eq!(all(&slots).len(), 4);
        tokio::time::sleep(QUIET * 2).await;
        assert_eq!(all(&slots).len(), 6);
        slots.resize(2);
        assert_eq!(all(&slots).len(), 2);
        slots.resize(8);
        assert_eq!(all(&slots).len(), 6);
        tokio::time::sleep(QUIET * 2).await;
        assert_eq!(all(&slots).len(), 8);
    }
}

//! How many calls of a principal may be in flight: fewer after its upstream said that they are too many, and slowly more
//! again ("additive increase, multiplicative decrease").
//!
//! Calls that somebody waits for go ahead of the others, and some slots may be theirs alone. Who is not urgent waits at a
//! door of its own first: behind it are never more than there are places for, and from there on all take their turn in the
//! order in which they came. So an urgent call has few before it, however many wait at the door, and those behind the door are
//! never passed by.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::{AcquireError, Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// Quiet time after which one more call may be in flight.
const QUIET: Duration = Duration::from_secs(10);
/// Of fewer slots none is kept for urgent calls: the others would have one at most.
const FEWEST_TO_KEEP: usize = 3;

/// The slots of one principal.
pub(super) struct Slots {
    all: Semaphore,
    /// As many as calls that are not urgent may take.
    door: Semaphore,
    /// Slots that only urgent calls take, where there are enough.
    kept: usize,
    state: Mutex<State>,
}

struct State {
    /// Slots that there may be at all.
    most: usize,
    /// Slots that refusals have left; more than `most` where they leave all.
    left: usize,
    /// Slots that go when they get free, and places behind the door.
    surplus: Surplus,
    /// When refusals last had a say.
    changed: Instant,
}

#[derive(Default)]
struct Surplus {
    all: usize,
    door: usize,
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
    behind_the_door: Option<SemaphorePermit<'a>>,
}

impl Slots {
    /// `kept` of them for urgent calls alone.
    pub(super) fn new(most: usize, kept: usize) -> Self {
        let most = most.clamp(1, Semaphore::MAX_PERMITS);
        let state = State { most, left: usize::MAX, surplus: Surplus::default(), changed: Instant::now() };
        let door = Semaphore::new(behind(most, kept));
        Self { all: Semaphore::new(most), door, kept, state: Mutex::new(state) }
    }

    /// Waits for a slot, in the order of those who wait, and an urgent one ahead of those at the door.
    pub(super) async fn take(&self, urgent: bool) -> Result<Slot<'_>, AcquireError> {
        self.recover();
        // Made before the second wait: who goes away meanwhile leaves its place as a slot does.
        let mut slot = Slot { slots: self, permit: None, behind_the_door: None };
        if !urgent {
            slot.behind_the_door = Some(self.door.acquire().await?);
        }
        slot.permit = Some(self.all.acquire().await?);
        Ok(slot)
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
        self.state().surplus.all == 0
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
        resize(&self.all, &mut state.surplus.all, before, after);
        let (before, after) = (behind(before, self.kept), behind(after, self.kept));
        resize(&self.door, &mut state.surplus.door, before, after);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many of these slots calls take that are not urgent.
fn behind(slots: usize, kept: usize) -> usize {
    if slots < FEWEST_TO_KEEP { slots } else { slots.saturating_sub(kept).max(1) }
}

fn resize(semaphore: &Semaphore, surplus: &mut usize, before: usize, after: usize) {
    if after < before {
        *surplus += before - after - semaphore.forget_permits(before - after);
    } else {
        let kept = (*surplus).min(after - before);
        *surplus -= kept;
        semaphore.add_permits(after - before - kept);
    }
}

fn give_back(permit: &mut Option<SemaphorePermit<'_>>, surplus: &mut usize) {
    if *surplus > 0
        && let Some(permit) = permit.take()
    {
        *surplus -= 1;
        permit.forget();
    }
}

impl Drop for Slot<'_> {
    fn drop(&mut self) {
        let mut state = self.slots.state();
        give_back(&mut self.permit, &mut state.surplus.all);
        give_back(&mut self.behind_the_door, &mut state.surplus.door);
    }
}

#[cfg(test)]
mod tests;

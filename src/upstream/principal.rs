//! The state of one principal: its slots, rate, pause and circuit.

use super::breaker::{Breaker, Pass};
use super::guard::{Guard, Held};
use super::limit::Rate;
use super::pause::Pause;
use super::slots::{Slot, Slots};
use super::{Call, Policy};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Mutex as FairMutex;
use tokio::time::{Instant, sleep, timeout_at};

/// What a caller is told to wait who found all slots taken: when one gets free, nobody knows.
const BUSY_WAIT: Duration = Duration::from_secs(1);

/// One account or token.
pub(super) struct Principal {
    /// As callers name it; no secret.
    pub(super) name: String,
    pub(super) slots: Slots,
    /// Held by the one caller that waits for the rate. A fair lock: first come, first served, so that light calls
    /// cannot starve a heavy one.
    turn: FairMutex<()>,
    /// Held by the one caller that is not urgent and waits for its turn: all others of these wait here, so that an urgent
    /// call has one of them before it, and that one is not passed by more than once for each slot.
    line: FairMutex<()>,
    rate: Rate,
    pub(super) pause: Pause,
    pub(super) guard: Guard,
    breaker: Breaker,
    /// No call may be made, whoever asks.
    is_shut: AtomicBool,
}

/// Why a call may not be made now, and how long that lasts.
#[derive(Debug)]
pub(super) enum Refusal {
    Limited(Duration),
    Broken(Duration),
    Held(Duration, Held),
}

/// Leave to make one try. Frees its slot when dropped.
pub(super) struct Admission<'a> {
    pub(super) pass: Pass<'a>,
    /// Further calls like this one are held from now on.
    pub(super) last_before: Option<Held>,
    _slot: Slot<'a>,
}

impl Principal {
    pub(super) fn new(name: &str, policy: &Policy) -> Self {
        Self {
            name: name.to_owned(),
            is_shut: AtomicBool::new(false),
            slots: Slots::new(policy.parallel, policy.urgent_slots),
            turn: FairMutex::new(()),
            line: FairMutex::new(()),
            rate: Rate::new(policy),
            pause: Pause::default(),
            guard: Guard::new(policy.thresholds),
            breaker: Breaker::new(policy.breaker_failures, policy.breaker_pause, policy.lenient_reads),
        }
    }

    /// Keeps to the limits of this policy from now on; without one no call is made.
    pub(super) fn change(&self, policy: Option<&Policy>) {
        self.is_shut.store(policy.is_none(), Ordering::Relaxed);
        if let Some(policy) = policy {
            self.slots.resize(policy.parallel);
            self.rate.change(policy);
            self.guard.change(policy.thresholds);
        }
    }

    /// Waits for the turn of this call, at most `budget`, from which the time waited is taken.
    pub(super) async fn admit(&self, call: &Call, budget: &mut Duration) -> Result<Admission<'_>, Refusal> {
        // What cannot succeed is refused at once instead of after a wait in the line.
        self.breaker.check().map_err(Refusal::Broken)?;
        self.check_open(call)?;
        let paused = self.pause.remaining();
        if paused > *budget {
            return Err(Refusal::Limited(paused));
        }
        let deadline = Instant::now() + *budget;
        let Ok(Ok(slot)) = timeout_at(deadline, self.slots.take(call.urgent)).await else {
            return Err(self.busy());
        };
        self.take_turn(call, deadline).await?;
        *budget = deadline.saturating_duration_since(Instant::now());
        // Others may have met it meanwhile.
        self.check_open(call)?;
        let pass = self.breaker.enter().map_err(Refusal::Broken)?;
        let last_before = self.guard.sent(&call.method, call.counted_path());
        Ok(Admission { pass, last_before, _slot: slot })
    }

    /// Whether this read, a hash of its URL, is one that has failed while others may work.
    pub(super) fn expects_failure(&self, read: u64) -> bool {
        self.breaker.expects_failure(read)
    }

    /// How long the circuit refuses calls from now on.
    pub(super) fn refused_for(&self) -> Duration {
        self.breaker.check().err().unwrap_or_default()
    }

    fn check_open(&self, call: &Call) -> Result<(), Refusal> {
        if self.is_shut.load(Ordering::Relaxed) {
            return Err(Refusal::Limited(BUSY_WAIT));
        }
        match self.guard.holds(&call.method, call.counted_path()) {
            Some((after, why)) => Err(Refusal::Held(after, why)),
            None => Ok(()),
        }
    }

    async fn take_turn(&self, call: &Call, deadline: Instant) -> Result<(), Refusal> {
        let turn = async {
            let line = if call.urgent { None } else { Some(self.line.lock().await) };
            (self.turn.lock().await, line)
        };
        let Ok(_turn) = timeout_at(deadline, turn).await else {
            return Err(self.busy());
        };
        loop {
            let wait = match self.pause.remaining() {
                Duration::ZERO => match self.rate.take(call.weight) {
                    Ok(()) => return Ok(()),
                    Err(wait) => wait,
                },
                paused => paused,
            };
            if Instant::now() + wait > deadline {
                return Err(Refusal::Limited(wait));
            }
            sleep(wait).await;
        }
    }

    fn busy(&self) -> Refusal {
        Refusal::Limited(self.pause.remaining().max(BUSY_WAIT))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in crate::upstream) fn policy() -> Policy {
        Policy {
            parallel: 2,
            units: 1000,
            burst: 1000,
            max_wait: Duration::from_secs(5),
            ..Policy::default()
        }
    }

    pub(in crate::upstream) async fn admit(
        principal: &Principal,
        weight: u32,
    ) -> Result<Admission<'_>, Refusal> {
        let call = Call::new(reqwest::Method::GET, "GET /x", "/x").weight(weight);
        principal.admit(&call, &mut Duration::from_secs(5)).await
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_who_finds_no_slot_gives_up_after_its_budget() {
        let principal = Principal::new("a", &policy());
        let held = (admit(&principal, 1).await.unwrap(), admit(&principal, 1).await.unwrap());
        let start = Instant::now();
        let refused = admit(&principal, 1).await.err();
        assert!(matches!(refused, Some(Refusal::Limited(BUSY_WAIT))), "{refused:?}");
        assert_eq!(start.elapsed().as_secs(), 5);
        drop(held);
        assert!(admit(&principal, 1).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn what_cannot_fit_into_the_budget_is_refused_at_once() {
        let principal = Principal::new("a", &policy());
        principal.pause.extend(Duration::from_secs(6));
        let start = Instant::now();
        let refused = admit(&principal, 1).await.err();
        assert!(matches!(refused, Some(Refusal::Limited(wait)) if wait.as_secs() == 6), "{refused:?}");
        assert!(start.elapsed().is_zero());
    }

    #[tokio::test(start_paused = true)]
    async fn the_time_waited_is_taken_from_the_budget() {
        let principal = Principal::new("a", &policy());
        principal.pause.extend(Duration::from_secs(2));
        let mut budget = Duration::from_secs(5);
        let call = Call::new(reqwest::Method::GET, "GET /x", "/x");
        principal.admit(&call, &mut budget).await.unwrap();
        assert!(budget > Duration::from_millis(2_900) && budget <= Duration::from_secs(3), "{budget:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_heavy_call_is_not_starved_by_light_ones() {
        let principal = Principal::new("a", &Policy { parallel: 10, units: 10, burst: 10, ..policy() });
        admit(&principal, 10).await.unwrap();
        let start = Instant::now();
        let heavy = async {
            admit(&principal, 10).await.unwrap();
            start.elapsed()
        };
        let light = async {
            tokio::time::sleep(Duration::from_millis(10)).await;
            for _ in 0..20 {
                admit(&principal, 1).await.unwrap();
            }
            start.elapsed()
        };
        let (heavy, light) = tokio::join!(heavy, light);
        assert!(heavy < Duration::from_millis(1_100), "{heavy:?}");
        assert!(light >= Duration::from_millis(2_900), "{light:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_caller_who_goes_away_while_waiting_leaves_nothing_behind() {
        let principal = Principal::new("a", &Policy { parallel: 1, ..policy() });
        principal.pause.extend(Duration::from_secs(3));
        let waiting = timeout_at(Instant::now() + Duration::from_secs(1), admit(&principal, 1)).await;
        assert!(waiting.is_err());
        assert!(admit(&principal, 1).await.is_ok(), "slot and turn are free again");
    }
}

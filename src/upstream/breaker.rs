//! The circuit of one principal: closed while calls work, open after too many failures in a row, then one probe at a
//! time until one works.
//!
//! Where single things may be unreadable ([`Policy::lenient_reads`]), a read that is answered with a failure again and again may
//! be the fault of what it asks for: while other calls work it counts once, and as a probe it keeps the circuit open for no longer
//! than it takes to let another try.
//!
//! [`Policy::lenient_reads`]: super::Policy::lenient_reads

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// What callers are told to wait while another call probes.
const PROBE_WAIT: Duration = Duration::from_secs(1);
/// When nothing has worked since a first failure so long ago, a read that fails again counts like any other failure.
const LENIENCE: Duration = Duration::from_secs(60);
/// Failed reads that are remembered.
const MOST_READS: usize = 64;

pub(super) struct Breaker {
    /// Failures in a row that open it.
    failures: u32,
    /// How long it stays open.
    pause: Duration,
    lenient_reads: bool,
    state: Mutex<State>,
}

struct State {
    circuit: Circuit,
    /// Reads that have failed since one call worked: a hash of each.
    reads: Vec<u64>,
    /// The first failure since then.
    failing_since: Option<Instant>,
    /// Probes in a row that were known to fail.
    known_probes: u32,
    /// Raised with every change of the circuit, so that calls from before the change have no say after it.
    epoch: u64,
}

enum Circuit {
    Closed { failures: u32 },
    Open { until: Instant },
    Probing,
}

impl State {
    fn turn(&mut self, circuit: Circuit) {
        self.circuit = circuit;
        self.epoch += 1;
    }

    /// Whether this read has failed before.
    fn knows(&mut self, read: u64) -> bool {
        let known = self.reads.contains(&read);
        if !known && self.reads.len() < MOST_READS {
            self.reads.push(read);
        }
        known
    }

    /// How long calls are refused from now, if they are.
    fn refusal(&self) -> Option<Duration> {
        match self.circuit {
            Circuit::Closed { .. } => None,
            Circuit::Open { until } => {
                Some(until.saturating_duration_since(Instant::now())).filter(|wait| !wait.is_zero())
            }
            Circuit::Probing => Some(PROBE_WAIT),
        }
    }
}

impl Breaker {
    pub(super) fn new(failures: u32, pause: Duration, lenient_reads: bool) -> Self {
        let circuit = Circuit::Closed { failures: 0 };
        let state = State { circuit, reads: Vec::new(), failing_since: None, known_probes: 0, epoch: 0 };
        Self { failures: failures.max(1), pause, lenient_reads, state: Mutex::new(state) }
    }

    /// Whether this read has failed since one call worked, and is expected to.
    pub(super) fn expects_failure(&self, read: u64) -> bool {
        self.lenient_reads && self.state().reads.contains(&read)
    }

    /// Whether a call would be refused now, and for how long.
    pub(super) fn check(&self) -> Result<(), Duration> {
        self.state().refusal().map_or(Ok(()), Err)
    }

    /// Lets one call through, or says how long calls are refused.
    pub(super) fn enter(&self) -> Result<Pass<'_>, Duration> {
        let mut state = self.state();
        if let Some(wait) = state.refusal() {
            return Err(wait);
        }
        if matches!(state.circuit, Circuit::Open { .. }) {
            state.turn(Circuit::Probing);
        }
        Ok(Pass { breaker: self, epoch: state.epoch })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that is under way. Dropped without a verdict (the caller went away, or the reply says nothing about the
/// upstream's health) it changes nothing, and a probe makes room for the next.
pub(super) struct Pass<'a> {
    breaker: &'a Breaker,
    epoch: u64,
}

impl Pass<'_> {
    /// The upstream works.
    pub(super) fn succeeded(self) {
        let mut state = self.breaker.state();
        if state.epoch != self.epoch {
            return;
        }
        state.reads.clear();
        state.known_probes = 0;
        state.failing_since = None;
        match &mut state.circuit {
            Circuit::Closed { failures } => *failures = 0,
            Circuit::Open { .. } | Circuit::Probing => state.turn(Circuit::Closed { failures: 0 }),
        }
    }

    /// The upstream does not work. `read`: what was asked for, by a hash, if it was a read and there was an answer to it.
    /// Gives true when this opened a closed circuit.
    pub(super) fn failed(self, read: Option<u64>) -> bool {
        let mut state = self.breaker.state();
        if state.epoch != self.epoch {
            return false;
        }
        let is_known = self.breaker.lenient_reads && read.is_some_and(|read| state.knows(read));
        let excused = state.failing_since.get_or_insert_with(Instant::now).elapsed() < LENIENCE && is_known;
        let (was_closed, pause) = match &mut state.circuit {
            Circuit::Closed { failures } => {
                *failures += u32::from(!excused);
                if *failures < self.breaker.failures {
                    return false;
                }
                (true, self.breaker.pause)
            }
            Circuit::Open { .. } | Circuit::Probing if is_known => {
                state.known_probes = state.known_probes.saturating_add(1);
                let longer = PROBE_WAIT.saturating_mul(1 << (state.known_probes - 1).min(10));
                (false, longer.min(self.breaker.pause))
            }
            Circuit::Open { .. } | Circuit::Probing => (false, self.breaker.pause),
        };
        state.turn(Circuit::Open { until: Instant::now() + pause });
        was_closed
    }
}

impl Drop for Pass<'_> {
    fn drop(&mut self) {
        let mut state = self.breaker.state();
        // After a verdict on a probe the epoch is another.
        if state.epoch == self.epoch && matches!(state.circuit, Circuit::Probing) {
            state.turn(Circuit::Open { until: Instant::now() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(30);

    fn fail(breaker: &Breaker, times: u32) -> bool {
        (0..times).any(|_| breaker.enter().ok().unwrap().failed(None))
    }

    fn opened() -> Breaker {
        let breaker = Breaker::new(3, PAUSE, true);
        assert!(fail(&breaker, 3));
        breaker
    }

    #[tokio::test(start_paused = true)]
    async fn failures_in_a_row_open_it() {
        let breaker = Breaker::new(3, PAUSE, true);
        assert!(!fail(&breaker, 2));
        breaker.enter().ok().unwrap().succeeded();
        assert!(!fail(&breaker, 2), "a success starts the count again");
        assert!(fail(&breaker, 1));
        assert_eq!(breaker.check(), Err(PAUSE));
        assert_eq!(breaker.enter().err(), Some(PAUSE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_reply_that_proves_nothing_does_not_count() {
        let breaker = Breaker::new(3, PAUSE, true);
        fail(&breaker, 2);
        drop(breaker.enter().ok().unwrap());
        assert!(fail(&breaker, 1), "two failures before and one after");
    }

    #[tokio::test(start_paused = true)]
    async fn after_the_pause_one_probe_at_a_time_passes() {
        let breaker = opened();
        tokio::time::sleep(PAUSE).await;
        let probe = breaker.enter().ok().unwrap();
        assert_eq!(breaker.enter().err(), Some(PROBE_WAIT));
        assert!(!probe.failed(None), "it was open before");
        assert_eq!(breaker.check(), Err(PAUSE), "open again for a whole pause");
        tokio::time::sleep(PAUSE).await;
        breaker.enter().ok().unwrap().succeeded();
        let (one, two) = (breaker.enter(), breaker.enter());
        assert!(one.is_ok() && two.is_ok(), "closed: any number of calls");
    }

    #[tokio::test(start_paused = true)]
    async fn one_read_that_fails_again_and_again_does_not_open_it() {
        let breaker = Breaker::new(3, PAUSE, true);
        let read = |read: u64| breaker.enter().ok().unwrap().failed(Some(read));
        assert!((0..10).all(|_| !read(1)));
        assert!(!read(2));
        breaker.enter().ok().unwrap().succeeded();
        assert!(!read(1) && !read(2), "a success starts the count again");
        assert!(read(3), "the third of them");
    }

    #[tokio::test(start_paused = true)]
    async fn a_read_that_fails_again_counts_when_nothing_works() {
        let strict = Breaker::new(3, PAUSE, false);
        assert!((0..3).any(|_| strict.enter().ok().unwrap().failed(Some(1))));
        let breaker = Breaker::new(3, PAUSE, true);
        let read = || breaker.enter().ok().unwrap().failed(Some(1));
        assert!(!breaker.expects_failure(1) && !read() && breaker.expects_failure(1));
        assert!((0..10).all(|_| !read()));
        tokio::time::sleep(LENIENCE).await;
        assert!(!read() && read(), "with the first, the third that counts");
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_known_to_fail_makes_room_for_another_soon() {
        let breaker = opened();
        let probe = |read: u64| breaker.enter().ok().unwrap().failed(Some(read));
        tokio::time::sleep(PAUSE).await;
        assert!(!probe(1));
        assert_eq!(breaker.check(), Err(PAUSE), "nothing was known of this one");
        tokio::time::sleep(PAUSE).await;
        assert!(!probe(1));
        assert_eq!(breaker.check(), Err(PROBE_WAIT));
        tokio::time::sleep(PROBE_WAIT).await;
        assert!(!probe(1));
        assert_eq!(breaker.check(), Err(PROBE_WAIT * 2), "not for ever so soon");
        tokio::time::sleep(PROBE_WAIT * 2).await;
        assert!(!probe(2));
        assert_eq!(breaker.check(), Err(PAUSE));
    }

    #[tokio::test(start_paused = true)]
    async fn a_probe_that_is_cancelled_makes_room_for_the_next() {
        let breaker = opened();
        tokio::time::sleep(PAUSE).await;
        drop(breaker.enter().ok().unwrap());
        assert!(breaker.enter().is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_from_before_the_opening_has_no_say_after_it() {
        let breaker = Breaker::new(3, PAUSE, true);
        let early = [breaker.enter().ok().unwrap(), breaker.enter().ok().unwrap()];
        fail(&breaker, 3);
        tokio::time::sleep(PAUSE).await;
        let probe = breaker.enter().ok().unwrap();
        let [one, two] = early;
        one.succeeded();
        assert!(!two.failed(None));
        assert_eq!(breaker.check(), Err(PROBE_WAIT), "still probing");
        probe.succeeded();
        assert_eq!(breaker.check(), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn zero_failures_mean_one() {
        let breaker = Breaker::new(0, PAUSE, true);
        assert!(breaker.enter().is_ok());
        assert!(fail(&breaker, 1));
    }
}

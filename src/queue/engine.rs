//! The loop that claims due rows, runs them and writes how they ended.
//!
//! One task and one connection do all of a queue's bookkeeping in this process, so claims, heartbeats and endings
//! never wait for each other's row locks. No transaction is open while a job runs.

use super::running::Running;
use super::table::{self, Ending, Head};
use super::{Backoff, Claimed as _, HandlerError, Outcome, Pressure, QueueTable, Waker};
use crate::db::{Database, error_kind, within};
use chrono::Utc;
use diesel::QueryResult;
use diesel_async::AsyncPgConnection;
use futures_util::FutureExt as _;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// What is done with a claimed row. Must be safe to run twice.
#[async_trait::async_trait]
pub trait Job<T: QueueTable>: Send + Sync + 'static {
    /// Does the work of one row.
    async fn run(&self, row: &T::Row) -> Result<Outcome, HandlerError>;

    /// Whether rows may be claimed now; else they are left to other nodes, or for later.
    fn is_ready(&self) -> bool {
        true
    }
}

/// How an engine works.
#[derive(Debug, Clone, Copy)]
pub struct EngineSettings {
    /// Rows in work at once.
    pub concurrency: usize,
    /// How long a silent worker keeps its rows.
    pub lease: Duration,
    /// When to try again.
    pub backoff: Backoff,
    /// How long jobs in hand may go on after the stop.
    pub drain: Duration,
}

/// Retries and other nodes' work are found by looking this often, when no wake-up came.
const POLL: Duration = Duration::from_millis(500);
/// How long a claim under pressure keeps the next away. A claim costs about the same for one row as for many, so few
/// and larger ones take less from those who wait at the door than many small ones.
const STEP_BACK: Duration = Duration::from_millis(50);
/// How long a few free places may wait for more of them while much is to be done, for the same reason.
const GATHER: Duration = Duration::from_millis(10);
/// How long the beginning of the queue is remembered: so long may wait what comes in front of it, as a retry may.
const HEAD: Duration = Duration::from_millis(250);
/// Looking for it takes long where vacuum cannot keep up; this many times as long it is left alone then.
const HEAD_SHARE: u32 = 20;
/// But no longer than this: a look may also have taken long because the machine stood still.
const HEAD_LIMIT: Duration = Duration::from_secs(2);
/// A database that is only slow is not left for another connection to the same one, however short the lease.
const PATIENCE: Duration = Duration::from_secs(5);
/// Endings written by one statement.
const FINISH_BATCH: usize = 256;

/// The work of one queue in this process.
pub struct Engine<T: QueueTable> {
    database: Database,
    waker: Waker,
    settings: EngineSettings,
    job: Arc<dyn Job<T>>,
    owner: Uuid,
    pressure: Pressure,
}

impl<T: QueueTable> Engine<T> {
    /// An engine with an owner id of its own.
    pub fn new(database: Database, waker: Waker, settings: EngineSettings, job: Arc<dyn Job<T>>) -> Self {
        Self { database, waker, settings, job, owner: Uuid::new_v4(), pressure: Pressure::default() }
    }

    /// Steps back while this pressure is high: fewer rows at once, and a pause between claims.
    #[must_use]
    pub fn yielding_to(mut self, pressure: Pressure) -> Self {
        self.pressure = pressure;
        self
    }

    /// How long the database may take to answer: what is held here is others' by then.
    fn patience(&self) -> Duration {
        self.settings.lease.max(PATIENCE)
    }

    /// How many rows may be in work now.
    fn places(&self) -> usize {
        if !self.job.is_ready() {
            return 0;
        }
        let all = self.settings.concurrency;
        if self.pressure.is_high() { (all / 4).max(1) } else { all }
    }

    /// Works until `stop`, then drains. Survives every loss of the database.
    pub async fn run(self, stop: CancellationToken) {
        let (sender, mut ended) = mpsc::channel(self.settings.concurrency.max(1));
        let mut state = State {
            running: Running::default(),
            sender,
            last_contact: Instant::now(),
            last_claim: Instant::now(),
            backlog: false,
            head: None,
            look_for_head: Instant::now(),
            unwritten: Vec::new(),
        };
        let mut failures = 0;
        loop {
            let error = match self.database.connect(SETUP).await {
                Ok(mut conn) => match self.work(&mut conn, &mut state, &mut ended, &stop).await {
                    Ok(()) => break,
                    Err(error) => error_kind(&error),
                },
                Err(_) => "cannot connect",
            };
            // A connection that worked until now starts the backoff anew.
            failures = if state.last_contact.elapsed() < POLL * 2 { 1 } else { failures + 1 };
            tracing::warn!(queue = T::NAME, error, "the queue lost its database connection; trying again");
            if state.last_contact.elapsed() > self.settings.lease {
                // Whatever was in hand may be another node's by now.
                state.running.stop_all();
            }
            if stop.is_cancelled() && failures > 3 {
                break;
            }
            tokio::time::sleep(Backoff { base: POLL, max: Duration::from_secs(5) }.wait(failures.min(8)))
                .await;
        }
        let left = state.running.stop_all().len();
        tracing::info!(queue = T::NAME, left, "the queue has stopped");
    }

    async fn work(
        &self,
        conn: &mut AsyncPgConnection,
        state: &mut State,
        ended: &mut mpsc::Receiver<Ending>,
        stop: &CancellationToken,
    ) -> QueryResult<()> {
        let mut poll = tokio::time::interval(POLL);
        let mut heartbeat = tokio::time::interval(self.settings.lease / 4);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        heartbeat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut look = true;
        loop {
            self.write_endings(conn, state, ended).await?;
            while look && !stop.is_cancelled() && self.hold(state).is_none() {
                state.last_claim = Instant::now();
                look = self.claim(conn, state).await?;
            }
            let hold = self.hold(state);
            state.last_contact = Instant::now();
            if stop.is_cancelled() {
                return self.drain(conn, state, ended).await;
            }
            tokio::select! {
                () = self.waker.woken() => look = true,
                _ = poll.tick() => look = true,
                _ = heartbeat.tick() => self.keep_leases(conn, state).await?,
                Some(ending) = ended.recv() => {
                    state.unwritten.push(ending);
                    // The next of its lane may be due, and there is room for one more.
                    look = true;
                }
                () = tokio::time::sleep(hold.unwrap_or_default()), if look => {}
                () = stop.cancelled() => {}
            }
        }
    }

    /// How long the next claim has to wait, if it has to.
    fn hold(&self, state: &State) -> Option<Duration> {
        let free = self.places().saturating_sub(state.running.len());
        let pause = if self.pressure.is_high() {
            STEP_BACK
        } else if state.backlog && free * 4 < self.places() {
            GATHER
        } else {
            return None;
        };
        pause.checked_sub(state.last_claim.elapsed()).filter(|left| !left.is_zero())
    }

    /// Fills the free places; true if there may be more to claim at once.
    async fn claim(&self, conn: &mut AsyncPgConnection, state: &mut State) -> QueryResult<bool> {
        let free = self.places().saturating_sub(state.running.len());
        if free == 0 {
            return Ok(false);
        }
        let now = Instant::now();
        if state.look_for_head <= now {
            state.head = within(self.patience(), table::head::<T>(conn)).await?;
            state.look_for_head = Instant::now() + head_rest(now.elapsed());
        }
        let claim = table::claim::<T>(conn, self.owner, self.settings.lease, free, state.head);
        let rows = within(self.patience(), claim).await?;
        let full = rows.len() == free;
        state.backlog = full;
        for row in rows {
            self.start(row, state);
        }
        Ok(full && state.running.len() < self.places())
    }

    fn start(&self, row: T::Row, state: &mut State) {
        let (id, attempt) = (row.id(), row.attempt());
        let (job, sender, backoff) = (self.job.clone(), state.sender.clone(), self.settings.backoff);
        let task = tokio::spawn(async move {
            let (started, at) = (Instant::now(), Utc::now());
            // A panic is a defect of one handler; it must not take the queue with it.
            let result = AssertUnwindSafe(job.run(&row)).catch_unwind().await.unwrap_or_else(|_| {
                Err(HandlerError::Retry("the handler panicked; the process's log has the place".to_owned()))
            });
            let ending = ending(id, attempt, result, backoff, at, started.elapsed());
            let _ = sender.send(ending).await;
        });
        state.running.add(id, attempt, task.abort_handle());
    }

    async fn write_endings(
        &self,
        conn: &mut AsyncPgConnection,
        state: &mut State,
        ended: &mut mpsc::Receiver<Ending>,
    ) -> QueryResult<()> {
        while let Ok(ending) = ended.try_recv() {
            state.unwritten.push(ending);
        }
        while !state.unwritten.is_empty() {
            let count = state.unwritten.len().min(FINISH_BATCH);
            let endings = table::finish::<T>(conn, self.owner, &state.unwritten[..count]);
            let written = within(self.patience(), endings).await?;
            if written.len() < count {
                let lost = count - written.len();
                tracing::warn!(
                    queue = T::NAME,
                    lost,
                    "a lease was lost before its work ended; it runs again"
                );
            }
            for ending in state.unwritten.drain(..count) {
                state.running.remove(ending.id, ending.attempt);
            }
        }
        Ok(())
    }

    async fn keep_leases(&self, conn: &mut AsyncPgConnection, state: &mut State) -> QueryResult<()> {
        let mut ids = state.running.ids();
        if !ids.is_empty() {
            let beat = table::heartbeat::<T>(conn, self.owner, self.settings.lease, &ids);
            let held = within(self.patience(), beat).await?;
            let lost = state.running.stop_unless_held(&ids, &held);
            if lost > 0 {
                tracing::warn!(queue = T::NAME, lost, "leases were lost; their work was stopped");
                ids = state.running.ids();
            }
        }
        let back = within(self.patience(), table::take_back_expired::<T>(conn, &ids)).await?;
        if back > 0 {
            tracing::warn!(queue = T::NAME, rows = back, "took back the work of a dead worker");
            self.waker.wake_here();
        }
        Ok(())
    }

    /// Lets jobs in hand end, for a while; gives back what does not.
    async fn drain(
        &self,
        conn: &mut AsyncPgConnection,
        state: &mut State,
        ended: &mut mpsc::Receiver<Ending>,
    ) -> QueryResult<()> {
        let deadline = tokio::time::Instant::now() + self.settings.drain;
        let mut heartbeat = tokio::time::interval(self.settings.lease / 4);
        while state.running.len() > 0 {
            tokio::select! {
                Some(ending) = ended.recv() => {
                    state.unwritten.push(ending);
                    self.write_endings(conn, state, ended).await?;
                }
                _ = heartbeat.tick() => self.keep_leases(conn, state).await?,
                () = tokio::time::sleep_until(deadline) => break,
            }
        }
        let left = state.running.stop_all();
        if !left.is_empty() {
            within(self.patience(), table::release::<T>(conn, self.owner, &left)).await?;
            tracing::warn!(queue = T::NAME, rows = left.len(), "gave back work that did not end in time");
        }
        Ok(())
    }
}

/// An ending that is lost in a database crash is an attempt that runs again, which every job must bear anyway; so this
/// connection need not wait for the disk.
///
/// A node that is frozen in the middle of a claim holds up the claims of all others, so the server soon ends its transaction.
///
/// Its statements begin at the end of an index and take a few rows. Where statistics are missing or old, as after a flood into
/// an empty table, Postgres would rather sort all that waits for each claim: a hundred times the work.
const SETUP: &str = "SET application_name = 'hookgate queue'; SET synchronous_commit = off; \
                     SET statement_timeout = '30s'; SET lock_timeout = '10s'; \
                     SET idle_in_transaction_session_timeout = '5s'; SET jit = off; SET enable_sort = off; \
                     SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_hashjoin = off; \
                     SET enable_mergejoin = off";

/// How long the beginning of the queue is left alone after a look that took so long.
fn head_rest(look: Duration) -> Duration {
    look.saturating_mul(HEAD_SHARE).clamp(HEAD, HEAD_LIMIT)
}

struct State {
    running: Running,
    sender: mpsc::Sender<Ending>,
    last_contact: Instant,
    last_claim: Instant,
    /// Whether the last claim left rows that are due.
    backlog: bool,
    /// Where the queue began when it was looked at last.
    head: Option<Head>,
    /// When to look again.
    look_for_head: Instant,
    /// Endings that the database has not taken yet; kept over a reconnect.
    unwritten: Vec<Ending>,
}

fn ending(
    id: Uuid,
    attempt: i32,
    result: Result<Outcome, HandlerError>,
    backoff: Backoff,
    at: chrono::DateTime<Utc>,
    took: Duration,
) -> Ending {
    let (status, counts, outcome, error, delay, word) = match result {
        Ok(done) if done.completed => ("completed", true, Some(done.summary), None, None, "completed"),
        Ok(done) => ("ignored", true, Some(done.summary), None, None, "ignored"),
        Err(HandlerError::Retry(why)) => {
            ("received", true, None, Some(why), Some(backoff.wait(attempt).as_secs_f64()), "error")
        }
        Err(HandlerError::Defer { after, reason }) => {
            ("received", false, None, Some(reason), Some(after.as_secs_f64()), "deferred")
        }
        Err(HandlerError::GiveUp(why)) => ("failed", true, None, Some(why), None, "failed"),
    };
    let log = serde_json::json!({
        "at": at, "duration_ms": u64::try_from(took.as_millis()).unwrap_or(u64::MAX), "outcome": word,
        "error": error,
    });
    Ending { id, attempt, status, counts, outcome, error, delay, log }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_look_for_the_head_does_not_hide_for_long_what_comes_in_front_of_it() {
        assert_eq!(head_rest(Duration::from_millis(1)), HEAD);
        assert_eq!(head_rest(Duration::from_millis(50)), Duration::from_secs(1));
        assert_eq!(head_rest(Duration::from_secs(3)), HEAD_LIMIT);
    }
}

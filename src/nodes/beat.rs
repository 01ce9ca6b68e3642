//! The heartbeat of one process: says that it is alive, reads who else is, and draws the conclusion.

use super::store::{self, LIFE, Other};
use super::{Kind, Nodes, Standing};
use crate::db::Database;
use crate::queue::Waker;
use chrono::{DateTime, Utc};
use diesel::QueryResult;
use diesel_async::AsyncPgConnection;
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

const EVERY: Duration = Duration::from_secs(1);
/// While it waits for the others.
const SOON: Duration = Duration::from_millis(100);
/// One try to reach the database.
const PATIENCE: Duration = Duration::from_secs(2);
/// After its last sign of life was sent it makes calls for this long: less than the others count it for.
const VALID: Duration = LIFE.saturating_sub(Duration::from_secs(1));
/// Calls that are under way when the share gets smaller may take minutes; nobody is kept waiting for them for longer.
const SETTLE: Duration = Duration::from_secs(10);

const SETUP: &str = "SET application_name = 'hookgate nodes'; SET synchronous_commit = off; \
                     SET statement_timeout = '2s'; SET lock_timeout = '2s'";

pub(super) struct Beat {
    database: Database,
    conn: Option<AsyncPgConnection>,
    id: Uuid,
    kind: Kind,
    nodes: Nodes,
    state: State,
    /// Until when calls may be made without another sign of life.
    valid: Instant,
}

impl Beat {
    pub(super) fn new(database: Database, id: Uuid, kind: Kind, nodes: Nodes) -> Self {
        Self { database, conn: None, id, kind, nodes, state: State::default(), valid: Instant::now() }
    }

    pub(super) async fn run(mut self, waker: Waker, stop: CancellationToken) {
        loop {
            let pause = self.once().await;
            tokio::select! {
                () = sleep(pause) => {}
                () = waker.woken() => {}
                () = stop.cancelled() => break,
            }
        }
        self.nodes.set(None);
        if let Some(mut conn) = self.conn.take() {
            // Else the others wait until it counts as dead.
            let _ = timeout_at(Instant::now() + PATIENCE, store::leave(&mut conn, self.id)).await;
        }
    }

    /// Gives how long until the next.
    async fn once(&mut self) -> Duration {
        let began = Instant::now();
        let is_admitted = self.nodes.standing().is_some();
        let patience = began + PATIENCE;
        let deadline = if is_admitted { patience.min(self.valid) } else { patience };
        // What hangs is given up together with its connection.
        let conn = self.conn.take();
        if let Ok(Some((conn, others, joined_at))) = timeout_at(deadline, self.exchange(conn)).await {
            self.conn = Some(conn);
            self.valid = began + VALID;
            let before = others.iter().filter(|other| self.comes_after(other, joined_at)).count();
            let (of, is_admitted) = self.state.conclude(&others, is_admitted);
            let rank = u32::try_from(before).unwrap_or(u32::MAX);
            self.nodes.set(is_admitted.then_some(Standing { of, rank }));
            let next = self.state.promise(others.len(), self.nodes.have_settled(), began);
            return if is_admitted { next } else { next.min(SOON) };
        }
        if is_admitted && Instant::now() >= self.valid {
            tracing::warn!("the database is away: no call is made that other nodes could make, too");
            self.nodes.set(None);
        }
        if self.nodes.standing().is_none() {
            self.state = State::default();
        }
        SOON
    }

    async fn exchange(
        &self,
        conn: Option<AsyncPgConnection>,
    ) -> Option<(AsyncPgConnection, Vec<Other>, DateTime<Utc>)> {
        let mut conn = match conn {
            Some(conn) => conn,
            None => self.database.connect(SETUP).await.ok()?,
        };
        let said = self.say_and_read(&mut conn).await;
        let (others, joined_at) = said.ok()?;
        Some((conn, others, joined_at))
    }

    async fn say_and_read(&self, conn: &mut AsyncPgConnection) -> QueryResult<(Vec<Other>, DateTime<Utc>)> {
        let heeds = i32::try_from(self.state.said).unwrap_or(i32::MAX);
        if store::say(conn, self.id, self.kind, heeds).await? {
            store::tell(conn).await?;
        }
        store::read(conn, self.id).await
    }

    fn comes_after(&self, other: &Other, joined_at: DateTime<Utc>) -> bool {
        let place = |is_command: bool, joined_at, id| (!is_command, joined_at, id);
        place(other.is_command, other.joined_at, other.id)
            < place(self.kind == Kind::Command, joined_at, self.id)
    }
}

/// What one process knows of the others, and has told them.
#[derive(Debug, Default)]
struct State {
    /// What stands in its row: it shares among so many, at least.
    said: usize,
    /// Since when calls are under way that only a larger share allowed.
    unsettled: Option<Instant>,
}

impl State {
    /// Among how many to share from now on, and whether to make calls at all. `others` were read after `said` had been
    /// committed: those who are not among them have read it, or will.
    fn conclude(&self, others: &[Other], is_admitted: bool) -> (u32, bool) {
        let count = others.len() + 1;
        let heeded = || others.iter().all(|other| usize::try_from(other.heeds).unwrap_or_default() >= count);
        let of = u32::try_from(count.max(self.said)).unwrap_or(u32::MAX);
        (of, is_admitted || heeded())
    }

    /// Decides what to say next; gives how soon.
    fn promise(&mut self, others: usize, has_settled: bool, now: Instant) -> Duration {
        let count = others + 1;
        if count > self.said && !has_settled && now - *self.unsettled.get_or_insert(now) < SETTLE {
            return SOON;
        }
        self.unsettled = None;
        if count != self.said {
            self.said = count;
            return Duration::ZERO;
        }
        EVERY
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::rngs::StdRng;
    use rand::{RngExt as _, SeedableRng as _};
    use std::collections::BTreeMap;

    /// One process, whose statements may be interleaved with those of others in any way.
    #[derive(Default)]
    struct Process {
        state: State,
        next: Next,
        /// What the others see of it while it counts as alive.
        row: Option<i32>,
        of: Option<u32>,
        /// Calls are under way that this smaller divisor allowed.
        under_way: Option<u32>,
        is_dead: bool,
    }

    #[derive(Default)]
    enum Next {
        #[default]
        Say,
        Read,
        Conclude(Vec<Other>),
    }

    #[derive(Default)]
    struct Model(BTreeMap<u128, Process>);

    impl Model {
        fn others(&self, me: u128) -> Vec<Other> {
            let others = self.0.iter().filter(|(id, _)| **id != me);
            let joined_at = DateTime::UNIX_EPOCH;
            let other = |(id, process): (&u128, &Process)| {
                Some(Other { id: Uuid::from_u128(*id), is_command: false, joined_at, heeds: process.row? })
            };
            others.filter_map(other).collect()
        }

        fn step(&mut self, me: u128, now: Instant) {
            let others = self.others(me);
            let process = self.0.get_mut(&me).unwrap();
            process.next = match std::mem::take(&mut process.next) {
                Next::Say => {
                    process.row = Some(i32::try_from(process.state.said).unwrap());
                    Next::Read
                }
                Next::Read => Next::Conclude(others),
                Next::Conclude(others) => {
                    let (of, is_admitted) = process.state.conclude(&others, process.of.is_some());
                    if let Some(before) = process.of.filter(|before| *before < of) {
                        process.under_way = process.under_way.min(Some(before)).or(Some(before));
                    }
                    process.of = is_admitted.then_some(of);
                    process.state.promise(others.len(), process.under_way.is_none(), now);
                    Next::Say
                }
            };
        }

        fn forget(&mut self, id: u128) {
            let process = self.0.get_mut(&id).unwrap();
            *process = Process { row: process.row, is_dead: process.is_dead, ..Process::default() };
        }

        /// All that is taken of the whole, in parts of it.
        fn taken(&self) -> f64 {
            let divisor = |process: &Process| process.under_way.or(process.of);
            self.0.values().filter_map(divisor).map(|of| 1.0 / f64::from(of)).sum()
        }
    }

    /// Processes join, leave, die, lose the database and come back at any moment between two statements of the others.
    #[test]
    fn the_shares_never_add_up_to_more_than_the_whole() {
        let now = Instant::now();
        let mut full = 0;
        for seed in 0..300 {
            let mut random = StdRng::seed_from_u64(seed);
            let mut model = Model::default();
            for turn in 0..600_u128 {
                let ids: Vec<u128> = model.0.keys().copied().collect();
                let one = (!ids.is_empty()).then(|| ids[random.random_range(0..ids.len())]);
                let chance = random.random_range(0..100);
                match one {
                    None => drop(model.0.insert(turn, Process::default())),
                    Some(_) if chance < 3 && ids.len() < 6 => drop(model.0.insert(turn, Process::default())),
                    Some(id) if chance < 5 => {
                        model.0.remove(&id);
                    }
                    Some(id) if chance < 7 => {
                        model.0.get_mut(&id).unwrap().is_dead = true;
                        model.forget(id);
                    }
                    Some(id) if chance < 9 => model.forget(id),
                    Some(id) if chance < 12 && model.0[&id].is_dead => {
                        model.0.remove(&id);
                    }
                    // It lost the database for so long that the others count it no more.
                    Some(id) if chance < 12 && model.0[&id].of.is_none() => {
                        model.forget(id);
                        model.0.get_mut(&id).unwrap().row = None;
                    }
                    Some(id) if chance < 30 => model.0.get_mut(&id).unwrap().under_way = None,
                    Some(id) if !model.0[&id].is_dead => model.step(id, now),
                    Some(_) => {}
                }
                assert!(model.taken() < 1.000_001, "seed {seed}, turn {turn}");
                full += usize::from(model.taken() > 0.999);
            }
            // Left alone, all get their equal share.
            model.0.retain(|_, process| !process.is_dead);
            for _ in 0..30 {
                for id in model.0.keys().copied().collect::<Vec<_>>() {
                    model.0.get_mut(&id).unwrap().under_way = None;
                    model.step(id, now);
                }
            }
            let count = u32::try_from(model.0.len()).unwrap();
            assert!(model.0.values().all(|process| process.of == Some(count)), "seed {seed}");
        }
        assert!(full > 20_000, "only {full} turns saw the whole in use");
    }

    #[test]
    fn nobody_is_kept_waiting_for_calls_that_take_minutes() {
        let mut state = State { said: 1, unsettled: None };
        let start = Instant::now();
        assert_eq!(state.promise(1, false, start), SOON);
        assert_eq!(state.promise(1, false, start + SETTLE / 2), SOON);
        assert_eq!((state.said, state.promise(1, false, start + SETTLE)), (1, Duration::ZERO));
        assert_eq!((state.said, state.promise(1, false, start + SETTLE)), (2, EVERY));
    }

    #[test]
    fn calls_end_before_the_others_stop_counting_them_in() {
        assert!(VALID + SOON * 5 < LIFE && EVERY + PATIENCE < VALID);
    }
}

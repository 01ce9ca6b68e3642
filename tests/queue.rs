//! The work engine on a table of its own: order, retries, fencing, takeover, drain.

use crate::support::gate::Gate;
use crate::support::gateway::TestDatabase;
use crate::support::wait::until;
use diesel::QueryableByName;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Integer, Nullable, Text, Uuid as SqlUuid};
use diesel_async::SimpleAsyncConnection as _;
use hookgate::db::Database;
use hookgate::queue::{
    Backoff, Claimed, Engine, EngineSettings, HandlerError, Job, Outcome, QueueTable, Waker,
};
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

struct Work;

impl QueueTable for Work {
    const NAME: &'static str = "work";
    const COLUMNS: &'static str = "id, lane, number, attempts";
    type Row = WorkRow;
}

#[derive(QueryableByName, Clone)]
struct WorkRow {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Nullable<BigInt>)]
    lane: Option<i64>,
    #[diesel(sql_type = Integer)]
    number: i32,
    #[diesel(sql_type = Integer)]
    attempts: i32,
}

impl Claimed for WorkRow {
    fn id(&self) -> Uuid {
        self.id
    }
    fn attempt(&self) -> i32 {
        self.attempts
    }
}

const TABLE: &str = "CREATE TABLE work (
    id uuid PRIMARY KEY, number integer NOT NULL, lane bigint, status text NOT NULL DEFAULT 'received',
    attempts integer NOT NULL DEFAULT 0, max_attempts integer NOT NULL DEFAULT 3, priority smallint NOT NULL DEFAULT 100,
    run_at timestamptz NOT NULL DEFAULT now(), lease_until timestamptz, lease_owner uuid, last_error text,
    attempt_log jsonb NOT NULL DEFAULT '[]', outcome text, processed_at timestamptz)";

/// What a job does with one row.
type Act =
    dyn Fn(WorkRow) -> futures_util::future::BoxFuture<'static, Result<Outcome, HandlerError>> + Send + Sync;

struct Acting(Box<Act>);

#[async_trait::async_trait]
impl Job<Work> for Acting {
    async fn run(&self, row: &WorkRow) -> Result<Outcome, HandlerError> {
        (self.0)(row.clone()).await
    }
}

fn job<F, Fut>(act: F) -> Arc<dyn Job<Work>>
where
    F: Fn(WorkRow) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Outcome, HandlerError>> + Send + 'static,
{
    Arc::new(Acting(Box::new(move |row| Box::pin(act(row)))))
}

/// For tests in which a lease has to run out.
const SHORT_LEASE: Duration = Duration::from_secs(2);

struct Bench {
    database: TestDatabase,
    waker: Waker,
}

struct Running {
    stop: CancellationToken,
    task: tokio::task::JoinHandle<()>,
}

impl Running {
    async fn stop(self) {
        self.stop.cancel();
        self.task.await.unwrap();
    }
}

#[derive(QueryableByName)]
struct Answer {
    #[diesel(sql_type = Nullable<Text>)]
    text: Option<String>,
}

#[derive(QueryableByName, Debug)]
struct State {
    #[diesel(sql_type = Text)]
    status: String,
    #[diesel(sql_type = Integer)]
    attempts: i32,
    #[diesel(sql_type = Nullable<Text>)]
    last_error: Option<String>,
    #[diesel(sql_type = Integer)]
    logged: i32,
}

impl Bench {
    async fn new() -> Self {
        let database = TestDatabase::create().await;
        database.connect().await.batch_execute(TABLE).await.unwrap();
        Self { database, waker: Waker::new("work") }
    }

    /// Adds rows `(number, lane)` in this order.
    async fn add(&self, rows: &[(i32, Option<i64>)]) {
        use diesel_async::RunQueryDsl as _;
        let mut conn = self.database.connect().await;
        for (number, lane) in rows {
            sql_query("INSERT INTO work (id, number, lane) VALUES ($1, $2, $3)")
                .bind::<SqlUuid, _>(Uuid::now_v7())
                .bind::<Integer, _>(number)
                .bind::<Nullable<BigInt>, _>(lane)
                .execute(&mut conn)
                .await
                .unwrap();
        }
        self.waker.wake();
    }

    /// An engine whose leases outlive every stall: of what is not about leases, none may run out.
    fn start(&self, concurrency: usize, job: Arc<dyn Job<Work>>) -> Running {
        self.start_with(concurrency, Duration::from_secs(60), job)
    }

    fn start_with(&self, concurrency: usize, lease: Duration, job: Arc<dyn Job<Work>>) -> Running {
        let settings = EngineSettings {
            concurrency,
            lease,
            backoff: Backoff { base: Duration::from_millis(10), max: Duration::from_millis(50) },
            drain: Duration::from_secs(5),
        };
        let database = Database::new(self.database.url.clone().into());
        let stop = CancellationToken::new();
        let engine = Engine::<Work>::new(database, self.waker.clone(), settings, job);
        Running { task: tokio::spawn(engine.run(stop.clone())), stop }
    }

    async fn states(&self) -> Vec<State> {
        use diesel_async::RunQueryDsl as _;
        sql_query("SELECT status, attempts, last_error, jsonb_array_length(attempt_log) AS logged FROM work ORDER BY number")
            .load(&mut self.database.connect().await)
            .await
            .unwrap()
    }

    /// The only text that a query gives, cast from whatever it is.
    async fn ask(&self, query: &str) -> Option<String> {
        use diesel_async::RunQueryDsl as _;
        let query = sql_query(format!("SELECT ({query})::text AS text"));
        query.get_result::<Answer>(&mut self.database.connect().await).await.unwrap().text
    }

    /// Waits until no row is unfinished.
    async fn finished(&self) -> Vec<State> {
        until("all rows to be finished", Duration::from_secs(20), || async {
            let states = self.states().await;
            states.iter().all(|state| !["received", "processing"].contains(&&*state.status)).then_some(states)
        })
        .await
    }
}

fn done() -> Result<Outcome, HandlerError> {
    Ok(Outcome::completed("done"))
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_one_lane_run_one_after_another_in_their_order_also_over_retries_and_nodes() {
    let bench = Bench::new().await;
    let rows: Vec<(i32, Option<i64>)> = (0..200).map(|n| (n, Some(i64::from(n % 10)))).collect();
    bench.add(&rows).await;
    let seen: Arc<Mutex<HashMap<i64, Vec<i32>>>> = Arc::default();
    let busy: Arc<Mutex<HashMap<i64, usize>>> = Arc::default();
    let act = {
        let (seen, busy) = (seen.clone(), busy.clone());
        job(move |row| {
            let (seen, busy) = (seen.clone(), busy.clone());
            async move {
                let lane = row.lane.unwrap();
                let others = std::mem::replace(busy.lock().unwrap().entry(lane).or_default(), 1);
                assert_eq!(others, 0, "two rows of lane {lane} at once");
                tokio::task::yield_now().await;
                busy.lock().unwrap().insert(lane, 0);
                if row.number % 7 == 0 && row.attempts == 1 {
                    return Err(HandlerError::Retry("first try".to_owned()));
                }
                seen.lock().unwrap().entry(lane).or_default().push(row.number);
                done()
            }
        })
    };
    let engines = [bench.start(8, act.clone()), bench.start(8, act.clone()), bench.start(8, act)];
    let states = bench.finished().await;
    assert!(states.iter().all(|state| state.status == "completed"), "{states:?}");
    for (lane, numbers) in seen.lock().unwrap().iter() {
        let expected: Vec<i32> = (0..20).map(|n| n * 10 + i32::try_from(*lane).unwrap()).collect();
        assert_eq!(*numbers, expected);
    }
    for engine in engines {
        engine.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_without_a_lane_run_at_once_and_never_more_than_allowed() {
    let bench = Bench::new().await;
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let gate = Arc::new(Semaphore::new(0));
    let act = {
        let (now, most, gate) = (now.clone(), most.clone(), gate.clone());
        job(move |_| {
            let (now, most, gate) = (now.clone(), most.clone(), gate.clone());
            async move {
                most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                let _permit = gate.acquire().await.unwrap();
                now.fetch_sub(1, Ordering::SeqCst);
                done()
            }
        })
    };
    let engine = bench.start(16, act);
    bench.add(&(0..50).map(|n| (n, None)).collect::<Vec<_>>()).await;
    until("sixteen at once", Duration::from_secs(10), || async {
        (now.load(Ordering::SeqCst) == 16).then_some(())
    })
    .await;
    gate.add_permits(1);
    bench.finished().await;
    assert_eq!(most.load(Ordering::SeqCst), 16);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_blocked_lane_does_not_hold_others_back() {
    let bench = Bench::new().await;
    let gate = Arc::new(Semaphore::new(0));
    let act = {
        let gate = gate.clone();
        job(move |row| {
            let gate = gate.clone();
            async move {
                if row.lane == Some(1) {
                    let _permit = gate.acquire().await.unwrap();
                }
                done()
            }
        })
    };
    let engine = bench.start(4, act);
    let rows: Vec<_> = (0..40).map(|n| (n, Some(if n < 20 { 1 } else { 2 }))).collect();
    bench.add(&rows).await;
    until("the other lane to end", Duration::from_secs(10), || async {
        bench.states().await[20..].iter().all(|state| state.status == "completed").then_some(())
    })
    .await;
    assert!(bench.states().await[1..20].iter().all(|state| state.status == "received"));
    gate.add_permits(1);
    bench.finished().await;
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn endings_are_told_apart_and_attempts_are_bounded_and_logged() {
    let bench = Bench::new().await;
    let engine = bench.start(
        4,
        job(|row| async move {
            match row.number {
                1 => Ok(Outcome::ignored("nothing to do")),
                2 => Err(HandlerError::Retry("never works".to_owned())),
                3 => Err(HandlerError::GiveUp("hopeless".to_owned())),
                4 if row.attempts < 3 => Err(HandlerError::Retry("not yet".to_owned())),
                5 => panic!("a defect"),
                _ => done(),
            }
        }),
    );
    bench.add(&(0..6).map(|n| (n, None)).collect::<Vec<_>>()).await;
    let states = bench.finished().await;
    let short: Vec<_> = states.iter().map(|s| (s.status.as_str(), s.attempts, s.logged)).collect();
    assert_eq!(
        short,
        [
            ("completed", 1, 1),
            ("ignored", 1, 1),
            ("failed", 3, 3),
            ("failed", 1, 1),
            ("completed", 3, 3),
            ("failed", 3, 3)
        ]
    );
    assert_eq!(states[2].last_error.as_deref(), Some("never works"));
    assert_eq!(states[0].last_error, None);
    assert!(states[5].last_error.as_ref().unwrap().contains("panicked"));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deferral_is_no_attempt() {
    let bench = Bench::new().await;
    let calls = Arc::new(AtomicUsize::new(0));
    let act = {
        let calls = calls.clone();
        job(move |_| {
            let call = calls.fetch_add(1, Ordering::SeqCst);
            async move {
                if call < 10 {
                    let after = Duration::from_millis(5);
                    return Err(HandlerError::Defer { after, reason: "rate limited".to_owned() });
                }
                done()
            }
        })
    };
    let engine = bench.start(1, act);
    bench.add(&[(0, None)]).await;
    let states = bench.finished().await;
    assert_eq!((states[0].status.as_str(), states[0].attempts, states[0].logged), ("completed", 1, 11));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_work_keeps_its_lease_by_heartbeat() {
    let bench = Bench::new().await;
    let (calls, gate) = (Arc::new(AtomicUsize::new(0)), Gate::default());
    let act = held_job(&calls, &gate);
    let lease = Duration::from_secs(6);
    let engines = [bench.start_with(1, lease, act.clone()), bench.start_with(1, lease, act)];
    bench.add(&[(0, None)]).await;
    let first = until("the row to be claimed", Duration::from_secs(60), || async {
        bench.ask("SELECT lease_until FROM work").await
    })
    .await;
    // Without a heartbeat the second engine, which looks every 1.5 s, would have taken it by then.
    let over = format!("SELECT clock_timestamp() > '{first}'::timestamptz + interval '3 s'");
    until("the first lease to be over for long", Duration::from_secs(60), || async {
        (bench.ask(&over).await? == "true").then_some(())
    })
    .await;
    gate.open();
    let states = bench.finished().await;
    assert_eq!((states[0].attempts, calls.load(Ordering::SeqCst)), (1, 1));
    for engine in engines {
        engine.stop().await;
    }
}

/// Counts its calls; each ends when the gate is open.
fn held_job(calls: &Arc<AtomicUsize>, gate: &Gate) -> Arc<dyn Job<Work>> {
    let (calls, gate) = (calls.clone(), gate.clone());
    job(move |_| {
        calls.fetch_add(1, Ordering::SeqCst);
        let gate = gate.clone();
        async move {
            gate.pass().await;
            done()
        }
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_stood_still_does_not_take_its_own_work_for_a_dead_ones() {
    let bench = Bench::new().await;
    // As if after each heartbeat the process had been frozen until the lease was over.
    let stand_still = "CREATE SEQUENCE beats;
        CREATE FUNCTION stand_still() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            PERFORM nextval('beats'); NEW.lease_until := now() - interval '1 s'; RETURN NEW;
        END $$;
        CREATE TRIGGER stand_still BEFORE UPDATE ON work FOR EACH ROW
            WHEN (OLD.status = 'processing' AND NEW.status = 'processing') EXECUTE FUNCTION stand_still()";
    bench.database.connect().await.batch_execute(stand_still).await.unwrap();
    let (calls, gate) = (Arc::new(AtomicUsize::new(0)), Gate::default());
    let engine = bench.start_with(1, SHORT_LEASE, held_job(&calls, &gate));
    bench.add(&[(0, None)]).await;
    // By the third, what follows the second is over.
    until("three heartbeats", Duration::from_secs(60), || async {
        let beats: i32 = bench.ask("SELECT last_value FROM beats").await?.parse().unwrap();
        (beats >= 3).then_some(())
    })
    .await;
    gate.open();
    let states = bench.finished().await;
    let row = (states[0].status.as_str(), states[0].attempts, states[0].logged);
    assert_eq!((row, calls.load(Ordering::SeqCst)), (("completed", 1, 1), 1));
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_workers_row_is_taken_over_and_the_dead_cannot_finish_it() {
    let bench = Bench::new().await;
    bench.add(&[(0, None)]).await;
    let gate = Arc::new(Semaphore::new(0));
    // The first engine claims the row and then loses its database: its task is aborted, as a SIGKILL would.
    let act = {
        let gate = gate.clone();
        job(move |_| {
            let gate = gate.clone();
            async move {
                let _permit = gate.acquire().await.unwrap();
                Ok(Outcome::completed("by the dead"))
            }
        })
    };
    let dead = bench.start_with(1, SHORT_LEASE, act);
    until("the row to be claimed", Duration::from_secs(10), || async {
        (bench.states().await[0].status == "processing").then_some(())
    })
    .await;
    dead.task.abort();
    let by_the_living = job(|_| async { Ok(Outcome::completed("by the living")) });
    let living = bench.start_with(1, SHORT_LEASE, by_the_living);
    let states = bench.finished().await;
    assert_eq!((states[0].status.as_str(), states[0].attempts), ("completed", 2));
    // What the dead one still had in hand ends now, and changes nothing.
    gate.add_permits(1);
    living.stop().await;
    use diesel_async::RunQueryDsl as _;
    #[derive(QueryableByName)]
    struct Row {
        #[diesel(sql_type = Text)]
        outcome: String,
    }
    let rows: Vec<Row> =
        sql_query("SELECT outcome FROM work").load(&mut bench.database.connect().await).await.unwrap();
    assert_eq!(rows[0].outcome, "by the living");
}

#[tokio::test(flavor = "multi_thread")]
async fn work_whose_lease_was_lost_is_stopped() {
    let bench = Bench::new().await;
    let ended = Arc::new(AtomicUsize::new(0));
    let started = Arc::new(Semaphore::new(0));
    let act = {
        let (ended, started) = (ended.clone(), started.clone());
        job(move |row| {
            let (ended, started) = (ended.clone(), started.clone());
            async move {
                started.add_permits(1);
                if row.attempts > 1 {
                    return done();
                }
                std::future::pending::<()>().await;
                ended.fetch_add(1, Ordering::SeqCst);
                done()
            }
        })
    };
    let engine = bench.start_with(2, SHORT_LEASE, act);
    bench.add(&[(0, None)]).await;
    started.acquire().await.unwrap().forget();
    // Another node believes this one dead and takes the row.
    let steal = "UPDATE work SET status = 'received', lease_owner = NULL, lease_until = NULL";
    bench.database.connect().await.batch_execute(steal).await.unwrap();
    let states = bench.finished().await;
    assert_eq!((states[0].status.as_str(), states[0].attempts), ("completed", 2));
    assert_eq!(ended.load(Ordering::SeqCst), 0);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn stopping_lets_work_end_and_claims_nothing_new() {
    let bench = Bench::new().await;
    let (gate, started) = (Arc::new(Semaphore::new(0)), Arc::new(Semaphore::new(0)));
    let act = {
        let (gate, started) = (gate.clone(), started.clone());
        job(move |_| {
            let (gate, started) = (gate.clone(), started.clone());
            async move {
                started.add_permits(1);
                let _permit = gate.acquire().await.unwrap();
                done()
            }
        })
    };
    let engine = bench.start(2, act);
    bench.add(&(0..5).map(|n| (n, None)).collect::<Vec<_>>()).await;
    started.acquire_many(2).await.unwrap().forget();
    engine.stop.cancel();
    gate.add_permits(1);
    engine.task.await.unwrap();
    let states = bench.states().await;
    let count = |status| states.iter().filter(|state| state.status == status).count();
    assert_eq!((count("completed"), count("received"), count("processing")), (2, 3, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_engine_outlives_its_connection() {
    let bench = Bench::new().await;
    let engine = bench.start_with(2, SHORT_LEASE, job(|_| async { done() }));
    for round in 0..3 {
        bench.add(&[(round, None)]).await;
        bench.finished().await;
        let cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                   WHERE datname = current_database() AND application_name = 'hookgate queue'";
        bench.database.connect().await.batch_execute(cut).await.unwrap();
    }
    bench.add(&[(9, None)]).await;
    assert_eq!(bench.finished().await.len(), 4);
    engine.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn smaller_priorities_go_first_and_the_future_waits() {
    let bench = Bench::new().await;
    bench.add(&[(0, None), (1, None), (2, None)]).await;
    let change = "UPDATE work SET priority = 10 WHERE number = 2;
                  UPDATE work SET run_at = now() + interval '1 hour' WHERE number = 0";
    bench.database.connect().await.batch_execute(change).await.unwrap();
    let order: Arc<Mutex<Vec<i32>>> = Arc::default();
    let act = {
        let order = order.clone();
        job(move |row| {
            order.lock().unwrap().push(row.number);
            async { done() }
        })
    };
    let engine = bench.start(1, act);
    until("the two that are due", Duration::from_secs(10), || async {
        (bench.states().await.iter().filter(|state| state.status == "completed").count() == 2).then_some(())
    })
    .await;
    engine.stop().await;
    assert_eq!(*order.lock().unwrap(), [2, 1]);
    assert_eq!(bench.states().await[0].status, "received");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_in_front_of_a_long_queue_does_not_wait_for_its_end() {
    let bench = Bench::new().await;
    let (order, gate) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Semaphore::new(0)));
    let act = {
        let (order, gate) = (order.clone(), gate.clone());
        job(move |row| {
            let (order, gate) = (order.clone(), gate.clone());
            async move {
                gate.acquire().await.unwrap().forget();
                order.lock().unwrap().push(row.number);
                done()
            }
        })
    };
    bench.add(&(0..100).map(|n| (n, None)).collect::<Vec<_>>()).await;
    let engine = bench.start(1, act);
    until("the first to be in work", Duration::from_secs(10), || async {
        bench.states().await.iter().any(|state| state.status == "processing").then_some(())
    })
    .await;
    let mut conn = bench.database.connect().await;
    conn.batch_execute("UPDATE work SET priority = 10 WHERE number = 99").await.unwrap();
    // One more may go with each look, and not so many that they are through before the queue's head is looked for again.
    until("the urgent one", Duration::from_secs(60), || async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        gate.add_permits(1);
        order.lock().unwrap().contains(&99).then_some(())
    })
    .await;
    assert!(order.lock().unwrap().len() < 100, "it came last");
    gate.add_permits(200);
    bench.finished().await;
    engine.stop().await;
}

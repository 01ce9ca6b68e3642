//! The work engine on a table of its own: order, retries, fencing, takeover, drain.

mod endings;
mod leases;
mod order;

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

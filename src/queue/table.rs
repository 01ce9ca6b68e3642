//! The SQL of the engine, generic over tables with the queue columns.
//!
//! It is raw because diesel cannot name a table by a constant, nor say "claim".

use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{
    Array, BigInt, Bool, Double, Integer, Jsonb, Nullable, SmallInt, Text, Timestamptz, Untyped,
    Uuid as SqlUuid,
};
use diesel::{QueryResult, QueryableByName, sql_query};
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection as _};
use std::marker::PhantomData;
use std::time::Duration;
use uuid::Uuid;

/// A table with the columns `id, status, lane, attempts, max_attempts, priority, run_at, lease_until, lease_owner,
/// last_error, attempt_log, outcome, processed_at`.
pub trait QueueTable: Send + Sync + 'static {
    /// Its name.
    const NAME: &'static str;
    /// SQL list of the columns that [`Self::Row`] reads; must hold `id` and `attempts`.
    const COLUMNS: &'static str;
    /// A claimed row.
    type Row: QueryableByName<Pg> + Claimed + Send + Sync + 'static;
}

/// What the engine needs to know of a claimed row.
pub trait Claimed {
    /// Row id.
    fn id(&self) -> Uuid;
    /// Attempt number, from 1; with the owner it fences the row against a worker that lost its lease.
    fn attempt(&self) -> i32;
}

/// How an attempt ended, ready to be written.
#[derive(Debug)]
pub(super) struct Ending {
    pub(super) id: Uuid,
    pub(super) attempt: i32,
    /// `completed`, `ignored`, `failed`, or `received` to run again.
    pub(super) status: &'static str,
    /// Whether the attempt counts; a deferred one does not.
    pub(super) counts: bool,
    pub(super) outcome: Option<String>,
    pub(super) error: Option<String>,
    /// Seconds until it may run again.
    pub(super) delay: Option<f64>,
    /// Line of the attempt log.
    pub(super) log: serde_json::Value,
}

/// Longest attempt log, in entries; the oldest fall out.
const LOG_ENTRIES: i32 = 50;
/// An attempt that ended with its worker's death says little about the row, so it may happen this many times more often
/// than an error before the row counts as what kills workers.
const DEATHS_PER_ATTEMPT: i32 = 4;

#[derive(QueryableByName)]
struct Fenced {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

#[derive(QueryableByName)]
struct Held {
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
    #[diesel(sql_type = Integer)]
    attempts: i32,
}

/// Where the queue begins: nothing that waits sorts before it. What has been claimed leaves dead entries in the index, until
/// they are vacuumed; a claim that begins here does not pass over them again.
#[derive(Debug, Clone, Copy, QueryableByName)]
pub(super) struct Head {
    #[diesel(sql_type = SmallInt)]
    priority: i16,
    #[diesel(sql_type = Timestamptz)]
    run_at: DateTime<Utc>,
    #[diesel(sql_type = SqlUuid)]
    id: Uuid,
}

/// Looks where the queue begins.
pub(super) async fn head<T: QueueTable>(conn: &mut AsyncPgConnection) -> QueryResult<Option<Head>> {
    let found: Vec<Head> = sql_query(format!(
        "SELECT priority, run_at, id FROM {} WHERE status = 'received' ORDER BY priority, run_at, id LIMIT 1",
        T::NAME
    ))
    .load(conn)
    .await?;
    Ok(found.into_iter().next())
}

/// Takes up to `limit` due rows that do not sort before `head`, at most one of each lane and only a lane's oldest
/// unfinished.
///
/// Claims of one table are made one at a time across all nodes: two at once could each miss what the other has just
/// taken of the same lane. A claim takes about a millisecond and a batch, so this does not bound the rate.
pub(super) async fn claim<T: QueueTable>(
    conn: &mut AsyncPgConnection,
    owner: Uuid,
    lease: Duration,
    limit: usize,
    head: Option<Head>,
) -> QueryResult<Vec<T::Row>> {
    let table = T::NAME;
    conn.batch_execute(&format!("BEGIN; SELECT pg_advisory_xact_lock(hashtext('hookgate.claim.{table}'))"))
        .await?;
    let (lease, limit) = (lease.as_secs_f64(), i64::try_from(limit).unwrap_or(i64::MAX));
    let claimed = Claim::<T> { owner, lease, limit, head, table: PhantomData }.load(conn).await;
    match claimed {
        Ok(rows) => conn.batch_execute("COMMIT").await.map(|()| rows),
        Err(error) => {
            let _ = conn.batch_execute("ROLLBACK").await;
            Err(error)
        }
    }
}

/// The statement of a claim. Unlike a plain SQL text it is prepared once for each connection: planning it takes as long as
/// running it.
struct Claim<T> {
    owner: Uuid,
    lease: f64,
    limit: i64,
    head: Option<Head>,
    table: PhantomData<T>,
}

impl<T: QueueTable> QueryFragment<Pg> for Claim<T> {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        const FIRST: &Head = &Head { priority: i16::MIN, run_at: DateTime::UNIX_EPOCH, id: Uuid::nil() };
        let head = self.head.as_ref().unwrap_or(FIRST);
        out.push_sql("WITH due AS MATERIALIZED (SELECT id FROM ");
        out.push_sql(T::NAME);
        out.push_sql(
            " AS head WHERE status = 'received' AND run_at <= now() AND (priority, run_at, id) >= (",
        );
        out.push_bind_param::<SmallInt, _>(&head.priority)?;
        out.push_sql(", ");
        out.push_bind_param::<Timestamptz, _>(&head.run_at)?;
        out.push_sql(", ");
        out.push_bind_param::<SqlUuid, _>(&head.id)?;
        out.push_sql(") AND NOT EXISTS (SELECT FROM ");
        out.push_sql(T::NAME);
        out.push_sql(
            " AS other WHERE other.lane = head.lane AND other.status IN ('received', 'processing')
                  AND (other.id < head.id OR other.status = 'processing'))
              ORDER BY priority, run_at, id LIMIT ",
        );
        out.push_bind_param::<BigInt, _>(&self.limit)?;
        out.push_sql(" FOR UPDATE SKIP LOCKED) UPDATE ");
        out.push_sql(T::NAME);
        out.push_sql(" SET status = 'processing', attempts = attempts + 1, lease_owner = ");
        out.push_bind_param::<SqlUuid, _>(&self.owner)?;
        out.push_sql(", lease_until = now() + make_interval(secs => ");
        out.push_bind_param::<Double, _>(&self.lease)?;
        out.push_sql(") WHERE id = ANY (ARRAY(SELECT id FROM due)) RETURNING ");
        out.push_sql(T::COLUMNS);
        Ok(())
    }
}

impl<T: QueueTable> QueryId for Claim<T> {
    type QueryId = Claim<T>;
    const HAS_STATIC_QUERY_ID: bool = true;
}

impl<T: QueueTable> Query for Claim<T> {
    type SqlType = Untyped;
}

/// Writes how attempts ended, all in one statement, and gives the rows that were still this owner's.
pub(super) async fn finish<T: QueueTable>(
    conn: &mut AsyncPgConnection,
    owner: Uuid,
    endings: &[Ending],
) -> QueryResult<Vec<Uuid>> {
    let table = T::NAME;
    let rows: Vec<Fenced> = sql_query(format!(
        "UPDATE {table} AS job SET
             status = CASE WHEN ended.status = 'received' AND ended.counts AND job.attempts >= job.max_attempts
                 THEN 'failed' ELSE ended.status END,
             attempts = job.attempts - CASE WHEN ended.counts THEN 0 ELSE 1 END,
             outcome = ended.outcome, last_error = ended.error, lease_owner = NULL, lease_until = NULL,
             run_at = now() + make_interval(secs => coalesce(ended.delay, 0)),
             processed_at = CASE WHEN ended.status <> 'received' OR ended.counts AND job.attempts >= job.max_attempts
                 THEN now() END,
             attempt_log = CASE WHEN jsonb_array_length(job.attempt_log) >= {LOG_ENTRIES}
                 THEN job.attempt_log - 0 ELSE job.attempt_log END || ended.log
         FROM unnest($2, $3, $4, $5, $6, $7, $8, $9)
             AS ended (id, attempt, status, counts, outcome, error, delay, log)
         WHERE job.id = ended.id AND job.lease_owner = $1 AND job.attempts = ended.attempt
             AND job.status = 'processing'
         RETURNING job.id"
    ))
    .bind::<SqlUuid, _>(owner)
    .bind::<Array<SqlUuid>, _>(endings.iter().map(|e| e.id).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(endings.iter().map(|e| e.attempt).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(endings.iter().map(|e| e.status).collect::<Vec<_>>())
    .bind::<Array<Bool>, _>(endings.iter().map(|e| e.counts).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(endings.iter().map(|e| e.outcome.as_deref()).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(endings.iter().map(|e| e.error.as_deref()).collect::<Vec<_>>())
    .bind::<Array<Nullable<Double>>, _>(endings.iter().map(|e| e.delay).collect::<Vec<_>>())
    .bind::<Array<Jsonb>, _>(endings.iter().map(|e| &e.log).collect::<Vec<_>>())
    .load(conn)
    .await?;
    Ok(rows.into_iter().map(|row| row.id).collect())
}

/// Prolongs the leases of rows in work and gives those that are still this owner's, with their attempt.
pub(super) async fn heartbeat<T: QueueTable>(
    conn: &mut AsyncPgConnection,
    owner: Uuid,
    lease: Duration,
    ids: &[Uuid],
) -> QueryResult<Vec<(Uuid, i32)>> {
    let rows: Vec<Held> = sql_query(format!(
        "UPDATE {} SET lease_until = now() + make_interval(secs => $2)
         WHERE id = ANY ($3) AND lease_owner = $1 AND status = 'processing' RETURNING id, attempts",
        T::NAME
    ))
    .bind::<SqlUuid, _>(owner)
    .bind::<Double, _>(lease.as_secs_f64())
    .bind::<Array<SqlUuid>, _>(ids)
    .load(conn)
    .await?;
    Ok(rows.into_iter().map(|row| (row.id, row.attempts)).collect())
}

/// Gives back what a dead worker held: to run again, or `failed` when it keeps killing its workers.
///
/// Not `own`, the rows in work here, even where this process stood still until their leases were over. But the other rows of
/// this owner: what a claim took whose answer was lost is in work nowhere.
pub(super) async fn take_back_expired<T: QueueTable>(
    conn: &mut AsyncPgConnection,
    own: &[Uuid],
) -> QueryResult<usize> {
    sql_query(format!(
        "UPDATE {table} SET
             status = CASE WHEN attempts >= max_attempts * {DEATHS_PER_ATTEMPT} THEN 'failed' ELSE 'received' END,
             processed_at = CASE WHEN attempts >= max_attempts * {DEATHS_PER_ATTEMPT} THEN now() END,
             run_at = now(), lease_owner = NULL, lease_until = NULL,
             last_error = 'the worker died or lost its lease',
             attempt_log = CASE WHEN jsonb_array_length(attempt_log) >= {LOG_ENTRIES}
                 THEN attempt_log - 0 ELSE attempt_log END || jsonb_build_object(
                 'at', now(), 'duration_ms', NULL, 'outcome', 'abandoned',
                 'error', 'the worker died or lost its lease')
         WHERE id = ANY (ARRAY(SELECT id FROM {table} WHERE status = 'processing' AND lease_until < now()
                 AND NOT id = ANY ($1)
             ORDER BY lease_until LIMIT 500 FOR UPDATE SKIP LOCKED))",
        table = T::NAME
    ))
    .bind::<Array<SqlUuid>, _>(own)
    .execute(conn)
    .await
}

/// Gives back rows that this owner has not finished, as if it had never claimed them.
pub(super) async fn release<T: QueueTable>(
    conn: &mut AsyncPgConnection,
    owner: Uuid,
    ids: &[Uuid],
) -> QueryResult<usize> {
    sql_query(format!(
        "UPDATE {} SET status = 'received', attempts = attempts - 1, lease_owner = NULL, lease_until = NULL
         WHERE id = ANY ($2) AND lease_owner = $1 AND status = 'processing'",
        T::NAME
    ))
    .bind::<SqlUuid, _>(owner)
    .bind::<Array<SqlUuid>, _>(ids)
    .execute(conn)
    .await
}

#[derive(QueryableByName)]
struct Depth {
    #[diesel(sql_type = Text)]
    status: String,
    #[diesel(sql_type = BigInt)]
    rows: i64,
}

/// How many rows of a queue table wait or are in work.
pub async fn depth(conn: &mut AsyncPgConnection, table: &'static str) -> QueryResult<Vec<(String, i64)>> {
    let found: Vec<Depth> = sql_query(format!(
        "SELECT status, count(*) AS rows FROM {table} WHERE status IN ('received', 'processing') GROUP BY status"
    ))
    .load(conn)
    .await?;
    let count = |status: &str| found.iter().find(|row| row.status == status).map_or(0, |row| row.rows);
    Ok(["received", "processing"].map(|status| (status.to_owned(), count(status))).to_vec())
}

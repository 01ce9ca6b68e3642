//! Sync tasks: one unit of upstream work with an account, an entity and an operation (table `sync_queue`).

mod clear;
mod items;

pub use clear::{ENDINGS, Ended, clear, count};
pub use items::{Filter, RetryError, TaskItem, list, retry};

use crate::db::schema::sync_queue::dsl;
use crate::queue::{Claimed, QueueTable};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{self, Array, Nullable, Text};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::time::Duration;
use uuid::Uuid;

/// Waits for what it refers to, as an order for the counterparts of what it sells; goes on by itself. Its error begins so.
pub const HELD: &str = "held";
/// Waits for an operator: the account is suspended, or a loop breaker has tripped. Its error begins so.
pub const BLOCKED: &str = "blocked";
/// What a list can be narrowed to: every status, and two reasons for which a task is still `received`.
pub const STATES: [&str; 7] = ["received", "processing", "completed", "failed", "ignored", HELD, BLOCKED];

/// A task to be stored.
#[derive(Debug, Clone)]
pub struct NewTask {
    /// Row id of the event that caused it.
    pub event_id: Option<Uuid>,
    /// The account that is written to.
    pub account_id: Uuid,
    /// `product`, …
    pub entity_type: &'static str,
    /// Id of the entity where it comes from.
    pub entity_id: String,
    /// `upsert`, …
    pub operation: &'static str,
    /// What the work needs beside these.
    pub payload: Value,
    /// Source event, target account and entity: enqueued twice, it is stored once.
    pub dedupe_key: String,
    /// Tries before it is `failed`.
    pub max_attempts: i32,
    /// Smaller goes first: [`ORDERS`], [`CATALOG`], [`IMAGES`].
    pub priority: i16,
    /// Not to be done before this time has passed.
    pub delay: Duration,
}

/// Key of a payload: the task takes turns with those of the same entity in this account, and not in its own.
pub const LANE_ACCOUNT: &str = "lane_account";

/// Priority of documents that somebody waits for.
pub const ORDERS: i16 = 50;
/// Priority of the catalogue.
pub const CATALOG: i16 = 100;
/// Priority of what is slow and may come later.
pub const IMAGES: i16 = 200;

impl NewTask {
    /// Tasks of one entity in one account are worked off one after another; the payload may say in which
    /// ([`LANE_ACCOUNT`]).
    fn lane(&self) -> i64 {
        let account = self.payload[LANE_ACCOUNT].as_str().and_then(|id| id.parse().ok());
        let mut hash = Sha256::new();
        hash.update(account.unwrap_or(self.account_id));
        hash.update(self.entity_type);
        hash.update([0]);
        hash.update(&self.entity_id);
        let mut first = [0; 8];
        first.copy_from_slice(&hash.finalize()[..8]);
        i64::from_be_bytes(first)
    }
}

/// Stores the tasks, all in one statement; gives how many there are to do. One that is there already is left alone
/// while it waits or runs, and queued again if it has ended: who replays an event wants its work done again, and a
/// handler that runs twice after a crash does no harm by it.
pub async fn enqueue(conn: &mut AsyncPgConnection, tasks: &[NewTask]) -> QueryResult<usize> {
    let rows: Vec<_> = tasks
        .iter()
        .map(|task| {
            (
                dsl::id.eq(Uuid::now_v7()),
                dsl::event_id.eq(task.event_id),
                dsl::account_id.eq(task.account_id),
                dsl::entity_type.eq(task.entity_type),
                dsl::entity_id.eq(&task.entity_id),
                dsl::operation.eq(task.operation),
                dsl::payload.eq(&task.payload),
                dsl::dedupe_key.eq(&task.dedupe_key),
                dsl::lane.eq(task.lane()),
                dsl::max_attempts.eq(task.max_attempts),
                dsl::priority.eq(task.priority),
                dsl::run_at.eq(after(task.delay)),
            )
        })
        .collect();
    let upsert = diesel::insert_into(dsl::sync_queue)
        .values(rows)
        .on_conflict(dsl::dedupe_key)
        .do_update()
        .set(again());
    diesel::query_dsl::methods::FilterDsl::filter(
        upsert,
        dsl::status.eq_any(["completed", "failed", "ignored"]),
    )
    .execute(conn)
    .await
}

/// Stores tasks that gather work, all in one statement: while one with the same dedupe key waits there is no second, but that
/// one is done when the earlier of the two is due. One that is due no later is not touched: many events of the same moment
/// would else write the same row again and again, one after another. So what a task is to do must be committed before: a task
/// that has begun, and has given its key up with [`give_up_key`], has seen it or is followed by another.
pub async fn enqueue_gathering(conn: &mut AsyncPgConnection, tasks: &[NewTask]) -> QueryResult<()> {
    // `CASE` over the old row, from a list: diesel cannot say it. Sorted, so that two of these never deadlock.
    diesel::sql_query(
        "INSERT INTO sync_queue AS q (id, event_id, account_id, entity_type, entity_id, operation, payload, dedupe_key,
             lane, max_attempts, priority, run_at)
         SELECT id, event_id, account_id, entity_type, entity_id, operation, payload, dedupe_key,
             lane, max_attempts, priority, due
         FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) AS n (id, event_id, account_id, entity_type,
             entity_id, operation, payload, dedupe_key, lane, max_attempts, priority, delay),
             LATERAL (SELECT now() + n.delay * interval '1 microsecond' AS due) AS at
         WHERE NOT EXISTS (SELECT FROM sync_queue AS w
             WHERE w.dedupe_key = n.dedupe_key AND w.status = 'received' AND w.run_at <= due)
         ORDER BY dedupe_key
         ON CONFLICT (dedupe_key) DO UPDATE SET
             run_at = CASE WHEN q.status = 'received' THEN least(q.run_at, excluded.run_at) ELSE excluded.run_at END,
             attempts = CASE WHEN q.status = 'received' THEN q.attempts ELSE 0 END,
             status = 'received', processed_at = NULL
         WHERE q.status <> 'processing'",
    )
    .bind::<Array<sql_types::Uuid>, _>(tasks.iter().map(|_| Uuid::now_v7()).collect::<Vec<_>>())
    .bind::<Array<Nullable<sql_types::Uuid>>, _>(tasks.iter().map(|task| task.event_id).collect::<Vec<_>>())
    .bind::<Array<sql_types::Uuid>, _>(tasks.iter().map(|task| task.account_id).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(tasks.iter().map(|task| task.entity_type).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(tasks.iter().map(|task| &*task.entity_id).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(tasks.iter().map(|task| task.operation).collect::<Vec<_>>())
    .bind::<Array<sql_types::Jsonb>, _>(tasks.iter().map(|task| &task.payload).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(tasks.iter().map(|task| &*task.dedupe_key).collect::<Vec<_>>())
    .bind::<Array<sql_types::BigInt>, _>(tasks.iter().map(NewTask::lane).collect::<Vec<_>>())
    .bind::<Array<sql_types::Integer>, _>(tasks.iter().map(|task| task.max_attempts).collect::<Vec<_>>())
    .bind::<Array<sql_types::SmallInt>, _>(tasks.iter().map(|task| task.priority).collect::<Vec<_>>())
    .bind::<Array<sql_types::BigInt>, _>(tasks.iter().map(|task| micros(task.delay)).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// Says why the task with this key waits ([`HELD`], [`BLOCKED`]), if it has not begun.
pub async fn explain(conn: &mut AsyncPgConnection, dedupe_key: &str, why: &str) -> QueryResult<()> {
    let waiting = dsl::sync_queue.filter(dsl::dedupe_key.eq(dedupe_key).and(dsl::status.eq("received")));
    diesel::update(waiting).set(dsl::last_error.eq(why)).execute(conn).await?;
    Ok(())
}

fn micros(time: Duration) -> i64 {
    i64::try_from(time.as_micros()).unwrap_or(i64::MAX)
}

/// A task that gathered work begins: what comes from now on is another task's.
pub async fn give_up_key(conn: &mut AsyncPgConnection, task: Uuid) -> QueryResult<()> {
    diesel::update(dsl::sync_queue.find(task))
        .set(dsl::dedupe_key.eq(format!("begun/{task}")))
        .execute(conn)
        .await?;
    Ok(())
}

/// The database's clock, this much later.
fn after(delay: Duration) -> diesel::expression::SqlLiteral<sql_types::Timestamptz> {
    // A number, so nothing to bind; and a bound one makes the type of the batch endless.
    diesel::dsl::sql(&format!("now() + interval '{} microseconds'", delay.as_micros()))
}

/// Changes that queue a task with all its tries, from now.
type Again = (
    diesel::dsl::Eq<dsl::status, &'static str>,
    diesel::dsl::Eq<dsl::attempts, i32>,
    diesel::dsl::Eq<dsl::run_at, diesel::dsl::now>,
    diesel::dsl::Eq<dsl::processed_at, Option<DateTime<Utc>>>,
);

fn again() -> Again {
    (
        dsl::status.eq("received"),
        dsl::attempts.eq(0),
        dsl::run_at.eq(diesel::dsl::now),
        dsl::processed_at.eq(None),
    )
}

/// The table `sync_queue` for the work engine.
#[derive(Debug, Clone, Copy)]
pub struct SyncQueue;

impl QueueTable for SyncQueue {
    const NAME: &'static str = "sync_queue";
    const COLUMNS: &'static str = "id, event_id, account_id, entity_type, entity_id, operation, payload, attempts, max_attempts, last_error";
    type Row = Task;
}

/// A claimed task.
#[derive(Debug, Clone, QueryableByName)]
pub struct Task {
    /// Row id.
    #[diesel(sql_type = sql_types::Uuid)]
    pub id: Uuid,
    /// Row id of the event that caused it.
    #[diesel(sql_type = sql_types::Nullable<sql_types::Uuid>)]
    pub event_id: Option<Uuid>,
    /// The account that is written to.
    #[diesel(sql_type = sql_types::Uuid)]
    pub account_id: Uuid,
    /// `product`, …
    #[diesel(sql_type = sql_types::Text)]
    pub entity_type: String,
    /// Id of the entity where it comes from.
    #[diesel(sql_type = sql_types::Text)]
    pub entity_id: String,
    /// `upsert`, …
    #[diesel(sql_type = sql_types::Text)]
    pub operation: String,
    /// What the work needs beside these.
    #[diesel(sql_type = sql_types::Jsonb)]
    pub payload: Value,
    /// Attempt number, from 1.
    #[diesel(sql_type = sql_types::Integer)]
    pub attempts: i32,
    /// Tries before it is `failed`.
    #[diesel(sql_type = sql_types::Integer)]
    pub max_attempts: i32,
    /// Why the last try failed.
    #[diesel(sql_type = sql_types::Nullable<sql_types::Text>)]
    pub last_error: Option<String>,
}

impl Task {
    /// Why it waits, if that is for something ([`HELD`]) or somebody ([`BLOCKED`]).
    pub fn waits_for(&self) -> Option<&str> {
        self.last_error.as_deref().filter(|error| waiting(error).is_some())
    }
}

/// [`HELD`] or [`BLOCKED`], if the error begins so.
fn waiting(error: &str) -> Option<&'static str> {
    let (reason, _) = error.split_once(": ")?;
    [HELD, BLOCKED].into_iter().find(|known| *known == reason)
}

impl Claimed for Task {
    fn id(&self) -> Uuid {
        self.id
    }

    fn attempt(&self) -> i32 {
        self.attempts
    }
}

/// Adds to what the work of a task needs: what one try has found out spares the next from asking again.
pub async fn note(conn: &mut AsyncPgConnection, id: Uuid, note: &Value) -> QueryResult<()> {
    // diesel has no `||` for jsonb.
    let merged = diesel::dsl::sql::<sql_types::Jsonb>("payload || ").bind::<sql_types::Jsonb, _>(note);
    diesel::update(dsl::sync_queue.find(id)).set(dsl::payload.eq(merged)).execute(conn).await?;
    Ok(())
}

/// Whether a newer task that does the same for the same entity waits behind this one.
pub async fn has_successor(conn: &mut AsyncPgConnection, task: &Task) -> QueryResult<bool> {
    let newer = dsl::sync_queue.filter(
        dsl::status
            .eq("received")
            .and(dsl::account_id.eq(task.account_id))
            .and(dsl::entity_type.eq(&task.entity_type))
            .and(dsl::entity_id.eq(&task.entity_id))
            .and(dsl::operation.eq(&task.operation))
            .and(dsl::id.gt(task.id)),
    );
    diesel::select(diesel::dsl::exists(newer)).get_result(conn).await
}

/// Whether tasks lie there that are due, and nobody is at work on any: no worker runs.
pub async fn is_nobody_at_work(conn: &mut AsyncPgConnection, due_since: Duration) -> QueryResult<bool> {
    let at_work =
        dsl::sync_queue.filter(dsl::status.eq("processing").and(dsl::lease_until.gt(diesel::dsl::now)));
    let due = dsl::status.eq("received").and(dsl::run_at.lt(Utc::now() - due_since));
    let lying = dsl::sync_queue.filter(due.or(dsl::status.eq("processing")));
    diesel::select(diesel::dsl::not(diesel::dsl::exists(at_work)).and(diesel::dsl::exists(lying)))
        .get_result(conn)
        .await
}

/// Key of a payload: the account that the task brings something from.
pub const CHILD_ACCOUNT: &str = "child_account";

/// Makes waiting tasks that write to these accounts, or bring something from them, due now: what held them is mended.
pub async fn hurry(conn: &mut AsyncPgConnection, accounts: &[Uuid]) -> QueryResult<usize> {
    let from: Vec<String> = accounts.iter().map(Uuid::to_string).collect();
    let from = dsl::payload.retrieve_as_text(CHILD_ACCOUNT).eq_any(from);
    diesel::update(dsl::sync_queue)
        .filter(dsl::status.eq("received").and(dsl::account_id.eq_any(accounts).or(from)))
        .set(dsl::run_at.eq(diesel::dsl::now))
        .execute(conn)
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn task(account: u128, entity_type: &'static str, entity_id: &str) -> NewTask {
        NewTask {
            event_id: None,
            account_id: Uuid::from_u128(account),
            entity_type,
            entity_id: entity_id.to_owned(),
            operation: "upsert",
            payload: Value::Null,
            dedupe_key: "key".to_owned(),
            max_attempts: 5,
            priority: CATALOG,
            delay: Duration::ZERO,
        }
    }

    #[test]
    fn a_lane_is_one_entity_of_one_account() {
        let lane = task(1, "product", "a").lane();
        assert_eq!(lane, task(1, "product", "a").lane());
        assert_ne!(lane, task(2, "product", "a").lane());
        assert_ne!(lane, task(1, "variant", "a").lane());
        assert_ne!(lane, task(1, "product", "b").lane());
        let mut elsewhere = task(2, "product", "a");
        elsewhere.payload = serde_json::json!({LANE_ACCOUNT: Uuid::from_u128(1)});
        assert_eq!(lane, elsewhere.lane(), "it says so");
    }

    #[test]
    fn a_lane_stays_the_same_over_releases() {
        assert_eq!(task(1, "product", "a").lane(), -7_261_297_583_553_669_658);
    }
}

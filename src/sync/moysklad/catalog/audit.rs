//! The sync log: a row for what became of each change in a child, and of each document that a child brought to main.

use crate::db::schema::moysklad_sync_log::{self, dsl};
use chrono::{DateTime, NaiveDate, Utc};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// Days that entries are kept.
const KEPT_DAYS: i32 = 90;

/// What became of one change in a child, or of one document on its way to main.
#[derive(Debug, Clone, Serialize, ToSchema, Queryable, Selectable, Insertable)]
#[diesel(table_name = moysklad_sync_log, check_for_backend(Pg))]
pub struct SyncLogEntry {
    /// Row id; newer ones sort higher.
    pub id: Uuid,
    /// When it was done.
    pub at: DateTime<Utc>,
    /// Where it comes from.
    pub main_account: Uuid,
    /// The child: what is written to, and for documents where they come from.
    pub child_account: Uuid,
    /// `product`, …
    pub entity_type: String,
    /// Id in main.
    pub main_id: Uuid,
    /// Id in the child, if it has one.
    pub child_id: Option<Uuid>,
    /// The sync task that did it.
    pub task_id: Option<Uuid>,
    /// The oldest event that told of it.
    pub event_id: Option<Uuid>,
    /// What was done, in a word or a line.
    pub operation: String,
    /// `skipped`, `prices`, `attributes`, `base`, `full` or `images`.
    pub strategy: String,
    /// Field names that the events gave; null if none did.
    #[schema(value_type = Option<Vec<String>>)]
    pub received: Option<Value>,
    /// Field names that were written.
    #[schema(value_type = Vec<String>)]
    pub applied: Value,
    /// What could not cross over, and why.
    #[schema(value_type = Vec<String>)]
    pub skipped: Value,
    /// Why it failed, if it did.
    pub error: Option<String>,
    /// Upstream calls; of those for many entities at once, this one's share.
    pub calls: f64,
    /// Time in milliseconds of the run that did it, up to this entry.
    pub duration_ms: i64,
}

/// Stores entries.
pub(in crate::sync::moysklad) async fn write(
    conn: &mut AsyncPgConnection,
    entries: &[SyncLogEntry],
) -> QueryResult<()> {
    // 17 columns: well below the 65,535 parameters of a statement.
    for some in entries.chunks(500) {
        diesel::insert_into(dsl::moysklad_sync_log).values(some).execute(conn).await?;
    }
    Ok(())
}

/// Forgets entries that are older than they are kept, a bounded number at once.
pub(in crate::sync::moysklad) async fn forget_old(conn: &mut AsyncPgConnection) -> QueryResult<usize> {
    diesel::sql_query(
        "DELETE FROM moysklad_sync_log WHERE id IN (SELECT id FROM moysklad_sync_log
             WHERE at < now() - $1 * interval '1 day' ORDER BY at LIMIT 1000)",
    )
    .bind::<sql_types::Integer, _>(KEPT_DAYS)
    .execute(conn)
    .await
}

/// Which entries to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// The account that is written to.
    pub account: Option<Uuid>,
    /// `product`, …
    pub entity_type: Option<String>,
    /// Id in main.
    pub main_id: Option<Uuid>,
    /// Only older ones than this entry.
    pub before: Option<Uuid>,
}

/// Entries, newest first, at most `limit`.
pub async fn list(
    conn: &mut AsyncPgConnection,
    filter: &Filter,
    limit: i64,
) -> QueryResult<Vec<SyncLogEntry>> {
    let mut query = dsl::moysklad_sync_log
        .select(SyncLogEntry::as_select())
        .order(dsl::id.desc())
        .limit(limit)
        .into_boxed();
    if let Some(account) = filter.account {
        query = query.filter(dsl::child_account.eq(account));
    }
    if let Some(entity_type) = &filter.entity_type {
        query = query.filter(dsl::entity_type.eq(entity_type));
    }
    if let Some(main_id) = filter.main_id {
        query = query.filter(dsl::main_id.eq(main_id));
    }
    if let Some(before) = filter.before {
        query = query.filter(dsl::id.lt(before));
    }
    query.load(conn).await
}

/// One day of one pair of accounts.
#[derive(Debug, Clone, Serialize, ToSchema, QueryableByName)]
pub struct SyncDay {
    /// The day, in UTC.
    #[diesel(sql_type = sql_types::Date)]
    pub day: NaiveDate,
    /// Where it comes from.
    #[diesel(sql_type = sql_types::Uuid)]
    pub main_account: Uuid,
    /// The account that is written to.
    #[diesel(sql_type = sql_types::Uuid)]
    pub child_account: Uuid,
    /// Changes looked at.
    #[diesel(sql_type = sql_types::BigInt)]
    pub changes: i64,
    /// Of them written.
    #[diesel(sql_type = sql_types::BigInt)]
    pub written: i64,
    /// Of them not written, for there was nothing to write.
    #[diesel(sql_type = sql_types::BigInt)]
    pub skipped: i64,
    /// Of them failed.
    #[diesel(sql_type = sql_types::BigInt)]
    pub failed: i64,
    /// Upstream calls.
    #[diesel(sql_type = sql_types::Double)]
    pub calls: f64,
}

/// The last `days` days of each pair of accounts, newest first.
pub async fn daily(
    conn: &mut AsyncPgConnection,
    account: Option<Uuid>,
    days: i32,
) -> QueryResult<Vec<SyncDay>> {
    diesel::sql_query(
        "SELECT (at AT TIME ZONE 'UTC')::date AS day, main_account, child_account, count(*) AS changes,
             count(*) FILTER (WHERE error IS NULL AND strategy <> 'skipped') AS written,
             count(*) FILTER (WHERE error IS NULL AND strategy = 'skipped') AS skipped,
             count(*) FILTER (WHERE error IS NOT NULL) AS failed, sum(calls) AS calls
         FROM moysklad_sync_log
         WHERE at >= date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - ($1 - 1) * interval '1 day'
           AND ($2 IS NULL OR child_account = $2)
         GROUP BY 1, 2, 3 ORDER BY 1 DESC, 2, 3",
    )
    .bind::<sql_types::Integer, _>(days)
    .bind::<sql_types::Nullable<sql_types::Uuid>, _>(account)
    .load(conn)
    .await
}

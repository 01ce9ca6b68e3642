//! Tasks as operators see them: listed, and tried again.

use super::{BLOCKED, HELD, again, waiting};
use crate::db::schema::sync_queue::{self, dsl};
use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// A task as operators see it.
#[derive(Debug, Clone, Serialize, ToSchema, Queryable, Selectable)]
#[diesel(table_name = sync_queue, check_for_backend(Pg))]
pub struct TaskItem {
    /// Row id; newer ones sort higher.
    pub id: Uuid,
    /// Row id of the event that caused it.
    pub event_id: Option<Uuid>,
    /// The account that is written to.
    pub account_id: Uuid,
    /// `product`, …
    pub entity_type: String,
    /// Id of the entity where it comes from.
    pub entity_id: String,
    /// `upsert`, …
    pub operation: String,
    /// `received`, `processing`, `completed`, `failed` or `ignored`.
    pub status: String,
    /// Tries so far.
    pub attempts: i32,
    /// When it was stored.
    pub created_at: DateTime<Utc>,
    /// When it ended.
    pub processed_at: Option<DateTime<Utc>>,
    /// When it is due; null once it has ended.
    #[diesel(
        select_expression = diesel::dsl::case_when(
            sync_queue::processed_at.is_null(),
            sync_queue::run_at.nullable(),
        ),
        select_expression_type = diesel::dsl::case_when<
            diesel::dsl::IsNull<sync_queue::processed_at>,
            diesel::dsl::Nullable<sync_queue::run_at>,
        >,
    )]
    pub next_attempt_at: Option<DateTime<Utc>>,
    /// What was done, in one line.
    pub outcome: Option<String>,
    /// Why the last try failed.
    #[diesel(column_name = last_error)]
    pub error: Option<String>,
}

impl TaskItem {
    /// One of [`super::STATES`]: its status, or why it is still `received`.
    pub fn state(&self) -> &str {
        match self.error.as_deref().and_then(waiting) {
            Some(reason) if self.status == "received" => reason,
            _ => &self.status,
        }
    }
}

/// Which tasks to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// One of [`super::STATES`].
    pub status: Option<String>,
    /// The account that is written to.
    pub account: Option<Uuid>,
    /// `product`, …
    pub entity_type: Option<String>,
    /// Only older ones than this task.
    pub before: Option<Uuid>,
}

/// Tasks, newest first, at most `limit`.
pub async fn list(conn: &mut AsyncPgConnection, filter: &Filter, limit: i64) -> QueryResult<Vec<TaskItem>> {
    let mut query =
        dsl::sync_queue.select(TaskItem::as_select()).order(dsl::id.desc()).limit(limit).into_boxed();
    match filter.status.as_deref() {
        None => {}
        Some(reason @ (HELD | BLOCKED)) => {
            // While it is looked at again it is `processing`.
            query = query
                .filter(dsl::status.eq_any(["received", "processing"]))
                .filter(dsl::last_error.like(format!("{reason}: %")));
        }
        Some(status) => query = query.filter(dsl::status.eq(status.to_owned())),
    }
    if let Some(account) = filter.account {
        query = query.filter(dsl::account_id.eq(account));
    }
    if let Some(entity_type) = &filter.entity_type {
        query = query.filter(dsl::entity_type.eq(entity_type));
    }
    if let Some(before) = filter.before {
        query = query.filter(dsl::id.lt(before));
    }
    query.load(conn).await
}

/// Why a task cannot be tried again.
#[derive(Debug, thiserror::Error)]
pub enum RetryError {
    /// No task has this id.
    #[error("there is no task with this id")]
    Unknown,
    /// It has not failed.
    #[error("only a failed task can be tried again")]
    NotFailed,
    /// The database did not do it.
    #[error("database: {}", crate::db::error_kind(.0))]
    Database(#[from] diesel::result::Error),
}

/// Gives a failed task all its tries again, from now.
pub async fn retry(conn: &mut AsyncPgConnection, id: Uuid) -> Result<TaskItem, RetryError> {
    let item = diesel::update(dsl::sync_queue.find(id).filter(dsl::status.eq("failed")))
        .set(again())
        .returning(TaskItem::as_returning())
        .get_result(conn)
        .await
        .optional()?;
    match item {
        Some(item) => Ok(item),
        None if diesel::select(diesel::dsl::exists(dsl::sync_queue.find(id))).get_result(conn).await? => {
            Err(RetryError::NotFailed)
        }
        None => Err(RetryError::Unknown),
    }
}

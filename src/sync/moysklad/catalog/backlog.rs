//! What children do not have yet, as operators see it.

use crate::db::schema::moysklad_changes::{self, dsl};
use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

/// Every status that a change can have.
pub const STATUSES: [&str; 4] = ["waiting", "blocked", "unwanted", "failed"];

/// An entity of main that a child does not have as it is now.
#[derive(Debug, Clone, Serialize, ToSchema, Queryable, Selectable)]
#[diesel(table_name = moysklad_changes, check_for_backend(Pg))]
pub struct BacklogItem {
    /// Where it comes from.
    pub main_account: Uuid,
    /// Who does not have it.
    pub child_account: Uuid,
    /// `product`, …
    pub entity_type: String,
    /// Id in main.
    pub main_id: Uuid,
    /// What was done in main, by the last event that told of it.
    pub operation: String,
    /// `waiting` for its turn, `blocked` until another entity is there, `unwanted` until the child's filters let in what
    /// it is made of, `failed` until a person has looked.
    pub status: String,
    /// What is in the way, if anything is.
    pub error: Option<String>,
    /// The task whose retry takes a failed one up again.
    pub failed_task: Option<Uuid>,
    /// Since when the child does not have it.
    pub created_at: DateTime<Utc>,
    /// When it is looked at.
    pub due_at: DateTime<Utc>,
}

/// Which to list.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// One of [`STATUSES`].
    pub status: Option<String>,
    /// Only those of this child.
    pub account: Option<Uuid>,
}

/// Gives up what failed under these tasks; gives how many changes and sets of images that were. The child stays as it is
/// until main's entity changes again.
pub async fn give_up(conn: &mut AsyncPgConnection, tasks: &[Uuid]) -> QueryResult<usize> {
    use crate::db::schema::moysklad_images::dsl as images;
    let changes = diesel::delete(dsl::moysklad_changes.filter(dsl::failed_task.eq_any(tasks)));
    let images = diesel::update(images::moysklad_images.filter(images::failed_task.eq_any(tasks)))
        // What was copied stays known.
        .set((images::status.eq("done"), images::failed_task.eq(None::<Uuid>)));
    Ok(changes.execute(conn).await? + images.execute(conn).await?)
}

/// The oldest first, at most `limit`.
pub async fn list(
    conn: &mut AsyncPgConnection,
    filter: &Filter,
    limit: i64,
) -> QueryResult<Vec<BacklogItem>> {
    let mut query = dsl::moysklad_changes
        .select(BacklogItem::as_select())
        .order((dsl::created_at, dsl::child_account, dsl::entity_type, dsl::main_id))
        .limit(limit)
        .into_boxed();
    if let Some(status) = &filter.status {
        query = query.filter(dsl::status.eq(status));
    }
    if let Some(account) = filter.account {
        query = query.filter(dsl::child_account.eq(account));
    }
    query.load(conn).await
}

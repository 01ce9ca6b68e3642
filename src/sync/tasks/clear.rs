//! Forgetting tasks that have ended.

use crate::db::schema::sync_queue::dsl;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

/// How a task can have ended.
pub const ENDINGS: [&str; 3] = ["completed", "ignored", "failed"];

/// Which ended tasks.
#[derive(Debug, Clone)]
pub struct Ended {
    /// Some of [`ENDINGS`].
    pub statuses: Vec<String>,
    /// The account that was written to.
    pub account: Option<Uuid>,
    /// They ended before this time.
    pub before: DateTime<Utc>,
}

type Found<'a> = diesel::dsl::IntoBoxed<'a, diesel::dsl::Select<dsl::sync_queue, dsl::id>, diesel::pg::Pg>;

impl Ended {
    fn find(&self) -> Found<'_> {
        let found = dsl::sync_queue.select(dsl::id).into_boxed();
        // Both: a status that a caller made up cannot reach a task that waits.
        let found = found.filter(dsl::status.eq_any(&self.statuses).and(dsl::status.eq_any(ENDINGS)));
        let found = found.filter(dsl::processed_at.lt(self.before));
        match self.account {
            Some(account) => found.filter(dsl::account_id.eq(account)),
            None => found,
        }
    }
}

/// How many there are.
pub async fn count(conn: &mut AsyncPgConnection, ended: &Ended) -> QueryResult<i64> {
    ended.find().count().get_result(conn).await
}

/// Forgets at most `limit` of them and gives their ids; none when no more are left.
pub async fn clear(conn: &mut AsyncPgConnection, ended: &Ended, limit: i64) -> QueryResult<Vec<Uuid>> {
    let ids: Vec<Uuid> = ended.find().order(dsl::id).limit(limit).load(conn).await?;
    // Not one that was queued again meanwhile.
    let still = dsl::sync_queue.filter(dsl::id.eq_any(ids).and(dsl::status.eq_any(ENDINGS)));
    diesel::delete(still).returning(dsl::id).get_results(conn).await
}

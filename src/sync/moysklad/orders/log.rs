//! What became of documents, in the sync log.

use super::super::api::{AccountApi, ApiError};
use super::super::catalog::audit::{self, SyncLogEntry};
use super::super::work::{Work, broken};
use super::RECEIVED;
use super::store::Source;
use crate::sync::tasks::Task;
use serde_json::json;
use std::time::Instant;
use uuid::Uuid;

/// Names of the fields that the task's event told to be changed, if it did.
pub(super) fn received(task: &Task) -> Option<Vec<String>> {
    serde_json::from_value(task.payload[RECEIVED].clone()).ok()
}

/// One run of one task, up to now.
pub(super) struct Log<'a> {
    pub(super) cx: &'a Work,
    pub(super) task: &'a Task,
    pub(super) source: Source,
    pub(super) apis: [&'a AccountApi; 2],
    pub(super) started: Instant,
}

/// What was done.
pub(super) struct Entry<'a> {
    /// Main's order.
    pub(super) order: Uuid,
    /// In a word or a line.
    pub(super) operation: &'a str,
    /// Whether it is new.
    pub(super) is_new: bool,
    /// Names of the fields that were written.
    pub(super) applied: &'a [String],
    /// What could not cross over, and why.
    pub(super) skipped: &'a [String],
    /// What is wrong with it all the same.
    pub(super) error: Option<String>,
}

impl Log<'_> {
    /// Stores an entry.
    pub(super) async fn write(&self, entry: Entry<'_>) -> Result<(), ApiError> {
        let calls: u32 = self.apis.iter().map(|api| api.counts()).map(|(reads, writes)| reads + writes).sum();
        let entry = SyncLogEntry {
            id: Uuid::now_v7(),
            at: chrono::Utc::now(),
            main_account: self.source.main_account,
            child_account: self.source.child_account,
            entity_type: self.source.kind.to_owned(),
            main_id: entry.order,
            child_id: Some(self.source.document),
            task_id: Some(self.task.id),
            event_id: self.task.event_id,
            operation: entry.operation.to_owned(),
            strategy: if entry.is_new { "full" } else { "base" }.to_owned(),
            received: received(self.task).map(|names| json!(names)),
            applied: json!(entry.applied),
            skipped: json!(entry.skipped),
            error: entry.error,
            calls: f64::from(calls),
            duration_ms: i64::try_from(self.started.elapsed().as_millis()).unwrap_or(i64::MAX),
        };
        let mut conn = self.cx.conn().await?;
        audit::write(&mut conn, &[entry]).await.map_err(broken)?;
        audit::forget_old(&mut conn).await.map_err(broken)?;
        Ok(())
    }
}

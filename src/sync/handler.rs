//! What a handler is given and what it may answer.

use crate::crypto::MasterKey;
use crate::db::Pool;
use crate::inbox::{Emission, emit};
use crate::queue::{HandlerError, Outcome, Waker};
use bytes::Bytes;
use chrono::{DateTime, Utc};
use diesel::QueryResult;
use diesel_async::AsyncPgConnection;
use uuid::Uuid;

/// A stored event whose turn has come.
#[derive(Debug, Clone)]
pub struct Event {
    /// Row id.
    pub id: Uuid,
    /// Who sent it.
    pub provider: String,
    /// The provider's id of it.
    pub event_id: String,
    /// What happened.
    pub event_type: String,
    /// What it is about.
    pub subject: Option<String>,
    /// When it happened, by the provider's clock.
    pub occurred_at: Option<DateTime<Utc>>,
    /// When it was stored, by the database's clock.
    pub received_at: DateTime<Utc>,
    /// Exact bytes.
    pub body: Bytes,
    /// JSON that the request said about all its events.
    pub envelope: Option<String>,
    /// Which attempt this is, from 1.
    pub attempt: i32,
}

impl Event {
    /// When it happened, by the provider's clock where that is known.
    pub fn happened_at(&self) -> DateTime<Utc> {
        self.occurred_at.unwrap_or(self.received_at)
    }

    /// Emits an event that this one causes, in the caller's transaction; false if it was there already.
    pub async fn emit(
        &self,
        conn: &mut AsyncPgConnection,
        event_type: &str,
        subject: &str,
        data: serde_json::Value,
    ) -> QueryResult<bool> {
        let emission = Emission {
            event_type,
            subject,
            source_provider: &self.provider,
            source_event_id: &self.event_id,
            once_for: None,
            occurred_at: self.occurred_at,
            data,
        };
        emit(conn, &emission).await
    }
}

/// What was emitted, for an outcome.
pub(super) fn told(emitted: &[&str]) -> String {
    if emitted.is_empty() {
        "nothing new emitted".to_owned()
    } else {
        format!("emitted {}", emitted.join(", "))
    }
}

/// What every handler may use.
#[derive(Clone)]
pub struct Context {
    /// Connections to the database.
    pub pool: Pool,
    /// Writes what handlers find out, together with what others find.
    pub ledger: super::ledger::Ledger,
    /// Opens stored tokens; absent until one is configured.
    pub master_key: Option<MasterKey>,
    /// Wakes the worker of sync tasks after some were enqueued.
    pub sync_tasks: Waker,
    /// How many own writes to one entity may come back as webhooks (`MOYSKLAD_LOOP_WRITES`).
    pub loop_writes: u32,
    /// How long what a child of MoySklad has deleted stays away (`MOYSKLAD_RESTORE_SECONDS`).
    pub restore: std::time::Duration,
}

impl From<crate::upstream::UpstreamError> for HandlerError {
    fn from(error: crate::upstream::UpstreamError) -> Self {
        match error.wait() {
            Some(after) => Self::Defer { after, reason: error.to_string() },
            None if error.is_retryable() => Self::Retry(error.to_string()),
            None => Self::GiveUp(error.to_string()),
        }
    }
}

/// What an event of one provider sets in motion. Must be safe to run twice: a crash may come after its last call
/// and before its outcome is stored.
#[async_trait::async_trait]
pub trait Handler: Send + Sync {
    /// The provider whose events it handles.
    fn provider(&self) -> &'static str;

    /// Whether it may handle the events of other instances of its provider's scheme: one that calls an API with the account
    /// of the settings may not, since the instance is another account.
    fn serves_instances(&self) -> bool {
        false
    }

    /// Whether it wants this type; others are stored as `ignored` at once and never queued.
    fn wants(&self, event_type: &str) -> bool;

    /// Acts on one event.
    async fn handle(&self, event: &Event, cx: &Context) -> Result<Outcome, HandlerError>;
}

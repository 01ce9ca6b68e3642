//! The shapes of events.

use crate::providers::SecondKey;
use bytes::Bytes;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use serde::Serialize;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// Where an event is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Waits for its turn.
    Received,
    /// A handler has it.
    Processing,
    /// Done.
    Completed,
    /// Every attempt failed; a person has to look.
    Failed,
    /// Authentic but unreadable.
    Rejected,
    /// No handler wants it.
    Ignored,
}

impl Status {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Received, Self::Processing, Self::Completed, Self::Failed, Self::Rejected, Self::Ignored];

    /// Its word in the database, the API and the metrics.
    pub fn word(self) -> &'static str {
        match self {
            Self::Received => "received",
            Self::Processing => "processing",
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Rejected => "rejected",
            Self::Ignored => "ignored",
        }
    }

    /// The status of a word.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.word() == word)
    }
}

/// An event to be stored.
#[derive(Debug, Clone)]
pub struct NewEvent {
    /// Row id, UUIDv7.
    pub id: Uuid,
    /// Who sent it.
    pub provider: String,
    /// The provider's id of it.
    pub event_id: String,
    /// What happened.
    pub event_type: String,
    /// What it is about.
    pub subject: Option<String>,
    /// When it happened.
    pub occurred_at: Option<DateTime<Utc>>,
    /// Exact bytes.
    pub body: Bytes,
    /// JSON of the request's envelope.
    pub envelope: Option<String>,
    /// JSON object of the request's headers.
    pub headers: String,
    /// `Received`, or what it ends as at once.
    pub status: Status,
    /// Why it was rejected.
    pub error: Option<String>,
    /// A key beside the id, where the id is not covered by the proof.
    pub second_key: Option<SecondKey>,
    /// It goes ahead of those that are not.
    pub urgent: bool,
}

impl NewEvent {
    /// Its place in the queue: smaller goes first.
    pub(super) fn priority(&self) -> i16 {
        if self.urgent { 50 } else { 100 }
    }
}

/// A stable hash of provider and subject: rows with the same lane are handled one after another. Two subjects that meet
/// in one hash only wait for each other.
pub fn lane(provider: &str, subject: &str) -> i64 {
    let digest = Sha256::new().chain_update(provider).chain_update([0]).chain_update(subject).finalize();
    let mut first = [0; 8];
    first.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(first)
}

/// What became of the events of one request. Rejected ones are stored too but count as neither.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Stored now.
    pub processed: usize,
    /// Known before.
    pub duplicates: usize,
}

/// An event in a list.
#[derive(Debug, Clone, Serialize, Queryable, Selectable, utoipa::ToSchema)]
#[diesel(table_name = crate::db::schema::webhook_events)]
pub struct EventSummary {
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
    /// Where it is in its life.
    pub status: String,
    /// How often it was tried.
    pub attempts: i32,
    /// How often it came again.
    pub duplicates: i32,
    /// How many of these came with other bytes under the same id.
    pub conflicting_duplicates: i32,
    /// The event with the same bytes under another id, where this one is suspected to be its replay.
    #[diesel(column_name = replay_of)]
    pub suspected_replay_of: Option<Uuid>,
    /// When it happened, by the provider's clock.
    pub occurred_at: Option<DateTime<Utc>>,
    /// When it was stored.
    pub received_at: DateTime<Utc>,
    /// When it came to its end.
    pub processed_at: Option<DateTime<Utc>>,
    /// When it is tried next, if it waits.
    #[diesel(column_name = run_at)]
    #[serde(serialize_with = "serialize_next")]
    #[schema(value_type = Option<DateTime<Utc>>)]
    pub next_attempt_at: NextAttempt,
    /// What went wrong last.
    #[diesel(column_name = last_error)]
    pub error: Option<String>,
}

/// `run_at`, meaningful only while the event waits; [`EventSummary::settle`] clears it otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NextAttempt(pub Option<DateTime<Utc>>);

impl diesel::deserialize::Queryable<diesel::sql_types::Timestamptz, diesel::pg::Pg> for NextAttempt {
    type Row = DateTime<Utc>;

    fn build(at: Self::Row) -> diesel::deserialize::Result<Self> {
        Ok(Self(Some(at)))
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn serialize_next<S: serde::Serializer>(next: &NextAttempt, serializer: S) -> Result<S::Ok, S::Error> {
    next.0.serialize(serializer)
}

impl EventSummary {
    /// Clears the next attempt of an event that waits for none.
    #[must_use]
    pub fn settle(mut self) -> Self {
        if self.status != Status::Received.word() {
            self.next_attempt_at = NextAttempt(None);
        }
        self
    }
}

/// An event with everything that is kept of it.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct EventDetail {
    /// What a list shows.
    #[serde(flatten)]
    pub summary: EventSummary,
    /// The body as JSON; as text or base64 where it is none.
    #[schema(value_type = Object)]
    pub payload: Value,
    /// What the request said about all its events.
    #[schema(value_type = Object)]
    pub envelope: Value,
    /// Request headers without secrets and addresses.
    #[schema(value_type = Object)]
    pub headers: Value,
    /// When it last came again.
    pub last_duplicate_at: Option<DateTime<Utc>>,
    /// What the handler did, one line.
    pub outcome: Option<String>,
    /// Each attempt: `at`, `duration_ms`, `outcome`, `error`.
    #[schema(value_type = Vec<Object>)]
    pub attempt_log: Value,
}

/// Which events are meant; nothing set means all.
#[derive(Debug, Clone, Default)]
pub struct EventFilter {
    /// Exact provider.
    pub provider: Option<String>,
    /// Exact status.
    pub status: Option<Status>,
    /// Exact type, or a family as `payment_intent.*`.
    pub event_type: Option<String>,
    /// Exact subject.
    pub subject: Option<String>,
    /// Received at or after.
    pub since: Option<DateTime<Utc>>,
    /// Received before.
    pub until: Option<DateTime<Utc>>,
    /// Part of event id, type or subject.
    pub search: Option<String>,
    /// Only older than this row: the end of the page before.
    pub before: Option<Uuid>,
}

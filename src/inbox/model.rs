//! The shapes of events.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use uuid::Uuid;

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
}

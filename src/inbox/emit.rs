//! Events that Hookgate itself raises: provider `hookgate`, one for each (type, source event).

use chrono::{DateTime, Utc};
use diesel::QueryResult;
use diesel_async::AsyncPgConnection;

/// An event that a handler raises about what it did.
#[derive(Debug, Clone)]
pub struct Emission<'a> {
    /// `payment.received`, `customer.updated`, …
    pub event_type: &'a str,
    /// What it is about.
    pub subject: &'a str,
    /// Provider of the event that caused it.
    pub source_provider: &'a str,
    /// Id of the event that caused it: a handler that runs twice emits once.
    pub source_event_id: &'a str,
    /// When it happened.
    pub occurred_at: Option<DateTime<Utc>>,
    /// What subscribers get as `data`.
    pub data: serde_json::Value,
}

/// Stores the event in the caller's transaction; false if it was there already.
pub async fn emit(conn: &mut AsyncPgConnection, emission: &Emission<'_>) -> QueryResult<bool> {
    unimplemented!()
}

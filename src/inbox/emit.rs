//! Events that Hookgate itself raises: provider `hookgate`, one for each (type, source event).

use crate::db::schema::webhook_events::dsl;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// Provider of the events that Hookgate raises.
pub const HOOKGATE: &str = "hookgate";

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
    /// What it is emitted once for, where several events tell of one fact; else the source event.
    pub once_for: Option<&'a str>,
    /// When it happened.
    pub occurred_at: Option<DateTime<Utc>>,
    /// What subscribers get as `data`.
    pub data: serde_json::Value,
}

/// Stores the event in the caller's transaction; false if it was there already.
pub async fn emit(conn: &mut AsyncPgConnection, emission: &Emission<'_>) -> QueryResult<bool> {
    let Emission { event_type, subject, source_provider, source_event_id, once_for, occurred_at, data } =
        emission;
    let now = Utc::now();
    let body = serde_json::json!({
        "event": event_type,
        "timestamp": occurred_at.unwrap_or(now),
        "data": data,
        "source": {"provider": source_provider, "event_id": source_event_id},
    });
    let mut event_id = format!("{event_type}:{source_provider}:{}", once_for.unwrap_or(source_event_id));
    if event_id.len() > crate::providers::MAX_EVENT_ID {
        event_id = format!("{event_type}:{}", hex::encode(Sha256::digest(&event_id)));
    }
    let inserted = diesel::insert_into(dsl::webhook_events)
        .values((
            dsl::id.eq(Uuid::now_v7()),
            dsl::provider.eq(HOOKGATE),
            dsl::event_id.eq(event_id),
            dsl::event_type.eq(event_type),
            dsl::subject.eq(subject),
            dsl::occurred_at.eq(occurred_at),
            dsl::body.eq(body.to_string().into_bytes()),
            // Nothing subscribes to these yet; the outbox will take them from here.
            dsl::status.eq(super::Status::Ignored.word()),
            dsl::outcome.eq("no handler wants this type"),
            dsl::processed_at.eq(now),
        ))
        .on_conflict((dsl::provider, dsl::event_id))
        .do_nothing()
        .execute(conn)
        .await?;
    Ok(inserted > 0)
}

//! Events that Hookgate itself raises: provider `hookgate`, one for each (type, source event).

use super::insert::unnest;
use crate::db::schema::webhook_events::dsl;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, Bytea, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use sha2::{Digest as _, Sha256};
use std::collections::HashSet;
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

impl Emission<'_> {
    /// Its key among the events of Hookgate.
    fn event_id(&self) -> String {
        let Self { event_type, source_provider, source_event_id, .. } = self;
        let once_for = self.once_for.unwrap_or(source_event_id);
        let event_id = format!("{event_type}:{source_provider}:{once_for}");
        if event_id.len() > crate::providers::MAX_EVENT_ID {
            return format!("{event_type}:{}", hex::encode(Sha256::digest(&event_id)));
        }
        event_id
    }

    fn body(&self, now: DateTime<Utc>) -> Vec<u8> {
        let body = serde_json::json!({
            "event": self.event_type,
            "timestamp": self.occurred_at.unwrap_or(now),
            "data": self.data,
            "source": {"provider": self.source_provider, "event_id": self.source_event_id},
        });
        body.to_string().into_bytes()
    }
}

/// Stores the event in the caller's transaction; false if it was there already.
pub async fn emit(conn: &mut AsyncPgConnection, emission: &Emission<'_>) -> QueryResult<bool> {
    Ok(emit_all(conn, std::slice::from_ref(emission)).await?.contains(&true))
}

/// Stores events in the caller's transaction, all in one statement; says of each whether it is new.
pub async fn emit_all(conn: &mut AsyncPgConnection, emissions: &[Emission<'_>]) -> QueryResult<Vec<bool>> {
    if emissions.is_empty() {
        return Ok(Vec::new());
    }
    let now = Utc::now();
    let ids: Vec<Uuid> = emissions.iter().map(|_| Uuid::now_v7()).collect();
    let mut rows: Vec<_> =
        ids.iter().zip(emissions).map(|(id, emission)| (emission.event_id(), id, emission)).collect();
    // Two nodes that insert the same keys take them in the same order, so they never wait in a circle.
    rows.sort_by(|a, b| (&a.0, a.1).cmp(&(&b.0, b.1)));
    let emitted = || rows.iter().map(|row| row.2);
    let fresh: Vec<Uuid> = diesel::insert_into(dsl::webhook_events)
        .values(diesel::select((
            unnest(rows.iter().map(|row| *row.1).collect::<Vec<_>>().into_sql::<Array<SqlUuid>>()),
            HOOKGATE.into_sql::<Text>(),
            unnest(rows.iter().map(|row| row.0.as_str()).collect::<Vec<_>>().into_sql::<Array<Text>>()),
            unnest(emitted().map(|event| event.event_type).collect::<Vec<_>>().into_sql::<Array<Text>>()),
            unnest(
                emitted()
                    .map(|event| Some(event.subject))
                    .collect::<Vec<_>>()
                    .into_sql::<Array<Nullable<Text>>>(),
            ),
            unnest(
                emitted()
                    .map(|event| event.occurred_at)
                    .collect::<Vec<_>>()
                    .into_sql::<Array<Nullable<Timestamptz>>>(),
            ),
            unnest(emitted().map(|event| event.body(now)).collect::<Vec<_>>().into_sql::<Array<Bytea>>()),
            // Nothing subscribes to these yet; the outbox will take them from here.
            super::Status::Ignored.word().into_sql::<Text>(),
            "no handler wants this type".into_sql::<Nullable<Text>>(),
            now.into_sql::<Nullable<Timestamptz>>(),
        )))
        .into_columns((
            dsl::id,
            dsl::provider,
            dsl::event_id,
            dsl::event_type,
            dsl::subject,
            dsl::occurred_at,
            dsl::body,
            dsl::status,
            dsl::outcome,
            dsl::processed_at,
        ))
        .on_conflict((dsl::provider, dsl::event_id))
        .do_nothing()
        .returning(dsl::id)
        .get_results(conn)
        .await?;
    let fresh: HashSet<Uuid> = fresh.into_iter().collect();
    Ok(ids.iter().map(|id| fresh.contains(id)).collect())
}

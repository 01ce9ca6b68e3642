//! Reading and steering stored events.

use super::model::{EventDetail, EventFilter, EventSummary, Status};
use crate::db::schema::webhook_events::{self, dsl};
use base64::Engine as _;
use chrono::{DateTime, Utc};
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::Value;
use uuid::Uuid;

/// What a retry or replay did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Steered {
    /// It waits for its turn again.
    Queued,
    /// It is in a state that does not allow this.
    NotAllowed,
    /// There is no such event.
    Unknown,
}

/// A page of events, newest first.
pub async fn list(
    conn: &mut AsyncPgConnection,
    filter: &EventFilter,
    limit: i64,
) -> QueryResult<Vec<EventSummary>> {
    let events: Vec<EventSummary> = matching(filter)
        .select(EventSummary::as_select())
        .order(dsl::id.desc())
        .limit(limit)
        .load(conn)
        .await?;
    Ok(events.into_iter().map(EventSummary::settle).collect())
}

fn matching(filter: &EventFilter) -> webhook_events::BoxedQuery<'_, Pg> {
    let mut query = webhook_events::table.into_boxed();
    if let Some(provider) = &filter.provider {
        query = query.filter(dsl::provider.eq(provider));
    }
    if let Some(status) = filter.status {
        query = query.filter(dsl::status.eq(status.word()));
    }
    if let Some(event_type) = &filter.event_type {
        query = match event_type.strip_suffix('*') {
            Some(family) => query.filter(dsl::event_type.like(format!("{}%", escape_like(family)))),
            None => query.filter(dsl::event_type.eq(event_type)),
        };
    }
    if let Some(subject) = &filter.subject {
        query = query.filter(dsl::subject.eq(subject));
    }
    if let Some(since) = filter.since {
        query = query.filter(dsl::received_at.ge(since));
    }
    if let Some(until) = filter.until {
        query = query.filter(dsl::received_at.lt(until));
    }
    if let Some(search) = &filter.search {
        let pattern = format!("%{}%", escape_like(search));
        query = query.filter(
            dsl::event_id
                .ilike(pattern.clone())
                .or(dsl::event_type.ilike(pattern.clone()))
                .or(dsl::subject.ilike(pattern).assume_not_null()),
        );
    }
    if let Some(before) = filter.before {
        query = query.filter(dsl::id.lt(before));
    }
    query
}

fn escape_like(text: &str) -> String {
    text.replace('\\', "\\\\").replace('%', "\\%").replace('_', "\\_")
}

type DetailRow =
    (EventSummary, Vec<u8>, Option<String>, String, Option<DateTime<Utc>>, Option<String>, Value);

/// One event with its details.
pub async fn find(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<Option<EventDetail>> {
    let row: Option<DetailRow> = dsl::webhook_events
        .find(id)
        .select((
            EventSummary::as_select(),
            dsl::body,
            dsl::envelope,
            dsl::headers,
            dsl::last_duplicate_at,
            dsl::outcome,
            dsl::attempt_log,
        ))
        .first(conn)
        .await
        .optional()?;
    Ok(row.map(|(summary, body, envelope, headers, last_duplicate_at, outcome, attempt_log)| EventDetail {
        summary: summary.settle(),
        payload: payload(&body),
        envelope: envelope.and_then(|text| serde_json::from_str(&text).ok()).unwrap_or(Value::Null),
        headers: serde_json::from_str(&headers).unwrap_or(Value::Null),
        last_duplicate_at,
        outcome,
        attempt_log,
    }))
}

/// JSON where it is JSON; else what there is: an unreadable body is what an operator most wants to see.
fn payload(body: &[u8]) -> Value {
    if let Ok(json) = serde_json::from_slice(body) {
        return json;
    }
    match std::str::from_utf8(body) {
        Ok(text) => serde_json::json!({ "text": text }),
        Err(_) => serde_json::json!({ "base64": base64::engine::general_purpose::STANDARD.encode(body) }),
    }
}

/// The row id of an event named by its provider's own id.
pub async fn lookup(conn: &mut AsyncPgConnection, event_id: &str) -> QueryResult<Vec<Uuid>> {
    dsl::webhook_events.filter(dsl::event_id.eq(event_id)).select(dsl::id).limit(2).load(conn).await
}

/// Queues a failed or rejected event again, with fresh attempts.
pub async fn retry(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<Steered> {
    queue_again(conn, id, &[Status::Failed, Status::Rejected]).await
}

/// Queues any event again that is not in work, with fresh attempts.
pub async fn replay(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<Steered> {
    queue_again(
        conn,
        id,
        &[Status::Received, Status::Completed, Status::Failed, Status::Rejected, Status::Ignored],
    )
    .await
}

async fn queue_again(conn: &mut AsyncPgConnection, id: Uuid, from: &[Status]) -> QueryResult<Steered> {
    let words: Vec<&str> = from.iter().map(|status| status.word()).collect();
    let changed = diesel::update(dsl::webhook_events.find(id).filter(dsl::status.eq_any(words)))
        .set(fresh())
        .execute(conn)
        .await?;
    if changed > 0 {
        return Ok(Steered::Queued);
    }
    let known: i64 = dsl::webhook_events.find(id).count().get_result(conn).await?;
    Ok(if known > 0 { Steered::NotAllowed } else { Steered::Unknown })
}

/// Queues again all that match and are not in work or waiting, at most `limit`, the newest first; gives their number.
pub async fn replay_matching(
    conn: &mut AsyncPgConnection,
    filter: &EventFilter,
    limit: i64,
) -> QueryResult<usize> {
    let ended = [Status::Completed, Status::Failed, Status::Rejected, Status::Ignored].map(Status::word);
    let ids: Vec<Uuid> = matching(filter)
        .filter(dsl::status.eq_any(ended))
        .select(dsl::id)
        .order(dsl::id.desc())
        .limit(limit)
        .load(conn)
        .await?;
    // Checked again: between the two statements another operator may have queued one.
    diesel::update(dsl::webhook_events.filter(dsl::id.eq_any(ids)).filter(dsl::status.eq_any(ended)))
        .set(fresh())
        .execute(conn)
        .await
}

type Fresh = (
    diesel::dsl::Eq<dsl::status, &'static str>,
    diesel::dsl::Eq<dsl::attempts, i32>,
    diesel::dsl::Eq<dsl::run_at, diesel::dsl::now>,
    diesel::dsl::Eq<dsl::processed_at, Option<DateTime<Utc>>>,
);

fn fresh() -> Fresh {
    (
        dsl::status.eq(Status::Received.word()),
        dsl::attempts.eq(0),
        dsl::run_at.eq(diesel::dsl::now),
        dsl::processed_at.eq(None),
    )
}

//! The statement that acknowledges, deduplicates and enqueues a batch of events.

use super::model::{NewEvent, Receipt, Status, lane};
use super::replays;
use crate::db::schema::webhook_events::{self, dsl};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};
use diesel::sql_types::{
    Array, BigInt, Bytea, Integer, Nullable, SingleValue, SmallInt, Text, Timestamptz, Uuid as SqlUuid,
};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use std::collections::HashSet;
use uuid::Uuid;

diesel::define_sql_function! {
    /// One row for each element.
    fn unnest<T: SingleValue>(elements: Array<T>) -> T;
}

/// Stores what is new, counts what is not, and gives the ids of the new rows.
pub(super) async fn insert(
    conn: &mut AsyncPgConnection,
    events: &[&NewEvent],
    max_attempts: i32,
) -> QueryResult<HashSet<Uuid>> {
    let rows = events.iter().map(|event| Row { event, replay_of: None }).collect();
    let mut fresh = insert_rows(conn, rows, max_attempts).await?;
    let mut again: Vec<&NewEvent> =
        events.iter().filter(|event| !fresh.contains(&event.id)).copied().collect();
    let originals = replays::originals(conn, &again).await?;
    if !originals.is_empty() {
        replays::count_dropped(conn, &again, &originals).await?;
        let flagged: Vec<Row<'_>> = again
            .iter()
            .filter(|event| event.second_key.is_some_and(|key| !key.drop))
            .filter_map(|event| Some(Row { event, replay_of: Some(*originals.get(&event.id)?) }))
            .collect();
        fresh.extend(insert_rows(conn, flagged, max_attempts).await?);
        again.retain(|event| !originals.contains_key(&event.id));
    }
    if !again.is_empty() {
        count_duplicates(conn, &again).await?;
    }
    Ok(fresh)
}

/// Stores events that were not sent but found by asking, in the caller's transaction: what is known already is left as it
/// is, without being counted as a duplicate. Gives how many are new.
pub async fn bring_in(
    conn: &mut AsyncPgConnection,
    events: &[NewEvent],
    max_attempts: i32,
) -> QueryResult<usize> {
    let rows = events.iter().map(|event| Row { event, replay_of: None }).collect();
    Ok(insert_rows(conn, rows, max_attempts).await?.len())
}

/// An event on its way into the table; a suspected replay goes in without its second key, as `ignored`.
struct Row<'a> {
    event: &'a NewEvent,
    replay_of: Option<Uuid>,
}

impl Row<'_> {
    fn status(&self) -> Status {
        match (self.replay_of, self.event.status) {
            (Some(_), Status::Received) => Status::Ignored,
            (_, status) => status,
        }
    }
}

/// `INSERT … SELECT unnest(…)` and not a list of VALUES: the text is the same for every batch size, so it is prepared
/// once, and the number of bind parameters has no limit to run into.
async fn insert_rows(
    conn: &mut AsyncPgConnection,
    mut rows: Vec<Row<'_>>,
    max_attempts: i32,
) -> QueryResult<HashSet<Uuid>> {
    if rows.is_empty() {
        return Ok(HashSet::new());
    }
    // Two nodes that insert the same keys take them in the same order, so they wait for each other and never deadlock.
    rows.sort_by(|a, b| (&a.event.provider, &a.event.event_id).cmp(&(&b.event.provider, &b.event.event_id)));
    let now = Utc::now();
    let column = |text: fn(&NewEvent) -> &str| rows.iter().map(|row| text(row.event)).collect::<Vec<_>>();
    let events = || rows.iter().map(|row| row.event);
    let ids: Vec<Uuid> = events().map(|event| event.id).collect();
    let subjects: Vec<Option<&str>> = events().map(|event| event.subject.as_deref()).collect();
    let occurred: Vec<Option<DateTime<Utc>>> = events().map(|event| event.occurred_at).collect();
    let bodies: Vec<&[u8]> = events().map(|event| &event.body[..]).collect();
    let envelopes: Vec<Option<&str>> = events().map(|event| event.envelope.as_deref()).collect();
    let statuses: Vec<&str> = rows.iter().map(|row| row.status().word()).collect();
    let processed: Vec<Option<DateTime<Utc>>> =
        rows.iter().map(|row| (row.status() != Status::Received).then_some(now)).collect();
    let errors: Vec<Option<&str>> = events().map(|event| event.error.as_deref()).collect();
    let outcomes: Vec<Option<&str>> = rows.iter().map(|row| row.replay_of.map(|_| SUSPECTED)).collect();
    let lanes: Vec<Option<i64>> =
        events().map(|event| Some(lane(&event.provider, event.subject.as_deref()?))).collect();
    let second_keys: Vec<Option<&[u8]>> = rows
        .iter()
        .map(|row| row.event.second_key.as_ref().filter(|_| row.replay_of.is_none()).map(|key| &key.key[..]))
        .collect();
    let replays: Vec<Option<Uuid>> = rows.iter().map(|row| row.replay_of).collect();
    let priorities: Vec<i16> = events().map(NewEvent::priority).collect();
    let fresh: Vec<Uuid> = diesel::insert_into(webhook_events::table)
        .values(diesel::select((
            unnest(ids.into_sql::<Array<SqlUuid>>()),
            unnest(column(|event| &event.provider).into_sql::<Array<Text>>()),
            unnest(column(|event| &event.event_id).into_sql::<Array<Text>>()),
            unnest(column(|event| &event.event_type).into_sql::<Array<Text>>()),
            unnest(subjects.into_sql::<Array<Nullable<Text>>>()),
            unnest(occurred.into_sql::<Array<Nullable<Timestamptz>>>()),
            unnest(bodies.into_sql::<Array<Bytea>>()),
            unnest(envelopes.into_sql::<Array<Nullable<Text>>>()),
            unnest(column(|event| &event.headers).into_sql::<Array<Text>>()),
            unnest(statuses.into_sql::<Array<Text>>()),
            unnest(lanes.into_sql::<Array<Nullable<BigInt>>>()),
            unnest(processed.into_sql::<Array<Nullable<Timestamptz>>>()),
            unnest(errors.into_sql::<Array<Nullable<Text>>>()),
            unnest(outcomes.into_sql::<Array<Nullable<Text>>>()),
            unnest(second_keys.into_sql::<Array<Nullable<Bytea>>>()),
            unnest(replays.into_sql::<Array<Nullable<SqlUuid>>>()),
            unnest(priorities.into_sql::<Array<SmallInt>>()),
            max_attempts.into_sql::<Integer>(),
        )))
        .into_columns((
            dsl::id,
            dsl::provider,
            dsl::event_id,
            dsl::event_type,
            dsl::subject,
            dsl::occurred_at,
            dsl::body,
            dsl::envelope,
            dsl::headers,
            dsl::status,
            dsl::lane,
            dsl::processed_at,
            dsl::last_error,
            dsl::outcome,
            dsl::replay_key,
            dsl::replay_of,
            dsl::priority,
            dsl::max_attempts,
        ))
        .on_conflict_do_nothing()
        .returning(dsl::id)
        .get_results(conn)
        .await?;
    Ok(fresh.into_iter().collect())
}

/// What an operator reads on a suspected replay.
const SUSPECTED: &str = "suspected replay: the same bytes came before under another id; `hookgate events replay` handles it all the same";

/// Raw because diesel cannot join an update with unnested parameters.
async fn count_duplicates(conn: &mut AsyncPgConnection, again: &[&NewEvent]) -> QueryResult<()> {
    diesel::sql_query(
        "UPDATE webhook_events AS stored SET duplicates = stored.duplicates + again.times, last_duplicate_at = now(),
             conflicting_duplicates = stored.conflicting_duplicates + again.conflicts
         FROM (SELECT known.id, count(*)::int AS times,
                   (count(*) FILTER (WHERE known.body <> came.body))::int AS conflicts
               FROM unnest($1, $2, $3) AS came (provider, event_id, body)
               JOIN webhook_events AS known USING (provider, event_id) GROUP BY known.id) AS again
         WHERE stored.id = again.id",
    )
    .bind::<Array<Text>, _>(again.iter().map(|event| event.provider.as_str()).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(again.iter().map(|event| event.event_id.as_str()).collect::<Vec<_>>())
    .bind::<Array<Bytea>, _>(again.iter().map(|event| &event.body[..]).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// How many of a request's readable events are new.
pub(super) fn receipt(events: &[NewEvent], fresh: &HashSet<Uuid>) -> Receipt {
    let readable = events.iter().filter(|event| event.status != Status::Rejected);
    let (new, known): (Vec<_>, Vec<_>) = readable.partition(|event| fresh.contains(&event.id));
    Receipt { processed: new.len(), duplicates: known.len() }
}

/// Whether the database understood the statement and refused its content; everything else is about the connection.
pub(crate) fn is_about_data(error: &Error) -> bool {
    match error {
        Error::DatabaseError(kind, _) => matches!(
            kind,
            DatabaseErrorKind::UniqueViolation
                | DatabaseErrorKind::CheckViolation
                | DatabaseErrorKind::NotNullViolation
                | DatabaseErrorKind::ForeignKeyViolation
        ),
        Error::SerializationError(_) => true,
        _ => false,
    }
}

//! Known bytes under a new id: where a proof does not cover the id, a captured request can come back so.

use super::model::NewEvent;
use diesel::prelude::*;
use diesel::sql_types::{Array, Bytea, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use std::collections::HashMap;
use uuid::Uuid;

#[derive(QueryableByName)]
struct Original {
    #[diesel(sql_type = SqlUuid)]
    came: Uuid,
    #[diesel(sql_type = SqlUuid)]
    original: Uuid,
}

/// Which of these, refused by a unique key, have an id that nobody knows: each with the stored event that has its bytes.
/// Raw because diesel cannot join unnested parameters.
pub(super) async fn originals(
    conn: &mut AsyncPgConnection,
    refused: &[&NewEvent],
) -> QueryResult<HashMap<Uuid, Uuid>> {
    let keyed: Vec<(&NewEvent, &[u8])> =
        refused.iter().filter_map(|event| Some((*event, &event.second_key.as_ref()?.key[..]))).collect();
    if keyed.is_empty() {
        return Ok(HashMap::new());
    }
    let found: Vec<Original> = diesel::sql_query(
        "SELECT came.id AS came, known.id AS original
         FROM unnest($1, $2, $3, $4) AS came (id, provider, event_id, replay_key)
         JOIN webhook_events AS known USING (provider, replay_key)
         WHERE NOT EXISTS (
             SELECT FROM webhook_events AS same
             WHERE same.provider = came.provider AND same.event_id = came.event_id)",
    )
    .bind::<Array<SqlUuid>, _>(keyed.iter().map(|(event, _)| event.id).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(keyed.iter().map(|(event, _)| event.provider.as_str()).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(keyed.iter().map(|(event, _)| event.event_id.as_str()).collect::<Vec<_>>())
    .bind::<Array<Bytea>, _>(keyed.iter().map(|(_, key)| *key).collect::<Vec<_>>())
    .load(conn)
    .await?;
    let found: HashMap<Uuid, Uuid> = found.into_iter().map(|row| (row.came, row.original)).collect();
    for (event, _) in keyed.iter().filter(|(event, _)| found.contains_key(&event.id)) {
        metrics::counter!("webhook_suspected_replays_total", "provider" => event.provider.clone())
            .increment(1);
    }
    Ok(found)
}

/// Counts those that are to be dropped as duplicates of the events that have their bytes.
pub(super) async fn count_dropped(
    conn: &mut AsyncPgConnection,
    refused: &[&NewEvent],
    originals: &HashMap<Uuid, Uuid>,
) -> QueryResult<()> {
    let dropped = refused.iter().filter(|event| event.second_key.is_some_and(|key| key.drop));
    let of: Vec<Uuid> = dropped.filter_map(|event| originals.get(&event.id).copied()).collect();
    if of.is_empty() {
        return Ok(());
    }
    diesel::sql_query(
        "UPDATE webhook_events AS stored SET duplicates = stored.duplicates + again.times, last_duplicate_at = now()
         FROM (SELECT original, count(*)::int AS times FROM unnest($1) AS came (original) GROUP BY original) AS again
         WHERE stored.id = again.original",
    )
    .bind::<Array<SqlUuid>, _>(of)
    .execute(conn)
    .await?;
    Ok(())
}

//! The statements that store suspects and hold the bounds. Both happen in one transaction, one provider at a time on all
//! nodes, so the bounds hold at every commit.
//!
//! Who gives way: first what was verified again with success. Then each reason and hour has the same share, and within an
//! hour each minute, the earliest of it first. So a flood, however long, only takes room from itself: a request of a
//! quiet hour keeps its place until it is too old. What carries no proof at all, which anybody can make, gets a tenth.

use super::keeper::PER_MINUTE;
use super::redact::Row;
use crate::config::Quarantine as QuarantineSettings;
use crate::db::schema::quarantined_requests::dsl;
use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Bytea, Integer, Nullable, Text, Timestamptz};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl};
use std::collections::{HashMap, HashSet};

/// Share of what carries no proof: one part in this many.
const JUNK_SHARE: u32 = 10;
/// The reason of what carries no proof.
const JUNK: &str = "missing";
/// A body above this is kept only where there is room already: nothing gives way to it.
const LARGE: usize = 256 << 10;

/// What is held.
pub(super) struct Bounds {
    pub(super) settings: QuarantineSettings,
    /// What is older is deleted.
    pub(super) oldest: DateTime<Utc>,
}

/// What became of suspects.
#[derive(Debug, Default)]
pub(super) struct Stored {
    /// Reasons of the new rows, one for each.
    pub(super) new: Vec<&'static str>,
    /// Left out because of too many of their kind in this minute.
    pub(super) over_rate: u64,
    /// Left out because nothing gives way to one so large.
    pub(super) too_large: u64,
}

#[derive(QueryableByName)]
struct Known {
    #[diesel(sql_type = Bytea)]
    fingerprint: Vec<u8>,
}

#[derive(QueryableByName)]
struct Held {
    #[diesel(sql_type = BigInt)]
    requests: i64,
    #[diesel(sql_type = BigInt)]
    bytes: i64,
    #[diesel(sql_type = BigInt)]
    junk_requests: i64,
    #[diesel(sql_type = BigInt)]
    junk_bytes: i64,
}

/// Stores the suspects of one provider. `left` says how many new rows of a reason this process may still add.
pub(super) async fn insert(
    conn: &mut AsyncPgConnection,
    provider: &str,
    rows: Vec<Row>,
    bounds: &Bounds,
    left: impl Fn(&'static str) -> i64 + Send + Sync,
) -> QueryResult<Stored> {
    conn.transaction(async |conn| {
        diesel::sql_query("SELECT pg_advisory_xact_lock(hashtextextended('quarantine ' || $1, 0))")
            .bind::<Text, _>(provider)
            .execute(conn)
            .await?;
        diesel::delete(
            dsl::quarantined_requests
                .filter(dsl::provider.eq(provider))
                .filter(dsl::received_at.lt(bounds.oldest)),
        )
        .execute(conn)
        .await?;
        let known = count_again(conn, provider, &rows).await?;
        let new: Vec<Row> = rows.into_iter().filter(|row| !known.contains(&row.fingerprint)).collect();
        if new.is_empty() {
            return Ok(Stored::default());
        }
        let stored = add(conn, provider, new, bounds, left).await?;
        if !stored.new.is_empty() {
            hold(conn, provider, &bounds.settings).await?;
        }
        Ok(stored)
    })
    .await
}

/// Counts those that are there already, and gives their fingerprints.
///
/// Raw because diesel cannot join an update with unnested parameters.
async fn count_again(
    conn: &mut AsyncPgConnection,
    provider: &str,
    rows: &[Row],
) -> QueryResult<HashSet<Vec<u8>>> {
    let known: Vec<Known> = diesel::sql_query(
        "UPDATE quarantined_requests AS kept SET times = least(kept.times::bigint + came.times, 2147483647),
             last_seen_at = greatest(kept.last_seen_at, came.seen)
         FROM unnest($2, $3, $4) AS came (fingerprint, times, seen)
         WHERE kept.provider = $1 AND kept.fingerprint = came.fingerprint RETURNING kept.fingerprint",
    )
    .bind::<Text, _>(provider)
    .bind::<Array<Bytea>, _>(rows.iter().map(|row| row.fingerprint.as_slice()).collect::<Vec<_>>())
    .bind::<Array<Integer>, _>(rows.iter().map(|row| row.times).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(rows.iter().map(|row| row.last_seen_at).collect::<Vec<_>>())
    .load(conn)
    .await?;
    Ok(known.into_iter().map(|known| known.fingerprint).collect())
}

/// Adds new rows, as far as the minute and the room allow.
async fn add(
    conn: &mut AsyncPgConnection,
    provider: &str,
    rows: Vec<Row>,
    bounds: &Bounds,
    left: impl Fn(&'static str) -> i64 + Send + Sync,
) -> QueryResult<Stored> {
    let minute_ago = Utc::now() - TimeDelta::minutes(1);
    let recent: Vec<(String, i64)> = dsl::quarantined_requests
        .filter(dsl::provider.eq(provider))
        .filter(dsl::received_at.gt(minute_ago))
        .group_by(dsl::reason)
        .select((dsl::reason, diesel::dsl::count_star()))
        .load(conn)
        .await?;
    let mut used: HashMap<String, i64> = recent.into_iter().collect();
    let now = held(conn, provider).await?;
    let (mut bytes, mut junk_bytes) = (now.bytes, now.junk_bytes);
    let mut stored = Stored::default();
    for row in rows {
        let size = i64::try_from(row.size).unwrap_or(i64::MAX);
        let added = stored.new.iter().filter(|reason| **reason == row.reason).count();
        let here = left(row.reason) - i64::try_from(added).unwrap_or(i64::MAX);
        let everywhere = used.entry(row.reason.to_owned()).or_insert(0);
        if here <= 0 || *everywhere >= PER_MINUTE {
            stored.over_rate += 1;
            continue;
        }
        let all = i64::try_from(bounds.settings.max_bytes).unwrap_or(i64::MAX);
        let junk = row.reason == JUNK;
        let (room, taken) = if junk { (all / i64::from(JUNK_SHARE), junk_bytes) } else { (all, bytes) };
        if size > room || row.body.len() > LARGE && taken.saturating_add(size) > room {
            stored.too_large += 1;
            continue;
        }
        *everywhere += 1;
        bytes = bytes.saturating_add(size);
        junk_bytes = junk_bytes.saturating_add(if junk { size } else { 0 });
        stored.new.push(row.reason);
        diesel::insert_into(dsl::quarantined_requests)
            .values((
                (
                    dsl::id.eq(row.id),
                    dsl::provider.eq(&row.provider),
                    dsl::reason.eq(row.reason),
                    dsl::fingerprint.eq(&row.fingerprint),
                    dsl::steps.eq(&row.steps),
                    dsl::method.eq(&row.method),
                    dsl::bases.eq(&row.bases),
                    dsl::path.eq(&row.path),
                    dsl::query.eq(&row.query),
                    dsl::headers.eq(&row.headers),
                ),
                dsl::sealed.eq(&row.sealed),
                dsl::proof_kept.eq(row.proof_kept),
                dsl::body.eq(&row.body[..]),
                dsl::body_bytes.eq(i32::try_from(row.body.len()).unwrap_or(i32::MAX)),
                dsl::size.eq(i32::try_from(row.size).unwrap_or(i32::MAX)),
                dsl::times.eq(row.times),
                dsl::received_at.eq(row.received_at),
                dsl::last_seen_at.eq(row.last_seen_at),
            ))
            .execute(conn)
            .await?;
    }
    Ok(stored)
}

async fn held(conn: &mut AsyncPgConnection, provider: &str) -> QueryResult<Held> {
    diesel::sql_query(
        "SELECT count(*) AS requests, coalesce(sum(size), 0)::bigint AS bytes,
             count(*) FILTER (WHERE reason = $2) AS junk_requests,
             coalesce(sum(size) FILTER (WHERE reason = $2), 0)::bigint AS junk_bytes
         FROM quarantined_requests WHERE provider = $1",
    )
    .bind::<Text, _>(provider)
    .bind::<Text, _>(JUNK)
    .get_result(conn)
    .await
}

/// Deletes what is over the bounds.
async fn hold(
    conn: &mut AsyncPgConnection,
    provider: &str,
    settings: &QuarantineSettings,
) -> QueryResult<()> {
    let requests = i64::from(settings.max_requests);
    let bytes = i64::try_from(settings.max_bytes).unwrap_or(i64::MAX);
    // At least one, so that somebody who just tries things out sees that something came.
    let junk_requests = i64::from(settings.max_requests / JUNK_SHARE).max(1);
    let junk_bytes = bytes / i64::from(JUNK_SHARE);
    let now = held(conn, provider).await?;
    if now.junk_requests > junk_requests || now.junk_bytes > junk_bytes {
        trim(conn, provider, Some(JUNK), junk_requests, junk_bytes).await?;
    }
    let now = held(conn, provider).await?;
    if now.requests > requests || now.bytes > bytes {
        trim(conn, provider, None, requests, bytes).await?;
    }
    Ok(())
}

/// Keeps the rows that come first in both orders, by count and by bytes; window functions are why it is raw.
async fn trim(
    conn: &mut AsyncPgConnection,
    provider: &str,
    reason: Option<&str>,
    requests: i64,
    bytes: i64,
) -> QueryResult<()> {
    diesel::sql_query(
        "WITH of_minutes AS (
             SELECT id, reason, size, received_at, outcome IS NOT DISTINCT FROM 'accepted' AS settled,
                 date_trunc('hour', received_at) AS hour,
                 row_number() OVER (PARTITION BY reason, date_trunc('minute', received_at)
                     ORDER BY received_at, id) AS nth_of_minute
             FROM quarantined_requests WHERE provider = $1 AND ($2 IS NULL OR reason = $2)
         ), of_hours AS (
             SELECT id, size, received_at, settled, row_number() OVER turn AS nth, sum(size) OVER turn AS weight
             FROM of_minutes
             WINDOW turn AS (PARTITION BY settled, reason, hour ORDER BY nth_of_minute, received_at, id)
         ), placed AS (
             SELECT id, row_number() OVER (ORDER BY settled, nth, received_at DESC, id) AS place,
                 sum(size) OVER (ORDER BY settled, weight, received_at DESC, id) AS bytes
             FROM of_hours
         )
         DELETE FROM quarantined_requests AS kept USING placed
         WHERE kept.id = placed.id AND (placed.place > $3 OR placed.bytes > $4)",
    )
    .bind::<Text, _>(provider)
    .bind::<Nullable<Text>, _>(reason)
    .bind::<BigInt, _>(requests)
    .bind::<BigInt, _>(bytes)
    .execute(conn)
    .await?;
    Ok(())
}

/// Deletes what is too old, of every provider.
pub(super) async fn sweep(conn: &mut AsyncPgConnection, oldest: DateTime<Utc>) -> QueryResult<usize> {
    diesel::delete(dsl::quarantined_requests.filter(dsl::received_at.lt(oldest))).execute(conn).await
}

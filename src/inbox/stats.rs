//! How many events came, by provider, type and status.

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde::Serialize;
use uuid::Uuid;

/// Events of one provider, type and status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, QueryableByName)]
pub struct Count {
    /// Who sent them.
    #[diesel(sql_type = Text)]
    pub provider: String,
    /// What happened.
    #[diesel(sql_type = Text)]
    pub event_type: String,
    /// What became of them.
    #[diesel(sql_type = Text)]
    pub status: String,
    /// How many.
    #[diesel(sql_type = BigInt)]
    pub events: i64,
    /// How often one of them came again.
    #[diesel(sql_type = BigInt)]
    pub duplicates: i64,
}

/// Events that were stored since then. Raw because diesel sums integers to a nullable.
pub async fn counts(conn: &mut AsyncPgConnection, since: DateTime<Utc>) -> QueryResult<Vec<Count>> {
    diesel::sql_query(
        "SELECT provider, event_type, status, count(*) AS events, sum(duplicates)::bigint AS duplicates
         FROM webhook_events WHERE id >= $1 AND received_at >= $2
         GROUP BY provider, event_type, status ORDER BY provider, event_type, status",
    )
    // Ids begin with the time by the receiver's own clock: the index leaves out what is far older.
    .bind::<SqlUuid, _>(earliest_id(since - TimeDelta::hours(1)))
    .bind::<Timestamptz, _>(since)
    .load(conn)
    .await
}

/// No UUIDv7 of this time or later is smaller.
fn earliest_id(time: DateTime<Utc>) -> Uuid {
    let millis = u128::try_from(time.timestamp_millis()).unwrap_or_default();
    Uuid::from_u128(millis << 80)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_now_is_not_before_now() {
        let before = Utc::now();
        let id = Uuid::now_v7();
        assert!(id >= earliest_id(before) && id < earliest_id(before + TimeDelta::seconds(60)));
    }
}

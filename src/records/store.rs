//! The tables `provider_secret_uses` and `provider_hours`: any number of nodes add to the same rows.

use super::activity::Counted;
use crate::db::schema::{provider_hours, provider_secret_uses};
use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text, Timestamptz};
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// How long the hours of a provider are kept; its last hour with an event stays.
const KEPT: TimeDelta = TimeDelta::days(8);

/// Adds counts.
pub(super) async fn add(conn: &mut AsyncPgConnection, counted: &[Counted]) -> QueryResult<()> {
    let now = Utc::now();
    // Two nodes that add to the same rows take them in the same order.
    let mut counted: Vec<&Counted> = counted.iter().collect();
    counted.sort_by(|a, b| a.provider.cmp(&b.provider));
    conn.transaction(async |conn| {
        for counted in counted {
            let mut proven = counted.proven.clone();
            proven.sort();
            for (id, uses) in &proven {
                use provider_secret_uses::dsl;
                let uses = whole(*uses);
                diesel::insert_into(dsl::provider_secret_uses)
                    .values((
                        dsl::provider.eq(&counted.provider),
                        dsl::secret_id.eq(id),
                        dsl::uses.eq(uses),
                        dsl::first_used_at.eq(now),
                        dsl::last_used_at.eq(now),
                    ))
                    .on_conflict((dsl::provider, dsl::secret_id))
                    .do_update()
                    .set((dsl::uses.eq(dsl::uses + uses), dsl::last_used_at.eq(now)))
                    .execute(conn)
                    .await?;
            }
            add_hour(conn, counted, now).await?;
        }
        Ok(())
    })
    .await
}

/// Raw because diesel knows neither `date_trunc` nor `excluded` beside the old value.
async fn add_hour(conn: &mut AsyncPgConnection, counted: &Counted, now: DateTime<Utc>) -> QueryResult<()> {
    let last_event = (counted.events > 0).then_some(now);
    diesel::sql_query(
        "INSERT INTO provider_hours AS kept (provider, hour, proven, unproven, unreadable, events, last_event_at)
         VALUES ($1, date_trunc('hour', $2), $3, $4, $5, $6, $7)
         ON CONFLICT (provider, hour) DO UPDATE SET proven = kept.proven + excluded.proven,
             unproven = kept.unproven + excluded.unproven, unreadable = kept.unreadable + excluded.unreadable,
             events = kept.events + excluded.events,
             last_event_at = greatest(kept.last_event_at, excluded.last_event_at)",
    )
    .bind::<Text, _>(&counted.provider)
    .bind::<Timestamptz, _>(now)
    .bind::<BigInt, _>(whole(counted.proven.iter().map(|(_, uses)| uses).sum()))
    .bind::<BigInt, _>(whole(counted.unproven))
    .bind::<BigInt, _>(whole(counted.unreadable))
    .bind::<BigInt, _>(whole(counted.events))
    .bind::<Nullable<Timestamptz>, _>(last_event)
    .execute(conn)
    .await?;
    diesel::sql_query(
        "DELETE FROM provider_hours AS old WHERE old.provider = $1 AND old.hour < $2
             AND (old.last_event_at IS NULL OR EXISTS (SELECT FROM provider_hours AS newer
                 WHERE newer.provider = old.provider AND newer.hour > old.hour AND newer.last_event_at IS NOT NULL))",
    )
    .bind::<Text, _>(&counted.provider)
    .bind::<Timestamptz, _>(now - KEPT)
    .execute(conn)
    .await?;
    Ok(())
}

fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// The last 24 hours of a provider, the hour that began them included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Day {
    /// New events.
    pub events: i64,
    /// Requests that were proven.
    pub proven: i64,
    /// Requests that were not proven.
    pub unproven: i64,
    /// Requests that were proven and could not be read.
    pub unreadable: i64,
}

/// What is known of one provider.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// By id of the secret: how often it proved something, when first, and when last.
    pub secrets: BTreeMap<String, (i64, DateTime<Utc>, DateTime<Utc>)>,
    /// When its last new event came.
    pub last_event_at: Option<DateTime<Utc>>,
    /// Its last 24 hours.
    pub day: Day,
}

type UseRow = (String, String, i64, DateTime<Utc>, DateTime<Utc>);
type HourRow = (String, DateTime<Utc>, i64, i64, i64, i64, Option<DateTime<Utc>>);

/// What is known of every provider that ever called.
pub async fn report(
    conn: &mut AsyncPgConnection,
    now: DateTime<Utc>,
) -> QueryResult<BTreeMap<String, Report>> {
    // One snapshot, or counts stored between the two reads show the requests and not the secret that proved them.
    let mut read = conn.build_transaction().read_only().repeatable_read();
    let (uses, hours): (Vec<UseRow>, Vec<HourRow>) = read
        .run(async |conn| {
            Ok::<_, diesel::result::Error>((
                provider_secret_uses::table.load(conn).await?,
                provider_hours::table.load(conn).await?,
            ))
        })
        .await?;
    let mut reports: BTreeMap<String, Report> = BTreeMap::new();
    for (provider, id, uses, first, last) in uses {
        reports.entry(provider).or_default().secrets.insert(id, (uses, first, last));
    }
    let since = now - TimeDelta::hours(24);
    for (provider, hour, proven, unproven, unreadable, events, last_event_at) in hours {
        let report = reports.entry(provider).or_default();
        report.last_event_at = report.last_event_at.max(last_event_at);
        if hour + TimeDelta::hours(1) > since {
            report.day.proven += proven;
            report.day.unproven += unproven;
            report.day.unreadable += unreadable;
            report.day.events += events;
        }
    }
    Ok(reports)
}

//! The table `moysklad_loop_breakers`: which entities were written lately, how often a webhook followed, and which are left
//! alone because of it.

use crate::db::schema::moysklad_changes;
use crate::db::schema::moysklad_loop_breakers::dsl;
use crate::queue::HandlerError;
use crate::sync::tasks;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types;
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl};
use serde::Serialize;
use std::collections::BTreeMap;
use uuid::Uuid;

/// An entity that is not written for a while.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Queryable)]
pub struct Tripped {
    /// Whose it is.
    pub account_id: Uuid,
    /// `product`, …
    pub entity_type: String,
    /// Which one.
    pub entity_id: Uuid,
    /// How many own writes in ten minutes a webhook followed.
    pub count: i32,
    /// Since when it is not written.
    pub tripped_at: Option<DateTime<Utc>>,
    /// Until when.
    pub reset_at: Option<DateTime<Utc>>,
}

/// Notes that these entities of the account are about to be written: to be called before the write, since its webhook may
/// be here before its reply.
pub(in crate::sync::moysklad) async fn wrote(
    conn: &mut AsyncPgConnection,
    account: Uuid,
    entity_type: &str,
    ids: &[Uuid],
) -> Result<(), HandlerError> {
    if ids.is_empty() {
        return Ok(());
    }
    // Two workers that write the same entities take their rows in the same order.
    let mut ids = ids.to_vec();
    ids.sort_unstable();
    ids.dedup();
    let now = Utc::now();
    let rows: Vec<_> = ids
        .iter()
        .map(|id| {
            (
                dsl::account_id.eq(account),
                dsl::entity_type.eq(entity_type),
                dsl::entity_id.eq(id),
                dsl::written_at.eq(now),
            )
        })
        .collect();
    diesel::insert_into(dsl::moysklad_loop_breakers)
        .values(rows)
        .on_conflict((dsl::account_id, dsl::entity_type, dsl::entity_id))
        .do_update()
        .set((dsl::written_at.eq(now), dsl::echoed.eq(false)))
        .execute(conn)
        .await?;
    Ok(())
}

/// Those of these entities that must not be written now, and until when.
pub(in crate::sync::moysklad) async fn may_write(
    conn: &mut AsyncPgConnection,
    account: Uuid,
    entity_type: &str,
    ids: &[Uuid],
) -> Result<BTreeMap<Uuid, DateTime<Utc>>, HandlerError> {
    let rows: Vec<(Uuid, Option<DateTime<Utc>>)> = dsl::moysklad_loop_breakers
        .filter(dsl::account_id.eq(account).and(dsl::entity_type.eq(entity_type)))
        .filter(dsl::entity_id.eq_any(ids))
        .filter(dsl::reset_at.gt(diesel::dsl::now))
        .select((dsl::entity_id, dsl::reset_at))
        .load(conn)
        .await?;
    Ok(rows.into_iter().filter_map(|(id, until)| Some((id, until?))).collect())
}

/// A breaker that has just tripped.
#[derive(Debug, QueryableByName)]
pub(super) struct JustTripped {
    #[diesel(sql_type = sql_types::Timestamptz)]
    pub(super) until: DateTime<Utc>,
}

/// A webhook about this entity came. The first one after an own write within ten minutes counts as its echo; more than
/// `writes` echoes in any ten minutes trip the breaker, for an hour and twice as long each time it trips again. No more
/// echoes than that are kept.
///
/// Raw because diesel cannot look into an array, and the count must not be read and written in two steps.
pub(super) async fn hooked(
    conn: &mut AsyncPgConnection,
    (account, entity_type, id): (Uuid, &str, Uuid),
    writes: u32,
) -> QueryResult<Option<JustTripped>> {
    let counted = diesel::sql_query(
        "WITH echo AS (
             UPDATE moysklad_loop_breakers SET echoed = true,
                 count = 1 + (SELECT count(*) FROM unnest(echoes) AS at WHERE at > now() - interval '10 minutes'),
                 echoes = ARRAY(SELECT at FROM unnest(echoes) AS at WHERE at > now() - interval '10 minutes') || now()
             WHERE account_id = $1 AND entity_type = $2 AND entity_id = $3 AND NOT echoed
                 AND written_at > now() - interval '10 minutes' AND (reset_at IS NULL OR reset_at < now())
             RETURNING count)
         SELECT count FROM echo",
    )
    .bind::<sql_types::Uuid, _>(account)
    .bind::<sql_types::Text, _>(entity_type)
    .bind::<sql_types::Uuid, _>(id)
    .get_result::<Echoes>(conn)
    .await
    .optional()?;
    if counted.is_none_or(|echoes| u32::try_from(echoes.count).unwrap_or_default() <= writes) {
        return Ok(None);
    }
    diesel::sql_query(
        "UPDATE moysklad_loop_breakers SET tripped_at = now(), trips = trips + 1, echoes = '{}',
             reset_at = now() + least(interval '1 hour' * power(2, least(trips, 10)), interval '7 days')
         WHERE account_id = $1 AND entity_type = $2 AND entity_id = $3 RETURNING reset_at AS until",
    )
    .bind::<sql_types::Uuid, _>(account)
    .bind::<sql_types::Text, _>(entity_type)
    .bind::<sql_types::Uuid, _>(id)
    .get_result(conn)
    .await
    .optional()
}

#[derive(QueryableByName)]
struct Echoes {
    #[diesel(sql_type = sql_types::Integer)]
    count: i32,
}

/// Entities that are not written now, the newest first.
pub async fn tripped(conn: &mut AsyncPgConnection) -> QueryResult<Vec<Tripped>> {
    dsl::moysklad_loop_breakers
        .filter(dsl::reset_at.gt(diesel::dsl::now))
        .order(dsl::tripped_at.desc())
        .select((
            dsl::account_id,
            dsl::entity_type,
            dsl::entity_id,
            dsl::count,
            dsl::tripped_at,
            dsl::reset_at,
        ))
        .load(conn)
        .await
}

/// Lets tripped entities be written again at once: those of one account, of one id, or all. What was held back is due
/// now. Gives how many there were.
pub async fn reset(
    conn: &mut AsyncPgConnection,
    account: Option<Uuid>,
    entity: Option<Uuid>,
) -> QueryResult<usize> {
    conn.transaction(async |conn| {
        let mut query =
            diesel::delete(dsl::moysklad_loop_breakers).filter(dsl::tripped_at.is_not_null()).into_boxed();
        if let Some(account) = account {
            query = query.filter(dsl::account_id.eq(account));
        }
        if let Some(entity) = entity {
            query = query.filter(dsl::entity_id.eq(entity));
        }
        let accounts: Vec<Uuid> = query.returning(dsl::account_id).get_results(conn).await?;
        let held =
            moysklad_changes::status.eq("waiting").and(moysklad_changes::child_account.eq_any(&accounts));
        diesel::update(moysklad_changes::table.filter(held))
            .set(moysklad_changes::due_at.eq(diesel::dsl::now))
            .execute(conn)
            .await?;
        tasks::hurry(conn, &accounts).await?;
        Ok(accounts.len())
    })
    .await
}

/// Forgets entities that have been quiet: an hour after a write, a day after a breaker's pause.
pub(in crate::sync::moysklad) async fn tidy(conn: &mut AsyncPgConnection) -> QueryResult<usize> {
    diesel::sql_query(
        "DELETE FROM moysklad_loop_breakers WHERE written_at < now() - interval '1 hour'
             AND (reset_at IS NULL OR reset_at < now() - interval '1 day')",
    )
    .execute(conn)
    .await
}

//! Merging what a handler saw into the stored payment.

use super::merge::{Mark, Observation, Overflow, Part, Parts, Role, Standing, Status, Summary};
use super::queries::Payment;
use crate::db::schema::{payment_parts, payments};
use crate::queue::HandlerError;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

/// What an event brought to light of one part of a payment.
#[derive(Debug, Clone)]
pub struct PaymentChange<'a> {
    /// The provider.
    pub provider: &'a str,
    /// The payment: the provider's id of the intent where there is one, else of the charge.
    pub payment_id: &'a str,
    /// The provider's id of the part.
    pub object_id: &'a str,
    /// What the part is to the payment.
    pub role: Role,
    /// What it showed.
    pub seen: Observation,
    /// The event.
    pub event: Mark,
}

/// A payment after a change.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The payment as it is now.
    pub payment: Payment,
    /// Minor units by which the refunded amount grew. Of several events that tell of one refund only one sees it.
    pub newly_refunded: i64,
    /// How far the part has come by this change; `None` if it was there before. Of several events that tell of one step
    /// only one sees it.
    pub reached: Option<Standing>,
}

diesel::define_sql_function! {
    /// The database's clock, which also stamps events when they are stored.
    fn clock_timestamp() -> Timestamptz;
}

/// The time by the database's clock.
pub async fn now(conn: &mut AsyncPgConnection) -> QueryResult<DateTime<Utc>> {
    diesel::select(clock_timestamp()).get_result(conn).await
}

/// Why a change cannot be applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The database.
    #[error(transparent)]
    Database(#[from] diesel::result::Error),
    /// The amounts.
    #[error(transparent)]
    Overflow(#[from] Overflow),
}

impl From<ApplyError> for HandlerError {
    fn from(error: ApplyError) -> Self {
        match error {
            ApplyError::Database(error) => error.into(),
            ApplyError::Overflow(error) => Self::GiveUp(error.to_string()),
        }
    }
}

/// Merges a change. Must run in a transaction: changes of one payment wait for each other here, because its parts
/// are different subjects whose events are handled side by side.
pub async fn apply(conn: &mut AsyncPgConnection, change: &PaymentChange<'_>) -> Result<Applied, ApplyError> {
    let (before, last) = lock(conn, change).await?;
    let mut parts = parts(conn, change).await?;
    let part = Part { role: change.role, seen: change.seen.clone() };
    let standing = parts.standing(change.object_id);
    let newer = parts.observe(change.object_id, &part);
    if newer {
        keep(conn, change).await?;
    }
    let reached = (newer && standing != Some(change.seen.standing)).then_some(change.seen.standing);
    let after = parts.summarize()?;
    let newly_refunded = after.amount_refunded.saturating_sub(before.amount_refunded).max(0);
    let row = payments::table.find((change.provider, change.payment_id));
    if after != before || change.event > last {
        diesel::update(row)
            .set((after, last.max(change.event.clone()), payments::updated_at.eq(diesel::dsl::now)))
            .execute(conn)
            .await?;
    }
    Ok(Applied { payment: row.select(Payment::as_select()).first(conn).await?, newly_refunded, reached })
}

/// Makes sure that the payment has a row, and locks it.
async fn lock(conn: &mut AsyncPgConnection, change: &PaymentChange<'_>) -> QueryResult<(Summary, Mark)> {
    diesel::insert_into(payments::table)
        .values((
            payments::provider.eq(change.provider),
            payments::payment_id.eq(change.payment_id),
            payments::status.eq(Status::Pending),
            &change.event,
        ))
        .on_conflict_do_nothing()
        .execute(conn)
        .await?;
    payments::table
        .find((change.provider, change.payment_id))
        .select((Summary::as_select(), Mark::as_select()))
        .for_update()
        .first(conn)
        .await
}

async fn parts(conn: &mut AsyncPgConnection, change: &PaymentChange<'_>) -> QueryResult<Parts> {
    use payment_parts as p;
    let rows: Vec<(String, Role, Observation)> = p::table
        .filter(p::provider.eq(change.provider).and(p::payment_id.eq(change.payment_id)))
        .select((p::object_id, p::role, Observation::as_select()))
        .load(conn)
        .await?;
    Ok(rows.into_iter().map(|(object_id, role, seen)| (object_id, Part { role, seen })).collect())
}

async fn keep(conn: &mut AsyncPgConnection, change: &PaymentChange<'_>) -> QueryResult<()> {
    use payment_parts as p;
    let part = (p::payment_id.eq(change.payment_id), p::role.eq(change.role));
    diesel::insert_into(p::table)
        .values((p::provider.eq(change.provider), p::object_id.eq(change.object_id), part, &change.seen))
        .on_conflict((p::provider, p::object_id))
        .do_update()
        .set((part, &change.seen))
        .execute(conn)
        .await?;
    Ok(())
}

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
    let before = lock(conn, change).await?;
    let mut parts = parts(conn, change).await?;
    let part = Part { role: change.role, seen: change.seen.clone() };
    if parts.observe(change.object_id, &part) {
        keep(conn, change).await?;
    }
    let last = before.last().max(change.event.clone());
    let summary = parts.summarize()?;
    let newly_refunded = summary.amount_refunded.saturating_sub(before.amount_refunded).max(0);
    let payment = save(conn, change, before, summary, last).await?;
    Ok(Applied { payment, newly_refunded })
}

/// A stored payment.
#[derive(Queryable, Selectable)]
#[diesel(table_name = payments)]
struct Row {
    status: Status,
    amount: Option<i64>,
    amount_refunded: i64,
    currency: Option<String>,
    customer: Option<String>,
    last_event_id: String,
    last_event_at: DateTime<Utc>,
    last_event_rank: i16,
}

impl Row {
    fn last(&self) -> Mark {
        Mark { at: self.last_event_at, rank: self.last_event_rank, event_id: self.last_event_id.clone() }
    }

    fn says(&self, summary: &Summary, last: &Mark) -> bool {
        self.status == summary.status
            && self.amount == summary.amount
            && self.amount_refunded == summary.amount_refunded
            && self.currency == summary.currency
            && self.customer == summary.customer
            && self.last() == *last
    }
}

/// Makes sure that the payment has a row, and locks it.
async fn lock(conn: &mut AsyncPgConnection, change: &PaymentChange<'_>) -> QueryResult<Row> {
    diesel::insert_into(payments::table)
        .values((
            payments::provider.eq(change.provider),
            payments::payment_id.eq(change.payment_id),
            payments::status.eq(Status::Pending),
            payments::last_event_id.eq(&change.event.event_id),
            payments::last_event_at.eq(change.event.at),
            payments::last_event_rank.eq(change.event.rank),
        ))
        .on_conflict_do_nothing()
        .execute(conn)
        .await?;
    payments::table
        .find((change.provider, change.payment_id))
        .select(Row::as_select())
        .for_update()
        .first(conn)
        .await
}

async fn parts(conn: &mut AsyncPgConnection, change: &PaymentChange<'_>) -> QueryResult<Parts> {
    use payment_parts as p;
    let rows: Vec<(String, Role, DateTime<Utc>, Standing, i64, Option<i64>, Option<String>, Option<String>)> =
        p::table
            .filter(p::provider.eq(change.provider).and(p::payment_id.eq(change.payment_id)))
            .select((
                p::object_id,
                p::role,
                p::as_of,
                p::standing,
                p::refunded,
                p::amount,
                p::currency,
                p::customer,
            ))
            .load(conn)
            .await?;
    let part = |(id, role, as_of, standing, refunded, amount, currency, customer)| {
        (id, Part { role, seen: Observation { as_of, standing, refunded, amount, currency, customer } })
    };
    Ok(rows.into_iter().map(part).collect())
}

async fn keep(conn: &mut AsyncPgConnection, change: &PaymentChange<'_>) -> QueryResult<()> {
    use payment_parts as p;
    let seen = &change.seen;
    let state = (
        p::payment_id.eq(change.payment_id),
        p::role.eq(change.role),
        p::as_of.eq(seen.as_of),
        p::standing.eq(seen.standing),
        p::refunded.eq(seen.refunded),
        p::amount.eq(seen.amount),
        p::currency.eq(&seen.currency),
        p::customer.eq(&seen.customer),
    );
    diesel::insert_into(p::table)
        .values((p::provider.eq(change.provider), p::object_id.eq(change.object_id), state.clone()))
        .on_conflict((p::provider, p::object_id))
        .do_update()
        .set(state)
        .execute(conn)
        .await?;
    Ok(())
}

async fn save(
    conn: &mut AsyncPgConnection,
    change: &PaymentChange<'_>,
    before: Row,
    summary: Summary,
    last: Mark,
) -> QueryResult<Payment> {
    let row = payments::table.find((change.provider, change.payment_id));
    if before.says(&summary, &last) {
        return row.select(Payment::as_select()).first(conn).await;
    }
    diesel::update(row)
        .set((
            payments::status.eq(summary.status),
            payments::amount.eq(summary.amount),
            payments::amount_refunded.eq(summary.amount_refunded),
            payments::currency.eq(summary.currency),
            payments::customer.eq(summary.customer),
            payments::last_event_id.eq(last.event_id),
            payments::last_event_at.eq(last.at),
            payments::last_event_rank.eq(last.rank),
            payments::updated_at.eq(diesel::dsl::now),
        ))
        .returning(Payment::as_returning())
        .get_result(conn)
        .await
}

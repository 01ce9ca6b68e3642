//! Merging what handlers saw into the stored payments.

use super::book::{Applied, Book, Entry, Key, PaymentChange};
use super::merge::{Mark, Observation, Overflow, Part, Role, Summary};
use crate::db::schema::{payment_parts, payments};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Nullable, SmallInt, Text, Timestamptz};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use std::collections::BTreeSet;

diesel::define_sql_function! {
    /// The database's clock, which also stamps events when they are stored.
    fn clock_timestamp() -> Timestamptz;
}

/// The time by the database's clock.
pub async fn now(conn: &mut AsyncPgConnection) -> QueryResult<DateTime<Utc>> {
    diesel::select(clock_timestamp()).get_result(conn).await
}

/// Why changes cannot be applied.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The database.
    #[error(transparent)]
    Database(#[from] diesel::result::Error),
    /// The amounts.
    #[error(transparent)]
    Overflow(#[from] Overflow),
    /// Somebody else has just stored one of the payments for the first time; the next try sees it.
    #[error("another worker has just made the payment")]
    Raced,
}

/// Merges changes, in their order, and gives what each came to. Must run in a transaction: changes of one payment wait for
/// each other here, because its parts are different subjects whose events are handled side by side.
///
/// The statements are the same few for any number of changes.
pub async fn apply<'a>(
    conn: &mut AsyncPgConnection,
    changes: impl Iterator<Item = &'a PaymentChange> + Clone,
) -> Result<Vec<Applied>, ApplyError> {
    let mut book = open(conn, changes.clone()).await?;
    let applied = changes.map(|change| book.apply(change)).collect::<Result<Vec<_>, _>>()?;
    let (new, known) = (book.changed(false), book.changed(true));
    if write(conn, &new, "DO NOTHING").await? < new.len() {
        return Err(ApplyError::Raced);
    }
    write(conn, &known, UPDATE).await?;
    write_parts(conn, &book.changed_parts()).await?;
    Ok(applied)
}

/// Locks the payments that are there already, and reads them with their parts.
async fn open<'a>(
    conn: &mut AsyncPgConnection,
    changes: impl Iterator<Item = &'a PaymentChange> + Clone,
) -> QueryResult<Book> {
    use payment_parts as part;
    use payments as p;
    let mut book = Book::default();
    let providers: BTreeSet<&str> = changes.clone().map(|change| change.provider.as_str()).collect();
    let ids: BTreeSet<&str> = changes.map(|change| change.payment_id.as_str()).collect();
    let (providers, ids) = (Vec::from_iter(providers), Vec::from_iter(ids));
    if ids.is_empty() {
        return Ok(book);
    }
    // Everybody locks in the same order, so that nobody waits in a circle.
    let stored: Vec<(Key, Summary, Mark)> = p::table
        .filter(p::provider.eq_any(&providers).and(p::payment_id.eq_any(&ids)))
        .order((p::provider, p::payment_id))
        .select(((p::provider, p::payment_id), Summary::as_select(), Mark::as_select()))
        .for_update()
        .load(conn)
        .await?;
    if stored.is_empty() {
        return Ok(book);
    }
    for (key, summary, last) in stored {
        book.enter(key, summary, last);
    }
    let parts: Vec<(Key, String, Role, Observation)> = part::table
        .filter(part::provider.eq_any(&providers).and(part::payment_id.eq_any(&ids)))
        .select(((part::provider, part::payment_id), part::object_id, part::role, Observation::as_select()))
        .load(conn)
        .await?;
    for (payment, object_id, role, seen) in parts {
        book.enter_part(&payment, object_id, &Part { role, seen });
    }
    Ok(book)
}

/// For payments that are locked, so it always comes to this.
const UPDATE: &str = "DO UPDATE SET status = excluded.status, amount = excluded.amount,
    amount_refunded = excluded.amount_refunded, currency = excluded.currency, customer = excluded.customer,
    last_event_id = excluded.last_event_id, last_event_at = excluded.last_event_at,
    last_event_rank = excluded.last_event_rank, updated_at = now()";

/// Stores payments and gives how many were. Raw because diesel cannot insert unnested parameters and update on conflict.
async fn write(
    conn: &mut AsyncPgConnection,
    rows: &[(&Key, &Entry)],
    on_conflict: &str,
) -> QueryResult<usize> {
    if rows.is_empty() {
        return Ok(0);
    }
    let summaries = || rows.iter().map(|row| &row.1.summary);
    let marks = || rows.iter().map(|row| &row.1.last);
    diesel::sql_query(format!(
        "INSERT INTO payments (provider, payment_id, status, amount, amount_refunded, currency, customer,
             last_event_id, last_event_at, last_event_rank)
         SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (provider, payment_id) {on_conflict}"
    ))
    .bind::<Array<Text>, _>(rows.iter().map(|row| row.0.0.as_str()).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(rows.iter().map(|row| row.0.1.as_str()).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(summaries().map(|summary| summary.status.name()).collect::<Vec<_>>())
    .bind::<Array<Nullable<BigInt>>, _>(summaries().map(|summary| summary.amount).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(summaries().map(|summary| summary.amount_refunded).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(
        summaries().map(|summary| summary.currency.as_deref()).collect::<Vec<_>>(),
    )
    .bind::<Array<Nullable<Text>>, _>(
        summaries().map(|summary| summary.customer.as_deref()).collect::<Vec<_>>(),
    )
    .bind::<Array<Text>, _>(marks().map(|mark| mark.event_id.as_str()).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(marks().map(|mark| mark.at).collect::<Vec<_>>())
    .bind::<Array<SmallInt>, _>(marks().map(|mark| mark.rank).collect::<Vec<_>>())
    .execute(conn)
    .await
}

/// Stores parts. Raw for the same reason.
async fn write_parts(conn: &mut AsyncPgConnection, rows: &[(&Key, &str, &Part)]) -> QueryResult<()> {
    if rows.is_empty() {
        return Ok(());
    }
    let seen = || rows.iter().map(|row| &row.2.seen);
    diesel::sql_query(
        "INSERT INTO payment_parts (provider, object_id, payment_id, role, as_of, standing, refunded, amount, currency,
             customer)
         SELECT * FROM unnest($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
         ON CONFLICT (provider, object_id) DO UPDATE SET payment_id = excluded.payment_id, role = excluded.role,
             as_of = excluded.as_of, standing = excluded.standing, refunded = excluded.refunded,
             amount = excluded.amount, currency = excluded.currency, customer = excluded.customer",
    )
    .bind::<Array<Text>, _>(rows.iter().map(|row| row.0.0.as_str()).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(rows.iter().map(|row| row.0.1.as_str()).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(rows.iter().map(|row| row.1).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(rows.iter().map(|row| row.2.role.name()).collect::<Vec<_>>())
    .bind::<Array<Timestamptz>, _>(seen().map(|seen| seen.as_of).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(seen().map(|seen| seen.standing.name()).collect::<Vec<_>>())
    .bind::<Array<BigInt>, _>(seen().map(|seen| seen.refunded).collect::<Vec<_>>())
    .bind::<Array<Nullable<BigInt>>, _>(seen().map(|seen| seen.amount).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(seen().map(|seen| seen.currency.as_deref()).collect::<Vec<_>>())
    .bind::<Array<Nullable<Text>>, _>(seen().map(|seen| seen.customer.as_deref()).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

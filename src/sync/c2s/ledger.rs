//! Which lead was enriched for which contact (table `c2s_enrichments`).

use super::contact::Fingerprint;
use crate::db::schema::c2s_enrichments as table;
use diesel::dsl::now;
use diesel::{ExpressionMethods as _, OptionalExtension as _, QueryDsl as _, QueryResult};
use diesel_async::{AsyncPgConnection, RunQueryDsl as _};

/// How far the enrichment of a lead has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum State {
    /// Nothing was posted.
    Open,
    /// A post was begun; whether the message arrived, only C2S knows.
    Posting,
    /// The message is there.
    Posted,
}

/// How far the enrichment of this lead for this contact has come.
pub(super) async fn state(
    conn: &mut AsyncPgConnection,
    lead_id: &str,
    fingerprint: &Fingerprint,
) -> QueryResult<State> {
    let state: Option<String> =
        table::table.find((lead_id, &fingerprint.0[..])).select(table::state).first(conn).await.optional()?;
    Ok(match state.as_deref() {
        None => State::Open,
        Some("posted") => State::Posted,
        Some(_) => State::Posting,
    })
}

/// Remembers that a post is about to be made.
pub(super) async fn begin(
    conn: &mut AsyncPgConnection,
    lead_id: &str,
    fingerprint: &Fingerprint,
) -> QueryResult<()> {
    diesel::insert_into(table::table)
        .values((table::lead_id.eq(lead_id), table::fingerprint.eq(&fingerprint.0[..])))
        .on_conflict_do_nothing()
        .execute(conn)
        .await?;
    Ok(())
}

/// Remembers that the message is there.
pub(super) async fn posted(
    conn: &mut AsyncPgConnection,
    lead_id: &str,
    fingerprint: &Fingerprint,
) -> QueryResult<()> {
    diesel::update(table::table.find((lead_id, &fingerprint.0[..])))
        .set((table::state.eq("posted"), table::posted_at.eq(now)))
        .execute(conn)
        .await?;
    Ok(())
}

/// Forgets a post that surely was not made.
pub(super) async fn withdraw(
    conn: &mut AsyncPgConnection,
    lead_id: &str,
    fingerprint: &Fingerprint,
) -> QueryResult<()> {
    diesel::delete(table::table.find((lead_id, &fingerprint.0[..]))).execute(conn).await?;
    Ok(())
}

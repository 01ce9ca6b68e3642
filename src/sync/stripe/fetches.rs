//! Which objects were fetched when (table `stripe_objects`).

use crate::db::schema::stripe_objects;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::query_dsl::methods::FilterDsl;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::Value;

/// The last fetch of an object.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = stripe_objects, treat_none_as_null = true)]
pub(super) struct Fetch {
    /// When it began, by the database's clock.
    pub(super) synced_at: DateTime<Utc>,
    /// Whether the object was found to be gone.
    pub(super) gone: bool,
    /// What subscribers are told of it; `None` for the parts of payments.
    pub(super) facts: Option<Value>,
}

/// The last fetch of an object, if there was one.
pub(super) async fn last(
    conn: &mut AsyncPgConnection,
    account: Option<&str>,
    object_id: &str,
) -> QueryResult<Option<Fetch>> {
    stripe_objects::table
        .find((account.unwrap_or_default(), object_id))
        .select(Fetch::as_select())
        .first(conn)
        .await
        .optional()
}

/// Remembers a fetch.
pub(super) async fn remember(
    conn: &mut AsyncPgConnection,
    account: Option<&str>,
    object_id: &str,
    fetch: &Fetch,
) -> QueryResult<()> {
    use stripe_objects as o;
    let upsert = diesel::insert_into(o::table)
        .values((o::account.eq(account.unwrap_or_default()), o::object_id.eq(object_id), fetch))
        .on_conflict((o::account, o::object_id))
        .do_update()
        .set(fetch);
    // A worker that lost its lease may end its slower, older fetch after a newer one.
    FilterDsl::filter(upsert, o::synced_at.le(fetch.synced_at)).execute(conn).await?;
    Ok(())
}

//! The table `nodes`: one row for each process.

use super::{Kind, NODES};
use crate::db::schema::nodes::dsl;
use chrono::{DateTime, Utc};
use diesel::dsl::{IntervalDsl as _, now};
use diesel::prelude::*;
use diesel::sql_types::Timestamptz;
use diesel_async::{AsyncPgConnection, RunQueryDsl, SimpleAsyncConnection as _};
use std::time::Duration;
use uuid::Uuid;

/// How long a silent process counts as alive.
pub(super) const LIFE: Duration = Duration::from_secs(5);
/// Rows of processes that died are kept for a person to look at, and no longer than this.
const KEPT_DAYS: i32 = 1;

/// Another process that is alive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Queryable)]
pub(super) struct Other {
    pub(super) id: Uuid,
    pub(super) is_command: bool,
    pub(super) joined_at: DateTime<Utc>,
    /// Among how many it says that it shares, at least.
    pub(super) heeds: i32,
}

/// Says that this process is alive and among how many it shares; true if it was not known.
pub(super) async fn say(conn: &mut AsyncPgConnection, id: Uuid, kind: Kind, heeds: i32) -> QueryResult<bool> {
    let alive_until = dsl::alive_until.eq(now.into_sql::<Timestamptz>() + LIFE.as_secs_f64().seconds());
    let known = diesel::update(dsl::nodes.find(id)).set((dsl::heeds.eq(heeds), alive_until));
    if known.execute(conn).await? > 0 {
        return Ok(false);
    }
    diesel::insert_into(dsl::nodes)
        .values((
            dsl::id.eq(id),
            dsl::is_command.eq(kind == Kind::Command),
            dsl::heeds.eq(heeds),
            alive_until,
        ))
        .execute(conn)
        .await?;
    let old = dsl::alive_until.lt(now.into_sql::<Timestamptz>() - KEPT_DAYS.days());
    diesel::delete(dsl::nodes.filter(old)).execute(conn).await?;
    Ok(true)
}

/// The others that are alive, and when this one joined. To be read after [`say`] has been committed: whoever is not seen
/// then will see this one.
pub(super) async fn read(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<(Vec<Other>, DateTime<Utc>)> {
    let mut alive: Vec<Other> = dsl::nodes
        .filter(dsl::alive_until.gt(now).or(dsl::id.eq(id)))
        .select((dsl::id, dsl::is_command, dsl::joined_at, dsl::heeds))
        .load(conn)
        .await?;
    let own = alive.iter().position(|node| node.id == id).ok_or(diesel::result::Error::NotFound)?;
    let joined_at = alive.swap_remove(own).joined_at;
    Ok((alive, joined_at))
}

/// Says that this process makes no more calls.
pub(super) async fn leave(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<()> {
    diesel::delete(dsl::nodes.find(id)).execute(conn).await?;
    tell(conn).await
}

/// Lets the others look at once instead of a second later.
pub(super) async fn tell(conn: &mut AsyncPgConnection) -> QueryResult<()> {
    conn.batch_execute(&format!("SELECT pg_notify('hookgate', '{NODES}')")).await
}

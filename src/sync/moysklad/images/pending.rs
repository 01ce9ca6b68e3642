//! The table `moysklad_images`: whose images are to be looked at, and what was copied last.

use super::plan::Copied;
use crate::db::schema::moysklad_images::dsl;
use crate::sync::moysklad::mappings::Key;
use crate::sync::moysklad::settings::EntityKind;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Integer, Jsonb, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::Value;
use std::time::Duration;
use uuid::Uuid;

/// Entities of one run of a task, so that nobody waits long behind them.
const MOST: i64 = 100;

/// One entity whose images are to be looked at.
#[derive(Debug, Clone)]
pub(super) struct Pending {
    pub(super) kind: EntityKind,
    pub(super) main_id: Uuid,
    pub(super) child_id: Uuid,
    pub(super) copied: Vec<Copied>,
    /// Whether the child may have others, since the end of a request is not known.
    pub(super) is_doubtful: bool,
    /// Tries in a row that failed with an error that may pass.
    pub(super) failures: i32,
    pub(super) event: Option<Uuid>,
    pub(super) version: i64,
}

/// Notes that main's images may differ from what was copied. `none` says that main has none: then only what was copied
/// before makes it worth a look.
pub(super) async fn note(
    conn: &mut AsyncPgConnection,
    key: Key,
    none: bool,
    event: Option<Uuid>,
) -> QueryResult<usize> {
    // An upsert from another table whose row must stay meanwhile: diesel cannot say it.
    diesel::sql_query(
        "INSERT INTO moysklad_images AS i (main_account, child_account, entity_type, main_id, event_id)
         SELECT m.main_account, m.child_account, m.entity_type, m.main_id, $5
         FROM moysklad_mappings m
         WHERE m.main_account = $1 AND m.child_account = $2 AND m.entity_type = $3 AND m.main_id = $4
           AND (NOT $6 OR EXISTS (SELECT 1 FROM moysklad_images c WHERE c.main_account = $1
                AND c.child_account = $2 AND c.entity_type = $3 AND c.main_id = $4 AND (c.copied <> '[]' OR c.doubtful)))
         FOR KEY SHARE OF m
         ON CONFLICT (main_account, child_account, entity_type, main_id) DO UPDATE SET
             event_id = CASE WHEN i.status = 'waiting' THEN coalesce(i.event_id, excluded.event_id)
                             ELSE excluded.event_id END,
             status = 'waiting', error = NULL, failed_task = NULL, due_at = now(), failures = 0, version = i.version + 1",
    )
    .bind::<SqlUuid, _>(key.main_account)
    .bind::<SqlUuid, _>(key.child_account)
    .bind::<Text, _>(key.entity_type)
    .bind::<SqlUuid, _>(key.main_id)
    .bind::<Nullable<SqlUuid>, _>(event)
    .bind::<Bool, _>(none)
    .execute(conn)
    .await
}

#[derive(QueryableByName)]
struct Row {
    #[diesel(sql_type = Text)]
    entity_type: String,
    #[diesel(sql_type = SqlUuid)]
    main_id: Uuid,
    #[diesel(sql_type = SqlUuid)]
    child_id: Uuid,
    #[diesel(sql_type = Jsonb)]
    copied: Value,
    #[diesel(sql_type = Bool)]
    doubtful: bool,
    #[diesel(sql_type = Integer)]
    failures: i32,
    #[diesel(sql_type = Nullable<SqlUuid>)]
    event_id: Option<Uuid>,
    #[diesel(sql_type = BigInt)]
    version: i64,
}

/// Those of this child that are due. Those that failed under this task are taken up again.
pub(super) async fn due(
    conn: &mut AsyncPgConnection,
    main: Uuid,
    child: Uuid,
    task: Uuid,
) -> QueryResult<Vec<Pending>> {
    diesel::update(dsl::moysklad_images.filter(dsl::failed_task.eq(task).and(dsl::child_account.eq(child))))
        .set((dsl::status.eq("waiting"), dsl::failed_task.eq(None::<Uuid>), dsl::failures.eq(0)))
        .execute(conn)
        .await?;
    // A join of tables by four columns, which diesel knows no foreign key of.
    let rows: Vec<Row> = diesel::sql_query(
        "SELECT entity_type, main_id, child_id, copied, doubtful, failures, event_id, version
         FROM moysklad_images JOIN moysklad_mappings USING (main_account, child_account, entity_type, main_id)
         WHERE child_account = $1 AND main_account = $2 AND status = 'waiting' AND due_at <= now()
         ORDER BY due_at, entity_type, main_id LIMIT $3",
    )
    .bind::<SqlUuid, _>(child)
    .bind::<SqlUuid, _>(main)
    .bind::<BigInt, _>(MOST)
    .load(conn)
    .await?;
    let pending = |row: Row| {
        Some(Pending {
            kind: EntityKind::parse(&row.entity_type)?,
            main_id: row.main_id,
            child_id: row.child_id,
            // What cannot be read is copied anew.
            copied: serde_json::from_value(row.copied).unwrap_or_default(),
            is_doubtful: row.doubtful,
            failures: row.failures,
            event: row.event_id,
            version: row.version,
        })
    };
    Ok(rows.into_iter().filter_map(pending).collect())
}

/// How long until the next of this child is due; `None` if none waits.
pub(super) async fn next_due(
    conn: &mut AsyncPgConnection,
    main: Uuid,
    child: Uuid,
) -> QueryResult<Option<Duration>> {
    let next: Option<DateTime<Utc>> = dsl::moysklad_images
        .filter(dsl::child_account.eq(child).and(dsl::main_account.eq(main)).and(dsl::status.eq("waiting")))
        .select(diesel::dsl::min(dsl::due_at))
        .first(conn)
        .await?;
    Ok(next.map(|due| (due - Utc::now()).to_std().unwrap_or_default()))
}

/// Those of these children of this main of which some are due.
pub(super) async fn children_with_due(
    conn: &mut AsyncPgConnection,
    main: Uuid,
    children: &[Uuid],
) -> QueryResult<Vec<Uuid>> {
    dsl::moysklad_images
        .filter(dsl::main_account.eq(main).and(dsl::child_account.eq_any(children)))
        .filter(dsl::status.eq("waiting").and(dsl::due_at.le(diesel::dsl::now)))
        .select(dsl::child_account)
        .distinct()
        .load(conn)
        .await
}

/// Nothing of this child is looked at any more.
pub(super) async fn forget(conn: &mut AsyncPgConnection, main: Uuid, child: Uuid) -> QueryResult<usize> {
    diesel::update(
        dsl::moysklad_images
            .filter(dsl::child_account.eq(child).and(dsl::main_account.eq(main)))
            .filter(dsl::status.eq("waiting")),
    )
    .set(dsl::status.eq("done"))
    .execute(conn)
    .await
}

/// Before a request that changes the child's list: its end may never be known.
pub(super) async fn doubt(conn: &mut AsyncPgConnection, key: Key) -> QueryResult<()> {
    diesel::update(row(key)).set(dsl::doubtful.eq(true)).execute(conn).await?;
    Ok(())
}

/// What the child's entity has now, in main's order. Of one that was made anew meanwhile it is not true.
pub(super) async fn remember(
    conn: &mut AsyncPgConnection,
    key: Key,
    child_id: Uuid,
    copied: &[Copied],
) -> QueryResult<()> {
    // An update that looks at another table: diesel cannot say it.
    diesel::sql_query(
        "UPDATE moysklad_images i SET copied = $6, doubtful = false FROM moysklad_mappings m
         WHERE i.main_account = $1 AND i.child_account = $2 AND i.entity_type = $3 AND i.main_id = $4
           AND m.main_account = $1 AND m.child_account = $2 AND m.entity_type = $3 AND m.main_id = $4
           AND m.child_id = $5",
    )
    .bind::<SqlUuid, _>(key.main_account)
    .bind::<SqlUuid, _>(key.child_account)
    .bind::<Text, _>(key.entity_type)
    .bind::<SqlUuid, _>(key.main_id)
    .bind::<SqlUuid, _>(child_id)
    .bind::<Jsonb, _>(serde_json::to_value(copied).unwrap_or_default())
    .execute(conn)
    .await?;
    Ok(())
}

/// It is done with. If an event came meanwhile, it stays.
pub(super) async fn done(conn: &mut AsyncPgConnection, key: Key, version: i64) -> QueryResult<()> {
    diesel::update(row(key).filter(dsl::version.eq(version)))
        .set((dsl::status.eq("done"), dsl::error.eq(None::<String>), dsl::failures.eq(0)))
        .execute(conn)
        .await?;
    Ok(())
}

/// A person has to look.
pub(super) async fn fail(
    conn: &mut AsyncPgConnection,
    key: Key,
    version: i64,
    error: &str,
    task: Uuid,
) -> QueryResult<()> {
    diesel::update(row(key).filter(dsl::version.eq(version)))
        .set((dsl::status.eq("failed"), dsl::error.eq(error), dsl::failed_task.eq(task)))
        .execute(conn)
        .await?;
    Ok(())
}

/// It is not looked at before this time, unless an event came meanwhile.
pub(super) async fn postpone(
    conn: &mut AsyncPgConnection,
    key: Key,
    version: i64,
    until: DateTime<Utc>,
    why: &str,
    failures: i32,
) -> QueryResult<()> {
    diesel::update(row(key).filter(dsl::version.eq(version)))
        .set((dsl::due_at.eq(until), dsl::error.eq(why), dsl::failures.eq(failures)))
        .execute(conn)
        .await?;
    Ok(())
}

fn row(key: Key) -> diesel::dsl::Find<dsl::moysklad_images, (Uuid, Uuid, &'static str, Uuid)> {
    dsl::moysklad_images.find((key.main_account, key.child_account, key.entity_type, key.main_id))
}

//! The table `moysklad_changes`: what a child does not have yet. One row for each entity, however many events told of it.

use crate::db::schema::moysklad_changes::dsl;
use crate::sync::moysklad::notice::Action;
use crate::sync::moysklad::settings::EntityKind;
use diesel::prelude::*;
use diesel::sql_types::{Array, BigInt, Jsonb, Nullable, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::Value;
use std::collections::HashMap;
use std::time::Duration;
use uuid::Uuid;

/// Changes of one run of a task; more are another run's, so that the children of one main take turns.
const MOST: i64 = 1000;

/// What is to be noted for children of a main account.
pub(in crate::sync::moysklad) struct News<'a> {
    pub(in crate::sync::moysklad) main: Uuid,
    pub(in crate::sync::moysklad) children: &'a [Uuid],
    pub(in crate::sync::moysklad) kind: EntityKind,
    pub(in crate::sync::moysklad) main_ids: &'a [Uuid],
    /// `create`, `update`, `delete`, `restore`, …: for people; what is done depends on what main says then.
    pub(in crate::sync::moysklad) operation: &'a str,
    /// Names that the event gave; `None` means that anything may have changed.
    pub(in crate::sync::moysklad) updated_fields: Option<&'a [String]>,
    pub(in crate::sync::moysklad) event: Option<Uuid>,
    /// Not to be looked at before.
    pub(in crate::sync::moysklad) delay: Duration,
}

/// Notes it for each child, together with what is noted already.
pub(super) async fn note(conn: &mut AsyncPgConnection, news: &News<'_>) -> QueryResult<usize> {
    // An upsert over two lists that merges rows: diesel cannot say it. Sorted, so that two handlers never deadlock.
    diesel::sql_query(
        "INSERT INTO moysklad_changes AS c
             (main_account, child_account, entity_type, main_id, operation, updated_fields, event_id, due_at)
         SELECT $1, child, $3, entity, $5, $6, $7, now() + $8 * interval '1 microsecond'
         FROM (SELECT DISTINCT child, entity FROM unnest($2) AS child, unnest($4) AS entity ORDER BY child, entity) news
         ON CONFLICT (child_account, main_account, entity_type, main_id) DO UPDATE SET
             operation = excluded.operation,
             updated_fields = CASE
                 WHEN c.status = 'waiting' AND c.updated_fields IS NOT NULL AND excluded.updated_fields IS NOT NULL
                 THEN (SELECT jsonb_agg(DISTINCT name) FROM
                       jsonb_array_elements(c.updated_fields || excluded.updated_fields) AS name)
             END,
             event_id = CASE WHEN c.status = 'waiting' THEN coalesce(c.event_id, excluded.event_id)
                             ELSE excluded.event_id END,
             due_at = CASE WHEN c.status = 'waiting' THEN least(c.due_at, excluded.due_at) ELSE excluded.due_at END,
             status = 'waiting', error = NULL, failed_task = NULL, tries = 0, version = c.version + 1",
    )
    .bind::<SqlUuid, _>(news.main)
    .bind::<Array<SqlUuid>, _>(news.children)
    .bind::<Text, _>(news.kind.keyword())
    .bind::<Array<SqlUuid>, _>(news.main_ids)
    .bind::<Text, _>(news.operation)
    .bind::<Nullable<Jsonb>, _>(news.updated_fields.map(Value::from))
    .bind::<Nullable<SqlUuid>, _>(news.event)
    .bind::<BigInt, _>(i64::try_from(news.delay.as_micros()).unwrap_or(i64::MAX))
    .execute(conn)
    .await
}

/// One change that waits for a child.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) kind: EntityKind,
    pub(super) main_id: Uuid,
    pub(super) updated_fields: Option<Vec<String>>,
    pub(super) event: Option<Uuid>,
    /// Main was told to have deleted it.
    pub(super) deleted: bool,
    /// Runs that failed to bring it while others went through.
    pub(super) tries: i32,
    /// `None`: nobody told of it; it is looked at because something else needs it.
    pub(super) version: Option<i64>,
}

impl Change {
    /// An entity that something else needs.
    pub(super) fn needed(kind: EntityKind, main_id: Uuid) -> Self {
        Self { kind, main_id, updated_fields: None, event: None, deleted: false, tries: 0, version: None }
    }
}

/// Type, id in main, names, event, operation, tries, version.
type Row = (String, Uuid, Option<Value>, Option<Uuid>, String, i32, i64);

/// The changes that this child shall have now. Those that failed under this task are taken up again.
pub(super) async fn due(
    conn: &mut AsyncPgConnection,
    main: Uuid,
    child: Uuid,
    task: Uuid,
) -> QueryResult<Vec<Change>> {
    diesel::update(dsl::moysklad_changes.filter(dsl::failed_task.eq(task).and(dsl::child_account.eq(child))))
        .set((dsl::status.eq("waiting"), dsl::failed_task.eq(None::<Uuid>)))
        .execute(conn)
        .await?;
    let rows: Vec<Row> = dsl::moysklad_changes
        .filter(dsl::child_account.eq(child).and(dsl::main_account.eq(main)))
        .filter(dsl::status.eq("waiting").and(dsl::due_at.le(diesel::dsl::now)))
        .order((dsl::due_at, dsl::entity_type, dsl::main_id))
        .limit(MOST)
        .select((
            dsl::entity_type,
            dsl::main_id,
            dsl::updated_fields,
            dsl::event_id,
            dsl::operation,
            dsl::tries,
            dsl::version,
        ))
        .load(conn)
        .await?;
    let change = |(kind, main_id, fields, event, operation, tries, version): Row| {
        let kind = EntityKind::parse(&kind)?;
        let updated_fields = fields.and_then(|fields| serde_json::from_value(fields).ok());
        let deleted = operation == Action::Delete.as_str();
        Some(Change { kind, main_id, updated_fields, event, deleted, tries, version: Some(version) })
    };
    Ok(rows.into_iter().filter_map(change).collect())
}

/// How long until the next change of this child is due; `None` if none waits.
pub(super) async fn next_due(
    conn: &mut AsyncPgConnection,
    main: Uuid,
    child: Uuid,
) -> QueryResult<Option<Duration>> {
    let next: Option<chrono::DateTime<chrono::Utc>> = dsl::moysklad_changes
        .filter(dsl::child_account.eq(child).and(dsl::main_account.eq(main)).and(dsl::status.eq("waiting")))
        .select(diesel::dsl::min(dsl::due_at))
        .first(conn)
        .await?;
    Ok(next.map(|due| (due - chrono::Utc::now()).to_std().unwrap_or_default()))
}

/// Those of these children of this main for which changes are due. What waited for an entity that its child has by now is due too: the
/// run that brought it may have been cut off before it said so.
pub(super) async fn children_with_due(
    conn: &mut AsyncPgConnection,
    main: Uuid,
    children: &[Uuid],
) -> QueryResult<Vec<Uuid>> {
    unblock(conn, main, None).await?;
    dsl::moysklad_changes
        .filter(dsl::main_account.eq(main).and(dsl::child_account.eq_any(children)))
        .filter(dsl::status.eq("waiting").and(dsl::due_at.le(diesel::dsl::now)))
        .select(dsl::child_account)
        .distinct()
        .load(conn)
        .await
}

/// Child, main, type, id in main.
pub(super) type Place = (Uuid, Uuid, &'static str, Uuid);

/// The child has these of one type: id in main, version. Those of which an event came meanwhile stay. To be called in a
/// transaction.
pub(super) async fn done(
    conn: &mut AsyncPgConnection,
    (child, main, kind): (Uuid, Uuid, EntityKind),
    changes: &HashMap<Uuid, i64>,
) -> QueryResult<()> {
    let of_kind = |ids: Vec<Uuid>| {
        dsl::moysklad_changes
            .filter(dsl::child_account.eq(child).and(dsl::main_account.eq(main)))
            .filter(dsl::entity_type.eq(kind.keyword()).and(dsl::main_id.eq_any(ids)))
    };
    // Locked in the order in which events note them, or the two could wait for each other for ever. In two steps: a delete
    // that joins a list is planned so badly on a table without statistics that it takes seconds.
    let now: Vec<(Uuid, i64)> = of_kind(changes.keys().copied().collect())
        .order(dsl::main_id)
        .select((dsl::main_id, dsl::version))
        .for_update()
        .load(conn)
        .await?;
    let unchanged =
        now.into_iter().filter(|(id, version)| changes.get(id) == Some(version)).map(|(id, _)| id);
    diesel::delete(of_kind(unchanged.collect())).execute(conn).await?;
    Ok(())
}

/// It cannot be brought to the child: `blocked` until another entity is there, `unwanted` until the child wants what it
/// is made of, or `failed` until a person has looked.
pub(super) async fn hold(
    conn: &mut AsyncPgConnection,
    (child, main, kind, main_id): Place,
    version: i64,
    status: &str,
    error: &str,
    task: Option<Uuid>,
) -> QueryResult<()> {
    let row = dsl::moysklad_changes.find((child, main, kind, main_id)).filter(dsl::version.eq(version));
    diesel::update(row)
        .set((
            dsl::status.eq(status),
            dsl::error.eq(error),
            dsl::failed_task.eq(task),
            // All of it: what the next run finds may be older than what this one was told.
            dsl::updated_fields.eq(None::<Value>),
        ))
        .execute(conn)
        .await?;
    Ok(())
}

/// The same for what was looked at because something else needs it: with no change of its own, nothing would take it up
/// again. False: it has one.
pub(super) async fn hold_new(
    conn: &mut AsyncPgConnection,
    (child, main, kind, main_id): Place,
    status: &str,
    error: &str,
    task: Option<Uuid>,
    due: chrono::DateTime<chrono::Utc>,
) -> QueryResult<bool> {
    let row = (
        dsl::main_account.eq(main),
        dsl::child_account.eq(child),
        dsl::entity_type.eq(kind),
        dsl::main_id.eq(main_id),
        dsl::operation.eq("follow"),
        dsl::status.eq(status),
        dsl::error.eq(error),
        dsl::failed_task.eq(task),
        dsl::due_at.eq(due),
    );
    let new = diesel::insert_into(dsl::moysklad_changes).values(row).on_conflict_do_nothing().execute(conn);
    Ok(new.await? > 0)
}

/// It failed while others went through, and is tried again at this time.
pub(super) async fn try_again(
    conn: &mut AsyncPgConnection,
    (child, main, kind, main_id): Place,
    version: i64,
    at: chrono::DateTime<chrono::Utc>,
    error: &str,
) -> QueryResult<()> {
    let row = dsl::moysklad_changes.find((child, main, kind, main_id)).filter(dsl::version.eq(version));
    diesel::update(row)
        .set((dsl::due_at.eq(at), dsl::error.eq(error), dsl::tries.eq(dsl::tries + 1)))
        .execute(conn)
        .await?;
    Ok(())
}

/// It is looked at again at this time, which is no try.
pub(super) async fn wait_until(
    conn: &mut AsyncPgConnection,
    (child, main, kind, main_id): Place,
    version: i64,
    at: chrono::DateTime<chrono::Utc>,
    error: &str,
) -> QueryResult<()> {
    let row = dsl::moysklad_changes.find((child, main, kind, main_id)).filter(dsl::version.eq(version));
    diesel::update(row).set((dsl::due_at.eq(at), dsl::error.eq(error))).execute(conn).await?;
    Ok(())
}

/// The child has it, brought for something else: what was wrong with it before is over.
pub(super) async fn forget_failure(
    conn: &mut AsyncPgConnection,
    (child, main, kind, main_id): Place,
) -> QueryResult<()> {
    let row = dsl::moysklad_changes.find((child, main, kind, main_id)).filter(dsl::status.eq("failed"));
    diesel::delete(row).execute(conn).await?;
    Ok(())
}

/// It is not brought to the child before this time.
pub(super) async fn postpone(
    conn: &mut AsyncPgConnection,
    (child, main, kind, main_id): Place,
    version: i64,
    until: chrono::DateTime<chrono::Utc>,
    why: &str,
) -> QueryResult<()> {
    let row = dsl::moysklad_changes.find((child, main, kind, main_id)).filter(dsl::version.eq(version));
    diesel::update(row)
        .set((dsl::due_at.eq(until), dsl::error.eq(why), dsl::updated_fields.eq(None::<Value>)))
        .execute(conn)
        .await?;
    Ok(())
}

/// Some of the changes of a type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    All,
    /// Those of entities that the child does not have.
    New,
    /// Those of entities that it has.
    Mapped,
}

/// End of an error that does not speak for the whole type.
pub(super) const PARTLY: &str = " (others of its type were written)";

/// None of this type, or none of these, is brought to the child before this time.
pub(super) async fn postpone_all(
    conn: &mut AsyncPgConnection,
    (child, main, kind): (Uuid, Uuid, EntityKind),
    until: chrono::DateTime<chrono::Utc>,
    why: &str,
    which: Which,
) -> QueryResult<()> {
    use crate::db::schema::moysklad_mappings;
    let mapped = moysklad_mappings::table
        .filter(moysklad_mappings::child_account.eq(child).and(moysklad_mappings::main_account.eq(main)))
        .filter(moysklad_mappings::entity_type.eq(kind.keyword()))
        .select(moysklad_mappings::main_id);
    let due = dsl::moysklad_changes
        .filter(dsl::child_account.eq(child).and(dsl::main_account.eq(main)))
        .filter(dsl::entity_type.eq(kind.keyword()).and(dsl::status.eq("waiting")))
        .filter(dsl::due_at.le(diesel::dsl::now));
    let wait = (dsl::due_at.eq(until), dsl::error.eq(why));
    match which {
        Which::All => diesel::update(due).set(wait).execute(conn).await?,
        Which::New => diesel::update(due.filter(dsl::main_id.ne_all(mapped))).set(wait).execute(conn).await?,
        Which::Mapped => {
            diesel::update(due.filter(dsl::main_id.eq_any(mapped))).set(wait).execute(conn).await?
        }
    };
    Ok(())
}

/// A type that waits for a right or for the tariff.
#[derive(Debug, QueryableByName)]
pub(super) struct Refused {
    /// The API's keyword.
    #[diesel(sql_type = diesel::sql_types::Text)]
    pub(super) entity_type: String,
    /// When one of it is tried.
    #[diesel(sql_type = diesel::sql_types::Timestamptz)]
    pub(super) until: chrono::DateTime<chrono::Utc>,
    /// As [`postpone_all`] was told.
    #[diesel(sql_type = diesel::sql_types::Text)]
    pub(super) why: String,
    /// Some that wait are not in the child.
    #[diesel(sql_type = diesel::sql_types::Bool)]
    pub(super) new: bool,
    /// Some are.
    #[diesel(sql_type = diesel::sql_types::Bool)]
    pub(super) mapped: bool,
}

/// Types that an earlier run was refused and that are not to be tried yet.
pub(super) async fn refused(
    conn: &mut AsyncPgConnection,
    main: Uuid,
    child: Uuid,
) -> QueryResult<Vec<Refused>> {
    // An aggregate of an existence: diesel cannot say it.
    diesel::sql_query(
        "SELECT c.entity_type, min(c.due_at) AS until, min(c.error) AS why,
             bool_or(m.main_id IS NULL) AS new, bool_or(m.main_id IS NOT NULL) AS mapped
         FROM moysklad_changes AS c
             LEFT JOIN moysklad_mappings AS m ON m.main_account = c.main_account
                 AND m.child_account = c.child_account AND m.entity_type = c.entity_type AND m.main_id = c.main_id
         WHERE c.child_account = $1 AND c.main_account = $2 AND c.status = 'waiting' AND c.due_at > now()
             AND c.error LIKE 'blocked: %' AND NOT c.error LIKE '%' || $3
         GROUP BY c.entity_type",
    )
    .bind::<SqlUuid, _>(child)
    .bind::<SqlUuid, _>(main)
    .bind::<Text, _>(PARTLY)
    .load(conn)
    .await
}

/// What waits for a right or for the tariff in these children is tried now.
pub(in crate::sync::moysklad) async fn try_refused(
    conn: &mut AsyncPgConnection,
    children: &[Uuid],
) -> QueryResult<usize> {
    diesel::update(dsl::moysklad_changes)
        .filter(dsl::child_account.eq_any(children).and(dsl::status.eq("waiting")))
        .filter(dsl::error.like("blocked: %"))
        .set(dsl::due_at.eq(diesel::dsl::now))
        .execute(conn)
        .await
}

/// Why the child waits for a person, if what is due next does.
pub(super) async fn waits_for_person(
    conn: &mut AsyncPgConnection,
    main: Uuid,
    child: Uuid,
) -> QueryResult<Option<String>> {
    let next: Option<Option<String>> = dsl::moysklad_changes
        .filter(dsl::child_account.eq(child).and(dsl::main_account.eq(main)).and(dsl::status.eq("waiting")))
        .order(dsl::due_at)
        .select(dsl::error)
        .first(conn)
        .await
        .optional()?;
    Ok(next.flatten().filter(|error| error.starts_with("blocked: ")))
}

/// What waits for an entity that is in the child (`None`: in any child) by now may go on. Found by the text of its hold, as
/// `Obstacle` writes it: a run that was cut off has nobody to tell what it brought.
pub(super) async fn unblock(
    conn: &mut AsyncPgConnection,
    main: Uuid,
    child: Option<Uuid>,
) -> QueryResult<usize> {
    // An update that looks into another table by a part of a text: diesel cannot say it.
    diesel::sql_query(
        "UPDATE moysklad_changes AS c SET status = 'waiting'
         WHERE ($1 IS NULL OR c.child_account = $1) AND c.main_account = $2 AND c.status IN ('blocked', 'unwanted')
             AND EXISTS (SELECT FROM moysklad_mappings AS m
                 WHERE m.main_account = c.main_account AND m.child_account = c.child_account
                     AND m.entity_type = split_part(c.error, ' ', 3)
                     AND m.main_id = CASE WHEN c.error LIKE 'waits for %' THEN split_part(c.error, ' ', 4)::uuid END)",
    )
    .bind::<diesel::sql_types::Nullable<SqlUuid>, _>(child)
    .bind::<SqlUuid, _>(main)
    .execute(conn)
    .await
}

/// Another entity of main no longer holds what these wanted for themselves: who was refused because of it is looked at
/// again.
pub(super) async fn reconsider(
    conn: &mut AsyncPgConnection,
    main: Uuid,
    child: Uuid,
    kind: EntityKind,
) -> QueryResult<usize> {
    let refused = dsl::moysklad_changes
        .filter(dsl::child_account.eq(child).and(dsl::main_account.eq(main)))
        .filter(dsl::entity_type.eq(kind.keyword()).and(dsl::status.eq("failed")))
        .filter(dsl::error.like("conflict: %"));
    diesel::update(refused)
        .set((dsl::status.eq("waiting"), dsl::failed_task.eq(None::<Uuid>), dsl::due_at.eq(diesel::dsl::now)))
        .execute(conn)
        .await
}

/// Notes what has to be looked at because something else changed in these fields; what is noted already stays as it is.
pub(super) async fn follow(
    conn: &mut AsyncPgConnection,
    main: Uuid,
    child: Uuid,
    kind: EntityKind,
    main_ids: &[Uuid],
    fields: &[&str],
) -> QueryResult<usize> {
    let row = |main_id: &Uuid| {
        (
            dsl::main_account.eq(main),
            dsl::child_account.eq(child),
            dsl::entity_type.eq(kind.keyword()),
            dsl::main_id.eq(*main_id),
            dsl::operation.eq("follow"),
            dsl::updated_fields.eq(Some(Value::from(fields.to_vec()))),
        )
    };
    let rows: Vec<_> = main_ids.iter().map(row).collect();
    diesel::insert_into(dsl::moysklad_changes).values(rows).on_conflict_do_nothing().execute(conn).await
}

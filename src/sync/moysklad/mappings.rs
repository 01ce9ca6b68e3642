//! Mappings: which entity in a child is which entity in main.

use crate::db::schema::moysklad_mappings::dsl;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};
use diesel::sql_types::{Array, Binary, Jsonb, Text, Uuid as SqlUuid};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::Value;
use std::collections::HashMap;
use uuid::Uuid;

/// What the hash of an entity is that was archived because main deleted it.
pub(super) const ARCHIVED: &[u8] = b"archived";

/// One entity of main in one child.
#[derive(Debug, Clone, Copy)]
pub(super) struct Key {
    pub(super) main_account: Uuid,
    pub(super) child_account: Uuid,
    pub(super) entity_type: &'static str,
    pub(super) main_id: Uuid,
}

/// Its counterpart.
#[derive(Debug, Clone)]
pub(super) struct Mapping {
    pub(super) child_id: Uuid,
    /// Hash of what was last written; `None` while that is not known.
    pub(super) written_hash: Option<Vec<u8>>,
    /// Hash of each field that was ever written; `null` while it is not known what the field holds.
    pub(super) written_fields: Option<Value>,
}

/// Id in main, id in the child, hash of all, hashes of the fields.
type Row = (Uuid, Uuid, Option<Vec<u8>>, Option<Value>);

/// The counterparts of these entities of main, as far as they are known.
pub(super) async fn find_many(
    conn: &mut AsyncPgConnection,
    main_account: Uuid,
    child_account: Uuid,
    entity_type: &str,
    main_ids: &[Uuid],
) -> QueryResult<HashMap<Uuid, Mapping>> {
    let rows: Vec<Row> = dsl::moysklad_mappings
        .filter(dsl::main_account.eq(main_account).and(dsl::child_account.eq(child_account)))
        .filter(dsl::entity_type.eq(entity_type).and(dsl::main_id.eq_any(main_ids)))
        .select((dsl::main_id, dsl::child_id, dsl::written_hash, dsl::written_fields))
        .load(conn)
        .await?;
    let mapping = |(main, child_id, written_hash, written_fields)| {
        (main, Mapping { child_id, written_hash, written_fields })
    };
    Ok(rows.into_iter().map(mapping).collect())
}

/// Ids in main of at most `most` entities that this child has, at random: not these, none that is archived because main
/// deleted it, and none of which a delete waits to be brought over.
pub(super) async fn some_others(
    conn: &mut AsyncPgConnection,
    (main_account, child_account, entity_type): (Uuid, Uuid, &str),
    not_these: &[Uuid],
    most: usize,
) -> QueryResult<Vec<Uuid>> {
    use crate::db::schema::moysklad_changes::dsl as changes;
    let deleted = changes::moysklad_changes
        .filter(changes::child_account.eq(child_account).and(changes::main_account.eq(main_account)))
        .filter(changes::entity_type.eq(entity_type).and(changes::operation.eq("delete")))
        .select(changes::main_id);
    dsl::moysklad_mappings
        .filter(dsl::main_account.eq(main_account).and(dsl::child_account.eq(child_account)))
        .filter(dsl::entity_type.eq(entity_type).and(dsl::written_hash.is_distinct_from(ARCHIVED)))
        .filter(dsl::main_id.ne_all(not_these).and(dsl::main_id.ne_all(deleted)))
        .order(diesel::dsl::sql::<diesel::sql_types::Double>("random()"))
        .limit(i64::try_from(most).unwrap_or(i64::MAX))
        .select(dsl::main_id)
        .load(conn)
        .await
}

/// Which entity of main this one of a child follows.
pub(super) async fn main_of(
    conn: &mut AsyncPgConnection,
    child_account: Uuid,
    main_account: Uuid,
    entity_type: &str,
    child_id: Uuid,
) -> QueryResult<Option<Uuid>> {
    dsl::moysklad_mappings
        .filter(dsl::child_account.eq(child_account).and(dsl::main_account.eq(main_account)))
        .filter(dsl::entity_type.eq(entity_type).and(dsl::child_id.eq(child_id)))
        .select(dsl::main_id)
        .first(conn)
        .await
        .optional()
}

/// Remembers the counterpart, and the fields (`null` each) that it has of its own. False: the child's entity is already the
/// counterpart of another one of main, or this one has another counterpart.
pub(super) async fn insert(
    conn: &mut AsyncPgConnection,
    key: Key,
    child_id: Uuid,
    own_fields: Option<&Value>,
) -> QueryResult<bool> {
    let result = diesel::insert_into(dsl::moysklad_mappings)
        .values((
            dsl::main_account.eq(key.main_account),
            dsl::child_account.eq(key.child_account),
            dsl::entity_type.eq(key.entity_type),
            dsl::main_id.eq(key.main_id),
            dsl::child_id.eq(child_id),
            dsl::written_fields.eq(own_fields),
        ))
        .execute(conn)
        .await;
    match result {
        Ok(_) => Ok(true),
        Err(Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Makes the counterpart of one entity of main that of another, with the memory of what was written. `None`: there is
/// nothing to hand over; else what was written.
pub(super) async fn hand_over(
    conn: &mut AsyncPgConnection,
    from: Key,
    to: Uuid,
) -> QueryResult<Option<Option<Value>>> {
    let row =
        dsl::moysklad_mappings.find((from.main_account, from.child_account, from.entity_type, from.main_id));
    diesel::update(row)
        .set((dsl::main_id.eq(to), dsl::written_hash.eq(None::<Vec<u8>>)))
        .returning(dsl::written_fields)
        .get_result(conn)
        .await
        .optional()
}

/// Forgets a counterpart that is gone.
pub(super) async fn remove(conn: &mut AsyncPgConnection, key: Key) -> QueryResult<()> {
    diesel::delete(dsl::moysklad_mappings.find((
        key.main_account,
        key.child_account,
        key.entity_type,
        key.main_id,
    )))
    .execute(conn)
    .await?;
    Ok(())
}

/// Forgets the counterparts of these entities of main.
pub(super) async fn remove_many(
    conn: &mut AsyncPgConnection,
    main_account: Uuid,
    child_account: Uuid,
    entity_type: &str,
    main_ids: &[Uuid],
) -> QueryResult<usize> {
    let rows = dsl::moysklad_mappings
        .filter(dsl::main_account.eq(main_account).and(dsl::child_account.eq(child_account)))
        .filter(dsl::entity_type.eq(entity_type).and(dsl::main_id.eq_any(main_ids)));
    diesel::delete(rows).execute(conn).await
}

/// Notes what the child holds now; `None` before a write, because its end may never be known.
pub(super) async fn note(
    conn: &mut AsyncPgConnection,
    key: Key,
    hash: Option<&[u8]>,
    fields: Option<&Value>,
) -> QueryResult<()> {
    let row =
        dsl::moysklad_mappings.find((key.main_account, key.child_account, key.entity_type, key.main_id));
    diesel::update(row)
        .set((dsl::written_hash.eq(hash), fields.map(|fields| dsl::written_fields.eq(fields.clone()))))
        .execute(conn)
        .await?;
    Ok(())
}

/// Before a write: what these hold then may never be known. By id in main, the fields (`null` each) that are about to be
/// written: they stay in mind even if the reply is lost and main takes them back before the next run.
pub(super) async fn forget_written(
    conn: &mut AsyncPgConnection,
    (main_account, child_account, entity_type): (Uuid, Uuid, &str),
    about_to: &[(Uuid, Value)],
) -> QueryResult<()> {
    // An update from a list: diesel cannot say it.
    diesel::sql_query(
        "UPDATE moysklad_mappings AS m
         SET written_hash = NULL, written_fields = coalesce(m.written_fields, '{}') || w.fields
         FROM unnest($4, $5) AS w (main_id, fields)
         WHERE m.main_account = $1 AND m.child_account = $2 AND m.entity_type = $3 AND m.main_id = w.main_id",
    )
    .bind::<SqlUuid, _>(main_account)
    .bind::<SqlUuid, _>(child_account)
    .bind::<Text, _>(entity_type)
    .bind::<Array<SqlUuid>, _>(about_to.iter().map(|one| one.0).collect::<Vec<_>>())
    .bind::<Array<Jsonb>, _>(about_to.iter().map(|one| &one.1).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

/// What a counterpart holds now.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub(super) key: Key,
    /// Of all.
    pub(super) hash: Vec<u8>,
    /// Of each field.
    pub(super) fields: Value,
}

/// Notes what counterparts hold now.
pub(super) async fn note_many(conn: &mut AsyncPgConnection, written: &[Written]) -> QueryResult<()> {
    // An update from a list: diesel cannot say it.
    diesel::sql_query(
        "UPDATE moysklad_mappings AS m SET written_hash = w.hash, written_fields = w.fields
         FROM unnest($1, $2, $3, $4, $5, $6) AS w (main_account, child_account, entity_type, main_id, hash, fields)
         WHERE m.main_account = w.main_account AND m.child_account = w.child_account
             AND m.entity_type = w.entity_type AND m.main_id = w.main_id",
    )
    .bind::<Array<SqlUuid>, _>(written.iter().map(|one| one.key.main_account).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(written.iter().map(|one| one.key.child_account).collect::<Vec<_>>())
    .bind::<Array<Text>, _>(written.iter().map(|one| one.key.entity_type).collect::<Vec<_>>())
    .bind::<Array<SqlUuid>, _>(written.iter().map(|one| one.key.main_id).collect::<Vec<_>>())
    .bind::<Array<Binary>, _>(written.iter().map(|one| &*one.hash).collect::<Vec<_>>())
    .bind::<Array<Jsonb>, _>(written.iter().map(|one| &one.fields).collect::<Vec<_>>())
    .execute(conn)
    .await?;
    Ok(())
}

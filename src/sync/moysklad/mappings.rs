//! Mappings: which entity in a child is which entity in main.

use crate::db::schema::moysklad_mappings::dsl;
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use uuid::Uuid;

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
}

/// The counterpart, if one is known.
pub(super) async fn find(conn: &mut AsyncPgConnection, key: Key) -> QueryResult<Option<Mapping>> {
    let row: Option<(Uuid, Option<Vec<u8>>)> = dsl::moysklad_mappings
        .find((key.main_account, key.child_account, key.entity_type, key.main_id))
        .select((dsl::child_id, dsl::written_hash))
        .first(conn)
        .await
        .optional()?;
    Ok(row.map(|(child_id, written_hash)| Mapping { child_id, written_hash }))
}

/// Remembers the counterpart. False: the child's entity is already the counterpart of another one of main, or this
/// one has another counterpart.
pub(super) async fn insert(conn: &mut AsyncPgConnection, key: Key, child_id: Uuid) -> QueryResult<bool> {
    let result = diesel::insert_into(dsl::moysklad_mappings)
        .values((
            dsl::main_account.eq(key.main_account),
            dsl::child_account.eq(key.child_account),
            dsl::entity_type.eq(key.entity_type),
            dsl::main_id.eq(key.main_id),
            dsl::child_id.eq(child_id),
        ))
        .execute(conn)
        .await;
    match result {
        Ok(_) => Ok(true),
        Err(Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _)) => Ok(false),
        Err(error) => Err(error),
    }
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

/// Notes what the child holds now; `None` before a write, because its end may never be known.
pub(super) async fn note(conn: &mut AsyncPgConnection, key: Key, hash: Option<&[u8]>) -> QueryResult<()> {
    diesel::update(dsl::moysklad_mappings.find((
        key.main_account,
        key.child_account,
        key.entity_type,
        key.main_id,
    )))
    .set(dsl::written_hash.eq(hash))
    .execute(conn)
    .await?;
    Ok(())
}

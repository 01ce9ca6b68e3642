//! Which order of main is which document of a child, line by line, and the states they had when they were in step.

use super::super::mappings::{self, ARCHIVED, Key};
use crate::db::schema::{moysklad_mappings, moysklad_order_states, moysklad_positions};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel::upsert::excluded;
use diesel_async::{AsyncConnection as _, AsyncPgConnection, RunQueryDsl};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use uuid::Uuid;

use super::lines::Item;

/// Rows in one statement: parameters are counted in 16 bits.
const ROWS: usize = 5000;

/// In the place of a fingerprint: main's order was written to its end, and is not as the document is. The next run looks, and
/// takes no line of main's own for one that was cut off.
pub(super) const OTHERWISE: &[u8] = b"otherwise";

/// In the place of a fingerprint: the document is gone, and main's order says so.
pub(in super::super) const GONE: &[u8] = b"gone";

/// A document of a child, and the two accounts.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source {
    pub(super) main_account: Uuid,
    pub(super) child_account: Uuid,
    /// `customerorder`, `retaildemand` or `purchaseorder`.
    pub(super) kind: &'static str,
    pub(super) document: Uuid,
}

impl Source {
    /// Key of its mapping to this order of main.
    pub(super) fn key(self, order: Uuid) -> Key {
        let Self { main_account, child_account, kind, .. } = self;
        Key { main_account, child_account, entity_type: kind, main_id: order }
    }
}

/// Main's copy of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) order: Uuid,
    /// Fingerprint of what was last brought over, or [`OTHERWISE`]; `None` while that is not known.
    pub(super) written: Option<Vec<u8>>,
    /// Names of the fields that the document need not have and that were written.
    pub(super) said: BTreeSet<String>,
    /// When lines were last sent by a request whose end is not known.
    pub(super) adding_since: Option<DateTime<Utc>>,
}

/// How names of fields stand with a mapping: nobody asks for what was written, only whether something was.
pub(super) fn remembered(said: &BTreeSet<String>) -> Value {
    Value::Object(said.iter().map(|name| (name.clone(), Value::Null)).collect::<Map<_, _>>())
}

/// Main's copy of this document, if it has one.
pub(super) async fn link(conn: &mut AsyncPgConnection, source: Source) -> QueryResult<Option<Link>> {
    use moysklad_mappings::dsl;
    type Row = (Uuid, Option<Vec<u8>>, Option<Value>, Option<DateTime<Utc>>);
    let row: Option<Row> = dsl::moysklad_mappings
        .filter(
            dsl::child_account
                .eq(source.child_account)
                .and(dsl::main_account.eq(source.main_account))
                .and(dsl::entity_type.eq(source.kind))
                .and(dsl::child_id.eq(source.document)),
        )
        .select((dsl::main_id, dsl::written_hash, dsl::written_fields, dsl::adding_since))
        .first(conn)
        .await
        .optional()?;
    Ok(row.map(|(order, written, fields, adding_since)| {
        let said = fields.as_ref().and_then(Value::as_object).into_iter().flat_map(Map::keys);
        Link { order, written, said: said.cloned().collect(), adding_since }
    }))
}

/// Notes since when a request is under way that adds lines to main's order; `None`: its end is known.
pub(super) async fn note_adding(
    conn: &mut AsyncPgConnection,
    source: Source,
    order: Uuid,
    since: Option<DateTime<Utc>>,
) -> QueryResult<()> {
    use moysklad_mappings::dsl;
    let key = source.key(order);
    let row =
        dsl::moysklad_mappings.find((key.main_account, key.child_account, key.entity_type, key.main_id));
    diesel::update(row).set(dsl::adding_since.eq(since)).execute(conn).await?;
    Ok(())
}

/// Forgets main's copy of a document, which is gone: no other order has its lines or its state.
pub(super) async fn forget(conn: &mut AsyncPgConnection, source: Source, order: Uuid) -> QueryResult<()> {
    use moysklad_order_states::dsl;
    let states =
        dsl::moysklad_order_states.find((source.child_account, source.main_account, source.document));
    conn.transaction(async |conn| {
        mappings::remove(conn, source.key(order)).await?;
        keep_positions(conn, source, &[]).await?;
        diesel::delete(states).execute(conn).await?;
        Ok(())
    })
    .await
}

/// The documents of children that this order of main is a copy of: child, type, id.
pub(in super::super) async fn copied_from(
    conn: &mut AsyncPgConnection,
    main_account: Uuid,
    order: Uuid,
) -> QueryResult<Vec<(Uuid, String, Uuid)>> {
    use moysklad_mappings::dsl;
    dsl::moysklad_mappings
        .filter(
            dsl::main_account
                .eq(main_account)
                .and(dsl::main_id.eq(order))
                .and(dsl::entity_type.eq_any(super::KINDS.map(super::DocumentKind::keyword))),
        )
        .select((dsl::child_account, dsl::entity_type, dsl::child_id))
        .load(conn)
        .await
}

/// Main's counterparts of these goods of a child, as far as it has any: what it has deleted is none.
pub(super) async fn counterparts(
    conn: &mut AsyncPgConnection,
    source: Source,
    items: &BTreeSet<Item>,
) -> QueryResult<BTreeMap<Item, Uuid>> {
    use moysklad_mappings::dsl;
    let ids: Vec<Uuid> = items.iter().map(|item| item.1).collect();
    let rows: Vec<(String, Uuid, Uuid)> = dsl::moysklad_mappings
        .filter(
            dsl::child_account
                .eq(source.child_account)
                .and(dsl::main_account.eq(source.main_account))
                .and(dsl::child_id.eq_any(ids))
                .and(dsl::written_hash.is_distinct_from(ARCHIVED)),
        )
        .select((dsl::entity_type, dsl::child_id, dsl::main_id))
        .load(conn)
        .await?;
    Ok(rows
        .into_iter()
        .map(|(kind, child, main)| ((kind, child), main))
        .filter(|(item, _)| items.contains(item))
        .collect())
}

/// Main's counterpart of a child's counterparty.
pub(super) async fn counterparty(
    conn: &mut AsyncPgConnection,
    source: Source,
    kind: &str,
    child: Uuid,
) -> QueryResult<Option<Uuid>> {
    let item = (kind.to_owned(), child);
    Ok(counterparts(conn, source, &BTreeSet::from([item.clone()])).await?.remove(&item))
}

/// Main's line of each line of the document.
pub(super) async fn positions(
    conn: &mut AsyncPgConnection,
    source: Source,
) -> QueryResult<HashMap<Uuid, Uuid>> {
    use moysklad_positions::dsl;
    let rows: Vec<(Uuid, Uuid)> = dsl::moysklad_positions
        .filter(
            dsl::child_account
                .eq(source.child_account)
                .and(dsl::main_account.eq(source.main_account))
                .and(dsl::child_document.eq(source.document)),
        )
        .select((dsl::child_position, dsl::main_position))
        .load(conn)
        .await?;
    Ok(rows.into_iter().collect())
}

/// Remembers main's line of each line of the document, and forgets all others of it.
pub(super) async fn keep_positions(
    conn: &mut AsyncPgConnection,
    source: Source,
    pairs: &[(Uuid, Uuid)],
) -> QueryResult<()> {
    use moysklad_positions::dsl;
    let rows: Vec<_> = pairs
        .iter()
        .map(|(child, main)| {
            (
                dsl::main_account.eq(source.main_account),
                dsl::child_account.eq(source.child_account),
                dsl::child_document.eq(source.document),
                dsl::child_position.eq(*child),
                dsl::main_position.eq(*main),
            )
        })
        .collect();
    conn.transaction(async |conn| {
        diesel::delete(
            dsl::moysklad_positions.filter(
                dsl::child_account
                    .eq(source.child_account)
                    .and(dsl::main_account.eq(source.main_account))
                    .and(dsl::child_document.eq(source.document)),
            ),
        )
        .execute(conn)
        .await?;
        for rows in rows.chunks(ROWS) {
            diesel::insert_into(dsl::moysklad_positions).values(rows).execute(conn).await?;
        }
        Ok(())
    })
    .await
}

/// Names of the states that the two had when they were in step: the child's, main's.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct InStep {
    pub(super) child: Option<String>,
    pub(super) main: Option<String>,
}

/// The states when they were last in step.
pub(super) async fn in_step(conn: &mut AsyncPgConnection, source: Source) -> QueryResult<Option<InStep>> {
    use moysklad_order_states::dsl;
    let row = dsl::moysklad_order_states
        .find((source.child_account, source.main_account, source.document))
        .select((dsl::child_state, dsl::main_state))
        .first(conn)
        .await
        .optional()?;
    Ok(row.map(|(child, main)| InStep { child, main }))
}

/// They are in step now.
pub(super) async fn keep_in_step(
    conn: &mut AsyncPgConnection,
    source: Source,
    states: &InStep,
) -> QueryResult<()> {
    use moysklad_order_states::dsl;
    diesel::insert_into(dsl::moysklad_order_states)
        .values((
            dsl::main_account.eq(source.main_account),
            dsl::child_account.eq(source.child_account),
            dsl::child_document.eq(source.document),
            dsl::child_state.eq(&states.child),
            dsl::main_state.eq(&states.main),
        ))
        .on_conflict((dsl::child_account, dsl::main_account, dsl::child_document))
        .do_update()
        .set((dsl::child_state.eq(excluded(dsl::child_state)), dsl::main_state.eq(excluded(dsl::main_state))))
        .execute(conn)
        .await?;
    Ok(())
}

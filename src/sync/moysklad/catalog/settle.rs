//! What is noted of many changes at once: a few statements for a hundred of them, not three hundred.
//!
//! Cut off before, the next run finds the changes still there and does them again, which their hashes and `syncId`s make
//! harmless.

use super::changes;
use super::drain::{AT_ONCE, Drain};
use crate::queue::HandlerError;
use crate::sync::moysklad::api::ApiError;
use crate::sync::moysklad::loops;
use crate::sync::moysklad::mappings::{self, Key, Written};
use crate::sync::moysklad::settings::EntityKind;
use diesel_async::AsyncConnection as _;
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// What is done and not noted yet.
#[derive(Default)]
pub(super) struct Unsettled {
    written: Vec<Written>,
    created: BTreeMap<EntityKind, Vec<Uuid>>,
    /// Changes that the child has: id in main, version.
    done: BTreeMap<EntityKind, HashMap<Uuid, i64>>,
}

impl Drain<'_> {
    /// Its counterpart holds this now.
    pub(super) async fn note_written(
        &mut self,
        key: Key,
        hash: Vec<u8>,
        fields: Value,
    ) -> Result<(), ApiError> {
        self.unsettled.written.push(Written { key, hash, fields });
        self.settle_if_many().await
    }

    /// The child has this new entity.
    pub(super) fn note_created(&mut self, kind: EntityKind, child_id: Uuid) {
        self.unsettled.created.entry(kind).or_default().push(child_id);
    }

    /// The child has it, unless an event came meanwhile.
    pub(super) async fn note_done(
        &mut self,
        kind: EntityKind,
        main_id: Uuid,
        version: i64,
    ) -> Result<(), ApiError> {
        self.unsettled.done.entry(kind).or_default().insert(main_id, version);
        self.settle_if_many().await
    }

    async fn settle_if_many(&mut self) -> Result<(), ApiError> {
        let done: usize = self.unsettled.done.values().map(HashMap::len).sum();
        if done.max(self.unsettled.written.len()) >= AT_ONCE { self.settle().await } else { Ok(()) }
    }

    /// Writes down what is not noted yet.
    pub(super) async fn settle(&mut self) -> Result<(), ApiError> {
        let Unsettled { written, created, done } = std::mem::take(&mut self.unsettled);
        if written.is_empty() && created.is_empty() && done.is_empty() {
            return Ok(());
        }
        let (main, child) = (self.pair.main_id(), self.pair.child_id());
        let mut conn = self.cx.conn().await?;
        let noted = conn.transaction(async |conn| {
            mappings::note_many(conn, &written).await?;
            for (kind, ids) in &created {
                loops::wrote(conn, child, kind.keyword(), ids).await?;
            }
            for (kind, changes) in &done {
                changes::done(conn, (child, main, *kind), changes).await?;
            }
            Ok::<_, HandlerError>(())
        });
        Ok(noted.await?)
    }
}

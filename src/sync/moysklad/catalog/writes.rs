//! Writes to the child, together or alone, and what came of them.

use super::drain::{Drain, Item};
use super::routes::{path, path_of, routes};
use super::strategy::Strategy;
use crate::queue::HandlerError;
use crate::sync::moysklad::api::{ApiError, id_of_entity};
use crate::sync::moysklad::mappings::{self, Key, Mapping};
use crate::sync::moysklad::metadata::FRESH;
use crate::sync::moysklad::product::{fields_of, reference};
use crate::sync::moysklad::settings::EntityKind;
use crate::sync::moysklad::work::broken;
use serde_json::Value;
use std::collections::HashMap;
use uuid::Uuid;

/// Namespace of the `syncId`s that this gateway gives.
const NAMESPACE: Uuid = Uuid::from_u128(0x7d0c_4a53_9c1e_4f0b_8a5f_2e7b_61d3_90c4);
/// A variant with these characteristics is there already.
const SAME_CHARACTERISTICS: u64 = 15_000;
/// A characteristic that the body refers to is gone.
const CHARACTERISTIC_GONE: [u64; 2] = [10_000, 10_001];

/// Components cannot change, because a document holds the bundle.
const COMPONENTS_LOCKED: u64 = 29_001;
/// Something that must be there is not.
const MISSING: [u64; 2] = [3000, 3023];

/// One entity that is to be written.
pub(super) struct Write {
    pub(super) item: Item,
    /// The child's entity; `None`: a new one.
    pub(super) target: Option<Uuid>,
    pub(super) body: Value,
    /// Components of a bundle that main's no longer has.
    pub(super) extra: Vec<Uuid>,
}

impl Drain<'_> {
    /// One request for each.
    pub(super) async fn write_alone(
        &mut self,
        writes: Vec<Write>,
        again: &mut Vec<Item>,
    ) -> Result<(), ApiError> {
        for write in writes {
            let kind = write.item.change.kind;
            let result = match write.target {
                None => self.child.create(routes(kind).create, &path(kind), &write.body).await,
                Some(id) => {
                    self.forget(kind, std::slice::from_ref(&write)).await?;
                    self.child.update(routes(kind).update, &path_of(kind, id), &write.body).await
                }
            };
            match result {
                Ok(saved) => {
                    let mut write = write;
                    if write.target.is_none() {
                        let created = [(write.item.change.main_id, id_of_entity(&saved)?)];
                        write.item.mapping = self.link_created(kind, &created).await?.into_values().next();
                    }
                    self.saved(write, &saved, again).await?;
                }
                Err(error) => self.refused(write, error, again).await?,
            }
        }
        Ok(())
    }

    /// One request for all; those that it refuses are tried again alone.
    pub(super) async fn write_together(
        &mut self,
        kind: EntityKind,
        writes: Vec<Write>,
        again: &mut Vec<Item>,
    ) -> Result<(), ApiError> {
        self.forget(kind, &writes).await?;
        let mut bodies = Vec::new();
        for write in &writes {
            let mut body = write.body.clone();
            if let Some(id) = write.target {
                let path = format!("entity/{}", kind.keyword());
                body["meta"] = reference(self.child.base(), &path, kind.keyword(), id)["meta"].take();
            }
            bodies.push(body);
        }
        let results = match self.child.write_many(routes(kind).create, &path(kind), bodies).await {
            Ok(results) => results,
            // To make some or to change others is not allowed: which of the two, those tell that are there.
            Err(error @ ApiError::NotAllowed { .. }) => {
                let (there, new): (Vec<_>, Vec<_>) =
                    writes.into_iter().partition(|write| write.target.is_some());
                if there.is_empty() || new.is_empty() {
                    self.refused_new = there.is_empty();
                    return Err(error);
                }
                self.refuse_new(kind, &error).await?;
                again.extend(there.into_iter().map(|write| write.item));
                return Ok(());
            }
            // The whole was refused (too large, an entity twice, …): alone they may pass.
            Err(ApiError::Work(HandlerError::GiveUp(_)) | ApiError::NotFound(_)) => {
                again.extend(writes.into_iter().map(|write| write.item));
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let mut created = Vec::new();
        for (write, result) in writes.iter().zip(&results) {
            if let (None, Ok(saved)) = (write.target, result) {
                created.push((write.item.change.main_id, id_of_entity(saved)?));
            }
        }
        let mut created = self.link_created(kind, &created).await?;
        for (mut write, result) in writes.into_iter().zip(results) {
            if write.target.is_none() {
                write.item.mapping = created.remove(&write.item.change.main_id);
            }
            match result {
                Ok(saved) => self.saved(write, &saved, again).await?,
                Err(error @ ApiError::TokenRefused { .. }) => return Err(error),
                Err(_) => again.push(write.item),
            }
        }
        Ok(())
    }

    /// Should this run be cut off, the next one must not believe the old hashes, and know which fields may hold what.
    async fn forget(&self, kind: EntityKind, writes: &[Write]) -> Result<(), ApiError> {
        let updates = writes.iter().filter(|write| write.target.is_some());
        let about_to: Vec<(Uuid, Value)> =
            updates.map(|write| (write.item.change.main_id, fields_of(&write.body))).collect();
        if about_to.is_empty() {
            return Ok(());
        }
        let accounts = (self.pair.main_id(), self.pair.child_id(), kind.keyword());
        let mut conn = self.cx.conn().await?;
        mappings::forget_written(&mut conn, accounts, &about_to).await.map_err(broken)
    }

    /// Remembers the counterparts that were made: id in main, id in the child.
    async fn link_created(
        &self,
        kind: EntityKind,
        created: &[(Uuid, Uuid)],
    ) -> Result<HashMap<Uuid, Mapping>, ApiError> {
        let linked = self.map_created(kind, created).await?;
        if linked.len() < created.len() {
            return Err(HandlerError::Retry("another run has just linked one of these".to_owned()).into());
        }
        Ok(linked)
    }

    /// A write went through; a new entity is linked already.
    async fn saved(&mut self, write: Write, saved: &Value, again: &mut Vec<Item>) -> Result<(), ApiError> {
        let Write { mut item, target, body, extra } = write;
        self.allowed.insert(item.change.kind);
        let fields: Vec<String> =
            body.as_object().into_iter().flat_map(serde_json::Map::keys).cloned().collect();
        if let Some(child_id) = target {
            if let Err(error) = self.drop_components(child_id, &extra).await {
                return self.fail(item.change, error).await;
            }
            self.note(&item).await?;
            let done = item.so_far.unwrap_or("updated");
            return self.done(item, Some(child_id), done, Some(fields)).await;
        }
        item.strategy = Strategy::Full;
        if item.projection.was_created_as(saved) {
            self.note(&item).await?;
            return self.done(item, Some(id_of_entity(saved)?), "created", Some(fields)).await;
        }
        // An earlier run created it and never knew; main has changed since.
        item.so_far = Some("created by an earlier run, updated");
        self.project_anew(&mut item, FRESH).await?;
        again.push(item);
        Ok(())
    }

    /// A write that was made alone and refused.
    async fn refused(
        &mut self,
        write: Write,
        error: ApiError,
        again: &mut Vec<Item>,
    ) -> Result<(), ApiError> {
        let Write { mut item, target, body, .. } = write;
        self.refused_new = target.is_none();
        let kind = item.change.kind;
        if let (ApiError::NotFound(_), Some(child_id)) = (&error, target)
            && !self.has(&self.child, kind, child_id).await?
        {
            let key = self.key(kind, item.change.main_id);
            mappings::remove(&mut *self.cx.conn().await?, key).await.map_err(broken)?;
            item.mapping = None;
            item.so_far = None;
            again.push(item);
            return Ok(());
        }
        match (&error, target) {
            (ApiError::TokenRefused { .. } | ApiError::Work(HandlerError::Defer { .. }), _) => {
                return Err(error);
            }
            // There is one that a search did not show a moment ago, or the reply to its creation was lost.
            _ if error.has_code(SAME_CHARACTERISTICS) && target.is_none() && !item.mended => {
                item.mended = true;
                again.push(item);
                return Ok(());
            }
            (_, Some(child_id)) if error.has_code(COMPONENTS_LOCKED) => {
                let error = self.without_components(child_id, body).await.err().unwrap_or(error);
                return self.fail(item.change, error).await;
            }
            (_, None) if MISSING.iter().any(|code| error.has_code(*code)) => {
                let error = self.with_what_is_required(&item, error).await?;
                return self.fail(item.change, error).await;
            }
            _ => {}
        }
        let stale = matches!(error, ApiError::NotFound(_))
            || CHARACTERISTIC_GONE.iter().any(|code| error.has_code(*code));
        if stale && !item.mended {
            // A price type, currency, unit, folder or characteristic that it refers to is gone.
            item.mended = true;
            self.project_afresh(&mut item).await?;
            again.push(item);
            return Ok(());
        }
        self.fail(item.change, error).await
    }

    pub(super) async fn note(&mut self, item: &Item) -> Result<(), ApiError> {
        let key = self.key(item.change.kind, item.change.main_id);
        let written = item.mapping.as_ref().and_then(|mapping| mapping.written_fields.as_ref());
        self.note_written(key, item.projection.hash(), item.projection.parts(written)).await
    }
}

/// The same for every run of the same entity and child: MoySklad answers a repeated create with what the first one
/// created.
pub(super) fn sync_id(key: Key) -> Uuid {
    let name = [key.main_account, key.main_id, key.child_account].map(Uuid::into_bytes).concat();
    Uuid::new_v5(&NAMESPACE, &name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sync_id_belongs_to_one_product_in_one_child_for_ever() {
        let key = |main: u128, id: u128, child: u128| Key {
            main_account: Uuid::from_u128(main),
            child_account: Uuid::from_u128(child),
            entity_type: "product",
            main_id: Uuid::from_u128(id),
        };
        let first = sync_id(key(1, 2, 3));
        assert_eq!(first, sync_id(key(1, 2, 3)));
        for other in [key(2, 2, 3), key(1, 3, 3), key(1, 2, 4), key(3, 2, 1)] {
            assert_ne!(first, sync_id(other));
        }
        assert_eq!(first.to_string(), "e012c8d5-79ed-585a-8b36-4a87805a7e8f");
    }
}

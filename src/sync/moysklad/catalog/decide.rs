//! What is to be written to the child for each entity: made, changed, taken for one that is there, or nothing.

use super::drain::{Drain, Item};
use super::filters;
use super::matching::values;
use super::strategy::Strategy;
use super::writes::{Write, sync_id};
use crate::queue::HandlerError;
use crate::sync::moysklad::api::{ApiError, id_of_entity};
use crate::sync::moysklad::mappings::{self, Mapping};
use crate::sync::moysklad::metadata::FRESH;
use crate::sync::moysklad::settings::EntityKind;
use crate::sync::moysklad::work::broken;
use serde_json::Value;
use std::collections::{HashMap, HashSet};

impl Drain<'_> {
    /// What is to be written for each; the others are done with, or come `again`.
    pub(super) async fn decide(
        &mut self,
        kind: EntityKind,
        items: Vec<Item>,
        again: &mut Vec<Item>,
    ) -> Result<Vec<Write>, ApiError> {
        let (mapped, unmapped): (Vec<_>, Vec<_>) = items.into_iter().partition(|item| item.mapping.is_some());
        let unmapped = self.accepted(kind, unmapped).await?;
        let unmapped = self.one_of_a_kind(kind, unmapped, again);
        if kind == EntityKind::Product {
            // Before anything is written: a run that is cut off then must not have forgotten them.
            self.call_variants(mapped.iter().chain(&unmapped)).await?;
        }
        let mut writes = Vec::new();
        for item in mapped {
            writes.extend(self.update_of(item).await?);
        }
        let candidates = self.candidates(kind, &unmapped.iter().collect::<Vec<_>>()).await?;
        for (item, mut found) in unmapped.into_iter().zip(candidates) {
            match (found.pop(), found.len()) {
                (None, _) if item.projection.is_archived() => {
                    let why = "archived in main and unknown to the child: not created";
                    self.skip_unwanted(item.change, why).await?;
                }
                (None, _) => {
                    let sync_id = (kind != EntityKind::Variant && kind != EntityKind::Productfolder)
                        .then(|| sync_id(self.key(kind, item.change.main_id)));
                    let body = item.projection.create(sync_id);
                    writes.push(Write { item, target: None, body, extra: Vec::new() });
                }
                (Some(counterpart), 0) => writes.extend(self.link(kind, item, &counterpart).await?),
                (Some(_), others) => {
                    let text = format!(
                        "{} {}s of the child have this {}: leave it to one of them, then retry",
                        others + 1,
                        kind.keyword(),
                        self.field_words(kind),
                    );
                    self.fail(item.change, conflict(&text)).await?;
                }
            }
        }
        Ok(writes)
    }

    fn field_words(&self, kind: EntityKind) -> &'static str {
        match kind {
            EntityKind::Variant => "set of characteristics",
            EntityKind::Productfolder => "name in one folder",
            _ => super::matching::field_name(self.match_field(kind)),
        }
    }

    /// Without those that the child does not want.
    async fn accepted(&mut self, kind: EntityKind, items: Vec<Item>) -> Result<Vec<Item>, ApiError> {
        // A variant goes with its product, and a folder with what stands in it.
        if matches!(kind, EntityKind::Variant | EntityKind::Productfolder) || self.settings.filters.is_empty()
        {
            return Ok(items);
        }
        let parents = if filters::need_folders(&self.settings.filters) && !items.is_empty() {
            self.folder_parents().await?
        } else {
            HashMap::new()
        };
        let mut accepted = Vec::new();
        for item in items {
            if filters::accept(&self.settings.filters, &item.entity, &parents) {
                accepted.push(item);
            } else {
                self.skip_unwanted(item.change, "not wanted by the child's filters").await?;
            }
        }
        Ok(accepted)
    }

    /// Two of main that are known by the same word would both be made: the second looks again when the first is there.
    fn one_of_a_kind(&self, kind: EntityKind, items: Vec<Item>, again: &mut Vec<Item>) -> Vec<Item> {
        let mut seen = HashSet::new();
        let field = self.match_field(kind);
        let (first, later): (Vec<_>, Vec<_>) = items.into_iter().partition(|item| match kind {
            EntityKind::Variant => true,
            EntityKind::Productfolder => seen.insert(item.entity["name"].to_string()),
            _ => values(item, field).into_iter().all(|value| seen.insert(value)),
        });
        again.extend(later);
        first
    }

    /// Takes an entity that the child has already for the counterpart.
    async fn link(
        &mut self,
        kind: EntityKind,
        mut item: Item,
        counterpart: &Value,
    ) -> Result<Option<Write>, ApiError> {
        let child_id = id_of_entity(counterpart)?;
        let key = self.key(kind, item.change.main_id);
        let own = item.projection.own_of(counterpart);
        let mut mapping = Mapping { child_id, written_hash: None, written_fields: own };
        let own = mapping.written_fields.as_ref();
        let is_free =
            mappings::insert(&mut *self.cx.conn().await?, key, child_id, own).await.map_err(broken)?;
        if !is_free && !self.take_over(key, &mut mapping).await? {
            let text = format!(
                "the child's {kind} with this {field} already follows another {kind} of main: give each its own \
                 {field}, then retry",
                kind = kind.keyword(),
                field = self.field_words(kind),
            );
            self.fail(item.change, conflict(&text)).await?;
            return Ok(None);
        }
        item.mapping = Some(mapping);
        item.strategy = Strategy::Full;
        if !is_free {
            self.project_anew(&mut item, FRESH).await?;
        }
        item.projection.keep_own(item.projection.own_of(counterpart).as_ref());
        if item.projection.is_held_by(counterpart) && kind != EntityKind::Bundle {
            self.note(&item).await?;
            self.done(item, Some(child_id), "linked, no change", None).await?;
            return Ok(None);
        }
        item.so_far = Some("linked and updated");
        self.update_of(item).await
    }

    /// The write that makes the counterpart as main's is, if there is anything to write.
    async fn update_of(&mut self, item: Item) -> Result<Option<Write>, ApiError> {
        let Some(mapping) = item.mapping.clone() else { return Ok(None) };
        if mapping.written_hash == Some(item.projection.hash()) {
            self.done(item, Some(mapping.child_id), "no change", None).await?;
            return Ok(None);
        }
        let mut body = match &mapping.written_fields {
            Some(written) if item.strategy != Strategy::Full && mapping.written_hash.is_some() => {
                item.projection.changes(written)
            }
            written => item.projection.update(written.as_ref()),
        };
        let extra = self.fit_components(mapping.child_id, &mut body).await?;
        if body.as_object().is_none_or(serde_json::Map::is_empty) && extra.is_empty() {
            let done = item.so_far.map_or("no change", |_| "linked, no change");
            self.note(&item).await?;
            self.done(item, Some(mapping.child_id), done, None).await?;
            return Ok(None);
        }
        Ok(Some(Write { item, target: Some(mapping.child_id), body, extra }))
    }
}

fn conflict(text: &str) -> ApiError {
    HandlerError::GiveUp(format!("conflict: {text}")).into()
}

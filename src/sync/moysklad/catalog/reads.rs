//! What a run reads: entities of main, lists of either account, and which of them are mapped.

use super::drain::{AT_ONCE, Drain};
use super::routes::{path, path_of, routes};
use crate::queue::HandlerError;
use crate::sync::moysklad::api::{AccountApi, ApiError, id_of_entity};
use crate::sync::moysklad::mappings::{self, Key, Mapping};
use crate::sync::moysklad::settings::EntityKind;
use crate::sync::moysklad::work::broken;
use serde_json::Value;
use std::collections::HashMap;
use uuid::Uuid;

impl Drain<'_> {
    /// These entities of main, as far as it shows them.
    pub(super) async fn read(
        &self,
        kind: EntityKind,
        ids: &[Uuid],
    ) -> Result<HashMap<Uuid, Value>, ApiError> {
        // Also of one: what is gone is then no row, and not a 404, a hundred of which in a minute would stop all that main's token
        // does.
        let mut query = vec![("filter", these(kind, ids)), ("limit", AT_ONCE.to_string())];
        query.extend(expanded(kind));
        let rows = self.rows(&self.main, kind, &query).await?;
        rows.into_iter().map(|row| Ok((id_of_entity(&row)?, row))).collect()
    }

    /// One that main's list does not show and of which nobody said that it was deleted, by itself: a list may be behind, or hide
    /// what is archived.
    pub(super) async fn read_alone(&self, kind: EntityKind, id: Uuid) -> Result<Option<Value>, ApiError> {
        let query: Vec<_> = expanded(kind).into_iter().collect();
        match self.main.get(routes(kind).read, &path_of(kind, id), &query).await {
            Err(ApiError::NotFound(_)) => Ok(None),
            entity => {
                let entity = entity?;
                self.main.check_owner(&entity)?;
                Ok(Some(entity))
            }
        }
    }

    /// Whether an account has this entity.
    pub(super) async fn has(&self, api: &AccountApi, kind: EntityKind, id: Uuid) -> Result<bool, ApiError> {
        if kind != EntityKind::Productfolder {
            let query = [("filter", these(kind, &[id])), ("limit", "1".to_owned())];
            return Ok(!self.rows(api, kind, &query).await?.is_empty());
        }
        // Whether lists show archived folders is not documented.
        match api.get(routes(kind).read, &path_of(kind, id), &[]).await {
            Err(ApiError::NotFound(_)) => Ok(false),
            there => there.map(|_| true),
        }
    }

    /// The rows of a list.
    pub(super) async fn rows(
        &self,
        api: &AccountApi,
        kind: EntityKind,
        query: &[(&'static str, String)],
    ) -> Result<Vec<Value>, ApiError> {
        let route = routes(kind).list;
        match api.get(route, &path(kind), query).await?["rows"].take() {
            Value::Array(rows) => {
                rows.first().map_or(Ok(()), |row| api.check_owner(row))?;
                Ok(rows)
            }
            _ => Err(HandlerError::Retry(format!("moysklad: {route} gave no rows")).into()),
        }
    }

    pub(super) async fn mappings(
        &self,
        kind: EntityKind,
        ids: &[Uuid],
    ) -> Result<HashMap<Uuid, Mapping>, ApiError> {
        let (main, child) = (self.pair.main_id(), self.pair.child_id());
        let mut conn = self.cx.conn().await?;
        mappings::find_many(&mut conn, main, child, kind.keyword(), ids).await.map_err(broken)
    }

    pub(super) fn key(&self, kind: EntityKind, main_id: Uuid) -> Key {
        Key {
            main_account: self.pair.main_id(),
            child_account: self.pair.child_id(),
            entity_type: kind.keyword(),
            main_id,
        }
    }

    /// Reads and writes of this run.
    pub(super) fn calls(&self) -> (u32, u32) {
        let ((r1, w1), (r2, w2)) = (self.main.counts(), self.child.counts());
        (r1 + r2, w1 + w2)
    }
}

/// The filter of these ids, archived or not.
fn these(kind: EntityKind, ids: &[Uuid]) -> String {
    let mut filter: Vec<String> = ids.iter().map(|id| format!("id={id}")).collect();
    if kind != EntityKind::Productfolder {
        // Whether archived ones are hidden from a list of ids is not certain.
        filter.extend(["archived=true".to_owned(), "archived=false".to_owned()]);
    }
    filter.join(";")
}

/// What is read with an entity.
fn expanded(kind: EntityKind) -> Option<(&'static str, String)> {
    match kind {
        EntityKind::Variant => Some(("expand", "product".to_owned())),
        EntityKind::Bundle => Some(("expand", "components".to_owned())),
        _ => None,
    }
}

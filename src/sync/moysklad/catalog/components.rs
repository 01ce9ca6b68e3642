//! Components of a bundle. Whether a write merges them into those that are there or replaces all of them is not certain
//! (facts/moysklad.md 5.3), so what is written is right in either case.

use super::drain::Drain;
use super::routes::{path_of, routes};
use crate::sync::moysklad::api::{ApiError, id_of, id_of_entity};
use crate::sync::moysklad::compare::is_same_number;
use crate::sync::moysklad::product::{elements, reference};
use crate::sync::moysklad::settings::EntityKind;
use serde_json::{Value, json};
use uuid::Uuid;

impl Drain<'_> {
    /// Gives components that are there already their ids, so that they are changed and not added once more, and leaves
    /// them out of the body if all are as they should be; gives those that are too many.
    pub(super) async fn fit_components(&self, bundle: Uuid, body: &mut Value) -> Result<Vec<Uuid>, ApiError> {
        let Some(wanted) = body.get_mut("components").and_then(Value::as_array_mut) else {
            return Ok(Vec::new());
        };
        let mut there = match self.components(bundle).await {
            // The write finds that out, too.
            Err(ApiError::NotFound(_)) => return Ok(Vec::new()),
            there => there?,
        };
        let mut same = 0;
        for part in wanted.iter_mut() {
            let assortment = part.get("assortment").and_then(id_of);
            let is_it = |row: &Value| row.get("assortment").and_then(id_of) == assortment;
            if let Some(position) = there.iter().position(is_it) {
                let row = there.swap_remove(position);
                same += usize::from(is_same_number(&row["quantity"], &part["quantity"]));
                part["id"] = row["id"].clone();
            }
        }
        if same == wanted.len()
            && there.is_empty()
            && let Some(body) = body.as_object_mut()
        {
            body.remove("components");
        }
        there.iter().map(id_of_entity).collect()
    }

    /// Drops those that main's bundle no longer has, as far as the write has not.
    pub(super) async fn drop_components(&self, bundle: Uuid, extra: &[Uuid]) -> Result<(), ApiError> {
        if extra.is_empty() {
            return Ok(());
        }
        let mut left = Vec::new();
        for row in self.components(bundle).await? {
            left.extend(Some(id_of_entity(&row)?).filter(|id| extra.contains(id)));
        }
        if left.is_empty() {
            return Ok(());
        }
        let base = format!("entity/bundle/{bundle}/components");
        let metas: Vec<Value> =
            left.iter().map(|id| reference(self.child.base(), &base, "bundlecomponent", *id)).collect();
        let route = "POST /entity/bundle/{id}/components/delete";
        let path = format!("{}/components/delete", path_of(EntityKind::Bundle, bundle));
        self.child.create(route, &path, &json!(metas)).await?;
        Ok(())
    }

    /// Writes the rest of a bundle whose components are locked.
    pub(super) async fn without_components(&self, bundle: Uuid, mut body: Value) -> Result<(), ApiError> {
        let kind = EntityKind::Bundle;
        let rest = body.as_object_mut().and_then(|body| {
            body.remove("components")?;
            (!body.is_empty()).then_some(())
        });
        if rest.is_some() {
            self.child.update(routes(kind).update, &path_of(kind, bundle), &body).await?;
        }
        Ok(())
    }

    async fn components(&self, bundle: Uuid) -> Result<Vec<Value>, ApiError> {
        let path = format!("{}/components", path_of(EntityKind::Bundle, bundle));
        let reply = self.child.get("GET /entity/bundle/{id}/components", &path, &[]).await?;
        Ok(elements(reply.get("rows")).cloned().collect())
    }
}

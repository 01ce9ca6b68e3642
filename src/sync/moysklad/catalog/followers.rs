//! Variants that have to be looked at because their product is new in the child or has other prices: no webhook tells
//! of them then.

use super::changes;
use super::dependencies::parent_of;
use super::drain::{Drain, Item};
use crate::sync::moysklad::api::{ApiError, id_of_entity};
use crate::sync::moysklad::mappings;
use crate::sync::moysklad::settings::EntityKind;
use crate::sync::moysklad::work::broken;
use std::collections::HashMap;
use uuid::Uuid;

/// What a variant shows of its product where it has none of its own. That main's variant has its own, equal by chance,
/// shows only when its product's change; and where the child's variant has its own, it must be told.
const PRICES: [&str; 3] = ["salePrices", "buyPrice", "minPrice"];
/// Rows of one list.
const PAGE: usize = 1000;

impl Drain<'_> {
    /// Notes main's variants of those products that are new to the child or whose prices differ from what was written.
    pub(super) async fn call_variants(
        &mut self,
        products: impl Iterator<Item = &Item>,
    ) -> Result<(), ApiError> {
        if !self.settings.entities.contains(&EntityKind::Variant) {
            return Ok(());
        }
        // By product, whether it is new in the child.
        let mut called: HashMap<Uuid, bool> = products
            .filter(|item| has_variants(item))
            .map(|item| (item.change.main_id, item.mapping.is_none()))
            .collect();
        // Made anew in this very run, after its price was told of, it calls them once more.
        called.retain(|id, is_new| self.called.insert((*id, *is_new)));
        if called.is_empty() {
            return Ok(());
        }
        let mut conditions: Vec<String> = called.keys().map(|id| format!("productid={id}")).collect();
        conditions.extend(["archived=true".to_owned(), "archived=false".to_owned()]);
        let filter = conditions.join(";");
        let (main, child, kind) = (self.pair.main_id(), self.pair.child_id(), EntityKind::Variant);
        let mut offset = 0;
        loop {
            let query =
                [("filter", filter.clone()), ("limit", PAGE.to_string()), ("offset", offset.to_string())];
            let rows = self.rows(&self.main, kind, &query).await?;
            let (mut variants, mut of_new) = (Vec::new(), Vec::new());
            for row in &rows {
                let id = id_of_entity(row)?;
                variants.push(id);
                if parent_of(row).is_some_and(|product| called.get(&product) == Some(&true)) {
                    of_new.push(id);
                }
            }
            let mut conn = self.cx.conn().await?;
            // Those of an earlier counterpart of the product are gone with it.
            mappings::remove_many(&mut conn, main, child, kind.keyword(), &of_new).await.map_err(broken)?;
            changes::follow(&mut conn, main, child, kind, &variants, &PRICES).await.map_err(broken)?;
            if rows.len() < PAGE {
                return Ok(());
            }
            offset += rows.len();
        }
    }
}

/// Whether the product has variants, as far as main says, that concerns what becomes of it now.
fn has_variants(item: &Item) -> bool {
    if item.entity["variantsCount"] == 0 {
        return false;
    }
    let written = item.mapping.as_ref().and_then(|mapping| mapping.written_fields.as_ref());
    let Some(written) = written else { return !item.projection.is_archived() };
    let changes = item.projection.changes(written);
    PRICES.iter().any(|name| changes.get(*name).is_some())
}

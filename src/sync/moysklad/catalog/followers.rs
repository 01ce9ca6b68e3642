//! Variants that have to be looked at because their product is new in the child or has other prices: no webhook tells
//! of them then.

use super::changes;
use super::drain::{Drain, Item};
use super::routes::{path, routes};
use crate::sync::moysklad::api::{ApiError, id_of};
use crate::sync::moysklad::mappings;
use crate::sync::moysklad::settings::EntityKind;
use crate::sync::moysklad::work::broken;
use serde::Deserialize;
use serde_json::Value;
use std::collections::HashMap;
use uuid::Uuid;

/// What a variant shows of its product where it has none of its own. That main's variant has its own, equal by chance,
/// shows only when its product's change; and where the child's variant has its own, it must be told.
const PRICES: [&str; 3] = ["salePrices", "buyPrice", "minPrice"];
/// Rows of one list.
const PAGE: usize = 1000;

/// Of a list of variants, what is needed here: a page of a thousand is megabytes.
#[derive(Deserialize)]
struct List {
    rows: Vec<Variant>,
}

#[derive(Deserialize)]
struct Variant {
    id: Uuid,
    product: Option<Value>,
}

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
        let (mut offset, mut limit) = (0, PAGE);
        loop {
            let query = [("filter", filter.clone()), ("offset", offset.to_string())];
            let list: List = self.main.list_as(routes(kind).list, &path(kind), &query, &mut limit).await?;
            let is_new = |variant: &&Variant| {
                let product = variant.product.as_ref().and_then(id_of);
                product.is_some_and(|product| called.get(&product) == Some(&true))
            };
            let variants: Vec<Uuid> = list.rows.iter().map(|variant| variant.id).collect();
            let of_new: Vec<Uuid> = list.rows.iter().filter(is_new).map(|variant| variant.id).collect();
            let mut conn = self.cx.conn().await?;
            // Those of an earlier counterpart of the product are gone with it.
            mappings::remove_many(&mut conn, main, child, kind.keyword(), &of_new).await.map_err(broken)?;
            changes::follow(&mut conn, main, child, kind, &variants, &PRICES).await.map_err(broken)?;
            if variants.len() < limit {
                return Ok(());
            }
            offset += variants.len();
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

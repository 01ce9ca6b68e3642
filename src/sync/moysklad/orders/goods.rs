//! What a child's lines sell, in main's words: goods by their mappings, packages by their unit and content.

use super::super::api::{AccountApi, ApiError, id_of};
use super::super::catalog::{self, News};
use super::super::metadata::{FRESH, Metadata};
use super::super::reconcile;
use super::super::settings::EntityKind;
use super::super::work::{Work, broken};
use super::amounts::decimal;
use super::lines::{self, Item, Words};
use super::store::{self, Source};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;
use uuid::Uuid;

/// Looks up what these lines sell.
pub(super) async fn words(
    cx: &Work,
    source: Source,
    main: &AccountApi,
    child: &AccountApi,
    positions: &[Value],
) -> Result<Words, ApiError> {
    let sold: Vec<(Item, Option<Uuid>)> = positions.iter().filter_map(lines::item).collect();
    let items: BTreeSet<Item> = sold.iter().map(|(item, _)| item.clone()).collect();
    let items = store::counterparts(&mut *cx.conn().await?, source, &items).await.map_err(broken)?;
    let mut wanted: BTreeMap<&Item, BTreeSet<Uuid>> = BTreeMap::new();
    for (item, pack) in &sold {
        if let (Some(pack), true) = (pack, items.contains_key(item)) {
            wanted.entry(item).or_default().insert(*pack);
        }
    }
    let shown: Vec<&Value> = positions.iter().filter_map(|position| position.get("pack")).collect();
    let mut packs = BTreeMap::new();
    if !wanted.is_empty() {
        let (metadata, ours) =
            tokio::try_join!(cx.metadata.younger_than(FRESH, child), cx.metadata.younger_than(FRESH, main))?;
        for (item, wanted) in wanted {
            let (mut theirs, ours) = tokio::try_join!(
                packages(child, &item.0, item.1, &metadata),
                packages(main, &item.0, items[item], &ours)
            )?;
            // A line keeps its package when the product has it no more, or by another id.
            theirs.extend(shown.iter().filter_map(|pack| package(pack, &metadata)));
            for pack in wanted {
                if let Some(found) = same(&theirs, &ours, pack) {
                    packs.insert((item.clone(), pack), found);
                }
            }
        }
    }
    Ok(Words { items, packs })
}

/// Those that main has no more, whatever was told of it: the child's catalogue is told now.
pub(super) async fn gone(
    cx: &Work,
    source: Source,
    main: &AccountApi,
    items: &BTreeMap<Item, Uuid>,
) -> Result<BTreeSet<Item>, ApiError> {
    let mut by_kind: BTreeMap<&str, Vec<Uuid>> = BTreeMap::new();
    for ((kind, _), id) in items {
        by_kind.entry(kind).or_default().push(*id);
    }
    let mut gone = BTreeSet::new();
    for (kind, ids) in by_kind {
        let there = reconcile::there(main, kind, &ids).await?;
        let main_ids: Vec<Uuid> = ids.into_iter().filter(|id| !there.contains(id)).collect();
        let (Some(kind), false) = (EntityKind::parse(kind), main_ids.is_empty()) else { continue };
        let news = News {
            main: source.main_account,
            children: &[source.child_account],
            kind,
            main_ids: &main_ids,
            // Nobody said that they were deleted: should main show much less at once, they stay.
            operation: "follow",
            updated_fields: None,
            event: None,
            delay: Duration::ZERO,
        };
        let attempts = cx.settings.worker.max_attempts;
        catalog::enqueue(&mut *cx.conn().await?, &news, attempts).await.map_err(broken)?;
        let is_gone = |(item, id): (&Item, &Uuid)| main_ids.contains(id).then(|| item.clone());
        gone.extend(items.iter().filter_map(is_gone));
    }
    Ok(gone)
}

/// A package: id, and what is the same in every account (code or name of its unit, how much it holds).
type Package = (Uuid, (String, String));

fn same(theirs: &[Package], ours: &[Package], pack: Uuid) -> Option<Uuid> {
    let (_, wanted) = theirs.iter().find(|package| package.0 == pack)?;
    ours.iter().find(|package| package.1 == *wanted).map(|package| package.0)
}

/// Packages of an item; a variant's have ids of their own and are otherwise its product's.
async fn packages(
    api: &AccountApi,
    kind: &str,
    id: Uuid,
    metadata: &Metadata,
) -> Result<Vec<Package>, ApiError> {
    let entity = api.get("GET /entity/{type}/{id}", &format!("/entity/{kind}/{id}"), &[]).await?;
    if kind != "variant" {
        return Ok(read(&entity, metadata));
    }
    let Some(product) = id_of(&entity["product"]) else { return Ok(Vec::new()) };
    let product = api.get("GET /entity/product/{id}", &format!("/entity/product/{product}"), &[]).await?;
    Ok(of_variant(&entity, read(&product, metadata)))
}

fn read(product: &Value, metadata: &Metadata) -> Vec<Package> {
    product["packs"].as_array().into_iter().flatten().filter_map(|pack| package(pack, metadata)).collect()
}

fn package(pack: &Value, metadata: &Metadata) -> Option<Package> {
    let unit = metadata.uom_name(&pack["uom"])?;
    let unit = unit.code.unwrap_or(unit.name);
    let content = decimal(&pack["quantity"])?.normalize().to_string();
    Some((uuid(&pack["id"])?, (unit, content)))
}

/// The variant's own packages before its product's.
fn of_variant(variant: &Value, products: Vec<Package>) -> Vec<Package> {
    let own = |pack: &Value| {
        let parent = uuid(&pack["parentpack"]["id"]).or_else(|| id_of(&pack["parentpack"]))?;
        let (_, content) = products.iter().find(|package| package.0 == parent)?;
        Some((uuid(&pack["id"])?, content.clone()))
    };
    let mut packages: Vec<Package> =
        variant["packs"].as_array().into_iter().flatten().filter_map(own).collect();
    packages.extend(products);
    packages
}

fn uuid(value: &Value) -> Option<Uuid> {
    value.as_str()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_is_known_by_unit_and_content() {
        let pack =
            |id: u128, unit: &str, holds: &str| (Uuid::from_u128(id), (unit.to_owned(), holds.to_owned()));
        let theirs = [pack(1, "778", "6"), pack(2, "778", "12"), pack(3, "112", "5")];
        let ours = [pack(11, "778", "12"), pack(12, "778", "6")];
        let found = |id: u128| same(&theirs, &ours, Uuid::from_u128(id));
        assert_eq!(found(1), Some(Uuid::from_u128(12)));
        assert_eq!(found(2), Some(Uuid::from_u128(11)));
        assert_eq!(found(3), None);
        assert_eq!(found(4), None);
    }

    #[test]
    fn a_variant_has_packages_of_its_own_that_hold_what_its_products_do() {
        let six = ("778".to_owned(), "6".to_owned());
        let product = vec![(Uuid::from_u128(1), six.clone())];
        let variant = serde_json::json!({"packs": [
            {"id": Uuid::from_u128(2), "parentpack": {"id": Uuid::from_u128(1)}},
            {"id": Uuid::from_u128(3), "parentpack": {"id": Uuid::from_u128(9)}},
        ]});
        let packages = of_variant(&variant, product.clone());
        assert_eq!(packages, [(Uuid::from_u128(2), six), product[0].clone()]);
    }
}

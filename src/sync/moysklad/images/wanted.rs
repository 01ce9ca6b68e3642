//! Whether an event may be about images: to look at every price change would be for nothing.

use crate::sync::moysklad::metadata::Metadata;
use crate::sync::moysklad::settings::EntityKind;
use serde_json::Value;

/// Fields of goods that are not their images.
const OTHERS: [&str; 48] = [
    "alcoholic",
    "archived",
    "article",
    "attributes",
    "barcodes",
    "buyPrice",
    "characteristics",
    "code",
    "components",
    "country",
    "description",
    "discountProhibited",
    "effectiveVat",
    "effectiveVatEnabled",
    "externalCode",
    "files",
    "group",
    "isSerialTrackable",
    "minimumBalance",
    "minimumStock",
    "minPrice",
    "name",
    "onTap",
    "overhead",
    "owner",
    "packs",
    "partialDisposal",
    "pathName",
    "paymentItemType",
    "ppeType",
    "product",
    "productFolder",
    "salePrices",
    "shared",
    "supplier",
    "syncId",
    "taxSystem",
    "things",
    "tnved",
    "trackingType",
    "uom",
    "useParentVat",
    "variants",
    "vat",
    "vatEnabled",
    "volume",
    "weighed",
    "weight",
];

/// Whether entities of this type have images.
pub(in crate::sync::moysklad) fn has_images(kind: EntityKind) -> bool {
    matches!(kind, EntityKind::Product | EntityKind::Variant | EntityKind::Bundle)
}

/// Whether these names may hold that of the images, which is `images` by the API's own words. Attributes and price types
/// come under names that people gave them; a name that nobody knows, and no names at all, may mean them.
pub(in crate::sync::moysklad) fn may_differ(names: Option<&[String]>, main: &Metadata) -> bool {
    let Some(names) = names.filter(|names| !names.is_empty()) else { return true };
    let other = |name: &str| {
        let images = matches!(name, "images" | "image");
        !images && (OTHERS.contains(&name) || main.is_price_type(name) || main.is_attribute(name))
    };
    !names.iter().all(|name| other(name))
}

/// Whether main shows that this entity has none.
pub(in crate::sync::moysklad) fn has_none(entity: &Value) -> bool {
    entity["images"]["meta"]["size"].as_u64() == Some(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::moysklad::metadata::tests::account;
    use serde_json::json;

    #[test]
    fn names_tell_whether_images_may_differ() {
        let main = account(1, &["Franchise Moscow"], &["RUB"]);
        let look = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            may_differ(Some(&names), &main)
        };
        for names in [&["images"][..], &["name", "images"], &["image"], &["Изображения"], &[]] {
            assert!(look(names), "{names:?}");
        }
        for names in [&["salePrices", "Franchise Moscow"][..], &["productFolder", "weight"], &["packs"]] {
            assert!(!look(names), "{names:?}");
        }
        assert!(may_differ(None, &main));
    }

    #[test]
    fn only_a_size_of_nothing_says_that_there_are_none() {
        assert!(has_none(&json!({"images": {"meta": {"size": 0}}})));
        for entity in [json!({}), json!({"images": {}}), json!({"images": {"meta": {"size": 2}}})] {
            assert!(!has_none(&entity), "{entity}");
        }
    }
}

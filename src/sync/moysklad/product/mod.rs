//! An entity of main's catalogue, said in the words of a child: only what can mean the same there crosses over.
//!
//! Ids are an account's own. Prices cross by the name of their type and the ISO code of their currency, units and
//! countries by their code, attributes by name and type. Numbers cross as they are written: no float touches a price.

mod attributes;
mod cleared;
mod diff;
mod prices;
mod texts;
mod units;

pub(super) use diff::{fields_of, no_barcodes};

use super::metadata::Metadata;
use super::settings::{CatalogSettings, EntityKind};
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// Plain fields that cross as they are, where main shows them.
const PLAIN: [&str; 9] = [
    "discountProhibited",
    "isSerialTrackable",
    "onTap",
    "partialDisposal",
    "paymentItemType",
    "ppeType",
    "tnved",
    "trackingType",
    "weighed",
];

/// The two accounts' words, and what the child wants.
#[derive(Clone, Copy)]
pub(super) struct Terms<'a> {
    pub(super) main: &'a Metadata,
    pub(super) child: &'a Metadata,
    /// Prefix of every href.
    pub(super) base: &'a str,
    pub(super) settings: &'a CatalogSettings,
}

/// What a child shall hold of one entity.
#[derive(Debug, Clone)]
pub(super) struct Projection {
    fields: Map<String, Value>,
    /// Fields of a create alone.
    create_only: Map<String, Value>,
    /// Prices that a variant has from its product: a child's variant without its own shows them by itself.
    inherited: Map<String, Value>,
    /// What could not cross over, for the outcome.
    skipped: Vec<String>,
}

/// Says `entity` of main in the words of the child.
pub(super) fn project(kind: EntityKind, entity: &Value, terms: Terms<'_>) -> Projection {
    let mut projection = Projection::nothing();
    projection.texts(kind, entity);
    if kind != EntityKind::Variant {
        projection.vat(entity, terms.settings);
    }
    if kind == EntityKind::Productfolder {
        return projection;
    }
    projection.set("archived", entity.get("archived").and_then(Value::as_bool).unwrap_or(false).into());
    projection.set("barcodes", entity.get("barcodes").cloned().unwrap_or_else(|| json!([])));
    projection.prices(kind, entity, terms);
    if kind == EntityKind::Variant {
        projection.inherit(&entity["product"], terms);
        return projection;
    }
    if kind != EntityKind::Service {
        for name in ["weight", "volume"] {
            // Unset is not shown, and zero is what unset means.
            projection.set(name, entity.get(name).cloned().unwrap_or_else(|| 0.into()));
        }
    }
    for name in PLAIN {
        if let Some(value) = entity.get(name).filter(|value| !value.is_object() && !value.is_array()) {
            projection.set(name, value.clone());
        }
    }
    projection.uom(entity, terms);
    if kind == EntityKind::Product {
        projection.packs(entity, terms);
    }
    if kind != EntityKind::Service {
        projection.country(entity, terms);
    }
    projection.attributes(entity, terms);
    projection
}

impl Projection {
    fn nothing() -> Self {
        Self { fields: Map::new(), create_only: Map::new(), inherited: Map::new(), skipped: Vec::new() }
    }

    /// Adds a field.
    pub(super) fn set(&mut self, name: &str, value: Value) {
        self.fields.insert(name.to_owned(), value);
    }

    /// Adds a field of a create alone.
    pub(super) fn set_on_create(&mut self, name: &str, value: Value) {
        self.create_only.insert(name.to_owned(), value);
    }

    pub(super) fn field(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    /// A field of a create alone.
    pub(super) fn created(&self, name: &str) -> Option<&Value> {
        self.create_only.get(name)
    }

    /// Says that something could not cross over.
    pub(super) fn skip(&mut self, what: impl Into<String>) {
        self.skipped.push(what.into());
    }

    pub(super) fn skipped(&self) -> &[String] {
        &self.skipped
    }

    pub(super) fn is_archived(&self) -> bool {
        self.fields.get("archived") == Some(&Value::Bool(true))
    }

    /// Whether all of it could cross over.
    pub(super) fn is_complete(&self) -> bool {
        self.skipped.is_empty()
    }

    /// `updated` or, say, `updated; skipped: unit`.
    pub(super) fn outcome(&self, done: &str) -> String {
        if self.is_complete() {
            done.to_owned()
        } else {
            format!("{done}; skipped: {}", self.skipped.join(", "))
        }
    }
}

/// The elements of a list, none of what is none.
pub(super) fn elements(list: Option<&Value>) -> impl Iterator<Item = &Value> {
    list.and_then(Value::as_array).into_iter().flatten()
}

/// How a body refers to something.
pub(super) fn reference(base: &str, path: &str, kind: &str, id: Uuid) -> Value {
    json!({"meta": {"href": format!("{base}/{path}/{id}"), "type": kind, "mediaType": "application/json"}})
}

#[cfg(test)]
mod tests {
    use super::super::api::id_of;
    use super::super::metadata::tests::account;
    use super::*;

    pub(super) const BASE: &str = "https://api.moysklad.ru/api/remap/1.2";

    pub(super) fn href(id: u128) -> Value {
        json!({"meta": {"href": format!("{BASE}/x/{}", Uuid::from_u128(id))}})
    }

    /// In main (seed 1): price types Retail and Wholesale, roubles and dollars, pieces.
    pub(super) fn product() -> Value {
        serde_json::from_str(&format!(
            r#"{{"id": "{}", "name": "Kettle", "article": "K-1", "externalCode": "xyz", "archived": false,
                "vat": 20, "vatEnabled": true, "useParentVat": false, "weight": 1.5,
                "barcodes": [{{"ean13": "2000000000015"}}], "uom": {}, "owner": {{"meta": {{"href": "secret"}}}},
                "salePrices": [
                    {{"value": 346347237000.0, "currency": {}, "priceType": {}}},
                    {{"value": 99.99999999999999999, "currency": {}, "priceType": {}}}],
                "buyPrice": {{"value": 5.0, "currency": {}}}}}"#,
            Uuid::from_u128(9),
            href(1200),
            href(1100),
            href(1000),
            href(1100),
            href(1001),
            href(1101),
        ))
        .unwrap()
    }

    pub(super) fn project(product: &Value, main: &Metadata, child: &Metadata, base: &str) -> Projection {
        let settings = CatalogSettings::default();
        super::project(EntityKind::Product, product, Terms { main, child, base, settings: &settings })
    }

    pub(super) fn projected(product: &Value) -> Projection {
        let main = account(1, &["Retail", "Wholesale"], &["RUB", "USD"]);
        project(product, &main, &account(2, &["Wholesale", "Retail"], &["RUB"]), BASE)
    }

    #[test]
    fn only_ids_of_the_child_and_exact_numbers_cross_over() {
        let body = projected(&product()).update(None);
        assert_eq!(id_of(&body["salePrices"][0]["priceType"]), Some(Uuid::from_u128(2001)));
        assert_eq!(id_of(&body["salePrices"][1]["priceType"]), Some(Uuid::from_u128(2000)));
        assert_eq!(id_of(&body["salePrices"][0]["currency"]), Some(Uuid::from_u128(2100)));
        assert_eq!(id_of(&body["uom"]), Some(Uuid::from_u128(2200)));
        let text = body.to_string();
        assert!(text.contains("346347237000.0") && text.contains("99.99999999999999999"), "{text}");
        assert!(!text.contains("secret") && !text.contains(&Uuid::from_u128(9).to_string()), "{text}");
        assert!(!text.contains("-0000000003e") && !text.contains("-0000000004"), "an id of main: {text}");
    }
}

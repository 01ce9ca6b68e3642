//! A product of main, said in the words of a child: only what can mean the same there crosses over.
//!
//! Ids are an account's own. Prices cross by the name of their type and the ISO code of their currency, units by
//! their code. Numbers cross as they are written: no float touches a price.

use super::compare::{holds, is_zero};
use super::metadata::Metadata;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

/// What a child shall hold of one product.
#[derive(Debug, Clone)]
pub(super) struct Projection {
    fields: Map<String, Value>,
    /// What could not cross over, for the outcome.
    skipped: Vec<String>,
}

/// Says `product` of the account `main` in the words of `child`; `base` is the prefix of every href.
pub(super) fn project(product: &Value, main: &Metadata, child: &Metadata, base: &str) -> Projection {
    let mut projection = Projection { fields: Map::new(), skipped: Vec::new() };
    projection.texts(product);
    projection.vat(product);
    for name in ["weight", "volume"] {
        // Unset is not shown, and zero is what unset means.
        projection.set(name, product.get(name).cloned().unwrap_or_else(|| 0.into()));
    }
    projection.set("archived", product.get("archived").and_then(Value::as_bool).unwrap_or(false).into());
    let barcodes = product.get("barcodes").cloned().unwrap_or_else(|| json!([]));
    projection.set("barcodes", barcodes);
    projection.uom(product, main, child, base);
    projection.prices(product, main, child, base);
    projection
}

impl Projection {
    fn set(&mut self, name: &str, value: Value) {
        self.fields.insert(name.to_owned(), value);
    }

    fn texts(&mut self, product: &Value) {
        for name in ["name", "article", "description", "externalCode"] {
            // What is not shown is empty, and an empty text clears the child's.
            let text = product.get(name).and_then(Value::as_str).unwrap_or_default();
            self.set(name, text.into());
        }
        // Never cleared: a child may be set to fill it in by itself.
        if let Some(code) = product.get("code").and_then(Value::as_str) {
            self.set("code", code.into());
        }
    }

    /// A rate without `vatEnabled` (or the other way round) is refused (16010), so they go together.
    fn vat(&mut self, product: &Value) {
        let flag = |name| product.get(name).and_then(Value::as_bool).unwrap_or(false);
        self.set("useParentVat", flag("useParentVat").into());
        if !flag("useParentVat") {
            self.set("vatEnabled", flag("vatEnabled").into());
            self.set("vat", product.get("vat").cloned().unwrap_or_else(|| 0.into()));
        }
    }

    fn uom(&mut self, product: &Value, main: &Metadata, child: &Metadata, base: &str) {
        let Some(uom) = product.get("uom") else {
            self.set("uom", Value::Null);
            return;
        };
        match main.uom_code(uom).and_then(|code| child.uom(code)) {
            Some(id) => self.set("uom", reference(base, "entity/uom", "uom", id)),
            None => self.skipped.push("unit".to_owned()),
        }
    }

    fn prices(&mut self, product: &Value, main: &Metadata, child: &Metadata, base: &str) {
        let mut sale_prices = Vec::new();
        let mut without_type = 0;
        for price in product.get("salePrices").and_then(Value::as_array).into_iter().flatten() {
            let price_type = price.get("priceType").and_then(|price_type| main.price_type_name(price_type));
            let Some(price_type) = price_type.and_then(|name| child.price_type(name)) else {
                // Nothing is what main shows for every type without a price.
                without_type += usize::from(!is_zero(&price["value"]));
                continue;
            };
            if let Some(mut money) = self.money("sale price", price, main, child, base) {
                let path = "context/companysettings/pricetype";
                money.insert("priceType".to_owned(), reference(base, path, "pricetype", price_type));
                sale_prices.push(Value::Object(money));
            }
        }
        match without_type {
            0 => {}
            1 => self.skipped.push("1 sale price of a type that the child lacks".to_owned()),
            n => self.skipped.push(format!("{n} sale prices of types that the child lacks")),
        }
        self.set("salePrices", sale_prices.into());
        for (name, what) in [("buyPrice", "buy price"), ("minPrice", "minimum price")] {
            if let Some(price) = product.get(name)
                && let Some(money) = self.money(what, price, main, child, base)
            {
                self.set(name, Value::Object(money));
            }
        }
    }

    /// The amount as it is written, in the child's currency of the same ISO code: in another currency it would be
    /// another price, unless it is nothing.
    fn money(
        &mut self,
        what: &str,
        price: &Value,
        main: &Metadata,
        child: &Metadata,
        base: &str,
    ) -> Option<Map<String, Value>> {
        let value = &price["value"];
        // Neither account tells its currency and the price names none: it is in each account's own.
        if price.get("currency").is_none()
            && main.own_currency().or(child.own_currency()).is_none()
            && value.is_number()
        {
            return Some(Map::from_iter([("value".to_owned(), value.clone())]));
        }
        let iso_code = main.iso_code(price.get("currency")).unwrap_or("an unknown currency");
        let currency = child.currency(iso_code).or_else(|| child.own_currency().filter(|_| is_zero(value)));
        let Some(currency) = currency.filter(|_| value.is_number()) else {
            self.skipped.push(format!("{what} in {iso_code}"));
            return None;
        };
        let mut money = Map::new();
        money.insert("value".to_owned(), value.clone());
        money.insert("currency".to_owned(), reference(base, "entity/currency", "currency", currency));
        Some(money)
    }

    /// Text by which a child's own product is recognised.
    pub(super) fn external_code(&self) -> &str {
        self.fields.get("externalCode").and_then(Value::as_str).unwrap_or_default()
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

    /// Tells two projections apart.
    pub(super) fn hash(&self) -> Vec<u8> {
        Sha256::digest(Value::Object(self.fields.clone()).to_string()).to_vec()
    }

    /// Body of the write that makes an existing product so.
    pub(super) fn update(&self) -> Value {
        Value::Object(self.fields.clone())
    }

    /// Body of the write that makes a new product so. What is empty is left out, for the child to fill in where it
    /// is set to.
    pub(super) fn create(&self, sync_id: Uuid) -> Value {
        let mut fields = self.created_fields();
        fields.insert("syncId".to_owned(), sync_id.to_string().into());
        Value::Object(fields)
    }

    fn created_fields(&self) -> Map<String, Value> {
        let empty = |value: &Value| match value {
            Value::Null | Value::Bool(false) => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            _ => false,
        };
        let is_flag = |name: &str| name == "vatEnabled" || name == "useParentVat";
        self.fields
            .iter()
            .filter(|(name, value)| is_flag(name) || !empty(value))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// Whether the child's product is so already.
    pub(super) fn is_held_by(&self, product: &Value) -> bool {
        holds(&self.fields, product)
    }

    /// Whether a product that answered a create is the one that was asked for, and not an older one of the same
    /// `syncId`. What the child may fill in is not compared.
    pub(super) fn was_created_as(&self, product: &Value) -> bool {
        holds(&self.created_fields(), product)
    }
}

fn reference(base: &str, path: &str, kind: &str, id: Uuid) -> Value {
    json!({"meta": {"href": format!("{base}/{path}/{id}"), "type": kind, "mediaType": "application/json"}})
}

#[cfg(test)]
mod tests {
    use super::super::api::id_of;
    use super::super::metadata::tests::account;
    use super::*;

    const BASE: &str = "https://api.moysklad.ru/api/remap/1.2";

    fn href(id: u128) -> Value {
        json!({"meta": {"href": format!("{BASE}/x/{}", Uuid::from_u128(id))}})
    }

    /// In main (seed 1): price types Retail and Wholesale, roubles and dollars, pieces.
    fn product() -> Value {
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

    fn projected(product: &Value) -> Projection {
        let main = account(1, &["Retail", "Wholesale"], &["RUB", "USD"]);
        project(product, &main, &account(2, &["Wholesale", "Retail"], &["RUB"]), BASE)
    }

    #[test]
    fn only_ids_of_the_child_and_exact_numbers_cross_over() {
        let body = projected(&product()).update();
        assert_eq!(id_of(&body["salePrices"][0]["priceType"]), Some(Uuid::from_u128(2001)));
        assert_eq!(id_of(&body["salePrices"][1]["priceType"]), Some(Uuid::from_u128(2000)));
        assert_eq!(id_of(&body["salePrices"][0]["currency"]), Some(Uuid::from_u128(2100)));
        assert_eq!(id_of(&body["uom"]), Some(Uuid::from_u128(2200)));
        let text = body.to_string();
        assert!(text.contains("346347237000.0") && text.contains("99.99999999999999999"), "{text}");
        assert!(!text.contains("secret") && !text.contains(&Uuid::from_u128(9).to_string()), "{text}");
        assert!(!text.contains("-0000000003e") && !text.contains("-0000000004"), "an id of main: {text}");
    }

    #[test]
    fn a_price_in_a_currency_that_the_child_lacks_is_skipped_and_said() {
        let projection = projected(&product());
        assert!(projection.update().get("buyPrice").is_none());
        assert_eq!(projection.outcome("updated"), "updated; skipped: buy price in USD");
    }

    #[test]
    fn nothing_is_nothing_in_any_currency_and_of_any_type() {
        let main = account(1, &["Retail", "Staff"], &["RUB"]);
        let zero = |price_type: Value| json!({"value": 0.0, "currency": href(1100), "priceType": price_type});
        let product =
            json!({"salePrices": [zero(href(1000)), zero(href(1001))], "buyPrice": zero(Value::Null)});
        let projection = project(&product, &main, &account(2, &["Retail"], &["KZT"]), BASE);
        assert!(projection.is_complete());
        let body = projection.update();
        assert_eq!(id_of(&body["salePrices"][0]["currency"]), Some(Uuid::from_u128(2100)));
        assert_eq!(body["salePrices"].as_array().unwrap().len(), 1);
        assert_eq!(body["buyPrice"]["value"], json!(0.0));
    }

    #[test]
    fn where_no_currencies_are_shown_a_price_that_names_none_crosses_and_one_that_does_is_skipped() {
        let (main, child) = (account(1, &["Retail"], &[]), account(2, &["Retail"], &[]));
        let bare = json!({"salePrices": [{"value": 5.0, "priceType": href(1000)}],
            "buyPrice": {"value": 5.0, "currency": href(1100)}});
        let projection = project(&bare, &main, &child, BASE);
        let body = projection.update();
        assert_eq!(body["salePrices"][0]["value"], json!(5.0));
        assert!(body["salePrices"][0].get("currency").is_none() && body.get("buyPrice").is_none());
        assert!(projection.outcome("x").contains("buy price in an unknown currency"));
    }

    #[test]
    fn a_price_type_that_the_child_lacks_is_skipped_and_counted() {
        let (main, child) =
            (account(1, &["Retail", "Wholesale"], &["RUB"]), account(2, &["Retail"], &["RUB"]));
        let mut product = product();
        product["buyPrice"] = json!({"value": 0.0, "currency": href(1100)});
        let projection = project(&product, &main, &child, BASE);
        assert_eq!(projection.update()["salePrices"].as_array().unwrap().len(), 1);
        assert_eq!(projection.update()["buyPrice"]["value"], json!(0.0));
        assert!(projection.outcome("x").contains("1 sale price of a type"));
    }

    #[test]
    fn what_main_no_longer_shows_is_cleared_by_an_update_and_left_out_of_a_create() {
        let bare = json!({"id": "x", "name": "Kettle", "externalCode": "xyz"});
        let projection = projected(&bare);
        let update = projection.update();
        assert_eq!(update["article"], "");
        assert_eq!(update["barcodes"], json!([]));
        assert_eq!(update["uom"], Value::Null);
        assert!(update.get("code").is_none(), "a code that the child filled in stays");
        let create = projection.create(Uuid::nil());
        for name in ["article", "barcodes", "uom", "code"] {
            assert!(create.get(name).is_none(), "{name}");
        }
        assert_eq!(create["syncId"], Uuid::nil().to_string());
    }

    #[test]
    fn vat_of_the_folder_comes_without_an_own_rate() {
        let mut product = product();
        product["useParentVat"] = true.into();
        let body = projected(&product).update();
        assert_eq!(body["useParentVat"], true);
        assert!(body.get("vat").is_none() && body.get("vatEnabled").is_none());
    }

    #[test]
    fn the_same_product_is_recognised_however_its_numbers_are_written() {
        let projection = projected(&product());
        let mut held = projection.update();
        held["weight"] = json!(1.50);
        held["salePrices"].as_array_mut().unwrap().reverse();
        held["salePrices"].as_array_mut().unwrap().push(json!({"value": 1.0, "priceType": href(5)}));
        held.as_object_mut().unwrap().remove("description");
        held["code"] = "00001".into();
        assert!(projection.is_held_by(&held));
    }

    #[test]
    fn a_difference_in_any_field_is_seen() {
        let projection = projected(&product());
        let change = |name: &str, value: Value| {
            let mut held = projection.update();
            held[name] = value;
            projection.is_held_by(&held)
        };
        assert!(!change("name", "Pot".into()));
        assert!(!change("archived", true.into()));
        assert!(!change("barcodes", json!([])));
        assert!(!change("weight", json!(1.51)));
        assert!(!change("uom", href(2201)));
        assert!(!change("salePrices", json!([])));
        let mut prices = projection.update()["salePrices"].clone();
        prices[1]["value"] = json!(100.0);
        assert!(!change("salePrices", prices));
    }

    #[test]
    fn a_hash_changes_with_the_content() {
        let mut other = product();
        other["salePrices"][0]["value"] = json!(1);
        assert_ne!(projected(&product()).hash(), projected(&other).hash());
        assert_eq!(projected(&product()).hash(), projected(&product()).hash());
    }

    #[test]
    fn a_create_that_was_answered_with_an_older_product_is_noticed() {
        let projection = projected(&product());
        let mut answer = projection.create(Uuid::nil());
        answer["barcodes"] = json!([{"ean13": "2000000000015"}]);
        assert!(projection.was_created_as(&answer));
        answer["name"] = "Pot".into();
        assert!(!projection.was_created_as(&answer));
    }
}

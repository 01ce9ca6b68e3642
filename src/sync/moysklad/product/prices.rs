//! Prices, by the name of their type and the ISO code of their currency.

use super::{Projection, Terms, elements, reference};
use crate::sync::moysklad::compare::{holds, is_zero};
use crate::sync::moysklad::settings::{CatalogSettings, EntityKind};
use serde_json::{Map, Value};
use uuid::Uuid;

impl Projection {
    pub(super) fn prices(&mut self, kind: EntityKind, entity: &Value, terms: Terms<'_>) {
        let mut sale_prices = Vec::new();
        let mut without_type = 0;
        for price in elements(entity.get("salePrices")) {
            let Some(name) = price.get("priceType").and_then(|one| terms.main.price_type_name(one)) else {
                without_type += usize::from(!is_zero(&price["value"]));
                continue;
            };
            match goes_to(terms.settings, name) {
                // Left out on purpose.
                None => {}
                Some("buyPrice") => self.buy_price(kind, price, terms),
                Some(name) => match terms.child.price_type(name) {
                    // Nothing is what main shows for every type without a price.
                    None => without_type += usize::from(!is_zero(&price["value"])),
                    Some(id) => sale_prices.extend(self.sale_price(price, id, terms)),
                },
            }
        }
        match without_type {
            0 => {}
            1 => self.skip("1 sale price of a type that the child lacks"),
            n => self.skip(format!("{n} sale prices of types that the child lacks")),
        }
        if let Some(price) = entity.get("buyPrice") {
            match goes_to(terms.settings, "buyPrice") {
                None => {}
                Some("buyPrice") => self.buy_price(kind, price, terms),
                Some(name) => match terms.child.price_type(name) {
                    None => self.skip("buy price, which goes to a type that the child lacks"),
                    Some(id) => sale_prices.extend(self.sale_price(price, id, terms)),
                },
            }
        }
        self.set("salePrices", sale_prices.into());
        if let Some(money) =
            entity.get("minPrice").and_then(|price| self.money("minimum price", price, terms))
        {
            self.set("minPrice", Value::Object(money));
        }
        if kind == EntityKind::Bundle
            && let Some(money) = entity.get("overhead").and_then(|price| self.money("overhead", price, terms))
        {
            self.set("overhead", Value::Object(money));
        }
    }

    fn buy_price(&mut self, kind: EntityKind, price: &Value, terms: Terms<'_>) {
        if kind != EntityKind::Bundle
            && let Some(money) = self.money("buy price", price, terms)
        {
            self.set("buyPrice", Value::Object(money));
        }
    }

    fn sale_price(&mut self, price: &Value, price_type: Uuid, terms: Terms<'_>) -> Option<Value> {
        let mut money = self.money("sale price", price, terms)?;
        money.insert("priceType".to_owned(), self::price_type(terms.base, price_type));
        Some(Value::Object(money))
    }

    /// A variant without prices of its own shows its product's (facts/moysklad.md 5.2). Written, they would become its
    /// own, so what it has in common with its product is left to the child's product.
    pub(super) fn inherit(&mut self, product: &Value, terms: Terms<'_>) {
        // Without it nothing can be compared.
        if product.get("salePrices").is_none() {
            return;
        }
        let mut theirs = Self::nothing();
        theirs.prices(EntityKind::Product, product, terms);
        let theirs = Value::Object(theirs.fields);
        for name in ["salePrices", "buyPrice", "minPrice"] {
            if let Some(ours) = self.fields.remove(name) {
                let common = holds(&Map::from_iter([(name.to_owned(), ours.clone())]), &theirs);
                let fields = if common { &mut self.inherited } else { &mut self.fields };
                fields.insert(name.to_owned(), ours);
            }
        }
    }

    /// Prices that were written as the child's variant's own stay its own, for there is no request that takes them
    /// away: from now on they are kept equal to those that main's variant has from its product.
    pub(in crate::sync::moysklad) fn keep_own(&mut self, written: Option<&Value>) {
        let written = written.and_then(Value::as_object);
        let names: Vec<String> = written
            .into_iter()
            .flat_map(Map::keys)
            .filter_map(|key| key.split('/').next())
            .filter(|name| self.inherited.contains_key(*name))
            .map(str::to_owned)
            .collect();
        for name in names {
            self.fields.extend(self.inherited.remove_entry(&name));
        }
    }

    /// The prices (`null` each) that a variant which the child had already shows otherwise: they are its own.
    pub(in crate::sync::moysklad) fn own_of(&self, variant: &Value) -> Option<Value> {
        let is_own =
            |name: &str, ours: &Value| !holds(&Map::from_iter([(name.to_owned(), ours.clone())]), variant);
        let own: Map<String, Value> = self
            .inherited
            .iter()
            .filter(|(name, ours)| is_own(name, ours))
            .map(|(name, _)| (name.clone(), Value::Null))
            .collect();
        (!own.is_empty()).then_some(Value::Object(own))
    }

    /// The amount as it is written, in the child's currency of the same ISO code: in another currency it would be
    /// another price, unless it is nothing.
    fn money(&mut self, what: &str, price: &Value, terms: Terms<'_>) -> Option<Map<String, Value>> {
        let Terms { main, child, base, .. } = terms;
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
            self.skip(format!("{what} in {iso_code}"));
            return None;
        };
        let mut money = Map::new();
        money.insert("value".to_owned(), value.clone());
        money.insert("currency".to_owned(), reference(base, "entity/currency", "currency", currency));
        Some(money)
    }
}

/// How a price refers to its type.
pub(super) fn price_type(base: &str, id: Uuid) -> Value {
    reference(base, "context/companysettings/pricetype", "pricetype", id)
}

/// Where a price of main goes in the child; `None`: nowhere.
pub(super) fn goes_to<'a>(settings: &'a CatalogSettings, name: &'a str) -> Option<&'a str> {
    match &settings.price_types {
        None => Some(name),
        Some(map) => map.get(name).map(String::as_str),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{BASE, href, product, project, projected};
    use super::{CatalogSettings, EntityKind, Projection, Terms};
    use crate::sync::moysklad::api::id_of;
    use crate::sync::moysklad::metadata::tests::account;
    use serde_json::{Value, json};
    use uuid::Uuid;

    #[test]
    fn a_price_in_a_currency_that_the_child_lacks_is_skipped_and_said() {
        let projection = projected(&product());
        assert!(projection.update(None).get("buyPrice").is_none());
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
        let body = projection.update(None);
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
        let body = projection.update(None);
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
        assert_eq!(projection.update(None)["salePrices"].as_array().unwrap().len(), 1);
        assert_eq!(projection.update(None)["buyPrice"]["value"], json!(0.0));
        assert!(projection.outcome("x").contains("1 sale price of a type"));
    }

    /// A variant of main whose product's price is 5, and what the child's variant is told.
    fn variant(value: i64) -> Projection {
        let price = |value: i64| json!({"value": value, "priceType": href(1000), "currency": href(1100)});
        let variant = json!({"salePrices": [price(value)], "product": {"salePrices": [price(5)]}});
        let (main, child) = (account(1, &["Retail"], &["RUB"]), account(2, &["Retail"], &["RUB"]));
        let settings = CatalogSettings::default();
        let terms = Terms { main: &main, child: &child, base: BASE, settings: &settings };
        crate::sync::moysklad::product::project(EntityKind::Variant, &variant, terms)
    }

    #[test]
    fn prices_that_a_variant_inherits_are_not_made_its_own() {
        assert!(variant(5).field("salePrices").is_none());
        assert!(variant(6).field("salePrices").is_some());
    }

    #[test]
    fn prices_that_were_the_variants_own_are_told_also_when_it_inherits() {
        let mut inherits = variant(5);
        inherits.keep_own(Some(&json!({"externalCode": "x"})));
        assert!(inherits.field("salePrices").is_none());
        inherits.keep_own(Some(&variant(6).parts(None)));
        assert_eq!(inherits.field("salePrices").unwrap()[0]["value"], 5);
    }

    #[test]
    fn a_variant_of_the_child_that_shows_another_price_has_its_own() {
        let shown = |value: i64| json!({"salePrices": [{"value": value, "priceType": href(2000), "currency": href(2100)}]});
        for (value, own) in [(5, false), (7, true)] {
            let mut inherits = variant(5);
            inherits.keep_own(inherits.own_of(&shown(value)).as_ref());
            assert_eq!(inherits.field("salePrices").is_some(), own, "{value}");
        }
    }
}

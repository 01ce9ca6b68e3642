//! Prices, by the name of their type and the ISO code of their currency.

use super::{Projection, Terms, elements, reference};
use crate::sync::moysklad::compare::is_zero;
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
        let path = "context/companysettings/pricetype";
        money.insert("priceType".to_owned(), reference(terms.base, path, "pricetype", price_type));
        Some(Value::Object(money))
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

/// Where a price of main goes in the child; `None`: nowhere.
fn goes_to<'a>(settings: &'a CatalogSettings, name: &'a str) -> Option<&'a str> {
    match &settings.price_types {
        None => Some(name),
        Some(map) => map.get(name).map(String::as_str),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{BASE, href, product, project, projected};
    use crate::sync::moysklad::api::id_of;
    use crate::sync::moysklad::metadata::tests::account;
    use serde_json::{Value, json};
    use uuid::Uuid;

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
}

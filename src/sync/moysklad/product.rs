//! An entity of main's catalogue, said in the words of a child: only what can mean the same there crosses over.
//!
//! Ids are an account's own. Prices cross by the name of their type and the ISO code of their currency, units and
//! countries by their code, attributes by name and type. Numbers cross as they are written: no float touches a price.

use super::compare::{holds, is_zero};
use super::metadata::Metadata;
use super::settings::{CatalogSettings, EntityKind, VatPolicy};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
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
    /// What could not cross over, for the outcome.
    skipped: Vec<String>,
}

/// Says `entity` of main in the words of the child.
pub(super) fn project(kind: EntityKind, entity: &Value, terms: Terms<'_>) -> Projection {
    let mut projection = Projection { fields: Map::new(), create_only: Map::new(), skipped: Vec::new() };
    projection.texts(kind, entity);
    if kind != EntityKind::Variant {
        projection.vat(entity, terms.settings.vat);
    }
    if kind == EntityKind::Productfolder {
        return projection;
    }
    projection.set("archived", entity.get("archived").and_then(Value::as_bool).unwrap_or(false).into());
    projection.set("barcodes", entity.get("barcodes").cloned().unwrap_or_else(|| json!([])));
    projection.prices(kind, entity, terms);
    if kind == EntityKind::Variant {
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
    /// Adds a field.
    pub(super) fn set(&mut self, name: &str, value: Value) {
        self.fields.insert(name.to_owned(), value);
    }

    /// Adds a field of a create alone.
    pub(super) fn set_on_create(&mut self, name: &str, value: Value) {
        self.create_only.insert(name.to_owned(), value);
    }

    /// Leaves a field to the child.
    pub(super) fn drop_field(&mut self, name: &str) {
        self.fields.remove(name);
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

    fn texts(&mut self, kind: EntityKind, entity: &Value) {
        let names: &[&str] = match kind {
            // Its name is made of its characteristics, and what else it is called by is often not unique.
            EntityKind::Variant => &["description", "externalCode"],
            EntityKind::Service | EntityKind::Productfolder => &["name", "description", "externalCode"],
            EntityKind::Product | EntityKind::Bundle => &["name", "article", "description", "externalCode"],
        };
        for name in names {
            // What is not shown is empty, and an empty text clears the child's.
            let text = entity.get(*name).and_then(Value::as_str).unwrap_or_default();
            self.set(name, text.into());
        }
        // Never cleared: a child may be set to fill it in by itself.
        if kind != EntityKind::Variant
            && let Some(code) = entity.get("code").and_then(Value::as_str)
        {
            self.set("code", code.into());
        }
    }

    /// A rate without `vatEnabled` (or the other way round) is refused (16010), so they go together.
    fn vat(&mut self, entity: &Value, policy: VatPolicy) {
        let flag = |name| entity.get(name).and_then(Value::as_bool).unwrap_or(false);
        match policy {
            VatPolicy::Leave => return,
            VatPolicy::Without => {
                self.set("useParentVat", false.into());
                self.set("vatEnabled", false.into());
                self.set("vat", 0.into());
                return;
            }
            VatPolicy::Copy => {}
        }
        self.set("useParentVat", flag("useParentVat").into());
        if !flag("useParentVat") {
            self.set("vatEnabled", flag("vatEnabled").into());
            self.set("vat", entity.get("vat").cloned().unwrap_or_else(|| 0.into()));
        }
    }

    fn uom(&mut self, entity: &Value, terms: Terms<'_>) {
        let Some(uom) = entity.get("uom") else {
            self.set("uom", Value::Null);
            return;
        };
        match terms.main.uom_name(uom).and_then(|name| terms.child.uom(&name)) {
            Some(id) => self.set("uom", reference(terms.base, "entity/uom", "uom", id)),
            None => self.skip("unit"),
        }
    }

    /// Replaced as a whole; their ids are the child's own and not sent.
    fn packs(&mut self, entity: &Value, terms: Terms<'_>) {
        let Some(packs) = entity.get("packs").and_then(Value::as_array) else {
            self.set("packs", json!([]));
            return;
        };
        let mut ours = Vec::new();
        for pack in packs {
            let uom = pack.get("uom").and_then(|uom| terms.main.uom_name(uom));
            let Some(uom) = uom.and_then(|name| terms.child.uom(&name)) else {
                self.skip("packs with a unit that the child lacks");
                return;
            };
            let mut one =
                json!({"uom": reference(terms.base, "entity/uom", "uom", uom), "quantity": pack["quantity"]});
            if let Some(barcodes) = pack.get("barcodes") {
                one["barcodes"] = barcodes.clone();
            }
            ours.push(one);
        }
        self.set("packs", ours.into());
    }

    fn country(&mut self, entity: &Value, terms: Terms<'_>) {
        let Some(country) = entity.get("country") else {
            self.set("country", Value::Null);
            return;
        };
        match terms.main.country_code(country).and_then(|code| terms.child.country(code)) {
            Some(id) => self.set("country", reference(terms.base, "entity/country", "country", id)),
            None => self.skip("country"),
        }
    }

    /// Those that both accounts have under the same name and type, or of them those of the settings.
    fn attributes(&mut self, entity: &Value, terms: Terms<'_>) {
        let mut ours = Vec::new();
        for attribute in entity.get("attributes").and_then(Value::as_array).into_iter().flatten() {
            let (Some(name), Some(kind)) = (attribute["name"].as_str(), attribute["type"].as_str()) else {
                continue;
            };
            if terms.settings.attributes.as_ref().is_some_and(|allowed| !allowed.contains(name)) {
                continue;
            }
            let Some(theirs) = terms.child.attribute(name, kind) else {
                // Its name is a person's word, not content; still only the count is told.
                self.skip("an attribute that the child lacks under its name and type");
                continue;
            };
            let value = match kind {
                "string" | "text" | "link" | "time" | "boolean" | "double" | "long" => {
                    attribute["value"].clone()
                }
                "customentity" => {
                    let element = attribute["value"]["name"].as_str();
                    let dictionary = theirs.dictionary;
                    let there = dictionary
                        .zip(element)
                        .and_then(|(d, name)| Some((d, terms.child.element(d, name)?)));
                    let Some((dictionary, element)) = there else {
                        self.skip("an attribute whose element the child lacks");
                        continue;
                    };
                    let path = format!("entity/customentity/{dictionary}");
                    reference(terms.base, &path, "customentity", element)
                }
                _ => {
                    self.skip("an attribute that refers to something of main alone");
                    continue;
                }
            };
            ours.push(attribute_of(terms.base, theirs.id, value));
        }
        if !ours.is_empty() {
            self.set("attributes", ours.into());
        }
    }

    /// Attributes that were written and that main no longer shows are emptied; those of the child alone stay.
    pub(super) fn clear_attributes(&mut self, written: Option<&Value>, base: &str) {
        let Some(written) = written.and_then(Value::as_object) else { return };
        let there: Vec<Option<Uuid>> = elements(self.field("attributes")).map(super::api::id_of).collect();
        let gone: Vec<Value> = written
            .keys()
            .filter_map(|key| key.strip_prefix("attributes/")?.parse::<Uuid>().ok())
            .filter(|id| !there.contains(&Some(*id)))
            .map(|id| attribute_of(base, id, Value::Null))
            .collect();
        if !gone.is_empty() {
            let all: Vec<Value> = elements(self.field("attributes")).cloned().chain(gone).collect();
            self.set("attributes", all.into());
        }
    }

    fn prices(&mut self, kind: EntityKind, entity: &Value, terms: Terms<'_>) {
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

    /// Hash of each field, of sale prices and attributes of each one.
    pub(super) fn parts(&self) -> Value {
        let mut parts = Map::new();
        for (name, value) in &self.fields {
            if is_merged(name) {
                for element in elements(Some(value)) {
                    parts.insert(part_of(name, element), short_hash(element));
                }
            } else {
                parts.insert(name.clone(), short_hash(value));
            }
        }
        Value::Object(parts)
    }

    /// Body of the write that makes an existing entity so.
    pub(super) fn update(&self) -> Value {
        Value::Object(self.fields.clone())
    }

    /// Of [`update`](Self::update) what differs from what was written last.
    pub(super) fn changes(&self, written: &Value) -> Value {
        let differs = |part: &str, value: &Value| written.get(part) != Some(&short_hash(value));
        let vat = |name: &str| matches!(name, "useParentVat" | "vat" | "vatEnabled");
        let vat_differs = self.fields.iter().any(|(name, value)| vat(name) && differs(name, value));
        let mut body = Map::new();
        for (name, value) in &self.fields {
            if is_merged(name) {
                let changed: Vec<Value> = elements(Some(value))
                    .filter(|element| differs(&part_of(name, element), element))
                    .cloned()
                    .collect();
                if !changed.is_empty() {
                    body.insert(name.clone(), changed.into());
                }
            } else if differs(name, value) || (vat(name) && vat_differs) {
                body.insert(name.clone(), value.clone());
            }
        }
        Value::Object(body)
    }

    /// Body of the write that makes a new entity so. What is empty is left out, for the child to fill in where it
    /// is set to.
    pub(super) fn create(&self, sync_id: Option<Uuid>) -> Value {
        let mut fields = self.created_fields();
        fields.extend(self.create_only.clone());
        if let Some(sync_id) = sync_id {
            fields.insert("syncId".to_owned(), sync_id.to_string().into());
        }
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

    /// Whether the child's entity is so already.
    pub(super) fn is_held_by(&self, entity: &Value) -> bool {
        holds(&self.fields, entity)
    }

    /// Whether an entity that answered a create is the one that was asked for, and not an older one of the same
    /// `syncId`. What the child may fill in is not compared.
    pub(super) fn was_created_as(&self, entity: &Value) -> bool {
        holds(&self.created_fields(), entity)
    }
}

/// Where a price of main goes in the child; `None`: nowhere.
fn goes_to<'a>(settings: &'a CatalogSettings, name: &'a str) -> Option<&'a str> {
    match &settings.price_types {
        None => Some(name),
        Some(map) => map.get(name).map(String::as_str),
    }
}

/// Lists of which an update changes only the elements that it names.
fn is_merged(name: &str) -> bool {
    matches!(name, "salePrices" | "attributes")
}

fn part_of(name: &str, element: &Value) -> String {
    let owner = if name == "salePrices" { &element["priceType"] } else { element };
    super::api::id_of(owner).map_or_else(|| name.to_owned(), |id| format!("{name}/{id}"))
}

fn short_hash(value: &Value) -> Value {
    hex::encode(&Sha256::digest(value.to_string())[..8]).into()
}

/// The elements of a list, none of what is none.
pub(super) fn elements(list: Option<&Value>) -> impl Iterator<Item = &Value> {
    list.and_then(Value::as_array).into_iter().flatten()
}

fn attribute_of(base: &str, id: Uuid, value: Value) -> Value {
    let mut attribute = reference(base, "entity/product/metadata/attributes", "attributemetadata", id);
    attribute["value"] = value;
    attribute
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

    fn project(product: &Value, main: &Metadata, child: &Metadata, base: &str) -> Projection {
        let settings = CatalogSettings::default();
        super::project(EntityKind::Product, product, Terms { main, child, base, settings: &settings })
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
        let create = projection.create(Some(Uuid::nil()));
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
        let mut answer = projection.create(Some(Uuid::nil()));
        answer["barcodes"] = json!([{"ean13": "2000000000015"}]);
        assert!(projection.was_created_as(&answer));
        answer["name"] = "Pot".into();
        assert!(!projection.was_created_as(&answer));
    }
}

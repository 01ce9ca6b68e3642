//! One account: its dictionaries, its products, its webhooks.

use super::entity::{self, Refused};
use super::gates::Bucket;
use super::world::{Fault, Recorded};
use reqwest::Method;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use uuid::Uuid;

pub(super) struct Account {
    pub(super) id: Uuid,
    pub(super) token: String,
    pub(super) token_is_dead: bool,
    pub(super) price_types: Dictionary,
    pub(super) currencies: Dictionary,
    pub(super) uoms: Dictionary,
    pub(super) owner: Uuid,
    pub(super) products: BTreeMap<Uuid, Map<String, Value>>,
    pub(super) hooks: Vec<Hook>,
    pub(super) unique_codes: bool,
    pub(super) bucket: Bucket,
    pub(super) in_flight: usize,
    pub(super) peak_in_flight: usize,
    pub(super) latency: Duration,
    pub(super) faults: VecDeque<(Method, Fault)>,
    pub(super) recorded: Vec<Recorded>,
}

/// A small dictionary: ids by the name or code under which a person knows them.
#[derive(Default)]
pub(super) struct Dictionary(pub(super) Vec<(Uuid, String)>);

impl Dictionary {
    pub(super) fn id(&self, name: &str) -> Uuid {
        self.0.iter().find(|entry| entry.1 == name).unwrap_or_else(|| panic!("there is no {name}")).0
    }

    pub(super) fn has(&self, id: Uuid) -> bool {
        self.0.iter().any(|entry| entry.0 == id)
    }

    pub(super) fn remove(&mut self, name: &str) {
        self.0.retain(|entry| entry.1 != name);
    }

    pub(super) fn first(&self) -> Uuid {
        self.0[0].0
    }
}

#[derive(Clone)]
pub(super) struct Hook {
    pub(super) entity_type: String,
    pub(super) action: String,
    pub(super) url: String,
}

impl Account {
    pub(super) fn new(id: Uuid, owner: Uuid, token: &str) -> Self {
        Self {
            id,
            token: token.to_owned(),
            token_is_dead: false,
            price_types: Dictionary::default(),
            currencies: Dictionary::default(),
            uoms: Dictionary::default(),
            owner,
            products: BTreeMap::new(),
            hooks: Vec::new(),
            unique_codes: false,
            bucket: Bucket::default(),
            in_flight: 0,
            peak_in_flight: 0,
            latency: Duration::ZERO,
            faults: VecDeque::new(),
            recorded: Vec::new(),
        }
    }

    pub(super) fn add_hook(&mut self, entity_type: &str, action: &str, url: &str) {
        assert!(url.len() <= 255, "error 30010: the URL is too long");
        let hook =
            Hook { entity_type: entity_type.to_owned(), action: action.to_owned(), url: url.to_owned() };
        self.hooks.push(hook);
    }

    pub(super) fn all_products(&self) -> Vec<Value> {
        self.products.values().cloned().map(Value::Object).collect()
    }

    /// Whether this id is one of the account's own of this type.
    pub(super) fn has(&self, kind: &str, id: Uuid) -> bool {
        match kind {
            "product" => self.products.contains_key(&id),
            "pricetype" => self.price_types.has(id),
            "currency" => self.currencies.has(id),
            "uom" => self.uoms.has(id),
            "employee" => self.owner == id,
            _ => false,
        }
    }

    /// The first fault that waits for this method.
    pub(super) fn take_fault(&mut self, method: &Method) -> Option<Fault> {
        let position = self.faults.iter().position(|fault| fault.0 == *method)?;
        self.faults.remove(position).map(|fault| fault.1)
    }

    pub(super) fn by_sync_id(&self, sync_id: &Value) -> Option<&Map<String, Value>> {
        self.products.values().find(|product| product.get("syncId") == Some(sync_id))
    }

    /// Stores a new product; gives it as the API shows it.
    pub(super) fn insert(
        &mut self,
        base: &str,
        id: Uuid,
        body: &Map<String, Value>,
    ) -> Result<Value, Refused> {
        if body.get("name").and_then(Value::as_str).is_none_or(str::is_empty) {
            return Err(Refused::field(412, 3000, "name"));
        }
        let mut product = self.blank(base, id);
        self.apply(base, &mut product, body)?;
        if let Some(sync_id) = body.get("syncId") {
            product.insert("syncId".to_owned(), sync_id.clone());
        }
        product.entry("externalCode").or_insert_with(|| entity::random_code().into());
        self.products.insert(id, product.clone());
        Ok(Value::Object(product))
    }

    /// Changes a product; gives it as the API shows it, and the names of the changed fields.
    pub(super) fn update(
        &mut self,
        base: &str,
        id: Uuid,
        body: &Map<String, Value>,
    ) -> Result<(Value, Vec<String>), Refused> {
        let mut product = self.products.get(&id).cloned().ok_or(Refused::new(404, 1021))?;
        if body.get("syncId").is_some_and(|sync_id| product.get("syncId") != Some(sync_id)) {
            return Err(Refused::field(412, 1047, "syncId"));
        }
        let before = product.clone();
        self.apply(base, &mut product, body)?;
        let mut changed: Vec<String> =
            product.keys().filter(|name| product.get(*name) != before.get(*name)).cloned().collect();
        changed.extend(before.keys().filter(|name| !product.contains_key(*name)).cloned());
        product.insert("updated".to_owned(), entity::moscow_now().into());
        self.products.insert(id, product.clone());
        Ok((Value::Object(product), changed))
    }

    fn blank(&self, base: &str, id: Uuid) -> Map<String, Value> {
        let money =
            json!({"value": 0.0, "currency": entity::reference(base, "currency", self.currencies.first())});
        let prices: Vec<Value> = (self.price_types.0.iter())
            .map(|(price_type, name)| {
                let mut price = money.clone();
                price["priceType"] = entity::reference(base, "pricetype", *price_type);
                price["priceType"]["id"] = price_type.to_string().into();
                price["priceType"]["name"] = name.as_str().into();
                price
            })
            .collect();
        let mut meta = entity::reference(base, "product", id);
        meta["meta"]["metadataHref"] = format!("{base}/entity/product/metadata").into();
        // Its id is another one than the API's.
        meta["meta"]["uuidHref"] =
            format!("https://online.moysklad.ru/app/#good/edit?id={}", Uuid::new_v4()).into();
        let product = json!({
            "meta": meta["meta"], "id": id, "accountId": self.id,
            "owner": entity::reference(base, "employee", self.owner), "shared": true,
            "updated": entity::moscow_now(), "archived": false, "pathName": "", "useParentVat": true,
            "weight": 0.0, "volume": 0.0, "variantsCount": 0,
            "salePrices": prices, "buyPrice": money, "minPrice": money,
        });
        let Value::Object(product) = product else { unreachable!() };
        product
    }

    fn apply(
        &self,
        base: &str,
        product: &mut Map<String, Value>,
        body: &Map<String, Value>,
    ) -> Result<(), Refused> {
        if self.unique_codes && self.is_code_taken(product, body) {
            return Err(Refused::field(412, 3006, "code"));
        }
        for (name, value) in body {
            match (&**name, value) {
                ("salePrices", Value::Array(prices)) => {
                    for price in prices {
                        self.set_price(base, product, price)?;
                    }
                }
                ("buyPrice" | "minPrice", Value::Object(_)) => {
                    let price = self.money(base, value)?;
                    product.insert(name.clone(), price);
                }
                ("barcodes", Value::Array(barcodes)) => {
                    entity::check_barcodes(barcodes)?;
                    set_or_clear(product, name, value);
                }
                (
                    name @ ("name" | "code" | "article" | "description" | "externalCode"),
                    Value::String(text),
                ) => {
                    let max = if name == "description" { 4096 } else { 255 };
                    if text.chars().count() > max {
                        return Err(Refused::field(412, 3003, name));
                    }
                    set_or_clear(product, name, value);
                }
                ("vat", Value::Number(_)) | ("archived" | "vatEnabled" | "useParentVat", Value::Bool(_)) => {
                    product.insert(name.clone(), value.clone());
                }
                ("weight" | "volume", Value::Number(number)) => {
                    product.insert(name.clone(), entity::float(number));
                }
                ("uom", Value::Object(_) | Value::Null) => set_or_clear(product, name, value),
                // Read-only, or handled elsewhere.
                ("id" | "meta" | "accountId" | "updated" | "pathName" | "variantsCount" | "syncId", _) => {}
                (name, _) => return Err(Refused::field(412, 2016, name)),
            }
        }
        let rate = product.get("vat").and_then(Value::as_i64);
        if product.get("vatEnabled") == Some(&true.into()) && rate.is_none()
            || product.get("vatEnabled") == Some(&false.into()) && rate.is_some_and(|rate| rate != 0)
        {
            return Err(Refused::field(412, 16010, "vatEnabled"));
        }
        Ok(())
    }

    fn is_code_taken(&self, product: &Map<String, Value>, body: &Map<String, Value>) -> bool {
        let Some(code) = body.get("code") else { return false };
        self.products.values().any(|other| other.get("code") == Some(code) && other["id"] != product["id"])
    }

    fn money(&self, base: &str, price: &Value) -> Result<Value, Refused> {
        let Value::Number(value) = &price["value"] else { return Err(Refused::field(412, 2016, "value")) };
        let currency = match price.get("currency") {
            Some(currency) => currency.clone(),
            None => entity::reference(base, "currency", self.currencies.first()),
        };
        Ok(json!({"value": entity::float(value), "currency": currency}))
    }

    /// Sale prices are merged by their type.
    fn set_price(&self, base: &str, product: &mut Map<String, Value>, price: &Value) -> Result<(), Refused> {
        let id = entity::id_of(&price["priceType"]).ok_or(Refused::field(412, 3000, "priceType"))?;
        let money = self.money(base, price)?;
        let prices = product.get_mut("salePrices").and_then(Value::as_array_mut).unwrap();
        let old = prices.iter_mut().find(|old| entity::id_of(&old["priceType"]) == Some(id));
        let old = old.ok_or(Refused::new(404, 1021))?;
        old["value"] = money["value"].clone();
        old["currency"] = money["currency"].clone();
        Ok(())
    }
}

/// What is empty is not stored, and so not shown.
fn set_or_clear(product: &mut Map<String, Value>, name: &str, value: &Value) {
    let empty = value.is_null() || value.as_str() == Some("") || value.as_array().is_some_and(Vec::is_empty);
    if empty {
        product.remove(name);
    } else {
        product.insert(name.to_owned(), value.clone());
    }
}

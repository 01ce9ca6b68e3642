//! An account's catalogue in words that mean the same in every account: no id, every reference by what it is known by.

use super::book::KINDS;
use crate::support::moysklad::Simulator;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use uuid::Uuid;

/// One entity in such words.
#[derive(Debug, Clone)]
pub struct Thing {
    pub kind: &'static str,
    pub id: Uuid,
    /// Its external code.
    pub code: String,
    pub fields: BTreeMap<String, Value>,
    /// As the API shows it.
    pub shown: Value,
}

/// What an account calls the things that its entities refer to.
struct Lexicon<'a> {
    sim: &'a Simulator,
    account: Uuid,
    /// By id: ISO codes of currencies, codes (or names) of units, codes of countries, external codes of the catalogue.
    names: HashMap<String, String>,
}

/// The whole catalogue of an account.
pub fn read(sim: &Simulator, account: Uuid) -> Vec<Thing> {
    let mut names = HashMap::new();
    let mut learn = |kind: &str, field: &str| {
        for entity in sim.entities(account, kind) {
            let name = entity[field].as_str().or_else(|| entity["name"].as_str()).unwrap_or_default();
            names.insert(entity["id"].as_str().unwrap().to_owned(), name.to_owned());
        }
    };
    learn("currency", "isoCode");
    learn("uom", "code");
    learn("country", "code");
    for kind in KINDS {
        learn(kind, "externalCode");
    }
    let lexicon = Lexicon { sim, account, names };
    let of_kind = |kind| sim.entities(account, kind).into_iter().map(move |shown| (kind, shown));
    KINDS.into_iter().flat_map(of_kind).map(|(kind, shown)| lexicon.thing(kind, shown)).collect()
}

/// The price in words: value and currency.
pub fn is_nothing(price: &Value) -> bool {
    price[0] == "0"
}

impl Lexicon<'_> {
    fn thing(&self, kind: &'static str, shown: Value) -> Thing {
        let id: Uuid = shown["id"].as_str().unwrap().parse().unwrap();
        let mut fields = BTreeMap::new();
        let mut put = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        for name in ["code", "article", "description", "externalCode", "tnved"] {
            put(name, shown[name].as_str().unwrap_or_default().into());
        }
        if kind != "variant" {
            put("name", shown["name"].clone());
        }
        for name in
            ["archived", "discountProhibited", "weighed", "partialDisposal", "useParentVat", "vatEnabled"]
        {
            put(name, shown[name].as_bool().unwrap_or(false).into());
        }
        for name in ["weight", "volume", "vat"] {
            put(name, number(&shown[name]));
        }
        put("barcodes", list(&shown["barcodes"]).into());
        for price in list(&shown["salePrices"]) {
            put(&format!("price/{}", price["priceType"]["name"].as_str().unwrap()), self.money(&price));
        }
        for name in ["buyPrice", "minPrice"] {
            put(name, self.money(&shown[name]));
        }
        for name in ["uom", "country"] {
            put(name, self.name_of(&shown[name]));
        }
        put("folder", self.name_of(&shown["productFolder"]));
        let pack = |pack: Value| {
            json!([self.name_of(&pack["uom"]), number(&pack["quantity"]), list(&pack["barcodes"])])
        };
        put("packs", list(&shown["packs"]).into_iter().map(pack).collect());
        for attribute in list(&shown["attributes"]) {
            let name = attribute["name"].as_str().unwrap();
            let value = attribute["value"].get("name").unwrap_or(&attribute["value"]);
            put(&format!("attribute/{name}"), if value.is_number() { number(value) } else { value.clone() });
        }
        if kind == "variant" {
            put("product", self.name_of(&shown["product"]));
            let mut all: Vec<Value> = list(&shown["characteristics"])
                .into_iter()
                .map(|one| json!([one["name"], one["value"]]))
                .collect();
            all.sort_by_key(ToString::to_string);
            put("characteristics", all.into());
        }
        if kind == "bundle" {
            put("components", self.components(id));
        }
        Thing { kind, id, code: shown["externalCode"].as_str().unwrap().to_owned(), fields, shown }
    }

    fn components(&self, bundle: Uuid) -> Value {
        let shown = self.sim.entity(self.account, bundle, &["components"]).unwrap_or_default();
        let part = |row: Value| json!([self.name_of(&row["assortment"]), number(&row["quantity"])]);
        let mut parts: Vec<Value> = list(&shown["components"]["rows"]).into_iter().map(part).collect();
        parts.sort_by_key(ToString::to_string);
        parts.into()
    }

    fn money(&self, price: &Value) -> Value {
        json!([number(&price["value"]), self.name_of(&price["currency"])])
    }

    /// What a reference is known by; null if there is none.
    fn name_of(&self, reference: &Value) -> Value {
        let Some(href) = reference["meta"]["href"].as_str() else { return Value::Null };
        let id = href.rsplit('/').next().unwrap();
        self.names.get(id).map_or_else(|| json!(["unknown", id]), |name| name.as_str().into())
    }
}

fn list(value: &Value) -> Vec<Value> {
    value.as_array().cloned().unwrap_or_default()
}

/// A number without regard to how it is written; none is nothing.
fn number(value: &Value) -> Value {
    let number = if value.is_number() { value.to_string() } else { "0".to_owned() };
    number.parse::<Decimal>().unwrap().normalize().to_string().into()
}

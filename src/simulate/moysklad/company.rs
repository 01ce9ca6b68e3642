//! What belongs to the company as a whole: settings, price types, who is asking.

use super::account::{Account, DEFAULT_PRICE_TYPE, PriceType};
use super::json::{self, id_of};
use super::refused::Refused;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

const MOST_PRICE_TYPES: usize = 100;

impl Account {
    /// `/context/…`
    pub(super) fn context(&mut self, method: &Method, path: &[&str], body: &Value) -> Result<Value, Refused> {
        match (method, path) {
            (&Method::GET, ["employee"]) => {
                let owner = self.get(self.owner).ok_or_else(Refused::unknown)?;
                let mut shown = self.show(owner);
                shown["uid"] = format!("admin@{}", self.name).into();
                Ok(shown)
            }
            (&Method::GET, ["companysettings"]) => {
                let mut shown =
                    json::meta(&format!("{}/context/companysettings", self.base), "companysettings");
                if let Some(currency) = self.own_currency() {
                    shown["currency"] = self.reference("currency", currency);
                }
                shown["priceTypes"] = self.show_price_types();
                shown["discountStrategy"] = "bySum".into();
                shown["globalOperationNumbering"] = false.into();
                shown["checkShippingStock"] = false.into();
                Ok(shown)
            }
            (&Method::GET, ["companysettings", "metadata"]) => {
                let entities = self.dictionaries.iter().map(|(id, name)| self.dictionary_metadata(*id, name));
                Ok(json!({ "customEntities": entities.collect::<Value>() }))
            }
            (&Method::GET, ["companysettings", "metadata", "customEntities", id]) => {
                let known = self.dictionaries.iter().find(|dictionary| dictionary.0.to_string() == **id);
                known.map(|(id, name)| self.dictionary_metadata(*id, name)).ok_or_else(Refused::unknown)
            }
            // A bare array, unlike every other list.
            (&Method::GET, ["companysettings", "pricetype"]) => Ok(self.show_price_types()),
            (&Method::POST, ["companysettings", "pricetype"]) => self.replace_price_types(body),
            (&Method::GET, ["companysettings", "pricetype", "default"]) => {
                self.price_types.first().map(|known| self.show_price_type(known)).ok_or_else(Refused::unknown)
            }
            (&Method::GET, ["companysettings", "pricetype", id]) => {
                let known = self.price_types.iter().find(|known| known.id.to_string() == **id);
                known.map(|known| self.show_price_type(known)).ok_or_else(Refused::unknown)
            }
            _ => Err(Refused::new(412, 1002)),
        }
    }

    fn show_price_types(&self) -> Value {
        self.price_types.iter().map(|price_type| self.show_price_type(price_type)).collect()
    }

    fn dictionary_metadata(&self, id: Uuid, name: &str) -> Value {
        let href = format!("{}/context/companysettings/metadata/customEntities/{id}", self.base);
        let mut shown = json::meta(&href, "customentitymetadata");
        let entity = format!("{}/entity/customentity/{id}", self.base);
        shown["entityMeta"] = json::meta(&entity, "customentity")["meta"].take();
        shown["id"] = id.to_string().into();
        shown["name"] = name.into();
        shown["createShared"] = false.into();
        shown
    }

    /// The complete list in its order: what is left out is deleted.
    fn replace_price_types(&mut self, body: &Value) -> Result<Value, Refused> {
        let items = match body {
            Value::Array(items) => items.as_slice(),
            item => std::slice::from_ref(item),
        };
        if items.is_empty() {
            return Err(Refused::new(412, 42001));
        }
        if items.len() > MOST_PRICE_TYPES {
            return Err(Refused::new(412, 42000));
        }
        let mut price_types: Vec<PriceType> = Vec::new();
        for item in items {
            let id = item["id"].as_str().and_then(|id| id.parse().ok()).or_else(|| id_of(item));
            let known = id.map(|id| {
                self.price_types.iter().find(|known| known.id == id).cloned().ok_or_else(Refused::unknown)
            });
            let mut price_type = match known {
                Some(known) => known?,
                None => {
                    PriceType { id: self.mint(), name: String::new(), external_code: json::random_code() }
                }
            };
            if let Some(name) = item["name"].as_str() {
                name.clone_into(&mut price_type.name);
            }
            if let Some(code) = item["externalCode"].as_str() {
                code.clone_into(&mut price_type.external_code);
            }
            if price_type.name.is_empty() {
                return Err(Refused::field(412, 3000, "name"));
            }
            if price_types.iter().any(|other| other.name == price_type.name) {
                return Err(Refused::field(412, 3006, "name"));
            }
            price_types.push(price_type);
        }
        self.price_types = price_types;
        Ok(self.show_price_types())
    }

    /// A further price type, last in the list. The first of an account has a code that is the same everywhere.
    pub(super) fn add_price_type(&mut self, name: &str) -> Uuid {
        let external_code =
            if self.price_types.is_empty() { DEFAULT_PRICE_TYPE.to_owned() } else { json::random_code() };
        let id = self.mint();
        self.price_types.push(PriceType { id, name: name.to_owned(), external_code });
        id
    }

    /// `/entity/assortment/settings`
    pub(super) fn assortment_settings(&mut self, method: &Method, body: &Value) -> Result<Value, Refused> {
        let rules = &mut self.rules;
        if *method == Method::PUT {
            let codes = &body["uniqueCodeRules"];
            let flags = [
                (&mut rules.check_unique_code, &codes["checkUniqueCode"]),
                (&mut rules.fill_unique_code, &codes["fillUniqueCode"]),
                (&mut rules.fill_ean13, &body["barcodeRules"]["fillEAN13Barcode"]),
            ];
            for (flag, sent) in flags {
                *flag = sent.as_bool().unwrap_or(*flag);
            }
        } else if *method != Method::GET {
            return Err(Refused::new(405, 1039));
        }
        let mut shown = json!({
            "uniqueCodeRules": {
                "checkUniqueCode": rules.check_unique_code, "fillUniqueCode": rules.fill_unique_code,
            },
            "barcodeRules": {
                "fillEAN13Barcode": rules.fill_ean13, "weightBarcode": false, "weightBarcodePrefix": 20,
            },
            "createdShared": false,
        });
        let href = format!("{}/entity/assortment/settings", self.base);
        shown["meta"] = json::meta(&href, "assortmentsettings")["meta"].take();
        Ok(shown)
    }
}

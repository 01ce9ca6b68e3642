//! Variants: characteristics, and that no two of a product are the same.

use super::account::{Account, Entity};
use super::json::{self, id_of};
use super::refused::Refused;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

impl Account {
    /// `/entity/variant/metadata/characteristics…`
    pub(super) fn characteristic_metadata(
        &mut self,
        method: &Method,
        rest: &[&str],
        body: &Value,
    ) -> Result<Value, Refused> {
        match (method, rest) {
            (&Method::GET, []) => {
                let href = format!("{}/entity/variant/metadata/characteristics", self.base);
                let mut shown = json::meta(&href, "attributemetadata");
                shown["characteristics"] = self.show_all_characteristics();
                Ok(shown)
            }
            (&Method::GET, [id]) => {
                let id: Uuid = id.parse().map_err(|_| Refused::new(400, 1002))?;
                let known = self.characteristics.iter().find(|known| known.0 == id);
                known.map(|known| self.show_characteristic(known)).ok_or_else(Refused::unknown)
            }
            (&Method::POST, []) => match body {
                Value::Array(items) => {
                    let created: Result<Vec<Value>, Refused> =
                        items.iter().map(|item| self.add_characteristic(item)).collect();
                    created.map(Value::Array)
                }
                item => self.add_characteristic(item),
            },
            _ => Err(Refused::new(405, 1039)),
        }
    }

    fn add_characteristic(&mut self, body: &Value) -> Result<Value, Refused> {
        let name = body["name"].as_str().filter(|name| !name.is_empty());
        let name = name.ok_or(Refused::field(412, 3000, "name"))?.to_owned();
        if self.characteristics.iter().any(|known| known.1 == name) {
            return Err(Refused::field(412, 10002, "name"));
        }
        let created = (self.mint(), name);
        let shown = self.show_characteristic(&created);
        self.characteristics.push(created);
        Ok(shown)
    }

    pub(super) fn show_all_characteristics(&self) -> Value {
        self.characteristics.iter().map(|known| self.show_characteristic(known)).collect()
    }

    fn show_characteristic(&self, (id, name): &(Uuid, String)) -> Value {
        let href = format!("{}/entity/variant/metadata/characteristics/{id}", self.base);
        let mut shown = json::meta(&href, "attributemetadata");
        shown["id"] = id.to_string().into();
        shown["name"] = name.as_str().into();
        shown["type"] = "string".into();
        shown["required"] = false.into();
        shown
    }

    /// All characteristics of a variant anew: by id, else by name.
    pub(super) fn replace_characteristics(
        &mut self,
        entity: &mut Entity,
        values: &[Value],
    ) -> Result<(), Refused> {
        if values.is_empty() {
            return Err(Refused::field(412, 15001, "characteristics"));
        }
        let mut stored = Vec::new();
        for sent in values {
            let id = match (sent["id"].as_str().map(str::parse), sent["name"].as_str()) {
                (Some(id), _) => {
                    let id = id.map_err(|_| Refused::field(412, 10001, "id"))?;
                    let known = self.characteristics.iter().any(|known| known.0 == id);
                    known.then_some(id).ok_or(Refused::field(412, 10001, "id"))?
                }
                (None, Some(name)) => self.characteristic(name)?,
                (None, None) => match id_of(sent) {
                    Some(id) => id,
                    None => return Err(Refused::field(412, 10000, "characteristics")),
                },
            };
            let value = sent["value"].as_str().filter(|value| !value.is_empty());
            let value = value.ok_or(Refused::field(412, 2016, "value"))?;
            stored.push(json!({"id": id.to_string(), "value": value}));
        }
        entity.fields.insert("characteristics".to_owned(), stored.into());
        Ok(())
    }

    fn characteristic(&mut self, name: &str) -> Result<Uuid, Refused> {
        if let Some(known) = self.characteristics.iter().find(|known| known.1 == name) {
            return Ok(known.0);
        }
        // Whether an unknown name makes a new one is not documented.
        if !self.rules.unknown_characteristics_are_created {
            return Err(Refused::field(412, 10001, "name"));
        }
        let id = self.mint();
        self.characteristics.push((id, name.to_owned()));
        Ok(id)
    }

    /// No two variants of one product may have the same characteristics (15000).
    pub(super) fn check_variant(&self, entity: &Entity) -> Result<(), Refused> {
        if entity.kind.keyword != "variant" {
            return Ok(());
        }
        let product =
            entity.fields.get("product").and_then(id_of).ok_or(Refused::field(412, 3000, "product"))?;
        let own = sorted(entity);
        if self.variants_of(product).any(|other| other.id != entity.id && sorted(other) == own) {
            return Err(Refused::field(412, 15000, "characteristics"));
        }
        Ok(())
    }

    /// Forgets characteristics that no variant has any more, if the account does so.
    pub(super) fn drop_unused_characteristics(&mut self) {
        if !self.rules.unused_characteristics_vanish {
            return;
        }
        let used: Vec<Value> = self
            .all("variant")
            .filter_map(|variant| variant.fields.get("characteristics")?.as_array().cloned())
            .flatten()
            .map(|mut characteristic| characteristic["id"].take())
            .collect();
        self.characteristics.retain(|known| used.iter().any(|id| *id == known.0.to_string()));
    }
}

fn sorted(variant: &Entity) -> Vec<(String, String)> {
    let values = variant.fields.get("characteristics").and_then(Value::as_array).into_iter().flatten();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut pairs: Vec<_> = values.map(|value| (text(&value["id"]), text(&value["value"]))).collect();
    pairs.sort();
    pairs
}

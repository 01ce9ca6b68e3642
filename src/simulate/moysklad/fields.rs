//! What a body does to an entity, field by field: some values replace, some are merged.

use super::account::{Account, Entity};
use super::json::{self, float, id_of, set_or_clear};
use super::kind::{Field, READ_ONLY};
use super::refused::Refused;
use serde_json::{Map, Value, json};
use uuid::Uuid;

impl Account {
    /// Applies a body. The entity may be half changed after an error: it is the caller's copy.
    pub(super) fn apply(&mut self, entity: &mut Entity, body: &Map<String, Value>) -> Result<(), Refused> {
        let kind = entity.kind;
        for (name, value) in body {
            let Some(field) = kind.field(name) else {
                if name != "syncId"
                    && !READ_ONLY.contains(&name.as_str())
                    && !is_generated(kind.keyword, name)
                {
                    self.complain(format!("{} has no field `{name}`", kind.keyword));
                }
                continue;
            };
            self.set(entity, name, field, value)?;
        }
        check_vat(entity)?;
        self.check_bank_accounts(entity)?;
        if kind.keyword == "productfolder" {
            self.check_cycle(entity)?;
        }
        Ok(())
    }

    fn set(&mut self, entity: &mut Entity, name: &str, field: Field, value: &Value) -> Result<(), Refused> {
        let wrong = || Refused::field(412, 2016, name);
        match (field, value) {
            (Field::Text(max), Value::String(text)) => {
                if text.chars().count() > max {
                    return Err(Refused::field(412, 3003, name));
                }
                set_or_clear(&mut entity.fields, name, value);
            }
            (Field::Bool, Value::Bool(_))
            | (Field::Int, Value::Number(_))
            | (Field::Object, Value::Object(_)) => {
                entity.fields.insert(name.to_owned(), value.clone());
            }
            (Field::Flag, Value::Bool(flag)) => {
                let shown = if *flag { value } else { &Value::Null };
                set_or_clear(&mut entity.fields, name, shown);
            }
            (Field::Float, Value::Number(number)) => {
                entity.fields.insert(name.to_owned(), float(number));
            }
            (Field::Money, Value::Object(_)) => {
                let money = self.money(value)?;
                entity.fields.insert(name.to_owned(), money);
            }
            (Field::Prices, Value::Array(prices)) => self.merge_prices(entity, prices)?,
            (Field::Barcodes, Value::Array(barcodes)) => {
                check_barcodes(barcodes)?;
                set_or_clear(&mut entity.fields, name, value);
            }
            (Field::Packs, Value::Array(packs)) => self.replace_packs(entity, packs)?,
            // Below its owner, not below its kind.
            (Field::Reference(["account"]), Value::Object(_)) => {
                self.reference_to(&["account"], value, name)?;
                entity.fields.insert(name.to_owned(), value.clone());
            }
            (Field::Reference(kinds), Value::Object(_)) => {
                let id = self.reference_to(kinds, value, name)?;
                let keyword = value["meta"]["type"].as_str().unwrap_or_default().to_owned();
                entity.fields.insert(name.to_owned(), self.reference(&keyword, id));
            }
            (Field::State, Value::Object(_)) => {
                let id = self.reference_to(&["state"], value, name)?;
                let states = self.states.get(entity.kind.keyword).map_or(&[][..], Vec::as_slice);
                if !states.iter().any(|state| state.id == id) {
                    return Err(Refused::unknown());
                }
                let href = format!("{}/entity/{}/metadata/states/{id}", self.base, entity.kind.keyword);
                entity.fields.insert(name.to_owned(), json::meta(&href, "state"));
            }
            (Field::Attributes, Value::Array(values)) => self.merge_attributes(entity, values)?,
            (Field::Characteristics, Value::Array(values)) => self.replace_characteristics(entity, values)?,
            (Field::Minute, Value::String(text)) => {
                let full = json::full_time(text).ok_or_else(wrong)?;
                entity.fields.insert(name.to_owned(), format!("{}:00.000", &full[..16]).into());
            }
            (Field::Enum(values), Value::String(text)) => {
                if !values.contains(&text.as_str()) {
                    return Err(wrong());
                }
                entity.fields.insert(name.to_owned(), value.clone());
            }
            (Field::Strings, Value::Array(items)) if items.iter().all(Value::is_string) => {
                set_or_clear(&mut entity.fields, name, value);
            }
            (Field::Rate, Value::Object(rate)) => {
                let currency = rate.get("currency").ok_or_else(wrong)?;
                let id = self.reference_to(&["currency"], currency, name)?;
                let mut stored = json!({"currency": self.reference("currency", id)});
                if let Some(Value::Number(value)) = rate.get("value") {
                    stored["value"] = float(value);
                }
                entity.fields.insert(name.to_owned(), stored);
            }
            (Field::Parts, Value::Array(items)) => {
                if entity.kind.keyword == "bundle" {
                    self.merge_components(entity, items)?;
                } else {
                    self.replace_positions(entity, items)?;
                }
            }
            // What an answer says about a collection, sent back.
            (Field::Parts | Field::Images, Value::Object(_)) => {}
            (Field::Images, Value::Array(items)) => self.replace_images(entity, items)?,
            (
                Field::Text(_)
                | Field::Money
                | Field::Reference(_)
                | Field::Object
                | Field::Enum(_)
                | Field::State
                | Field::Minute,
                Value::Null,
            ) => {
                entity.fields.shift_remove(name);
            }
            _ => return Err(wrong()),
        }
        Ok(())
    }

    /// `{value, currency}`; without a currency it is the account's own.
    fn money(&self, price: &Value) -> Result<Value, Refused> {
        let Value::Number(value) = &price["value"] else { return Err(Refused::field(412, 2016, "value")) };
        let currency = match price.get("currency") {
            Some(currency) => Some(self.reference_to(&["currency"], currency, "currency")?),
            None => self.own_currency(),
        };
        let mut money = json!({"value": float(value)});
        if let Some(currency) = currency {
            money["currency"] = self.reference("currency", currency);
        }
        Ok(money)
    }

    /// Sale prices are merged by their type.
    fn merge_prices(&self, entity: &mut Entity, prices: &[Value]) -> Result<(), Refused> {
        let mut own = match entity.fields.get("salePrices") {
            Some(Value::Array(own)) => own.clone(),
            _ => Vec::new(),
        };
        for price in prices {
            let price_type = price.get("priceType").ok_or(Refused::field(412, 3000, "priceType"))?;
            let id = self.reference_to(&["pricetype"], price_type, "priceType")?;
            let mut money = self.money(price)?;
            money["priceType"] = self.reference("pricetype", id);
            match own.iter_mut().find(|old| old.get("priceType").and_then(id_of) == Some(id)) {
                Some(old) => *old = money,
                None => own.push(money),
            }
        }
        if !prices.is_empty() {
            entity.fields.insert("salePrices".to_owned(), own.into());
        }
        Ok(())
    }

    fn replace_packs(&self, entity: &mut Entity, packs: &[Value]) -> Result<(), Refused> {
        let own_unit = entity.fields.get("uom").and_then(id_of);
        let old: Vec<Value> =
            entity.fields.get("packs").and_then(Value::as_array).cloned().unwrap_or_default();
        let mut stored = Vec::new();
        for pack in packs {
            let mut pack = pack.as_object().cloned().ok_or(Refused::field(412, 2016, "packs"))?;
            if entity.kind.keyword == "product" {
                let uom = pack.get("uom").ok_or(Refused::field(412, 3000, "uom"))?;
                let uom = self.reference_to(&["uom"], uom, "uom")?;
                if own_unit.is_none_or(|own| own == uom) {
                    return Err(Refused::field(412, 16008, "packs"));
                }
                pack.insert("uom".to_owned(), self.reference("uom", uom));
                match pack.get("quantity") {
                    Some(Value::Number(quantity)) => {
                        let quantity = float(quantity);
                        pack.insert("quantity".to_owned(), quantity);
                    }
                    _ => return Err(Refused::field(412, 3000, "quantity")),
                }
            }
            if pack.get("barcodes").and_then(Value::as_array).is_some_and(|barcodes| barcodes.len() > 1) {
                return Err(Refused::field(412, 2016, "barcodes"));
            }
            let known = old.iter().any(|old| old.get("id").is_some() && old.get("id") == pack.get("id"));
            match pack.get("id") {
                Some(_) if known => {}
                Some(_) => return Err(Refused::unknown()),
                None => {
                    pack.insert("id".to_owned(), self.mint().to_string().into());
                }
            }
            stored.push(Value::Object(pack));
        }
        set_or_clear(&mut entity.fields, "packs", &stored.into());
        Ok(())
    }

    /// A folder may not stand in itself, at any depth.
    fn check_cycle(&self, folder: &Entity) -> Result<(), Refused> {
        let mut length = super::show::text(folder, "name").chars().count();
        let mut next = folder.fields.get("productFolder").and_then(id_of);
        while let Some(id) = next {
            if id == folder.id {
                return Err(Refused::field(412, 23001, "productFolder"));
            }
            let Some(parent) = self.get(id) else { break };
            length += 1 + super::show::text(parent, "name").chars().count();
            next = parent.fields.get("productFolder").and_then(id_of);
        }
        if length > 255 { Err(Refused::field(412, 3051, "productFolder")) } else { Ok(()) }
    }

    /// Names of the fields that differ, as webhooks tell them: attributes and price types of the company's own by
    /// their human names.
    pub(super) fn difference(&self, before: &Entity, after: &Entity) -> Vec<String> {
        let mut names = Vec::new();
        for name in after.fields.keys().chain(before.fields.keys()) {
            let (old, new) = (before.fields.get(name), after.fields.get(name));
            if old == new || name == "updated" || names.contains(name) {
                continue;
            }
            match name.as_str() {
                "salePrices" => names.extend(self.changed_prices(old, new)),
                "attributes" => names.extend(self.changed_attributes(before.kind, old, new)),
                _ => names.push(name.clone()),
            }
        }
        if before.parts != after.parts {
            names.extend(after.kind.parts.map(str::to_owned));
        }
        if before.images != after.images {
            names.push("images".to_owned());
        }
        let mut seen = Vec::new();
        names.retain(|name| {
            let fresh = !seen.contains(name);
            seen.push(name.clone());
            fresh
        });
        names
    }

    fn changed_prices(&self, old: Option<&Value>, new: Option<&Value>) -> Vec<String> {
        let price_of = |prices: Option<&Value>, id: Uuid| {
            let prices = prices.and_then(Value::as_array)?;
            prices.iter().find(|price| price.get("priceType").and_then(id_of) == Some(id)).cloned()
        };
        let changed = self
            .price_types
            .iter()
            .enumerate()
            .filter(|(_, price_type)| price_of(old, price_type.id) != price_of(new, price_type.id));
        changed
            .map(
                |(index, price_type)| {
                    if index == 0 { "salePrices".to_owned() } else { price_type.name.clone() }
                },
            )
            .collect()
    }
}

fn check_vat(entity: &Entity) -> Result<(), Refused> {
    if entity.kind.is_document {
        return Ok(());
    }
    let rate = entity.fields.get("vat").and_then(Value::as_i64);
    let enabled = entity.fields.get("vatEnabled").and_then(Value::as_bool);
    if enabled == Some(true) && rate.is_none() || enabled == Some(false) && rate.is_some_and(|rate| rate != 0)
    {
        return Err(Refused::field(412, 16010, "vatEnabled"));
    }
    Ok(())
}

fn check_barcodes(barcodes: &[Value]) -> Result<(), Refused> {
    let known = ["ean13", "ean8", "code128", "gtin", "upc"];
    for barcode in barcodes {
        let wrong = || Refused::field(412, 2016, "barcodes");
        let fields = barcode.as_object().ok_or_else(wrong)?;
        let (name, value) = fields.iter().next().ok_or_else(wrong)?;
        let text = value.as_str().filter(|_| fields.len() == 1 && known.contains(&name.as_str()));
        if text.ok_or_else(wrong)?.chars().count() > 255 {
            return Err(Refused::field(412, 3011, "barcodes"));
        }
    }
    Ok(())
}

/// A variant's name follows from its product's: it may be sent, and has no effect.
fn is_generated(keyword: &str, name: &str) -> bool {
    keyword == "variant" && name == "name"
}

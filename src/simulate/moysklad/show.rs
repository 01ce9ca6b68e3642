//! An entity as the API shows it: stored fields and what follows from them.

use super::account::{Account, Entity, PriceType};
use super::json::{self, decimal_value, id_of};
use super::kind::Field;
use super::positions;
use serde_json::{Map, Value, json};
use uuid::Uuid;

impl Account {
    /// The whole entity, its references as `meta` only.
    pub(super) fn show(&self, entity: &Entity) -> Value {
        let mut shown = Map::new();
        shown.insert("meta".to_owned(), self.meta_of(entity));
        shown.insert("id".to_owned(), entity.id.to_string().into());
        let is_standard =
            matches!(entity.kind.keyword, "uom" | "country") && !entity.fields.contains_key("owner");
        if !is_standard {
            shown.insert("accountId".to_owned(), self.id.to_string().into());
        }
        shown.extend(entity.fields.clone());
        let kind = entity.kind;
        if kind.has(Field::Prices) {
            self.show_prices(entity, &mut shown);
        }
        if kind.attributes.is_some() {
            self.show_attributes(entity, &mut shown);
        }
        if kind.has(Field::Reference(&["productfolder"])) {
            shown.insert("pathName".to_owned(), self.path_of(&entity.fields).into());
        }
        if self.rules.shows_effective_vat && kind.field("useParentVat").is_some() {
            self.show_effective_vat(entity, &mut shown);
        }
        if kind.has(Field::Images) {
            let list = self.collection(entity, "images", "image", entity.images.len());
            shown.insert("images".to_owned(), list);
        }
        if let Some(parts) = kind.parts {
            let list = self.collection(entity, parts, &part_kind(entity), entity.parts.len());
            shown.insert(parts.to_owned(), list);
        }
        match kind.keyword {
            "product" => {
                let variants = self.variants_of(entity.id).count();
                shown.insert("variantsCount".to_owned(), variants.into());
            }
            "variant" => {
                shown.insert("name".to_owned(), self.name_of(entity).into());
                self.show_characteristics(&mut shown);
            }
            "currency" => {
                shown.insert("default".to_owned(), (self.own_currency() == Some(entity.id)).into());
            }
            _ if kind.is_document => {
                for (name, amount) in positions::totals(entity) {
                    shown.insert(name.to_owned(), decimal_value(amount));
                }
            }
            _ => {}
        }
        Value::Object(shown)
    }

    fn meta_of(&self, entity: &Entity) -> Value {
        let keyword = entity.kind.keyword;
        // Services and bundles share the metadata of products.
        let metadata = if matches!(keyword, "service" | "bundle") { "product" } else { keyword };
        let mut meta = json!({
            "href": self.href(keyword, entity.id),
            "metadataHref": format!("{}/entity/{metadata}/metadata", self.base),
            "type": keyword, "mediaType": "application/json",
        });
        if let Some(ui_id) = entity.ui_id {
            meta["uuidHref"] = format!("https://online.moysklad.ru/app/#good/edit?id={ui_id}").into();
        }
        meta
    }

    /// An array that is not shown but told of.
    fn collection(&self, entity: &Entity, name: &str, kind: &str, size: usize) -> Value {
        let mut list = json::meta(&format!("{}/{name}", self.href(entity.kind.keyword, entity.id)), kind);
        list["meta"]["size"] = size.into();
        list["meta"]["limit"] = 1000.into();
        list["meta"]["offset"] = 0.into();
        list
    }

    /// The sale prices that were set; a variant without own ones has its product's.
    pub(super) fn own_prices<'a>(&'a self, entity: &'a Entity) -> &'a [Value] {
        match entity.fields.get("salePrices") {
            Some(Value::Array(prices)) => prices,
            _ => self.parent_of(entity).map_or(&[], |product| self.own_prices(product)),
        }
    }

    pub(super) fn parent_of(&self, entity: &Entity) -> Option<&Entity> {
        if entity.kind.keyword == "variant" { self.get(id_of(entity.fields.get("product")?)?) } else { None }
    }

    fn show_prices(&self, entity: &Entity, shown: &mut Map<String, Value>) {
        let nothing = self.nothing();
        let own = self.own_prices(entity);
        let prices: Vec<Value> = self
            .price_types
            .iter()
            .map(|price_type| {
                let set =
                    own.iter().find(|price| price.get("priceType").and_then(id_of) == Some(price_type.id));
                let mut price = set.cloned().unwrap_or_else(|| nothing.clone());
                price["priceType"] = self.show_price_type(price_type);
                price
            })
            .collect();
        shown.insert("salePrices".to_owned(), prices.into());
        for name in ["buyPrice", "minPrice"] {
            if entity.kind.field(name) == Some(Field::Money) && !shown.contains_key(name) {
                let inherited = self.parent_of(entity).and_then(|product| product.fields.get(name)).cloned();
                shown.insert(name.to_owned(), inherited.unwrap_or_else(|| nothing.clone()));
            }
        }
    }

    pub(super) fn show_price_type(&self, price_type: &PriceType) -> Value {
        let mut shown = self.reference("pricetype", price_type.id);
        shown["id"] = price_type.id.to_string().into();
        shown["name"] = price_type.name.as_str().into();
        shown["externalCode"] = price_type.external_code.as_str().into();
        shown
    }

    /// No money, in the account's own currency.
    fn nothing(&self) -> Value {
        let mut money = json!({"value": 0.0});
        if let Some(currency) = self.own_currency() {
            money["currency"] = self.reference("currency", currency);
        }
        money
    }

    /// The tax in force: its own, or that of the first folder above that has one.
    fn show_effective_vat(&self, entity: &Entity, shown: &mut Map<String, Value>) {
        let mut taxed = entity;
        for _ in 0..100 {
            if taxed.fields.get("useParentVat") != Some(&Value::Bool(true)) {
                break;
            }
            let folder = taxed.fields.get("productFolder").and_then(id_of).and_then(|id| self.get(id));
            let Some(folder) = folder else { return };
            taxed = folder;
        }
        for (name, effective) in [("vat", "effectiveVat"), ("vatEnabled", "effectiveVatEnabled")] {
            if let Some(value) = taxed.fields.get(name) {
                shown.insert(effective.to_owned(), value.clone());
            }
        }
    }

    /// Names of the folders above, joined by `/`.
    fn path_of(&self, fields: &Map<String, Value>) -> String {
        let mut names = Vec::new();
        let mut next = fields.get("productFolder").and_then(id_of);
        while let Some(folder) = next.and_then(|id| self.get(id)) {
            names.push(text(folder, "name"));
            next = folder.fields.get("productFolder").and_then(id_of);
            if names.len() > 100 {
                break;
            }
        }
        names.reverse();
        names.join("/")
    }

    /// A variant's name is made of its product's and its characteristics.
    pub(super) fn name_of(&self, entity: &Entity) -> String {
        let Some(product) = self.parent_of(entity) else { return text(entity, "name").to_owned() };
        let values = entity.fields.get("characteristics").and_then(Value::as_array);
        let values: Vec<&str> = values
            .into_iter()
            .flatten()
            .filter_map(|characteristic| characteristic["value"].as_str())
            .collect();
        format!("{} ({})", text(product, "name"), values.join(", "))
    }

    fn show_characteristics(&self, shown: &mut Map<String, Value>) {
        let Some(Value::Array(characteristics)) = shown.get_mut("characteristics") else { return };
        for characteristic in characteristics {
            let id = characteristic["id"].as_str().and_then(|id| id.parse::<Uuid>().ok());
            let name = self.characteristics.iter().find(|known| Some(known.0) == id);
            if let Some((id, name)) = name {
                let href = format!("{}/entity/variant/metadata/characteristics/{id}", self.base);
                characteristic["meta"] = json::meta(&href, "attributemetadata")["meta"].take();
                characteristic["name"] = name.as_str().into();
            }
        }
    }
}

/// `meta.type` of positions and components.
pub(super) fn part_kind(entity: &Entity) -> String {
    match entity.kind.keyword {
        "bundle" => "bundlecomponent".to_owned(),
        keyword => format!("{keyword}position"),
    }
}

/// The text of a field; what is unset is empty.
pub(super) fn text<'a>(entity: &'a Entity, name: &str) -> &'a str {
    entity.fields.get(name).and_then(Value::as_str).unwrap_or_default()
}

//! What an entity of main says after an edit: the values of its fields.

use super::super::edit::Fields;
use super::super::profiles::{FABRICS, PRICE_TYPES};
use super::Draw;
use rand::RngExt as _;
use serde_json::{Value, json};

impl Draw<'_> {
    /// Adds a change of one field that this kind has.
    pub(super) fn change(&mut self, kind: &'static str, fields: &mut Fields) {
        let n = self.book.next();
        let common = ["description", "externalCode"];
        let named = ["name", "code", "vat", "folder"];
        let sold = ["price", "price", "price", "minPrice", "barcodes"];
        let goods = ["article", "weight", "volume", "tnved", "country"];
        let more = ["uom", "attribute", "attribute", "discountProhibited"];
        let mut names: Vec<&str> = common.into();
        if kind != "variant" {
            names.extend(named);
        }
        if kind != "productfolder" {
            names.extend(sold);
        }
        if !matches!(kind, "variant" | "productfolder") {
            names.extend(more);
        }
        match kind {
            "product" => {
                names.extend(goods.iter().chain(&["packs", "weighed", "buyPrice", "partialDisposal"]));
            }
            "bundle" => names.extend(goods.iter().chain(&["components"])),
            "service" => names.push("buyPrice"),
            "variant" => names.extend(["buyPrice", "characteristics"]),
            _ => {}
        }
        let name = self.of(&names);
        let value = match name {
            // Of what it is known by there is never a second one.
            "externalCode" if fields.contains_key(name) || self.chance(0.7) => return,
            "article" if fields.contains_key(name) => return,
            "name" | "externalCode" | "article" | "code" => format!("{}{n}", &name[..1]).into(),
            "description" | "tnved" => {
                if self.chance(0.3) {
                    "".into()
                } else {
                    format!("text {n}").into()
                }
            }
            "weight" | "volume" => json!(self.of(&[0.0, 1.5, 12.0, 0.001])),
            _ => return self.change_more(kind, name, n, fields),
        };
        fields.insert(name.to_owned(), value);
    }

    fn change_more(&mut self, kind: &'static str, name: &str, n: usize, fields: &mut Fields) {
        let value = match name {
            "weighed" | "discountProhibited" | "partialDisposal" => self.chance(0.5).into(),
            "price" => {
                let price_type = self.of(&PRICE_TYPES);
                fields.insert(format!("price/{price_type}"), self.money());
                return;
            }
            "minPrice" | "buyPrice" => self.money(),
            "vat" => match self.rng.random_range(0..4) {
                0 => json!([true, false, 0]),
                1 => json!([false, false, 0]),
                2 => json!([false, true, 0]),
                _ => json!([false, true, self.of(&[10, 20])]),
            },
            "folder" => {
                let folder = self.one_alive("productfolder").filter(|_| !n.is_multiple_of(4));
                if folder.is_none() && kind == "productfolder" {
                    return;
                }
                json!(folder)
            }
            "barcodes" => match self.rng.random_range(0..3) {
                0 => json!([]),
                1 => json!([{"ean13": format!("460{n:010}")}]),
                _ => json!([{"code128": format!("bc{n}")}, {"ean8": format!("{n:08}")}]),
            },
            "country" => json!(self.of(&[None, Some("643"), Some("398"), Some("156")])),
            "uom" | "packs" => {
                let units = [None, Some("шт"), Some("кг"), Some("Crate"), Some("Sack")];
                let unit = self.of(&units);
                if kind == "product" {
                    // A pack needs another unit than its product's; both are said, in this order.
                    fields.remove("packs");
                    let pack = self.of(&units).filter(|pack| unit.is_some() && Some(*pack) != unit);
                    let barcodes =
                        if n.is_multiple_of(2) { json!([{"code128": format!("p{n}")}]) } else { json!([]) };
                    fields.insert("uom".to_owned(), json!(unit));
                    json!(pack.map(|pack| json!([pack, n % 7 + 2, barcodes])).into_iter().collect::<Vec<_>>())
                } else {
                    json!(unit)
                }
            }
            "attribute" => {
                let (name, value) = self.attribute(n);
                fields.insert(format!("attribute/{name}"), value);
                return;
            }
            "characteristics" if fields.contains_key(name) => return,
            "characteristics" => self.characteristics(),
            "components" => {
                let Some(components) = self.components() else { return };
                components
            }
            other => unreachable!("{other}"),
        };
        let name = if name == "uom" && kind == "product" { "packs" } else { name };
        fields.insert(name.to_owned(), value);
    }

    pub(super) fn money(&mut self) -> Value {
        let value = match self.rng.random_range(0..5) {
            0 => json!(0),
            1 => json!(self.rng.random_range(1..1_000_000)),
            2 => json!(12345.5),
            _ => json!(self.rng.random_range(1..100) * 100),
        };
        let iso_code = if self.chance(0.15) { "USD" } else { "RUB" };
        json!([value, iso_code])
    }

    fn attribute(&mut self, n: usize) -> (&'static str, Value) {
        let name = self
            .of(&["Paint", "Notes", "Site", "Baked", "Promo", "Promo", "Height", "Rank", "Fabric", "Secret"]);
        let value = match name {
            _ if self.chance(0.25) => Value::Null,
            "Paint" => json!(self.of(&["red", "green", "blue; dark"])),
            "Baked" => json!(format!("2026-01-{:02} 10:{:02}", n % 28 + 1, n % 60)),
            "Promo" => self.chance(0.6).into(),
            "Height" => json!(1.25 * f64::from(self.rng.random_range(1..40))),
            "Rank" => json!(self.rng.random_range(-5..50)),
            "Fabric" => json!(self.of(&FABRICS)),
            _ => json!(format!("text {n}")),
        };
        (name, value)
    }

    pub(super) fn characteristics(&mut self) -> Value {
        let size = self.rng.random_range(0..60);
        let mut all = vec![json!({"name": "Size", "value": format!("s{size}")})];
        if self.chance(0.4) {
            let name = self.of(&["Shade", "Length", "Model year"]);
            all.push(json!({"name": name, "value": self.of(&["a", "b; c", "d"])}));
        }
        all.into()
    }

    pub(super) fn components(&mut self) -> Option<Value> {
        let mut parts: Vec<(&str, usize)> = Vec::new();
        for _ in 0..self.rng.random_range(1..4) {
            let kind = self.of(&["product", "product", "service", "variant"]);
            parts.extend(self.one_alive(kind).map(|slot| (kind, slot)));
        }
        parts.sort_unstable();
        parts.dedup();
        let parts: Vec<Value> =
            parts.into_iter().map(|(kind, slot)| json!([kind, slot, self.rng.random_range(1..9)])).collect();
        (!parts.is_empty()).then(|| parts.into())
    }
}

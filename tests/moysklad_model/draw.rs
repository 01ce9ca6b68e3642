//! What is edited next: drawn from the seed's chance and from what main holds, never from how far the sync is.

use super::book::Book;
use super::edit::{Edit, Fields};
use super::profiles::{FABRICS, PRICE_TYPES};
use rand::RngExt as _;
use rand::rngs::StdRng;
use serde_json::{Value, json};

/// Draws edits.
pub struct Draw<'a> {
    pub rng: &'a mut StdRng,
    pub book: &'a mut Book,
    /// Whether each child takes whatever main has.
    pub takes_all: Vec<bool>,
}

impl Draw<'_> {
    /// The next edits: one, or two that belong together.
    pub fn next(&mut self) -> Vec<Edit> {
        let kind = self.kind();
        match self.rng.random_range(0..100) {
            0..30 => self.create(kind),
            30..62 => self.update(kind, 1),
            62..66 => {
                let count = self.rng.random_range(8..40);
                self.update(kind, count)
            }
            66..71 => self.archive(kind),
            71..78 => {
                let most = if self.chance(0.2) { 5 } else { 1 };
                let mut slots: Vec<usize> = (0..most).filter_map(|_| self.one_alive(kind)).collect();
                slots.sort_unstable();
                slots.dedup();
                if kind == "productfolder" {
                    slots.retain(|slot| *slot != 0);
                }
                if slots.is_empty() { Vec::new() } else { vec![Edit::Delete(kind, slots)] }
            }
            78..81 => self.made_again(),
            81..83 => self.twin(),
            _ => self.in_child(kind),
        }
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.rng.random_bool(probability)
    }

    fn of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.rng.random_range(0..all.len())]
    }

    fn kind(&mut self) -> &'static str {
        self.of(&[
            "productfolder",
            "product",
            "product",
            "product",
            "product",
            "product",
            "service",
            "variant",
            "variant",
            "bundle",
        ])
    }

    fn one_alive(&mut self, kind: &str) -> Option<usize> {
        let alive = self.book.alive(kind);
        if alive.is_empty() { None } else { Some(self.of(&alive)) }
    }

    fn create(&mut self, kind: &'static str) -> Vec<Edit> {
        let many = matches!(kind, "product" | "service") && self.chance(0.05);
        let count = if many { self.rng.random_range(10..40) } else { 1 };
        let bodies: Vec<Fields> = (0..count).filter_map(|_| self.new_entity(kind)).collect();
        if bodies.is_empty() { Vec::new() } else { vec![Edit::Create(kind, bodies)] }
    }

    fn new_entity(&mut self, kind: &'static str) -> Option<Fields> {
        let mut fields = Fields::new();
        let n = self.book.next();
        // A semicolon ends a condition of a filter.
        let joint = self.of(&[" ", "; ", " / "]);
        fields.insert("externalCode".to_owned(), format!("m{n}{}", joint.trim()).into());
        match kind {
            "variant" => {
                let product = self.one_alive("product")?;
                fields.insert("product".to_owned(), product.into());
                fields.insert("characteristics".to_owned(), self.characteristics());
            }
            kind => {
                fields.insert("name".to_owned(), format!("{kind}{joint}{n}").into());
                if matches!(kind, "product" | "bundle") && self.chance(0.7) {
                    fields.insert("article".to_owned(), format!("A-{n}{}", joint.trim()).into());
                }
            }
        }
        if kind == "bundle" {
            let components = self.components()?;
            fields.insert("components".to_owned(), components);
        }
        for _ in 0..self.rng.random_range(0..5) {
            self.change(kind, &mut fields);
        }
        Some(fields)
    }

    fn update(&mut self, kind: &'static str, count: usize) -> Vec<Edit> {
        let mut changes: Vec<(usize, Fields)> = Vec::new();
        for _ in 0..count {
            let Some(slot) = self.one_alive(kind) else { continue };
            if kind == "bundle" && self.chance(0.15) {
                return vec![Edit::DropComponent(slot, self.rng.random_range(0..50))];
            }
            let mut fields = Fields::new();
            if count > 1 {
                let price_type = self.of(&PRICE_TYPES);
                if kind != "productfolder" {
                    fields.insert(format!("price/{price_type}"), self.money());
                }
            }
            for _ in 0..self.rng.random_range(1..4) {
                self.change(kind, &mut fields);
            }
            // The folder of a filter stays where it is.
            if kind == "productfolder" && (slot == 0 || fields.get("folder") == Some(&slot.into())) {
                fields.remove("folder");
            }
            if changes.iter().all(|(known, _)| *known != slot) {
                changes.push((slot, fields));
            }
        }
        if changes.is_empty() { Vec::new() } else { vec![Edit::Update(kind, changes)] }
    }

    fn archive(&mut self, kind: &'static str) -> Vec<Edit> {
        let kind = if kind == "productfolder" { "product" } else { kind };
        let Some(slot) = self.one_alive(kind) else { return Vec::new() };
        let mut fields = Fields::new();
        fields.insert("archived".to_owned(), self.chance(0.5).into());
        vec![Edit::Update(kind, vec![(slot, fields)])]
    }

    /// What was deleted is made once more, under its old name.
    fn made_again(&mut self) -> Vec<Edit> {
        let kind = self.of(&["product", "service", "bundle", "productfolder"]);
        let dead = self.book.dead(kind);
        if dead.is_empty() {
            return Vec::new();
        }
        let slot = self.of(&dead);
        let Some(mut fields) = self.new_entity(kind) else { return Vec::new() };
        let old = &self.book.of(kind)[slot];
        // Not a second one by this name.
        let code = old.codes.last().unwrap().clone();
        let taken = |other: &super::book::Slot| other.alive && other.codes.contains(&code);
        if self.book.of(kind).iter().any(taken) {
            return Vec::new();
        }
        fields.insert("externalCode".to_owned(), code.into());
        if let Some(article) = &old.article {
            fields.insert("article".to_owned(), article.as_str().into());
        }
        vec![Edit::Create(kind, vec![fields])]
    }

    fn twin(&mut self) -> Vec<Edit> {
        let child = self.rng.random_range(0..self.takes_all.len());
        let Some(fields) = self.new_entity("product").filter(|_| self.takes_all[child]) else {
            return Vec::new();
        };
        let known = ["externalCode", "article", "name"];
        let same = fields.iter().filter(|(name, _)| known.contains(&name.as_str()));
        let twin = same.map(|(name, value)| (name.clone(), value.clone())).collect();
        vec![Edit::Twin(child, twin), Edit::Create("product", vec![fields])]
    }

    fn in_child(&mut self, kind: &'static str) -> Vec<Edit> {
        let child = self.rng.random_range(0..self.takes_all.len());
        let own = self.book.own.len();
        let number = self.rng.random_range(0..100_000_u32);
        let edit = match self.rng.random_range(0..10) {
            0..3 => {
                let kind = self.of(&["product", "product", "service", "bundle"]);
                let Some(slot) = self.one_alive(kind) else { return Vec::new() };
                match self.rng.random_range(0..3) {
                    0 => Edit::Touch { child, kind, slot, field: "note", value: format!("n{number}").into() },
                    1 => Edit::Touch { child, kind, slot, field: "own", value: number.into() },
                    _ => {
                        let Some(slot) = self.one_alive("product") else { return Vec::new() };
                        let value = number.into();
                        Edit::Touch { child, kind: "product", slot, field: "minimum", value }
                    }
                }
            }
            3..6 => {
                let Some(slot) = self.one_alive(kind) else { return Vec::new() };
                Edit::DeleteSynced(child, kind, slot)
            }
            6..8 => {
                let n = self.book.next();
                Edit::CreateOwn(child, self.of(&["product", "service", "productfolder"]), format!("own {n}"))
            }
            8 if own > 0 => Edit::ChangeOwn(self.rng.random_range(0..own), format!("text {number}")),
            9 if own > 0 => Edit::DeleteOwn(self.rng.random_range(0..own)),
            _ => return Vec::new(),
        };
        vec![edit]
    }

    /// Adds a change of one field that this kind has.
    fn change(&mut self, kind: &'static str, fields: &mut Fields) {
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

    fn money(&mut self) -> Value {
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

    fn characteristics(&mut self) -> Value {
        let size = self.rng.random_range(0..60);
        let mut all = vec![json!({"name": "Size", "value": format!("s{size}")})];
        if self.chance(0.4) {
            let name = self.of(&["Shade", "Length", "Model year"]);
            all.push(json!({"name": name, "value": self.of(&["a", "b; c", "d"])}));
        }
        all.into()
    }

    fn components(&mut self) -> Option<Value> {
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

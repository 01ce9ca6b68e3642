//! What is edited next: drawn from the seed's chance and from what main holds, never from how far the sync is.

mod fields;
mod orders;

use super::book::Book;
use super::edit::{Edit, Fields};
use super::profiles::PRICE_TYPES;
use super::settings::Change;
use rand::RngExt as _;
use rand::rngs::StdRng;

/// Draws edits.
pub struct Draw<'a> {
    pub rng: &'a mut StdRng,
    pub book: &'a mut Book,
    /// Whether each child takes whatever main has.
    pub takes_all: Vec<bool>,
    /// Neither documents nor settings are touched.
    pub catalog_only: bool,
}

impl Draw<'_> {
    /// The next edits: one, or two that belong together.
    pub fn next(&mut self) -> Vec<Edit> {
        let kind = self.kind();
        let all = if self.catalog_only { 98 } else { 175 };
        match self.rng.random_range(0..all) {
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
                slots.retain(|slot| !self.book.of(kind)[*slot].sold);
                if kind == "productfolder" {
                    slots.retain(|slot| *slot != 0);
                }
                if slots.is_empty() { Vec::new() } else { vec![Edit::Delete(kind, slots)] }
            }
            78..81 => self.made_again(),
            81..83 => self.twin(),
            83..98 => self.in_child(kind),
            98..100 => {
                let child = self.rng.random_range(0..self.takes_all.len());
                vec![Edit::Settings(child, Change::draw(self.rng, !self.takes_all[child]))]
            }
            _ => self.order(),
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

    pub fn create(&mut self, kind: &'static str) -> Vec<Edit> {
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
            if kind == "bundle" && self.chance(0.15) && !self.book.of(kind)[slot].sold {
                self.book.of_mut(kind)[slot].recomposed = true;
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
            let known = &mut self.book.of_mut(kind)[slot];
            if known.sold {
                fields.remove("components");
            }
            known.recomposed |= fields.contains_key("components");
            if known.packed {
                fields.retain(|name, _| !matches!(&**name, "packs" | "uom"));
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
}

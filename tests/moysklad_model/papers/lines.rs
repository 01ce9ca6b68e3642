//! Lines of documents in words that mean the same in every account, and what they add up to.

use super::super::profiles::{CHILD_STATES, MAIN_STATES};
use super::super::world::World;
use super::Paper;
use rust_decimal::{Decimal, RoundingStrategy};
use serde_json::{Value, json};
use std::collections::HashMap;
use uuid::Uuid;

/// What an account calls the things that its documents refer to.
pub struct Reader<'a> {
    world: &'a World,
    account: Uuid,
    /// By id: kind and external code of goods, ISO codes of currencies, codes (or names) of units.
    names: HashMap<String, String>,
}

impl<'a> Reader<'a> {
    pub fn new(world: &'a World, account: Uuid) -> Self {
        let mut names = HashMap::new();
        let mut learn = |kind: &str, field: &str, prefix: &str| {
            for entity in world.sim.entities(account, kind) {
                let name = entity[field].as_str().or_else(|| entity["name"].as_str()).unwrap_or_default();
                names.insert(entity["id"].as_str().unwrap().to_owned(), format!("{prefix}{name}"));
            }
        };
        for kind in ["product", "service", "variant", "bundle"] {
            learn(kind, "externalCode", &format!("{kind} "));
        }
        learn("currency", "isoCode", "");
        learn("uom", "code", "");
        Self { world, account, names }
    }

    fn name_of(&self, reference: &Value) -> String {
        let id = reference["meta"]["href"].as_str().unwrap_or_default().rsplit('/').next().unwrap();
        self.names.get(id).cloned().unwrap_or_else(|| format!("unknown {id}"))
    }

    /// ISO code of a document's currency: the account's own where it names none.
    pub fn currency(&self, document: &Value) -> String {
        if document["rate"]["currency"].is_object() {
            return self.name_of(&document["rate"]["currency"]);
        }
        let first = &self.world.sim.entities(self.account, "currency")[0];
        first["isoCode"].as_str().unwrap().to_owned()
    }

    /// Lines in words: what is sold, how much, for how much.
    pub fn lines(&self, document: &Value, reserves: bool) -> Vec<Value> {
        let line = |row: &Value| {
            let number = |name: &str| decimal(&row[name]).normalize().to_string();
            let pack = row.get("pack").map(|pack| self.pack(pack));
            json!([
                self.name_of(&row["assortment"]),
                number("quantity"),
                number("price"),
                number("discount"),
                number("vat"),
                row["vatEnabled"],
                if reserves { number("reserve") } else { String::new() },
                pack,
            ])
        };
        rows(document).iter().map(line).collect()
    }

    fn pack(&self, pack: &Value) -> Value {
        json!([self.name_of(&pack["uom"]), decimal(&pack["quantity"]).normalize().to_string()])
    }

    /// Lines that sell this.
    pub fn rows_of(&self, document: &Value, sold: &str) -> Vec<Value> {
        let mut rows = rows(document);
        rows.retain(|row| self.name_of(&row["assortment"]) == sold);
        rows
    }
}

impl Paper<'_> {
    /// Of what the document sells: what main surely lacks, and what it may lack.
    pub(super) fn lacking(&self, theirs: &Value) -> (Vec<String>, Vec<String>) {
        let (mut lacking, mut unsure) = (Vec::new(), Vec::new());
        for row in rows(theirs) {
            let sold = self.reader.name_of(&row["assortment"]);
            match self.is_known(&sold, &row) {
                Some(true) => {}
                Some(false) => lacking.push(sold),
                None => unsure.push(sold),
            }
        }
        (lacking, unsure)
    }

    /// Whether main has a counterpart of it; none: that cannot be told.
    fn is_known(&self, sold: &str, row: &Value) -> Option<bool> {
        let Self { world, sheet, reader, .. } = *self;
        let (kind, code) = sold.split_once(' ').unwrap();
        let book = &world.book;
        let slots = book
            .of(kind)
            .iter()
            .filter(|slot| slot.alive && slot.codes.last().is_some_and(|own| own == code));
        let slots: Vec<_> = slots.collect();
        let [slot] = slots.as_slice() else { return slots.is_empty().then_some(false) };
        let namesakes = reader.names.values().filter(|name| *name == sold).count();
        let ours = world.sim.entity(world.main, slot.id, &[]).unwrap();
        let was_dead =
            book.of(kind).iter().any(|other| !other.alive && other.codes.iter().any(|own| own == code));
        let is_plain = namesakes == 1
            && slot.accepted[sheet.child].0
            && ours["archived"] != true
            && !was_dead
            && !book.twins.iter().any(|(child, twin)| *child == sheet.child && twin == code);
        let Some(pack) = row.get("pack") else { return is_plain.then_some(true) };
        let packs = ours["packs"].as_array().cloned().unwrap_or_default();
        let has_pack = packs.iter().any(|ours| self.ours.pack(ours) == reader.pack(pack));
        (is_plain && has_pack).then_some(true)
    }
}

/// Name of the state that a document is in.
pub fn state(world: &World, account: Uuid, kind: &str, document: &Value) -> &'static str {
    let href = document["state"]["meta"]["href"].as_str().unwrap_or_default();
    let is_it = |name: &&str| {
        let id = world.sim.state(account, kind, name);
        id.is_some_and(|id| href.ends_with(&id.to_string()))
    };
    CHILD_STATES.into_iter().chain(MAIN_STATES).find(is_it).unwrap_or("none")
}

pub fn rows(document: &Value) -> Vec<Value> {
    document["positions"]["rows"].as_array().cloned().unwrap_or_default()
}

pub fn decimal(value: &Value) -> Decimal {
    let text = if value.is_number() { value.to_string() } else { "0".to_owned() };
    text.parse().unwrap()
}

/// What lines of such a document add up to: each in whole kopecks, half a kopeck up, and VAT on top where the prices do
/// not hold it (facts/moysklad.md 6).
pub fn total(rows: &[Value], document: &Value) -> Decimal {
    let kopecks = |amount: Decimal| amount.round_dp_with_strategy(0, RoundingStrategy::MidpointAwayFromZero);
    let on_top = document["vatEnabled"] == true && document["vatIncluded"] == false;
    let hundred = Decimal::ONE_HUNDRED;
    let cost = |row: &Value| {
        let number = |name: &str| decimal(&row[name]);
        let net = kopecks(number("price") * number("quantity") * (hundred - number("discount")) / hundred);
        let taxed = on_top && row["vatEnabled"] == true;
        if taxed { net + kopecks(net * number("vat") / hundred) } else { net }
    };
    rows.iter().map(cost).sum()
}

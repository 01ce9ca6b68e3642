//! Whether main has each document of each child once and as the child says, and nothing else: worked out from the rules
//! alone (facts/moysklad.md 6 and 8, product.md, docs/moysklad.md), without the code that is tested.

mod header;
mod lines;
mod sheet;

pub use sheet::{Sheet, tag_of};

use super::compare::Wrong;
use super::profiles::{CURRENCIES, CUSTOMERS, name_of};
use super::world::World;
use lines::{Reader, decimal, total};
use serde_json::Value;
use std::collections::HashMap;
use uuid::Uuid;

/// The kind of [`Wrong`]s that are about documents.
pub const ORDER: &str = "order";
/// What main's order says of a document that is gone.
const DELETED: &str = "[deleted in the child account]";

/// What the queue shows of a document that is not in main as it is.
#[derive(Debug, Clone, Default)]
pub struct Stuck {
    /// Why it waits for something.
    pub held: Option<String>,
    /// Why it is not tried again.
    pub failed: Option<String>,
}

impl World {
    /// Main's copies of a document.
    pub fn copies(&self, n: usize) -> Vec<Uuid> {
        let tag = tag_of(n);
        let orders = self.sim.entities(self.main, "customerorder").into_iter();
        let of_it = orders.filter(|order| order.get("deleted").is_none() && tag_in(order) == Some(&*tag));
        of_it.map(|order| order["id"].as_str().unwrap().parse().unwrap()).collect()
    }

    /// Everything about documents that is not as it shall be.
    pub fn order_differences(&self, stuck: &HashMap<Uuid, Stuck>) -> Vec<Wrong> {
        let mut copies: HashMap<String, Vec<Value>> = HashMap::new();
        let mut wrong = Vec::new();
        for order in self.sim.entities(self.main, "customerorder") {
            let id: Uuid = order["id"].as_str().unwrap().parse().unwrap();
            let order = self.sim.entity(self.main, id, &["positions"]).unwrap();
            match tag_in(&order) {
                _ if order.get("deleted").is_some() => {}
                Some(tag) => copies.entry(tag.to_owned()).or_default().push(order),
                None => wrong.push(Wrong {
                    child: "main",
                    entity: None,
                    text: format!("{order} is nobody's copy"),
                }),
            }
        }
        let ours = Reader::new(self, self.main);
        let readers: Vec<Reader<'_>> =
            self.children.iter().map(|child| Reader::new(self, child.account)).collect();
        for (n, sheet) in self.sheets.iter().enumerate() {
            let Some(sheet) = sheet else { continue };
            let copies = copies.remove(&tag_of(n)).unwrap_or_default();
            let stuck = stuck.get(&sheet.id).cloned().unwrap_or_default();
            let reader = &readers[sheet.child];
            let mut paper = Paper { world: self, n, sheet, stuck, ours: &ours, reader, texts: Vec::new() };
            paper.check(&copies);
            let child = self.children[sheet.child].profile.name;
            let said =
                |text| Wrong { child, entity: Some((ORDER, n)), text: format!("{} {n}: {text}", sheet.kind) };
            wrong.extend(paper.texts.into_iter().map(said));
        }
        let strange = copies.keys().map(|tag| Wrong {
            child: "main",
            entity: None,
            text: format!("{tag} was never made"),
        });
        wrong.extend(strange.chain(self.parties_twice()));
        wrong
    }

    /// Counterparties that main has more often than they exist.
    fn parties_twice(&self) -> Vec<Wrong> {
        let parties = self.sim.entities(self.main, "counterparty");
        let count = |field: &str, value: &str| parties.iter().filter(|party| party[field] == *value).count();
        let mut wrong = Vec::new();
        let mut most = |field: &str, value: &str| {
            let found = count(field, value);
            if found > 1 {
                let text = format!("{found} counterparties with {field} {value}");
                wrong.push(Wrong { child: "main", entity: None, text });
            }
        };
        for customer in &CUSTOMERS {
            match customer {
                (_, _, _, "", "") => {
                    self.children
                        .iter()
                        .for_each(|child| most("name", &name_of(customer, child.profile.name)));
                }
                (_, _, _, "", phone) => most("phone", phone),
                (_, _, _, inn, _) => most("inn", inn),
            }
        }
        wrong
    }
}

fn tag_in(order: &Value) -> Option<&str> {
    order["description"].as_str()?.split_whitespace().find(|word| word.starts_with("order-"))
}

/// One document, and what main has of it.
struct Paper<'a> {
    world: &'a World,
    n: usize,
    sheet: &'a Sheet,
    stuck: Stuck,
    ours: &'a Reader<'a>,
    reader: &'a Reader<'a>,
    texts: Vec<String>,
}

impl Paper<'_> {
    fn say(&mut self, text: String) {
        self.texts.push(text);
    }

    fn check(&mut self, copies: &[Value]) {
        let Self { world, sheet, .. } = *self;
        let child = &world.children[sheet.child];
        let orders = child.profile.orders;
        if copies.len() > 1 {
            return self.say(format!("main has it {} times", copies.len()));
        }
        let copy = copies.first();
        if let (Some(copy), Some(seen)) = (copy, sheet.seen)
            && copy["id"] != *seen.to_string()
        {
            self.say(format!("main's copy was {seen} and is {}", copy["id"]));
        }
        if !orders.kinds.contains(&sheet.kind) {
            if copy.is_some() {
                self.say("main has it, and it does not flow".to_owned());
            }
            return;
        }
        if copy.is_none() && sheet.seen.is_some() {
            self.say("main had it and has it no more".to_owned());
        }
        let theirs = world.sim.entity(child.account, sheet.id, &["positions"]);
        let Some(theirs) = theirs.filter(|theirs| theirs.get("deleted").is_none()) else {
            return self.gone(copy);
        };
        let (lacking, unsure) = self.lacking(&theirs);
        let iso_code = self.reader.currency(&theirs);
        let is_foreign = !CURRENCIES.contains(&&*iso_code);
        let counts = theirs["applicable"] == true || !orders.only_applicable;
        if !counts && copy.is_none() {
            return;
        }
        if self.is_excused(&lacking, &unsure, is_foreign) {
            return;
        }
        if !lacking.is_empty() {
            self.say(format!("main does not know {lacking:?}, and nothing says so: {:?}", self.stuck));
        } else if is_foreign {
            self.say(format!("main does not know {iso_code}, and nothing says so: {:?}", self.stuck));
        } else if self.stuck.held.is_some() || self.stuck.failed.is_some() {
            self.say(format!("it could cross over: {:?}", self.stuck));
        } else if let Some(copy) = copy {
            self.header(&theirs, copy);
            self.states(&theirs, copy);
            self.lines(&theirs, copy);
        } else if !sheet.copy_deleted {
            self.say("main does not have it".to_owned());
        }
    }

    /// Whether it visibly waits for what it really lacks.
    fn is_excused(&self, lacking: &[String], unsure: &[String], is_foreign: bool) -> bool {
        let has = |said: &Option<String>, text: &str| said.as_deref().is_some_and(|said| said.contains(text));
        let waits = has(&self.stuck.held, "cannot cross over") && !(lacking.is_empty() && unsure.is_empty());
        // What was put into main's bin is somebody's there.
        let in_bin = self.sheet.was_deleted && has(&self.stuck.failed, "in the bin");
        waits || in_bin || is_foreign && has(&self.stuck.failed, "main has no currency")
    }

    /// Deleted in the child: main's copy, if there was one, says so and does not count.
    fn gone(&mut self, copy: Option<&Value>) {
        let Some(copy) = copy else { return };
        if copy["applicable"] != false {
            self.say("deleted in the child, and it counts in main".to_owned());
        }
        if !copy["description"].as_str().is_some_and(|text| text.starts_with(DELETED)) {
            self.say(format!("deleted in the child, and main says {}", copy["description"]));
        }
    }

    fn lines(&mut self, theirs: &Value, copy: &Value) {
        let is_order = self.sheet.kind == "customerorder";
        let (mut wanted, mut got) = (self.reader.lines(theirs, is_order), self.ours.lines(copy, is_order));
        let own = format!("service {}", self.world.book.of("service")[0].codes.last().unwrap());
        let before = got.len();
        got.retain(|line| line[0] != *own);
        if before - got.len() != self.sheet.main_lines {
            self.say(format!(
                "main had {} lines of its own and has {}",
                self.sheet.main_lines,
                before - got.len()
            ));
        }
        wanted.sort_by_key(ToString::to_string);
        got.sort_by_key(ToString::to_string);
        if wanted != got {
            let extra: Vec<&Value> = got.iter().filter(|line| !wanted.contains(line)).collect();
            let missing: Vec<&Value> = wanted.iter().filter(|line| !got.contains(line)).collect();
            self.say(format!(
                "lines {} of {}: extra {extra:?}, missing {missing:?}",
                got.len(),
                wanted.len()
            ));
            return;
        }
        let of_main = self.ours.rows_of(copy, &own);
        let sum = total(&lines::rows(theirs), theirs) + total(&of_main, copy);
        if decimal(&copy["sum"]) != sum {
            self.say(format!("main's sum is {} and shall be {sum}", copy["sum"]));
        }
    }
}

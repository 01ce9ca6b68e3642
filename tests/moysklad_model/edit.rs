//! Edits, said in words that are the same in every run, and what a person does to make them.

use super::book::{Own, Slot};
use super::expect::accepts;
use super::profiles::OWN_PRICE;
use super::world::World;
use crate::support::moysklad::Person;
use hookgate::simulate::moysklad::Refused;
use reqwest::Method;
use serde::Serialize;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// Fields of a body: plain ones as they are, references by number or name.
pub type Fields = Map<String, Value>;

/// Why an edit had no effect.
#[derive(Debug)]
struct NotDone(String);

impl NotDone {
    fn missing() -> Self {
        Self("not there".to_owned())
    }
}

impl From<Refused> for NotDone {
    fn from(refused: Refused) -> Self {
        Self(format!("refused {}/{}", refused.status, refused.code))
    }
}

/// One thing that somebody does. Entities of main are told by kind and number, in the order of their creation.
#[derive(Debug, Clone, Serialize)]
pub enum Edit {
    /// One notification, however many there are.
    Create(&'static str, Vec<Fields>),
    Update(&'static str, Vec<(usize, Fields)>),
    Delete(&'static str, Vec<usize>),
    /// Takes a part out of a bundle, by its place among them.
    DropComponent(usize, usize),
    /// A child makes by hand what main is about to make.
    Twin(usize, Fields),
    /// A child sets what main does not have.
    Touch {
        child: usize,
        kind: &'static str,
        slot: usize,
        field: &'static str,
        value: Value,
    },
    /// A child deletes what came from main.
    DeleteSynced(usize, &'static str, usize),
    CreateOwn(usize, &'static str, String),
    ChangeOwn(usize, String),
    DeleteOwn(usize),
    /// The gateway is killed and starts again.
    Crash,
}

impl Edit {
    /// Whether it is about this entity of main.
    pub fn concerns(&self, kind: &str, slot: usize) -> bool {
        match self {
            Self::Update(of, changes) => *of == kind && changes.iter().any(|(n, _)| *n == slot),
            Self::Delete(of, slots) => *of == kind && slots.contains(&slot),
            Self::DropComponent(n, _) => kind == "bundle" && *n == slot,
            Self::Touch { kind: of, slot: n, .. } | Self::DeleteSynced(_, of, n) => *of == kind && *n == slot,
            _ => false,
        }
    }
}

/// An edit that was made, and why it had no effect, if it had none.
pub struct Made {
    pub edit: Edit,
    why: Option<String>,
}

impl std::fmt::Display for Made {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", serde_json::to_string(&self.edit).unwrap_or_default())?;
        self.why.as_ref().map_or(Ok(()), |why| write!(f, " -> {why}"))
    }
}

impl World {
    /// Makes the edit; what is refused, or not there yet, is noted and left.
    pub fn apply(&mut self, edit: Edit) {
        let told = edit.clone();
        let outcome = match edit {
            Edit::Create(kind, bodies) => self.create(kind, &bodies),
            Edit::Update(kind, changes) => self.update(kind, &changes),
            Edit::Delete(kind, slots) => self.delete(kind, &slots),
            Edit::DropComponent(bundle, place) => self.drop_component(bundle, place),
            Edit::Twin(child, fields) => {
                let body = self.body("product", &fields);
                self.book.twins.push((child, body["externalCode"].as_str().unwrap().to_owned()));
                let made = self.sim.person(self.children[child].account).create("product", &body);
                made.map(|_| ()).map_err(NotDone::from)
            }
            Edit::Touch { child, kind, slot, field, value } => self.touch(child, kind, slot, field, value),
            Edit::DeleteSynced(child, kind, slot) => self.delete_synced(child, kind, slot),
            Edit::CreateOwn(child, kind, name) => self.create_own(child, kind, &name),
            Edit::ChangeOwn(n, text) => self.edit_own(n, &text),
            Edit::DeleteOwn(n) => self.delete_own(n),
            Edit::Crash => {
                self.crash();
                Ok(())
            }
        };
        let why = outcome.err().map(|NotDone(why)| why);
        self.log.push(Made { edit: told, why });
    }

    fn person(&self) -> Person<'_> {
        self.sim.person(self.main)
    }

    fn create(&mut self, kind: &'static str, bodies: &[Fields]) -> Result<(), NotDone> {
        let bodies: Vec<Value> = bodies.iter().map(|fields| self.body(kind, fields)).collect();
        let ids = match bodies.as_slice() {
            [body] => vec![self.person().create(kind, body)?],
            bodies => self.person().create_many(kind, bodies)?,
        };
        for id in ids {
            self.note_created(kind, id);
        }
        Ok(())
    }

    /// Takes a new entity of main into the book.
    pub fn note_created(&mut self, kind: &'static str, id: Uuid) {
        let slot = Slot { id, alive: true, codes: Vec::new(), article: None, accepted: Vec::new() };
        self.book.of_mut(kind).push(slot);
        self.note_edited(kind, self.book.of(kind).len() - 1);
    }

    fn note_edited(&mut self, kind: &'static str, n: usize) {
        let shown = self.sim.entity(self.main, self.book.of(kind)[n].id, &[]).unwrap();
        let now: Vec<bool> = self
            .children
            .iter()
            .map(|child| accepts(&self.sim, self.main, child.profile.filter, &shown))
            .collect();
        let slot = &mut self.book.of_mut(kind)[n];
        let code = shown["externalCode"].as_str().unwrap().to_owned();
        if slot.codes.last() != Some(&code) {
            slot.codes.push(code);
        }
        slot.article = shown["article"].as_str().map(str::to_owned);
        let before = |child: usize| slot.accepted.get(child).is_some_and(|(_, ever)| *ever);
        slot.accepted = now.iter().enumerate().map(|(child, now)| (*now, *now || before(child))).collect();
    }

    fn update(&mut self, kind: &'static str, changes: &[(usize, Fields)]) -> Result<(), NotDone> {
        let mut bodies: Vec<(Uuid, Value)> =
            changes.iter().map(|(n, fields)| (self.book.of(kind)[*n].id, self.body(kind, fields))).collect();
        if let [(id, body)] = bodies.as_slice() {
            self.person().update(kind, *id, body)?;
        } else {
            bodies.sort_by_key(|one| one.0);
            bodies.dedup_by_key(|one| one.0);
            self.person().update_many(kind, &bodies)?;
        }
        for (n, _) in changes {
            self.note_edited(kind, *n);
        }
        if kind == "productfolder" {
            self.note_moved();
        }
        Ok(())
    }

    /// A folder that moves takes what stands in it in or out of a filter, and nobody tells of that.
    fn note_moved(&mut self) {
        for kind in ["product", "service", "bundle"] {
            for n in self.book.alive(kind) {
                let shown = self.sim.entity(self.main, self.book.of(kind)[n].id, &[]).unwrap();
                for child in 0..self.children.len() {
                    let filter = self.children[child].profile.filter;
                    if accepts(&self.sim, self.main, filter, &shown) {
                        self.book.of_mut(kind)[n].accepted[child].1 = true;
                    }
                }
            }
        }
    }

    fn delete(&mut self, kind: &'static str, slots: &[usize]) -> Result<(), NotDone> {
        let ids: Vec<Uuid> = slots.iter().map(|n| self.book.of(kind)[*n].id).collect();
        match ids.as_slice() {
            [id] => self.person().delete(kind, *id)?,
            ids => self.person().delete_many(kind, ids)?,
        }
        for n in slots {
            let slot = &mut self.book.of_mut(kind)[*n];
            slot.alive = self.sim.entity(self.main, slot.id, &[]).is_some();
        }
        Ok(())
    }

    fn drop_component(&mut self, bundle: usize, place: usize) -> Result<(), NotDone> {
        let id = self.book.of("bundle")[bundle].id;
        let shown = self.sim.entity(self.main, id, &["components"]).ok_or(NotDone::missing())?;
        let rows = shown["components"]["rows"].as_array().unwrap();
        let part = json!([{"meta": rows[place % rows.len()]["meta"]}]);
        let path = format!("/entity/bundle/{id}/components/delete");
        self.person().request(&Method::POST, &path, &part)?;
        Ok(())
    }

    /// The child's counterpart of an entity of main, if it is there under its present external code.
    fn counterpart(&self, child: usize, kind: &'static str, slot: usize) -> Result<Uuid, NotDone> {
        let slot = &self.book.of(kind)[slot];
        let code = slot.codes.last().unwrap();
        let found = self.sim.find(self.children[child].account, kind, "externalCode", code);
        found.filter(|_| slot.alive).ok_or(NotDone::missing())
    }

    fn touch(
        &mut self,
        child: usize,
        kind: &'static str,
        slot: usize,
        field: &'static str,
        value: Value,
    ) -> Result<(), NotDone> {
        let id = self.counterpart(child, kind, slot)?;
        let Self { sim, children, .. } = self;
        let account = children[child].account;
        let body = match field {
            "note" => {
                let mut attribute = sim.attribute_reference("product", children[child].note);
                attribute["value"] = value.clone();
                json!({"attributes": [attribute]})
            }
            "own" => {
                let price_type = sim.reference(account, "pricetype", sim.price_type(account, OWN_PRICE));
                json!({"salePrices": [{"value": value, "priceType": price_type}]})
            }
            _ => json!({"minimumBalance": value}),
        };
        sim.person(account).update(kind, id, &body)?;
        self.kept.entry((child, id)).or_default().insert(field, value);
        Ok(())
    }

    fn delete_synced(&mut self, child: usize, kind: &'static str, slot: usize) -> Result<(), NotDone> {
        let id = self.counterpart(child, kind, slot)?;
        self.sim.person(self.children[child].account).delete(kind, id)?;
        self.kept.remove(&(child, id));
        Ok(())
    }

    fn create_own(&mut self, child: usize, kind: &'static str, name: &str) -> Result<(), NotDone> {
        let account = self.children[child].account;
        let body = json!({"name": name, "externalCode": name, "description": "ours"});
        let id = self.sim.person(account).create(kind, &body)?;
        self.owned.insert((child, id), self.sim.entity(account, id, &[]).unwrap());
        self.book.own.push(Own { child, kind, id: Some(id) });
        Ok(())
    }

    fn edit_own(&mut self, n: usize, text: &str) -> Result<(), NotDone> {
        let Own { child, kind, id } = self.book.own[n];
        let id = id.ok_or(NotDone::missing())?;
        let account = self.children[child].account;
        self.sim.person(account).update(kind, id, &json!({"description": text}))?;
        self.owned.insert((child, id), self.sim.entity(account, id, &[]).unwrap());
        Ok(())
    }

    fn delete_own(&mut self, n: usize) -> Result<(), NotDone> {
        let Own { child, kind, id } = self.book.own[n];
        let id = id.ok_or(NotDone::missing())?;
        self.sim.person(self.children[child].account).delete(kind, id)?;
        self.owned.remove(&(child, id));
        self.book.own[n].id = None;
        Ok(())
    }

    /// The body of a request in main.
    fn body(&self, kind: &str, fields: &Fields) -> Value {
        let mut body = json!({});
        let (mut prices, mut attributes) = (Vec::new(), Vec::new());
        for (name, value) in fields {
            if let Some(price_type) = name.strip_prefix("price/") {
                let mut price = self.money(value);
                let id = self.sim.price_type(self.main, price_type);
                price["priceType"] = self.sim.reference(self.main, "pricetype", id);
                prices.push(price);
            } else if let Some(attribute) = name.strip_prefix("attribute/") {
                let mut one = self.sim.attribute_reference("product", self.attributes[attribute]);
                one["value"] = match (attribute, value) {
                    ("Fabric", Value::String(fabric)) => {
                        self.sim.reference(self.main, "customentity", self.fabrics[&**fabric])
                    }
                    _ => value.clone(),
                };
                attributes.push(one);
            } else {
                self.field(kind, name, value, &mut body);
            }
        }
        if !prices.is_empty() {
            body["salePrices"] = prices.into();
        }
        if !attributes.is_empty() {
            body["attributes"] = attributes.into();
        }
        body
    }

    fn field(&self, kind: &str, name: &str, value: &Value, body: &mut Value) {
        match name {
            "buyPrice" | "minPrice" => body[name] = self.money(value),
            "vat" => {
                for (place, name) in ["useParentVat", "vatEnabled", "vat"].iter().enumerate() {
                    body[*name] = value[place].clone();
                }
            }
            "uom" => body[name] = self.unit(value),
            "country" => {
                body[name] = match value.as_str() {
                    Some(code) => {
                        let id = self.sim.id_by(self.main, "country", "code", code);
                        self.sim.reference(self.main, "country", id)
                    }
                    None => Value::Null,
                }
            }
            "packs" => {
                let pack = |pack: &Value| json!({"uom": self.unit(&pack[0]), "quantity": pack[1], "barcodes": pack[2]});
                body[name] = value.as_array().unwrap().iter().map(pack).collect();
            }
            "folder" => body["productFolder"] = self.slot("productfolder", value),
            "product" => body[name] = self.slot("product", value),
            "components" => {
                let part = |part: &Value| {
                    let kind =
                        ["product", "service", "variant"].into_iter().find(|kind| part[0] == **kind).unwrap();
                    json!({"assortment": self.slot(kind, &part[1]), "quantity": part[2]})
                };
                body[name] = value.as_array().unwrap().iter().map(part).collect();
            }
            "characteristics" => {
                // A person at the web interface makes them as needed.
                for one in value.as_array().unwrap() {
                    let _ = self.person().add_characteristic(one["name"].as_str().unwrap());
                }
                body[name] = value.clone();
            }
            _ => body[name] = value.clone(),
        }
        debug_assert!(kind != "variant" || name != "folder");
    }

    fn money(&self, value: &Value) -> Value {
        let currency = self.sim.currency(self.main, value[1].as_str().unwrap());
        json!({"value": value[0], "currency": self.sim.reference(self.main, "currency", currency)})
    }

    fn unit(&self, name: &Value) -> Value {
        match name.as_str() {
            Some(name) => {
                let id = self.sim.id_by(self.main, "uom", "name", name);
                self.sim.reference(self.main, "uom", id)
            }
            None => Value::Null,
        }
    }

    fn slot(&self, kind: &'static str, n: &Value) -> Value {
        match n.as_u64() {
            Some(n) => {
                let id = self.book.of(kind)[usize::try_from(n).unwrap()].id;
                self.sim.reference(self.main, kind, id)
            }
            None => Value::Null,
        }
    }
}

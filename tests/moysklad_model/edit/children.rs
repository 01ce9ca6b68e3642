//! What people of a child do to its catalogue.

use super::super::book::Own;
use super::super::profiles::OWN_PRICE;
use super::super::world::World;
use super::NotDone;
use serde_json::{Value, json};
use uuid::Uuid;

impl World {
    /// The child's counterpart of an entity of main, if it is there under its present external code.
    fn counterpart(&self, child: usize, kind: &'static str, slot: usize) -> Result<Uuid, NotDone> {
        let slot = &self.book.of(kind)[slot];
        let code = slot.codes.last().unwrap();
        let found = self.sim.find(self.children[child].account, kind, "externalCode", code);
        found.filter(|_| slot.alive).ok_or(NotDone::missing())
    }

    pub(super) fn touch(
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

    pub(super) fn delete_synced(
        &mut self,
        child: usize,
        kind: &'static str,
        slot: usize,
    ) -> Result<(), NotDone> {
        let id = self.counterpart(child, kind, slot)?;
        self.sim.person(self.children[child].account).delete(kind, id)?;
        self.kept.remove(&(child, id));
        Ok(())
    }

    pub(super) fn create_own(&mut self, child: usize, kind: &'static str, name: &str) -> Result<(), NotDone> {
        let account = self.children[child].account;
        let body = json!({"name": name, "externalCode": name, "description": "ours"});
        let id = self.sim.person(account).create(kind, &body)?;
        self.owned.insert((child, id), self.sim.entity(account, id, &[]).unwrap());
        self.book.own.push(Own { child, kind, id: Some(id) });
        Ok(())
    }

    pub(super) fn edit_own(&mut self, n: usize, text: &str) -> Result<(), NotDone> {
        let Own { child, kind, id } = self.book.own[n];
        let id = id.ok_or(NotDone::missing())?;
        let account = self.children[child].account;
        self.sim.person(account).update(kind, id, &json!({"description": text}))?;
        self.owned.insert((child, id), self.sim.entity(account, id, &[]).unwrap());
        Ok(())
    }

    pub(super) fn delete_own(&mut self, n: usize) -> Result<(), NotDone> {
        let Own { child, kind, id } = self.book.own[n];
        let id = id.ok_or(NotDone::missing())?;
        self.sim.person(self.children[child].account).delete(kind, id)?;
        self.owned.remove(&(child, id));
        self.book.own[n].id = None;
        Ok(())
    }
}

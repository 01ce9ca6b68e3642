//! What people of main do to its catalogue.

use super::super::book::Slot;
use super::super::expect::accepts;
use super::super::world::World;
use super::{Fields, NotDone};
use crate::support::moysklad::Person;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

impl World {
    pub(super) fn person(&self) -> Person<'_> {
        self.sim.person(self.main)
    }

    pub(super) fn create(&mut self, kind: &'static str, bodies: &[Fields]) -> Result<(), NotDone> {
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
        let slot = Slot {
            id,
            alive: true,
            codes: Vec::new(),
            article: None,
            accepted: Vec::new(),
            sold: false,
            packed: false,
            recomposed: false,
        };
        self.book.of_mut(kind).push(slot);
        self.note_edited(kind, self.book.of(kind).len() - 1);
        // Documents that sell what it was before may go on with it.
        let slots = self.book.of(kind);
        let code = slots.last().and_then(|slot| slot.codes.last());
        let sold = slots.iter().any(|slot| slot.sold && code.is_some_and(|code| slot.codes.contains(code)));
        self.book.of_mut(kind).last_mut().unwrap().sold = sold;
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

    pub(super) fn update(&mut self, kind: &'static str, changes: &[(usize, Fields)]) -> Result<(), NotDone> {
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

    pub(super) fn delete(&mut self, kind: &'static str, slots: &[usize]) -> Result<(), NotDone> {
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

    pub(super) fn drop_component(&mut self, bundle: usize, place: usize) -> Result<(), NotDone> {
        let id = self.book.of("bundle")[bundle].id;
        let shown = self.sim.entity(self.main, id, &["components"]).ok_or(NotDone::missing())?;
        let rows = shown["components"]["rows"].as_array().unwrap();
        let part = json!([{"meta": rows[place % rows.len()]["meta"]}]);
        let path = format!("/entity/bundle/{id}/components/delete");
        self.person().request(&Method::POST, &path, &part)?;
        Ok(())
    }
}

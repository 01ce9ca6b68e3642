//! What people do to documents: a child's to its own, main's to the copies that it has of them.

use super::super::papers::{Sheet, tag_of};
use super::super::profiles::CUSTOMERS;
use super::super::world::World;
use super::{Fields, NotDone};
use reqwest::Method;
use serde::Serialize;
use serde_json::{Value, json};
use uuid::Uuid;

/// What a line sells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Sold {
    /// The child's counterpart of an entity of main.
    Slot(&'static str, usize),
    /// Something of the child's own.
    Own(usize),
}

/// A line of a child's document.
#[derive(Debug, Clone, Serialize)]
pub struct Line {
    pub sold: Sold,
    pub fields: Fields,
}

/// What is done to one document.
#[derive(Debug, Clone, Serialize)]
pub enum OrderEdit {
    Make {
        child: usize,
        kind: &'static str,
        header: Fields,
        lines: Vec<Line>,
    },
    Header(Fields),
    Add(Vec<Line>),
    /// Lines by their place among them.
    Drop(usize),
    Line(usize, Fields),
    /// Every line gets this price, and more from line to line.
    Reprice(u32),
    /// Other lines in the place of all.
    Replace(Vec<Line>),
    State(&'static str),
    Delete {
        to_bin: bool,
    },
    /// In main.
    MainState(&'static str),
    MainLine(Fields),
    MainDelete,
}

impl World {
    pub(super) fn edit_order(&mut self, n: usize, edit: &OrderEdit) -> Result<(), NotDone> {
        if let OrderEdit::Make { child, kind, header, lines } = edit {
            return self.make_order(n, (*child, kind), header, lines);
        }
        let sheet = self.sheets.get(n).and_then(Option::as_ref).ok_or(NotDone::missing())?;
        let (account, kind, id) = (self.children[sheet.child].account, sheet.kind, sheet.id);
        let copy = self.copies(n).first().copied();
        let shown = || {
            let mut shown = self.sim.entity(account, id, &["positions"]).unwrap_or_default();
            shown["updated"] = Value::Null;
            shown
        };
        let before = shown();
        let person = self.sim.person(account);
        let path = format!("/entity/{kind}/{id}/positions");
        match edit {
            OrderEdit::Make { .. } => {}
            OrderEdit::Header(fields) => {
                person.update(kind, id, &self.header_body(n, sheet.child, fields))?;
            }
            OrderEdit::Add(lines) => {
                let lines = self.line_bodies(sheet.child, lines);
                person.request(&Method::POST, &path, &lines)?;
            }
            OrderEdit::Drop(place) => {
                let line = self.line_at(account, id, *place)?;
                person.request(&Method::DELETE, &format!("{path}/{line}"), &Value::Null)?;
            }
            OrderEdit::Line(place, fields) => {
                let line = self.line_at(account, id, *place)?;
                person.request(&Method::PUT, &format!("{path}/{line}"), &numbers(fields))?;
            }
            OrderEdit::Reprice(from) => {
                let mut rows = self.rows(account, id);
                for (row, price) in rows.iter_mut().zip(*from..) {
                    row["price"] = price.into();
                }
                person.update(kind, id, &json!({ "positions": rows }))?;
            }
            OrderEdit::Replace(lines) => {
                let lines = self.line_bodies(sheet.child, lines);
                person.update(kind, id, &json!({ "positions": lines }))?;
            }
            OrderEdit::State(name) => {
                let body = self.state_body(account, kind, name);
                person.update(kind, id, &body)?;
            }
            OrderEdit::Delete { to_bin: true } => {
                person.request(&Method::POST, &format!("/entity/{kind}/{id}/trash"), &Value::Null)?;
            }
            OrderEdit::Delete { to_bin: false } => person.delete(kind, id)?,
            OrderEdit::MainState(_) | OrderEdit::MainLine(_) | OrderEdit::MainDelete => {
                return self.edit_copy(n, copy.ok_or(NotDone::missing())?, edit);
            }
        }
        let is_changed = shown() != before;
        let sheet = self.sheets[n].as_mut().unwrap();
        sheet.look(copy);
        if let OrderEdit::State(name) = edit {
            sheet.states.push(name);
        }
        if is_changed {
            sheet.copy_deleted = false;
        }
        Ok(())
    }

    fn make_order(
        &mut self,
        n: usize,
        (child, kind): (usize, &'static str),
        header: &Fields,
        lines: &[Line],
    ) -> Result<(), NotDone> {
        let account = self.children[child].account;
        let mut body = self.header_body(n, child, header);
        body["description"] = tag_of(n).into();
        body["organization"] =
            self.sim.reference(account, "organization", self.sim.first(account, "organization"));
        body["positions"] = self.line_bodies(child, lines);
        if n.is_multiple_of(3) {
            body["state"] = self.state_body(account, kind, "Подтвержден")["state"].take();
        }
        let id = self.sim.person(account).create(kind, &body)?;
        self.sheets.resize(self.sheets.len().max(n + 1), None);
        let first = if n.is_multiple_of(3) { "Подтвержден" } else { "Новый" };
        self.sheets[n] = Some(Sheet::new(child, kind, id, first));
        Ok(())
    }

    /// What main's people do to the copy.
    fn edit_copy(&mut self, n: usize, copy: Uuid, edit: &OrderEdit) -> Result<(), NotDone> {
        let person = self.sim.person(self.main);
        match edit {
            OrderEdit::MainState(name) => {
                person.update("customerorder", copy, &self.state_body(self.main, "customerorder", name))?;
            }
            OrderEdit::MainLine(fields) => {
                let mut line = numbers(fields);
                line["assortment"] = self.sim.reference(self.main, "service", self.book.of("service")[0].id);
                person.request(&Method::POST, &format!("/entity/customerorder/{copy}/positions"), &line)?;
            }
            _ => person.delete("customerorder", copy)?,
        }
        let sheet = self.sheets[n].as_mut().unwrap();
        sheet.look(Some(copy));
        match edit {
            OrderEdit::MainState(name) => sheet.main_states.push(name),
            OrderEdit::MainLine(_) => sheet.main_lines += 1,
            _ => sheet.delete_copy(),
        }
        Ok(())
    }

    fn state_body(&self, account: Uuid, kind: &str, name: &str) -> Value {
        let state = self.sim.state(account, kind, name).unwrap();
        json!({"state": self.sim.state_reference(kind, state)})
    }

    /// The header in words, as a body of the child.
    fn header_body(&self, n: usize, child: usize, fields: &Fields) -> Value {
        let account = self.children[child].account;
        let mut body = json!({});
        for (name, value) in fields {
            match &**name {
                "note" => body["description"] = format!("{} {}", tag_of(n), value.as_str().unwrap()).into(),
                "vat" => {
                    body["vatEnabled"] = value[0].clone();
                    body["vatIncluded"] = value[1].clone();
                }
                "currency" => {
                    let own = self.children[child].profile.currencies[0];
                    let iso_code = value.as_str().filter(|iso_code| *iso_code != "own").unwrap_or(own);
                    let currency = self.sim.find(account, "currency", "isoCode", iso_code);
                    let currency = currency.unwrap_or_else(|| self.sim.currency(account, own));
                    body["rate"] = json!({"currency": self.sim.reference(account, "currency", currency)});
                }
                "customer" => {
                    let name = CUSTOMERS.get(usize::try_from(value.as_u64().unwrap()).unwrap());
                    body["agent"] = match name {
                        Some(customer) => {
                            let id = self.sim.id_by(account, "counterparty", "code", customer.0);
                            self.sim.reference(account, "counterparty", id)
                        }
                        // The child itself.
                        None => self.sim.reference(
                            account,
                            "organization",
                            self.sim.first(account, "organization"),
                        ),
                    };
                }
                _ => body[&**name] = value.clone(),
            }
        }
        body
    }

    /// Lines as a body of the child, without those whose goods it does not have (yet).
    fn line_bodies(&self, child: usize, lines: &[Line]) -> Value {
        let account = self.children[child].account;
        let one = |line: &Line| {
            let (kind, id) = self.goods(child, line.sold)?;
            let mut body = numbers(&line.fields);
            body["assortment"] = self.sim.reference(account, kind, id);
            if line.fields.contains_key("pack") {
                let packs = &self.sim.entity(account, id, &[])?["packs"];
                if let Some(pack) = packs.as_array().and_then(|packs| packs.first()) {
                    body["pack"] = json!({"id": pack["id"]});
                }
            }
            Some(body)
        };
        lines.iter().filter_map(one).collect()
    }

    fn goods(&self, child: usize, sold: Sold) -> Option<(&'static str, Uuid)> {
        let (kind, n) = match sold {
            Sold::Own(n) => return self.book.own[n].id.map(|id| (self.book.own[n].kind, id)),
            Sold::Slot(kind, n) => (kind, n),
        };
        let code = self.book.of(kind)[n].codes.last()?;
        let mut found = self.sim.entities(self.children[child].account, kind);
        found.retain(|entity| entity["externalCode"] == **code);
        found.sort_by_key(|entity| entity["archived"] == true);
        Some((kind, found.first()?["id"].as_str()?.parse().ok()?))
    }

    fn rows(&self, account: Uuid, document: Uuid) -> Vec<Value> {
        let shown = self.sim.entity(account, document, &["positions"]).unwrap_or_default();
        shown["positions"]["rows"].as_array().cloned().unwrap_or_default()
    }

    fn line_at(&self, account: Uuid, document: Uuid, place: usize) -> Result<String, NotDone> {
        let rows = self.rows(account, document);
        let row = rows.get(place % rows.len().max(1)).ok_or(NotDone::missing())?;
        Ok(row["id"].as_str().unwrap().to_owned())
    }
}

/// The numbers of a line, as a body.
fn numbers(fields: &Fields) -> Value {
    let mut body = json!({});
    for (name, value) in fields {
        match &**name {
            "vat" => {
                body["vat"] = value[0].clone();
                body["vatEnabled"] = value[1].clone();
            }
            "pack" => {}
            name => body[name] = value.clone(),
        }
    }
    body
}

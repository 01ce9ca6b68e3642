//! What is done to documents next.

use super::super::book::Paper;
use super::super::edit::{Edit, Fields, Line, OrderEdit, Sold};
use super::super::profiles::{CHILD_STATES, MAIN_STATES};
use super::Draw;
use rand::RngExt as _;
use serde_json::{Value, json};

impl Draw<'_> {
    pub(super) fn order(&mut self) -> Vec<Edit> {
        let alive = |(n, paper): (usize, &Paper)| paper.alive.then_some(n);
        let alive: Vec<usize> = self.book.papers.iter().enumerate().filter_map(alive).collect();
        if alive.len() < 4 || self.chance(0.3) {
            return self.make();
        }
        let n = self.of(&alive);
        let paper = self.book.papers[n];
        let edit = match self.rng.random_range(0..100) {
            0..60 => self.reworked(paper),
            60..74 => OrderEdit::State(self.of(&CHILD_STATES)),
            74..82 => {
                self.book.papers[n].alive = false;
                OrderEdit::Delete { to_bin: self.chance(0.3) }
            }
            _ if paper.left_to_main == 0 => return Vec::new(),
            _ => {
                self.book.papers[n].left_to_main -= 1;
                match self.rng.random_range(0..10) {
                    0..7 => OrderEdit::MainState(self.of(&MAIN_STATES)),
                    7..9 => OrderEdit::MainLine(self.numbers(true, true)),
                    _ => OrderEdit::MainDelete,
                }
            }
        };
        vec![Edit::Order(n, edit)]
    }

    /// A new document; people save some of them early, and put the lines in with the second save.
    fn make(&mut self) -> Vec<Edit> {
        let child = self.rng.random_range(0..self.takes_all.len());
        let kinds = ["customerorder", "customerorder", "customerorder", "retaildemand", "purchaseorder"];
        let kind = self.of(&kinds);
        let n = self.book.papers.len();
        self.book.papers.push(Paper { child, kind, alive: true, left_to_main: 2 });
        let mut header = Fields::new();
        header.insert("applicable".to_owned(), self.chance(0.85).into());
        header.insert("currency".to_owned(), self.currency());
        header.insert("customer".to_owned(), self.rng.random_range(0..5).into());
        for _ in 0..self.rng.random_range(0..4) {
            self.header(kind, &mut header);
        }
        let lines = self.lines(child, kind);
        let make = |lines| Edit::Order(n, OrderEdit::Make { child, kind, header, lines });
        if self.chance(0.3) {
            vec![make(Vec::new()), Edit::Order(n, OrderEdit::Replace(lines))]
        } else {
            vec![make(lines)]
        }
    }

    /// Another header or other lines.
    fn reworked(&mut self, paper: Paper) -> OrderEdit {
        let Paper { child, kind, .. } = paper;
        let place = self.rng.random_range(0..50);
        match self.rng.random_range(0..20) {
            0..4 => {
                let mut fields = Fields::new();
                for _ in 0..self.rng.random_range(1..3) {
                    self.header(kind, &mut fields);
                }
                OrderEdit::Header(fields)
            }
            4..6 => {
                OrderEdit::Header(Fields::from_iter([("applicable".to_owned(), self.chance(0.6).into())]))
            }
            6..10 => OrderEdit::Add(self.lines(child, kind)),
            10..12 => OrderEdit::Drop(place),
            12..16 => {
                let mut fields = self.numbers(false, kind == "customerorder");
                let keep = self.rng.random_range(0..fields.len());
                let name = fields.keys().nth(keep).cloned();
                fields.retain(|field, _| Some(field) == name.as_ref() || field == "quantity");
                OrderEdit::Line(place, fields)
            }
            16..18 => OrderEdit::Reprice(self.rng.random_range(1..200_000)),
            _ => OrderEdit::Replace(self.lines(child, kind)),
        }
    }

    fn header(&mut self, kind: &str, fields: &mut Fields) {
        let n = self.book.next();
        let mut names = vec!["note", "note", "vat", "moment", "customer", "currency"];
        if kind != "retaildemand" {
            names.push("deliveryPlannedMoment");
        }
        if kind == "customerorder" {
            names.push("shipmentAddress");
        }
        let name = self.of(&names);
        let time = format!("2026-11-{:02} {:02}:{:02}:17", n % 28 + 1, n % 24, n % 60);
        let value = match name {
            "note" => format!("text {n}").into(),
            "vat" => self
                .of(&[json!([false, false]), json!([true, true]), json!([true, false])].each_ref())
                .clone(),
            "customer" => self.rng.random_range(0..5).into(),
            "currency" => self.currency(),
            "shipmentAddress" if self.chance(0.3) => "".into(),
            "shipmentAddress" => format!("Street {n}").into(),
            "deliveryPlannedMoment" if self.chance(0.3) => Value::Null,
            _ => time.into(),
        };
        fields.insert(name.to_owned(), value);
    }

    fn currency(&mut self) -> Value {
        self.of(&["RUB", "RUB", "RUB", "RUB", "RUB", "RUB", "USD", "own"]).into()
    }

    fn lines(&mut self, child: usize, kind: &str) -> Vec<Line> {
        // More than are changed one by one.
        let count =
            if self.chance(0.05) { self.rng.random_range(22..40) } else { self.rng.random_range(1..5) };
        (0..count).filter_map(|_| self.line(child, kind)).collect()
    }

    fn line(&mut self, child: usize, kind: &str) -> Option<Line> {
        let (sold, is_whole) = self.sold(child)?;
        let mut fields = self.numbers(is_whole, kind == "customerorder");
        if let Sold::Slot("product", n) = sold
            && self.chance(0.3)
        {
            self.book.of_mut("product")[n].packed = true;
            fields.insert("pack".to_owned(), true.into());
        }
        Some(Line { sold, fields })
    }

    /// Something to sell, and whether only in whole pieces.
    fn sold(&mut self, child: usize) -> Option<(Sold, bool)> {
        if self.chance(0.06) {
            let goods = |(n, own): (usize, &super::super::book::Own)| {
                (own.child == child && own.kind != "productfolder").then_some(n)
            };
            let own: Vec<usize> = self.book.own.iter().enumerate().filter_map(goods).collect();
            return (!own.is_empty()).then(|| (Sold::Own(self.of(&own)), true));
        }
        let kind = self.of(&["product", "product", "product", "variant", "variant", "service", "bundle"]);
        // What main has deleted a child may still have to sell.
        let mut slots = if self.chance(0.04) { self.book.dead(kind) } else { self.book.alive(kind) };
        let slot = |n: &usize| &self.book.of(kind)[*n];
        // The first service is main's own, for lines that people of main add.
        slots.retain(|n| (kind, *n) != ("service", 0) && (slot(n).sold || !slot(n).recomposed));
        if slots.is_empty() {
            return None;
        }
        // What is old is more likely to be there.
        let n = self.of(&slots).min(self.of(&slots));
        self.book.of_mut(kind)[n].sold = true;
        Some((Sold::Slot(kind, n), kind == "bundle"))
    }

    /// The numbers of a line; `reserves`: it may hold a reserve.
    fn numbers(&mut self, is_whole: bool, reserves: bool) -> Fields {
        let quantity = if is_whole {
            json!(self.rng.random_range(1..9))
        } else {
            json!(self.of(&[1.0, 3.0, 0.5, 1.333, 2.25, 12.0]))
        };
        let price = match self.rng.random_range(0..6) {
            0 => json!(12345.5),
            1 => json!(33.3333),
            2 => json!(0),
            _ => json!(self.rng.random_range(1..1_000_000)),
        };
        let vat = self.of(&[(0, false), (0, true), (10, true), (20, true)]);
        let mut fields = Fields::new();
        if reserves && self.chance(0.4) {
            fields.insert("reserve".to_owned(), if self.chance(0.3) { json!(0) } else { quantity.clone() });
        }
        fields.insert("quantity".to_owned(), quantity);
        fields.insert("price".to_owned(), price);
        fields.insert("discount".to_owned(), json!(self.of(&[0.0, 0.0, 10.0, 12.5, 33.33, 100.0, -7.0])));
        fields.insert("vat".to_owned(), json!(vat));
        fields
    }
}

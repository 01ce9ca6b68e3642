//! Lines of documents: a child's, said in main's words.

use super::super::api::id_of;
use super::super::compare::holds;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// What a line sells: its type in the API (`product`, `variant`, …) and its id in the account of the line.
pub(super) type Item = (String, Uuid);

/// Numbers of a line that cross over as they are written.
const NUMBERS: [&str; 4] = ["quantity", "price", "discount", "vat"];

/// What a line sells, and the package it is sold in, by ids of its account.
pub(super) fn item(position: &Value) -> Option<(Item, Option<Uuid>)> {
    let kind = position["assortment"]["meta"]["type"].as_str()?;
    let pack = position["pack"]["id"].as_str().and_then(|id| id.parse().ok());
    Some(((kind.to_owned(), id_of(&position["assortment"])?), pack))
}

/// Id of a line.
pub(super) fn id(position: &Value) -> Option<Uuid> {
    position["id"].as_str()?.parse().ok()
}

/// What main knows of the child's goods.
#[derive(Debug, Default)]
pub(super) struct Words {
    /// Ids in main.
    pub(super) items: BTreeMap<Item, Uuid>,
    /// Packages in main by item and package of the child.
    pub(super) packs: BTreeMap<(Item, Uuid), Uuid>,
}

/// Why a document waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Missing {
    /// How many lines cannot be said in main's words.
    pub(super) lines: usize,
    /// Of how many.
    pub(super) of: usize,
    /// What they sell, by ids of the child.
    pub(super) items: BTreeSet<Item>,
    /// Their packages that main's goods lack.
    pub(super) packs: BTreeSet<Item>,
}

impl Missing {
    /// For operators: how many lines, and what in the child has no counterpart.
    pub(super) fn reason(&self) -> String {
        let named = |items: &BTreeSet<Item>| {
            let mut names: Vec<String> =
                items.iter().take(20).map(|(kind, id)| format!("{kind} {id}")).collect();
            if items.len() > 20 {
                names.push(format!("and {} more", items.len() - 20));
            }
            names.join(", ")
        };
        let mut reasons = Vec::new();
        if !self.items.is_empty() {
            reasons.push(format!("no counterpart in main: {}", named(&self.items)));
        }
        if !self.packs.is_empty() {
            reasons.push(format!("main's goods lack the package: {}", named(&self.packs)));
        }
        format!("held: {} of {} lines cannot cross over; {}", self.lines, self.of, reasons.join("; "))
    }
}

/// A line of main as it shall be.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Wanted {
    /// The child's line that it comes from.
    pub(super) child: Uuid,
    /// What is owned of it; `null` is what shall be empty.
    pub(super) fields: Map<String, Value>,
}

impl Wanted {
    /// Body that makes a new line.
    pub(super) fn create(&self) -> Value {
        let fields = self.fields.iter().filter(|(_, value)| !value.is_null());
        Value::Object(fields.map(|(name, value)| (name.clone(), value.clone())).collect())
    }

    /// Body that makes an existing line so.
    pub(super) fn update(&self) -> Value {
        Value::Object(self.fields.clone())
    }

    /// Whether the line of main sells the same.
    pub(super) fn sells_what(&self, position: &Value) -> bool {
        id_of(&self.fields["assortment"]) == id_of(&position["assortment"])
    }

    /// Whether the line of main is so already.
    pub(super) fn is_held_by(&self, position: &Value) -> bool {
        holds(&self.fields, position)
    }
}

/// Says the lines of a child's document in main's words; `reserves`: reserves cross over too. Numbers cross as they are
/// written: no float touches a price.
pub(super) fn translate(
    positions: &[Value],
    words: &Words,
    base: &str,
    reserves: bool,
) -> Result<Vec<Wanted>, Missing> {
    let mut missing =
        Missing { lines: 0, of: positions.len(), items: BTreeSet::new(), packs: BTreeSet::new() };
    let mut wanted = Vec::with_capacity(positions.len());
    for position in positions {
        let Some((child, (sold, pack))) = id(position).zip(item(position)) else {
            missing.lines += 1;
            continue;
        };
        let Some(main) = words.items.get(&sold) else {
            missing.lines += 1;
            missing.items.insert(sold);
            continue;
        };
        let mut fields = Map::new();
        let href = format!("{base}/entity/{}/{main}", sold.0);
        let meta = json!({"meta": {"href": href, "type": sold.0, "mediaType": "application/json"}});
        fields.insert("assortment".to_owned(), meta);
        match pack.map(|pack| words.packs.get(&(sold.clone(), pack))) {
            None => fields.insert("pack".to_owned(), Value::Null),
            Some(Some(pack)) => fields.insert("pack".to_owned(), json!({ "id": pack })),
            Some(None) => {
                missing.lines += 1;
                missing.packs.insert(sold);
                continue;
            }
        };
        for name in NUMBERS {
            fields.insert(name.to_owned(), position.get(name).cloned().unwrap_or_else(|| 0.into()));
        }
        // Zero per cent and "without VAT" differ in this flag alone.
        let with_vat = || !super::amounts::decimal(&position["vat"]).is_none_or(|rate| rate.is_zero());
        let with_vat = position["vatEnabled"].as_bool().unwrap_or_else(with_vat);
        fields.insert("vatEnabled".to_owned(), with_vat.into());
        if reserves {
            let reserve = position.get("reserve").cloned().unwrap_or_else(|| 0.into());
            fields.insert("reserve".to_owned(), reserve);
        }
        wanted.push(Wanted { child, fields });
    }
    if missing.lines == 0 { Ok(wanted) } else { Err(missing) }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const BASE: &str = "https://api.moysklad.ru/api/remap/1.2";

    fn uuid(n: u128) -> Uuid {
        Uuid::from_u128(n)
    }

    pub(in super::super) fn position(id: u128, kind: &str, sold: u128, rest: &str) -> Value {
        serde_json::from_str(&format!(
            r#"{{"id": "{}", "assortment": {{"meta": {{"type": "{kind}", "href": "{BASE}/entity/{kind}/{}"}}}}{rest}}}"#,
            uuid(id),
            uuid(sold),
        ))
        .unwrap()
    }

    fn words() -> Words {
        let items = [("product", 1), ("variant", 2), ("service", 3)];
        let items = items.map(|(kind, n)| ((kind.to_owned(), uuid(n)), uuid(n + 100)));
        let packs = [((("product".to_owned(), uuid(1)), uuid(11)), uuid(111))];
        Words { items: items.into(), packs: packs.into() }
    }

    #[test]
    fn numbers_cross_as_they_are_written_and_ids_do_not() {
        let rest = r#", "quantity": 2.50, "price": 99.9999999999999999, "discount": -12.5, "vat": 20, "vatEnabled": true,
            "reserve": 1.0, "shipped": 7.0, "pack": {"id": "00000000-0000-0000-0000-00000000000b"}"#;
        let wanted = translate(&[position(50, "product", 1, rest)], &words(), BASE, true).unwrap();
        assert_eq!(wanted[0].child, uuid(50));
        let text = wanted[0].create().to_string();
        for part in ["99.9999999999999999", "2.50", "-12.5", "\"vat\":20", &uuid(101).to_string()] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(wanted[0].fields["pack"]["id"], uuid(111).to_string());
        assert_eq!(wanted[0].fields["reserve"].to_string(), "1.0");
        for part in ["shipped", &uuid(1).to_string(), &uuid(11).to_string(), &uuid(50).to_string()] {
            assert!(!text.contains(part), "{part}: {text}");
        }
    }

    #[test]
    fn what_a_line_lacks_is_emptied_and_zero_per_cent_is_not_without_vat() {
        let lines = [
            position(50, "service", 3, r#", "quantity": 1, "price": 5, "vat": 0, "vatEnabled": true"#),
            position(51, "variant", 2, r#", "quantity": 1, "price": 5, "vat": 0, "vatEnabled": false"#),
        ];
        let wanted = translate(&lines, &words(), BASE, false).unwrap();
        assert_eq!(wanted[0].fields["discount"], 0);
        assert_eq!(wanted[0].fields["pack"], Value::Null);
        assert!(wanted[0].create().get("pack").is_none() && wanted[0].update().get("pack").is_some());
        assert_eq!(wanted[0].fields["vatEnabled"], true);
        assert_eq!(wanted[1].fields["vatEnabled"], false);
        assert!(wanted[0].fields.get("reserve").is_none(), "main's own reserve is left alone");
    }

    #[test]
    fn lines_without_a_counterpart_hold_the_whole_document_and_are_named() {
        let lines = [
            position(50, "product", 1, ""),
            position(51, "product", 7, ""),
            position(52, "product", 7, ""),
            position(53, "consignment", 8, ""),
            position(54, "product", 1, r#", "pack": {"id": "00000000-0000-0000-0000-000000000063"}"#),
            json!({"id": uuid(55)}),
        ];
        let missing = translate(&lines, &words(), BASE, true).unwrap_err();
        let reason = missing.reason();
        assert!(
            reason.starts_with("held: 5 of 6 lines cannot cross over; no counterpart in main: "),
            "{reason}"
        );
        assert!(reason.contains(&format!("consignment {}, product {}", uuid(8), uuid(7))), "{reason}");
        assert!(reason.ends_with(&format!("lack the package: product {}", uuid(1))), "{reason}");
    }

    #[test]
    fn a_line_is_so_already_if_what_we_own_is_equal() {
        let line =
            position(50, "product", 1, r#", "quantity": 2, "price": 100, "vat": 20, "vatEnabled": true"#);
        let wanted = translate(&[line], &words(), BASE, true).unwrap().remove(0);
        let theirs = |rest: &str| position(150, "product", 101, rest);
        let same = r#", "quantity": 2.0, "price": 100.00, "vat": 20, "vatEnabled": true, "shipped": 1.0"#;
        assert!(wanted.is_held_by(&theirs(same)));
        for other in [
            r#", "quantity": 2.0, "price": 100.01, "vat": 20, "vatEnabled": true"#,
            r#", "quantity": 2.0, "price": 100.0, "vat": 20"#,
            r#", "quantity": 2.0, "price": 100.0, "vat": 20, "vatEnabled": true, "discount": 1"#,
            r#", "quantity": 2.0, "price": 100.0, "vat": 20, "vatEnabled": true, "pack": {"id": "x"}"#,
        ] {
            assert!(!wanted.is_held_by(&theirs(other)), "{other}");
        }
        assert!(!wanted.is_held_by(&position(150, "product", 102, same)));
    }
}

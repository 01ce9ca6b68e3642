//! What an order is beside its lines: a child's document, said in main's words.

use super::super::compare::holds;
use super::super::settings::{DocumentKind, OrderSettings};
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use uuid::Uuid;

/// Longest description that MoySklad takes, in characters.
const MAX_DESCRIPTION: usize = 4096;
/// Said in main's order when the child's document is gone.
const DELETED: &str = "[deleted in the child account]";

/// Fields of a child's document that decide what main's order shall be.
const READ: [&str; 12] = [
    "name",
    "description",
    "moment",
    "applicable",
    "vatEnabled",
    "vatIncluded",
    "agent",
    "organization",
    "rate",
    "state",
    "deliveryPlannedMoment",
    "shipmentAddress",
];

/// What the header needs beside the document, in ids of main.
#[derive(Debug, Clone)]
pub(super) struct Parties {
    /// Organization of main that it belongs to.
    pub(super) organization: Uuid,
    /// Whose order it is: type and id.
    pub(super) agent: (&'static str, Uuid),
    /// Currency, unless neither account tells its own.
    pub(super) currency: Option<Uuid>,
    /// Whether that is main's own currency, which orders need not name.
    pub(super) is_own_currency: bool,
    /// State, if it is to be set.
    pub(super) state: Option<Uuid>,
}

/// Fields that a document need not have, and how main is told that they are empty (facts/moysklad.md 4.7).
const OPTIONAL: [(&str, Value); 2] =
    [("deliveryPlannedMoment", Value::Null), ("shipmentAddress", Value::String(String::new()))];
/// Bank accounts, and whose they are: they cannot stay when that changes (errors 17000, 17001).
const ACCOUNTS: [(&str, &str); 2] = [("organization", "organizationAccount"), ("agent", "agentAccount")];

/// Main's order beside its lines.
#[derive(Debug, Clone)]
pub(super) struct Header {
    fields: Map<String, Value>,
    is_own_currency: bool,
}

/// A reference to an entity.
pub(super) fn reference(base: &str, kind: &str, id: Uuid) -> Value {
    at(&format!("{base}/entity/{kind}/{id}"), kind)
}

/// A reference by its href.
pub(super) fn at(href: &str, kind: &str) -> Value {
    json!({"meta": {"href": href, "type": kind, "mediaType": "application/json"}})
}

impl Header {
    /// Says the child's document in main's words.
    pub(super) fn of(
        kind: DocumentKind,
        document: &Value,
        settings: &OrderSettings,
        parties: &Parties,
        base: &str,
    ) -> Self {
        let mut fields = Map::new();
        let mut set = |name: &str, value: Value| fields.insert(name.to_owned(), value);
        if let Some(prefix) = &settings.number_prefix {
            set("name", super::number::of(kind, prefix, text(document, "name")).into());
        }
        set("description", description(document, settings).into());
        for name in ["moment"].into_iter().chain(OPTIONAL.iter().map(|(name, _)| *name)) {
            if let Some(value) = document.get(name) {
                set(name, value.clone());
            }
        }
        for name in ["applicable", "vatEnabled", "vatIncluded"] {
            set(name, document[name].as_bool().unwrap_or(name == "applicable").into());
        }
        set("organization", reference(base, "organization", parties.organization));
        set("agent", reference(base, parties.agent.0, parties.agent.1));
        if let Some(store) = settings.store {
            set("store", reference(base, "store", store));
        }
        if let Some(currency) = parties.currency {
            set("rate", json!({"currency": reference(base, "currency", currency)}));
        }
        if let Some(state) = parties.state {
            set("state", at(&format!("{base}/entity/customerorder/metadata/states/{state}"), "state"));
        }
        Self { fields, is_own_currency: parties.is_own_currency }
    }

    /// Names of the fields that the document need not have and has.
    pub(super) fn said(&self) -> BTreeSet<String> {
        let is_said =
            |field: &&(&str, Value)| self.fields.get(field.0).is_some_and(|value| *value != field.1);
        OPTIONAL.iter().filter(is_said).map(|(name, _)| (*name).to_owned()).collect()
    }

    /// Empties what was said before and is not any more; what somebody said in main alone is not ours.
    pub(super) fn empty(&mut self, said: &BTreeSet<String>) {
        for (name, nothing) in OPTIONAL {
            if said.contains(name) && !self.fields.contains_key(name) {
                self.fields.insert(name.to_owned(), nothing);
            }
        }
    }

    /// Body that makes a new order, without its lines. Its external code is one that lists can be asked for.
    pub(super) fn create(&self, sync_id: Uuid) -> Map<String, Value> {
        let mut fields = self.fields.clone();
        fields.retain(|_, value| value.as_str() != Some("") && !value.is_null());
        fields.insert("externalCode".to_owned(), sync_id.to_string().into());
        if self.is_own_currency {
            fields.remove("rate");
        }
        fields.insert("syncId".to_owned(), sync_id.to_string().into());
        fields
    }

    /// The fields in which main's order is otherwise; `None` if it is so already.
    pub(super) fn update(&self, order: &Value) -> Option<Value> {
        let mut fields = self.fields.clone();
        if self.is_own_currency && order.get("rate").is_none() {
            fields.remove("rate");
        }
        fields.retain(|name, value| {
            let field = Map::from_iter([(name.clone(), value.clone())]);
            !holds(&field, order)
        });
        for (whose, account) in ACCOUNTS {
            if fields.contains_key(whose) {
                fields.insert(account.to_owned(), Value::Null);
            }
        }
        (!fields.is_empty()).then_some(Value::Object(fields))
    }
}

/// Body that tells main that the child's document is gone; `None` if it says so already. Main's order is not deleted:
/// somebody may be at work on it, and the document may come back.
pub(super) fn gone(order: &Value) -> Option<Value> {
    let description = text(order, "description");
    let told = description.starts_with(DELETED);
    if told && order["applicable"].as_bool() == Some(false) {
        return None;
    }
    let description =
        if told { description.to_owned() } else { cut(format!("{DELETED}\n{description}").trim_end()) };
    Some(json!({"applicable": false, "description": description}))
}

/// Everything that a document need not have.
pub(super) fn all_optional() -> BTreeSet<String> {
    OPTIONAL.iter().map(|(name, _)| (*name).to_owned()).collect()
}

/// The child's number stands in the description where main gives its own.
fn description(document: &Value, settings: &OrderSettings) -> String {
    let own = text(document, "description");
    match settings.number_prefix {
        Some(_) => cut(own),
        None => cut(format!("№ {}\n{own}", text(document, "name")).trim_end()),
    }
}

fn cut(text: &str) -> String {
    text.chars().take(MAX_DESCRIPTION).collect()
}

fn text<'a>(document: &'a Value, name: &str) -> &'a str {
    document[name].as_str().unwrap_or_default()
}

/// Tells two versions of a child's document apart, as far as main's order depends on them and on the settings.
pub(super) fn fingerprint(
    kind: DocumentKind,
    document: &Value,
    lines: &[super::lines::Wanted],
    settings: &OrderSettings,
) -> Vec<u8> {
    let fields: Map<String, Value> =
        READ.iter().filter_map(|name| Some(((*name).to_owned(), document.get(*name)?.clone()))).collect();
    let lines: Vec<Value> =
        lines.iter().map(|line| json!([line.child, Value::Object(line.fields.clone())])).collect();
    Sha256::digest(json!([kind.keyword(), fields, lines, settings]).to_string()).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    const BASE: &str = "https://api.moysklad.ru/api/remap/1.2";

    const ORDER: DocumentKind = DocumentKind::Customerorder;

    fn parties() -> Parties {
        Parties {
            organization: Uuid::from_u128(1),
            agent: ("counterparty", Uuid::from_u128(2)),
            currency: Some(Uuid::from_u128(3)),
            is_own_currency: true,
            state: None,
        }
    }

    fn document() -> Value {
        json!({
            "id": Uuid::from_u128(99), "name": "00003", "description": "call first", "applicable": true,
            "vatEnabled": true, "vatIncluded": false, "moment": "2026-11-23 10:00:00.000", "owner": {"meta": {}},
        })
    }

    #[test]
    fn without_a_prefix_main_numbers_and_the_description_names_the_childs_number() {
        let header = Header::of(ORDER, &document(), &OrderSettings::default(), &parties(), BASE);
        let body = Value::Object(header.create(Uuid::from_u128(7)));
        assert!(body.get("name").is_none() && body.get("owner").is_none() && body.get("rate").is_none());
        assert_eq!(body["description"], "№ 00003\ncall first");
        assert_eq!(body["syncId"], Uuid::from_u128(7).to_string());
        assert_eq!((&body["vatEnabled"], &body["vatIncluded"]), (&json!(true), &json!(false)));
    }

    #[test]
    fn with_a_prefix_the_number_is_the_childs() {
        let settings = OrderSettings { number_prefix: Some("KZN-".to_owned()), ..OrderSettings::default() };
        let body = Header::of(ORDER, &document(), &settings, &parties(), BASE).create(Uuid::nil());
        assert_eq!(body["name"], "KZN-00003");
        assert_eq!(body["description"], "call first");
    }

    #[test]
    fn only_what_is_otherwise_is_written() {
        let header = Header::of(ORDER, &document(), &OrderSettings::default(), &parties(), BASE);
        let mut order = Value::Object(header.create(Uuid::nil()));
        assert_eq!(header.update(&order), None);
        order["applicable"] = false.into();
        order["project"] = json!({"meta": {"href": "main's own"}});
        assert_eq!(header.update(&order), Some(json!({"applicable": true})));
    }

    #[test]
    fn what_was_said_is_emptied_once_it_is_not_any_more_and_nothing_else_is() {
        let mut said = document();
        said["shipmentAddress"] = "Kazan".into();
        let before = Header::of(ORDER, &said, &OrderSettings::default(), &parties(), BASE);
        assert_eq!(before.said(), BTreeSet::from(["shipmentAddress".to_owned()]));
        let mut order = Value::Object(before.create(Uuid::nil()));
        order["deliveryPlannedMoment"] = "2026-11-24 10:00:00.000".into();
        let mut now = Header::of(ORDER, &document(), &OrderSettings::default(), &parties(), BASE);
        assert_eq!(now.update(&order), None);
        now.empty(&before.said());
        assert_eq!(now.update(&order), Some(json!({"shipmentAddress": ""})));
        assert!(now.said().is_empty() && !now.create(Uuid::nil()).contains_key("shipmentAddress"));
    }

    #[test]
    fn a_customers_bank_account_goes_with_him() {
        let header = Header::of(ORDER, &document(), &OrderSettings::default(), &parties(), BASE);
        let mut order = Value::Object(header.create(Uuid::nil()));
        order["agent"] = reference(BASE, "counterparty", Uuid::from_u128(77));
        let body = header.update(&order).unwrap();
        assert_eq!(body["agentAccount"], Value::Null);
        assert!(body.get("agentAccount").is_some() && body.get("organizationAccount").is_none());
    }

    #[test]
    fn a_foreign_currency_is_named_and_a_return_to_the_own_one_too() {
        let foreign = Parties { is_own_currency: false, ..parties() };
        let header = Header::of(ORDER, &document(), &OrderSettings::default(), &foreign, BASE);
        assert!(header.create(Uuid::nil()).contains_key("rate"));
        let own = Header::of(ORDER, &document(), &OrderSettings::default(), &parties(), BASE);
        let mut order = Value::Object(own.create(Uuid::nil()));
        order["rate"] = json!({"currency": reference(BASE, "currency", Uuid::from_u128(8))});
        assert!(own.update(&order).unwrap().get("rate").is_some());
    }

    #[test]
    fn that_a_document_is_gone_is_said_once_and_never_too_long() {
        let order = json!({"applicable": true, "description": "x".repeat(MAX_DESCRIPTION)});
        let body = gone(&order).unwrap();
        assert_eq!(body["applicable"], false);
        assert_eq!(body["description"].as_str().unwrap().chars().count(), MAX_DESCRIPTION);
        assert_eq!(gone(&body), None);
    }

    #[test]
    fn a_fingerprint_follows_what_matters_and_nothing_else() {
        let print = |document: &Value, settings: &OrderSettings| {
            fingerprint(DocumentKind::Customerorder, document, &[], settings)
        };
        let settings = OrderSettings::default();
        let first = print(&document(), &settings);
        let mut other = document();
        other["updated"] = "later".into();
        assert_eq!(first, print(&other, &settings));
        other["moment"] = "later".into();
        assert_ne!(first, print(&other, &settings));
        let stricter = OrderSettings { number_prefix: Some("A".to_owned()), ..OrderSettings::default() };
        assert_ne!(first, print(&document(), &stricter));
    }
}

//! What of a projection is to be written, and whether it is there already.

use super::{Projection, elements};
use crate::sync::moysklad::api::id_of;
use crate::sync::moysklad::compare::holds;
use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

impl Projection {
    /// Tells two projections apart.
    pub(in crate::sync::moysklad) fn hash(&self) -> Vec<u8> {
        let mut fields = Value::Object(self.fields.clone());
        // The order in which they were found says nothing.
        fields.sort_all_objects();
        Sha256::digest(fields.to_string()).to_vec()
    }

    /// Hash of each field, of sale prices and attributes of each one. Of what was `written` before and cannot cross over at
    /// the moment, such as a price in a currency that the child lacks, the name stays in mind: the child holds it still.
    pub(in crate::sync::moysklad) fn parts(&self, written: Option<&Value>) -> Value {
        let mut parts = parts_of(&self.fields, short_hash);
        for name in written.and_then(Value::as_object).into_iter().flat_map(Map::keys) {
            if parts.get(name).is_none() {
                parts[name] = Value::Null;
            }
        }
        parts
    }

    /// Body of the write that makes an existing entity so, after this was written to it. Barcodes that the child gave
    /// itself stay where main has none and had none.
    pub(in crate::sync::moysklad) fn update(&self, written: Option<&Value>) -> Value {
        let mut fields = self.fields.clone();
        let none = json!([]);
        if fields.get("barcodes") == Some(&none)
            && written.is_some_and(|written| written["barcodes"] == short_hash(&none))
        {
            fields.remove("barcodes");
        }
        Value::Object(fields)
    }

    /// Of [`update`](Self::update) what differs from what was written last.
    pub(in crate::sync::moysklad) fn changes(&self, written: &Value) -> Value {
        let differs = |part: &str, value: &Value| written.get(part) != Some(&short_hash(value));
        let vat = |name: &str| matches!(name, "useParentVat" | "vat" | "vatEnabled");
        let vat_differs = self.fields.iter().any(|(name, value)| vat(name) && differs(name, value));
        let mut body = Map::new();
        for (name, value) in &self.fields {
            if is_merged(name) {
                let changed: Vec<Value> = elements(Some(value))
                    .filter(|element| differs(&part_of(name, element), element))
                    .cloned()
                    .collect();
                if !changed.is_empty() {
                    body.insert(name.clone(), changed.into());
                }
            } else if differs(name, value) || (vat(name) && vat_differs) {
                body.insert(name.clone(), value.clone());
            }
        }
        Value::Object(body)
    }

    /// Body of the write that makes a new entity so. What is empty is left out, for the child to fill in where it
    /// is set to.
    pub(in crate::sync::moysklad) fn create(&self, sync_id: Option<Uuid>) -> Value {
        let mut fields = self.created_fields();
        fields.extend(self.create_only.clone());
        if let Some(sync_id) = sync_id {
            fields.insert("syncId".to_owned(), sync_id.to_string().into());
        }
        Value::Object(fields)
    }

    fn created_fields(&self) -> Map<String, Value> {
        let empty = |value: &Value| match value {
            Value::Null | Value::Bool(false) => true,
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            _ => false,
        };
        let is_flag = |name: &str| name == "vatEnabled" || name == "useParentVat";
        self.fields
            .iter()
            .filter(|(name, value)| is_flag(name) || !empty(value))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// Whether the child's entity is so already.
    pub(in crate::sync::moysklad) fn is_held_by(&self, entity: &Value) -> bool {
        holds(&self.fields, entity)
    }

    /// Whether an entity that answered a create is the one that was asked for, and not an older one of the same
    /// `syncId`. What the child may fill in is not compared.
    pub(in crate::sync::moysklad) fn was_created_as(&self, entity: &Value) -> bool {
        holds(&self.created_fields(), entity)
    }
}

/// What is known of an entity that was made without a barcode: one that it has is its own.
pub(in crate::sync::moysklad) fn no_barcodes() -> Value {
    json!({"barcodes": short_hash(&json!([]))})
}

/// The fields that a write with this body concerns, of sale prices and attributes each one, with `null`.
pub(in crate::sync::moysklad) fn fields_of(body: &Value) -> Value {
    let mut fields = body.as_object().map_or_else(|| json!({}), |body| parts_of(body, |_| Value::Null));
    if let Some(fields) = fields.as_object_mut() {
        fields.retain(|name, _| name != "syncId");
    }
    fields
}

fn parts_of(fields: &Map<String, Value>, what: impl Fn(&Value) -> Value) -> Value {
    let mut parts = Map::new();
    for (name, value) in fields {
        if is_merged(name) {
            for element in elements(Some(value)) {
                parts.insert(part_of(name, element), what(element));
            }
        } else {
            parts.insert(name.clone(), what(value));
        }
    }
    Value::Object(parts)
}

/// Lists of which an update changes only the elements that it names.
fn is_merged(name: &str) -> bool {
    matches!(name, "salePrices" | "attributes")
}

fn part_of(name: &str, element: &Value) -> String {
    let owner = if name == "salePrices" { &element["priceType"] } else { element };
    id_of(owner).map_or_else(|| name.to_owned(), |id| format!("{name}/{id}"))
}

fn short_hash(value: &Value) -> Value {
    hex::encode(&Sha256::digest(value.to_string())[..8]).into()
}

#[cfg(test)]
mod tests {
    use super::super::tests::{href, product, projected};
    use super::fields_of;
    use serde_json::{Value, json};
    use uuid::Uuid;

    #[test]
    fn what_main_no_longer_shows_is_cleared_by_an_update_and_left_out_of_a_create() {
        let bare = json!({"id": "x", "name": "Kettle", "externalCode": "xyz"});
        let projection = projected(&bare);
        let update = projection.update(None);
        assert_eq!(update["article"], "");
        assert_eq!(update["barcodes"], json!([]));
        assert_eq!(update["uom"], Value::Null);
        assert!(update.get("code").is_none(), "a code that the child filled in stays");
        let create = projection.create(Some(Uuid::nil()));
        for name in ["article", "barcodes", "uom", "code"] {
            assert!(create.get(name).is_none(), "{name}");
        }
        assert_eq!(create["syncId"], Uuid::nil().to_string());
    }

    #[test]
    fn the_same_product_is_recognised_however_its_numbers_are_written() {
        let projection = projected(&product());
        let mut held = projection.update(None);
        held["weight"] = json!(1.50);
        held["salePrices"].as_array_mut().unwrap().reverse();
        held["salePrices"].as_array_mut().unwrap().push(json!({"value": 1.0, "priceType": href(5)}));
        held.as_object_mut().unwrap().remove("description");
        held["code"] = "00001".into();
        assert!(projection.is_held_by(&held));
    }

    #[test]
    fn a_difference_in_any_field_is_seen() {
        let projection = projected(&product());
        let change = |name: &str, value: Value| {
            let mut held = projection.update(None);
            held[name] = value;
            projection.is_held_by(&held)
        };
        assert!(!change("name", "Pot".into()));
        assert!(!change("archived", true.into()));
        assert!(!change("barcodes", json!([])));
        assert!(!change("weight", json!(1.51)));
        assert!(!change("uom", href(2201)));
        assert!(!change("salePrices", json!([])));
        let mut prices = projection.update(None)["salePrices"].clone();
        prices[1]["value"] = json!(100.0);
        assert!(!change("salePrices", prices));
    }

    #[test]
    fn a_hash_changes_with_the_content() {
        let mut other = product();
        other["salePrices"][0]["value"] = json!(1);
        assert_ne!(projected(&product()).hash(), projected(&other).hash());
        assert_eq!(projected(&product()).hash(), projected(&product()).hash());
    }

    #[test]
    fn a_create_that_was_answered_with_an_older_product_is_noticed() {
        let projection = projected(&product());
        let mut answer = projection.create(Some(Uuid::nil()));
        answer["barcodes"] = json!([{"ean13": "2000000000015"}]);
        assert!(projection.was_created_as(&answer));
        answer["name"] = "Pot".into();
        assert!(!projection.was_created_as(&answer));
    }

    #[test]
    fn what_was_written_once_stays_in_mind_when_it_cannot_cross_over() {
        let projection = projected(&product());
        let written = json!({"buyPrice": "h", "name": "h", "salePrices/x": null});
        let parts = projection.parts(Some(&written));
        assert_eq!((&parts["buyPrice"], &parts["salePrices/x"]), (&Value::Null, &Value::Null));
        assert_eq!(parts["name"], projection.parts(None)["name"]);
        assert!(parts["name"].is_string() && projection.parts(None).get("buyPrice").is_none());
    }

    #[test]
    fn a_body_tells_which_fields_it_is_about_to_write() {
        let projection = projected(&product());
        let fields = fields_of(&projection.update(None));
        let keys = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
        assert_eq!(keys(&fields), keys(&projection.parts(None)));
        assert!(fields.as_object().unwrap().values().all(Value::is_null));
        assert!(
            keys(&projection.changes(&fields)).len() == keys(&projection.update(None)).len(),
            "all is unknown"
        );
    }

    #[test]
    fn barcodes_that_the_child_gave_itself_stay_and_those_of_main_go() {
        let bare = projected(&json!({"name": "Kettle"}));
        assert!(bare.update(Some(&bare.parts(None))).get("barcodes").is_none());
        assert_eq!(bare.update(Some(&projected(&product()).parts(None)))["barcodes"], json!([]));
    }
}

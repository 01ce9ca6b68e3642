//! Custom fields, by their name and type.

use super::{Projection, Terms, elements, reference};
use crate::sync::moysklad::api::id_of;
use serde_json::Value;
use uuid::Uuid;

impl Projection {
    /// Those that both accounts have under the same name and type, or of them those of the settings.
    pub(super) fn attributes(&mut self, entity: &Value, terms: Terms<'_>) {
        let mut ours = Vec::new();
        for attribute in entity.get("attributes").and_then(Value::as_array).into_iter().flatten() {
            let (Some(name), Some(kind)) = (attribute["name"].as_str(), attribute["type"].as_str()) else {
                continue;
            };
            if terms.settings.attributes.as_ref().is_some_and(|allowed| !allowed.contains(name)) {
                continue;
            }
            let Some(theirs) = terms.child.attribute(name, kind) else {
                // Its name is a person's word, not content; still only the count is told.
                self.skip("an attribute that the child lacks under its name and type");
                continue;
            };
            let value = match kind {
                "string" | "text" | "link" | "time" | "boolean" | "double" | "long" => {
                    attribute["value"].clone()
                }
                "customentity" => {
                    let element = attribute["value"]["name"].as_str();
                    let dictionary = theirs.dictionary;
                    let there = dictionary
                        .zip(element)
                        .and_then(|(d, name)| Some((d, terms.child.element(d, name)?)));
                    let Some((dictionary, element)) = there else {
                        self.skip("an attribute whose element the child lacks");
                        continue;
                    };
                    let path = format!("entity/customentity/{dictionary}");
                    reference(terms.base, &path, "customentity", element)
                }
                _ => {
                    self.skip("an attribute that refers to something of main alone");
                    continue;
                }
            };
            ours.push(attribute_of(terms.base, theirs.id, value));
        }
        if !ours.is_empty() {
            self.set("attributes", ours.into());
        }
    }

    /// Attributes that were written and that main no longer shows are emptied; those of the child alone stay.
    pub(in crate::sync::moysklad) fn clear_attributes(&mut self, written: Option<&Value>, base: &str) {
        let Some(written) = written.and_then(Value::as_object) else { return };
        let there: Vec<Option<Uuid>> = elements(self.field("attributes")).map(id_of).collect();
        let gone: Vec<Value> = written
            .keys()
            .filter_map(|key| key.strip_prefix("attributes/")?.parse::<Uuid>().ok())
            .filter(|id| !there.contains(&Some(*id)))
            .map(|id| attribute_of(base, id, Value::Null))
            .collect();
        if !gone.is_empty() {
            let all: Vec<Value> = elements(self.field("attributes")).cloned().chain(gone).collect();
            self.set("attributes", all.into());
        }
    }
}

fn attribute_of(base: &str, id: Uuid, value: Value) -> Value {
    let mut attribute = reference(base, "entity/product/metadata/attributes", "attributemetadata", id);
    attribute["value"] = value;
    attribute
}

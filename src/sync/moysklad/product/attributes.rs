//! Custom fields, by their name and type.

use super::{Projection, Terms, reference};
use crate::sync::moysklad::settings::CatalogSettings;
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
            if !crosses(terms.settings, name) {
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
}

/// Whether the settings let attributes of this name cross.
pub(super) fn crosses(settings: &CatalogSettings, name: &str) -> bool {
    settings.attributes.as_ref().is_none_or(|allowed| allowed.contains(name))
}

pub(super) fn attribute_of(base: &str, id: Uuid, value: Value) -> Value {
    let mut attribute = reference(base, "entity/product/metadata/attributes", "attributemetadata", id);
    attribute["value"] = value;
    attribute
}

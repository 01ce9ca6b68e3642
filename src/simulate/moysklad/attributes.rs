//! Custom fields: their metadata and their values.

use super::account::{Account, Attribute, Entity, keyword_of};
use super::json::{self, float, id_of, map};
use super::kind::{Kind, kind};
use super::refused::Refused;
use reqwest::Method;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// Types that are written as text.
const TEXTS: [&str; 3] = ["string", "text", "link"];
/// Types whose value refers to an entity of that kind.
const DICTIONARIES: [&str; 7] =
    ["contract", "counterparty", "project", "store", "employee", "product", "organization"];

impl Account {
    /// `/entity/{kind}/metadata/attributes…`
    pub(super) fn attribute_metadata(
        &mut self,
        kind: &Kind,
        method: &Method,
        rest: &[&str],
        body: &Value,
    ) -> Result<Value, Refused> {
        let owner = kind.attributes.ok_or(Refused::new(412, 1005))?;
        match (method, rest) {
            (&Method::GET, []) => {
                let rows: Vec<Value> = self
                    .attributes_of(kind)
                    .iter()
                    .map(|attribute| self.show_attribute_metadata(owner, attribute))
                    .collect();
                let href = format!("{}/entity/{owner}/metadata/attributes", self.base);
                Ok(self.page(&href, "attributemetadata", rows))
            }
            (&Method::POST, []) => match body {
                Value::Array(items) => {
                    let created: Result<Vec<Value>, Refused> =
                        items.iter().map(|item| self.add_attribute(owner, item)).collect();
                    created.map(Value::Array)
                }
                item => self.add_attribute(owner, item),
            },
            (&Method::POST, ["delete"]) => {
                let items = body.as_array().ok_or(Refused::new(400, 2005))?;
                let ids: Vec<Option<Uuid>> = items.iter().map(id_of).collect();
                if let Some(attributes) = self.attributes.get_mut(owner) {
                    attributes.retain(|attribute| !ids.contains(&Some(attribute.id)));
                }
                Ok(json!([]))
            }
            (method, [id]) => {
                let id: Uuid = id.parse().map_err(|_| Refused::new(400, 1002))?;
                let attributes = self.attributes.entry(owner).or_default();
                let place = attributes.iter().position(|attribute| attribute.id == id);
                let place = place.ok_or_else(Refused::unknown)?;
                match *method {
                    Method::GET => {}
                    Method::PUT => {
                        if body.get("type").is_some_and(|kind| *kind != attributes[place].kind.as_str()) {
                            return Err(Refused::field(412, 2016, "type"));
                        }
                        if let Some(name) = body["name"].as_str() {
                            name.clone_into(&mut attributes[place].name);
                        }
                    }
                    Method::DELETE => {
                        attributes.remove(place);
                        return Ok(Value::Null);
                    }
                    _ => return Err(Refused::new(405, 1039)),
                }
                let attribute = attributes[place].clone();
                Ok(self.show_attribute_metadata(owner, &attribute))
            }
            _ => Err(Refused::new(412, 1002)),
        }
    }

    /// A new custom field; gives it as the API shows it.
    fn add_attribute(&mut self, owner: &'static str, body: &Value) -> Result<Value, Refused> {
        let name = body["name"].as_str().filter(|name| !name.is_empty());
        let name = name.ok_or(Refused::field(412, 3000, "name"))?;
        let kind = body["type"].as_str().ok_or(Refused::field(412, 3000, "type"))?;
        let dictionary = match kind {
            "customentity" => {
                let meta =
                    body.get("customEntityMeta").ok_or(Refused::field(412, 3000, "customEntityMeta"))?;
                Some(self.resolve(meta.get("meta").unwrap_or(meta))?.1)
            }
            "boolean" | "double" | "long" | "time" | "file" => None,
            kind if TEXTS.contains(&kind) || DICTIONARIES.contains(&kind) => None,
            _ => return Err(Refused::field(412, 2016, "type")),
        };
        let required = body["required"].as_bool().unwrap_or(false);
        if required && matches!(kind, "boolean" | "file") {
            return Err(Refused::field(412, 2016, "required"));
        }
        let attribute = Attribute {
            id: self.mint(),
            name: name.to_owned(),
            kind: kind.to_owned(),
            required,
            description: body["description"].as_str().map(str::to_owned),
            dictionary,
        };
        let shown = self.show_attribute_metadata(owner, &attribute);
        self.attributes.entry(owner).or_default().push(attribute);
        Ok(shown)
    }

    fn show_attribute_metadata(&self, owner: &str, attribute: &Attribute) -> Value {
        let Attribute { id, name, kind, required, description, dictionary } = attribute;
        let href = format!("{}/entity/{owner}/metadata/attributes/{id}", self.base);
        let mut shown = json::meta(&href, "attributemetadata");
        shown["id"] = id.to_string().into();
        shown["name"] = name.as_str().into();
        shown["type"] = kind.as_str().into();
        shown["required"] = (*required).into();
        shown["show"] = true.into();
        if let Some(description) = description {
            shown["description"] = description.as_str().into();
        }
        if let Some(dictionary) = dictionary {
            let href = format!("{}/context/companysettings/metadata/customEntities/{dictionary}", self.base);
            shown["customEntityMeta"] = json::meta(&href, "customentitymetadata")["meta"].take();
        }
        shown
    }

    /// Values are merged by the attribute's id; null clears.
    pub(super) fn merge_attributes(&self, entity: &mut Entity, values: &[Value]) -> Result<(), Refused> {
        let mut own: Vec<Value> =
            entity.fields.get("attributes").and_then(Value::as_array).cloned().unwrap_or_default();
        for value in values {
            let id = match value.get("meta") {
                Some(meta) => self.resolve(meta)?.1,
                None => value["id"].as_str().and_then(|id| id.parse().ok()).ok_or(Refused::new(412, 2010))?,
            };
            let known = self.attributes_of(entity.kind).iter().find(|attribute| attribute.id == id);
            let Some(attribute) = known else {
                let elsewhere = self.attributes.values().flatten().any(|attribute| attribute.id == id);
                return Err(if elsewhere { Refused::new(412, 14000) } else { Refused::unknown() });
            };
            let stored = self.attribute_value(attribute, value)?;
            own.retain(|old| old["id"] != id.to_string());
            if !stored.is_null() {
                own.push(json!({"id": id.to_string(), "value": stored}));
            }
        }
        json::set_or_clear(&mut entity.fields, "attributes", &own.into());
        Ok(())
    }

    fn attribute_value(&self, attribute: &Attribute, sent: &Value) -> Result<Value, Refused> {
        let wrong = || Refused::field(412, 2016, &attribute.name);
        if attribute.kind == "file" {
            let Some(file) = sent.get("file") else { return Err(wrong()) };
            return Ok(file.get("filename").cloned().unwrap_or_default());
        }
        let value = sent.get("value").ok_or_else(wrong)?;
        match (attribute.kind.as_str(), value) {
            (_, Value::Null) => Ok(Value::Null),
            ("boolean", Value::Bool(_)) | ("link", Value::String(_)) => Ok(value.clone()),
            ("long", Value::Number(number)) if number.as_i64().is_some() => Ok(value.clone()),
            ("double", Value::Number(number)) => Ok(float(number)),
            ("time", Value::String(text)) => {
                let full = json::full_time(text).ok_or_else(wrong)?;
                Ok(format!("{}:00.000", &full[..16]).into())
            }
            ("string", Value::String(text)) if text.chars().count() <= 255 => Ok(value.clone()),
            ("text", Value::String(text)) if text.chars().count() <= 4096 => Ok(value.clone()),
            ("customentity", Value::Object(_)) => {
                let id = self.reference_to(&["customentity"], value, &attribute.name)?;
                let element = self.get(id).filter(|element| element.dictionary == attribute.dictionary);
                element.ok_or_else(Refused::unknown)?;
                Ok(self.reference("customentity", id))
            }
            (kind, Value::Object(_)) if DICTIONARIES.contains(&kind) => {
                let id = self.reference_to(&[kind], value, &attribute.name)?;
                Ok(self.reference(kind, id))
            }
            _ => Err(wrong()),
        }
    }

    /// What must be there at creation and is not (3000).
    pub(super) fn check_required_attributes(&self, entity: &Entity) -> Result<(), Refused> {
        let own = entity.fields.get("attributes").and_then(Value::as_array);
        let has = |id: Uuid| own.is_some_and(|own| own.iter().any(|value| value["id"] == id.to_string()));
        let missing =
            self.attributes_of(entity.kind).iter().find(|attribute| attribute.required && !has(attribute.id));
        match missing {
            Some(attribute) => Err(Refused::field(412, 3000, &attribute.name)),
            None => Ok(()),
        }
    }

    pub(super) fn show_attributes(&self, entity: &Entity, shown: &mut Map<String, Value>) {
        let Some(Value::Array(own)) = entity.fields.get("attributes") else { return };
        let owner = entity.kind.attributes.unwrap_or_default();
        let values: Vec<Value> = self
            .attributes_of(entity.kind)
            .iter()
            .filter_map(|attribute| {
                let id = attribute.id.to_string();
                let value = own.iter().find(|value| value["id"] == id)?.get("value")?;
                let href = format!("{}/entity/{owner}/metadata/attributes/{id}", self.base);
                let mut entry = json::meta(&href, "attributemetadata");
                entry["id"] = id.into();
                entry["name"] = attribute.name.as_str().into();
                entry["type"] = attribute.kind.as_str().into();
                entry["value"] = value.clone();
                let element = value.get("meta").and_then(|_| id_of(value)).and_then(|id| self.get(id));
                if let Some(element) = element {
                    entry["value"]["name"] = super::show::text(element, "name").into();
                }
                Some(entry)
            })
            .collect();
        json::set_or_clear(shown, "attributes", &values.into());
    }

    pub(super) fn changed_attributes(
        &self,
        kind: &Kind,
        old: Option<&Value>,
        new: Option<&Value>,
    ) -> Vec<String> {
        let value_of = |values: Option<&Value>, id: Uuid| {
            let values = values.and_then(Value::as_array)?;
            values.iter().find(|value| value["id"] == id.to_string()).cloned()
        };
        let changed = self
            .attributes_of(kind)
            .iter()
            .filter(|attribute| value_of(old, attribute.id) != value_of(new, attribute.id));
        changed.map(|attribute| attribute.name.clone()).collect()
    }

    /// `/entity/{kind}/metadata`
    pub(super) fn metadata(&self, kind: &Kind) -> Value {
        let mut shown = json::meta(&format!("{}/entity/{}/metadata", self.base, kind.keyword), kind.keyword);
        if let Some(owner) = kind.attributes {
            let href = format!("{}/entity/{owner}/metadata/attributes", self.base);
            let mut list = json::meta(&href, "attributemetadata");
            list["meta"]["size"] = self.attributes_of(kind).len().into();
            list["meta"]["limit"] = 1000.into();
            list["meta"]["offset"] = 0.into();
            shown["attributes"] = list;
        }
        if let Some(states) = self.states.get(kind.keyword) {
            shown["states"] = states.iter().map(|state| self.show_state(kind.keyword, state)).collect();
        }
        if kind.keyword == "variant" {
            shown["characteristics"] = self.show_all_characteristics();
        }
        shown["createShared"] = false.into();
        shown
    }

    pub(super) fn show_state(&self, keyword: &str, state: &super::account::State) -> Value {
        let href = format!("{}/entity/{keyword}/metadata/states/{}", self.base, state.id);
        let mut shown = json::meta(&href, "state");
        let fields = json!({
            "id": state.id.to_string(), "accountId": self.id.to_string(), "name": state.name,
            "color": state.color, "stateType": state.kind, "entityType": keyword,
        });
        if let Value::Object(shown) = &mut shown {
            shown.extend(map(fields));
        }
        shown
    }

    /// `/entity/{kind}/metadata/states…`
    pub(super) fn state_metadata(
        &mut self,
        kind: &Kind,
        method: &Method,
        rest: &[&str],
        body: &Value,
    ) -> Result<Value, Refused> {
        let states = self.states.get(kind.keyword);
        match (method, rest) {
            (&Method::GET, [id]) => {
                let id: Uuid = id.parse().map_err(|_| Refused::new(400, 1002))?;
                let state = states.and_then(|states| states.iter().find(|state| state.id == id));
                state.map(|state| self.show_state(kind.keyword, state)).ok_or_else(Refused::unknown)
            }
            (&Method::POST, []) => {
                let name = body["name"].as_str().ok_or(Refused::field(412, 3000, "name"))?;
                if states.is_some_and(|states| states.iter().any(|state| state.name == name)) {
                    return Err(Refused::field(412, 3006, "name"));
                }
                let keyword = keyword_of(kind.keyword).ok_or(Refused::new(412, 1005))?;
                let state = super::account::State {
                    id: self.mint(),
                    name: name.to_owned(),
                    kind: body["stateType"].as_str().unwrap_or("Regular").to_owned(),
                    color: body["color"].as_i64().unwrap_or(0),
                };
                let shown = self.show_state(keyword, &state);
                self.states.entry(keyword).or_default().push(state);
                Ok(shown)
            }
            _ => Err(Refused::new(405, 1039)),
        }
    }

    /// Custom dictionaries and their elements: `/entity/customentity…`
    pub(super) fn dictionary(
        &mut self,
        method: &Method,
        rest: &[&str],
        body: &Value,
    ) -> Result<Value, Refused> {
        let name = || body["name"].as_str().filter(|name| !name.is_empty());
        match (method, rest) {
            (&Method::POST, []) => {
                let name = name().ok_or(Refused::field(412, 3000, "name"))?;
                let id = self.mint();
                self.dictionaries.push((id, name.to_owned()));
                self.show_dictionary(id)
            }
            (method, [id]) => {
                let id: Uuid = id.parse().map_err(|_| Refused::new(400, 1002))?;
                let place = self.dictionaries.iter().position(|dictionary| dictionary.0 == id);
                let place = place.ok_or_else(Refused::unknown)?;
                match *method {
                    Method::PUT => {
                        let name = name().ok_or(Refused::field(412, 3000, "name"))?;
                        name.clone_into(&mut self.dictionaries[place].1);
                        self.show_dictionary(id)
                    }
                    Method::DELETE => {
                        self.dictionaries.remove(place);
                        Ok(Value::Null)
                    }
                    _ => Err(Refused::new(405, 1039)),
                }
            }
            _ => Err(Refused::new(412, 1002)),
        }
    }

    pub(super) fn show_dictionary(&self, id: Uuid) -> Result<Value, Refused> {
        let known = self.dictionaries.iter().find(|dictionary| dictionary.0 == id);
        let (_, name) = known.ok_or_else(Refused::unknown)?;
        let mut shown = json::meta(&format!("{}/entity/customentity/{id}", self.base), "customentity");
        shown["id"] = id.to_string().into();
        shown["name"] = name.as_str().into();
        Ok(shown)
    }

    /// The kind of dictionaries' elements.
    pub(super) fn element_kind() -> Result<&'static Kind, Refused> {
        kind("customentity").ok_or(Refused::new(412, 1005))
    }
}

//! Creating, changing and deleting entities, one or many in a request.

use super::account::{Account, Entity, Event};
use super::json;
use super::kind::{Field, Kind};
use super::refused::Refused;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// Items in one request.
const MOST: usize = 1000;

/// What came of many items, in their order.
pub(super) struct Batch {
    pub(super) status: u16,
    pub(super) body: Value,
}

impl Account {
    /// `POST /entity/{kind}` with an object.
    pub(super) fn create(
        &mut self,
        kind: &'static Kind,
        dictionary: Option<Uuid>,
        body: &Map<String, Value>,
    ) -> Result<Uuid, Refused> {
        let sync_id = match body.get("syncId") {
            Some(sync_id) if kind.has_sync_id => {
                let sync_id = sync_id.as_str().and_then(|id| id.parse::<Uuid>().ok());
                Some(sync_id.ok_or(Refused::field(412, 2016, "syncId"))?)
            }
            _ => None,
        };
        // A repeated create gives what the first one made, whatever else it says.
        if let Some(known) = sync_id.and_then(|sync_id| self.by_sync_id(kind, sync_id)) {
            return Ok(known);
        }
        self.check_references(&Value::Object(body.clone()))?;
        for required in kind.required {
            let missing = match body.get(*required) {
                None | Some(Value::Null) => true,
                Some(Value::String(text)) => text.is_empty(),
                Some(_) => false,
            };
            let generated = kind.keyword == "currency" && body.get("system") == Some(&true.into());
            if missing && !(generated && *required != "isoCode") {
                let code = if *required == "components" { 29000 } else { 3000 };
                return Err(Refused::field(412, code, required));
            }
        }
        let id = self.mint();
        let ui_id = kind.has_ui_id.then(|| self.mint());
        let fields = self.blank(kind);
        let mut entity =
            Entity { id, kind, fields, parts: Vec::new(), images: Vec::new(), dictionary, ui_id };
        self.apply(&mut entity, body)?;
        if let Some(sync_id) = sync_id {
            entity.fields.insert("syncId".to_owned(), sync_id.to_string().into());
        }
        self.fill(&mut entity);
        self.check_unique(&entity)?;
        self.check_variant(&entity)?;
        self.check_required_attributes(&entity)?;
        self.put(entity);
        self.happened(kind, id, "CREATE", Vec::new());
        Ok(id)
    }

    /// What a new entity has before anything is said about it.
    fn blank(&self, kind: &Kind) -> Map<String, Value> {
        let now = json::moscow_now();
        let mut fields = json::map(json!({
            "owner": self.reference("employee", self.owner), "group": self.reference("group", self.group),
            "shared": false, "updated": now,
        }));
        let more = match kind.keyword {
            "product" | "bundle" => json!({
                "archived": false, "useParentVat": true, "weight": 0.0, "volume": 0.0,
                "discountProhibited": false,
            }),
            "service" => json!({"archived": false, "useParentVat": true, "discountProhibited": false}),
            "variant" => {
                return json::map(json!({"updated": now, "archived": false, "discountProhibited": false}));
            }
            "productfolder" => json!({"archived": false, "useParentVat": true}),
            "counterparty" | "organization" => {
                json!({"archived": false, "companyType": "legal", "created": now})
            }
            "store" => json!({"archived": false}),
            "currency" => json!({"archived": false, "rate": 1.0, "multiplicity": 1, "indirect": false}),
            _ if kind.is_document => self.blank_document(kind, &now),
            _ => json!({}),
        };
        fields.extend(json::map(more));
        fields
    }

    fn blank_document(&self, kind: &Kind, now: &str) -> Value {
        let mut document = json!({
            "moment": format!("{}:00.000", &now[..16]), "created": now, "applicable": true,
            "vatEnabled": true, "vatIncluded": true, "printed": false, "published": false,
        });
        if let Some(currency) = self.own_currency() {
            document["rate"] = json!({"currency": self.reference("currency", currency)});
        }
        if let Some(state) = self.states.get(kind.keyword).and_then(|states| states.first()) {
            let href = format!("{}/entity/{}/metadata/states/{}", self.base, kind.keyword, state.id);
            document["state"] = json::meta(&href, "state");
        }
        document
    }

    /// What the account fills in by itself.
    fn fill(&mut self, entity: &mut Entity) {
        let keyword = entity.kind.keyword;
        entity.fields.entry("externalCode").or_insert_with(|| json::random_code().into());
        if entity.kind.is_document && !entity.fields.contains_key("name") {
            let number = loop {
                let number = format!("{:05}", self.count(keyword));
                if !self.all(keyword).any(|other| other.fields.get("name") == Some(&number.as_str().into())) {
                    break number;
                }
            };
            entity.fields.insert("name".to_owned(), number.into());
        }
        let sold = entity.kind.has(Field::Barcodes);
        if sold && self.rules.fill_unique_code && !entity.fields.contains_key("code") {
            let number = self.count("code");
            entity.fields.insert("code".to_owned(), format!("{number:05}").into());
        }
        let fills_barcode = keyword == "bundle" || sold && self.rules.fill_ean13;
        if fills_barcode && !entity.fields.contains_key("barcodes") {
            entity.fields.insert("barcodes".to_owned(), json!([{"ean13": json::random_ean13()}]));
        }
        if keyword == "currency" && !entity.fields.contains_key("name") {
            let iso_code = entity.fields.get("isoCode").cloned().unwrap_or_default();
            entity.fields.insert("name".to_owned(), iso_code);
        }
    }

    fn check_unique(&self, entity: &Entity) -> Result<(), Refused> {
        let keyword = entity.kind.keyword;
        let taken = |name: &str, also: &[&str]| {
            let value = entity.fields.get(name)?;
            let same = |other: &Entity| other.id != entity.id && other.fields.get(name) == Some(value);
            let others = self.entities.values().filter(|other| also.contains(&other.kind.keyword));
            others.into_iter().any(same).then_some(())
        };
        let codes = super::kind::SELLABLE.contains(&keyword) && self.rules.check_unique_code;
        if codes && taken("code", &super::kind::SELLABLE).is_some() {
            return Err(Refused::field(412, 3006, "code"));
        }
        let numbers = entity.kind.is_document && self.rules.check_unique_numbers;
        if numbers && taken("name", &[keyword]).is_some() {
            return Err(Refused::field(412, 3006, "name"));
        }
        Ok(())
    }

    /// `PUT /entity/{kind}/{id}`
    pub(super) fn update(
        &mut self,
        kind: &'static Kind,
        id: Uuid,
        body: &Map<String, Value>,
    ) -> Result<(), Refused> {
        let before = self.find(kind, id)?.clone();
        if matches!(kind.keyword, "uom" | "country") && !before.fields.contains_key("owner") {
            return Err(Refused::new(412, 1024));
        }
        self.check_references(&Value::Object(body.clone()))?;
        if kind.has_sync_id
            && let Some(sync_id) = body.get("syncId")
            && before.fields.get("syncId").is_some_and(|own| own != sync_id)
        {
            return Err(Refused::field(412, 1047, "syncId"));
        }
        let mut after = before.clone();
        self.apply(&mut after, body)?;
        if kind.required.contains(&"name") && !after.fields.contains_key("name") {
            return Err(Refused::field(412, 3000, "name"));
        }
        // A document keeps its number, and everything its external code.
        for name in ["externalCode", "name"] {
            if let Some(own) = before.fields.get(name)
                && !after.fields.contains_key(name)
            {
                after.fields.insert(name.to_owned(), own.clone());
            }
        }
        self.check_unique(&after)?;
        self.check_variant(&after)?;
        self.changed(&before, after);
        Ok(())
    }

    /// Stores a changed entity and tells of it.
    pub(super) fn changed(&mut self, before: &Entity, mut after: Entity) {
        let names = self.difference(before, &after);
        // Whether a request that changes nothing counts is not documented.
        if names.is_empty() && !self.rules.no_op_updates_fire {
            return;
        }
        after.fields.insert("updated".to_owned(), json::moscow_now().into());
        let (kind, id) = (after.kind, after.id);
        let product = self.parent_of(&after).map(|product| (product.kind, product.id));
        self.put(after);
        self.happened(kind, id, "UPDATE", names);
        if let Some((kind, id)) = product.filter(|_| self.rules.variants_update_their_product) {
            self.happened(kind, id, "UPDATE", vec!["variants".to_owned()]);
        }
    }

    /// `DELETE /entity/{kind}/{id}`: a missing one is an empty 404.
    pub(super) fn delete(&mut self, kind: &'static Kind, id: Uuid) -> Result<(), Refused> {
        let entity = self.find(kind, id).map_err(|_| Refused::empty(404))?;
        if matches!(kind.keyword, "uom" | "country") && !entity.fields.contains_key("owner") {
            return Err(Refused::new(412, 1025));
        }
        let dependents = self.dependents(id);
        if !dependents.is_empty() {
            return Err(Refused::in_use(dependents));
        }
        if kind.is_document && self.rules.use_recycle_bin {
            return self.trash(kind, id);
        }
        self.remove(id);
        self.happened(kind, id, "DELETE", Vec::new());
        if kind.keyword == "variant" {
            self.drop_unused_characteristics();
        }
        Ok(())
    }

    /// `POST /entity/{kind}/{id}/trash`
    pub(super) fn trash(&mut self, kind: &'static Kind, id: Uuid) -> Result<(), Refused> {
        if !kind.is_document {
            return Err(Refused::new(412, 1066));
        }
        let mut entity = self.find(kind, id)?.clone();
        if !self.rules.use_recycle_bin && !self.rules.has_recycle_bin {
            return Err(Refused::new(412, 1067));
        }
        entity.fields.insert("deleted".to_owned(), json::moscow_now().into());
        self.put(entity);
        self.happened(kind, id, "DELETE", Vec::new());
        Ok(())
    }

    pub(super) fn happened(
        &mut self,
        kind: &'static Kind,
        id: Uuid,
        action: &'static str,
        updated: Vec<String>,
    ) {
        self.events.push(Event { kind: kind.keyword, id, action, updated });
    }

    /// `POST /entity/{kind}` with an array: items with `meta` are changed, the others are created; good ones are kept
    /// whatever becomes of the rest.
    pub(super) fn write_many(
        &mut self,
        kind: &'static Kind,
        dictionary: Option<Uuid>,
        items: &[Value],
        expand: &[String],
    ) -> Result<Batch, Refused> {
        if items.len() > MOST {
            return Err(Refused::new(413, 2007));
        }
        let mut seen = Vec::new();
        Ok(self.batch(items, |account, item| {
            let body = item.as_object().ok_or(Refused::new(400, 2005))?;
            let id = if body.contains_key("meta") {
                let (keyword, id) = account.resolve(&item["meta"])?;
                if keyword != kind.keyword {
                    return Err(Refused::new(412, 1060));
                }
                if seen.contains(&id) {
                    return Err(Refused::field(412, 3013, "meta"));
                }
                seen.push(id);
                account.update(kind, id, body)?;
                id
            } else {
                account.create(kind, dictionary, body)?
            };
            let mut shown = account.show(account.find(kind, id)?);
            account.expand(&mut shown, expand);
            Ok(shown)
        }))
    }

    /// `POST /entity/{kind}/delete` with an array of `meta`.
    pub(super) fn delete_many(&mut self, kind: &'static Kind, items: &[Value]) -> Result<Batch, Refused> {
        if items.len() > MOST {
            return Err(Refused::new(413, 2007));
        }
        Ok(self.batch(items, |account, item| {
            let (_, id) = account.resolve(&item["meta"])?;
            account.delete(kind, id)?;
            Ok(json!({"info": format!("Сущность '{}' с UUID: {id} успешно удалена", kind.keyword)}))
        }))
    }

    pub(super) fn batch(
        &mut self,
        items: &[Value],
        mut one: impl FnMut(&mut Self, &Value) -> Result<Value, Refused>,
    ) -> Batch {
        let mut failed = false;
        let results = items.iter().map(|item| {
            one(self, item).unwrap_or_else(|refused| {
                failed = true;
                refused.body().unwrap_or_else(|| Refused::unknown().body().unwrap_or_default())
            })
        });
        let body: Value = results.collect();
        let status = if failed { self.rules.partial_failure_status } else { 200 };
        Batch { status, body }
    }
}

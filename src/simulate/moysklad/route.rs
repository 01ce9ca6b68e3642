//! Which request is what.

use super::account::{Account, Part};
use super::json;
use super::kind::{Field, Kind, kind};
use super::list::Query;
use super::positions::{check_unshipped, part_id};
use super::refused::Refused;
use super::write::Batch;
use reqwest::Method;
use serde_json::{Map, Value, json};
use uuid::Uuid;

/// JSON nested deeper is refused (2006).
const DEEPEST: usize = 10;

/// What comes back: a status, and a body unless it is null.
pub(super) type Reply = (u16, Value);

fn ok(body: Value) -> Reply {
    (200, body)
}

impl Account {
    /// Does what a request asks for. Errors leave no trace.
    pub(super) fn route(
        &mut self,
        method: &Method,
        path: &str,
        query: &str,
        body: &Value,
    ) -> Result<Reply, Refused> {
        if json::depth(body) > DEEPEST {
            return Err(Refused::new(400, 2006));
        }
        let query = Query::read(query)?;
        let segments: Vec<&str> = path.trim_matches('/').split('/').collect();
        match (method, segments.as_slice()) {
            (method, ["context", rest @ ..]) => self.context(method, rest, body).map(ok),
            (&Method::GET, ["report", "stock", report @ ("all" | "bystore"), "current"]) => {
                self.stock_report(report, &query).map(ok)
            }
            (&Method::GET, ["download", id]) => {
                let image = id.parse().map_err(|_| Refused::new(400, 1002))?;
                // The world makes a link of it.
                Err(Refused::elsewhere(302, self.image(image)?.id.to_string()))
            }
            (&Method::GET, ["entity", "assortment"]) => self.assortment(&query).map(ok),
            (method, ["entity", "assortment", "settings"]) => self.assortment_settings(method, body).map(ok),
            (method, ["entity", "webhook", rest @ ..]) => self.webhook(method, rest, &query, body),
            (method, ["entity", "webhookstock", rest @ ..]) => self.stock_webhook(method, rest, &query, body),
            (method, ["entity", "variant", "metadata", "characteristics", rest @ ..]) => {
                self.characteristic_metadata(method, rest, body).map(ok)
            }
            (method, ["entity", "customentity", rest @ ..]) => self.custom_entity(method, rest, &query, body),
            (method, ["entity", keyword, rest @ ..]) => {
                let kind = kind(keyword).ok_or(Refused::new(412, 1005))?;
                self.entity(method, kind, rest, &query, body)
            }
            _ => Err(Refused::new(412, 1002)),
        }
    }

    fn custom_entity(
        &mut self,
        method: &Method,
        rest: &[&str],
        query: &Query,
        body: &Value,
    ) -> Result<Reply, Refused> {
        let id = |text: &str| text.parse::<Uuid>().map_err(|_| Refused::new(400, 1002));
        let kind = Self::element_kind()?;
        match (method, rest) {
            (&Method::GET, [dictionary]) => self.list_elements(id(dictionary)?, query).map(ok),
            (&Method::POST, [dictionary]) => {
                let dictionary = id(dictionary)?;
                self.show_dictionary(dictionary)?;
                match body {
                    Value::Array(items) => {
                        let batch = self.write_many(kind, Some(dictionary), items, &query.expand)?;
                        Ok((batch.status, batch.body))
                    }
                    body => {
                        let id = self.create(kind, Some(dictionary), object(body)?)?;
                        self.shown(kind, id, query)
                    }
                }
            }
            (method, [_, element]) => self.one(method, kind, id(element)?, query, body),
            (method, rest) => self.dictionary(method, rest, body).map(ok),
        }
    }

    fn entity(
        &mut self,
        method: &Method,
        kind: &'static Kind,
        rest: &[&str],
        query: &Query,
        body: &Value,
    ) -> Result<Reply, Refused> {
        match (method, rest) {
            (&Method::GET, []) => self.list(kind, query).map(ok),
            (&Method::POST, []) => match body {
                Value::Array(items) => {
                    let Batch { status, body } = self.write_many(kind, None, items, &query.expand)?;
                    Ok((status, body))
                }
                body if body.get("meta").is_some() => {
                    let (_, id) = self.resolve(&body["meta"])?;
                    self.update(kind, id, object(body)?)?;
                    self.shown(kind, id, query)
                }
                body => {
                    let id = self.create(kind, None, object(body)?)?;
                    self.shown(kind, id, query)
                }
            },
            // An id is missing (1012), or a list is put (2009).
            (&Method::PUT, []) => Err(Refused::new(400, if body.is_array() { 2009 } else { 1012 })),
            (&Method::POST, ["delete"]) => {
                let items = body.as_array().ok_or(Refused::new(400, 2005))?;
                let Batch { status, body } = self.delete_many(kind, items)?;
                Ok((status, body))
            }
            (&Method::GET, ["metadata"]) => Ok(ok(self.metadata(kind))),
            (method, ["metadata", "attributes", rest @ ..]) => {
                self.attribute_metadata(kind, method, rest, body).map(ok)
            }
            (method, ["metadata", "states", rest @ ..]) => {
                self.state_metadata(kind, method, rest, body).map(ok)
            }
            (method, ["syncid", sync_id]) => {
                let sync_id = sync_id.parse().map_err(|_| Refused::new(400, 1002))?;
                let id = self.by_sync_id(kind, sync_id).ok_or_else(|| Refused::empty(404))?;
                self.one(method, kind, id, query, body)
            }
            (method, [id, rest @ ..]) => {
                let id: Uuid = id.parse().map_err(|_| Refused::new(400, 1002))?;
                if let Some(real) = self.ui_ids.get(&id) {
                    return Err(Refused::elsewhere(308, self.href(kind.keyword, *real)));
                }
                match rest {
                    [] => self.one(method, kind, id, query, body),
                    ["trash"] if *method == Method::POST => self.trash(kind, id).map(|()| ok(Value::Null)),
                    ["images", rest @ ..] => self.images(method, kind, id, rest, query, body),
                    [list, rest @ ..] if kind.parts == Some(*list) => {
                        self.parts(method, kind, id, rest, query, body)
                    }
                    _ => Err(Refused::new(412, 1002)),
                }
            }
            _ => Err(Refused::new(405, 1039)),
        }
    }

    fn shown(&self, kind: &Kind, id: Uuid, query: &Query) -> Result<Reply, Refused> {
        let mut shown = self.show(self.find(kind, id)?);
        self.expand(&mut shown, &query.expand);
        Ok(ok(shown))
    }

    fn one(
        &mut self,
        method: &Method,
        kind: &'static Kind,
        id: Uuid,
        query: &Query,
        body: &Value,
    ) -> Result<Reply, Refused> {
        match *method {
            Method::GET => self.shown(kind, id, query),
            Method::PUT => {
                self.update(kind, id, object(body)?)?;
                self.shown(kind, id, query)
            }
            Method::DELETE => self.delete(kind, id).map(|()| ok(Value::Null)),
            _ => Err(Refused::new(405, 1039)),
        }
    }

    /// `/entity/{kind}/{id}/images…`
    fn images(
        &mut self,
        method: &Method,
        kind: &'static Kind,
        id: Uuid,
        rest: &[&str],
        query: &Query,
        body: &Value,
    ) -> Result<Reply, Refused> {
        let before = self.find(kind, id)?.clone();
        if !kind.has(Field::Images) {
            return Err(Refused::new(412, 1002));
        }
        let mut after = before.clone();
        match (method, rest, body) {
            (&Method::GET, [], _) => {}
            (&Method::POST, [], Value::Array(items)) => self.replace_images(&mut after, items)?,
            (&Method::POST, [], item) => self.add_image(&mut after, item, &before.images)?,
            (&Method::POST, ["delete"], Value::Array(items)) => {
                for item in items {
                    Self::drop_image(&mut after, json::id_of(item))?;
                }
            }
            (&Method::DELETE, [image], _) => Self::drop_image(&mut after, image.parse().ok())?,
            _ => return Err(Refused::new(405, 1039)),
        }
        let rows: Vec<Value> = after.images.iter().map(|image| self.show_image(&after, image)).collect();
        let href = format!("{}/images", self.href(kind.keyword, id));
        if *method == Method::GET {
            let limit = query.limit.unwrap_or(1000);
            let rows = rows.into_iter().skip(query.offset).take(limit).collect();
            return Ok(ok(self.page(&href, "image", rows)));
        }
        self.changed(&before, after);
        // Adding answers with all of them, in a bare array.
        Ok(ok(if *method == Method::DELETE || !rest.is_empty() { Value::Null } else { rows.into() }))
    }

    /// `/entity/{kind}/{id}/positions…` and `…/components…`
    fn parts(
        &mut self,
        method: &Method,
        kind: &'static Kind,
        id: Uuid,
        rest: &[&str],
        query: &Query,
        body: &Value,
    ) -> Result<Reply, Refused> {
        let before = self.find(kind, id)?.clone();
        let mut after = before.clone();
        let is_delete = rest == ["delete"];
        if !is_delete {
            self.check_references(body)?;
        }
        let is_bundle = kind.keyword == "bundle";
        if is_bundle && *method != Method::GET {
            self.check_unused(&before)?;
        }
        let place_of = |id: Option<Uuid>| {
            let place = before.parts.iter().position(|part| Some(part.id) == id);
            place.ok_or_else(Refused::unknown)
        };
        let mut status = 200;
        let reply = match (method, rest) {
            (&Method::GET, []) => return Ok(ok(self.list_parts(&before, query))),
            (&Method::POST, []) => {
                let items = match body {
                    Value::Array(items) => items.as_slice(),
                    item => std::slice::from_ref(item),
                };
                if items.len() > 1000 {
                    return Err(Refused::new(413, 2007));
                }
                let mut shown = Vec::new();
                for item in items {
                    let part = self.new_part(is_bundle, &after, object(item)?)?;
                    shown.push(self.show_part(&after, &part));
                    after.parts.push(part);
                }
                // Always an array, also for one.
                Value::Array(shown)
            }
            (&Method::POST, ["delete"]) => {
                let items = body.as_array().ok_or(Refused::new(400, 2005))?;
                let batch = self.batch(items, |_, item| {
                    let part = &before.parts[place_of(part_id(item))?];
                    check_unshipped(part)?;
                    after.parts.retain(|other| other.id != part.id);
                    Ok(json!({"info": format!("Сущность с UUID: {} успешно удалена", part.id)}))
                });
                status = batch.status;
                batch.body
            }
            (method, [part]) => {
                let place = place_of(part.parse().ok())?;
                match *method {
                    Method::GET => return Ok(ok(self.show_part(&before, &before.parts[place]))),
                    Method::PUT => {
                        let part = before.parts[place].clone();
                        let changed = if is_bundle {
                            Part { id: part.id, ..self.new_part(true, &after, &merged(part, object(body)?))? }
                        } else {
                            self.change_position(&after, part, object(body)?)?
                        };
                        let shown = self.show_part(&after, &changed);
                        after.parts[place] = changed;
                        shown
                    }
                    Method::DELETE => {
                        check_unshipped(&after.parts.remove(place))?;
                        Value::Null
                    }
                    _ => return Err(Refused::new(405, 1039)),
                }
            }
            _ => return Err(Refused::new(405, 1039)),
        };
        if is_bundle && after.parts.is_empty() {
            return Err(Refused::field(412, 29000, "components"));
        }
        self.changed(&before, after);
        Ok((status, reply))
    }

    fn new_part(
        &self,
        is_bundle: bool,
        owner: &super::account::Entity,
        fields: &Map<String, Value>,
    ) -> Result<Part, Refused> {
        if is_bundle { self.component(fields) } else { self.new_position(owner, fields) }
    }
}

fn merged(part: Part, changes: &Map<String, Value>) -> Map<String, Value> {
    let mut fields = part.fields;
    fields.extend(changes.clone());
    fields
}

fn object(body: &Value) -> Result<&Map<String, Value>, Refused> {
    body.as_object().ok_or(Refused::new(400, 2005))
}

//! The entity `webhook`, with its limits. Source: facts/moysklad.md, section 1.1.

use super::account::Account;
use super::json::{self, id_of};
use super::kind::KINDS;
use super::list::Query;
use super::refused::Refused;
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use uuid::Uuid;

const LONGEST_URL: usize = 255;

/// A webhook.
#[derive(Debug, Clone)]
pub(super) struct Hook {
    pub(super) id: Uuid,
    pub(super) entity_type: String,
    pub(super) action: String,
    pub(super) url: String,
    pub(super) enabled: bool,
    /// Whether an UPDATE tells the changed fields.
    pub(super) tells_fields: bool,
    /// Notifications that were taken, and that were not, by day.
    pub(super) days: BTreeMap<i64, (usize, usize)>,
}

impl Hook {
    /// Switched off when more than 7 of the last 10 days saw only errors and none saw a success.
    pub(super) fn note(&mut self, day: i64, taken: bool) {
        let counts = self.days.entry(day).or_default();
        if taken {
            counts.0 += 1;
        } else {
            counts.1 += 1;
        }
        let recent: Vec<_> = self.days.range(day - 9..=day).map(|(_, counts)| *counts).collect();
        let bad = recent.iter().filter(|(taken, lost)| *taken == 0 && *lost > 0).count();
        if bad > 7 && recent.iter().all(|(taken, _)| *taken == 0) {
            self.enabled = false;
        }
    }
}

impl Account {
    /// `/entity/webhook…`
    pub(super) fn webhook(
        &mut self,
        method: &Method,
        rest: &[&str],
        query: &Query,
        body: &Value,
    ) -> Result<(u16, Value), Refused> {
        self.may_change_hooks(method)?;
        match (method, rest, body) {
            (&Method::GET, [], _) => {
                let wanted = query.filter.only_ids();
                let shown = |hook: &&Hook| wanted.as_ref().is_none_or(|ids| ids.contains(&hook.id));
                let rows: Vec<Value> =
                    self.hooks.iter().filter(shown).map(|hook| self.show_hook(hook)).collect();
                Ok((200, self.cut(&format!("{}/entity/webhook", self.base), "webhook", rows, query)))
            }
            (&Method::POST, [], Value::Array(items)) => {
                let mut failed = false;
                let results = items.iter().map(|item| {
                    let written = match item.get("meta") {
                        Some(_) => id_of(item).ok_or(Refused::new(412, 2013)),
                        None => self.add_hook(item),
                    };
                    let written = written.and_then(|id| match item.get("meta") {
                        Some(_) => self.change_hook(id, item),
                        None => self.hook(id),
                    });
                    written.unwrap_or_else(|refused| {
                        failed = true;
                        refused.body().unwrap_or_default()
                    })
                });
                let body: Value = results.collect();
                Ok((if failed { self.rules.partial_failure_status } else { 200 }, body))
            }
            (&Method::POST, [], item) => {
                let id = self.add_hook(item)?;
                Ok((200, self.hook(id)?))
            }
            (&Method::POST, ["delete"], Value::Array(items)) => {
                let mut failed = false;
                let results = items.iter().map(|item| {
                    let id = id_of(item).filter(|id| self.hooks.iter().any(|hook| hook.id == *id));
                    if let Some(id) = id {
                        self.hooks.retain(|hook| hook.id != id);
                        json!({"info": format!("Сущность 'webhook' с UUID: {id} успешно удалена")})
                    } else {
                        failed = true;
                        Refused::unknown().body().unwrap_or_default()
                    }
                });
                let body: Value = results.collect();
                Ok((if failed { self.rules.partial_failure_status } else { 200 }, body))
            }
            (method, [id], body) => {
                let id: Uuid = id.parse().map_err(|_| Refused::new(400, 1002))?;
                match *method {
                    Method::GET => Ok((200, self.hook(id)?)),
                    Method::PUT => Ok((200, self.change_hook(id, body)?)),
                    Method::DELETE => {
                        let before = self.hooks.len();
                        self.hooks.retain(|hook| hook.id != id);
                        if self.hooks.len() == before {
                            Err(Refused::empty(404))
                        } else {
                            Ok((200, Value::Null))
                        }
                    }
                    _ => Err(Refused::new(405, 1039)),
                }
            }
            _ => Err(Refused::new(412, 1002)),
        }
    }

    /// Only an administrator of an account that pays.
    pub(super) fn may_change_hooks(&self, method: &Method) -> Result<(), Refused> {
        if *method != Method::GET {
            if !self.rules.is_administrator {
                return Err(Refused::new(403, 30004));
            }
            if self.rules.free_tariff {
                return Err(Refused::new(403, 30006));
            }
        }
        Ok(())
    }

    fn hook(&self, id: Uuid) -> Result<Value, Refused> {
        let hook = self.hooks.iter().find(|hook| hook.id == id);
        hook.map(|hook| self.show_hook(hook)).ok_or_else(Refused::unknown)
    }

    /// A new webhook; gives its id.
    pub(super) fn add_hook(&mut self, body: &Value) -> Result<Uuid, Refused> {
        let text = |name: &str| body[name].as_str().ok_or(Refused::field(412, 3000, name));
        let hook = Hook {
            id: self.mint(),
            entity_type: text("entityType")?.to_owned(),
            action: text("action")?.to_owned(),
            url: text("url")?.to_owned(),
            enabled: body["enabled"].as_bool().unwrap_or(true),
            tells_fields: reads_fields(body, text("action")?)?.unwrap_or(false),
            days: BTreeMap::new(),
        };
        if body.get("method").is_some_and(|method| method != "POST") {
            return Err(Refused::field(412, 30001, "method"));
        }
        self.check_hook(&hook)?;
        let id = hook.id;
        self.hooks.push(hook);
        Ok(id)
    }

    fn change_hook(&mut self, id: Uuid, body: &Value) -> Result<Value, Refused> {
        let place = self.hooks.iter().position(|hook| hook.id == id).ok_or_else(Refused::unknown)?;
        let mut hook = self.hooks[place].clone();
        for (name, target) in
            [("entityType", &mut hook.entity_type), ("action", &mut hook.action), ("url", &mut hook.url)]
        {
            if let Some(text) = body[name].as_str() {
                text.clone_into(target);
            }
        }
        if let Some(tells_fields) = reads_fields(body, &hook.action)? {
            hook.tells_fields = tells_fields;
        }
        if let Some(enabled) = body["enabled"].as_bool() {
            // Whoever switches it on again starts with a clean sheet.
            if enabled && !hook.enabled {
                hook.days.clear();
            }
            hook.enabled = enabled;
        }
        self.check_hook(&hook)?;
        self.hooks[place] = hook;
        self.hook(id)
    }

    fn check_hook(&self, hook: &Hook) -> Result<(), Refused> {
        let refuse = |code, name| Err(Refused::field(412, code, name));
        if !KINDS.iter().any(|kind| kind.keyword == hook.entity_type) {
            return refuse(30000, "entityType");
        }
        if !matches!(hook.action.as_str(), "CREATE" | "UPDATE" | "DELETE") {
            return refuse(30002, "action");
        }
        check_url(&hook.url)?;
        let pair = self.hooks.iter().filter(|other| {
            other.id != hook.id && other.entity_type == hook.entity_type && other.action == hook.action
        });
        if pair.clone().any(|other| other.url == hook.url) {
            return refuse(30003, "url");
        }
        if pair.count() >= self.rules.hooks_per_pair {
            return refuse(30007, "url");
        }
        Ok(())
    }

    fn show_hook(&self, hook: &Hook) -> Value {
        let mut shown = json::meta(&format!("{}/entity/webhook/{}", self.base, hook.id), "webhook");
        shown["meta"]["metadataHref"] = format!("{}/entity/webhook/metadata", self.base).into();
        shown["id"] = hook.id.to_string().into();
        shown["accountId"] = self.id.to_string().into();
        shown["entityType"] = hook.entity_type.as_str().into();
        shown["url"] = hook.url.as_str().into();
        shown["method"] = "POST".into();
        shown["enabled"] = hook.enabled.into();
        shown["action"] = hook.action.as_str().into();
        if hook.action == "UPDATE" {
            shown["diffType"] = if hook.tells_fields { "FIELDS" } else { "NONE" }.into();
        }
        shown
    }

    pub(super) fn cut(&self, href: &str, keyword: &str, mut rows: Vec<Value>, query: &Query) -> Value {
        let size = rows.len();
        rows.drain(..query.offset.min(size));
        rows.truncate(query.limit.unwrap_or(1000));
        let mut page = self.page(href, keyword, rows);
        page["meta"]["size"] = size.into();
        page["meta"]["limit"] = query.limit.unwrap_or(1000).into();
        page["meta"]["offset"] = query.offset.into();
        page
    }
}

fn reads_fields(body: &Value, action: &str) -> Result<Option<bool>, Refused> {
    match body.get("diffType").map(Value::as_str) {
        None => Ok(None),
        Some(_) if action != "UPDATE" => Err(Refused::field(412, 30009, "diffType")),
        Some(Some("FIELDS")) => Ok(Some(true)),
        Some(Some("NONE")) => Ok(Some(false)),
        Some(_) => Err(Refused::field(412, 2016, "diffType")),
    }
}

pub(super) fn check_url(url: &str) -> Result<(), Refused> {
    if url.chars().count() > LONGEST_URL {
        return Err(Refused::field(412, 30010, "url"));
    }
    let good =
        url::Url::parse(url).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if good { Ok(()) } else { Err(Refused::field(412, 30005, "url")) }
}

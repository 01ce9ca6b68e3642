//! The entity `webhookstock`, with its limits. Source: facts/moysklad.md, section 1.5.

use super::account::Account;
use super::json::{self, id_of};
use super::list::Query;
use super::refused::Refused;
use super::webhooks::check_url;
use reqwest::Method;
use serde_json::{Value, json};
use uuid::Uuid;

/// A webhook of stock.
#[derive(Debug, Clone)]
pub(super) struct StockHook {
    pub(super) id: Uuid,
    pub(super) url: String,
    pub(super) report_type: String,
    pub(super) enabled: bool,
}

impl Account {
    /// `/entity/webhookstock…`
    pub(super) fn stock_webhook(
        &mut self,
        method: &Method,
        rest: &[&str],
        query: &Query,
        body: &Value,
    ) -> Result<(u16, Value), Refused> {
        self.may_change_hooks(method)?;
        match (method, rest, body) {
            (&Method::GET, [], _) => {
                let rows = self.stock_hooks.iter().map(|hook| self.show_stock_hook(hook)).collect();
                let href = format!("{}/entity/webhookstock", self.base);
                Ok((200, self.cut(&href, "webhookstock", rows, query)))
            }
            (&Method::POST, [], Value::Array(items)) => {
                Ok(self.each(items, |account, item| match item.get("meta") {
                    None => account.add_stock_hook(item),
                    Some(_) => account.change_stock_hook(id_of(item).ok_or(Refused::new(412, 2013))?, item),
                }))
            }
            (&Method::POST, [], item) => Ok((200, self.add_stock_hook(item)?)),
            (&Method::POST, ["delete"], Value::Array(items)) => Ok(self.each(items, |account, item| {
                let id = id_of(item).ok_or(Refused::new(412, 2013))?;
                account.stock_hooks.remove(account.place_of(id)?);
                Ok(json!({"info": format!("Сущность 'webhookstock' с UUID: {id} успешно удалена")}))
            })),
            (method, [id], body) => {
                let id: Uuid = id.parse().map_err(|_| Refused::new(400, 1002))?;
                match *method {
                    Method::GET => Ok((200, self.show_stock_hook(&self.stock_hooks[self.place_of(id)?]))),
                    Method::PUT => Ok((200, self.change_stock_hook(id, body)?)),
                    Method::DELETE => {
                        let place = self.place_of(id).map_err(|_| Refused::empty(404))?;
                        self.stock_hooks.remove(place);
                        Ok((200, Value::Null))
                    }
                    _ => Err(Refused::new(405, 1039)),
                }
            }
            _ => Err(Refused::new(412, 1002)),
        }
    }

    fn each(
        &mut self,
        items: &[Value],
        mut one: impl FnMut(&mut Self, &Value) -> Result<Value, Refused>,
    ) -> (u16, Value) {
        let mut failed = false;
        let results = items.iter().map(|item| {
            one(self, item).unwrap_or_else(|refused| {
                failed = true;
                refused.body().unwrap_or_default()
            })
        });
        let body: Value = results.collect();
        (if failed { self.rules.partial_failure_status } else { 200 }, body)
    }

    fn place_of(&self, id: Uuid) -> Result<usize, Refused> {
        self.stock_hooks.iter().position(|hook| hook.id == id).ok_or_else(Refused::unknown)
    }

    fn add_stock_hook(&mut self, body: &Value) -> Result<Value, Refused> {
        for name in ["url", "stockType", "reportType"] {
            if !body[name].is_string() {
                return Err(Refused::field(412, 3000, name));
            }
        }
        let blank =
            StockHook { id: self.mint(), url: String::new(), report_type: String::new(), enabled: true };
        let hook = self.read_stock_hook(blank, body)?;
        let shown = self.show_stock_hook(&hook);
        self.stock_hooks.push(hook);
        Ok(shown)
    }

    fn change_stock_hook(&mut self, id: Uuid, body: &Value) -> Result<Value, Refused> {
        let place = self.place_of(id)?;
        let hook = self.read_stock_hook(self.stock_hooks[place].clone(), body)?;
        self.stock_hooks[place] = hook;
        Ok(self.show_stock_hook(&self.stock_hooks[place]))
    }

    fn read_stock_hook(&self, mut hook: StockHook, body: &Value) -> Result<StockHook, Refused> {
        if body.get("stockType").is_some_and(|stock_type| stock_type != "stock") {
            return Err(Refused::field(412, 2029, "stockType"));
        }
        for (name, target) in [("url", &mut hook.url), ("reportType", &mut hook.report_type)] {
            if let Some(text) = body[name].as_str() {
                text.clone_into(target);
            }
        }
        hook.enabled = body["enabled"].as_bool().unwrap_or(hook.enabled);
        if !matches!(hook.report_type.as_str(), "all" | "bystore") {
            return Err(Refused::field(412, 2029, "reportType"));
        }
        check_url(&hook.url)?;
        let others = self.stock_hooks.iter().filter(|other| other.id != hook.id);
        let alike = others.filter(|other| other.report_type == hook.report_type);
        if alike.clone().any(|other| other.url == hook.url) {
            return Err(Refused::field(412, 30003, "url"));
        }
        if alike.count() >= self.rules.hooks_per_pair {
            return Err(Refused::field(412, 30007, "url"));
        }
        Ok(hook)
    }

    fn show_stock_hook(&self, hook: &StockHook) -> Value {
        let href = format!("{}/entity/webhookstock/{}", self.base, hook.id);
        let mut shown = json::meta(&href, "webhookstock");
        shown["meta"]["metadataHref"] = format!("{}/entity/webhookstock/metadata", self.base).into();
        shown["id"] = hook.id.to_string().into();
        shown["accountId"] = self.id.to_string().into();
        shown["url"] = hook.url.as_str().into();
        shown["enabled"] = hook.enabled.into();
        shown["stockType"] = "stock".into();
        shown["reportType"] = hook.report_type.as_str().into();
        shown
    }
}

//! A person at the web interface of an account: edits that raise webhooks, without the header that would mute them.

use super::Simulator;
use super::hooks;
use super::refused::Refused;
use base64::Engine as _;
use reqwest::Method;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use uuid::Uuid;

/// A person at the web interface. Kinds are the API's keywords; of a dictionary's elements `customentity/{id}`.
#[derive(Clone, Copy)]
pub struct Person<'a> {
    pub(super) simulator: &'a Simulator,
    pub(super) account: Uuid,
}

impl Person<'_> {
    /// Anything that the API can do, with its bodies and answers; `path` is below the API's base.
    pub fn request(&self, method: &Method, path: &str, body: &Value) -> Result<Value, Refused> {
        let shared = &self.simulator.shared;
        let (reply, notices) = shared.world().by_hand(self.account, method, path, body)?;
        hooks::send(shared, notices);
        Ok(reply)
    }

    /// The same just before the next request of the API with this method that names all these words, separated by spaces, in
    /// its path, query or body.
    pub fn request_before(&self, (api, words): (Method, &str), method: Method, path: &str, body: Value) {
        let meanwhile = (api, words.to_owned(), (method, path.to_owned(), body));
        self.simulator.change(self.account, |account| account.traffic.meanwhile = Some(meanwhile));
    }

    /// Creates an entity.
    pub fn create(&self, kind: &str, body: &Value) -> Result<Uuid, Refused> {
        id_in(&self.request(&Method::POST, &format!("/entity/{kind}"), body)?)
    }

    /// Creates many at once: one notification holds all. Nothing is said of those that were refused.
    pub fn create_many(&self, kind: &str, bodies: &[Value]) -> Result<Vec<Uuid>, Refused> {
        let reply = self.request(&Method::POST, &format!("/entity/{kind}"), &bodies.into())?;
        Ok(reply.as_array().into_iter().flatten().filter_map(|item| id_in(item).ok()).collect())
    }

    /// Changes fields of an entity.
    pub fn update(&self, kind: &str, id: Uuid, changes: &Value) -> Result<(), Refused> {
        self.request(&Method::PUT, &format!("/entity/{kind}/{id}"), changes).map(|_| ())
    }

    /// Changes many at once: one notification holds all.
    pub fn update_many(&self, kind: &str, changes: &[(Uuid, Value)]) -> Result<(), Refused> {
        let items: Vec<Value> = changes
            .iter()
            .map(|(id, changes)| {
                let mut item = changes.clone();
                item["meta"] = self.simulator.reference(self.account, kind, *id)["meta"].take();
                item
            })
            .collect();
        self.request(&Method::POST, &format!("/entity/{kind}"), &items.into()).map(|_| ())
    }

    /// Deletes an entity; refused where something refers to it.
    pub fn delete(&self, kind: &str, id: Uuid) -> Result<(), Refused> {
        self.request(&Method::DELETE, &format!("/entity/{kind}/{id}"), &Value::Null).map(|_| ())
    }

    /// Takes a document out of the bin. No documented request does that, and that it raises UPDATE is not documented.
    pub fn restore(&self, kind: &str, id: Uuid) -> Result<(), Refused> {
        let shared = &self.simulator.shared;
        let notices = shared.world().restore(self.account, kind, id)?;
        hooks::send(shared, notices);
        Ok(())
    }

    /// Deletes many at once: one notification holds all.
    pub fn delete_many(&self, kind: &str, ids: &[Uuid]) -> Result<(), Refused> {
        let metas: Vec<Value> =
            ids.iter().map(|id| self.simulator.reference(self.account, kind, *id)).collect();
        self.request(&Method::POST, &format!("/entity/{kind}/delete"), &metas.into()).map(|_| ())
    }

    /// Takes a variant's own prices away, so that it has its product's again. No documented request does that.
    pub fn inherit_prices(&self, variant: Uuid) -> Result<(), Refused> {
        let shared = &self.simulator.shared;
        let notices = shared.world().inherit_prices(self.account, variant)?;
        hooks::send(shared, notices);
        Ok(())
    }

    /// Adds a picture.
    pub fn add_image(&self, kind: &str, id: Uuid, filename: &str, content: &[u8]) -> Result<(), Refused> {
        let content = base64::engine::general_purpose::STANDARD.encode(content);
        let body = json!({"filename": filename, "content": content});
        self.request(&Method::POST, &format!("/entity/{kind}/{id}/images"), &body).map(|_| ())
    }

    /// A new custom field of products (also bundles and services), or of documents of a kind.
    pub fn add_attribute(&self, kind: &str, body: &Value) -> Result<Uuid, Refused> {
        id_in(&self.request(&Method::POST, &format!("/entity/{kind}/metadata/attributes"), body)?)
    }

    /// A new characteristic of variants.
    pub fn add_characteristic(&self, name: &str) -> Result<Uuid, Refused> {
        let path = "/entity/variant/metadata/characteristics";
        id_in(&self.request(&Method::POST, path, &json!({"name": name}))?)
    }

    /// A new state of documents.
    pub fn add_state(&self, kind: &str, name: &str) -> Result<Uuid, Refused> {
        let path = format!("/entity/{kind}/metadata/states");
        id_in(&self.request(&Method::POST, &path, &json!({"name": name, "stateType": "Regular"}))?)
    }

    /// A new dictionary with these elements.
    pub fn add_dictionary(&self, name: &str, elements: &[&str]) -> Result<(Uuid, Vec<Uuid>), Refused> {
        let dictionary =
            id_in(&self.request(&Method::POST, "/entity/customentity", &json!({"name": name}))?)?;
        let elements: Result<Vec<Uuid>, Refused> = elements
            .iter()
            .map(|name| self.create(&format!("customentity/{dictionary}"), &json!({"name": name})))
            .collect();
        Ok((dictionary, elements?))
    }

    /// Ships this much of a line of a document, which nobody can remove then (1023); nothing is told of it.
    pub fn ship(&self, document: Uuid, line: Uuid, quantity: Decimal) -> Result<(), Refused> {
        let mut world = self.simulator.shared.world();
        let index = world.index(self.account).ok_or_else(Refused::unknown)?;
        world.accounts[index].ship(document, line, quantity)
    }

    /// A new bank account of a counterparty or organization; gives the reference to it that documents take.
    pub fn add_bank_account(&self, kind: &str, owner: Uuid) -> Result<Value, Refused> {
        let mut world = self.simulator.shared.world();
        let index = world.index(self.account).ok_or_else(Refused::unknown)?;
        Ok(world.accounts[index].add_bank_account(kind, owner))
    }

    /// Sets what a store has of something, and tells the webhooks of stock.
    pub fn set_stock(&self, assortment: Uuid, store: Uuid, quantity: Decimal) {
        let shared = &self.simulator.shared;
        let notices = {
            let mut world = shared.world();
            let Some(index) = world.index(self.account) else { return };
            let moment = world.accounts[index].set_stock(assortment, store, quantity);
            world.stock_notices(index, &moment)
        };
        hooks::send(shared, notices);
    }
}

fn id_in(reply: &Value) -> Result<Uuid, Refused> {
    reply["id"].as_str().and_then(|id| id.parse().ok()).ok_or_else(Refused::unknown)
}

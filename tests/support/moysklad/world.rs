//! All accounts, and what a request does to them.

use super::account::{Account, Hook};
use super::entity::{self, Refused};
use super::filter::List;
use super::gates;
use super::hooks::{self, Delivery, Notice};
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::{Map, Value, json};
use std::collections::HashMap;
use uuid::Uuid;

/// How a request fails.
#[derive(Debug, Clone, Copy)]
pub enum Fault {
    /// Nothing is done; this status comes back, with an error code.
    Status(u16, u32),
    /// It is done, and then the connection breaks before the answer.
    DropAfterCommit,
}

/// A request that came with an account's token.
#[derive(Debug, Clone)]
pub struct Recorded {
    pub method: Method,
    pub path: String,
    pub query: String,
    /// Status of the answer, also of one that was lost.
    pub status: u16,
    /// Values of the loop-prevention header.
    pub prefixes: Vec<String>,
    pub body: Value,
}

pub(super) struct World {
    base: String,
    prefix: String,
    accounts: Vec<Account>,
    /// Whose each id is. Ids never leave it, so that one of a deleted entity is still known.
    owners: HashMap<Uuid, Uuid>,
    /// Public origins of webhook URLs, and where they really are.
    pub(super) names: Vec<(String, String)>,
    pub(super) deliveries: Vec<Delivery>,
    /// Notifications that are still under way.
    pub(super) pending: usize,
    /// Accounts that were refused by a gate, and the status.
    pub(super) refused: Vec<(Uuid, u16)>,
    pub(super) violations: Vec<String>,
    pub(super) header_support: bool,
}

/// A request, read.
pub(super) struct Request {
    pub(super) method: Method,
    /// Below the base.
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// What comes back, and the webhooks that it raises.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Option<Value>,
    pub(super) notices: Vec<Notice>,
}

impl From<Refused> for Answer {
    fn from(refused: Refused) -> Self {
        Self { status: refused.status, body: Some(refused.body()), notices: Vec::new() }
    }
}

fn ok(body: Value) -> Answer {
    Answer { status: 200, body: Some(body), notices: Vec::new() }
}

impl World {
    pub(super) fn new(base: &str, prefix: &str) -> Self {
        Self {
            base: base.to_owned(),
            prefix: prefix.to_owned(),
            accounts: Vec::new(),
            owners: HashMap::new(),
            names: Vec::new(),
            deliveries: Vec::new(),
            pending: 0,
            refused: Vec::new(),
            violations: Vec::new(),
            header_support: true,
        }
    }

    fn fresh_id(&mut self, account: Uuid) -> Uuid {
        let id = Uuid::new_v4();
        self.owners.insert(id, account);
        id
    }

    pub(super) fn add_account(&mut self, token: &str, price_types: &[&str], currencies: &[&str]) -> Uuid {
        let id = Uuid::new_v4();
        let owner = self.fresh_id(id);
        let mut account = Account::new(id, owner, token);
        for (names, dictionary) in [
            (price_types, &mut account.price_types),
            (currencies, &mut account.currencies),
            (&["796", "112"][..], &mut account.uoms),
        ] {
            dictionary.0 = names.iter().map(|name| (self.fresh_id(id), (*name).to_owned())).collect();
        }
        self.accounts.push(account);
        id
    }

    pub(super) fn add_price_type(&mut self, account: Uuid, name: &str) {
        let id = self.fresh_id(account);
        self.account_mut(account).price_types.0.push((id, name.to_owned()));
    }

    pub(super) fn account(&self, id: Uuid) -> &Account {
        self.accounts.iter().find(|account| account.id == id).unwrap()
    }

    pub(super) fn account_mut(&mut self, id: Uuid) -> &mut Account {
        self.accounts.iter_mut().find(|account| account.id == id).unwrap()
    }

    /// The account that a token opens.
    pub(super) fn by_token(&mut self, token: &str) -> Option<Uuid> {
        let account = self.accounts.iter().find(|account| account.token == token)?;
        if account.token_is_dead {
            self.refused.push((account.id, 401));
            return None;
        }
        Some(account.id)
    }

    pub(super) fn address_of(&self, url: &str) -> String {
        let known = self.names.iter().find_map(|(origin, address)| {
            url.strip_prefix(origin.as_str()).map(|rest| format!("{address}{rest}"))
        });
        known.unwrap_or_else(|| url.to_owned())
    }

    pub(super) fn violate(&mut self, what: String) {
        self.violations.push(what);
    }

    pub(super) fn create_by_hand(&mut self, account: Uuid, product: &Value) -> (Uuid, Vec<Notice>) {
        let (id, base) = (self.fresh_id(account), self.base.clone());
        self.account_mut(account).insert(&base, id, product.as_object().unwrap()).unwrap();
        (id, self.notices(account, id, "CREATE", &[], &[]))
    }

    pub(super) fn edit_by_hand(&mut self, account: Uuid, id: Uuid, changes: &Value) -> Vec<Notice> {
        let base = self.base.clone();
        let (_, updated) = self.account_mut(account).update(&base, id, changes.as_object().unwrap()).unwrap();
        self.notices(account, id, "UPDATE", &updated, &[])
    }

    pub(super) fn delete_by_hand(&mut self, account: Uuid, id: Uuid) -> Vec<Notice> {
        self.account_mut(account).products.remove(&id).unwrap();
        self.notices(account, id, "DELETE", &[], &[])
    }

    fn notices(
        &self,
        account: Uuid,
        id: Uuid,
        action: &str,
        updated: &[String],
        muted: &[String],
    ) -> Vec<Notice> {
        let raised = |hook: &&Hook| hook.entity_type == "product" && hook.action == action;
        let loud =
            |hook: &&Hook| !self.header_support || !muted.iter().any(|prefix| hook.url.starts_with(prefix));
        let body = hooks::body(&self.base, account, "product", id, action, updated);
        let hooks = self.account(account).hooks.iter().filter(raised).filter(loud);
        hooks.map(|hook| Notice { account, url: hook.url.clone(), body: body.clone() }).collect()
    }

    /// What an authenticated, unhindered request does.
    pub(super) fn handle(&mut self, account: Uuid, request: &Request) -> Answer {
        let body: Value = if request.body.is_empty() {
            Value::Null
        } else {
            match serde_json::from_slice(&request.body) {
                Ok(body) => body,
                Err(_) => return Refused::new(400, 2001).into(),
            }
        };
        let muted = match gates::muted_prefixes(&request.headers) {
            Ok(muted) => muted,
            Err(refused) => return refused.into(),
        };
        self.watch(account, request, &muted);
        let answer = self.route(account, request, &body, &muted).unwrap_or_else(Answer::from);
        let Request { method, path, query, .. } = request;
        let (method, path, query, status) = (method.clone(), path.clone(), query.clone(), answer.status);
        let recorded = Recorded { method, path, query, status, prefixes: muted, body };
        self.account_mut(account).recorded.push(recorded);
        answer
    }

    /// Notes what no correct client does.
    fn watch(&mut self, account: Uuid, request: &Request, muted: &[String]) {
        let what = format!("{} {}", request.method, request.path);
        let text = format!("{}?{} {}", request.path, request.query, String::from_utf8_lossy(&request.body));
        for id in entity::uuids(&text) {
            if self.owners.get(&id).is_some_and(|owner| *owner != account) {
                self.violate(format!("{what}: {id} is an id of another account"));
            }
        }
        if request.method != Method::GET && !muted.contains(&self.prefix) {
            self.violate(format!("{what}: a write without the loop-prevention header"));
        }
    }

    fn route(
        &mut self,
        account: Uuid,
        request: &Request,
        body: &Value,
        muted: &[String],
    ) -> Result<Answer, Refused> {
        let segments: Vec<&str> = request.path.trim_matches('/').split('/').collect();
        match (&request.method, segments.as_slice()) {
            (&Method::GET, ["context", "companysettings", "pricetype"]) => Ok(ok(self.price_types(account))),
            (&Method::GET, ["entity", "currency"]) => Ok(ok(self.currencies(account))),
            (&Method::GET, ["entity", "uom"]) => Ok(ok(self.uoms(account))),
            (&Method::GET, ["entity", "product"]) => self.list(account, &request.query).map(ok),
            (&Method::POST, ["entity", "product"]) => self.create(account, object(body)?, muted),
            (method, ["entity", "product", id]) => {
                let id: Uuid = id.parse().map_err(|_| Refused::new(400, 1002))?;
                let known = self.account(account).products.get(&id).cloned();
                match *method {
                    Method::GET => known.map(|product| ok(product.into())).ok_or(Refused::new(404, 1021)),
                    Method::PUT => self.update(account, id, object(body)?, muted),
                    Method::DELETE if known.is_none() => {
                        Ok(Answer { status: 404, body: None, notices: Vec::new() })
                    }
                    Method::DELETE => {
                        self.account_mut(account).products.remove(&id);
                        let notices = self.notices(account, id, "DELETE", &[], muted);
                        Ok(Answer { status: 200, body: None, notices })
                    }
                    _ => Err(Refused::new(405, 1039)),
                }
            }
            _ => Err(Refused::new(412, 1005)),
        }
    }

    fn create(
        &mut self,
        account: Uuid,
        body: &Map<String, Value>,
        muted: &[String],
    ) -> Result<Answer, Refused> {
        self.check_references(account, body)?;
        if let Some(sync_id) = body.get("syncId")
            && let Some(existing) = self.account(account).by_sync_id(sync_id)
        {
            return Ok(ok(existing.clone().into()));
        }
        let (id, base) = (self.fresh_id(account), self.base.clone());
        let product = self.account_mut(account).insert(&base, id, body)?;
        let notices = self.notices(account, id, "CREATE", &[], muted);
        Ok(Answer { notices, ..ok(product) })
    }

    fn update(
        &mut self,
        account: Uuid,
        id: Uuid,
        body: &Map<String, Value>,
        muted: &[String],
    ) -> Result<Answer, Refused> {
        if !self.account(account).products.contains_key(&id) {
            return Err(Refused::new(404, 1021));
        }
        self.check_references(account, body)?;
        let base = self.base.clone();
        let (product, changed) = self.account_mut(account).update(&base, id, body)?;
        let notices = self.notices(account, id, "UPDATE", &changed, muted);
        Ok(Answer { notices, ..ok(product) })
    }

    fn check_references(&self, account: Uuid, body: &Map<String, Value>) -> Result<(), Refused> {
        let mut references = Vec::new();
        entity::references(&Value::Object(body.clone()), &mut references);
        for meta in references {
            let href = meta["href"].as_str().ok_or(Refused::new(412, 2010))?;
            let kind = meta["type"].as_str().ok_or(Refused::new(412, 2011))?;
            if !href.starts_with(&self.base) {
                return Err(Refused::new(412, 1059));
            }
            if !href.contains(&format!("/{kind}/")) {
                return Err(Refused::new(412, 2024));
            }
            let id = href.rsplit('/').next().and_then(|id| id.parse().ok()).ok_or(Refused::new(412, 2013))?;
            if !self.account(account).has(kind, id) {
                return Err(Refused::new(404, 1021));
            }
        }
        Ok(())
    }

    fn list(&self, account: Uuid, query: &str) -> Result<Value, Refused> {
        let query: Vec<(String, String)> =
            url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let list = List::read(&query)?;
        let found: Vec<&Map<String, Value>> =
            self.account(account).products.values().filter(|product| list.shows(product)).collect();
        let rows = found.iter().skip(list.offset).take(list.limit);
        let rows = rows.map(|product| Value::Object((*product).clone())).collect();
        let href = format!("{}/entity/product", self.base);
        let mut page = self.page(account, &href, rows);
        page["meta"]["size"] = found.len().into();
        page["meta"]["limit"] = list.limit.into();
        page["meta"]["offset"] = list.offset.into();
        Ok(page)
    }

    fn page(&self, account: Uuid, href: &str, rows: Vec<Value>) -> Value {
        let size = rows.len();
        json!({
            "context": {"employee": entity::reference(&self.base, "employee", self.account(account).owner)},
            "meta": {"href": href, "type": "x", "mediaType": "application/json", "size": size, "limit": 1000, "offset": 0},
            "rows": Value::Array(rows),
        })
    }

    /// A bare array, unlike every other list.
    fn price_types(&self, account: Uuid) -> Value {
        let entries = self.account(account).price_types.0.iter().map(|(id, name)| {
            let mut price_type = entity::reference(&self.base, "pricetype", *id);
            price_type["id"] = id.to_string().into();
            price_type["name"] = name.as_str().into();
            price_type
        });
        entries.collect()
    }

    fn currencies(&self, account: Uuid) -> Value {
        let entries = self.account(account).currencies.0.iter().enumerate().map(|(index, (id, iso))| {
            let mut currency = entity::reference(&self.base, "currency", *id);
            currency["id"] = id.to_string().into();
            currency["name"] = iso.as_str().into();
            currency["isoCode"] = iso.as_str().into();
            currency["default"] = (index == 0).into();
            currency
        });
        self.page(account, &format!("{}/entity/currency", self.base), entries.collect())
    }

    fn uoms(&self, account: Uuid) -> Value {
        let entries = self.account(account).uoms.0.iter().map(|(id, code)| {
            let mut uom = entity::reference(&self.base, "uom", *id);
            uom["id"] = id.to_string().into();
            uom["name"] = format!("unit {code}").into();
            uom["code"] = code.as_str().into();
            uom
        });
        self.page(account, &format!("{}/entity/uom", self.base), entries.collect())
    }
}

fn object(body: &Value) -> Result<&Map<String, Value>, Refused> {
    body.as_object().ok_or(Refused::new(400, 2005))
}

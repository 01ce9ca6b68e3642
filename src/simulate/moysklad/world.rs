//! All accounts, and what a request does to them.

use super::account::Account;
use super::gates::{self, Principal};
use super::hooks::{self, Delivery, Notice};
use super::json;
use super::knobs::{Dice, Weather};
use super::refused::Refused;
use super::traffic::Recorded;
use reqwest::Method;
use reqwest::header::HeaderMap;
use serde_json::Value;
use std::collections::HashMap;
use std::time::Instant;
use uuid::Uuid;

/// A link to a picture works this long.
const LINK_SECONDS: u64 = 60;

/// Everything that is simulated.
pub(super) struct World {
    pub(super) base: String,
    /// What every write must carry in the loop-prevention header; nothing is demanded without it.
    pub(super) prefix: Option<String>,
    pub(super) accounts: Vec<Account>,
    /// Origins of URLs, and where they really are.
    pub(super) names: Vec<(String, String)>,
    pub(super) deliveries: Vec<Delivery>,
    /// How many requests of each account, and how many deliveries, are remembered.
    pub(super) kept: usize,
    /// Notifications that are still under way.
    pub(super) pending: usize,
    /// Accounts that were refused by a gate, and the status.
    pub(super) refused: Vec<(Uuid, u16)>,
    pub(super) violations: Vec<String>,
    pub(super) header_support: bool,
    pub(super) weather: Weather,
    pub(super) dice: Dice,
    /// Days that have passed beyond the real ones.
    pub(super) days: i64,
    /// Origin of links to contents.
    storage: String,
    /// Links that have not been followed: the image, and when they were given.
    links: HashMap<Uuid, (Uuid, Instant)>,
    /// How many of the next links nobody will be quick enough for.
    pub(super) dead_links: usize,
    /// File names of images whose contents the storage has lost.
    pub(super) lost_contents: Vec<String>,
    answers: usize,
}

/// A request, read.
#[derive(Debug, Clone)]
pub(super) struct Request {
    pub(super) method: Method,
    /// Below the base.
    pub(super) path: String,
    pub(super) query: String,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Request {
    /// Whether path, query or body hold each of these words, which spaces separate.
    pub(super) fn names(&self, words: &str) -> bool {
        let body = String::from_utf8_lossy(&self.body);
        words
            .split(' ')
            .all(|word| [&*self.path, &*self.query, &*body].iter().any(|part| part.contains(word)))
    }
}

/// What comes back, and the webhooks that it raises.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Option<Value>,
    pub(super) location: Option<String>,
    pub(super) notices: Vec<Notice>,
}

impl From<Refused> for Answer {
    fn from(refused: Refused) -> Self {
        let body = refused.body();
        Self { status: refused.status, body, location: refused.location, notices: Vec::new() }
    }
}

/// Adds one, and forgets the oldest half once there are twice as many as are `kept`.
pub(super) fn keep<T>(all: &mut Vec<T>, one: T, kept: usize) {
    all.push(one);
    if all.len() / 2 >= kept {
        all.drain(..all.len() - kept);
    }
}

impl World {
    pub(super) fn new(base: &str, storage: &str, prefix: Option<&str>, seed: u64) -> Self {
        Self {
            base: base.to_owned(),
            storage: storage.to_owned(),
            prefix: prefix.map(str::to_owned),
            accounts: Vec::new(),
            names: Vec::new(),
            deliveries: Vec::new(),
            kept: usize::MAX,
            pending: 0,
            refused: Vec::new(),
            violations: Vec::new(),
            header_support: true,
            weather: Weather::default(),
            dice: Dice::new(seed),
            days: 0,
            links: HashMap::new(),
            dead_links: 0,
            lost_contents: Vec::new(),
            answers: 0,
        }
    }

    pub(super) fn add_account(
        &mut self,
        name: &str,
        token: &str,
        price_types: &[&str],
        currencies: &[&str],
    ) -> Uuid {
        let mut account = Account::new(name, &self.base);
        for price_type in price_types {
            account.add_price_type(price_type);
        }
        for (index, iso_code) in currencies.iter().enumerate() {
            let fields = serde_json::json!({
                "name": iso_code, "isoCode": iso_code, "code": format!("{:03}", 643 + index),
                "rate": 1.0, "multiplicity": 1, "archived": false, "indirect": false,
            });
            account.furnish("currency", fields);
        }
        let mut principal = Principal::new(token, 1);
        principal.login = Some((format!("admin@{name}"), "password".to_owned()));
        account.principals.push(principal);
        let id = account.id;
        self.accounts.push(account);
        id
    }

    pub(super) fn index(&self, account: Uuid) -> Option<usize> {
        self.accounts.iter().position(|known| known.id == account)
    }

    /// The account and principal that a request's credentials open.
    pub(super) fn authenticate(&mut self, headers: &HeaderMap) -> Option<(usize, usize)> {
        let (token, login) = (gates::bearer(headers), gates::basic(headers));
        for (index, account) in self.accounts.iter().enumerate() {
            let opens = |principal: &Principal| match token {
                Some(token) => principal.token == token,
                None => login.is_some() && principal.login == login,
            };
            let Some(principal) = account.principals.iter().position(opens) else { continue };
            if account.principals[principal].is_dead {
                self.refused.push((account.id, 401));
                return None;
            }
            return Some((index, principal));
        }
        None
    }

    /// `POST /security/token`: a new token; the user's earlier one is dead.
    pub(super) fn issue_token(&mut self, headers: &HeaderMap) -> Result<String, Refused> {
        let login = gates::basic(headers).ok_or(Refused::new(401, 1056))?;
        let mut principals = self.accounts.iter_mut().flat_map(|account| &mut account.principals);
        let user = principals.find(|principal| principal.login.as_ref() == Some(&login));
        let user = user.ok_or(Refused::new(401, 1056))?;
        user.token = format!("{}{:08x}", Uuid::new_v4().simple(), rand::random::<u32>());
        user.is_dead = false;
        Ok(user.token.clone())
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

    /// What an authenticated, unhindered request does.
    pub(super) fn handle(&mut self, index: usize, request: &Request) -> Answer {
        let Request { method, path, query, headers, body } = request;
        let body: Value = if body.is_empty() {
            Value::Null
        } else {
            match serde_json::from_slice(body) {
                Ok(body) => body,
                Err(_) => return Refused::new(400, 2001).into(),
            }
        };
        let muted = match gates::muted_prefixes(headers) {
            Ok(muted) => muted,
            Err(refused) => return refused.into(),
        };
        self.watch(index, request, &muted);
        let account = &mut self.accounts[index];
        let reply = account.route(method, path, query, &body);
        let complaints = std::mem::take(&mut account.complaints);
        self.violations.extend(complaints.into_iter().map(|what| format!("{method} {path}: {what}")));
        let answer = match reply {
            Ok((status, body)) => Answer {
                status,
                body: (!body.is_null()).then_some(body),
                location: None,
                notices: self.notices(index, &muted),
            },
            Err(mut refused) => {
                self.accounts[index].events.clear();
                if refused.status == 302 {
                    refused.location = refused.location.and_then(|image| self.give_link(&image));
                }
                refused.into()
            }
        };
        let (method, path, query, status) = (method.clone(), path.clone(), query.clone(), answer.status);
        let recorded = Recorded { method, path, query, status, prefixes: muted, body };
        keep(&mut self.accounts[index].traffic.recorded, recorded, self.kept);
        answer
    }

    /// What a person does in the web interface: nothing is checked at a gate, and no webhook is muted.
    pub(super) fn by_hand(
        &mut self,
        account: Uuid,
        method: &Method,
        path: &str,
        body: &Value,
    ) -> Result<(Value, Vec<Notice>), Refused> {
        let index = self.index(account).ok_or_else(Refused::unknown)?;
        let account = &mut self.accounts[index];
        let reply = account.route(method, path, "", body);
        account.complaints.clear();
        match reply {
            Ok((_, body)) => Ok((body, self.notices(index, &[]))),
            Err(refused) => {
                account.events.clear();
                Err(refused)
            }
        }
    }

    /// A variant without own prices again, as the web interface may make it.
    pub(super) fn inherit_prices(&mut self, account: Uuid, variant: Uuid) -> Result<Vec<Notice>, Refused> {
        let index = self.index(account).ok_or_else(Refused::unknown)?;
        let account = &mut self.accounts[index];
        let before = account.get(variant).ok_or_else(Refused::unknown)?.clone();
        let mut after = before.clone();
        for name in ["salePrices", "buyPrice", "minPrice"] {
            after.fields.shift_remove(name);
        }
        account.changed(&before, after);
        Ok(self.notices(index, &[]))
    }

    /// A document out of the bin.
    pub(super) fn restore(&mut self, account: Uuid, kind: &str, id: Uuid) -> Result<Vec<Notice>, Refused> {
        let index = self.index(account).ok_or_else(Refused::unknown)?;
        let account = &mut self.accounts[index];
        let before = account.get(id).filter(|entity| entity.kind.keyword == kind);
        let before = before.ok_or_else(Refused::unknown)?.clone();
        let mut after = before.clone();
        after.fields.shift_remove("deleted").ok_or_else(Refused::unknown)?;
        account.changed(&before, after);
        Ok(self.notices(index, &[]))
    }

    /// Notes what no correct client does.
    fn watch(&mut self, index: usize, request: &Request, muted: &[String]) {
        let Request { method, path, query, body, .. } = request;
        let text = format!("{path}?{query} {}", String::from_utf8_lossy(body));
        let mut found = Vec::new();
        for id in json::uuids(&text) {
            let mut others = self.accounts.iter().enumerate().filter(|(other, _)| *other != index);
            if others.any(|(_, other)| other.minted(id)) {
                found.push(format!("{method} {path}: {id} is an id of another account"));
            }
        }
        let raises_webhooks = *method != Method::GET && !path.starts_with("/entity/webhook");
        if let Some(prefix) = &self.prefix
            && raises_webhooks
            && !muted.contains(prefix)
        {
            found.push(format!("{method} {path}: a write without the loop-prevention header"));
        }
        self.violations.extend(found);
    }

    /// One notification for each webhook that the present request's events raise, holding all of them.
    fn notices(&mut self, index: usize, muted: &[String]) -> Vec<Notice> {
        let events = std::mem::take(&mut self.accounts[index].events);
        let account = &self.accounts[index];
        if events.is_empty() || account.rules.free_tariff {
            return Vec::new();
        }
        let loud = |url: &str| !self.header_support || !muted.iter().any(|prefix| url.starts_with(prefix));
        let mut notices = Vec::new();
        for hook in account.hooks.iter().filter(|hook| hook.enabled && loud(&hook.url)) {
            let raised: Vec<_> = events
                .iter()
                .filter(|event| event.kind == hook.entity_type && event.action == hook.action)
                .collect();
            if !raised.is_empty() {
                let body = hooks::body(account, hook.tells_fields, &raised);
                notices.push(Notice {
                    account: account.id,
                    hook: Some(hook.id),
                    url: hook.url.clone(),
                    body,
                });
            }
        }
        notices
    }

    /// Notifications about stock that has changed since `moment`.
    pub(super) fn stock_notices(&self, index: usize, moment: &str) -> Vec<Notice> {
        let account = &self.accounts[index];
        if account.rules.free_tariff {
            return Vec::new();
        }
        let enabled = account.stock_hooks.iter().filter(|hook| hook.enabled);
        enabled
            .map(|hook| Notice {
                account: account.id,
                hook: None,
                url: hook.url.clone(),
                body: hooks::stock_body(account, &hook.report_type, moment),
            })
            .collect()
    }

    /// A link to the content of an image, at another host.
    fn give_link(&mut self, image: &str) -> Option<String> {
        let image = image.parse().ok()?;
        let link = Uuid::new_v4();
        if self.dead_links > 0 {
            self.dead_links -= 1;
        } else {
            self.links.insert(link, (image, Instant::now()));
        }
        Some(format!("{}/temporary/{link}", self.storage))
    }

    /// The picture behind a link that still works.
    pub(super) fn linked_image(&self, link: Uuid) -> Option<bytes::Bytes> {
        let (image, made) = self.links.get(&link)?;
        if made.elapsed().as_secs() >= LINK_SECONDS {
            return None;
        }
        let image = self.accounts.iter().find_map(|account| account.image(*image).ok())?;
        (!self.lost_contents.contains(&image.filename)).then(|| image.content.clone())
    }

    /// Every fifth answer comes plain, as happens in rare cases.
    pub(super) fn is_next_plain(&mut self) -> bool {
        self.answers += 1;
        self.answers.is_multiple_of(5)
    }

    /// Today, in days since 1970.
    pub(super) fn today(&self) -> i64 {
        chrono::Utc::now().timestamp() / 86_400 + self.days
    }
}

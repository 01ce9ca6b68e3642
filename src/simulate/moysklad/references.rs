//! Whether what a body refers to is this account's own.

use super::account::{Account, Entity};
use super::json;
use super::kind::kind;
use super::refused::Refused;
use serde_json::Value;
use uuid::Uuid;

impl Account {
    /// Every `meta` in a body must point at something that the account has (1021).
    pub(super) fn check_references(&self, body: &Value) -> Result<(), Refused> {
        let mut found = Vec::new();
        json::references(body, &mut found);
        found.into_iter().try_for_each(|meta| self.resolve(meta).map(|_| ()))
    }

    /// The kind and id that a `meta` points at.
    pub(super) fn resolve<'a>(&self, meta: &'a Value) -> Result<(&'a str, Uuid), Refused> {
        let href = meta["href"].as_str().ok_or(Refused::new(412, 2010))?;
        let keyword = meta["type"].as_str().ok_or(Refused::new(412, 2011))?;
        let path = href.strip_prefix(self.base.as_str()).ok_or(Refused::new(412, 1059))?;
        let path: Vec<&str> = path.trim_matches('/').split('/').collect();
        let id = path.last().and_then(|id| id.parse::<Uuid>().ok()).ok_or(Refused::new(412, 2013))?;
        let known = match (keyword, path.as_slice()) {
            ("pricetype", ["context", "companysettings", "pricetype", _]) => {
                self.price_types.iter().any(|price_type| price_type.id == id)
            }
            ("attributemetadata", ["entity", "variant", "metadata", "characteristics", _]) => {
                self.characteristics.iter().any(|characteristic| characteristic.0 == id)
            }
            ("attributemetadata", ["entity", _, "metadata", "attributes", _]) => {
                self.attributes.values().flatten().any(|attribute| attribute.id == id)
            }
            ("state", ["entity", _, "metadata", "states", _]) => {
                self.states.values().flatten().any(|state| state.id == id)
            }
            ("customentity", ["entity", "customentity", _])
            | ("customentitymetadata", ["context", "companysettings", "metadata", "customEntities", _]) => {
                self.dictionaries.iter().any(|dictionary| dictionary.0 == id)
            }
            ("customentity", ["entity", "customentity", dictionary, _]) => {
                let dictionary = dictionary.parse().ok();
                self.get(id).is_some_and(|element| {
                    element.kind.keyword == "customentity" && element.dictionary == dictionary
                })
            }
            ("image", ["entity", owner, owner_id, "images", _]) => {
                let owner = kind(owner).zip(owner_id.parse().ok());
                owner
                    .and_then(|(kind, id)| self.find(kind, id).ok())
                    .is_some_and(|entity| entity.images.iter().any(|image| image.id == id))
            }
            (_, ["entity", owner, owner_id, "positions" | "components", _]) => {
                let owner = kind(owner).zip(owner_id.parse().ok());
                owner
                    .and_then(|(kind, id)| self.find(kind, id).ok())
                    .is_some_and(|entity| entity.parts.iter().any(|part| part.id == id))
            }
            ("account", ["entity", "counterparty" | "organization", owner, "accounts", _]) => {
                self.bank_accounts.get(&id).is_some_and(|known| known.to_string() == *owner)
            }
            ("webhook", ["entity", "webhook", _]) => self.hooks.iter().any(|hook| hook.id == id),
            ("webhookstock", ["entity", "webhookstock", _]) => {
                self.stock_hooks.iter().any(|hook| hook.id == id)
            }
            (_, ["entity", path_kind, _]) => {
                let kind = kind(keyword).ok_or(Refused::new(412, 2012))?;
                if !path_kind.eq_ignore_ascii_case(kind.keyword) {
                    return Err(Refused::new(412, 2024));
                }
                self.find(kind, id).is_ok()
            }
            _ => return Err(Refused::new(412, 2024)),
        };
        if known { Ok((keyword, id)) } else { Err(Refused::unknown()) }
    }

    /// A new bank account of a counterparty or organization, as a reference.
    pub(super) fn add_bank_account(&mut self, kind: &str, owner: Uuid) -> Value {
        let id = self.mint();
        self.bank_accounts.insert(id, owner);
        json::meta(&format!("{}/accounts/{id}", self.href(kind, owner)), "account")
    }

    /// A document's bank accounts are those of its organization (17000) and of its agent (17001).
    pub(super) fn check_bank_accounts(&self, document: &Entity) -> Result<(), Refused> {
        let sides = [("organization", "organizationAccount", 17000), ("agent", "agentAccount", 17001)];
        for (side, name, code) in sides {
            let Some(account) = document.fields.get(name).and_then(json::id_of) else { continue };
            if self.bank_accounts.get(&account) != document.fields.get(side).and_then(json::id_of).as_ref() {
                return Err(Refused::field(412, code, name));
            }
        }
        Ok(())
    }

    /// A reference to one of these kinds.
    pub(super) fn reference_to(&self, kinds: &[&str], value: &Value, name: &str) -> Result<Uuid, Refused> {
        let meta = value.get("meta").ok_or(Refused::field(412, 2016, name))?;
        let (keyword, id) = self.resolve(meta)?;
        if kinds.iter().any(|kind| kind.eq_ignore_ascii_case(keyword)) {
            Ok(id)
        } else {
            Err(Refused::field(412, 2024, name))
        }
    }
}

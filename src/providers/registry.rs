//! The configured providers by name. A provider without a secret is not in it: it does not exist.

use super::c2s::C2s;
use super::moysklad::Moysklad;
use super::scheme::{BUILTIN, Instance, Learned, SchemeError, Tables, read_tables};
use super::{Access, Provider, ReplyRule};
use crate::config::Settings;
use crate::crypto::MasterKey;
use arc_swap::ArcSwap;
use hmac::{Hmac, KeyInit as _, Mac as _};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Secrets that stand in the database, by provider: those that handshakes offered and operators approved, and those of
/// single accounts.
pub type LearnedSecrets = BTreeMap<String, Vec<Learned>>;

/// A configured provider, and what the receiver asks of it for every request.
pub struct Configured {
    /// Proves and reads.
    pub provider: Arc<dyn Provider>,
    /// Name of its scheme: its own, or that of the built-in one that it is an instance of.
    pub scheme: String,
    /// Who may call.
    pub access: Access,
    /// How deliveries are answered.
    pub reply: ReplyRule,
    /// Lower-case names of headers that must not be stored.
    pub secret_headers: Vec<String>,
}

/// The configured providers by name.
#[derive(Clone, Default)]
pub struct Registry(BTreeMap<String, Arc<Configured>>);

impl Registry {
    /// Every provider that the settings give a secret, and what handshakes taught.
    pub fn new(settings: &Settings, learned: &LearnedSecrets) -> Result<Self, SchemeError> {
        let tables = tables(settings)?;
        let id = secret_id(settings.store.master_key.as_ref());
        let mut registry = Self::default();
        let secrets = &settings.c2s.webhook_secrets;
        if !secrets.is_empty() {
            let provider = C2s::new(ids(secrets, &id));
            registry.add("c2s", tables.access("c2s"), Arc::new(provider));
        }
        let tokens = &settings.moysklad.webhook_tokens;
        let of_accounts = learned.get("moysklad").map(Vec::as_slice).unwrap_or_default();
        if !(tokens.is_empty() && of_accounts.is_empty()) {
            let of_accounts = of_accounts.iter().filter_map(|secret| {
                Some((KnownSecret { id: secret.id.clone(), value: secret.value.clone() }, secret.account?))
            });
            let provider = Moysklad::new(ids(tokens, &id), settings.moysklad.base_url.clone())
                .with_accounts(of_accounts);
            registry.add("moysklad", tables.access("moysklad"), Arc::new(provider));
        }
        let mut names: BTreeSet<&str> = BUILTIN.iter().map(|(name, _)| *name).collect();
        names.extend(tables.names().filter(|name| !["c2s", "moysklad"].contains(name)));
        for name in names {
            let learned = learned.get(name).map(Vec::as_slice).unwrap_or_default();
            if let Some(Instance { provider, scheme, access }) =
                tables.instance(name, &settings.source, learned, &id)?
            {
                registry.add(&scheme, access, Arc::new(provider));
            }
        }
        Ok(registry)
    }

    fn add(&mut self, scheme: &str, access: Access, provider: Arc<dyn Provider>) {
        let configured = Configured {
            scheme: scheme.to_owned(),
            access,
            reply: provider.reply(),
            secret_headers: provider.secret_headers(),
            provider,
        };
        self.0.insert(configured.provider.name().to_owned(), Arc::new(configured));
    }

    /// The provider of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Configured>> {
        self.0.get(name)
    }

    /// All names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// All of them, in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Configured>> {
        self.0.values()
    }

    /// Name of the scheme of each provider that is called otherwise.
    pub fn instances(&self) -> BTreeMap<String, String> {
        let renamed = self.0.iter().filter(|(name, configured)| **name != configured.scheme);
        renamed.map(|(name, configured)| (name.clone(), configured.scheme.clone())).collect()
    }
}

/// The tables `[providers.NAME]` of the settings file.
pub fn tables(settings: &Settings) -> Result<Tables, SchemeError> {
    let (file, text) = settings.source.file();
    read_tables(file, text)
}

/// The registry in force: replaced as a whole when settings are read again or a secret is approved.
#[derive(Clone)]
pub struct Providers(Arc<ArcSwap<Registry>>);

impl Providers {
    /// Begins with this registry.
    pub fn new(registry: Registry) -> Self {
        Self(Arc::new(ArcSwap::from_pointee(registry)))
    }

    /// The registry in force now.
    pub fn now(&self) -> Arc<Registry> {
        self.0.load_full()
    }

    /// The provider of this name.
    pub fn get(&self, name: &str) -> Option<Arc<Configured>> {
        self.0.load().get(name).cloned()
    }

    /// Puts another registry in force.
    pub fn replace(&self, registry: Registry) {
        self.0.store(Arc::new(registry));
    }
}

/// A secret and the id that it is known by.
#[derive(Clone)]
pub struct KnownSecret {
    /// Its id: never a part of the secret.
    pub id: String,
    /// The secret.
    pub value: SecretString,
}

fn ids(secrets: &[SecretString], id: &dyn Fn(usize, &SecretString) -> String) -> Vec<KnownSecret> {
    let known = secrets.iter().enumerate();
    known.map(|(index, value)| KnownSecret { id: id(index, value), value: value.clone() }).collect()
}

/// How a secret without a name is called: by eight digits of a keyed hash, which stay the same wherever it stands in its
/// list; without a master key by its place, since a bare hash would let a weak secret be guessed.
fn secret_id(master_key: Option<&MasterKey>) -> impl Fn(usize, &SecretString) -> String {
    let key = master_key.map(|key| key.derive("ids of secrets"));
    move |index, secret| match key.and_then(|key| Hmac::<Sha256>::new_from_slice(&key).ok()) {
        Some(mac) => {
            let tag = mac.chain_update(secret.expose_secret()).finalize().into_bytes();
            hex::encode(&tag[..4])
        }
        None => format!("#{}", index + 1),
    }
}

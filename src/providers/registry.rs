//! The configured providers by name. A provider without a secret is not in it: it does not exist.

use super::Provider;
use super::c2s::C2s;
use super::moysklad::Moysklad;
use super::stripe::Stripe;
use crate::config::Settings;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The configured providers by name.
#[derive(Clone, Default)]
pub struct Registry(BTreeMap<String, Arc<dyn Provider>>);

impl Registry {
    /// Every provider that has a secret in the settings.
    pub fn new(settings: &Settings) -> Self {
        let mut registry = Self::default();
        let (stripe, c2s, moysklad) = (&settings.stripe, &settings.c2s, &settings.moysklad);
        if !stripe.webhook_secrets.is_empty() {
            registry.add(Stripe::new(stripe.webhook_secrets.clone(), stripe.tolerance));
        }
        if !c2s.webhook_secrets.is_empty() {
            registry.add(C2s::new(c2s.webhook_secrets.clone()));
        }
        if !moysklad.webhook_tokens.is_empty() {
            registry.add(Moysklad::new(moysklad.webhook_tokens.clone(), moysklad.base_url.clone()));
        }
        registry
    }

    fn add(&mut self, provider: impl Provider + 'static) {
        self.0.insert(provider.name().to_owned(), Arc::new(provider));
    }

    /// The provider of this name.
    pub fn get(&self, name: &str) -> Option<&Arc<dyn Provider>> {
        self.0.get(name)
    }

    /// All names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

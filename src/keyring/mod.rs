//! What proofs need from outside: fetched, bounded, remembered.
//!
//! [`crate::providers`] asks through [`Evidence`] and never waits; what is missing is a [`Needed`], which the caller
//! hands to [`Keyring::supply`] before it verifies again. The URLs have passed the rules of their scheme. Nothing here
//! judges: a certificate or key that was fetched proves nothing until the scheme has looked at it.

mod budget;
mod error;
mod fetch;
mod paypal;
mod roots;
mod settings;
mod shelf;

pub use error::{KeyringError, Kind, Reason};
pub use settings::{KeyringSettings, PayPal};

use crate::clock::Clock;
use crate::providers::evidence::{Evidence, KeyLocation, Needed, Postback};
use crate::providers::proof::certificate::{self, Anchors};
use crate::providers::proof::jwt::KeySet;
use budget::Budget;
use bytes::Bytes;
use chrono::{DateTime, Duration, Utc};
use fetch::{Answer, Fetcher, host};
use paypal::Verdicts;
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use secrecy::ExposeSecret as _;
use sha2::{Digest as _, Sha256};
use shelf::{Find, Shelf};
use std::fmt;
use std::sync::Arc;
use tokio::sync::OnceCell;
use tokio::time::timeout;
use url::Url;

/// Longest answers, in bytes.
const MOST_CERTIFICATE: usize = 64 * 1024;
const MOST_KEY_SET: usize = 256 * 1024;
const MOST_KEY: usize = 64 * 1024;
/// Certificates and key sets that are kept.
const CERTIFICATES: usize = 64;
const KEY_SETS: usize = 128;
/// How long something is kept: at least, at most, and without a word about it.
const SHORTEST: Duration = Duration::minutes(5);
const LONGEST: Duration = Duration::hours(24);
const USUAL: Duration = Duration::hours(1);
/// How long something may serve after its end while nothing newer can be had.
const STALE: Duration = Duration::hours(24);
/// Longest time for one need: a turn behind somebody else's fetch, and the own one.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(10);

/// Keys, certificates and verdicts from outside. Clones share them.
#[derive(Clone)]
pub struct Keyring(Arc<Inner>);

struct Inner {
    settings: KeyringSettings,
    clock: Clock,
    fetcher: Fetcher,
    budget: Budget,
    certificates: Shelf<Bytes>,
    key_sets: Shelf<Arc<KeySet>>,
    verdicts: Verdicts,
    anchors: OnceCell<Result<Anchors, KeyringError>>,
    no_anchors: Anchors,
}

impl Keyring {
    /// An empty one. Nothing is read or fetched before it is needed.
    pub fn new(settings: KeyringSettings, clock: Clock) -> Self {
        Self(Arc::new(Inner {
            fetcher: Fetcher::new(settings.url_overrides.clone()),
            budget: Budget::default(),
            certificates: Shelf::new(CERTIFICATES, STALE),
            key_sets: Shelf::new(KEY_SETS, STALE),
            verdicts: Verdicts::new(settings.paypal.clone(), clock.clone()),
            anchors: OnceCell::new(),
            no_anchors: Anchors::default(),
            settings,
            clock,
        }))
    }

    /// Gets what is needed, so that the next verification finds it; at once, if it is there, or could not be had a
    /// moment ago. Needs of the same thing at the same time are one fetch.
    pub async fn supply(&self, needed: &Needed) -> Result<(), KeyringError> {
        let (what, host) = match needed {
            Needed::Certificate(url) => (Kind::Certificate, Some(url)),
            Needed::Key(location, _) => (kind_of(location), Some(&location.url)),
            Needed::Verdict(_) => {
                (Kind::Verdict, self.0.settings.paypal.as_ref().map(|paypal| &paypal.base_url))
            }
        };
        let host = host.map(host_of).unwrap_or_default();
        let fetch = async {
            match needed {
                Needed::Certificate(url) => self.0.supply_certificate(url).await,
                Needed::Key(location, id) => self.0.supply_key(location, id).await,
                Needed::Verdict(postback) => self.0.verdicts.supply(&self.0.fetcher, postback).await,
            }
        };
        let too_late = |_| Err(KeyringError::Fetch { kind: what, host, reason: Reason::Timeout });
        timeout(PATIENCE, fetch).await.unwrap_or_else(too_late)
    }

    /// Reads the trusted roots, once; what cannot be read then is an error until the restart.
    pub async fn load_roots(&self) -> Result<(), KeyringError> {
        self.0.load_roots().await
    }
}

impl Inner {
    async fn load_roots(&self) -> Result<(), KeyringError> {
        let load = || async {
            let settings = self.settings.clone();
            let loaded = tokio::task::spawn_blocking(move || roots::load(&settings)).await;
            loaded.unwrap_or_else(|_| Ok(Anchors::default()))
        };
        self.anchors.get_or_init(load).await.as_ref().map(|_| ()).map_err(Clone::clone)
    }

    async fn supply_certificate(&self, url: &Url) -> Result<(), KeyringError> {
        self.load_roots().await?;
        let read = |answer: Answer| {
            let text = answer.ok()?.body;
            let end = certificate::valid_until(&text).map_err(|_| Reason::Content)?;
            Ok((text, end - self.clock.now()))
        };
        let fetch = || async {
            self.fetcher.fetch(Kind::Certificate, url, MOST_CERTIFICATE, reqwest::Client::get, read).await
        };
        self.fill(&self.certificates, url.as_str(), Kind::Certificate, url, |_| true, fetch).await
    }

    async fn supply_key(&self, location: &KeyLocation, id: &str) -> Result<(), KeyringError> {
        let (kind, url) = (kind_of(location), &location.url);
        let read = |answer: Answer| {
            let answer = answer.ok()?;
            let set = match location.body {
                None => KeySet::parse(&answer.body),
                Some(_) => KeySet::parse_one(&answer.body, &location.pointer),
            };
            // An empty set would take the place of a good one.
            let set = set.ok().filter(|set| !set.is_empty()).ok_or(Reason::Content)?;
            Ok((Arc::new(set), answer.max_age.unwrap_or(USUAL)))
        };
        let request = |client: &reqwest::Client, url: Url| match &location.body {
            None => client.get(url).header(ACCEPT, "application/json"),
            Some(body) => client
                .post(url)
                .header(CONTENT_TYPE, "application/json")
                .body(body.expose_secret().to_owned()),
        };
        let most = if location.body.is_none() { MOST_KEY_SET } else { MOST_KEY };
        let fetch = || async { self.fetcher.fetch(kind, url, most, request, read).await };
        self.fill(&self.key_sets, &name(location), kind, url, |set| set.get(id).is_some(), fetch).await
    }

    /// Fetches what `fits` into `store`, if it is not there.
    async fn fill<V: Clone, F: Future<Output = Result<(V, Duration), Reason>>>(
        &self,
        store: &Shelf<V>,
        name: &str,
        kind: Kind,
        url: &Url,
        fits: impl Fn(&V) -> bool,
        fetch: impl FnOnce() -> F,
    ) -> Result<(), KeyringError> {
        let find = |now: DateTime<Utc>| match store.find(name, now, &fits) {
            Find::Use(_) => Some(Ok(())),
            Find::Fail(error) => Some(Err(error)),
            Find::Fetch => None,
        };
        if let Some(known) = find(self.clock.now()) {
            return known;
        }
        let _turn = store.turn(name).await;
        // Whoever had the turn before may have fetched it, or failed to.
        if let Some(known) = find(self.clock.now()) {
            return known;
        }
        let host = host_of(url);
        if !store.knows(name) && !self.budget.take(&host, self.clock.now()) {
            return Err(KeyringError::Flood { kind, host });
        }
        let fetched = fetch().await;
        let now = self.clock.now();
        match fetched {
            Ok((value, end)) => {
                store.keep(name, value, now, now + end.clamp(SHORTEST, LONGEST));
                Ok(())
            }
            Err(reason) => {
                let error = KeyringError::Fetch { kind, host, reason };
                store.fail(name, error.clone(), now);
                find(now).unwrap_or(Err(error))
            }
        }
    }
}

impl Evidence for Keyring {
    fn certificate(&self, url: &Url) -> Option<Bytes> {
        match self.0.certificates.find(url.as_str(), self.0.clock.now(), |_| true) {
            Find::Use(text) => Some(text),
            _ => None,
        }
    }

    fn keys(&self, location: &KeyLocation, kid: &str) -> Option<Arc<KeySet>> {
        match self.0.key_sets.find(&name(location), self.0.clock.now(), |set| set.get(kid).is_some()) {
            Find::Use(set) => Some(set),
            _ => None,
        }
    }

    fn verdict(&self, postback: &Postback) -> Option<bool> {
        self.0.verdicts.known(postback)
    }

    fn anchors(&self) -> &Anchors {
        self.0.anchors.get().and_then(|loaded| loaded.as_ref().ok()).unwrap_or(&self.0.no_anchors)
    }
}

impl fmt::Debug for Keyring {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Keyring").field("anchors", self.anchors()).finish_non_exhaustive()
    }
}

fn kind_of(location: &KeyLocation) -> Kind {
    if location.body.is_none() { Kind::KeySet } else { Kind::Key }
}

fn host_of(url: &Url) -> String {
    host(url).to_owned()
}

/// What a location is called on the shelf. The body holds credentials, so only its digest stays, and is itself made
/// with the key's id.
fn name(location: &KeyLocation) -> String {
    match &location.body {
        None => location.url.to_string(),
        Some(body) => {
            let digest = Sha256::digest(body.expose_secret());
            format!("{} {} {}", hex::encode(digest), location.pointer, location.url)
        }
    }
}

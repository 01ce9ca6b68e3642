//! Providers as data: one engine for every sender whose scheme a table can say. `docs/providers.md` is the reference of
//! the tables; the built-in ones are the files of `src/providers/builtin`.

mod about;
mod asymmetric;
mod error;
mod event_table;
mod events;
mod handshake;
mod instance;
mod keys;
mod load;
mod pointers;
mod proof_table;
mod reference;
mod rules;
mod sample;
mod scene;
mod signature;
mod table;
mod template;
mod time;
mod urls;
mod verify;
mod when;

pub use about::{About, AboutParam, builtin_names};
pub use error::SchemeError;
pub use instance::{Instance, Learned, SecretId};
pub use load::{BUILTIN, Scheme, Tables, load_builtin, read_tables};

use super::proof::SigningKey;
use super::{
    Answer, Check, Handshook, Parsed, Proof, Provider, RawRequest, Replay, ReplyRule, SignedSample, Unproven,
    Unreadable,
};
use chrono::{DateTime, Utc};
use keys::Key;
use pointers::Pointers;
use scene::{Params, Scene};
use secrecy::SecretString;
use std::sync::Arc;
use table::{Table, Verify};

/// A configured instance of a scheme.
pub struct SchemeProvider {
    name: String,
    table: Arc<Table>,
    pointers: Pointers,
    secrets: Vec<Secret>,
    params: Params,
    registered_url: Option<String>,
    replay: Replay,
    tolerance: Option<u32>,
    learning: bool,
}

/// A secret, and the key that each way to prove makes of it.
struct Secret {
    id: String,
    value: SecretString,
    /// `None`: the secret is not for that way.
    keys: Vec<Option<Key>>,
}

impl SchemeProvider {
    fn scene<'a>(&'a self, request: &'a RawRequest<'a>) -> Scene<'a> {
        Scene::new(request, &self.params, &self.pointers)
    }

    /// The way to prove that counts for this request and secret, and its place in the table.
    fn rule(&self, scene: &Scene<'_>, secret: Option<&SecretString>) -> Option<(&Verify, usize)> {
        let rules = self.table.verify.iter().map(toml::Spanned::get_ref);
        rules.zip(0..).find(|(rule, _)| rule.when.holds(scene, secret))
    }

    fn prove(&self, scene: &Scene<'_>, check: &Check<'_>) -> Result<usize, Unproven> {
        if self.table.secretless {
            let Some((rule, _)) = self.rule(scene, None) else { return Err(no_rule(check)) };
            return self.attempt(rule, &Key::Text, None, scene, check).map(|()| 0);
        }
        let mut failed: Option<Unproven> = None;
        for (index, secret) in self.secrets.iter().enumerate() {
            check.step("secret", true, || format!("trying the secret with id {}", secret.id));
            let attempt = match self.rule(scene, Some(&secret.value)) {
                Some((rule, at)) => match secret.keys.get(at) {
                    Some(Some(key)) => self.attempt(rule, key, Some(&secret.value), scene, check),
                    _ => Err(Unproven::Mismatch),
                },
                None => Err(no_rule(check)),
            };
            match attempt {
                Ok(()) => return Ok(index),
                // What has to be fetched may prove the request yet, whatever another secret says of it.
                Err(unproven) if failed.is_none() || matches!(unproven, Unproven::Needs(_)) => {
                    failed = Some(unproven);
                }
                Err(_) => {}
            }
        }
        Err(failed.unwrap_or_else(|| {
            check.step("secret", false, || "no secret is configured or approved yet".to_owned());
            Unproven::Mismatch
        }))
    }

    fn attempt(
        &self,
        rule: &Verify,
        key: &Key,
        secret: Option<&SecretString>,
        scene: &Scene<'_>,
        check: &Check<'_>,
    ) -> Result<(), Unproven> {
        let registered_url = self.registered_url.as_deref();
        let tells_hmacs = handshake::tells_hmacs(&self.table.handshake);
        verify::Attempt { rule, key, secret, registered_url, tolerance: self.tolerance, tells_hmacs }
            .prove(scene, check)
    }
}

fn no_rule(check: &Check<'_>) -> Unproven {
    check.step("scheme", false, || "no way to prove of this scheme fits the request".to_owned());
    Unproven::Missing
}

impl Provider for SchemeProvider {
    fn name(&self) -> &str {
        &self.name
    }

    fn verify<'a>(&self, request: &'a RawRequest<'a>, check: &Check<'_>) -> Result<Proof<'a>, Unproven> {
        let scene = self.scene(request);
        self.prove(&scene, check).map(|index| Proof::new(request, check.now, index))
    }

    fn parse(&self, proof: &Proof<'_>) -> Result<Parsed, Unreadable> {
        let scene = self.scene(proof.request());
        match &self.table.event {
            Some(event) => events::read(event.get_ref(), self.replay, &scene),
            None => Err(Unreadable("the scheme says nothing of its events".to_owned())),
        }
    }

    fn handshake(&self, request: &RawRequest<'_>, check: &Check<'_>) -> Handshook {
        if self.table.handshake.is_empty() {
            return Handshook::NotOne;
        }
        let scene = self.scene(request);
        let secret = self.secrets.first().map(|secret| &secret.value);
        let prove = || self.prove(&scene, check).map(|_| ());
        match handshake::answer(&self.table.handshake, &scene, secret, self.learning, check, prove) {
            handshake::Verdict::Answer(answer) => Handshook::Answer(answer),
            handshake::Verdict::Unproven(unproven) => Handshook::Unproven(unproven),
            handshake::Verdict::NotOne => Handshook::NotOne,
        }
    }

    fn has_handshakes(&self) -> bool {
        !self.table.handshake.is_empty()
    }

    fn secret_ids(&self) -> Vec<&str> {
        self.secrets.iter().map(|secret| secret.id.as_str()).collect()
    }

    fn secret_headers(&self) -> Vec<String> {
        rules::secret_headers(&self.table)
    }

    fn has_path_token(&self) -> bool {
        rules::has_path_token(&self.table)
    }

    fn secret_parameters(&self) -> Vec<String> {
        rules::secret_parameters(&self.table)
    }

    fn reply(&self) -> ReplyRule {
        let reply = self.table.reply.clone().unwrap_or_default();
        ReplyRule {
            status: reply.status.unwrap_or(200),
            body: reply.body,
            content_type: reply.content_type.unwrap_or_else(|| ReplyRule::default().content_type),
            bare_errors: reply.bare_errors,
        }
    }

    fn sample(
        &self,
        event_type: &str,
        base: &str,
        key: Option<&SigningKey>,
        now: DateTime<Utc>,
    ) -> Option<Result<SignedSample, String>> {
        let sample = self.table.sample.iter().find(|sample| sample.r#type == event_type)?;
        Some(sample::make(self, sample, base, key, now))
    }

    fn sample_types(&self) -> Vec<&str> {
        self.table.sample.iter().map(|sample| sample.r#type.as_str()).collect()
    }
}

/// Whether an answer leaks or lures: never HTML, whatever a table says.
impl Answer {
    /// The answer with the headers that keep a browser from making a page of an echoed challenge.
    #[must_use]
    pub fn guarded(mut self) -> Self {
        let typed = self.headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("content-type"));
        if !typed && !self.body.is_empty() {
            self.headers.push(("Content-Type".to_owned(), "text/plain; charset=utf-8".to_owned()));
        }
        self.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("x-content-type-options"));
        self.headers.push(("X-Content-Type-Options".to_owned(), "nosniff".to_owned()));
        self
    }
}

#[cfg(test)]
mod builtin_tests;
#[cfg(test)]
mod sample_tests;
#[cfg(test)]
mod tampering_tests;

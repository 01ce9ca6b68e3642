//! Who sent this, and what does it say? Pure: bytes and headers in, events out; no database, no network.
//!
//! The order is in the types: [`Provider::parse`] needs a [`Proof`], only [`Provider::verify`] can make one, and
//! a proof holds the very request that was proven.

pub mod c2s;
pub mod evidence;
mod incoming;
mod json;
pub mod moysklad;
mod owned;
pub mod proof;
mod registry;
mod request;
pub mod scheme;
mod trace;
pub mod vectors;

pub use incoming::{
    Incoming, MAX_ENVELOPE, MAX_EVENT_ID, MAX_EVENT_TYPE, MAX_EVENTS, MAX_SUBJECT, Parsed, RejectedPart,
    Replay, SecondKey, Unreadable,
};
pub use owned::OwnedRequest;
pub use registry::{Configured, KnownSecret, LearnedSecrets, Providers, Registry, tables};
pub use request::{Proof, RawRequest, Unproven};
pub use trace::{Explanation, Step, Trace, explain, summary};

use chrono::{DateTime, Utc};
use evidence::Evidence;
use ipnet::IpNet;
use proof::SigningKey;
use secrecy::SecretString;
use std::num::NonZeroU32;

/// The answer to a request that only sets things up.
#[derive(Debug, Clone, Default)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// Body.
    pub body: Vec<u8>,
    /// A secret that the request offered.
    pub learned: Option<SecretString>,
}

/// Whether a request only sets things up.
#[derive(Debug)]
pub enum Handshook {
    /// It is a delivery.
    NotOne,
    /// It is answered so.
    Answer(Answer),
    /// It would be, but is not genuine, or cannot be told yet.
    Unproven(Unproven),
}

/// How a delivery is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyRule {
    /// Status of a success.
    pub status: u16,
    /// Body of a success, instead of the receipt.
    pub body: Option<String>,
    /// Type of that body.
    pub content_type: String,
    /// Errors have no body.
    pub bare_errors: bool,
}

impl Default for ReplyRule {
    fn default() -> Self {
        Self {
            status: 200,
            body: None,
            content_type: "text/plain; charset=utf-8".to_owned(),
            bare_errors: false,
        }
    }
}

/// Who may call a provider's route, beside the limits that hold for all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Access {
    /// Networks that may call; none: all may.
    pub allow: Vec<IpNet>,
    /// Requests a second.
    pub requests_per_second: Option<NonZeroU32>,
    /// Longest body.
    pub max_body_bytes: Option<usize>,
}

/// What a verifier is given beside the request.
pub struct Check<'a> {
    /// The time.
    pub now: DateTime<Utc>,
    /// Keys and certificates that are known.
    pub evidence: Option<&'a dyn Evidence>,
    /// Where each step is told, if somebody wants to know.
    pub trace: Option<&'a Trace>,
}

impl Check<'_> {
    /// For schemes that need nothing from outside, and nobody listening.
    pub fn plain(now: DateTime<Utc>) -> Self {
        Self { now, evidence: None, trace: None }
    }

    /// Tells a step; `detail` is made only if somebody will read it.
    pub fn step(&self, check: &str, ok: bool, detail: impl FnOnce() -> String) {
        if let Some(trace) = self.trace {
            trace.add(check, ok, detail());
        }
    }
}

/// A sender's scheme of proof and its language.
pub trait Provider: Send + Sync {
    /// Its name: the route and the column `provider`.
    fn name(&self) -> &str;

    /// Proves that the request is genuine, over its raw bytes and in constant time.
    fn verify<'a>(&self, request: &'a RawRequest<'a>, check: &Check<'_>) -> Result<Proof<'a>, Unproven>;

    /// Reads the events of a proven request.
    fn parse(&self, proof: &Proof<'_>) -> Result<Parsed, Unreadable>;

    /// Answers a request that only sets things up.
    fn handshake(&self, _request: &RawRequest<'_>, _check: &Check<'_>) -> Handshook {
        Handshook::NotOne
    }

    /// Whether it has handshakes at all: then other methods than POST reach it.
    fn has_handshakes(&self) -> bool {
        false
    }

    /// Ids of its secrets, in the order of [`Proof::secret_index`].
    fn secret_ids(&self) -> Vec<&str>;

    /// Lower-case names of headers that hold a secret of this provider and must not be stored.
    fn secret_headers(&self) -> Vec<String> {
        Vec::new()
    }

    /// Names of query parameters that hold a secret of this provider and must not be stored.
    fn secret_parameters(&self) -> Vec<String> {
        Vec::new()
    }

    /// Whether its route has a place for a token in the path.
    fn has_path_token(&self) -> bool {
        false
    }

    /// How a delivery is answered.
    fn reply(&self) -> ReplyRule {
        ReplyRule::default()
    }

    /// A signed request with a sample event for `hookgate send`, as it would come to the public URL `base`; `None` if
    /// there is no sample of this type. Where the sender signs with a private key, `key` stands in for it; the error
    /// says what is missing.
    fn sample(
        &self,
        event_type: &str,
        base: &str,
        key: Option<&SigningKey>,
        now: DateTime<Utc>,
    ) -> Option<Result<SignedSample, String>>;

    /// The types that [`Provider::sample`] knows.
    fn sample_types(&self) -> Vec<&str>;
}

/// A request that `hookgate send` posts.
#[derive(Debug)]
pub struct SignedSample {
    /// The method.
    pub method: String,
    /// Appended to the provider's route; holds the token where the proof is in the URL.
    pub query: String,
    /// Headers.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: String,
}

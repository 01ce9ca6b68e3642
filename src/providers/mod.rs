//! Who sent this, and what does it say? Pure: bytes and headers in, events out; no database, no network.
//!
//! The order is in the types: [`Provider::parse`] needs a [`Proof`], only [`Provider::verify`] can make one, and
//! a proof holds the very request that was proven.

pub mod c2s;
pub mod evidence;
mod json;
pub mod moysklad;
mod owned;
pub mod proof;
mod registry;
pub mod scheme;
mod trace;
pub mod vectors;

pub use owned::OwnedRequest;
pub use registry::{Configured, KnownSecret, LearnedSecrets, Providers, Registry, tables};
pub use trace::{Explanation, Step, Trace, explain, summary};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use evidence::{Evidence, Needed};
use ipnet::IpNet;
use proof::SigningKey;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use std::num::NonZeroU32;

/// Longest `event_id`, in bytes: a unique index has to hold it.
pub const MAX_EVENT_ID: usize = 512;
/// Longest `event_type`, in bytes.
pub const MAX_EVENT_TYPE: usize = 255;
/// Longest `subject`, in bytes.
pub const MAX_SUBJECT: usize = 512;

/// A request as it came off the wire, before anything of it is believed.
#[derive(Debug)]
pub struct RawRequest<'a> {
    /// The method, in capitals.
    pub method: &'a str,
    /// What may stand before the path in the public URL (`https://hooks.example.com`), most likely first.
    pub bases: &'a [String],
    /// Path as it came, undecoded, with its leading slash.
    pub path: &'a str,
    /// Token in the last path segment, where a provider's route has one.
    pub path_token: Option<&'a str>,
    /// Query string without `?`, undecoded.
    pub query: &'a str,
    /// Header lines in their order; names in lower case.
    pub headers: Vec<(&'a str, &'a [u8])>,
    /// Exact body.
    pub body: &'a Bytes,
}

impl<'a> RawRequest<'a> {
    /// A POST whose URL nothing depends on.
    pub fn post(query: &'a str, headers: Vec<(&'a str, &'a [u8])>, body: &'a Bytes) -> Self {
        Self { method: "POST", bases: &[], path: "/", path_token: None, query, headers, body }
    }

    /// The value of a header that must stand exactly once; a repeated one counts as absent, because which of its
    /// lines the sender meant is anybody's guess.
    pub fn header(&self, name: &str) -> Option<&'a [u8]> {
        let mut lines = self.headers.iter().filter(|line| line.0 == name);
        match (lines.next(), lines.next()) {
            (Some(line), None) => Some(line.1),
            _ => None,
        }
    }

    /// The decoded value of a query parameter that stands exactly once.
    pub fn query_parameter(&self, name: &str) -> Option<String> {
        let mut values = url::form_urlencoded::parse(self.query.as_bytes()).filter(|pair| pair.0 == name);
        match (values.next(), values.next()) {
            (Some(pair), None) => Some(pair.1.into_owned()),
            _ => None,
        }
    }
}

/// Shows that a request is genuine. Made only by [`Provider::verify`]; holds the request that it speaks for.
#[derive(Debug)]
pub struct Proof<'a> {
    request: &'a RawRequest<'a>,
    now: DateTime<Utc>,
    secret_index: usize,
}

impl<'a> Proof<'a> {
    /// For verifiers: `request` is proven by the configured secret with this index.
    pub(in crate::providers) fn new(
        request: &'a RawRequest<'a>,
        now: DateTime<Utc>,
        secret_index: usize,
    ) -> Self {
        Self { request, now, secret_index }
    }

    /// Which of the configured secrets matched, counted from 0.
    pub fn secret_index(&self) -> usize {
        self.secret_index
    }

    /// When the proof was made.
    pub fn at(&self) -> DateTime<Utc> {
        self.now
    }

    /// The proven body.
    pub fn body(&self) -> &'a Bytes {
        self.request.body
    }

    /// The proven request.
    pub fn request(&self) -> &'a RawRequest<'a> {
        self.request
    }
}

/// The request is not genuine. Which check failed is for the operator's metrics, never for the sender.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unproven {
    /// The header, parameter or path segment that holds the proof is absent or repeated.
    #[error("the proof is missing")]
    Missing,
    /// The proof cannot be read.
    #[error("the proof is malformed")]
    Malformed,
    /// Its time is further from now than the tolerance.
    #[error("the proof is outside the time tolerance")]
    Expired,
    /// No configured secret gives this proof.
    #[error("the proof does not match")]
    Mismatch,
    /// It cannot be told before this has been fetched.
    #[error("the proof needs something from outside")]
    Needs(Box<Needed>),
}

/// Two are the same if they name the same check.
impl PartialEq for Unproven {
    fn eq(&self, other: &Self) -> bool {
        self.label() == other.label()
    }
}

impl Unproven {
    /// Label for metrics.
    pub fn label(&self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Malformed => "malformed",
            Self::Expired => "expired",
            Self::Mismatch => "mismatch",
            Self::Needs(_) => "needs",
        }
    }
}

/// A genuine request, or one event of it, that cannot be read. The text is for the sender: it names fields, never
/// values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

/// One event as its provider tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// The provider's own id of the event: with the provider's name the key that makes redelivery harmless.
    pub event_id: String,
    /// What happened.
    pub event_type: String,
    /// What it is about; events of one subject are handled in order.
    pub subject: Option<String>,
    /// When it happened, by the provider's clock.
    pub occurred_at: Option<DateTime<Utc>>,
    /// Exact bytes: the request body, or the slice of it that is this event.
    pub body: Bytes,
    /// What the request said about all its events outside their own bytes, as JSON text.
    pub envelope: Option<String>,
    /// A key beside the id, where the id is not covered by the proof.
    pub second_key: Option<SecondKey>,
}

/// A key that a captured request keeps when it comes back under another id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecondKey {
    /// SHA-256 of the event's bytes, or of what the scheme says instead.
    pub key: [u8; 32],
    /// Whether a known key under a new id counts as a duplicate; if not, it is stored as a suspected replay.
    pub drop: bool,
}

/// What to do with known bytes under a new id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Replay {
    /// Nothing: the id is proven, or bodies repeat by nature.
    #[default]
    Off,
    /// Keep it, and let no handler see it before an operator has.
    Flag,
    /// Count it as a duplicate.
    Drop,
}

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

/// What a genuine, readable request holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The events in their order; one that cannot be read does not spoil the others.
    pub events: Vec<Result<Incoming, RejectedPart>>,
}

/// One unreadable event of a readable batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedPart {
    /// Why it cannot be read.
    pub reason: Unreadable,
    /// Its exact bytes.
    pub body: Bytes,
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

impl Incoming {
    /// Refuses keys that Postgres cannot hold or index.
    pub(in crate::providers) fn checked(self) -> Result<Self, Unreadable> {
        check_key("the event id", &self.event_id, MAX_EVENT_ID)?;
        check_key("the event type", &self.event_type, MAX_EVENT_TYPE)?;
        if let Some(subject) = &self.subject {
            check_key("the subject", subject, MAX_SUBJECT)?;
        }
        Ok(self)
    }
}

fn check_key(what: &str, value: &str, max: usize) -> Result<(), Unreadable> {
    if value.is_empty() {
        Err(Unreadable(format!("{what} is empty")))
    } else if value.len() > max {
        Err(Unreadable(format!("{what} is longer than {max} bytes")))
    } else if value.contains('\0') {
        Err(Unreadable(format!("{what} holds a NUL character")))
    } else {
        Ok(())
    }
}

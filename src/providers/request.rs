//! A request before anything of it is believed, and the proof that it is genuine.

use super::evidence::Needed;
use bytes::Bytes;
use chrono::{DateTime, Utc};

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

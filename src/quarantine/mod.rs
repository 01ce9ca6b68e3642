//! Requests that reached a configured provider and were not proven, or could not be read: kept for an operator, byte for
//! byte, without their secrets.
//!
//! Whoever reaches a route can write here, so everything is bounded: what waits in memory, and in the database the count,
//! the bytes and the age for each provider. A flood loses to what was there before it (`store`).

mod keeper;
mod queries;
mod redact;
mod store;

pub use keeper::Quarantine;
pub use queries::{
    Body, Claim, Detail, Filter, HeaderLine, Item, Outcome, Reopened, claim, find, list, remove, reopen,
    settle,
};

use crate::providers::{OwnedRequest, Step};
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
    /// The request as it came.
    pub request: OwnedRequest,
    /// Lower-case names of headers that hold the proof itself, if it is a secret.
    pub secret_headers: Vec<String>,
    /// Lower-case names of headers that hold a credential or an address, whoever sends them.
    pub private_headers: Vec<String>,
    /// Names of query parameters that hold a secret.
    pub secret_parameters: Vec<String>,
    /// When it came.
    pub received_at: DateTime<Utc>,
}

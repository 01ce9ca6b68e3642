//! The HTTP client that every handler uses: timeouts, connection reuse, rate limits per upstream and principal,
//! Retry-After, bounded retries, a circuit breaker per principal, metrics and redaction.

mod breaker;
mod client;
mod error;
mod limit;
mod retry_after;

pub use client::{Call, Policy, Reply, Upstream};
pub use error::UpstreamError;

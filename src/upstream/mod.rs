//! The HTTP client that every handler uses: timeouts, connection reuse, rate limits per upstream and principal,
//! Retry-After, bounded retries, a circuit breaker per principal, metrics and redaction.

mod breaker;
mod call;
mod client;
mod credentials;
mod error;
mod limit;
mod pause;
mod principal;
mod retry_after;
mod transport;

pub use call::{Call, Reply};
pub use client::{Policy, Upstream};
pub use credentials::{ClientCredentials, basic};
pub use error::{Redacted, UpstreamError};

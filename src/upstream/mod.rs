//! The HTTP client that every handler uses: timeouts, connection reuse, rate limits per upstream and principal,
//! Retry-After, bounded retries, a circuit breaker per principal, metrics and redaction.

mod breaker;
mod call;
mod client;
mod credentials;
mod error;
mod guard;
mod limit;
mod pause;
mod principal;
mod principals;
mod retry_after;
mod slots;
mod transport;

pub use call::{Call, Reply};
pub use client::{Policy, Told, Upstream};
pub use credentials::{ClientCredentials, basic};
pub use error::{Redacted, UpstreamError};
pub use guard::{Held, Thresholds};

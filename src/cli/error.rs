//! Why a command failed, in words that say what to do.

use crate::config::ConfigError;
use crate::db::embedded::EmbeddedError;
use crate::db::{MigrateError, PoolError};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// A sentence for the operator.
    #[error("{0}")]
    Message(String),
    /// Everything has been said already; only the exit code is left.
    #[error("failed")]
    Silent,
    /// The settings cannot be used.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A provider's table cannot be used.
    #[error(transparent)]
    Scheme(#[from] crate::providers::scheme::SchemeError),
    /// The private cluster cannot be used.
    #[error(transparent)]
    Embedded(#[from] EmbeddedError),
    /// The schema cannot be brought up to date.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// No connection.
    #[error("cannot connect to the database: {0}; check DATABASE_URL, or unset it to use a private Postgres")]
    Connect(#[from] PoolError),
    /// A query failed.
    #[error("the database refused: {0}")]
    Query(#[from] diesel::result::Error),
    /// The listening socket or a file.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

//! Migrations: embedded in the binary, run by one node at a time.

use super::{Database, connect_one};
use diesel_async::AsyncMigrationHarness;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection as _};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// Any number chosen once: nodes that start together queue up behind it.
const LOCK: &str = "SELECT pg_advisory_lock(4851736201)";
const SETUP: &str = "SET application_name = 'hookgate migrate'; SET lock_timeout = '60s'";

/// Why the schema cannot be brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum MigrateError {
    /// No connection.
    #[error("cannot connect to the database: {0}")]
    Connect(#[from] diesel::ConnectionError),
    /// Another node holds the lock for too long.
    #[error("another node is migrating: {0}")]
    Lock(#[from] diesel::result::Error),
    /// A migration failed; its transaction was rolled back.
    #[error("a migration failed: {0}")]
    Failed(String),
}

/// Runs what is pending and returns the names of what was run.
pub async fn run(database: &Database) -> Result<Vec<String>, MigrateError> {
    with_harness(database, |harness| {
        let done =
            harness.run_pending_migrations(MIGRATIONS).map_err(|e| MigrateError::Failed(e.to_string()))?;
        Ok(done.iter().map(ToString::to_string).collect())
    })
    .await
}

/// Names of the migrations that have not run yet.
pub async fn pending(database: &Database) -> Result<Vec<String>, MigrateError> {
    with_harness(database, |harness| {
        let pending =
            harness.pending_migrations(MIGRATIONS).map_err(|e| MigrateError::Failed(e.to_string()))?;
        Ok(pending.iter().map(|migration| migration.name().to_string()).collect())
    })
    .await
}

/// Takes every migration back, the last first. For tests of the down scripts: it drops all data.
pub async fn revert_all(database: &Database) -> Result<(), MigrateError> {
    with_harness(database, |harness| {
        harness.revert_all_migrations(MIGRATIONS).map_err(|e| MigrateError::Failed(e.to_string()))?;
        Ok(())
    })
    .await
}

async fn with_harness<T: Send + 'static>(
    database: &Database,
    work: impl FnOnce(&mut AsyncMigrationHarness<AsyncPgConnection>) -> Result<T, MigrateError> + Send + 'static,
) -> Result<T, MigrateError> {
    let mut conn = connect_one(database.url()).await?;
    conn.batch_execute(SETUP).await?;
    conn.batch_execute(LOCK).await?;
    // The harness blocks its thread. The lock ends with the connection, also after a crash.
    tokio::task::spawn_blocking(move || work(&mut AsyncMigrationHarness::new(conn)))
        .await
        .map_err(|error| MigrateError::Failed(error.to_string()))?
}

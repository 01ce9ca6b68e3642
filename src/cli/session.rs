//! What a command works with: settings, a database, the key of stored secrets.

use super::CliError;
use crate::config::Settings;
use crate::crypto::MasterKey;
use crate::db::embedded::{Claim, Cluster};
use crate::db::{self, Database, Pool, keys};
use crate::nodes::{Kind, NODES, Node};
use crate::queue::Waker;
use std::time::Duration;

/// Longer than it takes until a node that died counts no more, and until calls under way are over.
const ADMISSION: Duration = Duration::from_secs(30);

/// What a command works with.
pub struct Session {
    /// Settings of the process.
    pub settings: Settings,
    /// Where the database is.
    pub database: Database,
    /// Connections to it.
    pub pool: Pool,
    /// Opens stored secrets; absent where `DATABASE_URL` is set and `HOOKGATE_MASTER_KEY` is not.
    pub master_key: Option<MasterKey>,
    /// Print JSON instead of tables.
    pub json: bool,
}

/// A database that is there for as long as this is held.
pub(super) struct Opened {
    pub(super) database: Database,
    pub(super) cluster: Option<Cluster>,
}

/// Opens the database that the settings mean: `DATABASE_URL`, or the private cluster.
pub(super) async fn open(settings: &mut Settings, claim: Claim) -> Result<Opened, CliError> {
    let store = &mut settings.store;
    if let Some(url) = &store.database_url {
        return Ok(Opened { database: Database::new(url.clone()), cluster: None });
    }
    let cluster = Cluster::open(&store.data_dir, claim).await?;
    // Someone who set nothing up still gets sealed secrets and a guarded admin API.
    if store.master_key.is_none() {
        store.master_key = Some(keys::master_key(&store.data_dir)?);
    }
    Ok(Opened { database: Database::new(cluster.url()), cluster: Some(cluster) })
}

impl Session {
    /// Joins the processes that share what MoySklad allows. To be asked for before the first call to it, and to be left
    /// after the last: until then the others have less.
    pub(super) async fn join(&self) -> Result<Node, CliError> {
        let node = Node::join(self.database.clone(), Kind::Command, Waker::new(NODES));
        if node.nodes.admitted(ADMISSION).await {
            return Ok(node);
        }
        node.leave().await;
        Err(CliError::Message(
            "the other nodes have not made room for this command, or the database does not answer; try again"
                .to_owned(),
        ))
    }

    /// Runs a command with the database open, whatever its schema.
    pub(super) async fn with_database(
        mut settings: Settings,
        json: bool,
        command: impl AsyncFnOnce(&Self) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        let Opened { database, cluster } = open(&mut settings, Claim::Join).await?;
        let pool = database.pool(&settings.store).map_err(|error| CliError::Message(error.to_string()))?;
        let master_key = settings.store.master_key.clone();
        let session = Self { settings, database, pool, master_key, json };
        let result = command(&session).await;
        drop(session);
        if let Some(cluster) = cluster {
            cluster.stop().await?;
        }
        result
    }

    /// Runs a command that needs the schema up to date.
    pub(super) async fn with_schema(
        settings: Settings,
        json: bool,
        command: impl AsyncFnOnce(&Self) -> Result<(), CliError>,
    ) -> Result<(), CliError> {
        Self::with_database(settings, json, async |session| {
            ensure_schema(&session.settings, &session.database).await?;
            command(session).await
        })
        .await
    }
}

/// Migrates where that is allowed, else refuses to go on with an old schema.
pub(super) async fn ensure_schema(settings: &Settings, database: &Database) -> Result<(), CliError> {
    let store = &settings.store;
    if store.auto_migrate.unwrap_or(store.database_url.is_none()) {
        for name in db::migrate(database).await? {
            tracing::info!(migration = name, "migrated");
        }
        return Ok(());
    }
    let pending = db::pending(database).await?;
    if pending.is_empty() {
        return Ok(());
    }
    Err(CliError::Message(format!(
        "{} migration(s) are pending: run `hookgate migrate` first, or set HOOKGATE_AUTO_MIGRATE=true",
        pending.len()
    )))
}

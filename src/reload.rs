//! Puts changed providers in force while the process runs: tables and secrets of the settings file, and secrets that an
//! operator approved. Other settings are read at the start only.

use crate::config::{ConfigError, Settings};
use crate::crypto::MasterKey;
use crate::db::{Pool, error_kind};
use crate::providers::scheme::SchemeError;
use crate::providers::{LearnedSecrets, Providers, Registry};
use crate::records;
use crate::sync::events::Handlers;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// How often other nodes' approvals are looked for.
const POLL: Duration = Duration::from_secs(10);

/// Why the providers stay as they were. Names file, line and field, never a value.
#[derive(Debug, thiserror::Error)]
pub enum ReloadError {
    /// The settings cannot be read.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A provider's table, or a secret, cannot be used.
    #[error(transparent)]
    Scheme(#[from] SchemeError),
    /// The approved secrets cannot be read.
    #[error("the approved secrets cannot be read: {0}")]
    Database(&'static str),
}

/// Puts changed providers in force. Cheap to clone.
#[derive(Clone)]
pub struct Reloader {
    pool: Pool,
    master_key: Option<MasterKey>,
    providers: Providers,
    handlers: Handlers,
    /// What the registry in force was made of; held while it is replaced, so that two changes do not undo each other.
    made_of: Arc<Mutex<MadeOf>>,
}

struct MadeOf {
    settings: Arc<Settings>,
    learned: LearnedSecrets,
}

impl Reloader {
    /// Begins with what is in force.
    pub fn new(
        pool: Pool,
        settings: Arc<Settings>,
        learned: LearnedSecrets,
        providers: Providers,
        handlers: Handlers,
    ) -> Self {
        let master_key = settings.store.master_key.clone();
        let made_of = Arc::new(Mutex::new(MadeOf { settings, learned }));
        Self { pool, master_key, providers, handlers, made_of }
    }

    /// Reads the settings and the approved secrets again. Whatever is wrong with them leaves all as it was.
    pub async fn settings(&self) -> Result<(), ReloadError> {
        let mut settings = Settings::load()?;
        // The key of a private cluster is in no setting.
        settings.store.master_key.clone_from(&self.master_key);
        let mut made_of = self.made_of.lock().await;
        let learned = self.learned().await?;
        let registry = Registry::new(&settings, &learned)?;
        settings.source.refuse_unknown()?;
        self.put(registry);
        *made_of = MadeOf { settings: Arc::new(settings), learned };
        Ok(())
    }

    /// Reads the approved secrets again; says whether they had changed.
    pub async fn secrets(&self) -> Result<bool, ReloadError> {
        let mut made_of = self.made_of.lock().await;
        let learned = self.learned().await?;
        if ids(&learned) == ids(&made_of.learned) {
            return Ok(false);
        }
        let registry = Registry::new(&made_of.settings, &learned)?;
        self.put(registry);
        made_of.learned = learned;
        Ok(true)
    }

    /// Looks for approved secrets again and again.
    pub async fn poll(self) {
        let mut tick = tokio::time::interval(POLL);
        let mut last_error = String::new();
        loop {
            tick.tick().await;
            match self.secrets().await {
                Ok(changed) => {
                    if changed {
                        tracing::info!("other approved secrets are in force");
                    }
                    last_error.clear();
                }
                // Once, not every ten seconds.
                Err(error) if error.to_string() != last_error => {
                    tracing::error!(%error, "approved secrets are not in force");
                    last_error = error.to_string();
                }
                Err(_) => {}
            }
        }
    }

    async fn learned(&self) -> Result<LearnedSecrets, ReloadError> {
        let mut conn = self.pool.get().await.map_err(|_| ReloadError::Database("no connection"))?;
        records::learned(&mut conn, self.master_key.as_ref())
            .await
            .map_err(|error| ReloadError::Database(error_kind(&error)))
    }

    fn put(&self, registry: Registry) {
        self.handlers.rename(registry.instances());
        self.providers.replace(registry);
    }
}

/// Secrets by their names: a name is made of the secret, so two that differ have different ones.
fn ids(learned: &LearnedSecrets) -> Vec<(&str, Vec<&str>)> {
    learned
        .iter()
        .map(|(provider, secrets)| {
            (provider.as_str(), secrets.iter().map(|secret| secret.id.as_str()).collect())
        })
        .collect()
}

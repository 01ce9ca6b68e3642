//! Puts changed providers in force while the process runs: tables and secrets of the settings file, secrets that an
//! operator approved, and those of MoySklad accounts. Other settings are read at the start only.

use crate::config::{ConfigError, Settings};
use crate::crypto::MasterKey;
use crate::db::{Pool, error_kind};
use crate::providers::scheme::SchemeError;
use crate::providers::{LearnedSecrets, Providers, Registry};
use crate::records;
use crate::sync::events::Handlers;
use crate::sync::moysklad::accounts;
use diesel::QueryResult;
use diesel_async::AsyncPgConnection;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::Instant;

/// How often it is looked for other nodes' approvals and for accounts' secrets.
const POLL: Duration = Duration::from_secs(2);
/// Requests that nothing known proves make it look sooner, but not more often than this.
const LOOK: Duration = Duration::from_millis(250);
/// Longest wait of such a request; MoySklad gives up after 1.5 s.
const PATIENCE: Duration = Duration::from_secs(1);

/// The provider whose accounts get secrets of their own while the gateway runs.
const MOYSKLAD: &str = "moysklad";

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
    /// When the last look began that a request asked for; held while one is taken.
    looked: Arc<Mutex<Option<Instant>>>,
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
        Self { pool, master_key, providers, handlers, made_of, looked: Arc::default() }
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

    /// A request to this provider was not proven: looks whether its secret is so new that this node does not know it, as
    /// after `hookgate webhook setup` on another. True: it was looked, and the request may be tried once more. However many
    /// requests ask, the database is asked a few times a second; they share the answer.
    pub async fn look_again(&self, provider: &str) -> bool {
        if provider != MOYSKLAD {
            return false;
        }
        let asked = Instant::now();
        let look = async {
            let mut looked = self.looked.lock().await;
            if let Some(last) = *looked {
                if last >= asked {
                    return true;
                }
                tokio::time::sleep_until(last + LOOK).await;
            }
            *looked = Some(Instant::now());
            self.secrets().await.is_ok()
        };
        tokio::time::timeout(PATIENCE, look).await.unwrap_or(false)
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
                // Once, not at every look.
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
        learned(&mut conn, self.master_key.as_ref())
            .await
            .map_err(|error| ReloadError::Database(error_kind(&error)))
    }

    fn put(&self, registry: Registry) {
        self.handlers.rename(registry.instances());
        self.providers.replace(registry);
    }
}

/// The secrets that stand in the database.
pub async fn learned(
    conn: &mut AsyncPgConnection,
    master_key: Option<&MasterKey>,
) -> QueryResult<LearnedSecrets> {
    let mut learned = records::learned(conn, master_key).await?;
    if let Some(key) = master_key {
        let tokens = accounts::hook_tokens(conn, key).await?;
        if !tokens.is_empty() {
            learned.entry(MOYSKLAD.to_owned()).or_default().extend(tokens);
        }
    }
    Ok(learned)
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

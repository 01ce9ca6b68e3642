//! What a task is given: the two accounts it works between, and the tools.

use super::accounts::{self, Credentials};
use super::api::{AccountApi, ApiError, Gateway};
use super::images::Downloads;
use super::metadata::MetadataCache;
use super::suspects::Suspects;
use crate::clock::Clock;
use crate::config::Settings;
use crate::crypto::MasterKey;
use crate::db::{Pool, PooledConnection};
use crate::nodes::Nodes;
use crate::queue::HandlerError;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use uuid::Uuid;

/// A missing or wrong master key is mended by a restart.
const NO_KEY: Duration = Duration::from_secs(60);

/// Tasks that copy images at once: each holds an image of up to 10 MB, and what becomes of it on its way.
const IMAGES_AT_ONCE: usize = 2;

/// A child and the main account that it follows.
pub(super) struct Pair {
    pub(super) main: Credentials,
    pub(super) child: Credentials,
}

impl Pair {
    /// Of one of the two.
    pub(super) fn credentials(&self, account: Uuid) -> &Credentials {
        if self.main.account.account_id == account { &self.main } else { &self.child }
    }

    pub(super) fn main_id(&self) -> Uuid {
        self.main.account.account_id
    }

    pub(super) fn child_id(&self) -> Uuid {
        self.child.account.account_id
    }
}

/// What every task may use. Cheap to clone; clones share limits and caches.
#[derive(Clone)]
pub(super) struct Work {
    pub(super) pool: Pool,
    pub(super) gateway: Gateway,
    pub(super) metadata: MetadataCache,
    pub(super) images: Downloads,
    pub(super) image_places: Arc<Semaphore>,
    /// Of main's entities, and of their lists of images.
    pub(super) suspects: Suspects,
    pub(super) image_suspects: Suspects,
    pub(super) settings: Arc<Settings>,
    pub(super) clock: Clock,
    master_key: Option<MasterKey>,
}

impl Work {
    pub(super) fn new(settings: &Settings, pool: Pool, master_key: Option<MasterKey>, nodes: Nodes) -> Self {
        Self {
            pool,
            gateway: Gateway::new(settings, nodes),
            metadata: MetadataCache::default(),
            images: Downloads::new(&settings.moysklad.base_url),
            image_places: Arc::new(Semaphore::new(IMAGES_AT_ONCE)),
            suspects: Suspects::default(),
            image_suspects: Suspects::default(),
            settings: Arc::new(settings.clone()),
            clock: Clock::system(),
            master_key,
        }
    }

    /// The API as this account sees it.
    pub(super) fn api(&self, credentials: &Credentials) -> Result<AccountApi, ApiError> {
        let id = credentials.account.account_id;
        let locked = |reason: String| HandlerError::Defer { after: NO_KEY, reason };
        let key = self.master_key.as_ref().ok_or_else(|| {
            locked("HOOKGATE_MASTER_KEY is not set, so stored tokens cannot be read".to_owned())
        })?;
        let token = key
            .open(&accounts::place(id), &credentials.sealed_token)
            .map_err(|error| locked(error.to_string()))?;
        self.gateway.account(id, &token)
    }

    /// Opens stored secrets; absent until one is configured.
    pub(super) fn master_key(&self) -> Option<&MasterKey> {
        self.master_key.as_ref()
    }

    /// For one query or transaction: none is held over a call.
    pub(super) async fn conn(&self) -> Result<PooledConnection, ApiError> {
        self.pool.get().await.map_err(|error| HandlerError::from(error).into())
    }
}

/// A failed query, as an error of the work.
pub(super) fn broken(error: diesel::result::Error) -> ApiError {
    HandlerError::from(error).into()
}

//! Runs sync tasks: who is concerned, may they take part, and what their tokens are.

use super::accounts::{self, Credentials, Role, Status};
use super::api::{self, AccountApi, ApiError, Gateway};
use super::mappings::Key;
use super::metadata::MetadataCache;
use super::turns::Turns;
use super::upsert::Upsert;
use crate::config::Settings;
use crate::crypto::MasterKey;
use crate::db::Pool;
use crate::queue::{HandlerError, Job, Outcome};
use crate::sync::tasks::{SyncQueue, Task};
use std::time::Duration;
use uuid::Uuid;

/// A task of a suspended account looks again after this time, and at once when the account is active again.
const SUSPENDED: Duration = Duration::from_secs(10 * 60);
/// A missing or wrong master key is mended by a restart.
const NO_KEY: Duration = Duration::from_secs(60);

/// Runs the tasks of `sync_queue`.
#[derive(Clone)]
pub struct SyncTasks {
    pool: Pool,
    master_key: Option<MasterKey>,
    gateway: Gateway,
    metadata: MetadataCache,
    turns: Turns,
}

impl SyncTasks {
    /// For these settings; warns of an `APP_URL` that MoySklad will refuse.
    pub fn new(settings: &Settings, pool: Pool, master_key: Option<MasterKey>) -> Self {
        let used = !settings.moysklad.webhook_tokens.is_empty();
        if used && !api::is_accepted_prefix(&settings.receiver.app_url) {
            tracing::warn!(
                "APP_URL must have a host with a dot, such as https://hooks.example.com: MoySklad refuses writes \
                 whose loop-prevention header names another one"
            );
        }
        let moysklad = &settings.moysklad;
        let pace = Duration::from_secs(3) * moysklad.request_weight / moysklad.units_per_3s;
        Self {
            pool,
            master_key,
            gateway: Gateway::new(settings),
            metadata: MetadataCache::default(),
            turns: Turns::new(moysklad.parallel, pace),
        }
    }

    /// The task's child and the main account that it follows, or why there is nothing to do.
    async fn pair(&self, task: &Task) -> Result<Result<Pair, &'static str>, HandlerError> {
        let mut conn = self.pool.get().await?;
        let Some(child) = accounts::credentials(&mut conn, task.account_id).await? else {
            return Ok(Err("the account was removed"));
        };
        let source: Option<Uuid> = task.payload["main_account"].as_str().and_then(|id| id.parse().ok());
        let main = match child.account.parent_account_id {
            Some(parent) if Some(parent) == source => accounts::credentials(&mut conn, parent).await?,
            _ => None,
        };
        let Some(main) = main.filter(|main| main.account.role == Role::Main) else {
            return Ok(Err("the account no longer follows the main account that this comes from"));
        };
        for side in [&main, &child] {
            match side.account.status {
                Status::Active => {}
                Status::Inactive => {
                    return Ok(Err("an operator has made the account or its main account inactive"));
                }
                Status::Suspended => return Err(suspended(side.account.account_id)),
            }
        }
        Ok(Ok(Pair { main, child }))
    }

    async fn upsert(&self, task: &Task, pair: &Pair) -> Result<Outcome, ApiError> {
        if (&*task.entity_type, &*task.operation) != (super::PRODUCT, super::UPSERT) {
            let text = format!("nothing can {} a {}", task.operation, task.entity_type);
            return Err(HandlerError::GiveUp(text).into());
        }
        let main_id = task
            .entity_id
            .parse()
            .map_err(|_| HandlerError::GiveUp("the task's entity id is not a UUID".to_owned()))?;
        let upsert = Upsert {
            main: self.api(&pair.main)?,
            child: self.api(&pair.child)?,
            key: Key {
                main_account: pair.main.account.account_id,
                child_account: pair.child.account.account_id,
                entity_type: super::PRODUCT,
                main_id,
            },
            pool: &self.pool,
            metadata: &self.metadata,
        };
        upsert.run().await
    }

    fn api(&self, credentials: &Credentials) -> Result<AccountApi, ApiError> {
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

    /// Stops everything for an account whose token MoySklad refuses, before the refusals get it banned.
    async fn suspend(&self, refused: &Credentials) -> Result<HandlerError, HandlerError> {
        let id = refused.account.account_id;
        if accounts::suspend(&mut *self.pool.get().await?, refused).await? {
            tracing::warn!(account = %id, "MoySklad refused the token: the account is suspended");
        }
        Ok(suspended(id))
    }
}

#[async_trait::async_trait]
impl Job<SyncQueue> for SyncTasks {
    async fn run(&self, task: &Task) -> Result<Outcome, HandlerError> {
        let _turn = self.turns.take(task.account_id).map_err(|after| HandlerError::Defer {
            after,
            reason: "other tasks of this account are running".to_owned(),
        })?;
        let pair = match self.pair(task).await? {
            Ok(pair) => pair,
            Err(reason) => return Ok(Outcome::ignored(reason)),
        };
        match self.upsert(task, &pair).await {
            Err(ApiError::TokenRefused { account }) => Err(self.suspend(pair.credentials(account)).await?),
            result => Ok(result?),
        }
    }
}

fn suspended(account: Uuid) -> HandlerError {
    HandlerError::Defer {
        after: SUSPENDED,
        reason: format!("account {account} is suspended: MoySklad refused its token; set a new one"),
    }
}

/// A child and the main account that it follows.
struct Pair {
    main: Credentials,
    child: Credentials,
}

impl Pair {
    fn credentials(&self, account: Uuid) -> &Credentials {
        if self.main.account.account_id == account { &self.main } else { &self.child }
    }
}

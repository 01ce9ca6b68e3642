//! Runs sync tasks: who is concerned, may they take part, and what their tokens are.

use super::accounts::{self, Credentials, Role, Status};
use super::api::ApiError;
use super::turns::{Running, Turns};
use super::work::{Pair, Work};
use super::{catalog, emitted, images, orders};
use crate::config::Settings;
use crate::crypto::MasterKey;
use crate::db::Pool;
use crate::nodes::Nodes;
use crate::queue::{HandlerError, Job, Outcome};
use crate::sync::tasks::{BLOCKED, CHILD_ACCOUNT, SyncQueue, Task};
use std::time::Duration;
use uuid::Uuid;

/// A task of a suspended account looks again after this time, and at once when the account is active again.
const SUSPENDED: Duration = Duration::from_secs(10 * 60);

/// Tasks that were claimed when the share was lost look again after this time.
const NO_SHARE: Duration = Duration::from_secs(1);

/// Runs the tasks of `sync_queue`.
#[derive(Clone)]
pub struct SyncTasks {
    work: Work,
    turns: Turns,
}

impl SyncTasks {
    /// For these settings.
    pub fn new(settings: &Settings, pool: Pool, master_key: Option<MasterKey>, nodes: Nodes) -> Self {
        Self { work: Work::new(settings, pool, master_key, nodes), turns: Turns::default() }
    }

    fn turn(&self, task: &Task) -> Result<Running, HandlerError> {
        // What it waits for beside its turn is what operators look for.
        let defer = |after, reason: &str| HandlerError::Defer {
            after,
            reason: task.waits_for().unwrap_or(reason).to_owned(),
        };
        let Some(share) = self.work.gateway.share() else {
            return Err(defer(NO_SHARE, "other nodes do the work"));
        };
        let pace = Duration::from_secs(3) * share.request_weight / share.units_per_3s;
        self.turns
            .take(task.account_id, share.parallel, pace)
            .map_err(|after| defer(after, "other tasks of this account are running"))
    }

    /// What tasks may use, for work of another kind in the same process: clones share limits and caches.
    pub(super) fn work(&self) -> Work {
        self.work.clone()
    }

    /// The child and the main account that the task works between, or how it ends because there is nothing to do for it. The
    /// account that is written to is the task's own; the payload names the other (`main_account` or `child_account`).
    async fn pair(&self, task: &Task) -> Result<Result<Pair, Outcome>, HandlerError> {
        let ignored = |reason: &str| Ok(Err(Outcome::ignored(reason)));
        let named = |key: &str| task.payload[key].as_str().and_then(|id| id.parse::<Uuid>().ok());
        let child = named(CHILD_ACCOUNT).unwrap_or(task.account_id);
        let mut conn = self.work.pool.get().await?;
        let Some(child) = accounts::credentials(&mut conn, child).await? else {
            return ignored("the account was removed");
        };
        let source = named("main_account").or_else(|| named(CHILD_ACCOUNT).map(|_| task.account_id));
        let main = match child.account.parent_account_id {
            Some(parent) if Some(parent) == source => accounts::credentials(&mut conn, parent).await?,
            _ => None,
        };
        let Some(main) = main.filter(|main| main.account.role == Role::Main) else {
            return match orders::follow(task, &child.account, &mut conn).await? {
                Some(followed) => Ok(Err(followed)),
                None => ignored("the account no longer follows the main account that this comes from"),
            };
        };
        for side in [&child, &main] {
            match side.account.status {
                Status::Active => {}
                // Nobody would ever tell again what the child has sold, or what became of it.
                Status::Inactive if orders::takes(task) => {
                    return Err(switched_off(side.account.account_id));
                }
                Status::Inactive => {
                    return ignored("an operator has made the account or its main account inactive");
                }
                Status::Suspended => return Err(suspended(side.account.account_id)),
            }
        }
        Ok(Ok(Pair { main, child }))
    }

    /// Runs a task that concerns one account alone.
    async fn alone(&self, task: &Task) -> Result<Outcome, HandlerError> {
        let id = task.account_id;
        let Some(account) = accounts::credentials(&mut *self.work.pool.get().await?, id).await? else {
            return Ok(Outcome::ignored("the account was removed"));
        };
        match account.account.status {
            Status::Active => {}
            Status::Inactive => return Ok(Outcome::ignored("an operator has made the account inactive")),
            Status::Suspended => return Err(suspended(id)),
        }
        match emitted::run(task, &account, &self.work).await {
            Err(error @ ApiError::TokenRefused { .. }) => Err(self.suspend(&account, &error).await?),
            result => Ok(result?),
        }
    }

    async fn dispatch(&self, task: &Task, pair: &Pair) -> Result<Outcome, ApiError> {
        if orders::takes(task) {
            orders::run(task, pair, &self.work).await
        } else if images::takes(task) {
            images::run(task, pair, &self.work).await
        } else {
            catalog::run(task, pair, &self.work).await
        }
    }

    /// Stops everything for an account whose token MoySklad refuses, before the refusals get it banned.
    async fn suspend(&self, refused: &Credentials, why: &ApiError) -> Result<HandlerError, HandlerError> {
        let id = refused.account.account_id;
        if accounts::suspend(&mut *self.work.pool.get().await?, refused).await? {
            tracing::warn!(account = %id, "{why}: the account is suspended");
        }
        Ok(suspended(id))
    }
}

#[async_trait::async_trait]
impl Job<SyncQueue> for SyncTasks {
    fn is_ready(&self) -> bool {
        self.work.gateway.has_share()
    }

    async fn run(&self, task: &Task) -> Result<Outcome, HandlerError> {
        let _turn = self.turn(task)?;
        if emitted::takes(task) {
            return self.alone(task).await;
        }
        let pair = match self.pair(task).await? {
            Ok(pair) => pair,
            Err(ended) => return Ok(ended),
        };
        match self.dispatch(task, &pair).await {
            Err(error @ ApiError::TokenRefused { account, .. }) => {
                Err(self.suspend(pair.credentials(account), &error).await?)
            }
            Err(ApiError::Unanswered { text, .. }) if orders::takes(task) => {
                Err(orders::wait_out(&self.work, task, text).await?)
            }
            result => Ok(result?),
        }
    }
}

fn switched_off(account: Uuid) -> HandlerError {
    HandlerError::Defer {
        after: SUSPENDED,
        reason: format!("{BLOCKED}: an operator has made account {account} inactive; make it active again"),
    }
}

fn suspended(account: Uuid) -> HandlerError {
    HandlerError::Defer {
        after: SUSPENDED,
        reason: format!(
            "{BLOCKED}: account {account} is suspended: MoySklad refused its token; set a new one"
        ),
    }
}

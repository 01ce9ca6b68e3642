//! What a worker does for accounts without an event: checks their webhooks, looks for what none told of, forgets old
//! breakers.

use super::schedule::{self, Job, Turn};
use super::sweep::sweep;
use crate::config::Settings;
use crate::sync::moysklad::hooks::{HookError, Hooks};
use crate::sync::moysklad::work::Work;
use crate::sync::moysklad::worker::SyncTasks;
use crate::sync::moysklad::{accounts, is_accepted_prefix, loops};
use futures_util::future::join_all;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

/// What another node has left shall not wait longer than this.
const SOON: Duration = Duration::from_secs(5);
/// How long a new node waits for the others to let it in before it goes on as one of several.
const ADMITTANCE: Duration = Duration::from_secs(30);
/// Accounts that are looked after at once for each purpose.
const SIDE_BY_SIDE: usize = 4;

/// Runs until `stop`, and then lets others have its turn. Shares the limits of `tasks`, so that both together stay within
/// MoySklad's.
pub async fn watch(tasks: SyncTasks, settings: Arc<Settings>, stop: CancellationToken) {
    let (work, times) = (tasks.work(), settings.moysklad_watch);
    let watch = Watch { hooks: Hooks::of(work.clone()), work, owner: Uuid::new_v4() };
    for counter in ["moysklad_loops_total", "moysklad_sweeps_total"] {
        // Who alerts on one wants to see it before it counts.
        metrics::counter!(counter).increment(0);
    }
    watch.warn_of_app_url().await;
    let all = async {
        tokio::join!(
            watch.some(Job::Hooks, times.hook_check),
            watch.some(Job::Reconcile, times.reconcile),
            tidy(&watch.work),
        )
    };
    tokio::select! {
        () = stop.cancelled() => {}
        _ = all => {}
    }
    if let Ok(mut conn) = watch.work.pool.get().await
        && let Err(error) = schedule::release(&mut conn, watch.owner).await
    {
        tracing::warn!(
            error = crate::db::error_kind(&error),
            "a turn that was cut off is kept until its lease ends"
        );
    }
}

struct Watch {
    work: Work,
    hooks: Hooks,
    owner: Uuid,
}

impl Watch {
    /// Said at the start, since nobody would look for it in the failure of a write.
    async fn warn_of_app_url(&self) {
        let settings = &self.work.settings;
        if is_accepted_prefix(&settings.receiver.app_url) {
            return;
        }
        let Ok(mut conn) = self.work.pool.get().await else { return };
        let used = !settings.moysklad.webhook_tokens.is_empty()
            || accounts::list(&mut conn).await.is_ok_and(|accounts| !accounts.is_empty());
        if used {
            tracing::warn!(
                "APP_URL must have a host with a dot, such as https://hooks.example.com: MoySklad refuses writes \
                 whose loop-prevention header names another one"
            );
        }
    }

    /// Gives every account its turn, some of them side by side: each has limits of its own, and most of a turn is waiting.
    async fn some(&self, job: Job, every: Duration) {
        let standing = self.work.gateway.admitted(ADMITTANCE).await;
        // Nobody was there before this node, to take what was sent.
        if standing.is_some_and(|standing| standing.rank == 0)
            && let Ok(mut conn) = self.work.pool.get().await
            && let Err(error) = schedule::hasten(&mut conn, job).await
        {
            tracing::warn!(error = crate::db::error_kind(&error), "accounts wait for their usual turn");
        }
        join_all((0..SIDE_BY_SIDE).map(|_| self.each(job, every))).await;
    }

    /// Gives one account after the other its turn.
    async fn each(&self, job: Job, every: Duration) {
        let often = (every / 4).clamp(Duration::from_millis(200), SOON);
        let mut tick = tokio::time::interval(often);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tick.tick().await;
            while self.work.gateway.has_share()
                && let Some(turn) = next(&self.work, job, every, self.owner).await
            {
                let work = async {
                    match job {
                        Job::Hooks => check(&self.hooks, &turn).await,
                        Job::Reconcile => reconcile(&self.work, &turn).await,
                    }
                };
                let result = tokio::select! {
                    result = work => result,
                    () = self.lost(job, &turn) => {
                        tracing::warn!(account = %turn.account_id, ?job, "another node has taken this turn over");
                        continue;
                    }
                };
                if let Err(error) = &result {
                    tracing::warn!(account = %turn.account_id, ?job, %error, "an account was not looked after");
                }
                let seen = result.is_ok();
                let error = result.unwrap_or_else(|error| Some(error.to_string()));
                let Ok(mut conn) = self.work.pool.get().await else { break };
                let ended = schedule::finish(&mut conn, job, &turn, self.owner, seen, error.as_deref()).await;
                if let Err(error) = ended {
                    tracing::warn!(error = crate::db::error_kind(&error), "the end of a turn is not noted");
                    break;
                }
            }
        }
    }
}

impl Watch {
    /// Keeps the turn; resolves when this node was silent for so long that another one has it.
    async fn lost(&self, job: Job, turn: &Turn) {
        loop {
            tokio::time::sleep(schedule::KEEP).await;
            // While the database is away nobody can take it.
            if let Ok(mut conn) = self.work.pool.get().await
                && let Ok(false) = turn.extend(&mut conn, job, self.owner).await
            {
                return;
            }
        }
    }
}

/// A database that is away is told of elsewhere; the next tick asks again.
async fn next(work: &Work, job: Job, every: Duration, owner: Uuid) -> Option<Turn> {
    let mut conn = work.pool.get().await.ok()?;
    schedule::register(&mut conn, job, every).await.ok()?;
    schedule::claim(&mut conn, job, every, owner).await.ok()?
}

async fn check(hooks: &Hooks, turn: &Turn) -> Result<Option<String>, HookError> {
    let report = hooks.setup(turn.account_id).await?;
    if report.changed() {
        tracing::warn!(
            account = %turn.account_id, created = report.created, mended = report.mended, removed = report.removed,
            problems = report.problems.join("; "), "webhooks were not as they should be"
        );
    }
    Ok(None)
}

/// Gives what was too odd to be acted on; the rest is done.
async fn reconcile(work: &Work, turn: &Turn) -> Result<Option<String>, HookError> {
    let found = sweep(work, turn).await?;
    metrics::counter!("moysklad_sweeps_total").increment(1);
    metrics::counter!("moysklad_sweep_changes_total").increment(found.changed as u64);
    metrics::counter!("moysklad_sweep_deletes_total").increment(found.gone as u64);
    tracing::info!(
        account = %turn.account_id, since = %turn.seen_until, changed = found.changed, gone = found.gone, "swept"
    );
    Ok((!found.refused.is_empty()).then(|| found.refused.join("; ")))
}

async fn tidy(work: &Work) {
    let mut tick = tokio::time::interval(Duration::from_secs(600));
    loop {
        tick.tick().await;
        if let Ok(mut conn) = work.pool.get().await
            && let Err(error) = loops::tidy(&mut conn).await
        {
            tracing::warn!(error = crate::db::error_kind(&error), "old loop breakers stay");
        }
    }
}

//! `hookgate serve`: puts the rooms together and runs them until it is told to stop.

use super::CliError;
use super::session::{Opened, ensure_schema, open};
use crate::clock::Clock;
use crate::config::Settings;
use crate::db::embedded::Claim;
use crate::db::{Database, Pool, keys};
use crate::http::{self, AppState, Role};
use crate::inbox::{Inbox, WriterSettings};
use crate::keyring::{Keyring, KeyringSettings};
use crate::nodes::{Kind, NODES, Node};
use crate::providers::{Providers, Registry};
use crate::quarantine::Quarantine;
use crate::queue::{self, Backoff, Engine, EngineSettings, Pressure, QueueTable, Waker};
use crate::records::Activity;
use crate::reload::{self, Reloader};
use crate::sync::Context;
use crate::sync::events::{EventJob, EventQueue, Handlers};
use crate::sync::ledger::Ledger;
use crate::sync::moysklad::{SyncTasks, reconcile};
use crate::sync::tasks::SyncQueue;
use crate::telemetry;
use metrics_exporter_prometheus::PrometheusHandle;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub(super) async fn run(mut settings: Settings, role: Role) -> Result<(), CliError> {
    telemetry::start_logs(settings.log_json);
    let metrics = telemetry::start_metrics();
    // Asked for before anything is started: a signal that comes meanwhile must not leave Postgres running alone.
    let mut signals = Signals::new()?;
    let Opened { database, cluster } = tokio::select! {
        opened = open(&mut settings, Claim::Own) => opened?,
        () = signals.told_to_stop() => return Ok(()),
    };
    if let Some(cluster) = &cluster {
        let data_dir = &settings.store.data_dir;
        let place = cluster.elsewhere().unwrap_or_else(|| data_dir.clone());
        println!("private Postgres in {}", place.display());
        if settings.store.admin_token.is_none() {
            let (token, path) = keys::admin_token(data_dir)?;
            settings.store.admin_token = Some(token);
            println!("admin token in {}", path.display());
        }
    }
    let result = serve(settings, role, &database, metrics, &mut signals).await;
    if let Some(cluster) = cluster {
        cluster.stop().await?;
    }
    result
}

async fn serve(
    settings: Settings,
    role: Role,
    database: &Database,
    metrics: Option<PrometheusHandle>,
    signals: &mut Signals,
) -> Result<(), CliError> {
    tokio::select! {
        ready = ensure_schema(&settings, database) => ready?,
        () = signals.told_to_stop() => return Ok(()),
    }
    let settings = Arc::new(settings);
    let pool = database.pool(&settings.store).map_err(|error| CliError::Message(error.to_string()))?;
    let (events, sync_tasks) = (Waker::new(EventQueue::NAME), Waker::new(SyncQueue::NAME));
    let nodes = Waker::new(NODES);
    let wakers = vec![events.clone(), sync_tasks.clone()];
    let writer = WriterSettings::new(settings.worker.max_attempts);
    let pressure = Pressure::default();
    let (inbox, writing) = Inbox::start(database.clone(), events.clone(), pressure.clone(), writer);
    let learned = reload::learned(&mut *pool.get().await?, settings.store.master_key.as_ref()).await?;
    let registry = Registry::new(&settings, &learned)?;
    let handlers = Handlers::new(crate::sync::handlers(&settings), registry.instances());
    let providers = Providers::new(registry);
    let keyring = KeyringSettings::new(&settings).map_err(|error| CliError::Message(error.to_string()))?;
    let keyring = Keyring::new(keyring, Clock::system());
    let reloader =
        Reloader::new(pool.clone(), settings.clone(), learned, providers.clone(), handlers.clone());
    let (quarantine, keeping) =
        Quarantine::start(pool.clone(), settings.store.master_key.clone(), settings.quarantine);
    let activity = Activity::default();
    let draining = Arc::new(AtomicBool::new(false));
    let state = AppState {
        providers,
        keyring,
        quarantine,
        activity: activity.clone(),
        reloader: reloader.clone(),
        settings: settings.clone(),
        pool: pool.clone(),
        inbox,
        handlers: handlers.clone(),
        clock: Clock::system(),
        admin_token: settings.store.admin_token.clone(),
        master_key: settings.store.master_key.clone(),
        events: events.clone(),
        sync_tasks: sync_tasks.clone(),
        metrics: metrics.clone(),
        draining: draining.clone(),
    };
    let (server, addresses) = http::start(state, role).map_err(|error| {
        let receiver = &settings.receiver;
        CliError::Message(format!("cannot listen on {}:{}: {error}; set PORT", receiver.host, receiver.port))
    })?;
    let stop = CancellationToken::new();
    let (mut engines, mut helpers) = (JoinSet::new(), JoinSet::new());
    let node = role.works().then(|| Node::join(database.clone(), Kind::Worker, nodes.clone()));
    if let Some(node) = &node {
        let context = Context {
            pool: pool.clone(),
            ledger: Ledger::start(database.clone()),
            master_key: settings.store.master_key.clone(),
            sync_tasks: sync_tasks.clone(),
            loop_writes: settings.moysklad_watch.loop_writes,
            restore: settings.moysklad_watch.restore,
        };
        let job = Arc::new(EventJob::new(handlers, context));
        let engine = Engine::<EventQueue>::new(database.clone(), events, engine_settings(&settings), job)
            .yielding_to(pressure);
        engines.spawn(engine.run(stop.clone()));
        let key = settings.store.master_key.clone();
        let tasks = SyncTasks::new(&settings, pool.clone(), key, node.nodes.clone());
        let job = Arc::new(tasks.clone());
        let engine = Engine::<SyncQueue>::new(database.clone(), sync_tasks, engine_settings(&settings), job);
        engines.spawn(engine.run(stop.clone()));
        engines.spawn(reconcile::watch(tasks, settings.clone(), stop.clone()));
    }
    helpers.spawn(queue::announce(database.clone(), wakers.clone()));
    if node.is_some() {
        helpers.spawn(queue::listen(database.clone(), [wakers, vec![nodes]].concat()));
    }
    helpers.spawn(observe(pool.clone(), metrics));
    helpers.spawn(reloader.clone().poll());
    helpers.spawn(reload_when_told(reloader, signals.hang_up()?));
    let counting = tokio::spawn(activity.keep(pool, stop.clone()));
    for address in addresses {
        println!("hookgate {} listening on http://{address}", env!("CARGO_PKG_VERSION"));
    }
    let handle = server.handle();
    let server = tokio::spawn(server);
    signals.told_to_stop().await;
    tracing::info!("shutting down");
    draining.store(true, Ordering::Relaxed);
    // Requests in hand are answered first: what they store is then either worked on or left for the next start.
    handle.stop(true).await;
    let _ = server.await;
    stop.cancel();
    while engines.join_next().await.is_some() {}
    if let Some(node) = node {
        node.leave().await;
    }
    helpers.shutdown().await;
    for task in [writing, keeping, counting] {
        let _ = tokio::time::timeout(Duration::from_secs(10), task).await;
    }
    tracing::info!("stopped");
    Ok(())
}

pub(super) fn engine_settings(settings: &Settings) -> EngineSettings {
    let worker = &settings.worker;
    EngineSettings {
        concurrency: worker.concurrency,
        lease: worker.lease,
        backoff: Backoff { base: worker.backoff_base, max: worker.backoff_max },
        drain: worker.drain,
    }
}

/// Reads settings and approved secrets again at every SIGHUP.
async fn reload_when_told(reloader: Reloader, mut hang_up: Signal) {
    while hang_up.recv().await.is_some() {
        match reloader.settings().await {
            Ok(()) => tracing::info!("the providers of the settings are in force"),
            Err(error) => tracing::error!(%error, "the providers stay as they were"),
        }
    }
}

/// SIGTERM and Ctrl-C; and SIGHUP, which ends a process that does not ask for it.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Option<Signal>,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: Some(signal(SignalKind::hangup())?),
        })
    }

    fn hang_up(&mut self) -> std::io::Result<Signal> {
        self.hang_up.take().map_or_else(|| signal(SignalKind::hangup()), Ok)
    }

    async fn told_to_stop(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Keeps gauges fresh and histograms small.
async fn observe(pool: Pool, metrics: Option<PrometheusHandle>) {
    let mut tick = tokio::time::interval(Duration::from_secs(5));
    loop {
        tick.tick().await;
        if let Some(metrics) = &metrics {
            metrics.run_upkeep();
        }
        let Ok(mut conn) = pool.get().await else { continue };
        for queue in [EventQueue::NAME, SyncQueue::NAME] {
            for (status, rows) in crate::queue::depth(&mut conn, queue).await.unwrap_or_default() {
                #[allow(
                    clippy::cast_precision_loss,
                    reason = "a gauge is a float; no queue holds 2^52 rows"
                )]
                metrics::gauge!("webhook_queue_depth", "queue" => queue, "status" => status).set(rows as f64);
            }
        }
    }
}

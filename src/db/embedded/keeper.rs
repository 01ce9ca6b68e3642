//! Watches over the server of a `serve`: one that dies is started again, so that the gateway recovers by itself.

use super::place::Place;
use super::server;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::{CancellationToken, DropGuard};

const LOOK_EVERY: Duration = Duration::from_secs(1);

/// Ends when dropped; a start under way is called off.
#[derive(Debug)]
pub(super) struct Keeper {
    end: DropGuard,
    task: JoinHandle<()>,
}

impl Keeper {
    pub(super) fn watch(place: Place) -> Self {
        let end = CancellationToken::new();
        let task = tokio::spawn({
            let end = end.clone();
            async move {
                let _ = end.run_until_cancelled(watch(&place)).await;
            }
        });
        Self { end: end.drop_guard(), task }
    }

    /// Ends it and waits until it can start no server any more.
    pub(super) async fn retire(self) {
        drop(self.end);
        let _ = self.task.await;
    }
}

async fn watch(place: &Place) {
    let mut missed = 0;
    loop {
        sleep(LOOK_EVERY).await;
        missed = if server::running(place).is_some() { 0 } else { missed + 1 };
        // An operator's `pg_ctl restart` takes a moment; the third look tells a restart from a death.
        if missed < 3 {
            continue;
        }
        tracing::warn!("the private Postgres has ended; starting it again");
        match server::ensure_running(place).await {
            Ok(()) => tracing::info!("the private Postgres runs again"),
            Err(error) => tracing::error!(%error, "the private Postgres cannot be started; trying on"),
        }
    }
}

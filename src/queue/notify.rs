//! Wake-ups between nodes: one NOTIFY for each batch of new work, and a connection that listens.
//!
//! NOTIFY takes a lock at commit that serialises all notifying commits, so it is never part of the commit that
//! acknowledges an event: it follows, and many wake-ups share one. Who misses one finds the work by polling.

use super::Waker;
use crate::db::Database;
use diesel_async::SimpleAsyncConnection as _;
use futures_util::StreamExt as _;
use std::time::Duration;
use tokio::time::timeout;

const CHANNEL: &str = "hookgate";
/// Wake-ups of one queue within this time share one NOTIFY.
const GATHER: Duration = Duration::from_millis(20);
const RECONNECT: Duration = Duration::from_secs(1);
const PATIENCE: Duration = Duration::from_secs(5);

/// Tells other nodes of new work until the process ends.
pub async fn announce(database: Database, wakers: Vec<Waker>) {
    let announcers = wakers.into_iter().map(|waker| announce_one(database.clone(), waker));
    futures_util::future::join_all(announcers).await;
}

async fn announce_one(database: Database, waker: Waker) {
    let sql = format!("SELECT pg_notify('{CHANNEL}', '{}')", waker.queue());
    loop {
        let Ok(mut conn) = database.connect("SET application_name = 'hookgate announce'").await else {
            tokio::time::sleep(RECONNECT).await;
            continue;
        };
        loop {
            waker.to_announce().await;
            if !matches!(timeout(PATIENCE, conn.batch_execute(&sql)).await, Ok(Ok(()))) {
                break;
            }
            tokio::time::sleep(GATHER).await;
        }
    }
}

/// Wakes this node's engines when another node has new work; reconnects by itself.
pub async fn listen(database: Database, wakers: Vec<Waker>) {
    loop {
        if let Ok(mut conn) =
            database.connect("SET application_name = 'hookgate listen'; LISTEN hookgate").await
        {
            // Something may have come while nobody listened.
            wakers.iter().for_each(Waker::wake_here);
            let mut notifications = std::pin::pin!(conn.notifications_stream());
            while let Some(Ok(notification)) = notifications.next().await {
                if let Some(waker) = wakers.iter().find(|waker| waker.queue() == notification.payload) {
                    waker.wake_here();
                }
            }
        }
        tokio::time::sleep(RECONNECT).await;
    }
}

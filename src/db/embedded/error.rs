//! What can go wrong with the private cluster.

use std::path::{Path, PathBuf};

/// Why the private cluster cannot be used. Each text says what to do.
#[derive(Debug, thiserror::Error)]
pub enum EmbeddedError {
    /// Postgres is not installed.
    #[error(
        "PostgreSQL's programs (initdb, postgres) are not found: install them (`apt-get install postgresql`, or \
         `brew install postgresql`), or name a running server in DATABASE_URL"
    )]
    NoPrograms,
    /// Only other versions than the cluster's are installed.
    #[error(
        "the cluster {cluster} was made by PostgreSQL {made_by}, but installed is only {found}: install version \
         {made_by} again (`apt-get install postgresql-{made_by}`), or upgrade the cluster with pg_upgrade"
    )]
    OtherVersion {
        /// The cluster.
        cluster: PathBuf,
        /// Its major version.
        made_by: String,
        /// Major versions that are installed.
        found: String,
    },
    /// A `serve` runs on the same data directory.
    #[error(
        "the data directory {data_dir} is in use by another `hookgate serve` (process {pid}): stop that one, or set \
         DATABASE_URL to a Postgres server, on which any number of nodes can run"
    )]
    InUse {
        /// The data directory.
        data_dir: PathBuf,
        /// Process id of the other.
        pid: u32,
    },
    /// Someone else starts or stops the server and does not come to an end.
    #[error(
        "the Postgres of {data_dir} does not answer{}: see whether that process works, or stop it",
        holder(*.pid)
    )]
    Busy {
        /// The data directory.
        data_dir: PathBuf,
        /// Process id of the one in charge, if known.
        pid: Option<u32>,
    },
    /// The cluster belongs to another account.
    #[error(
        "{path} belongs to {owner}: run hookgate as that user or as root (if it belongs to root, give it to the user \
         that Postgres shall run as: `chown -R`)"
    )]
    NotOurs {
        /// The cluster.
        path: PathBuf,
        /// Its owner.
        owner: String,
    },
    /// A socket directory under /tmp that others made or may enter.
    #[error(
        "{0} must be a directory of Postgres' user with mode 0700: remove it, or use a shorter data directory"
    )]
    NotPrivate(PathBuf),
    /// Root, and no account for Postgres.
    #[error(
        "Postgres does not run as root, and there is no user for it: `useradd --system hookgate-postgres`"
    )]
    NoAccount,
    /// The cluster cannot be made.
    #[error("cannot create the private Postgres: {} failed:\n{detail}", program.display())]
    CreateFailed {
        /// The program that failed.
        program: PathBuf,
        /// The end of what it said.
        detail: String,
    },
    /// The server ended while it was to start.
    #[error("the private Postgres did not start ({status}); the end of {}:\n{log}", file.display())]
    Exited {
        /// How it ended.
        status: std::process::ExitStatus,
        /// The end of its log.
        log: String,
        /// Its log.
        file: PathBuf,
    },
    /// The server runs and accepts no connection.
    #[error(
        "the private Postgres still does not accept connections (after a crash it may be recovering: start again to \
         wait on); the end of {}:\n{log}",
        file.display()
    )]
    NoAnswer {
        /// The end of its log.
        log: String,
        /// Its log.
        file: PathBuf,
    },
    /// The server does not end.
    #[error("the private Postgres (process {pid}) does not stop: end it by hand")]
    DoesNotStop {
        /// Process id of the server.
        pid: i32,
    },
    /// The file of a generated key does not hold what was written there.
    #[error("{} does not hold a key any more: put it back from a backup", .0.display())]
    KeyDamaged(PathBuf),
    /// The system refused an operation.
    #[error("cannot {action} {}: {source}", path.display())]
    Io {
        /// What was to be done.
        action: &'static str,
        /// To what.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// The runtime shuts down.
    #[error("interrupted by the end of the process")]
    Interrupted,
}

fn holder(pid: Option<u32>) -> String {
    pid.map(|pid| format!(", which process {pid} is in charge of")).unwrap_or_default()
}

/// Turns the system's error into ours, for `map_err`.
pub(in crate::db) fn io(
    action: &'static str,
    path: &Path,
) -> impl FnOnce(std::io::Error) -> EmbeddedError + use<> {
    let path = path.to_owned();
    move |source| EmbeddedError::Io { action, path, source }
}

//! The private cluster: Postgres for people who have none.
//!
//! `serve` owns it; commands join it or, without a `serve`, share one that they start and stop. Whoever holds the lock
//! looks for a living server first, so a server that outlived a killed gateway is simply taken over.

mod create;
mod error;
mod keeper;
mod lock;
mod place;
mod programs;
mod server;
mod user;

pub use error::EmbeddedError;
pub(super) use error::io;
use keeper::Keeper;
use lock::{Attempt, Holder, Kind, Lock};
use place::Place;
use programs::Programs;
use secrecy::SecretString;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How long a `serve` is waited for that holds the data directory: it may be about to end, or have been killed while a program
/// that it was just starting still holds a copy of its lock.
const SERVE_LIMIT: Duration = Duration::from_secs(1);
/// How long a command may start or stop the server before a `serve` gives up.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);
/// How long a command waits for a server that others start: longer than a start may take.
const JOIN_LIMIT: Duration = Duration::from_secs(150);
const POLL: Duration = Duration::from_millis(50);

/// Who asks for the cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// `serve`: owns the cluster for its life; a second owner is refused.
    Own,
    /// A command: joins the cluster of a running `serve`, else starts it for its own time.
    Join,
}

/// A running private cluster. [`Cluster::stop`] stops the server where that is ours to do; a drop only asks it to stop.
#[derive(Debug)]
pub struct Cluster {
    place: Place,
    role: Role,
}

#[derive(Debug)]
enum Role {
    Owner {
        _lock: Lock,
        keeper: Keeper,
    },
    Guest {
        seat: Lock,
    },
    /// Stopped or left.
    Gone,
}

impl Cluster {
    /// Finds or creates the cluster of a data directory and makes sure it accepts connections.
    pub async fn open(data_dir: &Path, claim: Claim) -> Result<Self, EmbeddedError> {
        let data_dir = data_dir.to_owned();
        let place = blocking(move || Place::find(&data_dir)).await?;
        let role = match claim {
            Claim::Own => own(&place).await?,
            Claim::Join => join(&place).await?,
        };
        Ok(Self { place, role })
    }

    /// How to connect, over its Unix socket.
    pub fn url(&self) -> SecretString {
        self.place.url()
    }

    /// Where the cluster lies when that is not inside the data directory.
    pub fn elsewhere(&self) -> Option<PathBuf> {
        self.place.elsewhere()
    }

    /// Stops the server if this is its owner, or the last command on a server that no `serve` owns.
    pub async fn stop(mut self) -> Result<(), EmbeddedError> {
        match std::mem::replace(&mut self.role, Role::Gone) {
            Role::Owner { _lock, keeper } => {
                keeper.retire().await;
                server::stop(&self.place).await
            }
            Role::Guest { seat } => leave(&self.place, seat).await,
            Role::Gone => Ok(()),
        }
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        match std::mem::replace(&mut self.role, Role::Gone) {
            Role::Owner { .. } => server::interrupt(&self.place),
            Role::Guest { seat } => {
                drop(seat);
                let data_dir = &self.place.data_dir;
                if let Ok(Attempt::Held(_lock)) = lock::attempt(data_dir, Kind::Command)
                    && let Ok(Some(_only)) = lock::only_command(data_dir)
                {
                    server::interrupt(&self.place);
                }
            }
            Role::Gone => {}
        }
    }
}

async fn own(place: &Place) -> Result<Role, EmbeddedError> {
    let begin = Instant::now();
    let lock = loop {
        match lock::attempt(&place.data_dir, Kind::Serve)? {
            Attempt::Held(lock) => break lock,
            Attempt::Busy(Some(Holder { kind: Kind::Serve, pid })) if begin.elapsed() > SERVE_LIMIT => {
                return Err(EmbeddedError::InUse { data_dir: place.data_dir.clone(), pid });
            }
            Attempt::Busy(holder) if begin.elapsed() > COMMAND_LIMIT => return Err(busy(place, holder)),
            Attempt::Busy(_) => sleep(POLL).await,
        }
    };
    start(place).await?;
    Ok(Role::Owner { _lock: lock, keeper: Keeper::watch(place.clone()) })
}

async fn join(place: &Place) -> Result<Role, EmbeddedError> {
    let begin = Instant::now();
    let seat = loop {
        match lock::take_seat(&place.data_dir)? {
            Some(seat) => break seat,
            None if begin.elapsed() > JOIN_LIMIT => return Err(busy(place, None)),
            None => sleep(POLL).await,
        }
    };
    while !server::accepts(place).await {
        match lock::attempt(&place.data_dir, Kind::Command)? {
            Attempt::Held(_lock) => start(place).await?,
            Attempt::Busy(holder) if begin.elapsed() > JOIN_LIMIT => return Err(busy(place, holder)),
            Attempt::Busy(_) => sleep(POLL).await,
        }
    }
    Ok(Role::Guest { seat })
}

/// A command leaves. Only under the lock can it know that it is the last one; another that leaves at the same time may
/// hold the lock and still count this one, so it waits for its turn.
async fn leave(place: &Place, seat: Lock) -> Result<(), EmbeddedError> {
    drop(seat);
    let begin = Instant::now();
    let _lock = loop {
        match lock::attempt(&place.data_dir, Kind::Command)? {
            Attempt::Held(lock) => break lock,
            Attempt::Busy(Some(Holder { kind: Kind::Serve, .. })) => return Ok(()),
            Attempt::Busy(holder) if begin.elapsed() > JOIN_LIMIT => return Err(busy(place, holder)),
            Attempt::Busy(_) => sleep(POLL).await,
        }
    };
    match lock::only_command(&place.data_dir)? {
        Some(_only) => server::stop(place).await,
        None => Ok(()),
    }
}

/// Makes the cluster if need be and starts its server. Only for the holder of the lock.
async fn start(place: &Place) -> Result<(), EmbeddedError> {
    let own = place.clone();
    blocking(move || {
        let programs = Programs::find(&own.cluster)?;
        create::create_if_missing(&own, &programs)
    })
    .await?;
    server::ensure_running(place).await
}

fn busy(place: &Place, holder: Option<Holder>) -> EmbeddedError {
    EmbeddedError::Busy { data_dir: place.data_dir.clone(), pid: holder.map(|holder| holder.pid) }
}

/// Whether what is committed must survive a power cut. Tests of the cluster itself have no use for that.
fn durable() -> bool {
    std::env::var_os("HOOKGATE_PG_FSYNC").is_none_or(|value| value != "off")
}

/// The last lines of a text.
fn tail(text: &str) -> String {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(12)..].join("\n")
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, EmbeddedError> + Send + 'static,
) -> Result<T, EmbeddedError> {
    tokio::task::spawn_blocking(work).await.map_err(|_| EmbeddedError::Interrupted)?
}

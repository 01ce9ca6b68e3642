//! The public face: routes, extractors, problem+json. No SQL, no upstream calls.

mod accounts;
mod auth;
mod client_address;
mod events;
mod extract;
mod handshake;
mod health;
mod messages;
mod paging;
mod payments;
mod problem;
mod prove;
mod providers;
mod public_url;
mod quarantine;
mod rate_limit;
mod receive;
mod receive_metrics;
mod request_id;
mod server;
mod sync_log;
mod sync_queue;

pub use auth::Admin;
pub use problem::Problem;
pub use server::{Role, openapi, start};

use crate::clock::Clock;
use crate::config::Settings;
use crate::crypto::MasterKey;
use crate::db::Pool;
use crate::inbox::Inbox;
use crate::keyring::Keyring;
use crate::providers::Providers;
use crate::quarantine::Quarantine;
use crate::queue::Waker;
use crate::records::Activity;
use crate::reload::Reloader;
use crate::sync::events::Handlers;
use metrics_exporter_prometheus::PrometheusHandle;
use secrecy::SecretString;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// What every route may use.
#[derive(Clone)]
pub struct AppState {
    /// Settings of the process.
    pub settings: Arc<Settings>,
    /// Connections to the database.
    pub pool: Pool,
    /// The way in for events.
    pub inbox: Inbox,
    /// Configured providers, as they are in force now.
    pub providers: Providers,
    /// Keys and certificates that proofs need.
    pub keyring: Keyring,
    /// Keeps what was not proven, or not readable.
    pub quarantine: Quarantine,
    /// Counts what happens at the door.
    pub activity: Activity,
    /// Puts approved secrets in force.
    pub reloader: Reloader,
    /// What events set in motion; a type that none wants is stored as `ignored`.
    pub handlers: Handlers,
    /// The time.
    pub clock: Clock,
    /// Token of the admin API; `None`: all admin routes answer 401.
    pub admin_token: Option<SecretString>,
    /// Seals stored secrets.
    pub master_key: Option<MasterKey>,
    /// Wakes the queue of events after one was queued by hand.
    pub events: Waker,
    /// Wakes the queue of sync tasks after one was queued by hand.
    pub sync_tasks: Waker,
    /// Renders the metrics.
    pub metrics: Option<PrometheusHandle>,
    /// Set while the process shuts down: not ready any more.
    pub draining: Arc<AtomicBool>,
}

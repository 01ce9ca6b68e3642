//! The public face: routes, extractors, problem+json. No SQL, no upstream calls.

mod auth;
mod payments;
mod problem;
mod request_id;

pub use auth::Admin;
pub use problem::Problem;

use crate::clock::Clock;
use crate::config::Settings;
use crate::crypto::MasterKey;
use crate::db::Pool;
use crate::inbox::Inbox;
use crate::providers::Registry;
use secrecy::SecretString;
use std::sync::Arc;

/// What every route may use.
#[derive(Clone)]
pub struct AppState {
    /// Settings of the process.
    pub settings: Arc<Settings>,
    /// Connections to the database.
    pub pool: Pool,
    /// The way in for events.
    pub inbox: Inbox,
    /// Configured providers.
    pub providers: Arc<Registry>,
    /// The time.
    pub clock: Clock,
    /// Token of the admin API; `None`: all admin routes answer 401.
    pub admin_token: Option<SecretString>,
    /// Seals stored secrets.
    pub master_key: Option<MasterKey>,
}

//! Postgres: connections, schema, migrations, the private cluster, notifications.

pub mod embedded;
pub mod keys;
mod migrate;
mod notify;
mod pool;
pub mod schema;
mod tls;

pub use migrate::{MigrateError, pending, revert_all, run as migrate};
pub use notify::{announce, listen};
pub use pool::{Database, Pool, PoolError, PooledConnection, connect_one, error_kind, ping};

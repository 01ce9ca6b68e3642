//! Postgres: connections, schema, migrations, the private cluster.

pub mod embedded;
pub mod keys;
mod migrate;
mod pool;
pub mod schema;
mod tls;

pub use migrate::{MigrateError, pending, revert_all, run as migrate};
pub use pool::{Database, Pool, PoolError, PooledConnection, connect_one, error_kind, ping, within};

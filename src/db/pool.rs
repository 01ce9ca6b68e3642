//! Connections: where to, how secured, for how long.

use super::tls;
use crate::config::Store;
use diesel::result::{DatabaseErrorKind, Error::DatabaseError};
use diesel::{ConnectionError, ConnectionResult, QueryResult};
use diesel_async::pooled_connection::deadpool;
use diesel_async::pooled_connection::{AsyncDieselConnectionManager, ManagerConfig, RecyclingMethod};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection as _};
use futures_util::FutureExt as _;
use secrecy::{ExposeSecret as _, SecretString};
use std::time::Duration;
use tokio_postgres::config::SslMode;
use tokio_postgres_rustls::MakeRustlsConnect;

/// Pooled connections. Cheap to clone.
pub type Pool = deadpool::Pool<AsyncPgConnection>;
/// A connection that goes back to its pool when dropped.
pub type PooledConnection = deadpool::Object<AsyncPgConnection>;
/// No connection could be had from the pool.
pub type PoolError = deadpool::PoolError;

/// Where the database is, ready to connect to.
#[derive(Clone)]
pub struct Database {
    url: SecretString,
    runtime: tokio::runtime::Handle,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Database([REDACTED])")
    }
}

impl Database {
    /// A database by its URL or key-value string. Must be called on the main runtime: connections live there, not on
    /// the runtime of the HTTP worker that first asks for one, because a connection dies with its runtime.
    pub fn new(url: SecretString) -> Self {
        Self { url, runtime: tokio::runtime::Handle::current() }
    }

    /// Its URL, for those that connect by themselves.
    pub fn url(&self) -> &SecretString {
        &self.url
    }

    /// A pool for the settings.
    pub fn pool(&self, store: &Store) -> Result<Pool, deadpool::BuildError> {
        let mut config = ManagerConfig::default();
        // Postgres connections that are closed are noticed without a query; verifying each checkout would double
        // the round trips of a short query.
        config.recycling_method = RecyclingMethod::Fast;
        let database = self.clone();
        config.custom_setup = Box::new(move |_| {
            let database = database.clone();
            async move { database.connect(POOLED).await }.boxed()
        });
        let manager = AsyncDieselConnectionManager::new_with_config("", config);
        deadpool::Pool::builder(manager)
            .max_size(store.pool_size)
            .wait_timeout(Some(Duration::from_secs(5)))
            .create_timeout(Some(Duration::from_secs(5)))
            .recycle_timeout(Some(Duration::from_secs(5)))
            .runtime(::deadpool::Runtime::Tokio1)
            .build()
    }

    /// One connection outside any pool, set up by `setup` (SQL).
    pub async fn connect(&self, setup: &'static str) -> ConnectionResult<AsyncPgConnection> {
        let url = self.url.clone();
        self.runtime
            .spawn(async move {
                let mut conn = connect_one(&url).await?;
                conn.batch_execute(setup).await.map_err(ConnectionError::CouldntSetupConfiguration)?;
                Ok(conn)
            })
            .await
            .map_err(|_| ConnectionError::BadConnection("the runtime is shutting down".to_owned()))?
    }
}

/// A pooled connection answers short queries; nothing may hold it, a lock or a transaction for long.
const POOLED: &str = "SET application_name = 'hookgate'; SET statement_timeout = '30s'; \
                      SET lock_timeout = '10s'; SET idle_in_transaction_session_timeout = '30s'";

/// How long the server may leave what was sent without a sign of life. Of one that has vanished without a word, as in a
/// failover, the kernel would otherwise tell after a quarter of an hour.
const SILENCE: Duration = Duration::from_secs(10);

/// Runs `query` for at most `limit`. The server's own `statement_timeout` does not help where the server is frozen, or a
/// proxy in front of it has lost it. After the error the connection must be dropped: the answer may still come.
pub async fn within<T>(limit: Duration, query: impl Future<Output = QueryResult<T>>) -> QueryResult<T> {
    let late =
        || DatabaseError(DatabaseErrorKind::ClosedConnection, Box::new("no answer in time".to_owned()));
    tokio::time::timeout(limit, query).await.unwrap_or_else(|_| Err(late()))
}

/// Connects once. TLS is used where [`tls::Wish`] finds that the URL asks for it.
pub async fn connect_one(url: &SecretString) -> ConnectionResult<AsyncPgConnection> {
    let wish = tls::Wish::of(url);
    let mut config: tokio_postgres::Config = wish.url.expose_secret().parse().map_err(|_| {
        ConnectionError::InvalidConnectionUrl("DATABASE_URL is not a Postgres URL".to_owned())
    })?;
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(Duration::from_secs(5));
    }
    if config.get_tcp_user_timeout().is_none() {
        config.tcp_user_timeout(SILENCE);
    }
    // A server that vanishes after it has taken a query leaves nothing unacknowledged; only asking finds that out.
    if config.get_keepalives_idle() > SILENCE {
        config.keepalives_idle(SILENCE).keepalives_interval(SILENCE / 5);
    }
    if config.get_ssl_mode() == SslMode::Require {
        let connector = MakeRustlsConnect::new(wish.client_config()?);
        let (client, connection) =
            config.connect(connector).await.map_err(|error| match error.as_db_error() {
                Some(_) => ConnectionError::BadConnection(describe(&error)),
                None => ConnectionError::BadConnection(format!("{}; {}", describe(&error), tls::REMEDY)),
            })?;
        AsyncPgConnection::try_from_client_and_connection(client, connection).await
    } else {
        let (client, connection) = config
            .connect(tokio_postgres::NoTls)
            .await
            .map_err(|error| ConnectionError::BadConnection(describe(&error)))?;
        AsyncPgConnection::try_from_client_and_connection(client, connection).await
    }
}

/// What went wrong with a connection, without the URL.
fn describe(error: &tokio_postgres::Error) -> String {
    match error.as_db_error() {
        Some(db) => format!("the server refused: {} ({})", db.message(), db.code().code()),
        None => error.to_string(),
    }
}

/// Whether the database answers a query within two seconds.
pub async fn ping(pool: &Pool) -> bool {
    let ask = async { pool.get().await.ok()?.batch_execute("SELECT 1").await.ok() };
    tokio::time::timeout(Duration::from_secs(2), ask).await.ok().flatten().is_some()
}

/// The kind of a query's failure, without the database's message, which may quote a row.
pub fn error_kind(error: &diesel::result::Error) -> &'static str {
    use diesel::result::{DatabaseErrorKind as Kind, Error};
    match error {
        Error::NotFound => "no row",
        Error::DatabaseError(Kind::UniqueViolation, _) => "unique violation",
        Error::DatabaseError(Kind::ForeignKeyViolation, _) => "foreign key violation",
        Error::DatabaseError(Kind::SerializationFailure, _) => "serialization failure",
        Error::DatabaseError(Kind::ReadOnlyTransaction, _) => "read-only",
        Error::DatabaseError(Kind::CheckViolation | Kind::NotNullViolation, _) => "constraint violation",
        Error::DatabaseError(Kind::ClosedConnection, _) => "connection closed",
        Error::DatabaseError(Kind::UnableToSendCommand, _) => "cannot send",
        Error::DatabaseError(..) => "refused by the server",
        Error::BrokenTransactionManager => "broken transaction",
        Error::SerializationError(_) | Error::DeserializationError(_) => "unexpected value",
        _ => "failed",
    }
}

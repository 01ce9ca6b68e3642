//! Settings of the process itself: its store, its doors, its work.

use super::values::{positive, seconds, secret, url};
use super::{ConfigError, Source};
use crate::crypto::MasterKey;
use ipnet::IpNet;
use secrecy::SecretString;
use std::net::IpAddr;
use std::path::PathBuf;
use url::Url;

const RATE: &str = "a number of requests a second (0 is off)";

/// The database, the private cluster's directory and the keys.
#[derive(Clone, Debug)]
pub struct Store {
    /// `DATABASE_URL` or `DB_URL`; `None` means the private cluster.
    pub database_url: Option<SecretString>,
    /// `HOOKGATE_AUTO_MIGRATE`; `None` means: yes on the private cluster, no on `DATABASE_URL`.
    pub auto_migrate: Option<bool>,
    /// `HOOKGATE_DATA_DIR`: private cluster and generated keys.
    pub data_dir: PathBuf,
    /// `HOOKGATE_ADMIN_TOKEN` or `ADMIN_TOKEN`.
    pub admin_token: Option<SecretString>,
    /// `HOOKGATE_MASTER_KEY`: encrypts stored secrets.
    pub master_key: Option<MasterKey>,
    /// `DATABASE_POOL_SIZE`: connections of this process beside the two of the writer and the listener.
    pub pool_size: usize,
}

/// Where to listen and what to accept.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// `HOST`.
    pub host: IpAddr,
    /// `PORT`; 0 takes a free one, which the start message tells.
    pub port: u16,
    /// `APP_URL`: public base URL, also the value of MoySklad's loop-prevention header.
    pub app_url: Url,
    /// `MAX_BODY_BYTES` of one request.
    pub max_body_bytes: usize,
    /// `BODY_TIMEOUT_SECONDS`: how long a client may take to send its body.
    pub body_timeout: std::time::Duration,
    /// `RATE_LIMIT_PER_PROVIDER`: requests a second for each provider; `None` is off.
    pub rate_per_provider: Option<u32>,
    /// `RATE_LIMIT_PER_IP`: requests a second for each client address; `None` is off.
    pub rate_per_ip: Option<u32>,
    /// `TRUSTED_PROXIES`: networks whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Vec<IpNet>,
}

/// What is kept of requests that were not proven, for each provider.
#[derive(Clone, Copy, Debug)]
pub struct Quarantine {
    /// `QUARANTINE_MAX_REQUESTS`; 0 keeps none.
    pub max_requests: u32,
    /// `QUARANTINE_MAX_BYTES`.
    pub max_bytes: u64,
    /// `QUARANTINE_DAYS`.
    pub max_age: std::time::Duration,
}

/// How work is done.
#[derive(Clone, Debug)]
pub struct Worker {
    /// `WORKER_CONCURRENCY`: how many events this process handles at once.
    pub concurrency: usize,
    /// `WORKER_MAX_ATTEMPTS` before an event is `failed`.
    pub max_attempts: i32,
    /// `WORKER_BACKOFF_SECONDS`: the first retry comes within this; it doubles.
    pub backoff_base: std::time::Duration,
    /// `WORKER_BACKOFF_MAX_SECONDS`: no retry waits longer.
    pub backoff_max: std::time::Duration,
    /// `WORKER_LEASE_SECONDS`: how long a silent worker keeps its work.
    pub lease: std::time::Duration,
    /// `SHUTDOWN_SECONDS`: how long work in hand may go on after SIGTERM.
    pub drain: std::time::Duration,
}

impl Store {
    pub(super) fn read(source: &Source) -> Result<Self, ConfigError> {
        Ok(Self {
            database_url: secret(source, &["DATABASE_URL", "DB_URL"]),
            auto_migrate: source.parse_optional("HOOKGATE_AUTO_MIGRATE", "`true` or `false`")?,
            data_dir: source.get("HOOKGATE_DATA_DIR").unwrap_or_else(|| "./data".to_owned()).into(),
            admin_token: secret(source, &["HOOKGATE_ADMIN_TOKEN", "ADMIN_TOKEN"]),
            master_key: source
                .get("HOOKGATE_MASTER_KEY")
                .map(|text| MasterKey::parse(&text))
                .transpose()
                .map_err(|_| ConfigError::Invalid {
                    name: "HOOKGATE_MASTER_KEY",
                    expected: "32 bytes in base64",
                })?,
            pool_size: positive(source, "DATABASE_POOL_SIZE", 10)? as usize,
        })
    }
}

impl Receiver {
    pub(super) fn read(source: &Source) -> Result<Self, ConfigError> {
        Ok(Self {
            host: source.parse("HOST", IpAddr::from([0, 0, 0, 0]), "an IP address such as 0.0.0.0")?,
            port: source.parse("PORT", 8080, "a port number")?,
            app_url: url(source, "APP_URL", "http://localhost:8080")?,
            max_body_bytes: positive(source, "MAX_BODY_BYTES", 1 << 20)? as usize,
            body_timeout: seconds(source, "BODY_TIMEOUT_SECONDS", 10)?,
            rate_per_provider: source
                .parse_optional("RATE_LIMIT_PER_PROVIDER", RATE)?
                .filter(|rate| *rate > 0),
            rate_per_ip: source.parse_optional("RATE_LIMIT_PER_IP", RATE)?.filter(|rate| *rate > 0),
            trusted_proxies: source
                .get("TRUSTED_PROXIES")
                .unwrap_or_default()
                .split(',')
                .map(str::trim)
                .filter(|part| !part.is_empty())
                .map(|part| part.parse().or_else(|_| part.parse::<IpAddr>().map(IpNet::from)))
                .collect::<Result<_, _>>()
                .map_err(|_| ConfigError::Invalid {
                    name: "TRUSTED_PROXIES",
                    expected: "networks such as 10.0.0.0/8, comma-separated",
                })?,
        })
    }
}

impl Worker {
    pub(super) fn read(source: &Source) -> Result<Self, ConfigError> {
        Ok(Self {
            concurrency: positive(source, "WORKER_CONCURRENCY", 64)? as usize,
            max_attempts: i32::try_from(positive(source, "WORKER_MAX_ATTEMPTS", 5)?).unwrap_or(i32::MAX),
            backoff_base: seconds(source, "WORKER_BACKOFF_SECONDS", 10)?,
            backoff_max: seconds(source, "WORKER_BACKOFF_MAX_SECONDS", 3600)?,
            lease: seconds(source, "WORKER_LEASE_SECONDS", 10)?,
            drain: seconds(source, "SHUTDOWN_SECONDS", 20)?,
        })
    }
}

impl Quarantine {
    pub(super) fn read(source: &Source) -> Result<Self, ConfigError> {
        let days = positive(source, "QUARANTINE_DAYS", 7)?;
        Ok(Self {
            max_requests: source.parse("QUARANTINE_MAX_REQUESTS", 1000, "a whole number (0 keeps none)")?,
            max_bytes: positive(source, "QUARANTINE_MAX_BYTES", 16 << 20)?.into(),
            max_age: std::time::Duration::from_secs(u64::from(days) * 24 * 3600),
        })
    }
}

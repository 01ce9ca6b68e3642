//! Settings from the environment and `hookgate.toml`; the environment wins.
//!
//! Every setting has one name, that of its environment variable. In the file the same name stands in lower
//! case, alone (`stripe_api_key = "…"`) or split at a table (`[stripe]` `api_key = "…"`).

mod moysklad;
mod source;
mod upstreams;

pub use moysklad::{Moysklad, MoyskladBans};
pub use source::{Env, Source};
pub use upstreams::{Keys, MoyskladWatch, Paypal, Sns, Twilio};

use crate::crypto::MasterKey;
use ipnet::IpNet;
use secrecy::SecretString;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use url::Url;

/// Why the settings cannot be used. Never holds a value: it may be a secret.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read or is not TOML.
    #[error("cannot read the settings file {path}: {detail}")]
    File {
        /// Path of the file.
        path: PathBuf,
        /// What is wrong with it.
        detail: String,
    },
    /// A key of the file that is no setting.
    #[error("{file}: there is no setting `{key}`; README.md lists the settings")]
    UnknownKey {
        /// The key as one flat name.
        key: String,
        /// Path of the file.
        file: String,
    },
    /// A value of the wrong form.
    #[error("{name} must be {expected}")]
    Invalid {
        /// Name of the variable.
        name: &'static str,
        /// What it must be.
        expected: &'static str,
    },
}

/// All settings of one process.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where they were read from: providers are configured by tables and variables of their own.
    pub source: Arc<Source>,
    /// The database, the private cluster's directory and the keys.
    pub store: Store,
    /// Where to listen and what to accept.
    pub receiver: Receiver,
    /// What is kept of requests that were not proven.
    pub quarantine: Quarantine,
    /// How work is done.
    pub worker: Worker,
    /// C2S (Contact2Sale).
    pub c2s: C2s,
    /// Work API, the person lookup of the C2S enrichment.
    pub work_api: WorkApi,
    /// Stripe.
    pub stripe: Stripe,
    /// PayPal's API.
    pub paypal: Paypal,
    /// Where keys and certificates that prove requests come from.
    pub keys: Keys,
    /// Twilio's API.
    pub twilio: Twilio,
    /// Amazon SNS.
    pub sns: Sns,
    /// MoySklad.
    pub moysklad: Moysklad,
    /// What is looked after in MoySklad accounts without an event.
    pub moysklad_watch: MoyskladWatch,
    /// `LOG_FORMAT`: `json`, or `text` (default) for people.
    pub log_json: bool,
}

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

/// C2S (Contact2Sale).
#[derive(Clone, Debug)]
pub struct C2s {
    /// `WEBHOOK_SECRET` or `C2S_WEBHOOK_SECRET`, comma-separated while one is rotated.
    pub webhook_secrets: Vec<SecretString>,
    /// `C2S_TOKEN` of the API.
    pub token: Option<SecretString>,
    /// `C2S_BASE_URL`; `/integration/…` is appended.
    pub base_url: Url,
    /// `C2S_REQUESTS_PER_MINUTE`.
    pub requests_per_minute: u32,
}

/// Work API, the person lookup of the C2S enrichment.
#[derive(Clone, Debug)]
pub struct WorkApi {
    /// `WORK_API`: the key; unset switches the lookup off.
    pub token: Option<SecretString>,
    /// `WORK_API_BASE_URL`; `/api?…` is appended.
    pub base_url: Url,
    /// `WORK_API_INTERVAL_MS` between two calls.
    pub interval: std::time::Duration,
}

/// Stripe.
#[derive(Clone, Debug)]
pub struct Stripe {
    /// `STRIPE_API_KEY`; unset: the event's own object is used.
    pub api_key: Option<SecretString>,
    /// `STRIPE_BASE_URL`; `/v1/…` is appended.
    pub base_url: Url,
    /// `STRIPE_REQUESTS_PER_SECOND`.
    pub requests_per_second: u32,
}

impl Settings {
    /// Reads the process's environment and the settings file.
    pub fn load() -> Result<Self, ConfigError> {
        let env: Env = Arc::new(|name: &str| std::env::var(name).ok());
        let source = match env("HOOKGATE_CONFIG").filter(|path| !path.trim().is_empty()) {
            Some(path) => Source::with_file(env.clone(), path.as_ref())?,
            None if std::path::Path::new("hookgate.toml").exists() => {
                Source::with_file(env.clone(), "hookgate.toml".as_ref())?
            }
            None => Source::from_env(env),
        };
        Self::from_source(source)
    }

    /// Reads all settings of a source. Keys that are none are refused by [`Source::refuse_unknown`] once the providers have
    /// asked for theirs.
    pub fn from_source(source: Source) -> Result<Self, ConfigError> {
        let source = Arc::new(source);
        let given = source.clone();
        let source = &*source;
        let settings = Self {
            source: given,
            store: Store::read(source)?,
            receiver: Receiver::read(source)?,
            quarantine: Quarantine::read(source)?,
            worker: Worker::read(source)?,
            c2s: C2s {
                webhook_secrets: secrets(source, &["WEBHOOK_SECRET", "C2S_WEBHOOK_SECRET"]),
                token: secret(source, &["C2S_TOKEN"]),
                base_url: url(source, "C2S_BASE_URL", "https://api.contact2sale.com")?,
                requests_per_minute: positive(source, "C2S_REQUESTS_PER_MINUTE", 10)?,
            },
            work_api: WorkApi {
                token: secret(source, &["WORK_API"]),
                base_url: url(source, "WORK_API_BASE_URL", "https://completa.workbuscas.com")?,
                interval: std::time::Duration::from_millis(source.parse(
                    "WORK_API_INTERVAL_MS",
                    2000,
                    MILLIS,
                )?),
            },
            stripe: Stripe {
                api_key: secret(source, &["STRIPE_API_KEY"]),
                base_url: url(source, "STRIPE_BASE_URL", "https://api.stripe.com")?,
                requests_per_second: positive(source, "STRIPE_REQUESTS_PER_SECOND", 20)?,
            },
            keys: Keys::read(source),
            paypal: Paypal::read(source)?,
            twilio: Twilio::read(source)?,
            sns: Sns::read(source)?,
            moysklad: Moysklad::read(source)?,
            moysklad_watch: MoyskladWatch::read(source)?,
            log_json: match source.get("LOG_FORMAT").as_deref() {
                None | Some("text") => false,
                Some("json") => true,
                Some(_) => {
                    return Err(ConfigError::Invalid { name: "LOG_FORMAT", expected: "`text` or `json`" });
                }
            },
        };
        Ok(settings)
    }
}

impl Store {
    fn read(source: &Source) -> Result<Self, ConfigError> {
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
    fn read(source: &Source) -> Result<Self, ConfigError> {
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
    fn read(source: &Source) -> Result<Self, ConfigError> {
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
    fn read(source: &Source) -> Result<Self, ConfigError> {
        let days = positive(source, "QUARANTINE_DAYS", 7)?;
        Ok(Self {
            max_requests: source.parse("QUARANTINE_MAX_REQUESTS", 1000, "a whole number (0 keeps none)")?,
            max_bytes: positive(source, "QUARANTINE_MAX_BYTES", 16 << 20)?.into(),
            max_age: std::time::Duration::from_secs(u64::from(days) * 24 * 3600),
        })
    }
}

const MINUTES: &str = "a number of minutes";
const SECONDS: &str = "a number of seconds";
const MILLIS: &str = "a number of milliseconds";
const RATE: &str = "a number of requests a second (0 is off)";

fn secret(source: &Source, names: &[&str]) -> Option<SecretString> {
    source.first(names).map(|value| SecretString::from(value.trim().to_owned()))
}

fn secrets(source: &Source, names: &[&str]) -> Vec<SecretString> {
    let value = source.first(names).unwrap_or_default();
    value.split(',').map(str::trim).filter(|part| !part.is_empty()).map(SecretString::from).collect()
}

/// A base URL without its trailing slash's ambiguity: `join` is done by text, so a path prefix stays.
fn url(source: &Source, name: &'static str, default: &'static str) -> Result<Url, ConfigError> {
    let invalid = ConfigError::Invalid { name, expected: "an http or https URL" };
    let text = source.get(name).unwrap_or_else(|| default.to_owned());
    match Url::parse(text.trim()) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err(invalid),
    }
}

fn positive(source: &Source, name: &'static str, default: u32) -> Result<u32, ConfigError> {
    match source.parse(name, default, "a positive whole number")? {
        0 => Err(ConfigError::Invalid { name, expected: "a positive whole number" }),
        value => Ok(value),
    }
}

/// Seconds with a fraction (`0.5`), so that tests and impatient operators can shorten them.
fn seconds(source: &Source, name: &'static str, default: u32) -> Result<std::time::Duration, ConfigError> {
    let value: f64 = source.parse(name, default.into(), SECONDS)?;
    std::time::Duration::try_from_secs_f64(value)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or(ConfigError::Invalid { name, expected: SECONDS })
}

/// Minutes with a fraction, for the same reason.
fn minutes(source: &Source, name: &'static str, default: u32) -> Result<std::time::Duration, ConfigError> {
    let value: f64 = source.parse(name, default.into(), MINUTES)?;
    std::time::Duration::try_from_secs_f64(value * 60.0)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or(ConfigError::Invalid { name, expected: MINUTES })
}

#[cfg(test)]
mod tests {
    use super::*;
    use secrecy::ExposeSecret as _;

    fn with(pairs: &[(&str, &str)]) -> Result<Settings, ConfigError> {
        let pairs: Vec<(String, String)> =
            pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let env = move |name: &str| pairs.iter().find(|pair| pair.0 == name).map(|pair| pair.1.clone());
        Settings::from_source(Source::from_env(Arc::new(env)))
    }

    fn with_file(text: &str) -> Result<Settings, ConfigError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let env: Env = Arc::new(|name: &str| (name == "PORT").then(|| "9000".to_owned()));
        let settings = Settings::from_source(Source::with_file(env, file.path())?)?;
        settings.source.refuse_unknown()?;
        Ok(settings)
    }

    #[test]
    fn nothing_set_gives_the_documented_defaults() {
        let settings = with(&[]).unwrap();
        assert_eq!(settings.receiver.port, 8080);
        assert!(settings.store.database_url.is_none());
        assert!(settings.c2s.webhook_secrets.is_empty());
        assert_eq!(settings.moysklad.base_url.as_str(), "https://api.moysklad.ru/api/remap/1.2");
    }

    #[test]
    fn a_blank_secret_is_no_secret() {
        assert!(with(&[("WEBHOOK_SECRET", " , ")]).unwrap().c2s.webhook_secrets.is_empty());
        assert!(with(&[("WEBHOOK_SECRET", "")]).unwrap().c2s.webhook_secrets.is_empty());
    }

    #[test]
    fn an_alias_counts_and_the_first_name_wins() {
        let settings = with(&[("C2S_WEBHOOK_SECRET", "b"), ("WEBHOOK_SECRET", "a")]).unwrap();
        assert_eq!(settings.c2s.webhook_secrets[0].expose_secret(), "a");
        assert!(with(&[("DB_URL", "postgres://x")]).unwrap().store.database_url.is_some());
    }

    #[test]
    fn a_digits_only_secret_stays_text() {
        assert_eq!(with(&[("C2S_TOKEN", "0123")]).unwrap().c2s.token.unwrap().expose_secret(), "0123");
    }

    #[test]
    fn the_file_speaks_flat_or_in_tables_and_the_environment_wins() {
        let settings =
            with_file("port = 1\nstripe_api_key = 'c'\n[c2s]\nwebhook_secret = ['a', 'b']\n").unwrap();
        assert_eq!(settings.receiver.port, 9000);
        assert_eq!(settings.c2s.webhook_secrets.len(), 2);
    }

    #[test]
    fn a_misspelt_key_and_a_wrong_value_are_named_without_the_value() {
        let error = with_file("[stripe]\nwebhok_secret = 'hunter2'").unwrap_err().to_string();
        assert!(error.contains("stripe_webhok_secret") && !error.contains("hunter2"), "{error}");
        let error = with(&[("PORT", "hunter2")]).unwrap_err().to_string();
        assert!(error.contains("PORT") && !error.contains("hunter2"), "{error}");
    }

    #[test]
    fn debug_output_shows_no_secret() {
        let settings =
            with(&[("STRIPE_API_KEY", "sk_hunter2"), ("DATABASE_URL", "postgres://u:hunter2@h/d")]);
        assert!(!format!("{:?}", settings.unwrap()).contains("hunter2"));
    }
}

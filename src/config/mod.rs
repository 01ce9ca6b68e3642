//! Settings from the environment and `hookgate.toml`; the environment wins.
//!
//! Every setting has one name, that of its environment variable. In the file the same name stands in lower
//! case, alone (`stripe_api_key = "…"`) or split at a table (`[stripe]` `api_key = "…"`).

mod moysklad;
mod process;
mod source;
mod upstreams;
mod values;

pub use moysklad::{Moysklad, MoyskladBans};
pub use process::{Quarantine, Receiver, Store, Worker};
pub use source::{Env, Source};
pub use upstreams::{Keys, MoyskladWatch, Paypal, Sns, Twilio};

use secrecy::SecretString;
use std::path::PathBuf;
use std::sync::Arc;
use url::Url;
use values::{MILLIS, positive, secret, secrets, url};

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

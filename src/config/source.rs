//! Where a setting comes from: the environment first, then the TOML file.

use super::ConfigError;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::str::FromStr;
use std::sync::{Arc, Mutex};

/// Reads one variable of the environment; a function so that tests need not touch the process's own.
pub type Env = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// All settings by their environment names. A table in the file is a prefix: `[stripe] api_key` is `STRIPE_API_KEY`.
pub struct Source {
    env: Env,
    file: BTreeMap<String, String>,
    file_name: String,
    text: String,
    asked: Mutex<HashSet<String>>,
}

impl std::fmt::Debug for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Source({})", self.file_name)
    }
}

impl Source {
    /// Only the environment.
    pub fn from_env(env: Env) -> Self {
        let (file, asked) = (BTreeMap::new(), Mutex::default());
        Self { env, file, file_name: String::new(), text: String::new(), asked }
    }

    /// The environment over the file at `path`.
    pub fn with_file(env: Env, path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path)
            .map_err(|error| ConfigError::File { path: path.to_owned(), detail: error.to_string() })?;
        let mut table: toml::Table = text.parse().map_err(|error: toml::de::Error| ConfigError::File {
            path: path.to_owned(),
            detail: redact_toml(&error),
        })?;
        // Tables of providers are no settings: they are read as what they are.
        table.remove("providers");
        let mut file = BTreeMap::new();
        flatten("", &table, &mut file);
        Ok(Self { env, file, file_name: path.display().to_string(), text, asked: Mutex::default() })
    }

    /// Name and text of the file; both empty if there is none.
    pub fn file(&self) -> (&str, &str) {
        (&self.file_name, &self.text)
    }

    /// The value of a setting; a blank one counts as unset, because an empty secret would prove anything.
    pub fn get(&self, name: &str) -> Option<String> {
        if let Ok(mut asked) = self.asked.lock() {
            asked.insert(name.to_owned());
        }
        (self.env)(name).or_else(|| self.file.get(name).cloned()).filter(|value| !value.trim().is_empty())
    }

    /// The first of several names that is set: a setting and its aliases.
    pub fn first(&self, names: &[&str]) -> Option<String> {
        // Every alias is asked for, so that none counts as unknown.
        names.iter().map(|name| self.get(name)).fold(None, Option::or)
    }

    /// A setting of another type than text, or its default.
    pub fn parse<T: FromStr>(
        &self,
        name: &'static str,
        default: T,
        expected: &'static str,
    ) -> Result<T, ConfigError> {
        Ok(self.parse_optional(name, expected)?.unwrap_or(default))
    }

    /// A setting of another type than text, without a default.
    pub fn parse_optional<T: FromStr>(
        &self,
        name: &'static str,
        expected: &'static str,
    ) -> Result<Option<T>, ConfigError> {
        self.get(name)
            .map(|value| value.trim().parse().map_err(|_| ConfigError::Invalid { name, expected }))
            .transpose()
    }

    /// Refuses keys of the file that nothing asked for: a misspelt setting must not be silently without effect.
    pub fn refuse_unknown(&self) -> Result<(), ConfigError> {
        let asked = self.asked.lock().map(|asked| asked.clone()).unwrap_or_default();
        match self.file.keys().find(|key| !asked.contains(*key)) {
            Some(key) => {
                Err(ConfigError::UnknownKey { key: key.to_lowercase(), file: self.file_name.clone() })
            }
            None => Ok(()),
        }
    }
}

fn flatten(prefix: &str, table: &toml::Table, into: &mut BTreeMap<String, String>) {
    for (key, value) in table {
        let name = format!("{prefix}{}", key.to_uppercase().replace('-', "_"));
        match value {
            toml::Value::Table(inner) => flatten(&format!("{name}_"), inner, into),
            toml::Value::Array(items) => {
                let items: Vec<String> = items.iter().map(plain).collect();
                into.insert(name, items.join(","));
            }
            other => {
                into.insert(name, plain(other));
            }
        }
    }
}

fn plain(value: &toml::Value) -> String {
    match value {
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// The message of a TOML error without the excerpt of the file, which may hold a secret.
fn redact_toml(error: &toml::de::Error) -> String {
    error.message().to_owned()
}

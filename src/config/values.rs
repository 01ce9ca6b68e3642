//! Values of settings in their forms.

use super::{ConfigError, Source};
use secrecy::SecretString;
use url::Url;

pub(super) const MINUTES: &str = "a number of minutes";
pub(super) const SECONDS: &str = "a number of seconds";
pub(super) const MILLIS: &str = "a number of milliseconds";

pub(super) fn secret(source: &Source, names: &[&str]) -> Option<SecretString> {
    source.first(names).map(|value| SecretString::from(value.trim().to_owned()))
}

pub(super) fn secrets(source: &Source, names: &[&str]) -> Vec<SecretString> {
    let value = source.first(names).unwrap_or_default();
    value.split(',').map(str::trim).filter(|part| !part.is_empty()).map(SecretString::from).collect()
}

/// A base URL without its trailing slash's ambiguity: `join` is done by text, so a path prefix stays.
pub(super) fn url(source: &Source, name: &'static str, default: &'static str) -> Result<Url, ConfigError> {
    let invalid = ConfigError::Invalid { name, expected: "an http or https URL" };
    let text = source.get(name).unwrap_or_else(|| default.to_owned());
    match Url::parse(text.trim()) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => Ok(url),
        _ => Err(invalid),
    }
}

pub(super) fn positive(source: &Source, name: &'static str, default: u32) -> Result<u32, ConfigError> {
    match source.parse(name, default, "a positive whole number")? {
        0 => Err(ConfigError::Invalid { name, expected: "a positive whole number" }),
        value => Ok(value),
    }
}

/// Seconds with a fraction (`0.5`), so that tests and impatient operators can shorten them.
pub(super) fn seconds(
    source: &Source,
    name: &'static str,
    default: u32,
) -> Result<std::time::Duration, ConfigError> {
    let value: f64 = source.parse(name, default.into(), SECONDS)?;
    std::time::Duration::try_from_secs_f64(value)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or(ConfigError::Invalid { name, expected: SECONDS })
}

/// Minutes with a fraction, for the same reason.
pub(super) fn minutes(
    source: &Source,
    name: &'static str,
    default: u32,
) -> Result<std::time::Duration, ConfigError> {
    let value: f64 = source.parse(name, default.into(), MINUTES)?;
    std::time::Duration::try_from_secs_f64(value * 60.0)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or(ConfigError::Invalid { name, expected: MINUTES })
}

//! What an operator may set.

use super::KeyringError;
use super::fetch::is_safe;
use crate::config::Settings;
use secrecy::SecretString;
use std::path::PathBuf;
use url::Url;

/// Settings of a [`super::Keyring`].
#[derive(Debug, Clone, Default)]
pub struct KeyringSettings {
    /// PEM file of further roots for providers' certificates. They are not used for TLS.
    pub extra_roots: Option<PathBuf>,
    /// PEM file of intermediates, for senders who give their leaf alone.
    pub extra_intermediates: Option<PathBuf>,
    /// Credentials for `PayPal`'s verdict.
    pub paypal: Option<PayPal>,
    /// Where something else stands in for a host: simulators, staging. Applied after a URL has passed the rules of its
    /// scheme.
    pub url_overrides: Vec<(String, Url)>,
}

/// Access to `PayPal`'s API.
#[derive(Debug, Clone)]
pub struct PayPal {
    /// The app's client id.
    pub client_id: String,
    /// The app's secret.
    pub client_secret: SecretString,
    /// `https://api-m.paypal.com`, or that of the sandbox.
    pub base_url: Url,
}

impl KeyringSettings {
    /// What the settings say.
    pub fn new(settings: &Settings) -> Result<Self, KeyringError> {
        let (keys, paypal) = (&settings.keys, &settings.paypal);
        Ok(Self {
            extra_roots: keys.roots.clone(),
            extra_intermediates: keys.intermediates.clone(),
            paypal: match (&paypal.client_id, &paypal.client_secret) {
                (Some(id), Some(secret)) => Some(PayPal {
                    client_id: id.clone(),
                    client_secret: secret.clone(),
                    base_url: paypal.base_url.clone(),
                }),
                _ => None,
            },
            url_overrides: Self::parse_overrides(&keys.hosts)?,
        })
    }

    /// Reads `HOOKGATE_KEY_HOSTS`: `HOST=URL`, several with commas.
    pub fn parse_overrides(text: &str) -> Result<Vec<(String, Url)>, KeyringError> {
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries
            .map(|entry| {
                let (host, url) = entry.split_once('=').ok_or(KeyringError::Hosts)?;
                let url = Url::parse(url.trim()).map_err(|_| KeyringError::Hosts)?;
                let host = host.trim().to_ascii_lowercase();
                if host.is_empty() || !is_safe(&url) {
                    return Err(KeyringError::Hosts);
                }
                Ok((host, url))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_mapped_to_https_or_this_machine() {
        let read = |text| {
            KeyringSettings::parse_overrides(text)
                .map(|list| list.into_iter().map(|(host, url)| format!("{host} {url}")).collect::<Vec<_>>())
        };
        assert_eq!(read(""), Ok(vec![]));
        assert_eq!(
            read("API.paypal.com=http://127.0.0.1:1234, www.googleapis.com = https://staging.example/x ,"),
            Ok(vec![
                "api.paypal.com http://127.0.0.1:1234/".to_owned(),
                "www.googleapis.com https://staging.example/x".to_owned()
            ])
        );
        for text in
            ["api.paypal.com", "=http://127.0.0.1", "a=nothing", "a=http://example.com", "a=ftp://127.0.0.1"]
        {
            let error = read(text).unwrap_err().to_string();
            assert!(error.contains("HOOKGATE_KEY_HOSTS"), "{error}");
        }
    }
}

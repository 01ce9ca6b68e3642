//! `hookgate send`: signs a sample event with the configured secret and posts it.

use super::CliError;
use crate::config::Settings;
use crate::providers::proof::SigningKey;
use crate::providers::{LearnedSecrets, Registry};
use chrono::Utc;
use clap::Args;
use std::time::Duration;

/// Sign a sample event with the configured secret and post it.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  hookgate send stripe payment_intent.succeeded\n  hookgate send c2s on_create_lead \
                        --to https://hooks.example.com"
)]
pub(super) struct SendCommand {
    /// Name of a configured provider.
    provider: String,
    /// Type of the event; without it the types that there are samples of are listed.
    #[arg(value_name = "TYPE")]
    event_type: Option<String>,
    /// Base URL of the gateway; the local one if not given.
    #[arg(long, value_name = "URL")]
    to: Option<String>,
    /// A test key in place of the sender's private key, where the sender signs with one; its public half must be the
    /// configured secret.
    #[arg(long, value_name = "FILE")]
    signing_key: Option<std::path::PathBuf>,
}

pub(super) async fn run(command: SendCommand, settings: &Settings, json: bool) -> Result<(), CliError> {
    let registry = Registry::new(settings, &LearnedSecrets::new())?;
    let configured = registry.get(&command.provider).ok_or_else(|| {
        let names: Vec<&str> = registry.names().collect();
        CliError::Message(format!(
            "{} has no secret configured, or is no provider; configured: {}",
            command.provider,
            if names.is_empty() { "none".to_owned() } else { names.join(", ") }
        ))
    })?;
    let provider = &configured.provider;
    let types = provider.sample_types().join("\n  ");
    let Some(event_type) = command.event_type else {
        println!("{} has samples of\n  {types}", command.provider);
        return Ok(());
    };
    let key = command.signing_key.as_deref().map(signing_key).transpose()?;
    let app_url = settings.receiver.app_url.as_str();
    let sample = provider
        .sample(&event_type, app_url, key.as_ref(), Utc::now())
        .ok_or_else(|| {
            CliError::Message(format!(
                "there is no sample of {event_type}; {} has\n  {types}",
                command.provider
            ))
        })?
        .map_err(CliError::Message)?;
    let base = command.to.unwrap_or_else(|| format!("http://localhost:{}", settings.receiver.port));
    let mut url = format!("{}/api/v1/webhooks/{}", base.trim_end_matches('/'), command.provider);
    if !sample.query.is_empty() {
        url = format!("{url}?{}", sample.query);
    }
    let failed = |reason: &str| CliError::Message(format!("cannot post to {base}: {reason}"));
    let client = reqwest::Client::builder()
        .timeout(Duration::from_secs(15))
        .redirect(reqwest::redirect::Policy::none())
        .build()
        .map_err(|_| failed("no HTTP client"))?;
    let method = reqwest::Method::from_bytes(sample.method.as_bytes()).unwrap_or(reqwest::Method::POST);
    let mut request = client.request(method, url).body(sample.body);
    for (name, value) in sample.headers {
        request = request.header(name, value);
    }
    // The error's own text would print the URL, which may hold a token.
    let reply = request.send().await.map_err(|error| {
        failed(if error.is_connect() {
            "nothing listens there; is `hookgate serve` running?"
        } else {
            "no reply"
        })
    })?;
    let status = reply.status();
    let text = reply.text().await.unwrap_or_default();
    if json {
        println!("{text}");
    } else {
        println!("{} {event_type}: {status}\n{text}", command.provider);
    }
    if status.is_success() { Ok(()) } else { Err(CliError::Silent) }
}

/// Reads a private key: PEM, or an Ed25519 seed in hex.
fn signing_key(path: &std::path::Path) -> Result<SigningKey, CliError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| CliError::Message(format!("cannot read {}: {error}", path.display())))?;
    SigningKey::from_text(&text.into())
        .map_err(|error| CliError::Message(format!("{}: {error}", path.display())))
}

//! `hookgate providers list`: what is configured, or all that is built in.

use super::{CliError, Session, print_table, time};
use crate::config::Settings;
use crate::providers::scheme::builtin_names;
use crate::providers::{Registry, tables};
use crate::records::{self, ProviderOverview, SecretUse};
use chrono::Utc;
use serde_json::json;

pub(super) async fn configured(session: &Session) -> Result<(), CliError> {
    let mut conn = session.pool.get().await?;
    let learned = records::learned(&mut conn, session.master_key.as_ref()).await?;
    let registry = Registry::new(&session.settings, &learned)?;
    let reports = records::report(&mut conn, Utc::now()).await?;
    let providers = records::overview(&registry, session.settings.receiver.app_url.as_str(), &reports);
    if providers.is_empty() && !session.json {
        println!(
            "none is configured: set GITHUB_WEBHOOK_SECRET, STRIPE_WEBHOOK_SECRET, …; \
             `hookgate providers list --all` shows all that are built in"
        );
        return Ok(());
    }
    let header = ["NAME", "SCHEME", "SECRETS (LAST USE)", "LAST EVENT", "EVENTS 24H", "FAILURES 24H"];
    print_table(session.json, &header, providers.iter().map(row).collect(), &json!(providers));
    Ok(())
}

fn row(provider: &ProviderOverview) -> Vec<String> {
    let secret = |secret: &SecretUse| {
        format!("{} ({})", secret.id, secret.last_used_at.map_or_else(|| "never".to_owned(), time))
    };
    let day = &provider.last_24h;
    vec![
        provider.name.clone(),
        provider.scheme.clone(),
        provider.secrets.iter().map(secret).collect::<Vec<_>>().join(", "),
        provider.last_event_at.map_or_else(|| "never".to_owned(), time),
        day.events.to_string(),
        (day.unproven + day.unreadable).to_string(),
    ]
}

pub(super) fn all(settings: &Settings, json: bool) -> Result<(), CliError> {
    let tables = tables(settings)?;
    let mut rows = Vec::new();
    let mut items = Vec::new();
    for name in builtin_names() {
        let about = tables.about(name)?;
        let set = about.secret_env.first().cloned().unwrap_or_else(|| {
            let required = about.params.iter().find(|param| param.required);
            required.and_then(|param| param.env.first().cloned()).unwrap_or_default()
        });
        rows.push(vec![name.to_owned(), about.title.clone(), set]);
        items.push(json!(about));
    }
    print_table(json, &["NAME", "TITLE", "SET"], rows, &json!(items));
    Ok(())
}

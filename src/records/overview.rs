//! The configured providers with what is known of each: for the API and for `hookgate providers list`.

use super::{Day, Report};
use crate::providers::Registry;
use chrono::{DateTime, Utc};
use serde::Serialize;
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// A configured secret and how it is used.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SecretUse {
    /// Its name, or digits of a keyed hash: never a part of it.
    pub id: String,
    /// Requests that it proved.
    pub uses: i64,
    /// When it proved the first one.
    pub first_used_at: Option<DateTime<Utc>>,
    /// When it proved the last one.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// A configured provider.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ProviderOverview {
    /// Its name: the route.
    pub name: String,
    /// Name of its scheme.
    pub scheme: String,
    /// Where it posts to, by `APP_URL`.
    pub url: String,
    /// Its secrets, in the order in which they are tried.
    pub secrets: Vec<SecretUse>,
    /// The secret that proved the last request.
    pub last_secret: Option<String>,
    /// When its last new event came.
    pub last_event_at: Option<DateTime<Utc>>,
    /// Its last 24 hours.
    pub last_24h: Day,
}

/// The providers of a registry, in the order of their names.
pub fn overview(
    registry: &Registry,
    app_url: &str,
    reports: &BTreeMap<String, Report>,
) -> Vec<ProviderOverview> {
    let nothing = Report::default();
    let overview = registry.iter().map(|configured| {
        let name = configured.provider.name();
        let report = reports.get(name).unwrap_or(&nothing);
        let secrets: Vec<SecretUse> = configured
            .provider
            .secret_ids()
            .into_iter()
            .map(|id| {
                let used = report.secrets.get(id);
                SecretUse {
                    id: id.to_owned(),
                    uses: used.map_or(0, |used| used.0),
                    first_used_at: used.map(|used| used.1),
                    last_used_at: used.map(|used| used.2),
                }
            })
            .collect();
        let last = secrets.iter().filter(|secret| secret.last_used_at.is_some());
        ProviderOverview {
            name: name.to_owned(),
            scheme: configured.scheme.clone(),
            url: format!("{}/api/v1/webhooks/{name}", app_url.trim_end_matches('/')),
            last_secret: last.max_by_key(|secret| secret.last_used_at).map(|secret| secret.id.clone()),
            secrets,
            last_event_at: report.last_event_at,
            last_24h: report.day,
        }
    });
    overview.collect()
}

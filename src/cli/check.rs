//! `hookgate check`: configuration and connections, each with a verdict.

use super::session::{Opened, open};
use super::{CliError, print_table};
use crate::config::Settings;
use crate::db::Database;
use crate::db::embedded::Claim;
use crate::providers::{LearnedSecrets, Registry};
use crate::sync::moysklad::{accounts, is_accepted_prefix};
use serde_json::json;
use std::time::Duration;
use url::Url;

/// One thing that was examined.
struct Verdict {
    what: &'static str,
    state: State,
    detail: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Good,
    /// Works, but somebody should know.
    Note,
    Bad,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Note => "note",
            Self::Bad => "FAILED",
        }
    }
}

pub(super) async fn run(mut settings: Settings, json: bool) -> Result<(), CliError> {
    let mut verdicts = vec![Verdict { what: "settings", state: State::Good, detail: "read".to_owned() }];
    let (of_database, stored) = database(&mut settings).await;
    verdicts.extend(of_database);
    verdicts.extend(configuration(&settings, &stored));
    verdicts.extend(upstreams(&settings, &stored).await);
    let rows = verdicts
        .iter()
        .map(|verdict| vec![verdict.what.to_owned(), verdict.state.word().to_owned(), verdict.detail.clone()])
        .collect();
    let items: Vec<_> = verdicts
        .iter()
        .map(|verdict| json!({"check": verdict.what, "verdict": verdict.state.word(), "detail": verdict.detail}))
        .collect();
    print_table(json, &["CHECK", "VERDICT", "DETAIL"], rows, &json!(items));
    if verdicts.iter().any(|verdict| verdict.state == State::Bad) { Err(CliError::Silent) } else { Ok(()) }
}

/// What the database adds to the settings.
#[derive(Default)]
struct Stored {
    learned: LearnedSecrets,
    /// Whether there is an account of MoySklad.
    accounts: bool,
}

impl Stored {
    async fn read(database: &Database, settings: &Settings) -> Option<Self> {
        let pool = database.pool(&settings.store).ok()?;
        let mut conn = pool.get().await.ok()?;
        let learned = crate::reload::learned(&mut conn, settings.store.master_key.as_ref()).await.ok()?;
        Some(Self { learned, accounts: !accounts::list(&mut conn).await.ok()?.is_empty() })
    }

    fn uses_moysklad(&self, settings: &Settings) -> bool {
        self.accounts || !settings.moysklad.webhook_tokens.is_empty()
    }
}

async fn database(settings: &mut Settings) -> (Vec<Verdict>, Stored) {
    let bad = |what, detail: String| Verdict { what, state: State::Bad, detail };
    let Opened { database, cluster } = match open(settings, Claim::Join).await {
        Ok(opened) => opened,
        Err(error) => return (vec![bad("database", error.to_string())], Stored::default()),
    };
    let (mut verdicts, mut stored) = (Vec::new(), Stored::default());
    match crate::db::pending(&database).await {
        Ok(pending) => {
            let detail = if cluster.is_some() { "private cluster answers" } else { "DATABASE_URL answers" };
            verdicts.push(Verdict { what: "database", state: State::Good, detail: detail.to_owned() });
            if pending.is_empty() {
                stored = Stored::read(&database, settings).await.unwrap_or_default();
            }
            let private = settings.store.database_url.is_none();
            verdicts.push(match (pending.len(), settings.store.auto_migrate.unwrap_or(private)) {
                (0, _) => Verdict { what: "schema", state: State::Good, detail: "up to date".to_owned() },
                (count, true) => Verdict {
                    what: "schema",
                    state: State::Note,
                    detail: format!("{count} pending, run at start"),
                },
                (count, false) => bad("schema", format!("{count} pending: run `hookgate migrate`")),
            });
        }
        Err(error) => verdicts.push(bad("database", error.to_string())),
    }
    if let Some(cluster) = cluster
        && let Err(error) = cluster.stop().await
    {
        verdicts.push(bad("private cluster", error.to_string()));
    }
    (verdicts, stored)
}

fn configuration(settings: &Settings, stored: &Stored) -> Vec<Verdict> {
    let mut verdicts = vec![match Registry::new(settings, &stored.learned) {
        Err(error) => Verdict { what: "providers", state: State::Bad, detail: error.to_string() },
        Ok(registry) if registry.names().next().is_none() => {
            let detail = "none has a secret: set GITHUB_WEBHOOK_SECRET, STRIPE_WEBHOOK_SECRET, …; \
                          `hookgate providers list --all` shows all that are built in";
            Verdict { what: "providers", state: State::Note, detail: detail.to_owned() }
        }
        Ok(registry) => {
            let names: Vec<&str> = registry.names().collect();
            Verdict { what: "providers", state: State::Good, detail: names.join(", ") }
        }
    }];
    let store = &settings.store;
    if store.database_url.is_some() && store.admin_token.is_none() {
        let detail = "HOOKGATE_ADMIN_TOKEN is not set: every admin route answers 401";
        verdicts.push(Verdict { what: "admin token", state: State::Note, detail: detail.to_owned() });
    }
    if store.master_key.is_none() {
        let detail = "HOOKGATE_MASTER_KEY is not set: no account token can be stored";
        verdicts.push(Verdict { what: "master key", state: State::Note, detail: detail.to_owned() });
    }
    if stored.uses_moysklad(settings) {
        // MoySklad refuses the header otherwise, and without it every write would come back as a webhook.
        let good = is_accepted_prefix(&settings.receiver.app_url);
        let detail = if good {
            "can be MoySklad's X-Lognex-WebHook-DisableByPrefix"
        } else {
            "MoySklad refuses it as X-Lognex-WebHook-DisableByPrefix: set APP_URL to a URL with a full host name"
        };
        let state = if good { State::Good } else { State::Bad };
        verdicts.push(Verdict { what: "APP_URL", state, detail: detail.to_owned() });
    }
    verdicts
}

async fn upstreams(settings: &Settings, stored: &Stored) -> Vec<Verdict> {
    let mut wanted: Vec<(&'static str, &Url)> = Vec::new();
    if settings.stripe.api_key.is_some() {
        wanted.push(("Stripe", &settings.stripe.base_url));
    }
    if settings.paypal.client_id.is_some() && settings.paypal.client_secret.is_some() {
        wanted.push(("PayPal", &settings.paypal.base_url));
    }
    if settings.twilio.account_sid.is_some() && settings.twilio.auth_token.is_some() {
        wanted.push(("Twilio", &settings.twilio.base_url));
    }
    if settings.c2s.token.is_some() {
        wanted.push(("C2S", &settings.c2s.base_url));
    }
    if settings.work_api.token.is_some() {
        wanted.push(("Work API", &settings.work_api.base_url));
    }
    if stored.uses_moysklad(settings) {
        wanted.push(("MoySklad", &settings.moysklad.base_url));
    }
    futures_util::future::join_all(wanted.into_iter().map(|(what, url)| async move {
        let address =
            (url.host_str().unwrap_or_default().to_owned(), url.port_or_known_default().unwrap_or(443));
        let connect = tokio::net::TcpStream::connect((address.0.as_str(), address.1));
        let reached =
            tokio::time::timeout(Duration::from_secs(5), connect).await.is_ok_and(|result| result.is_ok());
        let (state, word) =
            if reached { (State::Good, "reached") } else { (State::Bad, "cannot be reached") };
        Verdict { what, state, detail: format!("{}:{} {word}", address.0, address.1) }
    }))
    .await
}

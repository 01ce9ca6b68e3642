//! `hookgate webhook`: the webhooks that accounts send here, and what came of them.

use super::time::since;
use super::{CliError, Session, print_table};
use crate::inbox;
use crate::sync::moysklad::accounts::{self, Account, Status};
use crate::sync::moysklad::hooks::{HookError, Hooks};
use crate::sync::moysklad::loops;
use chrono::{DateTime, Utc};
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use uuid::Uuid;

/// The webhooks that accounts send here, and what came of them.
#[derive(Debug, Subcommand)]
pub(super) enum WebhookCommand {
    /// Register in MoySklad the webhooks that an account needs.
    ///
    /// A main account needs CREATE, UPDATE and DELETE of the types that its children get; a child DELETE of these, and
    /// CREATE and UPDATE of the documents that flow from it; either a webhook of stock where its settings want stock told.
    /// Webhooks of this gateway that are there are adopted, switched on and mended, needless ones removed; those of others
    /// are never touched. Set up one account after another, as you like: an account that is not set up is left alone.
    Setup(Which),
    /// Remove the webhooks of this gateway from MoySklad; those of others stay.
    DeleteAll {
        /// Only from this account; else from all.
        #[arg(long)]
        account: Option<Uuid>,
        /// Yes, remove them.
        #[arg(long)]
        force: bool,
    },
    /// Examine webhooks and loop breakers, with a verdict on each account.
    ///
    /// The exit code is 1 if a webhook is missing or switched off, an account is suspended, or an entity is not written
    /// because of a loop.
    HealthCheck,
    /// Count events by provider, type and status.
    #[command(after_help = "Example:\n  hookgate webhook stats --since '24 hours ago'")]
    Stats {
        /// Only events since then: a time (RFC 3339), or as long ago as '90 minutes ago', '24 hours ago', '7 days ago'.
        #[arg(long, default_value = "24 hours ago", value_parser = since)]
        since: DateTime<Utc>,
    },
    /// Let entities be written again that a loop breaker holds.
    ResetLoop {
        /// Only those of this account.
        #[arg(long)]
        account: Option<Uuid>,
        /// Only the one with this id.
        #[arg(long)]
        entity: Option<Uuid>,
    },
}

/// Which accounts.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub(super) struct Which {
    /// This account.
    #[arg(long)]
    account: Option<Uuid>,
    /// Every active account.
    #[arg(long)]
    all: bool,
}

impl From<HookError> for CliError {
    fn from(error: HookError) -> Self {
        match error {
            HookError::Account(error) => error.into(),
            HookError::Pool(error) => error.into(),
            error => Self::Message(error.to_string()),
        }
    }
}

pub(super) async fn run(command: WebhookCommand, session: &Session) -> Result<(), CliError> {
    match command {
        WebhookCommand::Setup(which) => {
            with_hooks(session, async |hooks| setup(&which, hooks, session).await).await
        }
        WebhookCommand::DeleteAll { account, force } => {
            with_hooks(session, async |hooks| delete_all(account, force, hooks, session).await).await
        }
        WebhookCommand::HealthCheck => {
            with_hooks(session, async |hooks| health_check(hooks, session).await).await
        }
        WebhookCommand::Stats { since } => stats(since, session).await,
        WebhookCommand::ResetLoop { account, entity } => {
            let reset = loops::reset(&mut *session.pool.get().await?, account, entity).await?;
            let rows = vec![vec![reset.to_string()]];
            print_table(session.json, &["RESET"], rows, &json!({"reset": reset}));
            Ok(())
        }
    }
}

/// Runs a command that asks MoySklad.
async fn with_hooks(
    session: &Session,
    command: impl AsyncFnOnce(&Hooks) -> Result<(), CliError>,
) -> Result<(), CliError> {
    let node = session.join().await?;
    let (pool, key) = (session.pool.clone(), session.master_key.clone());
    let result = command(&Hooks::new(&session.settings, pool, key, node.nodes.clone())).await;
    node.leave().await;
    result
}

async fn chosen(account: Option<Uuid>, session: &Session) -> Result<Vec<Account>, CliError> {
    let mut accounts = accounts::list(&mut *session.pool.get().await?).await?;
    if let Some(id) = account {
        accounts.retain(|account| account.account_id == id);
        if accounts.is_empty() {
            return Err(CliError::Message(format!(
                "there is no account {id}; `hookgate accounts list` shows them"
            )));
        }
    }
    Ok(accounts)
}

async fn setup(which: &Which, hooks: &Hooks, session: &Session) -> Result<(), CliError> {
    let mut accounts = chosen(which.account, session).await?;
    if which.all {
        accounts.retain(|account| account.status == Status::Active);
    } else if let Some(account) = accounts.iter().find(|account| account.status != Status::Active) {
        return Err(HookError::NotActive(account.status.as_str()).into());
    }
    let ids: Vec<Uuid> = accounts.iter().map(|account| account.account_id).collect();
    hooks.prepare(&ids).await?;
    let (mut rows, mut items, mut failed) = (Vec::new(), Vec::new(), false);
    for account in &accounts {
        let name = (account.account_id.to_string(), account.name.clone());
        match hooks.setup(account.account_id).await {
            Ok(report) => {
                let counts = [report.kept, report.created, report.mended, report.removed];
                let mut row = vec![name.0, name.1];
                row.extend(counts.map(|count| count.to_string()));
                row.push(report.problems.join("; "));
                failed |= !report.problems.is_empty();
                rows.push(row);
                let mut item = json!(report);
                item["account_id"] = json!(account.account_id);
                items.push(item);
            }
            Err(error) => {
                failed = true;
                let text = error.to_string();
                items.push(json!({"account_id": account.account_id, "problems": [&text]}));
                rows.push(
                    [&*name.0, &name.1, "", "", "", "", &text].into_iter().map(str::to_owned).collect(),
                );
            }
        }
    }
    let header = ["ACCOUNT", "NAME", "KEPT", "CREATED", "MENDED", "REMOVED", "PROBLEMS"];
    print_table(session.json, &header, rows, &json!(items));
    if failed { Err(CliError::Silent) } else { Ok(()) }
}

async fn delete_all(
    account: Option<Uuid>,
    force: bool,
    hooks: &Hooks,
    session: &Session,
) -> Result<(), CliError> {
    let accounts = chosen(account, session).await?;
    if !force {
        return Err(CliError::Message(format!(
            "this removes the webhooks of {} account(s), and nothing will come from them any more: say --force",
            accounts.len()
        )));
    }
    let (mut rows, mut items, mut failed) = (Vec::new(), Vec::new(), false);
    for account in &accounts {
        let (removed, problem) = match hooks.delete_all(account.account_id).await {
            Ok(removed) => (Some(removed), String::new()),
            Err(error) => (None, error.to_string()),
        };
        failed |= removed.is_none();
        items.push(json!({"account_id": account.account_id, "removed": removed, "problem": problem}));
        let removed = removed.map(|removed| removed.to_string()).unwrap_or_default();
        rows.push(vec![account.account_id.to_string(), account.name.clone(), removed, problem]);
    }
    print_table(session.json, &["ACCOUNT", "NAME", "REMOVED", "PROBLEM"], rows, &json!(items));
    if failed { Err(CliError::Silent) } else { Ok(()) }
}

async fn health_check(hooks: &Hooks, session: &Session) -> Result<(), CliError> {
    let mut found: Vec<(Account, &'static str, String)> = Vec::new();
    for account in chosen(None, session).await? {
        let (verdict, detail) = match account.status {
            Status::Inactive => ("off", "an operator has made it inactive".to_owned()),
            Status::Suspended => {
                ("FAILED", "suspended: MoySklad refused its token; set a new one".to_owned())
            }
            Status::Active => match hooks.flaws(account.account_id).await {
                Ok(flaws) if !flaws.amiss.is_empty() => ("FAILED", flaws.amiss.join("; ")),
                Ok(flaws) if flaws.needless.is_empty() => {
                    ("ok", "every webhook is there and switched on".to_owned())
                }
                Ok(flaws) => {
                    ("ok", format!("not needed, removed at the next check: {}", flaws.needless.join(", ")))
                }
                Err(error) => ("FAILED", error.to_string()),
            },
        };
        found.push((account, verdict, detail));
    }
    let loops = loops::tripped(&mut *session.pool.get().await?).await?;
    let mut rows: Vec<Vec<String>> = found
        .iter()
        .map(|(account, verdict, detail)| {
            vec![
                account.account_id.to_string(),
                account.name.clone(),
                "webhooks".to_owned(),
                (*verdict).to_owned(),
                detail.clone(),
            ]
        })
        .collect();
    for held in &loops {
        let until = held.reset_at.map(|until| until.to_rfc3339()).unwrap_or_default();
        let detail = format!(
            "{} {}: {} writes came back as webhooks; not written until {until}",
            held.entity_type, held.entity_id, held.count
        );
        let name = found.iter().find(|entry| entry.0.account_id == held.account_id);
        let name = name.map(|entry| entry.0.name.clone()).unwrap_or_default();
        rows.push(vec![held.account_id.to_string(), name, "loop".to_owned(), "FAILED".to_owned(), detail]);
    }
    let items: Vec<Value> = rows
        .iter()
        .map(|row| json!({"account_id": row[0], "name": row[1], "check": row[2], "verdict": row[3], "detail": row[4]}))
        .collect();
    let bad = rows.iter().any(|row| row[3] == "FAILED");
    print_table(session.json, &["ACCOUNT", "NAME", "CHECK", "VERDICT", "DETAIL"], rows, &json!(items));
    if bad { Err(CliError::Silent) } else { Ok(()) }
}

async fn stats(since: DateTime<Utc>, session: &Session) -> Result<(), CliError> {
    let counts = inbox::counts(&mut *session.pool.get().await?, since).await?;
    let rows = counts
        .iter()
        .map(|count| {
            vec![
                count.provider.clone(),
                count.event_type.clone(),
                count.status.clone(),
                count.events.to_string(),
                count.duplicates.to_string(),
            ]
        })
        .collect();
    let header = ["PROVIDER", "TYPE", "STATUS", "EVENTS", "DUPLICATES"];
    print_table(session.json, &header, rows, &json!(counts));
    Ok(())
}

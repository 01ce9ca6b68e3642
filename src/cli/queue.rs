//! `hookgate queue`: sync tasks, what they wait for and how they ended.

use super::{CliError, Session, print_table};
use crate::sync::moysklad::audit::{self, SyncLogEntry};
use crate::sync::tasks::{self, Filter, RetryError, STATUSES, TaskItem};
use clap::Subcommand;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection as _};
use serde_json::{Value, json};
use uuid::Uuid;

/// Sync tasks: what they wait for and how they ended.
#[derive(Debug, Subcommand)]
pub(super) enum QueueCommand {
    /// List sync tasks, newest first.
    List {
        /// Only those with this status.
        #[arg(long, value_parser = STATUSES)]
        status: Option<String>,
        /// Only those that write to this account.
        #[arg(long)]
        account: Option<Uuid>,
        /// Only those of this entity type, such as product.
        #[arg(long)]
        entity_type: Option<String>,
        /// How many.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
    },
    /// What became of each change in child accounts, newest first.
    Log {
        /// Only changes of this child account.
        #[arg(long)]
        account: Option<Uuid>,
        /// Only those of this entity type, such as product.
        #[arg(long)]
        entity_type: Option<String>,
        /// How many.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
    },
    /// Queue failed tasks again, with fresh attempts.
    Retry {
        /// Ids of the tasks.
        #[arg(required = true)]
        ids: Vec<Uuid>,
    },
}

pub(super) async fn run(command: QueueCommand, session: &Session) -> Result<(), CliError> {
    let mut conn = session.pool.get().await?;
    let conn = &mut *conn;
    let items = match command {
        QueueCommand::List { status, account, entity_type, limit } => {
            tasks::list(conn, &Filter { status, account, entity_type, before: None }, limit).await?
        }
        QueueCommand::Log { account, entity_type, limit } => {
            let filter = audit::Filter { account, entity_type, ..audit::Filter::default() };
            let entries = audit::list(conn, &filter, limit).await?;
            let header =
                ["AT", "CHILD", "ENTITY", "DONE", "STRATEGY", "WRITTEN", "SKIPPED OR WRONG", "CALLS"];
            print_table(session.json, &header, entries.iter().map(log_row).collect(), &json!(entries));
            return Ok(());
        }
        QueueCommand::Retry { ids } => retry(conn, &ids).await?,
    };
    let header = ["ID", "ACCOUNT", "ENTITY", "OPERATION", "STATUS", "TRIES", "OUTCOME"];
    print_table(session.json, &header, items.iter().map(row).collect(), &json!(items));
    Ok(())
}

async fn retry(conn: &mut AsyncPgConnection, ids: &[Uuid]) -> Result<Vec<TaskItem>, CliError> {
    let mut items = Vec::new();
    for id in ids {
        items.push(tasks::retry(conn, *id).await.map_err(|error| match error {
            RetryError::Database(error) => error.into(),
            error => CliError::Message(format!("{id}: {error}")),
        })?);
    }
    // Workers would find them by polling; a notification makes it now.
    conn.batch_execute("SELECT pg_notify('hookgate', 'sync_queue')").await?;
    Ok(items)
}

fn row(task: &TaskItem) -> Vec<String> {
    vec![
        task.id.to_string(),
        task.account_id.to_string(),
        format!("{} {}", task.entity_type, task.entity_id),
        task.operation.clone(),
        task.status.clone(),
        task.attempts.to_string(),
        task.outcome.clone().or_else(|| task.error.clone()).unwrap_or_default(),
    ]
}

fn log_row(entry: &SyncLogEntry) -> Vec<String> {
    let words = |list: &Value| {
        let words: Vec<&str> = list.as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        words.join(", ")
    };
    vec![
        entry.at.format("%Y-%m-%d %H:%M:%S").to_string(),
        entry.child_account.to_string(),
        format!("{} {}", entry.entity_type, entry.main_id),
        entry.operation.clone(),
        entry.strategy.clone(),
        words(&entry.applied),
        entry.error.clone().unwrap_or_else(|| words(&entry.skipped)),
        format!("{:.1}", entry.calls),
    ]
}

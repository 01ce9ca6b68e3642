//! `hookgate queue`: sync tasks, what they wait for and how they ended.

mod clear;

use super::{CliError, Session, print_table};
use crate::sync::moysklad::audit::{self, SyncDay, SyncLogEntry};
use crate::sync::moysklad::backlog::{self, BacklogItem};
use crate::sync::tasks::{self, Filter, RetryError, STATES, TaskItem};
use clap::Subcommand;
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection as _};
use serde_json::{Value, json};
use uuid::Uuid;

/// Sync tasks: what they wait for and how they ended.
#[derive(Debug, Subcommand)]
pub(super) enum QueueCommand {
    /// List sync tasks, newest first.
    List {
        /// Only those with this status. Of those that are received: held ones wait for the counterparts of what they
        /// refer to, blocked ones for an operator.
        #[arg(long, value_parser = STATES)]
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
    /// What child accounts do not have yet, the oldest first.
    Changes {
        /// waiting for their turn, blocked until another entity is there, unwanted until the child's filters let in
        /// what it is made of, failed until a person has looked.
        #[arg(long, value_parser = backlog::STATUSES)]
        status: Option<String>,
        /// Only those of this child account.
        #[arg(long)]
        account: Option<Uuid>,
        /// How many.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
    },
    /// Count changes, writes and calls by day and pair of accounts.
    Daily {
        /// Only those of this child account.
        #[arg(long)]
        account: Option<Uuid>,
        /// How many days, today included.
        #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(i32).range(1..=90))]
        days: i32,
    },
    /// What became of each change in child accounts, and of their documents, newest first.
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
    /// Forget tasks that have ended.
    ///
    /// With a failed task goes what could not be brought over: the child stays as it is until main's entity changes again,
    /// or `hookgate sync full` compares all.
    #[command(after_help = "Example:\n  hookgate queue clear --before '30 days ago' --force")]
    Clear(clear::Clear),
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
        QueueCommand::Changes { status, account, limit } => {
            let items = backlog::list(conn, &backlog::Filter { status, account }, limit).await?;
            let header = ["CHILD", "ENTITY", "DONE", "STATUS", "SINCE", "DUE", "IN THE WAY"];
            print_table(session.json, &header, items.iter().map(backlog_row).collect(), &json!(items));
            return Ok(());
        }
        QueueCommand::Daily { account, days } => {
            let items = audit::daily(conn, account, days).await?;
            let header = ["DAY", "MAIN", "CHILD", "CHANGES", "WRITTEN", "SKIPPED", "FAILED", "CALLS"];
            print_table(session.json, &header, items.iter().map(day_row).collect(), &json!(items));
            return Ok(());
        }
        QueueCommand::Clear(which) => return clear::run(&which, conn, session.json).await,
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
        task.state().to_owned(),
        task.attempts.to_string(),
        task.outcome.clone().or_else(|| task.error.clone()).unwrap_or_default(),
    ]
}

fn backlog_row(item: &BacklogItem) -> Vec<String> {
    let time = |time: &chrono::DateTime<chrono::Utc>| time.format("%Y-%m-%d %H:%M:%S").to_string();
    vec![
        item.child_account.to_string(),
        format!("{} {}", item.entity_type, item.main_id),
        item.operation.clone(),
        item.status.clone(),
        time(&item.created_at),
        time(&item.due_at),
        item.error.clone().unwrap_or_default(),
    ]
}

fn day_row(day: &SyncDay) -> Vec<String> {
    let mut row = vec![day.day.to_string(), day.main_account.to_string(), day.child_account.to_string()];
    row.extend([day.changes, day.written, day.skipped, day.failed].map(|count| count.to_string()));
    row.push(format!("{:.1}", day.calls));
    row
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

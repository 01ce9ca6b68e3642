//! `hookgate events`: look at events, retry and replay them.

use super::output::print;
use super::{CliError, Session, print_table};
use crate::inbox::{self, EventDetail, EventFilter, EventSummary, Status, Steered};
use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, Subcommand};
use diesel_async::{AsyncPgConnection, SimpleAsyncConnection as _};
use serde_json::json;
use uuid::Uuid;

/// Look at events, retry and replay them.
#[derive(Debug, Subcommand)]
pub(super) enum EventsCommand {
    /// List events, newest first.
    List {
        #[command(flatten)]
        filter: Filter,
        /// How many.
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(i64).range(1..=10_000))]
        limit: i64,
    },
    /// Show one event: payload, headers, outcome, every attempt.
    Show {
        /// Row id, or the provider's own id of the event.
        id: String,
    },
    /// Queue failed or rejected events again, with fresh attempts.
    Retry {
        /// Row ids, or the providers' own ids.
        #[arg(required = true)]
        ids: Vec<String>,
    },
    /// Queue events again that have ended, by id or by filter.
    Replay {
        /// Row ids, or the providers' own ids.
        #[arg(required_unless_present_any = ["provider", "status", "event_type", "subject", "since", "until", "search"])]
        ids: Vec<String>,
        #[command(flatten)]
        filter: Filter,
        /// The most that a filter queues, the newest first.
        #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(i64).range(1..=100_000))]
        limit: i64,
    },
}

/// Which events are meant.
#[derive(Debug, Args)]
pub(super) struct Filter {
    /// Exact provider.
    #[arg(long)]
    provider: Option<String>,
    /// Where the event is in its life.
    #[arg(long, value_parser = ["received", "processing", "completed", "failed", "rejected", "ignored"])]
    status: Option<String>,
    /// Exact type, or a family as 'payment_intent.*'.
    #[arg(long = "type")]
    event_type: Option<String>,
    /// Exact subject.
    #[arg(long)]
    subject: Option<String>,
    /// Received at or after this RFC 3339 time.
    #[arg(long)]
    since: Option<DateTime<Utc>>,
    /// Received before this RFC 3339 time.
    #[arg(long)]
    until: Option<DateTime<Utc>>,
    /// Part of event id, type or subject.
    #[arg(long, short = 'q')]
    search: Option<String>,
}

impl From<Filter> for EventFilter {
    fn from(filter: Filter) -> Self {
        Self {
            provider: filter.provider,
            status: filter.status.as_deref().and_then(Status::parse),
            event_type: filter.event_type,
            subject: filter.subject,
            since: filter.since,
            until: filter.until,
            search: filter.search,
            before: None,
        }
    }
}

pub(super) async fn run(command: EventsCommand, session: &Session) -> Result<(), CliError> {
    let mut conn = session.pool.get().await?;
    let conn = &mut *conn;
    match command {
        EventsCommand::List { filter, limit } => {
            let events = inbox::list(conn, &filter.into(), limit).await?;
            let header =
                ["ID", "PROVIDER", "EVENT", "TYPE", "SUBJECT", "STATUS", "TRIES", "DUPS", "RECEIVED"];
            print_table(session.json, &header, events.iter().map(row).collect(), &json!(events));
            Ok(())
        }
        EventsCommand::Show { id } => {
            let id = resolve(conn, &id).await?;
            let event = inbox::find(conn, id).await?.ok_or_else(|| unknown(&id.to_string()))?;
            if session.json {
                print(&format!("{:#}", json!(event)));
            } else {
                print(&show(&event));
            }
            Ok(())
        }
        EventsCommand::Retry { ids } => {
            for name in ids {
                let id = resolve(conn, &name).await?;
                tell(&name, inbox::retry(conn, id).await?, "only a failed or rejected event can be retried")?;
            }
            announce(conn).await
        }
        EventsCommand::Replay { ids, filter, limit } => {
            if ids.is_empty() {
                let queued = inbox::replay_matching(conn, &filter.into(), limit).await?;
                println!("{queued} event(s) queued");
            }
            for name in ids {
                let id = resolve(conn, &name).await?;
                tell(&name, inbox::replay(conn, id).await?, "the event is in work; wait until it has ended")?;
            }
            announce(conn).await
        }
    }
}

/// Workers would find it by polling; a notification makes it now.
async fn announce(conn: &mut AsyncPgConnection) -> Result<(), CliError> {
    Ok(conn.batch_execute("SELECT pg_notify('hookgate', 'webhook_events')").await?)
}

async fn resolve(conn: &mut AsyncPgConnection, name: &str) -> Result<Uuid, CliError> {
    if let Ok(id) = name.parse() {
        return Ok(id);
    }
    match inbox::lookup(conn, name).await?.as_slice() {
        [id] => Ok(*id),
        [] => Err(unknown(name)),
        _ => Err(CliError::Message(format!("several providers have an event {name}: give its row id"))),
    }
}

fn unknown(name: &str) -> CliError {
    CliError::Message(format!("there is no event {name}; `hookgate events list` shows the newest"))
}

fn tell(name: &str, steered: Steered, conflict: &str) -> Result<(), CliError> {
    match steered {
        Steered::Queued => {
            println!("{name} queued");
            Ok(())
        }
        Steered::NotAllowed => Err(CliError::Message(format!("{name}: {conflict}"))),
        Steered::Unknown => Err(unknown(name)),
    }
}

fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn row(event: &EventSummary) -> Vec<String> {
    vec![
        event.id.to_string(),
        event.provider.clone(),
        event.event_id.clone(),
        event.event_type.clone(),
        event.subject.clone().unwrap_or_default(),
        event.status.clone(),
        event.attempts.to_string(),
        event.duplicates.to_string(),
        time(event.received_at),
    ]
}

/// All of an event, a line for each fact.
fn show(event: &EventDetail) -> String {
    let summary = &event.summary;
    let mut lines = vec![
        ("id", summary.id.to_string()),
        ("provider", summary.provider.clone()),
        ("event id", summary.event_id.clone()),
        ("type", summary.event_type.clone()),
        ("subject", summary.subject.clone().unwrap_or_default()),
        ("status", summary.status.clone()),
        ("outcome", event.outcome.clone().unwrap_or_default()),
        ("error", summary.error.clone().unwrap_or_default()),
        ("occurred", summary.occurred_at.map(time).unwrap_or_default()),
        ("received", time(summary.received_at)),
        ("processed", summary.processed_at.map(time).unwrap_or_default()),
        ("next attempt", summary.next_attempt_at.0.map(time).unwrap_or_default()),
    ];
    if summary.duplicates > 0 {
        let count = format!("{} ({} with other bytes)", summary.duplicates, summary.conflicting_duplicates);
        lines.push(("duplicates", count));
    }
    let mut shown: Vec<String> = lines
        .into_iter()
        .filter(|line| !line.1.is_empty())
        .map(|(name, value)| format!("{name:<13} {value}"))
        .collect();
    let text =
        |value: &serde_json::Value| value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
    for (number, attempt) in event.attempt_log.as_array().into_iter().flatten().enumerate() {
        let error = attempt["error"].as_str().map(|error| format!(": {error}")).unwrap_or_default();
        shown.push(format!(
            "attempt {:<5} {} {} ms {}{error}",
            number + 1,
            text(&attempt["at"]),
            attempt["duration_ms"],
            text(&attempt["outcome"])
        ));
    }
    shown.push(format!("\nheaders {:#}", event.headers));
    if !event.envelope.is_null() {
        shown.push(format!("\nenvelope {:#}", event.envelope));
    }
    shown.push(format!("\npayload {:#}", event.payload));
    shown.join("\n")
}

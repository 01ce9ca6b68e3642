//! `hookgate providers explain`: why a request was not proven, step by step.

use super::{CliError, Session, print_table, time, told};
use crate::cli::output::print;
use crate::providers::{Registry, Step};
use crate::quarantine::{self, Detail, Filter};
use crate::records;
use serde_json::json;
use uuid::Uuid;

/// How many are listed.
const NEWEST: i64 = 20;

pub(super) async fn list(session: &Session, provider: Option<String>) -> Result<(), CliError> {
    let mut conn = session.pool.get().await?;
    let filter = Filter { provider, ..Filter::default() };
    let items = quarantine::list(&mut conn, &filter, NEWEST).await?;
    let rows = items.iter().map(|item| {
        vec![
            item.id.to_string(),
            item.provider.clone(),
            item.reason.clone(),
            item.times.to_string(),
            time(item.received_at),
            item.outcome.clone().unwrap_or_default(),
            item.why.clone(),
        ]
    });
    let header = ["ID", "PROVIDER", "REASON", "TIMES", "RECEIVED", "OUTCOME", "WHY"];
    print_table(session.json, &header, rows.collect(), &json!(items));
    Ok(())
}

pub(super) async fn one(session: &Session, id: Uuid) -> Result<(), CliError> {
    let mut conn = session.pool.get().await?;
    let unknown = || {
        CliError::Message(format!(
            "there is no quarantined request {id}; `hookgate providers explain` lists them"
        ))
    };
    let detail = quarantine::find(&mut conn, id).await?.ok_or_else(unknown)?;
    let reopened =
        quarantine::reopen(&mut conn, id, session.master_key.as_ref()).await?.ok_or_else(unknown)?;
    let learned = records::learned(&mut conn, session.master_key.as_ref()).await?;
    drop(conn);
    let registry = Registry::new(&session.settings, &learned)?;
    let now: Result<Vec<Step>, &str> = match (&reopened.request, registry.get(&reopened.provider)) {
        (None, _) => Err("its proof was not kept: there was no HOOKGATE_MASTER_KEY, or another one"),
        (_, None) => Err("the provider is not configured any more"),
        (Some(request), Some(configured)) => {
            let provider = &*configured.provider;
            Ok(told(&session.settings, provider, &request.raw(), reopened.received_at).await?.steps)
        }
    };
    if session.json {
        let mut shown = json!(detail);
        shown["steps_now"] = json!(now.ok());
        print(&format!("{shown:#}"));
    } else {
        print(&text(&detail, &now));
    }
    Ok(())
}

fn text(detail: &Detail, now: &Result<Vec<Step>, &str>) -> String {
    let item = &detail.item;
    let query = if detail.query.is_empty() { String::new() } else { format!("?{}", detail.query) };
    let mut lines = vec![
        format!("{} {}{query} to {}", item.method, item.path, item.provider),
        format!(
            "received {}, {} bytes, {} time(s), last {}",
            time(item.received_at),
            item.body_bytes,
            item.times,
            time(item.last_seen_at)
        ),
        String::new(),
        format!("When it came ({}):", item.reason),
    ];
    lines.extend(detail.steps.iter().map(|step| format!("  {}", step.line())));
    lines.push(String::new());
    lines.push("With the settings of now, at the time it came:".to_owned());
    match now {
        Ok(steps) => {
            lines.extend(steps.iter().map(|step| format!("  {}", step.line())));
            lines.push(String::new());
            lines.push(closing(detail, steps));
        }
        Err(why) => lines.push(format!("  {why}")),
    }
    lines.join("\n")
}

fn closing(detail: &Detail, steps: &[Step]) -> String {
    let item = &detail.item;
    if item.outcome.as_deref() == Some("accepted") {
        return "It was verified again and accepted.".to_owned();
    }
    if steps.last().is_some_and(|step| step.ok && step.check == "events") {
        return format!(
            "It proves itself now. Let the running gateway take it: POST /api/v1/quarantine/{}/reverify",
            item.id
        );
    }
    "It does not prove itself yet. Mend the settings, send SIGHUP to the gateway, and look again.".to_owned()
}

//! `hookgate providers test`: a recorded request, or a list of vectors, against a provider's table.

use super::http_file::{self, Recorded};
use super::{CliError, told};
use crate::cli::output::print;
use crate::config::Settings;
use crate::providers::scheme::Tables;
use crate::providers::{Explanation, LearnedSecrets, Provider, Registry, tables, vectors};
use chrono::{DateTime, Utc};
use clap::{ArgGroup, Args};
use serde_json::json;
use std::path::{Path, PathBuf};

/// Try a recorded request, or a list of test vectors, on a provider.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  GITHUB_WEBHOOK_SECRET=… hookgate providers test github --file request.http\n  \
                        hookgate providers test acme --vectors acme.vectors.json\n\nA request file holds the request line, \
                        the headers, an empty line, and the exact body. docs/providers.md has the format of vectors."
)]
#[command(group(ArgGroup::new("what").required(true).args(["file", "vectors"])))]
pub(in crate::cli) struct TestCommand {
    /// Name of the provider; a list of vectors may name one for each.
    #[arg(required_unless_present = "vectors")]
    name: Option<String>,
    /// A recorded request; it is tried with the configured secrets.
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// The time that the proof is judged at, RFC 3339 or Unix seconds; default: now.
    #[arg(long, value_name = "TIME", value_parser = instant, conflicts_with = "vectors")]
    now: Option<DateTime<Utc>>,
    /// A list of vectors; each brings its own secret and time.
    #[arg(long, value_name = "FILE")]
    vectors: Option<PathBuf>,
}

fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    let unix = text.parse().ok().and_then(|seconds| DateTime::from_timestamp(seconds, 0));
    unix.or_else(|| text.parse().ok())
        .ok_or_else(|| "must be RFC 3339 (2026-11-23T08:00:00Z) or Unix seconds".to_owned())
}

pub(super) async fn run(command: TestCommand, settings: &Settings, json: bool) -> Result<(), CliError> {
    let TestCommand { name, file, now, vectors } = command;
    match (name, file, vectors) {
        (name, _, Some(path)) => list(name.as_deref(), &path, &tables(settings)?, json),
        (Some(name), Some(path), _) => one(&name, &path, now.unwrap_or_else(Utc::now), settings, json).await,
        _ => Err(CliError::Message("give a name with --file, or --vectors".to_owned())),
    }
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    std::fs::read(path).map_err(|error| CliError::Message(format!("cannot read {}: {error}", path.display())))
}

fn list(name: Option<&str>, path: &Path, tables: &Tables, json: bool) -> Result<(), CliError> {
    let problem = |error: String| CliError::Message(format!("{}: {error}", path.display()));
    let text = String::from_utf8(read(path)?).map_err(|_| problem("not UTF-8".to_owned()))?;
    let (mut passed, mut failed) = (0, 0);
    let mut items = Vec::new();
    for vector in vectors::read(&text).map_err(problem)? {
        let provider = match (name, vector.provider.as_deref()) {
            (Some(name), Some(other)) if name != other => continue,
            (Some(name), _) | (None, Some(name)) => name,
            (None, None) => {
                return Err(problem(format!("{} names no provider: give a name", vector.name)));
            }
        };
        let outcome = vector.run(tables, provider);
        if outcome.passed {
            passed += 1;
        } else {
            failed += 1;
        }
        if json {
            let item = json!({"name": vector.name, "provider": provider, "passed": outcome.passed,
                "verdict": outcome.verdict, "steps": outcome.steps});
            items.push(item);
        } else if outcome.passed {
            print(&format!("ok   {}", vector.name));
        } else {
            print(&format!("FAIL {}: {}", vector.name, outcome.verdict));
        }
    }
    if json {
        print(&format!("{:#}", json!({"vectors": items, "passed": passed, "failed": failed})));
    } else {
        print(&format!("{passed} passed, {failed} failed"));
    }
    if failed == 0 { Ok(()) } else { Err(CliError::Silent) }
}

async fn one(
    name: &str,
    path: &Path,
    now: DateTime<Utc>,
    settings: &Settings,
    json: bool,
) -> Result<(), CliError> {
    let registry = Registry::new(settings, &LearnedSecrets::new())?;
    let configured = registry.get(name).ok_or_else(|| {
        CliError::Message(format!(
            "{name} has no secret configured, or is no provider: `hookgate providers show {name}` says what to set"
        ))
    })?;
    let provider = &*configured.provider;
    let recorded = http_file::read(&read(path)?, settings.receiver.app_url.as_str())
        .map_err(|error| CliError::Message(format!("{}: {error}", path.display())))?;
    let Recorded { mut request, announced } = recorded;
    request.path_token = path_token(provider, &request.path);
    let told = told(settings, provider, &request.raw(), now).await?;
    if json {
        print(&format!("{:#}", json!({"steps": told.steps, "events": events(&told)})));
    } else {
        let mut lines: Vec<String> = told.steps.iter().map(crate::providers::Step::line).collect();
        lines.extend(events(&told).iter().map(|event| format!("event  {event}")));
        if let Some(length) = announced {
            lines.push(format!(
                "note   Content-Length says {length} bytes, the file has {}: has an editor added a line end?",
                request.body.len()
            ));
        }
        print(&lines.join("\n"));
    }
    let good = told.events.is_some() || told.answer.is_some_and(|answer| answer.status < 400);
    if good { Ok(()) } else { Err(CliError::Silent) }
}

/// The token of the route `…/NAME/TOKEN`, where the provider has one.
fn path_token(provider: &dyn Provider, path: &str) -> Option<String> {
    let (front, token) = path.rsplit_once('/')?;
    let named = front.rsplit('/').next() == Some(provider.name());
    (provider.has_path_token() && named && !token.is_empty()).then(|| token.to_owned())
}

fn events(told: &Explanation) -> Vec<String> {
    let parsed = told.events.iter().flat_map(|parsed| &parsed.events);
    parsed
        .map(|event| match event {
            Ok(event) => {
                let subject = event.subject.as_deref().unwrap_or("no subject");
                format!("{} {} ({subject})", event.event_type, event.event_id)
            }
            Err(part) => format!("unreadable: {}", part.reason),
        })
        .collect()
}

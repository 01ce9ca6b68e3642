//! `hookgate providers`: who may send, and how it is proven. A file for each command.

mod explain;
mod http_file;
mod list;
mod new;
mod secrets;
mod show;
mod test;

use super::{CliError, Session, print_table};
use crate::clock::Clock;
use crate::config::Settings;
use crate::keyring::{Keyring, KeyringSettings};
use crate::providers::{Check, Explanation, Provider, RawRequest, Unproven, explain};
use chrono::{DateTime, SecondsFormat, Utc};
use clap::Subcommand;
use uuid::Uuid;

/// Who may send, and how it is proven.
#[derive(Debug, Subcommand)]
pub(super) enum ProvidersCommand {
    /// List configured providers: secrets with their last use, last event, events and failures in 24 hours.
    List {
        /// List every built-in scheme instead.
        #[arg(long)]
        all: bool,
    },
    /// Show how a provider is set up: where its secret is found, its URL, parameters, proof, handshakes.
    Show {
        /// Its name, or that of a built-in scheme.
        name: String,
    },
    /// Tell step by step why a request was not proven, as it came and with the settings of now.
    #[command(
        after_help = "Once the secret is mended, the running gateway takes it: POST /api/v1/quarantine/ID/reverify"
    )]
    Explain {
        /// Id of a quarantined request; without it the newest ones are listed.
        id: Option<Uuid>,
        /// Only requests to this provider, when listing.
        #[arg(long, conflicts_with = "id")]
        provider: Option<String>,
    },
    /// Try a recorded request, or a list of test vectors, on a provider.
    Test(test::TestCommand),
    /// Write the table of a provider of your own, from a few answers.
    New(Box<new::NewCommand>),
    /// List secrets that handshakes offered; approve or forget one.
    #[command(args_conflicts_with_subcommands = true)]
    Secrets {
        /// Only those of this provider.
        name: Option<String>,
        #[command(subcommand)]
        command: Option<secrets::SecretsCommand>,
    },
}

pub(super) async fn run(command: ProvidersCommand, settings: Settings, json: bool) -> Result<(), CliError> {
    match command {
        ProvidersCommand::List { all: true } => list::all(&settings, json),
        ProvidersCommand::List { all: false } => Session::with_schema(settings, json, list::configured).await,
        ProvidersCommand::Show { name } => show::run(&name, &settings, json),
        ProvidersCommand::Explain { id: Some(id), .. } => {
            Session::with_schema(settings, json, async |session| explain::one(session, id).await).await
        }
        ProvidersCommand::Explain { id: None, provider } => {
            Session::with_schema(settings, json, async |session| explain::list(session, provider).await).await
        }
        ProvidersCommand::Test(command) => test::run(command, &settings, json).await,
        ProvidersCommand::New(command) => new::run(*command, &settings),
        ProvidersCommand::Secrets { name, command } => {
            Session::with_schema(settings, json, async |session| secrets::run(name, command, session).await)
                .await
        }
    }
}

/// Most things that one proof may need from outside.
const MAX_FETCHES: usize = 2;

/// Goes through a verification step by step, after fetching the keys and certificates that it needs.
async fn told(
    settings: &Settings,
    provider: &dyn Provider,
    raw: &RawRequest<'_>,
    now: DateTime<Utc>,
) -> Result<Explanation, CliError> {
    let keyring = KeyringSettings::new(settings).map_err(|error| CliError::Message(error.to_string()))?;
    let keyring = Keyring::new(keyring, Clock::system());
    for _ in 0..MAX_FETCHES {
        let check = Check { now, evidence: Some(&keyring), trace: None };
        let Err(Unproven::Needs(needed)) = provider.verify(raw, &check) else { break };
        if let Err(error) = keyring.supply(&needed).await {
            eprintln!("note: {error}");
            break;
        }
    }
    Ok(explain(provider, raw, now, Some(&keyring)))
}

/// How a time is printed.
fn time(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

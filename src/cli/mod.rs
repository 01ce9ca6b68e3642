//! The command line: a file per command group.

#![allow(clippy::doc_markdown, reason = "doc comments here are help texts, where backticks would show")]

mod accounts;
mod check;
mod error;
mod events;
mod migrate;
mod output;
mod providers;
mod queue;
mod send;
mod serve;
mod session;
mod simulate;
mod sync;
mod time;
mod webhook;

pub use error::CliError;
pub use output::print_table;
pub use session::Session;

use crate::config::Settings;
use crate::http::Role;
use crate::providers::{LearnedSecrets, Registry};
use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Receive any webhook once, prove it, keep it, act on it, and pass it on.
///
/// Settings come from the environment and from hookgate.toml; README.md lists them. With no DATABASE_URL a private
/// Postgres in ./data is used, shared with a running `hookgate serve`.
#[derive(Debug, Parser)]
#[command(name = "hookgate", version, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    /// Print JSON instead of tables.
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the gateway until SIGTERM or Ctrl-C.
    Serve {
        /// Which part of the gateway this process is.
        #[arg(long, value_enum, default_value_t = Role::All)]
        role: Role,
    },
    /// Bring the database's schema up to date.
    Migrate,
    /// Examine configuration and connections, with a verdict on each.
    Check,
    /// Look at events, retry and replay them.
    #[command(subcommand)]
    Events(events::EventsCommand),
    /// Who may send and how it is proven: look at providers, try and explain proofs, write tables, approve secrets.
    #[command(subcommand)]
    Providers(providers::ProvidersCommand),
    /// Look at sync tasks, retry those that failed.
    #[command(subcommand)]
    Queue(queue::QueueCommand),
    /// The MoySklad accounts that are kept in step.
    #[command(subcommand)]
    Accounts(accounts::AccountsCommand),
    /// The webhooks that accounts send here, and what came of them.
    #[command(subcommand)]
    Webhook(webhook::WebhookCommand),
    /// Bring over everything at once.
    #[command(subcommand)]
    Sync(sync::SyncCommand),
    /// Sign a sample event with the configured secret and post it.
    Send(send::SendCommand),
    /// Play an upstream on a loopback port, for staging without real accounts.
    #[command(subcommand)]
    Simulate(simulate::SimulateCommand),
}

/// Runs the command that the process was started with.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    // TLS towards upstreams and Postgres; a second call would only find it set.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: cannot start: {error}");
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(run(cli)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(CliError::Silent) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: Cli) -> Result<(), CliError> {
    // It has settings of its own.
    if let Command::Simulate(command) = cli.command {
        return simulate::run(command, cli.json).await;
    }
    let settings = Settings::load()?;
    // A table of a provider is tried before it has its secret, and beside others that have none.
    if !matches!(cli.command, Command::Providers(_)) {
        // Providers ask for settings of their own; what nobody asked for is misspelt.
        Registry::new(&settings, &LearnedSecrets::new())?;
        settings.source.refuse_unknown()?;
    }
    match cli.command {
        Command::Serve { role } => serve::run(settings, role).await,
        Command::Check => check::run(settings, cli.json).await,
        Command::Send(command) => send::run(command, &settings, cli.json).await,
        Command::Simulate(command) => simulate::run(command, cli.json).await,
        Command::Providers(command) => providers::run(command, settings, cli.json).await,
        Command::Migrate => Session::with_database(settings, cli.json, migrate::run).await,
        Command::Queue(command) => {
            Session::with_schema(settings, cli.json, async |session| queue::run(command, session).await).await
        }
        Command::Accounts(command) => {
            Session::with_schema(settings, cli.json, async |session| accounts::run(command, session).await)
                .await
        }
        Command::Webhook(command) => {
            Session::with_schema(settings, cli.json, async |session| webhook::run(command, session).await)
                .await
        }
        Command::Sync(command) => {
            Session::with_schema(settings, cli.json, async |session| sync::run(command, session).await).await
        }
        Command::Events(command) => {
            Session::with_schema(settings, cli.json, async |session| events::run(command, session).await)
                .await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}

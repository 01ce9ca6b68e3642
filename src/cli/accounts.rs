//! `hookgate accounts`: the MoySklad accounts that are kept in step.

use super::{CliError, Session, print_table};
use crate::sync::moysklad::accounts::{self, Account, AccountChange, AccountError, Role, Status};
use clap::{Args, Subcommand};
use diesel_async::AsyncPgConnection;
use secrecy::SecretString;
use serde_json::{Value, json};
use std::io::Read as _;
use std::path::PathBuf;
use uuid::Uuid;

/// Environment variable of the access token.
const TOKEN_VARIABLE: &str = "MOYSKLAD_ACCESS_TOKEN";

/// The MoySklad accounts that are kept in step.
#[derive(Debug, Subcommand)]
pub(super) enum AccountsCommand {
    /// Add an account, or replace one: a main account first, then the children that follow it.
    ///
    /// The token of MoySklad's API is read from --token-file, else from the environment variable
    /// `MOYSKLAD_ACCESS_TOKEN`, and stored sealed with `HOOKGATE_MASTER_KEY`. Replacing an account without a token keeps the
    /// stored one; a new token ends a suspension.
    #[command(after_help = "Examples:\n  \
        hookgate accounts add 0a1b2c3d-… --name 'Head office' --role main --token-file main.token\n  \
        pass show moysklad/kazan | hookgate accounts add 4e5f6a7b-… --name Kazan --role child \\\n      \
        --parent 0a1b2c3d-… --token-file -")]
    Add(Add),
    /// List all accounts, each main account before its children.
    List,
    /// Let a child follow another main account.
    Link {
        /// Account id of the child.
        child: Uuid,
        /// Account id of the main account.
        #[arg(long)]
        to: Uuid,
    },
    /// Show the settings of an account, or replace them.
    #[command(after_help = "Example:\n  hookgate accounts settings 4e5f6a7b-… --set '{}'")]
    Settings {
        /// Account id.
        account: Uuid,
        /// All settings as one JSON object.
        #[arg(long, value_name = "JSON")]
        set: Option<String>,
        /// Switch the account on or off.
        #[arg(long, value_parser = ["active", "inactive"])]
        status: Option<String>,
    },
    /// Forget an account, its token and its mappings. Nothing changes at MoySklad.
    Remove {
        /// Account id.
        account: Uuid,
    },
}

/// What an account shall be.
#[derive(Debug, Args)]
pub(super) struct Add {
    /// MoySklad's own id of the account: `accountId` in its webhooks.
    account: Uuid,
    /// For people.
    #[arg(long)]
    name: String,
    /// Whether its catalogue is copied (main), or it follows a main account (child).
    #[arg(long, value_parser = ["main", "child"])]
    role: String,
    /// Account id of the main account that a child follows.
    #[arg(long, value_name = "ACCOUNT", required_if_eq("role", "child"))]
    parent: Option<Uuid>,
    /// Switch the account on or off.
    #[arg(long, value_parser = ["active", "inactive"])]
    status: Option<String>,
    /// File that holds the token, or - for standard input.
    #[arg(long, value_name = "FILE", conflicts_with = "token")]
    token_file: Option<PathBuf>,
    /// The token itself. Other users of the machine can see it in the list of processes: better use --token-file.
    #[arg(long, value_parser = |text: &str| Ok::<_, std::convert::Infallible>(SecretString::from(text)))]
    token: Option<SecretString>,
}

impl From<AccountError> for CliError {
    fn from(error: AccountError) -> Self {
        match error {
            AccountError::Database(error) => error.into(),
            error => Self::Message(error.to_string()),
        }
    }
}

pub(super) async fn run(command: AccountsCommand, session: &Session) -> Result<(), CliError> {
    let mut conn = session.pool.get().await?;
    let conn = &mut *conn;
    let key = session.master_key.as_ref();
    match command {
        AccountsCommand::List => print(session, &accounts::list(conn).await?),
        AccountsCommand::Add(add) => {
            let (id, change) = add.read()?;
            print(session, &[accounts::put(conn, key, id, change).await?.0]);
        }
        AccountsCommand::Link { child, to } => {
            let account = find(conn, child).await?;
            if account.role == Role::Main {
                let text = "it is a main account; only a child can follow another account";
                return Err(CliError::Message(text.to_owned()));
            }
            let change = AccountChange { parent_account_id: Some(to), ..AccountChange::of(&account) };
            print(session, &[accounts::put(conn, key, child, change).await?.0]);
        }
        AccountsCommand::Settings { account: id, set, status } => {
            let mut account = find(conn, id).await?;
            if set.is_some() || status.is_some() {
                let change = AccountChange {
                    settings: set.as_deref().map(json_object).transpose()?,
                    status: status.map(|status| status.parse()).transpose()?,
                    ..AccountChange::of(&account)
                };
                account = accounts::put(conn, key, id, change).await?.0;
            }
            println!("{:#}", account.settings);
        }
        AccountsCommand::Remove { account } => {
            accounts::remove(conn, account).await?;
            print(session, &accounts::list(conn).await?);
        }
    }
    Ok(())
}

impl Add {
    fn read(self) -> Result<(Uuid, AccountChange), CliError> {
        let token = match (self.token, self.token_file) {
            (Some(token), _) => Some(token),
            (None, Some(path)) => Some(token_from(&path)?),
            (None, None) => std::env::var(TOKEN_VARIABLE)
                .ok()
                .filter(|token| !token.trim().is_empty())
                .map(|token| token.trim().into()),
        };
        let change = AccountChange {
            name: self.name,
            role: self.role.parse()?,
            parent_account_id: self.parent,
            status: self.status.map(|status| status.parse::<Status>()).transpose()?,
            settings: None,
            token,
        };
        Ok((self.account, change))
    }
}

fn token_from(path: &std::path::Path) -> Result<SecretString, CliError> {
    let mut text = String::new();
    let read = if path.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text)
    } else {
        std::fs::File::open(path).and_then(|mut file| file.read_to_string(&mut text))
    };
    read.map_err(|error| {
        CliError::Message(format!("cannot read the token from {}: {error}", path.display()))
    })?;
    Ok(text.trim().into())
}

fn json_object(text: &str) -> Result<Value, CliError> {
    let value = serde_json::from_str(text).ok().filter(Value::is_object);
    value.ok_or_else(|| CliError::Message("--set must be one JSON object, such as '{}'".to_owned()))
}

async fn find(conn: &mut AsyncPgConnection, id: Uuid) -> Result<Account, CliError> {
    let unknown =
        || CliError::Message(format!("there is no account {id}; `hookgate accounts list` shows them"));
    accounts::find(conn, id).await?.ok_or_else(unknown)
}

fn print(session: &Session, accounts: &[Account]) {
    let rows = accounts
        .iter()
        .map(|account| {
            let parent = account.parent_account_id.map(|id| id.to_string()).unwrap_or_default();
            let (role, status) = (account.role.as_str().to_owned(), account.status.as_str().to_owned());
            vec![account.account_id.to_string(), account.name.clone(), role, status, parent]
        })
        .collect();
    print_table(session.json, &["ACCOUNT", "NAME", "ROLE", "STATUS", "FOLLOWS"], rows, &json!(accounts));
}

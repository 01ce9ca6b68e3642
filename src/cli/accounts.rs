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

/// Every key, for `accounts settings --help`.
const SETTINGS_HELP: &str = "\
Settings are one JSON object, and --set replaces all of it. Every key may be left out;
one that is not listed here is refused.

What a child gets of main's catalogue, `catalog`:
  entities           types that it gets. Default: all, in any order:
                       [\"product\", \"variant\", \"bundle\", \"service\", \"productfolder\"]
  match_products_by  field by which a product, variant or bundle that the child has
                     already is recognized: \"code\", \"externalCode\" (default),
                     \"article\", \"barcode\" or \"name\"
  match_services_by  the same for services, which have no article.
                     Default: \"externalCode\"
  price_types        main's price types and the child's, by name; buyPrice is the
                     purchase price: {\"Wholesale\": \"buyPrice\", \"Retail\": \"Retail\"}.
                     Default: each to the one of the same name
  attributes         names of those that it gets: [\"Brand\", \"Season\"]. Default: those
                     that it has under the same name and type
  filters            conditions, all of which a product must meet when it is created
                     in the child. Default: []. Of three forms:
                       {\"folderIn\": [\"ID\"]}      in a folder of main, or below
                       {\"folderNotIn\": [\"ID\"]}   in none of them, nor below
                       {\"attribute\": {\"name\": \"Season\", \"is\": \"equal\", \"value\": \"Summer\"}}
                     `is`: equal, notEqual, contains, less, greater, or set and unset,
                     which take no value. What meets them only later comes then, a
                     product with its variants; what ceases to stays, and is kept up
  create_folders     whether main's folders are made in the child. Default: true;
                     if not, the child's own are left alone
  images             whether images are copied, behind everything else; main's replace the
                     child's. Default: true. Switched on later: `hookgate sync full`
  vat                \"copy\" (default): as in main; \"leave\": the child's own affair;
                     \"without\": no VAT

What becomes of a child's documents, `orders`:
  organization       id of main's organization that they belong to. Default: none, and
                     no document flows
  documents          types that flow. Default: all:
                       [\"customerorder\", \"retaildemand\", \"purchaseorder\"]
  counterparty       \"real\" (default): the same one, known by INN, telephone or e-mail,
                     made if main has none; {\"stub\": \"ID\"}: always this one of main
  store              id of main's store. Default: none
  states             the child's states and main's, by name: {\"New\": \"Accepted\"}.
                     Default: each to the one of the same name
  status_back        whether main's state goes back to the child. Default: false
  only_applicable    whether only applicable documents are made in main. Default: true
  number_prefix      put before the child's number, as \"KZN-\"; at most 20 characters.
                     Default: none, main numbers and its description names the child's

What is told of the stock of any account, `stock`:
  report             whose changes are told as inventory.updated: \"all\": the sums over
                     all stores, told as inventory.low, too; \"bystore\": what each
                     store has. Default: none, nothing is told
  low                with the report \"all\": less than this is low where a product has
                     no minimum of its own, as 5. Default: only such minimums count

Of any account:
  dedicated_login    true: nobody but this gateway uses the login whose token this is,
                     so what that login did is not followed. Default: false
  emit               what else events are emitted of, with the webhooks for it:
                     [\"customers\", \"orders\", \"purchaseOrders\"]. Default: []

Webhooks follow the settings at the next check; `hookgate webhook setup --account ID`
makes it now. What was filtered out or made before does not follow a changed setting by
itself: `hookgate sync full --account ID` brings everything over anew.

Examples:
  hookgate accounts settings ID --set '{\"catalog\": {\"match_products_by\": \"article\"}}'
  hookgate accounts settings ID --set '{\"orders\": {\"organization\": \"ID\", \"status_back\": true}}'
  hookgate accounts settings ID --status inactive";

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
    #[command(after_long_help = SETTINGS_HELP, after_help = "--help explains every key of the settings.")]
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::moysklad::settings::ChildSettings;

    #[test]
    fn the_help_explains_every_key_and_fits_a_terminal() {
        let all = json!(ChildSettings::default());
        for (section, keys) in all.as_object().unwrap() {
            let names: Vec<&String> = keys.as_object().map_or(vec![section], |keys| keys.keys().collect());
            for name in names {
                let explained = |line: &str| line.trim_start().split("  ").next() == Some(name);
                assert!(SETTINGS_HELP.lines().any(explained), "{section}: {name}");
            }
        }
        assert!(SETTINGS_HELP.lines().all(|line| line.chars().count() <= 100), "clap would wrap it");
    }
}

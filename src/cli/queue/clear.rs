//! `hookgate queue clear`.

use crate::cli::time::since;
use crate::cli::{CliError, print_table};
use crate::sync::moysklad::backlog;
use crate::sync::tasks::{self, ENDINGS, Ended};
use chrono::{DateTime, Utc};
use clap::Args;
use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use serde_json::json;
use uuid::Uuid;

/// Tasks of one transaction, so that none is long.
const BATCH: i64 = 5000;

/// Which to forget.
#[derive(Debug, Args)]
pub(in crate::cli) struct Clear {
    /// Only those that ended so; may be given more than once.
    #[arg(long, value_parser = ENDINGS, default_values = ["completed", "ignored"])]
    status: Vec<String>,
    /// Only those that wrote to this account.
    #[arg(long)]
    account: Option<Uuid>,
    /// Only those that ended before: a time (RFC 3339), or as long ago as '90 minutes ago', '24 hours ago', '7 days ago'.
    #[arg(long, value_parser = since)]
    before: Option<DateTime<Utc>>,
    /// Yes, forget them.
    #[arg(long)]
    force: bool,
}

pub(super) async fn run(which: &Clear, conn: &mut AsyncPgConnection, json: bool) -> Result<(), CliError> {
    let Clear { status, account, before, force } = which;
    // What ends meanwhile is not meant.
    let ended =
        Ended { statuses: status.clone(), account: *account, before: before.unwrap_or_else(Utc::now) };
    if !force {
        let found = tasks::count(conn, &ended).await?;
        return Err(CliError::Message(format!(
            "this forgets {found} task(s), {}, for good: say --force",
            status.join(" or ")
        )));
    }
    let (mut cleared, mut given_up) = (0, 0);
    loop {
        let batch = conn.transaction(async |conn| {
            let ids = tasks::clear(conn, &ended, BATCH).await?;
            let changes = backlog::give_up(conn, &ids).await?;
            Ok::<_, diesel::result::Error>((ids.len(), changes))
        });
        let (tasks, changes) = batch.await?;
        cleared += tasks;
        given_up += changes;
        if tasks == 0 {
            break;
        }
    }
    let rows = vec![vec![cleared.to_string(), given_up.to_string()]];
    print_table(json, &["TASKS", "CHANGES GIVEN UP"], rows, &json!({"tasks": cleared, "changes": given_up}));
    Ok(())
}

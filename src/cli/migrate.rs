//! `hookgate migrate`.

use super::{CliError, Session, print_table};

pub(super) async fn run(session: &Session) -> Result<(), CliError> {
    let done = crate::db::migrate(&session.database).await?;
    if done.is_empty() && !session.json {
        println!("The schema is up to date.");
        return Ok(());
    }
    let rows = done.iter().map(|name| vec![name.clone()]).collect();
    print_table(session.json, &["MIGRATED"], rows, &serde_json::json!(done));
    Ok(())
}

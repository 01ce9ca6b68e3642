//! `hookgate providers secrets`: secrets that handshakes offered.

use super::{CliError, Session, print_table, time};
use crate::providers::Registry;
use crate::records;
use clap::Subcommand;
use serde_json::json;
use uuid::Uuid;

/// What to do with an offered secret.
#[derive(Debug, Subcommand)]
pub(in crate::cli) enum SecretsCommand {
    /// Let an offered secret prove requests; running gateways take it within ten seconds.
    Approve {
        /// Id of the offer.
        id: Uuid,
    },
    /// Forget an offered secret, approved or not.
    Forget {
        /// Id of the offer.
        id: Uuid,
    },
}

pub(super) async fn run(
    name: Option<String>,
    command: Option<SecretsCommand>,
    session: &Session,
) -> Result<(), CliError> {
    let mut conn = session.pool.get().await?;
    let unknown = |id: Uuid| {
        CliError::Message(format!("there is no offered secret {id}; `hookgate providers secrets` lists them"))
    };
    match command {
        None => {
            let offered = records::offered(&mut conn, name.as_deref()).await?;
            let rows = offered.iter().map(|offer| {
                vec![
                    offer.id.to_string(),
                    offer.provider.clone(),
                    offer.secret_id.clone(),
                    time(offer.offered_at),
                    offer.approved_at.map_or_else(|| "waits".to_owned(), time),
                ]
            });
            let header = ["ID", "PROVIDER", "SECRET", "OFFERED", "APPROVED"];
            print_table(session.json, &header, rows.collect(), &json!(offered));
        }
        Some(SecretsCommand::Approve { id }) => {
            let approved = records::approve(&mut conn, id).await?.ok_or_else(|| unknown(id))?;
            let learned = records::learned(&mut conn, session.master_key.as_ref()).await?;
            // One that the scheme cannot use would keep the gateway from starting.
            if let Err(error) = Registry::new(&session.settings, &learned) {
                records::withdraw(&mut conn, id).await?;
                return Err(error.into());
            }
            println!(
                "{} may prove requests of {}; running gateways take it within ten seconds",
                approved.secret_id, approved.provider
            );
        }
        Some(SecretsCommand::Forget { id }) => {
            if !records::forget(&mut conn, id).await? {
                return Err(unknown(id));
            }
            println!("forgotten; running gateways drop it within ten seconds");
        }
    }
    Ok(())
}

//! What main refuses of an order or of whose it is, and what a person can do about it.

use super::super::api::{AccountApi, ApiError};
use super::super::settings::CounterpartyPolicy;
use super::ORDER;
use super::transfer::Transfer;
use crate::queue::HandlerError;
use serde_json::Value;

/// Something else has the value that must be unique: of documents the number.
const TAKEN: u64 = 3006;
/// A field, or a custom field, that everything of its kind must have is missing (facts/moysklad.md 4.8, 5.6).
const REQUIRED: [u64; 2] = [3000, 3023];

impl Transfer<'_> {
    /// After main said that it lacks something of the order: names the settings that name what it does not have, an id of the
    /// child's for one of main's, say. `None`: it has all of these.
    pub(super) async fn wrong_settings(&self) -> Result<Option<HandlerError>, ApiError> {
        let stand_in = match self.settings.counterparty {
            CounterpartyPolicy::Stub(id) => Some(id),
            CounterpartyPolicy::Real => None,
        };
        let named = [
            ("orders.organization", "organization", Some(self.organization)),
            ("orders.store", "store", self.settings.store),
            ("orders.counterparty", "counterparty", stand_in),
        ];
        let mut wrong = Vec::new();
        for (setting, kind, id) in named {
            let Some(id) = id else { continue };
            match self.main.get("GET /entity/{type}/{id}", &format!("/entity/{kind}/{id}"), &[]).await {
                Err(ApiError::NotFound(_)) => wrong.push(format!("`{setting}` names the {kind} {id}")),
                // It may be there; the token may not look.
                Err(error) if error.is_refusal() => {}
                there => drop(there?),
            }
        }
        if wrong.is_empty() {
            return Ok(None);
        }
        Ok(Some(HandlerError::GiveUp(format!(
            "{}, which main does not have: set an id of main's with `hookgate accounts settings {}`, then retry",
            wrong.join(", and "),
            self.source.child_account,
        ))))
    }
}

/// The same refusal of something of this kind, with what to do about it.
pub(super) async fn advised(
    main: &AccountApi,
    kind: &'static str,
    error: ApiError,
) -> Result<ApiError, ApiError> {
    let advice = if REQUIRED.iter().any(|code| error.has_code(*code)) {
        let what = required(main, kind).await?;
        let instead = if kind == ORDER { "" } else { ", or let `orders.counterparty` name a stand-in" };
        format!(
            "main requires {what} of every {kind}, which does not cross over: make it optional in main{instead}"
        )
    } else if kind == ORDER && error.has_code(TAKEN) {
        "another order of main has this number: change one of the two, or give each child an `orders.number_prefix` of \
         its own"
            .to_owned()
    } else {
        return Ok(error);
    };
    Ok(HandlerError::GiveUp(format!("{error}: {advice}, then retry")).into())
}

/// The custom fields without which main makes nothing of this kind. Their names are settings of the account, not content.
async fn required(main: &AccountApi, kind: &str) -> Result<String, ApiError> {
    let path = format!("/entity/{kind}/metadata/attributes");
    let reply = match main.get("GET /entity/{type}/metadata/attributes", &path, &[]).await {
        Err(error) if error.is_refusal() => return Ok("something".to_owned()),
        reply => reply?,
    };
    let rows = reply["rows"].as_array().map_or(&[][..], Vec::as_slice);
    let is_required = |row: &&Value| row["required"] == true;
    let names: Vec<String> = rows
        .iter()
        .filter(is_required)
        .filter_map(|row| Some(format!("“{}” ({})", row["name"].as_str()?, row["type"].as_str()?)))
        .collect();
    Ok(if names.is_empty() { "something".to_owned() } else { format!("the attribute {}", names.join(", ")) })
}

//! Webhooks in MoySklad's API (facts/moysklad.md 1.1).

use super::plan::{Action, Hook, Own, Wanted, holders};
use crate::queue::HandlerError;
use crate::sync::moysklad::api::{AccountApi, ApiError};
use serde_json::{Value, json};
use uuid::Uuid;

const PATH: &str = "/entity/webhook";
/// The longest page.
const PAGE: usize = 1000;

/// All webhooks of the account, also those of others.
pub(super) async fn list(api: &AccountApi) -> Result<Vec<Hook>, ApiError> {
    let mut hooks = Vec::new();
    loop {
        let query = [("limit", PAGE.to_string()), ("offset", hooks.len().to_string())];
        let reply = api.get("GET /entity/webhook", PATH, &query).await?;
        let rows = reply["rows"]
            .as_array()
            .ok_or_else(|| HandlerError::Retry("moysklad: GET /entity/webhook gave no rows".to_owned()))?;
        rows.iter().try_for_each(|row| api.check_owner(row))?;
        hooks.extend(rows.iter().filter_map(Hook::read));
        if rows.len() < PAGE {
            return Ok(hooks);
        }
    }
}

fn body(wanted: &Wanted, url: &str) -> Value {
    let mut body = json!({"url": url, "enabled": true});
    if wanted.action == Action::Update {
        body["diffType"] = "FIELDS".into();
    }
    body
}

/// Registers a webhook. May be repeated: MoySklad refuses a second one with the same URL (30003).
pub(super) async fn create(api: &AccountApi, wanted: &Wanted, url: &str) -> Result<(), ApiError> {
    let mut body = body(wanted, url);
    body["entityType"] = wanted.entity_type.into();
    body["action"] = wanted.action.word().into();
    api.create("POST /entity/webhook", PATH, &body).await.map(drop)
}

/// Makes one of ours as it should be.
pub(super) async fn mend(api: &AccountApi, id: Uuid, wanted: &Wanted, url: &str) -> Result<(), ApiError> {
    api.update("PUT /entity/webhook/{id}", &format!("{PATH}/{id}"), &body(wanted, url)).await.map(drop)
}

/// Removes some of ours. One that is gone already is no error.
pub(super) async fn remove(api: &AccountApi, ids: &[Uuid]) -> Result<(), ApiError> {
    if ids.is_empty() {
        return Ok(());
    }
    let metas: Vec<Value> = ids
        .iter()
        .map(|id| {
            let href = format!("{}{PATH}/{id}", api.base());
            json!({"meta": {"href": href, "type": "webhook", "mediaType": "application/json"}})
        })
        .collect();
    for one in api.write_many("POST /entity/webhook/delete", &format!("{PATH}/delete"), metas).await? {
        match one {
            Ok(_) | Err(ApiError::NotFound(_)) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What an error means that any webhook of the account meets, and what an operator can do about it.
pub(super) fn of_account(error: &ApiError) -> Option<&'static str> {
    match error.code()? {
        30004 => Some(
            "the token is not an administrator's: set one of an administrator, or of a solution with useOwnWebhooks",
        ),
        30006 => {
            Some("the account's tariff has no webhooks: take a paid tariff or the trial, then set up again")
        }
        _ => None,
    }
}

/// What an error of a webhook means to an operator, and what to do about it.
pub(super) fn explain(error: &ApiError, wanted: &Wanted, there: &[Hook], own: &Own) -> String {
    let reason = match error.code() {
        Some(30003) => {
            "MoySklad says that it is there already, but does not show it: delete it where it was made, in \
                        another version of the API or by another user, then set up again"
                .to_owned()
        }
        Some(30005) => {
            "MoySklad takes no webhook to APP_URL: set a public URL there, then set up again".to_owned()
        }
        Some(30007) => match holders(there, wanted, own) {
            hosts if hosts.is_empty() => {
                "no place is left for another one: remove one in MoySklad, then set up again".to_owned()
            }
            hosts => {
                format!("no place is left: webhooks to {} hold them; remove one there", hosts.join(", "))
            }
        },
        Some(30000 | 30002 | 30008) => {
            "MoySklad has no such webhook: nothing can be done, changes of this kind are found \
                                by the sweep"
                .to_owned()
        }
        Some(30009) => "MoySklad does not tell the changed fields here: please report this".to_owned(),
        _ => of_account(error).map_or_else(|| error.to_string(), str::to_owned),
    };
    format!("{wanted}: {reason}")
}

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

/// What an error of a webhook means to an operator.
pub(super) fn explain(error: &ApiError, wanted: &Wanted, there: &[Hook], own: &Own) -> String {
    let reason = match error.code() {
        Some(30004) => "the token is not an administrator's: only an administrator, or a solution with \
                        useOwnWebhooks, may set up webhooks"
            .to_owned(),
        Some(30005) => "MoySklad takes no webhook to APP_URL: it must be a public URL".to_owned(),
        Some(30006) => {
            "the account's tariff has no webhooks: they need a paid tariff or the trial".to_owned()
        }
        Some(30007) => match holders(there, wanted, own) {
            hosts if hosts.is_empty() => "the account has no place for another one".to_owned(),
            hosts => {
                format!("no place is left: webhooks to {} hold them; remove one there", hosts.join(", "))
            }
        },
        Some(30008) => "MoySklad has no such webhook".to_owned(),
        _ => error.to_string(),
    };
    format!("{wanted}: {reason}")
}

//! Webhooks: at most four attempts, one after another, each cut off after 1.5 s; then the notification is lost.

use super::Shared;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// The receiver must have answered within this.
pub(super) const PATIENCE: Duration = Duration::from_millis(1500);
const ATTEMPTS: usize = 4;

/// A notification to be sent.
#[derive(Debug, Clone)]
pub(super) struct Notice {
    pub(super) account: Uuid,
    pub(super) url: String,
    pub(super) body: Value,
}

/// A notification that was sent, or given up.
#[derive(Debug, Clone)]
pub struct Delivery {
    /// Whose webhook.
    pub account: Uuid,
    /// Registered URL.
    pub url: String,
    /// The same on every attempt.
    pub request_id: Uuid,
    /// What was posted.
    pub body: Value,
    /// Status of each attempt; `None` where no answer came in time.
    pub statuses: Vec<Option<u16>>,
}

/// The body of a notification about one entity.
pub(super) fn body(
    base: &str,
    account: Uuid,
    kind: &str,
    id: Uuid,
    action: &str,
    updated: &[String],
) -> Value {
    let moment = &super::entity::moscow_now()[..19];
    let mut event = json!({"meta": {"type": kind, "href": format!("{base}/entity/{kind}/{id}")}});
    if action == "UPDATE" {
        event["updatedFields"] = updated.into();
    }
    event["action"] = action.into();
    event["accountId"] = account.to_string().into();
    json!({
        "auditContext": {
            "meta": {"type": "audit", "href": format!("{base}/audit/{}", Uuid::new_v4())},
            "uid": "admin@franchise", "moment": moment,
        },
        "events": [event],
    })
}

/// Sends each in the background.
pub(super) fn send(shared: &Arc<Shared>, notices: Vec<Notice>) {
    shared.world().pending += notices.len();
    for notice in notices {
        tokio::spawn(deliver(shared.clone(), notice));
    }
}

async fn deliver(shared: Arc<Shared>, notice: Notice) {
    let request_id = Uuid::new_v4();
    let joint = if notice.url.contains('?') { '&' } else { '?' };
    let url = format!("{}{joint}requestId={request_id}", notice.url);
    let address = shared.world().address_of(&url);
    let mut statuses = Vec::new();
    while statuses.len() < ATTEMPTS {
        let request = shared
            .http
            .post(&address)
            .header("user-agent", "MoySklad webhook touch agent 2.0 (/https://www.moysklad.ru)")
            .header("content-type", "application/json")
            .body(notice.body.to_string());
        let status = request.send().await.ok().map(|reply| reply.status().as_u16());
        statuses.push(status);
        if matches!(status, Some(200 | 204)) {
            break;
        }
    }
    let Notice { account, url, body } = notice;
    let mut world = shared.world();
    world.deliveries.push(Delivery { account, url, request_id, body, statuses });
    world.pending -= 1;
}

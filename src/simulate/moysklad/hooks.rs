//! Notifications: at most four attempts, one after another, each cut off after 1.5 s; then the notification is lost.

use super::Shared;
use super::account::{Account, Event};
use super::json;
use super::world::keep;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;

/// The receiver must have answered within this, unless the configuration says otherwise.
pub(super) const PATIENCE: Duration = Duration::from_millis(1500);
const ATTEMPTS: usize = 4;

/// A notification to be sent.
#[derive(Debug, Clone)]
pub(super) struct Notice {
    pub(super) account: Uuid,
    /// Of which webhook; none for one of stock.
    pub(super) hook: Option<Uuid>,
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

/// The body of a notification about some entities.
pub(super) fn body(account: &Account, tells_fields: bool, events: &[&Event]) -> Value {
    let base = &account.base;
    let told: Vec<Value> = events
        .iter()
        .map(|event| {
            let href = account.href(event.kind, event.id);
            let mut told = json!({"meta": {"type": event.kind, "href": href}});
            if tells_fields && event.action == "UPDATE" {
                told["updatedFields"] = event.updated.clone().into();
            }
            told["action"] = event.action.into();
            told["accountId"] = account.id.to_string().into();
            told
        })
        .collect();
    json!({
        "auditContext": {
            "meta": {"type": "audit", "href": format!("{base}/audit/{}", Uuid::new_v4())},
            "uid": format!("admin@{}", account.name), "moment": &json::moscow_now()[..19],
        },
        "events": told,
    })
}

/// The body of a notification about stock; the space in its URL is the real one's.
pub(super) fn stock_body(account: &Account, report_type: &str, moment: &str) -> Value {
    let report =
        format!("{}/report/stock/{report_type}/current?changedSince={}", account.base, &moment[..19]);
    json!({
        "accountId": account.id.to_string(), "stockType": "stock", "reportType": report_type,
        "reportUrl": report,
    })
}

/// Sends each in the background: late, twice or not at all, as the weather is.
pub(super) fn send(shared: &Arc<Shared>, notices: Vec<Notice>) {
    for notice in notices {
        let first = Uuid::new_v4();
        let sendings = {
            let mut world = shared.world();
            let weather = world.weather;
            let sendings = world.dice.sendings(&weather);
            world.pending += sendings.len();
            sendings
        };
        for (wait, is_anew) in sendings {
            let request_id = if is_anew { Uuid::new_v4() } else { first };
            shared.runtime.spawn(deliver(shared.clone(), notice.clone(), request_id, wait));
        }
    }
}

async fn deliver(shared: Arc<Shared>, notice: Notice, request_id: Uuid, wait: Duration) {
    if !wait.is_zero() {
        tokio::time::sleep(wait).await;
    }
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
    let taken = statuses.last().is_some_and(|status| matches!(status, Some(200 | 204)));
    let Notice { account, hook, url, body } = notice;
    let mut world = shared.world();
    let today = world.today();
    if let Some(index) = world.index(account)
        && let Some(hook) = world.accounts[index].hooks.iter_mut().find(|known| Some(known.id) == hook)
    {
        hook.note(today, taken);
    }
    let (kept, delivery) = (world.kept, Delivery { account, url, request_id, body, statuses });
    keep(&mut world.deliveries, delivery, kept);
    world.pending -= 1;
}

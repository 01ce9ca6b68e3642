//! Stripe's events become payments and emitted events, whatever their order and whatever happens to Stripe's API.

use crate::support::gateway::Gateway;
use crate::support::stripe::{API_KEY, Fault, SECRET, Stripe, event, send};
use crate::support::wait;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

mod fetching;
mod listing;
mod projection;
mod telling;
mod together;

/// A second of the provider's clock.
const T: i64 = 1_790_000_000;

/// A gateway that believes the events themselves.
async fn trusting() -> Gateway {
    Gateway::start(&[("STRIPE_WEBHOOK_SECRET", SECRET)]).await
}

/// A gateway that fetches each object.
async fn fetching(stripe: &Stripe, env: &[(&str, &str)]) -> Gateway {
    let own =
        [("STRIPE_WEBHOOK_SECRET", SECRET), ("STRIPE_API_KEY", API_KEY), ("STRIPE_BASE_URL", &stripe.url)];
    Gateway::start(&[&own, env].concat()).await
}

fn intent(id: &str, status: &str) -> Value {
    let error =
        if status == "requires_payment_method" { json!({"code": "card_declined"}) } else { Value::Null };
    json!({
        "id": id, "object": "payment_intent", "amount": 900, "currency": "brl", "customer": "cus_1",
        "status": status, "last_payment_error": error,
    })
}

fn charge(id: &str, intent: Option<&str>, refunded: i64) -> Value {
    json!({
        "id": id, "object": "charge", "amount": 900, "currency": "brl", "customer": "cus_1", "captured": true,
        "status": "succeeded", "payment_intent": intent, "amount_refunded": refunded, "refunded": refunded == 900,
    })
}

fn refund(id: &str, intent: &str, amount: i64, status: &str) -> Value {
    json!({
        "id": id, "object": "refund", "amount": amount, "currency": "brl", "status": status,
        "payment_intent": intent, "charge": "ch_1",
    })
}

async fn payment(gateway: &Gateway, id: &str) -> Option<Value> {
    let page = gateway.admin_get(&format!("/api/v1/payments?provider=stripe&id={id}")).await;
    let items = page["items"].as_array().unwrap();
    assert!(items.len() < 2, "{page}");
    items.first().cloned()
}

/// Status and refunded amount of a payment.
async fn state(gateway: &Gateway, id: &str) -> (String, i64) {
    let payment = payment(gateway, id).await.unwrap_or_else(|| panic!("there is no payment {id}"));
    (payment["status"].as_str().unwrap().to_owned(), payment["amount_refunded"].as_i64().unwrap())
}

/// Waits until the event has ended `completed`, and gives its outcome.
async fn completed(gateway: &Gateway, event_id: &str) -> String {
    let event = gateway.event("stripe", event_id, &["completed"]).await;
    event["outcome"].as_str().unwrap().to_owned()
}

/// Waits until so many events of Stripe have ended, all of them `completed`.
async fn all_completed(gateway: &Gateway, count: usize) {
    wait::until(&format!("{count} events to be completed"), Duration::from_secs(60), || async {
        let page = gateway.admin_get("/api/v1/events?provider=stripe&limit=200").await;
        let statuses: Vec<&str> =
            page["items"].as_array()?.iter().filter_map(|item| item["status"].as_str()).collect();
        assert!(!statuses.contains(&"failed"), "{page}");
        (statuses.iter().filter(|status| **status == "completed").count() == count).then_some(())
    })
    .await;
}

/// How many events of each type were emitted about a subject (all subjects if it is empty).
async fn emitted(gateway: &Gateway, subject: &str) -> BTreeMap<String, usize> {
    let filter = if subject.is_empty() { String::new() } else { format!("&subject={subject}") };
    let page = gateway.admin_get(&format!("/api/v1/events?provider=hookgate&limit=200{filter}")).await;
    let mut counts = BTreeMap::new();
    for item in page["items"].as_array().unwrap() {
        *counts.entry(item["event_type"].as_str().unwrap().to_owned()).or_default() += 1;
    }
    counts
}

/// The body of the only event of this type that was emitted.
async fn emission(gateway: &Gateway, event_type: &str) -> Value {
    let page = gateway.admin_get(&format!("/api/v1/events?provider=hookgate&type={event_type}")).await;
    let items = page["items"].as_array().unwrap();
    assert_eq!(items.len(), 1, "{page}");
    let id = items[0]["id"].as_str().unwrap();
    gateway.admin_get(&format!("/api/v1/events/{id}")).await["payload"].clone()
}

fn counts(expected: &[(&str, usize)]) -> BTreeMap<String, usize> {
    expected.iter().map(|(event_type, count)| ((*event_type).to_owned(), *count)).collect()
}

//! PayPal's events become payments and emitted events by what PayPal's API says, whatever the events say.

use crate::support::gateway::Gateway;
use crate::support::inject::{Stored, inject};
use crate::support::observe::{all_completed, counts, emission, emitted, item, replay};
use crate::support::paypal::{CLIENT_ID, CLIENT_SECRET, Fault, Paypal, event};
use crate::support::{observe, wait};
use serde_json::{Value, json};
use std::time::Duration;

mod certified;
mod fetching;
mod posted;
mod projection;

/// A gateway that fetches from this PayPal.
async fn fetching(paypal: &Paypal, env: &[(&str, &str)]) -> Gateway {
    let own = [
        ("PAYPAL_CLIENT_ID", CLIENT_ID),
        ("PAYPAL_CLIENT_SECRET", CLIENT_SECRET),
        ("PAYPAL_BASE_URL", &paypal.url),
        ("PAYPAL_REQUESTS_PER_SECOND", "1000"),
    ];
    let own: Vec<_> = own.into_iter().filter(|pair| env.iter().all(|other| other.0 != pair.0)).collect();
    let mut gateway = Gateway::start(&[&own, env].concat()).await;
    gateway.canary("A21AA-canary");
    gateway
}

fn time(second: usize) -> String {
    format!("2026-11-23T10:00:{second:02}Z")
}

fn money(currency: &str, value: &str) -> Value {
    json!({"currency_code": currency, "value": value})
}

fn capture(id: &str, order: Option<&str>, status: &str, second: usize) -> Value {
    let related = order.map(|order| json!({"related_ids": {"order_id": order}}));
    json!({
        "id": id, "status": status, "amount": money("USD", "9.00"), "final_capture": true,
        "create_time": time(0), "update_time": time(second), "supplementary_data": related,
        "links": [{"rel": "self", "method": "GET", "href": format!("https://api-m.paypal.com/v2/payments/captures/{id}")}],
    })
}

fn refund(id: &str, capture: &str, value: &str, status: &str, second: usize) -> Value {
    json!({
        "id": id, "status": status, "amount": money("USD", value), "create_time": time(0), "update_time": time(second),
        "links": [
            {"rel": "self", "method": "GET", "href": format!("https://api-m.paypal.com/v2/payments/refunds/{id}")},
            {"rel": "up", "method": "GET", "href": format!("https://api-m.paypal.com/v2/payments/captures/{capture}")},
        ],
    })
}

fn order(id: &str, status: &str, captures: &[Value], refunds: &[Value], second: usize) -> Value {
    json!({
        "id": id, "status": status, "intent": "CAPTURE", "create_time": time(0), "update_time": time(second),
        "payer": {"payer_id": "QYR5Z8XDVJNXQ", "name": {"given_name": "Ana"}, "email_address": "ana@example.com"},
        "purchase_units": [{
            "reference_id": "default", "amount": money("USD", "9.00"),
            "payments": {"captures": captures, "refunds": refunds},
        }],
    })
}

/// Stores an event about a resource as the receiver does; its own word about the resource is a lie.
async fn tell(gateway: &Gateway, event_id: &str, event_type: &str, resource_type: &str, id: &str) {
    let lie = json!({"id": id, "status": "COMPLETED", "amount": money("USD", "99999.00")});
    let body = event(event_id, event_type, resource_type, &time(1), &lie).to_string();
    let occurred_at = Some(time(1).parse().unwrap());
    let stored = Stored {
        provider: "paypal",
        event_id,
        event_type,
        subject: Some(id),
        occurred_at,
        body: &body,
        envelope: None,
    };
    inject(gateway, &stored).await;
}

async fn completed(gateway: &Gateway, event_id: &str) -> String {
    observe::completed(gateway, "paypal", event_id).await
}

async fn payment(gateway: &Gateway, id: &str) -> Option<Value> {
    item(gateway, "payments", "paypal", id).await
}

/// Status, amount and refunded amount of a payment.
async fn state(gateway: &Gateway, id: &str) -> (String, i64, i64) {
    let payment = payment(gateway, id).await.unwrap_or_else(|| panic!("there is no payment {id}"));
    let number = |name: &str| payment[name].as_i64().unwrap();
    (payment["status"].as_str().unwrap().to_owned(), number("amount"), number("amount_refunded"))
}

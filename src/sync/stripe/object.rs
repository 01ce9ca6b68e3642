//! Reading Stripe's objects: only ids, amounts, currencies and states; nothing of a person.

use super::kind::Kind;
use crate::sync::HandlerError;
use crate::sync::payments::{Observation, Role, Standing};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

/// An object's field does not have the form that Stripe documents.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the field `{0}` of the object is not a whole, not negative number of minor units")]
pub(super) struct BadAmount(&'static str);

impl From<BadAmount> for HandlerError {
    fn from(error: BadAmount) -> Self {
        Self::GiveUp(error.to_string())
    }
}

/// What an object says.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Object {
    /// It is a part of a payment.
    Payment(PaymentPart),
    /// It is something else; this is what subscribers are told of it.
    Record(Value),
    /// It does not exist any more.
    Gone,
}

/// A part of a payment.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PaymentPart {
    /// The payment intent; where there is none, the charge.
    pub(super) payment_id: String,
    /// What it is to the payment.
    pub(super) role: Role,
    /// What it shows.
    pub(super) seen: Observation,
}

/// Reads an object as it was at `as_of`. The type of the event that led to it tells a failed payment intent from a new
/// one (both "require a payment method"), and stands in for an absent status.
pub(super) fn read(
    kind: Kind,
    event_type: &str,
    object: &Value,
    as_of: DateTime<Utc>,
) -> Result<Object, BadAmount> {
    let own_id = id(&object["id"]);
    let (role, payment_id) = match kind {
        Kind::PaymentIntent => (Role::Intent, own_id),
        Kind::Charge => (Role::Charge, id(&object["payment_intent"]).or(own_id)),
        Kind::Refund => (Role::Refund, id(&object["payment_intent"]).or_else(|| id(&object["charge"]))),
        Kind::Invoice | Kind::Customer | Kind::Subscription => {
            return Ok(Object::Record(facts(kind, object)));
        }
    };
    // Some refunds give back a customer's balance and belong to no payment.
    let Some(payment_id) = payment_id else { return Ok(Object::Record(Value::Null)) };
    let (standing, refunded) = match role {
        Role::Intent => (intent_standing(event_type, object), 0),
        Role::Charge => charge_standing(event_type, object)?,
        Role::Refund => (refund_standing(event_type, object), 0),
    };
    let seen = Observation {
        as_of,
        standing,
        refunded,
        amount: amount(object, "amount")?,
        currency: code(&object["currency"]),
        customer: id(&object["customer"]),
    };
    Ok(Object::Payment(PaymentPart { payment_id, role, seen }))
}

/// The id in a field that holds an id or, expanded, the object itself. Anything that is not made of an id's
/// characters counts as absent, so that nothing else reaches a URL, a row or a summary by this way.
pub(super) fn id(field: &Value) -> Option<String> {
    code(field).or_else(|| code(field.get("id")?))
}

fn code(field: &Value) -> Option<String> {
    let text = field.as_str()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
    (1..=255).contains(&text.len()).then_some(())?;
    text.bytes().all(plain).then(|| text.to_owned())
}

fn status<'a>(event_type: &'a str, object: &'a Value) -> &'a str {
    let last_word = || event_type.rsplit('.').next().unwrap_or_default();
    object["status"].as_str().unwrap_or_else(last_word)
}

fn intent_standing(event_type: &str, object: &Value) -> Standing {
    let failed = event_type == "payment_intent.payment_failed" || !object["last_payment_error"].is_null();
    match status(event_type, object) {
        "requires_payment_method" if failed => Standing::Failed,
        "requires_payment_method" | "requires_confirmation" | "created" => Standing::New,
        "payment_failed" => Standing::Failed,
        "canceled" => Standing::Canceled,
        "succeeded" => Standing::Succeeded,
        // processing, requires_action, requires_capture, and what Stripe may add.
        _ => Standing::Pending,
    }
}

/// Also gives what was given back of it.
fn charge_standing(event_type: &str, object: &Value) -> Result<(Standing, i64), BadAmount> {
    let taken = object["captured"] != false;
    let whole = object["refunded"] == true;
    let told = match amount(object, "amount_refunded")? {
        None if whole => amount(object, "amount")?,
        told => told,
    };
    Ok(match status(event_type, object) {
        "failed" => (Standing::Failed, 0),
        "succeeded" | "captured" | "refunded" if taken => (Standing::Succeeded, told.unwrap_or(0)),
        // Only reserved; releasing a reservation shows as a refund of what was never taken.
        "succeeded" | "refunded" if whole => (Standing::Canceled, 0),
        "expired" => (Standing::Canceled, 0),
        _ => (Standing::Pending, 0),
    })
}

fn refund_standing(event_type: &str, object: &Value) -> Standing {
    match status(event_type, object) {
        "succeeded" => Standing::Succeeded,
        "failed" | "canceled" => Standing::Undone,
        _ => Standing::Pending,
    }
}

fn amount(object: &Value, field: &'static str) -> Result<Option<i64>, BadAmount> {
    match &object[field] {
        Value::Null => Ok(None),
        value => value.as_i64().filter(|amount| *amount >= 0).map(Some).ok_or(BadAmount(field)),
    }
}

/// What subscribers are told of an object that is no part of a payment.
fn facts(kind: Kind, object: &Value) -> Value {
    let number = |name: &str| object[name].as_i64();
    let own_id = id(&object["id"]);
    match kind {
        Kind::Invoice => json!({
            "provider": "stripe",
            "invoice": own_id,
            "customer": id(&object["customer"]),
            // Since API version 2025-03-31 the subscription stands under `parent`.
            "subscription": id(&object["subscription"])
                .or_else(|| id(&object["parent"]["subscription_details"]["subscription"])),
            "payment_id": id(&object["payment_intent"]),
            "status": code(&object["status"]),
            "currency": code(&object["currency"]),
            "total": number("total"),
            "amount_due": number("amount_due"),
            "amount_paid": number("amount_paid"),
            "amount_remaining": number("amount_remaining"),
        }),
        Kind::Subscription => json!({
            "provider": "stripe",
            "subscription": own_id,
            "customer": id(&object["customer"]),
            "status": code(&object["status"]),
            "currency": code(&object["currency"]),
        }),
        _ => json!({
            "provider": "stripe",
            "customer": own_id,
            "currency": code(&object["currency"]),
        }),
    }
}

#[cfg(test)]
mod tests;

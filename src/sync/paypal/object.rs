//! Reading PayPal's orders, captures and refunds: only ids, amounts, currencies and states; nothing of a person.
//!
//! An order is the intent of a payment, captures are its charges. An order never says itself that money came: it is
//! `COMPLETED` as soon as a capture was made, however that ends. So only its captures speak of money.

use crate::sync::HandlerError;
use crate::sync::payments::{MoneyError, Observation, Role, Standing, minor_units};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::Value;

/// An object does not have the form that PayPal documents.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadObject {
    /// A field.
    #[error("the field `{0}` of PayPal's object does not have the documented form")]
    Field(&'static str),
    /// An amount.
    #[error("an amount of PayPal's object cannot be kept: {0}")]
    Money(#[from] MoneyError),
}

impl From<BadObject> for HandlerError {
    fn from(error: BadObject) -> Self {
        Self::GiveUp(error.to_string())
    }
}

/// An id that can stand in a path: PayPal's are letters and digits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Id(String);

impl Id {
    /// `None` for anything else, so that nothing else reaches a URL, a row or a summary by this way.
    pub(super) fn new(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        let good = (1..=64).contains(&text.len()) && text.bytes().all(plain);
        good.then(|| Self(text.to_owned()))
    }

    fn of(field: &Value) -> Option<Self> {
        Self::new(field.as_str()?)
    }

    /// The id.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

/// A part of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// PayPal's id of it.
    pub(super) id: Id,
    /// What it is to the payment.
    pub(super) role: Role,
    /// What it shows.
    pub(super) seen: Observation,
}

/// Everything that an order shows: itself, its captures and its refunds. `started` is when it was asked for.
pub(super) fn order(id: &Id, object: &Value, started: DateTime<Utc>) -> Result<Vec<Part>, BadObject> {
    let units = list(&object["purchase_units"], "purchase_units")?;
    let mut total: Option<(i64, String)> = None;
    for unit in units {
        total = match (total, money(&unit["amount"])?) {
            (None, one) | (one, None) => one,
            (Some((sum, currency)), Some((more, same))) if currency == same => {
                Some((sum.checked_add(more).ok_or(MoneyError::Size)?, currency))
            }
            _ => return Err(BadObject::Field("purchase_units.amount.currency_code")),
        };
    }
    let standing = if object["status"] == "VOIDED" { Standing::Canceled } else { Standing::New };
    let customer = Id::of(&object["payer"]["payer_id"]).map(|payer| payer.0);
    let seen = Observation { customer, ..observation(object, started, standing, total) };
    let mut parts = vec![Part { id: id.clone(), role: Role::Intent, seen }];
    for payments in units.iter().map(|unit| &unit["payments"]) {
        for object in list(&payments["captures"], "purchase_units.payments.captures")? {
            let id = Id::of(&object["id"]).ok_or(BadObject::Field("purchase_units.payments.captures.id"))?;
            parts.push(capture(&id, object, started)?);
        }
        for object in list(&payments["refunds"], "purchase_units.payments.refunds")? {
            let id = Id::of(&object["id"]).ok_or(BadObject::Field("purchase_units.payments.refunds.id"))?;
            parts.push(refund(&id, object, started)?);
        }
    }
    Ok(parts)
}

/// What a capture shows of itself.
pub(super) fn capture(id: &Id, object: &Value, started: DateTime<Utc>) -> Result<Part, BadObject> {
    let amount = money(&object["amount"])?;
    let (standing, whole) = match status(object)? {
        "COMPLETED" | "PARTIALLY_REFUNDED" => (Standing::Succeeded, false),
        "REFUNDED" => (Standing::Succeeded, true),
        "DECLINED" | "FAILED" => (Standing::Failed, false),
        // PENDING, and what PayPal may add.
        _ => (Standing::Pending, false),
    };
    let refunded = amount.as_ref().filter(|_| whole).map_or(0, |amount| amount.0);
    let mut seen = Observation { refunded, ..observation(object, started, standing, amount) };
    if standing == Standing::Failed {
        // PayPal's times are whole seconds, and of two states of one second the further counts. Unlike the tries of other
        // providers a declined capture is never pending again.
        seen.as_of += TimeDelta::milliseconds(1);
    }
    Ok(Part { id: id.clone(), role: Role::Charge, seen })
}

/// What a refund shows of itself.
pub(super) fn refund(id: &Id, object: &Value, started: DateTime<Utc>) -> Result<Part, BadObject> {
    let standing = match status(object)? {
        "COMPLETED" => Standing::Succeeded,
        "FAILED" | "CANCELLED" => Standing::Undone,
        // PENDING, and what PayPal may add.
        _ => Standing::Pending,
    };
    let seen = observation(object, started, standing, money(&object["amount"])?);
    Ok(Part { id: id.clone(), role: Role::Refund, seen })
}

/// The order that a capture belongs to, where it names one.
pub(super) fn order_of(capture: &Value) -> Option<Id> {
    Id::of(&capture["supplementary_data"]["related_ids"]["order_id"])
        .or_else(|| up(capture, "/v2/checkout/orders/"))
}

/// The capture that a refund belongs to.
pub(super) fn capture_of(refund: &Value) -> Option<Id> {
    up(refund, "/v2/payments/captures/")
        .or_else(|| Id::of(&refund["supplementary_data"]["related_ids"]["capture_id"]))
}

/// The id at the end of the link to what an object belongs to. Only the id is taken from there, never the host.
fn up(object: &Value, collection: &str) -> Option<Id> {
    let links = object["links"].as_array()?;
    let hrefs = links.iter().filter(|link| link["rel"] == "up").filter_map(|link| link["href"].as_str());
    hrefs.filter_map(|href| href.split_once(collection)).find_map(|(_, id)| Id::new(id))
}

fn status(object: &Value) -> Result<&str, BadObject> {
    object["status"].as_str().ok_or(BadObject::Field("status"))
}

fn list<'a>(field: &'a Value, name: &'static str) -> Result<&'a [Value], BadObject> {
    match field {
        Value::Null => Ok(&[]),
        Value::Array(items) => Ok(items),
        _ => Err(BadObject::Field(name)),
    }
}

/// An amount and its currency.
fn money(field: &Value) -> Result<Option<(i64, String)>, BadObject> {
    if field.is_null() {
        return Ok(None);
    }
    let value = field["value"].as_str().ok_or(BadObject::Field("amount.value"))?;
    let currency = field["currency_code"].as_str().ok_or(BadObject::Field("amount.currency_code"))?;
    Ok(Some((minor_units(value, currency)?, currency.to_owned())))
}

/// The version of what was seen is the object's own last change: an answer of PayPal's that lags behind an earlier one
/// then cannot undo it. Only an object that tells no time takes that of the question.
fn observation(
    object: &Value,
    started: DateTime<Utc>,
    standing: Standing,
    amount: Option<(i64, String)>,
) -> Observation {
    let time = |name: &str| DateTime::parse_from_rfc3339(object[name].as_str()?).ok();
    let changed = time("update_time").or_else(|| time("create_time"));
    let (amount, currency) = amount.unzip();
    let as_of = changed.map_or(started, |time| time.to_utc());
    Observation { as_of, standing, refunded: 0, amount, currency, customer: None }
}

#[cfg(test)]
mod tests;

//! What PayPal's events set in motion: the resource is fetched, payments are kept, and what subscribers care for is
//! emitted.
//!
//! PayPal signs only a CRC-32 of the body, and a body can be forged to any CRC-32. So an event is a hint to look and
//! nothing more: of its body only the kind and the id of the resource are used, and without an API to ask nothing is
//! done.
//!
//! A payment is the order where there is one, else the capture. `payment.received` and `payment.failed` are emitted when a
//! capture is first seen taken or declined, `payment.refunded` when the refunded sum grows, whichever event shows it.

mod api;
mod kind;
mod object;

use crate::config::Settings;
use crate::sync::ledger::{Finding, Tells};
use crate::sync::payments::{self, Mark, PaymentChange, Role, Standing};
use crate::sync::{Context, Event, Handler, HandlerError, Outcome};
use api::Api;
use chrono::{DateTime, Utc};
use kind::Kind;
use object::{BadObject, Id, Part};
use serde::Deserialize;
use serde_json::Value;

/// Handles PayPal's events.
pub struct PaypalHandler {
    api: Option<Api>,
}

/// What an event hints at.
struct Hint {
    kind: Kind,
    id: Id,
}

/// What is true of a payment.
struct Look {
    payment_id: Id,
    /// The first is what the event is about.
    parts: Vec<Part>,
}

const NO_CREDENTIALS: &str = "PayPal's signature covers the body only weakly and there is no API to ask: set \
                              PAYPAL_CLIENT_ID and PAYPAL_CLIENT_SECRET, then replay the event";

impl PaypalHandler {
    /// A handler that fetches resources if the settings hold the id and the secret of a REST app.
    pub fn new(settings: &Settings) -> Self {
        Self { api: Api::new(&settings.paypal) }
    }
}

#[async_trait::async_trait]
impl Handler for PaypalHandler {
    fn provider(&self) -> &'static str {
        "paypal"
    }

    fn wants(&self, event_type: &str) -> bool {
        Kind::of_type(event_type).is_some()
    }

    async fn handle(&self, event: &Event, cx: &Context) -> Result<Outcome, HandlerError> {
        let Some(api) = &self.api else { return Ok(Outcome::ignored(NO_CREDENTIALS)) };
        let hint = Hint::read(event)?;
        let started = payments::now(&mut *cx.pool.get().await?).await?;
        // No connection is held while PayPal is asked.
        let look = hint.look(api, started).await?;
        let done = look.keep(event, cx).await?;
        Ok(Outcome::completed(format!("{} {} (fetched): {done}", hint.kind.name(), hint.id.as_str())))
    }
}

#[derive(Deserialize)]
struct Body {
    #[serde(default)]
    resource_type: Value,
    resource: Resource,
}

#[derive(Deserialize)]
struct Resource {
    #[serde(default)]
    id: Value,
    /// Stands in for the id where an approval was reversed.
    #[serde(default)]
    order_id: Value,
}

impl Hint {
    fn read(event: &Event) -> Result<Self, HandlerError> {
        let give_up = |reason: &str| HandlerError::GiveUp(reason.to_owned());
        let body: Body = serde_json::from_slice(&event.body)
            .map_err(|_| give_up("the body is not a JSON object with `resource`"))?;
        let by_resource = body.resource_type.as_str().and_then(Kind::of_resource);
        let kind = by_resource
            .or_else(|| Kind::of_type(&event.event_type))
            .ok_or_else(|| give_up("events of this type are not handled"))?;
        let id = match (&body.resource.id, kind) {
            (Value::Null, Kind::Order) => &body.resource.order_id,
            (id, _) => id,
        };
        let id = id.as_str().and_then(Id::new).ok_or_else(|| give_up("`resource.id` is no id of PayPal"))?;
        Ok(Self { kind, id })
    }

    /// Asks PayPal what is true now.
    async fn look(&self, api: &Api, started: DateTime<Utc>) -> Result<Look, HandlerError> {
        let object = api.fetch(self.kind, &self.id).await?;
        match self.kind {
            Kind::Order => {
                let parts = object::order(&self.id, &object, started)?;
                Ok(Look { payment_id: self.id.clone(), parts })
            }
            Kind::Capture => {
                let parts = vec![object::capture(&self.id, &object, started)?];
                Ok(Look { payment_id: payment_of(&self.id, &object), parts })
            }
            Kind::Refund => {
                let refund = object::refund(&self.id, &object, started)?;
                // Only the capture knows the order; and it shows what the payment came to.
                let capture_id = object::capture_of(&object).ok_or(BadObject::Field("links"))?;
                let object = api.fetch(Kind::Capture, &capture_id).await?;
                let capture = object::capture(&capture_id, &object, started)?;
                Ok(Look { payment_id: payment_of(&capture_id, &object), parts: vec![refund, capture] })
            }
        }
    }
}

fn payment_of(capture_id: &Id, capture: &Value) -> Id {
    object::order_of(capture).unwrap_or_else(|| capture_id.clone())
}

impl Look {
    /// Keeps and emits what follows, and says what that was.
    async fn keep(&self, event: &Event, cx: &Context) -> Result<String, HandlerError> {
        let rank = self.parts.first().map_or(0, |part| Mark::rank(part.role, &part.seen));
        let mark = Mark { at: event.happened_at(), rank, event_id: event.event_id.clone() };
        let change = |part: &Part| PaymentChange {
            provider: event.provider.clone(),
            payment_id: self.payment_id.as_str().to_owned(),
            object_id: part.id.as_str().to_owned(),
            role: part.role,
            seen: part.seen.clone(),
            event: mark.clone(),
        };
        let changes = self.parts.iter().map(change).collect();
        let roles: Vec<Role> = self.parts.iter().map(|part| part.role).collect();
        let tells: Tells = Box::new(move |applied| {
            let captures = roles.iter().zip(applied).filter(|(role, _)| **role == Role::Charge);
            let reached: Vec<_> = captures.filter_map(|(_, applied)| applied.reached).collect();
            let steps = [
                ("payment.received", reached.contains(&Standing::Succeeded)),
                ("payment.failed", reached.contains(&Standing::Failed)),
                ("payment.refunded", applied.iter().any(|applied| applied.newly_refunded > 0)),
            ];
            steps.into_iter().filter(|step| step.1).map(|step| step.0).collect()
        });
        let written = cx.ledger.write(event, Finding::Payment { changes, tells }).await?;
        // There is always a part.
        let Some(payment) = &written.payment else { return Ok("nothing to keep".to_owned()) };
        Ok(format!("payment {} is {}, {}", payment.payment_id, payment.status().name(), written.told()))
    }
}

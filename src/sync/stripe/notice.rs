//! One event: what it says, and what follows once the truth about its object is known.

use super::fetches::Fetch;
use super::kind::Kind;
use super::object::{self, Object, PaymentPart};
use crate::sync::ledger::{Finding, Tells};
use crate::sync::payments::{Mark, PaymentChange, Standing};
use crate::sync::{Context, Event, HandlerError, Outcome};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::Value;

/// An event about an object with an id.
pub(super) struct Notice<'a> {
    event: &'a Event,
    /// Kind of the object.
    pub(super) kind: Kind,
    /// Id of the object.
    pub(super) object_id: String,
    /// The object as it was when the event happened.
    pub(super) object: Object,
    account: Option<String>,
}

/// An event as it reads.
pub(super) enum Reading<'a> {
    /// There is something to do.
    Notice(Notice<'a>),
    /// There is nothing to do.
    Nothing(Outcome),
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    account: Value,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    object: Value,
}

impl<'a> Notice<'a> {
    /// Reads an event.
    pub(super) fn read(event: &'a Event) -> Result<Reading<'a>, HandlerError> {
        let give_up = |reason: &str| HandlerError::GiveUp(reason.to_owned());
        let Some(kind) = Kind::of_type(&event.event_type) else {
            return Ok(Reading::Nothing(Outcome::ignored("events of this type are not handled")));
        };
        let envelope: Envelope = serde_json::from_slice(&event.body)
            .map_err(|_| give_up("the body is not a JSON object with `data.object`"))?;
        let object = &envelope.data.object;
        if object["object"].as_str().is_some_and(|name| name != kind.name()) {
            return Ok(Reading::Nothing(Outcome::ignored(
                "the object is not of the kind that its type names",
            )));
        }
        // A preview of an invoice, say.
        if object["id"].is_null() {
            return Ok(Reading::Nothing(Outcome::completed(
                "the object has no id, there is nothing to keep",
            )));
        }
        let object_id =
            object::id(&object["id"]).ok_or_else(|| give_up("`data.object.id` is no id of Stripe"))?;
        let account = match &envelope.account {
            Value::Null => None,
            account => Some(object::id(account).ok_or_else(|| give_up("`account` is no id of Stripe"))?),
        };
        let object = object::read(kind, &event.event_type, object, event.happened_at())?;
        Ok(Reading::Notice(Self { event, kind, object_id, object, account }))
    }

    /// Type of the event.
    pub(super) fn event_type(&self) -> &str {
        &self.event.event_type
    }

    /// When the event was stored, by the database's clock.
    pub(super) fn received_at(&self) -> DateTime<Utc> {
        self.event.received_at
    }

    /// The connected account that the object belongs to.
    pub(super) fn account(&self) -> Option<&str> {
        self.account.as_deref()
    }

    /// Whether the event itself says that the object cannot be fetched any more.
    pub(super) fn says_deleted(&self) -> bool {
        self.kind.is_deleted_by(self.event_type())
    }

    /// The object by a fetch that began after the event was stored. What that fetch found of a payment's part is merged
    /// already; the event's own object, dated before it, cannot undo that.
    pub(super) fn answer(&self, fetch: Fetch) -> Object {
        match (self.object.clone(), fetch.facts) {
            _ if fetch.gone => Object::Gone,
            (_, Some(facts)) => Object::Record(facts),
            (Object::Payment(mut part), None) => {
                part.seen.as_of = part.seen.as_of.min(self.event.received_at);
                Object::Payment(part)
            }
            (own, None) => own,
        }
    }

    /// Keeps and emits what follows from the true object, and says what that was.
    pub(super) async fn act(&self, object: &Object, cx: &Context) -> Result<String, HandlerError> {
        match object {
            Object::Gone => Ok("it is gone at Stripe".to_owned()),
            Object::Payment(part) => self.keep(part, cx).await,
            Object::Record(_) if self.kind == Kind::Refund => Ok("it belongs to no payment".to_owned()),
            Object::Record(facts) => {
                let finding = Finding::Fact {
                    event_type: self.event_type().to_owned(),
                    subject: self.object_id.clone(),
                    data: facts.clone(),
                };
                Ok(cx.ledger.write(self.event, finding).await?.told())
            }
        }
    }

    async fn keep(&self, part: &PaymentPart, cx: &Context) -> Result<String, HandlerError> {
        let own = if let Object::Payment(own) = &self.object { own } else { part };
        let change = PaymentChange {
            provider: self.event.provider.clone(),
            payment_id: part.payment_id.clone(),
            object_id: self.object_id.clone(),
            role: part.role,
            seen: part.seen.clone(),
            event: Mark {
                at: self.event.happened_at(),
                rank: Mark::rank(own.role, &own.seen),
                event_id: self.event.event_id.clone(),
            },
        };
        let announced = self.announces(own);
        let tells: Tells = Box::new(move |applied| {
            let refunded = applied.iter().any(|applied| applied.newly_refunded > 0);
            announced.into_iter().chain(refunded.then_some("payment.refunded")).collect()
        });
        let written = cx.ledger.write(self.event, Finding::Payment { changes: vec![change], tells }).await?;
        let status = written.payment.as_ref().map_or("unknown", |payment| payment.status().name());
        Ok(format!("payment {} is {status}, {}", part.payment_id, written.told()))
    }

    /// What the event says by its type. A charge of a payment intent leaves that to its intent; a charge that only
    /// reserves money has not brought any.
    fn announces(&self, own: &PaymentPart) -> Option<&'static str> {
        let alone = own.payment_id == self.object_id;
        match self.event_type() {
            "payment_intent.succeeded" => Some("payment.received"),
            "payment_intent.payment_failed" => Some("payment.failed"),
            "charge.succeeded" | "charge.captured" if alone && own.seen.standing == Standing::Succeeded => {
                Some("payment.received")
            }
            "charge.failed" if alone => Some("payment.failed"),
            _ => None,
        }
    }
}

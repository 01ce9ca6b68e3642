//! Payments as they are stored, and what changes make of them. Pure.

use super::merge::{Mark, Observation, Overflow, Part, Parts, Role, Standing, Status, Summary};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// What an event brought to light of one part of a payment.
#[derive(Debug, Clone)]
pub struct PaymentChange {
    /// The provider.
    pub provider: String,
    /// The payment: the provider's id of the intent where there is one, else of the charge.
    pub payment_id: String,
    /// The provider's id of the part.
    pub object_id: String,
    /// What the part is to the payment.
    pub role: Role,
    /// What it showed.
    pub seen: Observation,
    /// The event.
    pub event: Mark,
}

/// A payment after a change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The payment as it is now.
    pub payment: PaymentState,
    /// Minor units by which the refunded amount grew. Of several events that tell of one refund only one sees it.
    pub newly_refunded: i64,
    /// How far the part has come by this change; `None` if it was there before. Of several events that tell of one step
    /// only one sees it.
    pub reached: Option<Standing>,
}

/// What a payment came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentState {
    /// The provider.
    pub provider: String,
    /// The provider's id of it.
    pub payment_id: String,
    summary: Summary,
}

impl PaymentState {
    /// Where it stands.
    pub fn status(&self) -> Status {
        self.summary.status
    }

    /// What subscribers are told of it.
    pub fn facts(&self) -> Value {
        json!({
            "provider": self.provider,
            "payment_id": self.payment_id,
            "status": self.summary.status,
            "amount": self.summary.amount,
            "amount_refunded": self.summary.amount_refunded,
            "currency": self.summary.currency,
            "customer": self.summary.customer,
        })
    }
}

/// A payment's key: provider, and the provider's id of it.
pub(super) type Key = (String, String);

/// One payment of the book.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) summary: Summary,
    pub(super) last: Mark,
    pub(super) parts: Parts,
    /// Whether it was stored before.
    pub(super) stored: bool,
    /// Whether it has to be stored.
    pub(super) changed: bool,
}

/// The payments that a batch of changes is about. The changes are applied one after another, as if each were stored before
/// the next is looked at.
#[derive(Debug, Clone, Default)]
pub(super) struct Book {
    payments: BTreeMap<Key, Entry>,
    /// Payment of each known part, by provider and the provider's id of the part.
    owners: BTreeMap<Key, String>,
    /// Parts that have to be stored.
    changed_parts: BTreeSet<Key>,
}

impl Book {
    /// Takes in a stored payment.
    pub(super) fn enter(&mut self, key: Key, summary: Summary, last: Mark) {
        let (parts, stored, changed) = (Parts::default(), true, false);
        self.payments.insert(key, Entry { summary, last, parts, stored, changed });
    }

    /// Takes in a stored part of a payment that was taken in.
    pub(super) fn enter_part(&mut self, payment: &Key, object_id: String, part: &Part) {
        if let Some(entry) = self.payments.get_mut(payment) {
            entry.parts.observe(&object_id, part);
            self.owners.insert((payment.0.clone(), object_id), payment.1.clone());
        }
    }

    /// Applies a change.
    pub(super) fn apply(&mut self, change: &PaymentChange) -> Result<Applied, Overflow> {
        let object = (change.provider.clone(), change.object_id.clone());
        // What was taken for a payment of its own may turn out to be a part of another.
        if let Some(owner) = self.owners.get(&object).filter(|owner| **owner != change.payment_id)
            && let Some(payment) = self.payments.get_mut(&(change.provider.clone(), owner.clone()))
        {
            payment.parts.forget(&change.object_id);
        }
        let key = (change.provider.clone(), change.payment_id.clone());
        let payment = self.payments.entry(key).or_insert_with(|| Entry {
            summary: Summary::unknown(),
            last: change.event.clone(),
            parts: Parts::default(),
            stored: false,
            changed: true,
        });
        let part = Part { role: change.role, seen: change.seen.clone() };
        let standing = payment.parts.standing(&change.object_id);
        let newer = payment.parts.observe(&change.object_id, &part);
        if newer {
            self.owners.insert(object.clone(), change.payment_id.clone());
            self.changed_parts.insert(object);
        }
        let reached = (newer && standing != Some(change.seen.standing)).then_some(change.seen.standing);
        let after = payment.parts.summarize()?;
        let newly_refunded = after.amount_refunded.saturating_sub(payment.summary.amount_refunded).max(0);
        if after != payment.summary || change.event > payment.last {
            payment.changed = true;
            payment.summary = after;
            payment.last = payment.last.clone().max(change.event.clone());
        }
        let (provider, payment_id) = (change.provider.clone(), change.payment_id.clone());
        let payment = PaymentState { provider, payment_id, summary: payment.summary.clone() };
        Ok(Applied { payment, newly_refunded, reached })
    }

    /// The payments that have to be stored, by their keys; `stored` says whether they were before.
    pub(super) fn changed(&self, stored: bool) -> Vec<(&Key, &Entry)> {
        self.payments.iter().filter(|(_, entry)| entry.changed && entry.stored == stored).collect()
    }

    /// The parts that have to be stored, by their keys, each with the id of its payment.
    pub(super) fn changed_parts(&self) -> Vec<(&Key, &str, &Part)> {
        let found = self.changed_parts.iter().filter_map(|object| {
            let payment_id = self.owners.get(object)?;
            let payment = self.payments.get(&(object.0.clone(), payment_id.clone()))?;
            Some((object, payment_id.as_str(), payment.parts.get(&object.1)?))
        });
        found.collect()
    }
}

#[cfg(test)]
mod tests;

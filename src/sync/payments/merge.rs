//! What is known of one payment, and what follows from it. Pure.
//!
//! A payment shows itself in parts (an intent, its charges, their refunds) whose events come in any order and side
//! by side. Of each part the greatest observation is kept, in a total order that starts with its time, and the
//! payment is computed from the kept ones alone. So the result depends on what was seen and never on when it came.

use crate::db::schema::{payment_parts, payments};
use crate::sync::names::stored_as_text;
use chrono::{DateTime, Utc};
use diesel::deserialize::FromSqlRow;
use diesel::expression::AsExpression;
use diesel::prelude::*;
use diesel::sql_types::Text;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use utoipa::ToSchema;

/// What a part is to its payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, AsExpression, FromSqlRow)]
#[diesel(sql_type = Text)]
pub enum Role {
    /// The wish to be paid; may take several charges to come true.
    Intent,
    /// One try to take the money.
    Charge,
    /// Money given back.
    Refund,
}

stored_as_text!(Role { Intent => "intent", Charge => "charge", Refund => "refund" });

/// How far a part has come. The order decides between observations of one instant: a part only moves on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, AsExpression, FromSqlRow)]
#[diesel(sql_type = Text)]
pub enum Standing {
    /// Nothing was tried yet.
    New,
    /// The last try failed; another may follow.
    Failed,
    /// A try is under way, or money is reserved and not taken.
    Pending,
    /// Given up for good, nothing was taken.
    Canceled,
    /// Done: the money moved.
    Succeeded,
    /// A refund that was done or under way and came to nothing: the money is back with the merchant.
    Undone,
}

stored_as_text!(Standing {
    New => "new",
    Failed => "failed",
    Pending => "pending",
    Canceled => "canceled",
    Succeeded => "succeeded",
    Undone => "undone",
});

/// What a part showed at one time. Greater is newer; within one instant, further. The later fields only make the
/// order total.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = payment_parts, treat_none_as_null = true)]
pub struct Observation {
    /// Its version: the time of the event that brought it, of the start of the fetch, or of the object's last change
    /// where the object tells that; of one provider always of one clock.
    pub as_of: DateTime<Utc>,
    /// How far it has come.
    pub standing: Standing,
    /// What a charge says was given back of it, minor units; 0 for others.
    pub refunded: i64,
    /// Minor units.
    pub amount: Option<i64>,
    /// As the provider gives it.
    pub currency: Option<String>,
    /// The provider's id of the customer.
    pub customer: Option<String>,
}

/// A part with its newest observation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    /// What it is to the payment.
    pub role: Role,
    /// Its newest observation.
    pub seen: Observation,
}

/// An event, as a candidate for being a payment's last one. Greater is later.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = payments)]
pub struct Mark {
    /// When it happened, by the provider's clock, which may tick in whole seconds.
    #[diesel(column_name = last_event_at)]
    pub at: DateTime<Utc>,
    /// How far it saw the payment ([`Mark::rank`]): decides within one tick.
    #[diesel(column_name = last_event_rank)]
    pub rank: i16,
    /// The provider's id of it.
    #[diesel(column_name = last_event_id)]
    pub event_id: String,
}

impl Mark {
    /// The rank of an event that brought this observation.
    pub fn rank(role: Role, seen: &Observation) -> i16 {
        let refunded = match role {
            Role::Refund => 1,
            _ if seen.refunded == 0 => 0,
            _ if seen.amount.is_some_and(|amount| seen.refunded >= amount) => 2,
            _ => 1,
        };
        seen.standing as i16 * 3 + refunded
    }
}

/// What operators and subscribers are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, AsExpression, FromSqlRow, Serialize, Deserialize, ToSchema)]
#[diesel(sql_type = Text)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Not decided.
    Pending,
    /// Paid.
    Succeeded,
    /// The last try failed.
    Failed,
    /// Given up.
    Canceled,
    /// Paid and given back whole.
    Refunded,
    /// Paid and given back in part.
    PartiallyRefunded,
}

stored_as_text!(Status {
    Pending => "pending",
    Succeeded => "succeeded",
    Failed => "failed",
    Canceled => "canceled",
    Refunded => "refunded",
    PartiallyRefunded => "partially_refunded",
});

/// A payment as its parts make it.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, AsChangeset)]
#[diesel(table_name = payments, treat_none_as_null = true)]
pub(super) struct Summary {
    /// Its status.
    pub status: Status,
    /// Minor units; `None` while only refunds were seen.
    pub amount: Option<i64>,
    /// Minor units given back.
    pub amount_refunded: i64,
    /// As the provider gives it.
    pub currency: Option<String>,
    /// The provider's id of the customer.
    pub customer: Option<String>,
}

impl Summary {
    /// Of a payment of which nothing is known yet.
    pub(super) fn unknown() -> Self {
        Self { status: Status::Pending, amount: None, amount_refunded: 0, currency: None, customer: None }
    }
}

/// The charges or refunds of a payment add up to more than 63 bits hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the charges or refunds of the payment add up to more than an amount can hold")]
pub struct Overflow;

/// The parts of one payment, each with its newest observation, by the provider's ids of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Parts(BTreeMap<String, Part>);

impl Parts {
    /// Takes in what a part showed; gives whether that is newer than what was known of it.
    pub(super) fn observe(&mut self, object_id: &str, part: &Part) -> bool {
        let newer = self.0.get(object_id).is_none_or(|known| known.seen < part.seen);
        if newer {
            self.0.insert(object_id.to_owned(), part.clone());
        }
        newer
    }

    /// How far a part has come, as far as is known.
    pub(super) fn standing(&self, object_id: &str) -> Option<Standing> {
        self.0.get(object_id).map(|part| part.seen.standing)
    }

    /// What is known of a part.
    pub(super) fn get(&self, object_id: &str) -> Option<&Part> {
        self.0.get(object_id)
    }

    /// Takes out what belongs to another payment.
    pub(super) fn forget(&mut self, object_id: &str) {
        self.0.remove(object_id);
    }

    /// Computes the payment.
    pub(super) fn summarize(&self) -> Result<Summary, Overflow> {
        let speaker = self.speaker();
        // A refund shows that there was money to give back, where nothing else is known of the payment.
        let standing = speaker.map_or(Standing::Succeeded, |part| part.seen.standing);
        let told =
            self.first(speaker, |part| if part.role == Role::Refund { None } else { part.seen.amount });
        // One payment may be taken in several charges; each knows only of itself.
        let by_charge =
            speaker.is_some_and(|part| part.role == Role::Charge && standing == Standing::Succeeded);
        let amount = if by_charge { self.taken()?.or(told) } else { told };
        // A released reservation looks like a refund; as nothing was taken, nothing was given back.
        let amount_refunded = if standing == Standing::Succeeded { self.given_back()? } else { 0 };
        let status = match standing {
            Standing::New | Standing::Pending => Status::Pending,
            Standing::Failed => Status::Failed,
            Standing::Canceled | Standing::Undone => Status::Canceled,
            Standing::Succeeded if amount_refunded == 0 => Status::Succeeded,
            Standing::Succeeded if amount.is_some_and(|amount| amount_refunded >= amount) => Status::Refunded,
            Standing::Succeeded => Status::PartiallyRefunded,
        };
        Ok(Summary {
            status,
            amount,
            amount_refunded,
            currency: self.first(speaker, |part| part.seen.currency.clone()),
            customer: self.first(speaker, |part| part.seen.customer.clone()),
        })
    }

    /// The part that speaks for the payment: one that took the money; else the intent, which knows of all its
    /// charges, unless it knows of none yet; else the newest charge. Times of different parts are compared last:
    /// an old failed charge may be fetched later than the intent that was tried again.
    fn speaker(&self) -> Option<&Part> {
        self.0.values().filter(|part| part.role != Role::Refund).max_by_key(|part| {
            let taken = part.seen.standing == Standing::Succeeded;
            let tried = part.seen.standing > Standing::New;
            (taken, tried && part.role == Role::Intent, tried, &part.seen)
        })
    }

    /// A fact from the part that speaks, else from the newest part that knows it.
    fn first<T>(&self, speaker: Option<&Part>, get: impl Fn(&Part) -> Option<T>) -> Option<T> {
        let others = || self.0.values().filter(|part| get(part).is_some()).max_by_key(|part| &part.seen);
        speaker.and_then(&get).or_else(|| get(others()?))
    }

    /// What the charges took together, as far as they tell.
    fn taken(&self) -> Result<Option<i64>, Overflow> {
        let taken = |part: &&Part| part.role == Role::Charge && part.seen.standing == Standing::Succeeded;
        let mut amounts = self.0.values().filter(taken).filter_map(|part| part.seen.amount);
        let Some(first) = amounts.next() else { return Ok(None) };
        amounts.try_fold(first, i64::checked_add).map(Some).ok_or(Overflow)
    }

    /// Charges tell a total and refunds tell themselves; either kind of event may be missing, so the greater counts.
    /// What a charge told before a refund came to nothing still holds that refund.
    fn given_back(&self) -> Result<i64, Overflow> {
        let (mut told, mut newest_charge) = (0_i64, None);
        for charge in self.0.values().filter(|part| part.role == Role::Charge) {
            told = told.checked_add(charge.seen.refunded).ok_or(Overflow)?;
            newest_charge = newest_charge.max(Some(charge.seen.as_of));
        }
        let mut sum = 0_i64;
        for refund in self.0.values().filter(|part| part.role == Role::Refund).map(|part| &part.seen) {
            let amount = refund.amount.unwrap_or(0);
            match refund.standing {
                Standing::Succeeded => sum = sum.checked_add(amount).ok_or(Overflow)?,
                Standing::Undone if Some(refund.as_of) >= newest_charge => told = told.saturating_sub(amount),
                _ => {}
            }
        }
        Ok(told.max(sum))
    }
}

#[cfg(test)]
mod tests;

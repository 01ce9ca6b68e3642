//! What is known of one message, and what follows from it. Pure.
//!
//! Providers tell each step of a message by itself, in any order and sometimes twice. What is kept is the set of all
//! steps that were told; the status is the furthest of them. So it never goes back, and the end does not depend on the
//! order. (Twilio: facts/c2s-stripe-paypal-twilio.md 3.5.)

use crate::sync::names::stored_as_text;
use diesel::deserialize::FromSqlRow;
use diesel::expression::AsExpression;
use diesel::sql_types::Text;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How far a message has come. The order is that of the steps. The ends (from `canceled` on) are final; only a delivered
/// message may still be read. No provider tells two of the others of one message; if one did, the greater would win
/// whichever came first, because the end must not depend on the order.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    AsExpression,
    FromSqlRow,
    Serialize,
    Deserialize,
    ToSchema,
)]
#[diesel(sql_type = Text)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// To be sent at a later time.
    Scheduled,
    /// Taken in; who sends it is not decided.
    Accepted,
    /// Waits to be sent.
    Queued,
    /// Comes in.
    Receiving,
    /// On its way out.
    Sending,
    /// Given to the carrier or to the push service.
    Sent,
    /// Some of its recipients have it.
    PartiallyDelivered,
    /// Given up before it was sent.
    Canceled,
    /// It could not be sent.
    Failed,
    /// It was sent and did not arrive.
    Undelivered,
    /// It came in.
    Received,
    /// It arrived.
    Delivered,
    /// It was read or opened.
    Read,
}

stored_as_text!(Status {
    Scheduled => "scheduled",
    Accepted => "accepted",
    Queued => "queued",
    Receiving => "receiving",
    Sending => "sending",
    Sent => "sent",
    PartiallyDelivered => "partially_delivered",
    Canceled => "canceled",
    Failed => "failed",
    Undelivered => "undelivered",
    Received => "received",
    Delivered => "delivered",
    Read => "read",
});

impl Status {
    /// Whether nothing but its being read can follow.
    pub fn is_end(self) -> bool {
        self >= Self::Canceled
    }

    /// The word for an event of this status.
    pub fn event_type(self) -> String {
        format!("message.{}", self.name())
    }
}

/// Which way a message goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, AsExpression, FromSqlRow, Serialize, ToSchema)]
#[diesel(sql_type = Text)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// To the company.
    Inbound,
    /// From the company.
    Outbound,
}

stored_as_text!(Direction { Inbound => "inbound", Outbound => "outbound" });

/// A provider's id of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MessageId(String);

impl MessageId {
    /// Longest, in bytes.
    const MAX: usize = 255;

    /// Visible ASCII; `None` for anything else, which a row, a cursor or an outcome should not show.
    pub fn new(text: &str) -> Option<Self> {
        let good = (1..=Self::MAX).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic());
        good.then(|| Self(text.to_owned()))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A provider's code for why a message did not arrive.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ErrorCode(String);

impl ErrorCode {
    /// A number or a word such as `30003` or `UNREGISTERED`; `None` for anything else: sentences may hold a number or a
    /// name.
    pub fn new(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte);
        let good = (1..=64).contains(&text.len()) && text.bytes().all(plain);
        good.then(|| Self(text.to_owned()))
    }

    /// The code.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// What is known of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    /// Every status that was told, in order and without repetition; never empty.
    pub(super) seen: Vec<Status>,
    /// Why it stands there.
    pub(super) error_code: Option<String>,
    /// The event that brought the status.
    pub(super) last_event_id: String,
}

impl Known {
    /// Takes in a status; gives whether it was told for the first time. What else an event brings counts only if it
    /// brings the furthest status.
    pub(super) fn observe(&mut self, status: Status, error_code: Option<&ErrorCode>, event_id: &str) -> bool {
        let furthest = self.seen.last().copied();
        let code = error_code.map(|code| code.0.clone());
        if furthest.is_none_or(|furthest| status > furthest) {
            self.error_code = code;
            event_id.clone_into(&mut self.last_event_id);
        } else if furthest == Some(status) {
            // Two tell the same status: more is known with a code than without, and the rest only makes the end one.
            self.error_code = self.error_code.take().max(code);
            if event_id < self.last_event_id.as_str() {
                event_id.clone_into(&mut self.last_event_id);
            }
        }
        match self.seen.binary_search(&status) {
            Ok(_) => false,
            Err(place) => {
                self.seen.insert(place, status);
                true
            }
        }
    }
}

#[cfg(test)]
mod tests;

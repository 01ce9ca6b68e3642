//! What a genuine request says.

use bytes::Bytes;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// Longest `event_id`, in bytes: a unique index has to hold it.
pub const MAX_EVENT_ID: usize = 512;
/// Longest `event_type`, in bytes.
pub const MAX_EVENT_TYPE: usize = 255;
/// Longest `subject`, in bytes.
pub const MAX_SUBJECT: usize = 512;
/// Longest `envelope`, in bytes: every event of a request is stored with its own copy.
pub const MAX_ENVELOPE: usize = 4096;
/// Most events of one request: a row each comes of them, in one commit.
pub const MAX_EVENTS: usize = 10_000;

/// A genuine request, or one event of it, that cannot be read. The text is for the sender: it names fields, never
/// values.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unreadable(pub String);

/// One event as its provider tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// The provider's own id of the event: with the provider's name the key that makes redelivery harmless.
    pub event_id: String,
    /// What happened.
    pub event_type: String,
    /// What it is about; events of one subject are handled in order.
    pub subject: Option<String>,
    /// When it happened, by the provider's clock.
    pub occurred_at: Option<DateTime<Utc>>,
    /// Exact bytes: the request body, or the slice of it that is this event.
    pub body: Bytes,
    /// What the request said about all its events outside their own bytes, as JSON text.
    pub envelope: Option<String>,
    /// A key beside the id, where the id is not covered by the proof.
    pub second_key: Option<SecondKey>,
    /// Somebody waits for what comes of it: it goes ahead of events that are not urgent.
    pub urgent: bool,
}

/// A key that a captured request keeps when it comes back under another id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SecondKey {
    /// SHA-256 of the event's bytes, or of what the scheme says instead.
    pub key: [u8; 32],
    /// Whether a known key under a new id counts as a duplicate; if not, it is stored as a suspected replay.
    pub drop: bool,
}

/// What to do with known bytes under a new id.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Replay {
    /// Nothing: the id is proven, or bodies repeat by nature.
    #[default]
    Off,
    /// Keep it, and let no handler see it before an operator has.
    Flag,
    /// Count it as a duplicate.
    Drop,
}

/// What a genuine, readable request holds.
#[derive(Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The events in their order; one that cannot be read does not spoil the others.
    pub events: Vec<Result<Incoming, RejectedPart>>,
}

/// One unreadable event of a readable batch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RejectedPart {
    /// Why it cannot be read.
    pub reason: Unreadable,
    /// Its exact bytes.
    pub body: Bytes,
}

impl Incoming {
    /// Refuses keys that Postgres cannot hold or index, and an envelope that would fill it.
    pub(in crate::providers) fn checked(self) -> Result<Self, Unreadable> {
        check_key("the event id", &self.event_id, MAX_EVENT_ID)?;
        check_key("the event type", &self.event_type, MAX_EVENT_TYPE)?;
        if let Some(subject) = &self.subject {
            check_key("the subject", subject, MAX_SUBJECT)?;
        }
        if self.envelope.as_ref().is_some_and(|envelope| envelope.len() > MAX_ENVELOPE) {
            let text = format!("what is said of all events together is longer than {MAX_ENVELOPE} bytes");
            return Err(Unreadable(text));
        }
        Ok(self)
    }
}

/// Refuses more events than one commit shall hold.
pub(in crate::providers) fn check_count(events: usize) -> Result<(), Unreadable> {
    if events > MAX_EVENTS {
        return Err(Unreadable(format!("more than {MAX_EVENTS} events in one request")));
    }
    Ok(())
}

fn check_key(what: &str, value: &str, max: usize) -> Result<(), Unreadable> {
    if value.is_empty() {
        Err(Unreadable(format!("{what} is empty")))
    } else if value.len() > max {
        Err(Unreadable(format!("{what} is longer than {max} bytes")))
    } else if value.contains('\0') {
        Err(Unreadable(format!("{what} holds a NUL character")))
    } else {
        Ok(())
    }
}

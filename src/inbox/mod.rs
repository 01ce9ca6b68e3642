//! Events, stored exactly once under (`provider`, `event_id`).

mod emit;
mod insert;
mod model;
mod queries;
mod replays;
mod stats;
mod writer;

pub use emit::{Emission, HOOKGATE, emit, emit_all};
pub use insert::bring_in;
pub(crate) use insert::is_about_data;
pub use model::{EventDetail, EventFilter, EventSummary, NewEvent, Receipt, Status, lane};
pub use queries::{Steered, find, list, lookup, replay, replay_matching, retry};
pub use stats::{Count, counts};
pub use writer::{Inbox, InboxError, WriterSettings};

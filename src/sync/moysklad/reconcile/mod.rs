//! Finds and brings over what no webhook told of.
//!
//! A sweep asks an account for what has changed since the last one and stores an event for each, just as if its webhook
//! had come: the same dedupe, the same handler, the same order. An event is named after the entity and its last change, so
//! that what an overlap shows again is known already. Deletes leave no trace in `updated`; they are found by comparing the
//! ids that are mapped with those that are there.

mod found;
mod import;
mod listing;
mod schedule;
mod sweep;
mod watch;

pub use import::{Import, ImportError, Progress};
pub use watch::watch;

use super::api::ApiError;
use super::work::{Pair, Work};
use crate::queue::Outcome;
use crate::sync::tasks::Task;

/// Whether a sweep found the event of this id; MoySklad sent the others.
pub(super) fn is_found(event_id: &str) -> bool {
    event_id.strip_prefix(found::SWEEP).is_some_and(|rest| rest.starts_with(':'))
}

/// Whether [`run`] runs this task: none is, a sweep makes events.
pub(super) fn takes(_task: &Task) -> bool {
    false
}

/// Compares a child with main, or one step of it.
pub(super) async fn run(_task: &Task, _pair: &Pair, _cx: &Work) -> Result<Outcome, ApiError> {
    Ok(Outcome::ignored("sweeps make events, not tasks"))
}

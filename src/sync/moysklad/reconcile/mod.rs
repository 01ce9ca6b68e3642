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
mod told;
mod watch;

pub(super) use listing::there;
pub(super) use schedule::{forget_trouble, trouble};

pub use import::{Import, ImportError, Progress};
pub use watch::watch;

/// Whether a sweep found the event of this id; MoySklad sent the others.
pub(super) fn is_found(event_id: &str) -> bool {
    event_id.strip_prefix(found::SWEEP).is_some_and(|rest| rest.starts_with(':'))
}

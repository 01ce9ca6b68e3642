//! Events, stored exactly once under (provider, event_id).

mod emit;
mod model;
mod queries;
mod writer;

pub use emit::{Emission, emit};
pub use model::NewEvent;
pub use writer::Inbox;

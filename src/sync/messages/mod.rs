//! Messages and push notifications of every provider in one table: how far each has come, whatever the order in which
//! that is told.
//!
//! Private by default: no number, no address and no text of a message is kept or emitted.

mod model;
mod queries;
mod store;

pub use model::{Direction, ErrorCode, MessageId, Status};
pub use queries::{Message, list};
pub use store::{Applied, Sighting, apply};

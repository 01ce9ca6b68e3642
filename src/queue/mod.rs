//! The one work engine: claim, lease, retry, finish, over any table that has the queue columns.

mod outcome;
mod table;
mod waker;

pub use outcome::{HandlerError, Outcome};
pub use table::{Claimed, QueueTable};
pub use waker::Waker;

//! The one work engine: claim, lease, retry, finish, over any table that has the queue columns.

mod backoff;
mod engine;
mod notify;
mod outcome;
mod pressure;
mod running;
mod table;
mod waker;

pub use backoff::Backoff;
pub use engine::{Engine, EngineSettings, Job};
pub use notify::{announce, listen};
pub use outcome::{HandlerError, Outcome};
pub use pressure::Pressure;
pub use table::{Claimed, QueueTable, depth};
pub use waker::Waker;

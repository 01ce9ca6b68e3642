//! What an event sets in motion: a folder per handler, one line each in [`handlers`].

pub mod c2s;
mod handler;
pub mod moysklad;
pub mod payments;
pub mod stripe;
pub mod tasks;

pub use crate::queue::{HandlerError, Outcome};
pub use handler::{Context, Event, Handler};

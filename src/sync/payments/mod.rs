//! Payments of every provider in one table, whatever the order in which their events come.
//!
//! A provider's handler says what one of its objects showed ([`PaymentChange`]); the ledger merges it by [`apply`], many at
//! once. No provider is known by name here.

mod book;
mod merge;
mod money;
mod queries;
mod store;

pub use book::{Applied, PaymentChange, PaymentState};
pub use merge::{Mark, Observation, Overflow, Role, Standing, Status};
pub use money::{MoneyError, minor_units};
pub use queries::{Payment, list};
pub use store::{ApplyError, apply, now};

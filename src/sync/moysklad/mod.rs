//! MoySklad: what changes in a main account's catalogue is brought to the accounts that follow it, and their orders to main.
//!
//! An event only says that something changed. [`MoyskladHandler`] makes tasks for each account that is concerned, so that
//! a slow one never holds another, and [`SyncTasks`] runs them: what changed is read fresh, said in the other account's
//! words and written there.

pub mod accounts;
mod api;
mod catalog;
mod compare;
mod emitted;
mod handler;
pub mod hooks;
mod images;
pub mod loops;
mod mappings;
mod metadata;
mod notice;
mod orders;
mod product;
pub mod reconcile;
pub mod settings;
mod suspects;
mod turns;
mod work;
mod worker;

pub use api::is_accepted_prefix;
pub use catalog::{audit, backlog};
pub use handler::MoyskladHandler;
pub use worker::SyncTasks;

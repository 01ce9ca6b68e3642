//! MoySklad, main to child: what changes in a main account is brought to the accounts that follow it.
//!
//! An event only says that a product changed. [`MoyskladHandler`] makes one task for each child of it, so that a slow
//! child never holds another, and [`SyncTasks`] runs them: the product is read fresh from main, said in the child's
//! words and written there.

pub mod accounts;
mod api;
mod compare;
mod handler;
mod mappings;
mod metadata;
mod product;
pub mod settings;
mod turns;
mod upsert;
mod worker;

pub use handler::MoyskladHandler;
pub use worker::SyncTasks;

/// Entity type of products, in hrefs, mappings and tasks.
const PRODUCT: &str = "product";
/// Make the child's entity as main's is, whether it is there already or not.
const UPSERT: &str = "upsert";

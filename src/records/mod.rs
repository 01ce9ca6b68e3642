//! What the database knows of providers beyond their events: how often their secrets proved something, how often a proof
//! failed, and secrets that handshakes offered.

mod activity;
mod offered;
mod overview;
mod store;

pub use activity::Activity;
pub use offered::{OfferError, OfferedSecret, approve, forget, learned, offer, offered, withdraw};
pub use overview::{ProviderOverview, SecretUse, overview};
pub use store::{Day, Report, report};

//! What an event sets in motion: a folder per handler, one line each in [`handlers`].

pub mod c2s;
pub mod events;
pub mod firebase;
mod handler;
pub mod ledger;
pub mod messages;
pub mod moysklad;
mod names;
pub mod paging;
pub mod payments;
pub mod paypal;
pub mod sns;
pub mod stripe;
pub mod tasks;
pub mod twilio;

pub use crate::queue::{HandlerError, Outcome};
use handler::told;
pub use handler::{Context, Event, Handler};

use crate::config::Settings;
use std::sync::Arc;

/// Every handler.
pub fn handlers(settings: &Settings) -> Vec<Arc<dyn Handler>> {
    vec![
        Arc::new(stripe::StripeHandler::new(settings)),
        Arc::new(paypal::PaypalHandler::new(settings)),
        Arc::new(twilio::TwilioHandler::new(settings)),
        Arc::new(firebase::FirebaseHandler),
        Arc::new(sns::SnsHandler::new(settings)),
        Arc::new(c2s::C2sHandler::new(settings)),
        Arc::new(moysklad::MoyskladHandler::new(settings)),
    ]
}

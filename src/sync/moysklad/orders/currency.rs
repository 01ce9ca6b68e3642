//! In which currency of main a document counts.

use super::super::api::ApiError;
use super::super::metadata::{FRESH, Metadata};
use super::transfer::Transfer;
use crate::queue::HandlerError;
use serde_json::Value;
use std::time::Duration;
use uuid::Uuid;

impl Transfer<'_> {
    /// Main's currency of the same ISO code: in another one the order would be another order.
    pub(super) async fn currency(&self, document: &Value) -> Result<(Option<Uuid>, bool), ApiError> {
        let currency = document["rate"].get("currency");
        let mut age = FRESH;
        loop {
            let (theirs, ours) = tokio::try_join!(
                self.cx.metadata.younger_than(age, &self.child),
                self.cx.metadata.younger_than(age, &self.main)
            )?;
            match same_currency(currency, &theirs, &ours) {
                // Somebody may have added it since that was read.
                Err(_) if !age.is_zero() => age = Duration::ZERO,
                found => return Ok(found?),
            }
        }
    }
}

/// Main's currency of the same ISO code, and whether that is main's own.
fn same_currency(
    currency: Option<&Value>,
    theirs: &Metadata,
    ours: &Metadata,
) -> Result<(Option<Uuid>, bool), HandlerError> {
    let Some(iso_code) = theirs.iso_code(currency) else {
        // Neither says in what it counts, so each counts in its own.
        if currency.is_none() && ours.own_currency().is_none() {
            return Ok((None, true));
        }
        return Err(HandlerError::GiveUp("the child does not tell the document's currency".to_owned()));
    };
    let found = ours.currency(iso_code).ok_or_else(|| {
        HandlerError::GiveUp(format!("main has no currency {iso_code}: add it there, then retry"))
    })?;
    Ok((Some(found), ours.own_currency() == Some(found)))
}

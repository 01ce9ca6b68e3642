//! What Stripe's events set in motion: the object is fetched, payments are kept, and what subscribers care for is
//! emitted.
//!
//! Stripe guarantees no order and its times are whole seconds. With an API key the event is only a hint to look, and
//! one look answers all events that were there before it. Without a key, and in other instances of the scheme, the object in
//! the event is believed.

mod api;
mod fetches;
mod kind;
mod notice;
mod object;

use crate::config::Settings;
use crate::sync::{Context, Event, Handler, HandlerError, Outcome, payments};
use api::Api;
use fetches::Fetch;
use kind::Kind;
use notice::{Notice, Reading};
use object::Object;

/// Handles Stripe's events.
pub struct StripeHandler {
    api: Option<Api>,
}

/// What is true of an event's object.
struct Look {
    object: Object,
    /// The fetch that found it out, to be remembered.
    fetch: Option<Fetch>,
    /// For operators.
    source: &'static str,
}

impl StripeHandler {
    /// A handler that fetches objects if the settings hold an API key.
    pub fn new(settings: &Settings) -> Self {
        Self { api: Api::new(&settings.stripe) }
    }

    /// `own`: the event is of the account that the API key belongs to.
    async fn look(&self, notice: &Notice<'_>, own: bool, cx: &Context) -> Result<Look, HandlerError> {
        let Some(api) = self.api.as_ref().filter(|_| own && !notice.says_deleted()) else {
            return Ok(Look { object: notice.object.clone(), fetch: None, source: "from the event" });
        };
        let started = {
            let mut conn = cx.pool.get().await?;
            match fetches::last(&mut conn, notice.account(), &notice.object_id).await? {
                Some(fetch) if notice.received_at() < fetch.synced_at => {
                    return Ok(Look { object: notice.answer(fetch), fetch: None, source: "fetched before" });
                }
                _ => payments::now(&mut conn).await?,
            }
        };
        // No connection is held while Stripe is asked.
        let object = match api.fetch(notice.kind, &notice.object_id, notice.account()).await? {
            Some(object) => object::read(notice.kind, notice.event_type(), &object, started)?,
            None => Object::Gone,
        };
        let facts = if let Object::Record(facts) = &object { Some(facts.clone()) } else { None };
        let fetch = Fetch { synced_at: started, gone: object == Object::Gone, facts };
        Ok(Look { object, fetch: Some(fetch), source: "fetched" })
    }
}

#[async_trait::async_trait]
impl Handler for StripeHandler {
    fn provider(&self) -> &'static str {
        "stripe"
    }

    /// Another account's events are believed as they are: the API key is not theirs.
    fn serves_instances(&self) -> bool {
        true
    }

    fn wants(&self, event_type: &str) -> bool {
        Kind::of_type(event_type).is_some()
    }

    async fn handle(&self, event: &Event, cx: &Context) -> Result<Outcome, HandlerError> {
        let notice = match Notice::read(event)? {
            Reading::Notice(notice) => notice,
            Reading::Nothing(outcome) => return Ok(outcome),
        };
        let look = self.look(&notice, event.provider == self.provider(), cx).await?;
        let done = notice.act(&look.object, cx).await?;
        // After what it showed: were this lost alone, the object would only be fetched once more.
        if let Some(fetch) = &look.fetch {
            let mut conn = cx.pool.get().await?;
            fetches::remember(&mut conn, notice.account(), &notice.object_id, fetch).await?;
        }
        let (kind, id, source) = (notice.kind.name(), &notice.object_id, look.source);
        Ok(Outcome::completed(format!("{kind} {id} ({source}): {done}")))
    }
}

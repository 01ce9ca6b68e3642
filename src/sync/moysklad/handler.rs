//! Something changed in an account: finds the account and asks the catalogue or the orders what is to be done.

use super::accounts::{self, Status};
use super::notice::{self, Action, Body, Notice};
use super::{catalog, emitted, loops, orders, reconcile};
use crate::config::Settings;
use crate::queue::{HandlerError, Outcome};
use crate::sync::{Context, Event, Handler};
use std::time::Duration;
use uuid::Uuid;

/// How long what a sweep found waits for its account.
const INACTIVE: Duration = Duration::from_secs(60);

/// Makes tasks of MoySklad's events.
#[derive(Debug, Clone)]
pub struct MoyskladHandler {
    max_attempts: i32,
}

impl MoyskladHandler {
    /// For these settings.
    pub fn new(settings: &Settings) -> Self {
        Self { max_attempts: settings.worker.max_attempts }
    }
}

#[async_trait::async_trait]
impl Handler for MoyskladHandler {
    fn provider(&self) -> &'static str {
        "moysklad"
    }

    fn wants(&self, event_type: &str) -> bool {
        catalog::wants(event_type) || orders::wants(event_type) || emitted::wants(event_type)
    }

    async fn handle(&self, event: &Event, cx: &Context) -> Result<Outcome, HandlerError> {
        let unreadable = |what: &str| HandlerError::GiveUp(format!("the event has no readable {what}"));
        let Ok(body) = serde_json::from_slice::<Body>(&event.body) else {
            return Ok(Outcome::ignored("it names no account"));
        };
        let (entity_type, action) = event.event_type.split_once('.').ok_or_else(|| unreadable("type"))?;
        let action = Action::parse(action).ok_or_else(|| unreadable("action"))?;
        let entity_id: Uuid =
            event.subject.as_deref().and_then(|id| id.parse().ok()).ok_or_else(|| unreadable("entity id"))?;
        let found = accounts::find(&mut *cx.pool.get().await?, body.account_id).await?;
        let Some(account) = found else {
            return Ok(Outcome::ignored("unknown account"));
        };
        let is_found = reconcile::is_found(&event.event_id);
        if account.status != Status::Active && is_found {
            // The next sweep begins where this one did and finds the same again, under the name of this event.
            let reason = format!("the account is {}", account.status.as_str());
            return Err(HandlerError::Defer { after: INACTIVE, reason });
        }
        if account.status != Status::Active {
            return Ok(Outcome::ignored(format!("the account is {}", account.status.as_str())));
        }
        let notice = Notice {
            event,
            account,
            entity_type,
            action,
            entity_id,
            updated_fields: body.updated_fields,
            uid: notice::uid(event.envelope.as_deref()),
            told: body.told && is_found,
            max_attempts: self.max_attempts,
        };
        if let Some(reason) = loops::refusal(&notice, cx).await? {
            return Ok(Outcome::ignored(reason));
        }
        let told = emitted::emit(&notice, cx).await?;
        let outcome = if catalog::wants(&event.event_type) {
            catalog::tasks(&notice, cx).await?
        } else if orders::wants(&event.event_type) {
            orders::tasks(&notice, cx).await?
        } else {
            Outcome::ignored("nothing flows from here")
        };
        Ok(match told {
            Some(told) if !outcome.completed => Outcome::completed(format!("{told}; {}", outcome.summary)),
            _ => outcome,
        })
    }
}

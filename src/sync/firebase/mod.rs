//! What events from Google set in motion: push-notification statuses are kept and emitted as `notification.*`.
//!
//! FCM itself has no delivery receipts over HTTP (facts/providers.md D): what became of a notification is known to the
//! company's own senders and apps, which publish it to Pub/Sub or Eventarc. Here it is recognised by its content, whatever
//! the event's type: a message id (`messageId`, `notificationId`, …) together with a status (`sent`, `delivered`, `failed`,
//! `opened`, …), in the decoded data or in the attributes; [`status`] has the words. The status joins the messages of all
//! providers (`GET /api/v1/messages`), and is emitted once as `notification.{status}`, however often it is published.
//!
//! Everything else (Firestore, Storage, Auth, Crashlytics alerts, an own topic) is kept as received and ends `ignored`
//! with what it held: it is another system's data, of which only its own reader knows what may be passed on.

mod decode;
mod status;

use crate::sync::messages::{self, Direction, Sighting};
use crate::sync::{Context, Event, Handler, HandlerError, Outcome, told};
use decode::Decoded;
use diesel_async::{AsyncConnection as _, AsyncPgConnection};
use status::PushStatus;

/// Handles events from Google.
pub struct FirebaseHandler;

#[async_trait::async_trait]
impl Handler for FirebaseHandler {
    fn provider(&self) -> &'static str {
        "firebase"
    }

    /// No account is needed for it.
    fn serves_instances(&self) -> bool {
        true
    }

    /// Every type: publishers choose them as they like.
    fn wants(&self, _: &str) -> bool {
        true
    }

    async fn handle(&self, event: &Event, cx: &Context) -> Result<Outcome, HandlerError> {
        let decoded = match Decoded::read(&event.body, event.envelope.as_deref()) {
            Ok(decoded) => decoded,
            Err(error) => return Err(HandlerError::GiveUp(error.to_string())),
        };
        let Some(push) = PushStatus::find(&decoded) else {
            let held = decoded.describe();
            return Ok(Outcome::ignored(format!("{held}; it tells no status of a push notification")));
        };
        let mut conn = cx.pool.get().await?;
        let done = conn.transaction(async |conn| push.keep(conn, event).await).await?;
        Ok(Outcome::completed(format!("notification {}: {done}", push.message_id.as_str())))
    }
}

impl PushStatus {
    /// Keeps and emits the status, and says what that was. Must run in a transaction.
    async fn keep(&self, conn: &mut AsyncPgConnection, event: &Event) -> Result<String, HandlerError> {
        let sighting = Sighting {
            provider: &event.provider,
            message_id: &self.message_id,
            direction: Direction::Outbound,
            status: self.status,
            error_code: self.error_code.as_ref(),
            event_id: &event.event_id,
        };
        let applied = messages::apply(conn, &sighting).await?;
        let event_type = self.event_type();
        let facts = applied.message.facts();
        let new = applied.first && event.emit(conn, event_type, self.message_id.as_str(), facts).await?;
        let stands = applied.message.status.name();
        Ok(format!("it is {stands}, {}", told(new.then_some(event_type).as_slice())))
    }
}

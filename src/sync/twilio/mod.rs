//! What Twilio's callbacks set in motion: how far each message has come is kept and emitted as `message.*`, once for
//! each status.
//!
//! A callback is signed whole, so it is believed as it is; callbacks come in any order (facts 3.5). With
//! `TWILIO_ACCOUNT_SID` one that is not the end also has a look at the message itself, so that the end is known even if
//! its callback is lost, and a status that is not known here is looked up. A look that fails costs nothing then: the
//! callback's own word stands.
//!
//! A callback has no time: `RawDlrDoneDate` is without a time zone and is not used; an event happened when it was
//! received. Calls are stored as events and not followed further.

mod api;
mod callback;

use crate::config::Settings;
use crate::sync::messages::{self, Direction, ErrorCode, MessageId, Sighting, Status};
use crate::sync::{Context, Event, Handler, HandlerError, Outcome, told};
use api::{Api, Seen};
use callback::Callback;
use diesel_async::{AsyncConnection as _, AsyncPgConnection};

/// Handles Twilio's callbacks.
pub struct TwilioHandler {
    api: Option<Api>,
}

impl TwilioHandler {
    /// A handler that also looks at messages if the settings hold an account and its token.
    pub fn new(settings: &Settings) -> Self {
        Self { api: Api::new(&settings.twilio) }
    }

    /// The message as Twilio has it, where there is something to learn; and what to say of the look.
    async fn look(&self, callback: &Callback) -> Result<(Option<Seen>, String), HandlerError> {
        let Some(api) = self.api.as_ref().filter(|_| callback.status.is_none_or(|status| !status.is_end()))
        else {
            return Ok((None, "told".to_owned()));
        };
        match api.message(callback).await {
            Ok(Some(seen)) => Ok((Some(seen), "fetched".to_owned())),
            Ok(None) => Ok((None, "told; gone, or not of TWILIO_ACCOUNT_SID".to_owned())),
            Err(error) if callback.status.is_some() => Ok((None, format!("told; {error}"))),
            Err(error) => Err(error.into()),
        }
    }
}

#[async_trait::async_trait]
impl Handler for TwilioHandler {
    fn provider(&self) -> &'static str {
        "twilio"
    }

    /// Nothing is looked up for a message of another account than that of the settings.
    fn serves_instances(&self) -> bool {
        true
    }

    fn wants(&self, event_type: &str) -> bool {
        event_type.starts_with("message.") || event_type.starts_with("call.")
    }

    async fn handle(&self, event: &Event, cx: &Context) -> Result<Outcome, HandlerError> {
        if event.event_type.starts_with("call.") {
            return Ok(Outcome::ignored("calls are kept as events; only messages are followed"));
        }
        let callback = Callback::read(event)?;
        let (seen, source) = self.look(&callback).await?;
        let mut steps: Vec<(Status, Option<&ErrorCode>)> = Vec::new();
        steps.extend(callback.status.map(|status| (status, callback.error_code.as_ref())));
        steps.extend(seen.as_ref().map(|seen| (seen.status, seen.error_code.as_ref())));
        if steps.is_empty() {
            return Ok(Outcome::ignored("this status of a message is not known"));
        }
        let direction = seen.as_ref().map_or(callback.direction, |seen| seen.direction);
        let mut conn = cx.pool.get().await?;
        let done = conn
            .transaction(async |conn| keep(conn, event, &callback.message_id, direction, &steps).await)
            .await?;
        Ok(Outcome::completed(format!("message {} ({source}): {done}", callback.message_id.as_str())))
    }
}

/// Keeps and emits what was seen, and says what that was. Must run in a transaction.
async fn keep(
    conn: &mut AsyncPgConnection,
    event: &Event,
    message_id: &MessageId,
    direction: Direction,
    steps: &[(Status, Option<&ErrorCode>)],
) -> Result<String, HandlerError> {
    let (mut emitted, mut stands) = (Vec::new(), "");
    for (status, error_code) in steps {
        let sighting = Sighting {
            provider: &event.provider,
            message_id,
            direction,
            status: *status,
            error_code: *error_code,
            event_id: &event.event_id,
        };
        let applied = messages::apply(conn, &sighting).await?;
        stands = applied.message.status.name();
        let event_type = status.event_type();
        if applied.first
            && event.emit(conn, &event_type, message_id.as_str(), applied.message.facts()).await?
        {
            emitted.push(event_type);
        }
    }
    let emitted: Vec<&str> = emitted.iter().map(String::as_str).collect();
    Ok(format!("it is {stands}, {}", told(&emitted)))
}

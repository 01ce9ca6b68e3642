//! Merging what was told of a message into its row.

use super::model::{Direction, ErrorCode, Known, MessageId, Status};
use super::queries::Message;
use crate::db::schema::messages;
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};

/// What an event tells of a message.
#[derive(Debug, Clone)]
pub struct Sighting<'a> {
    /// The provider.
    pub provider: &'a str,
    /// The message.
    pub message_id: &'a MessageId,
    /// Which way it goes.
    pub direction: Direction,
    /// Where it is said to be.
    pub status: Status,
    /// Why.
    pub error_code: Option<&'a ErrorCode>,
    /// The event.
    pub event_id: &'a str,
}

/// A message after a sighting.
#[derive(Debug, Clone)]
pub struct Applied {
    /// The message as it is now.
    pub message: Message,
    /// Whether this status of it was told for the first time: of several events that tell it only one sees it.
    pub first: bool,
}

/// Merges a sighting. Must run in a transaction: sightings of one message wait for each other here.
pub async fn apply(conn: &mut AsyncPgConnection, sighting: &Sighting<'_>) -> QueryResult<Applied> {
    use messages as m;
    let Sighting { provider, message_id, direction, status, error_code, event_id } = sighting;
    let message_id = message_id.as_str();
    let new = diesel::insert_into(m::table)
        .values((
            m::provider.eq(provider),
            m::message_id.eq(message_id),
            m::direction.eq(direction),
            m::status.eq(status),
            m::seen.eq(vec![*status]),
            m::error_code.eq(error_code.map(ErrorCode::as_str)),
            m::last_event_id.eq(event_id),
        ))
        .on_conflict_do_nothing()
        .returning(Message::as_returning())
        .get_result(conn)
        .await
        .optional()?;
    if let Some(message) = new {
        return Ok(Applied { message, first: true });
    }
    let row = m::table.find((provider, message_id));
    let message: Message = row.select(Message::as_select()).for_update().first(conn).await?;
    let before = Known {
        seen: message.seen.clone(),
        error_code: message.error_code.clone(),
        last_event_id: message.last_event_id.clone(),
    };
    let mut known = before.clone();
    let first = known.observe(*status, *error_code, event_id);
    if known == before {
        return Ok(Applied { message, first });
    }
    let message = diesel::update(row)
        .set((
            m::status.eq(known.seen.last().copied().unwrap_or(message.status)),
            m::seen.eq(known.seen),
            m::error_code.eq(known.error_code),
            m::last_event_id.eq(known.last_event_id),
            m::updated_at.eq(diesel::dsl::now),
        ))
        .returning(Message::as_returning())
        .get_result(conn)
        .await?;
    Ok(Applied { message, first })
}

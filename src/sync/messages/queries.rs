//! Reading messages.

use super::model::{Direction, Status};
use crate::db::schema::messages;
use crate::sync::paging::{self, Cursor, Filter};
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

/// A message as operators see it.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Serialize, ToSchema)]
#[diesel(table_name = messages)]
pub struct Message {
    /// Who carries it.
    pub provider: String,
    /// The provider's id of it.
    pub message_id: String,
    /// Which way it goes.
    pub direction: Direction,
    /// How far it has come.
    pub status: Status,
    /// Every status that was told, in the order in which a message takes them.
    pub seen: Vec<Status>,
    /// The provider's code for why it stands there, where one was told.
    pub error_code: Option<String>,
    /// The event that brought the status.
    pub last_event_id: String,
    /// When this row last changed.
    pub updated_at: DateTime<Utc>,
}

impl Message {
    /// What subscribers are told of it.
    pub fn facts(&self) -> Value {
        json!({
            "provider": self.provider,
            "message_id": self.message_id,
            "direction": self.direction,
            "status": self.status,
            "error_code": self.error_code,
        })
    }

    fn place(&self) -> Cursor {
        let (provider, id) = (self.provider.clone(), self.message_id.clone());
        Cursor { updated_at: self.updated_at, provider, id }
    }
}

/// A page of messages, last changed first, and where the next page starts if there is one.
pub async fn list(
    conn: &mut AsyncPgConnection,
    filter: &Filter<Status>,
) -> QueryResult<(Vec<Message>, Option<Cursor>)> {
    use messages as m;
    let mut query = m::table.select(Message::as_select()).into_boxed();
    if let Some(provider) = &filter.provider {
        query = query.filter(m::provider.eq(provider));
    }
    if let Some(id) = &filter.id {
        query = query.filter(m::message_id.eq(id));
    }
    if let Some(status) = filter.status {
        query = query.filter(m::status.eq(status));
    }
    if let Some(after) = &filter.after {
        let same_provider = m::provider.eq(&after.provider).and(m::message_id.gt(&after.id));
        let same_time = m::provider.gt(&after.provider).or(same_provider);
        query = query
            .filter(m::updated_at.le(after.updated_at))
            .filter(m::updated_at.lt(after.updated_at).or(same_time));
    }
    let rows: Vec<Message> = query
        .order((m::updated_at.desc(), m::provider, m::message_id))
        .limit(i64::from(filter.limit) + 1)
        .load(conn)
        .await?;
    Ok(paging::page(rows, filter.limit, Message::place))
}

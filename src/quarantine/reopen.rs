//! Taking what is kept back to the door.

use super::redact;
use crate::crypto::MasterKey;
use crate::db::schema::quarantined_requests::{self, dsl};
use crate::providers::OwnedRequest;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde_json::Value;
use uuid::Uuid;

/// How long a verification may have a request for itself: a crash in it leaves the request to the next one.
const LEASE: TimeDelta = TimeDelta::minutes(1);

/// A request as it came, put together again.
#[derive(Debug)]
pub struct Reopened {
    /// The provider whose route it came to.
    pub provider: String,
    /// When it came first.
    pub received_at: DateTime<Utc>,
    /// The request; `None` if its proof was not kept, or is sealed with another key.
    pub request: Option<OwnedRequest>,
}

/// Puts a request together again.
pub async fn reopen(
    conn: &mut AsyncPgConnection,
    id: Uuid,
    key: Option<&MasterKey>,
) -> QueryResult<Option<Reopened>> {
    #[derive(Queryable, Selectable)]
    #[diesel(table_name = quarantined_requests)]
    struct Row {
        provider: String,
        received_at: DateTime<Utc>,
        method: String,
        bases: Value,
        path: String,
        query: String,
        headers: Value,
        sealed: Option<Vec<u8>>,
        proof_kept: bool,
        body: Vec<u8>,
    }
    let row: Option<Row> =
        dsl::quarantined_requests.find(id).select(Row::as_select()).first(conn).await.optional()?;
    Ok(row.map(|row| {
        // A redacted header is there without its value, so that the sealed ones find their places.
        let headers = row.headers.as_array().into_iter().flatten();
        let headers = headers
            .map(|pair| (pair[0].as_str().unwrap_or_default().to_owned(), redact::unshown(&pair[1])))
            .collect();
        let shown = OwnedRequest {
            method: row.method,
            bases: serde_json::from_value(row.bases).unwrap_or_default(),
            path: row.path,
            path_token: None,
            query: row.query,
            headers,
            body: Bytes::from(row.body),
        };
        let request =
            if row.proof_kept { redact::reassemble(id, shown, row.sealed.as_deref(), key) } else { None };
        Reopened { provider: row.provider, received_at: row.received_at, request }
    }))
}

/// Whether a request may be verified again now.
#[derive(Debug)]
pub enum Claim {
    /// It may; nobody else gets it for a minute.
    Yours,
    /// It was accepted before, with this receipt.
    Accepted(Value),
    /// Somebody else has it.
    Taken,
    /// There is no such request.
    Unknown,
}

/// Takes a request for verification. What became events is not taken again: some senders' events have no id of their own
/// that would tell the second time.
pub async fn claim(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<Claim> {
    let now = Utc::now();
    let free = dsl::outcome
        .is_null()
        .or(dsl::outcome.eq_any(["not proven", "unreadable"]).assume_not_null())
        .or(dsl::reverified_at.lt(now - LEASE).and(dsl::outcome.eq("verifying")).assume_not_null());
    let taken = diesel::update(dsl::quarantined_requests.find(id).filter(free))
        .set((dsl::outcome.eq("verifying"), dsl::reverified_at.eq(now)))
        .execute(conn)
        .await?;
    if taken > 0 {
        return Ok(Claim::Yours);
    }
    let known: Option<Option<Value>> =
        dsl::quarantined_requests.find(id).select(dsl::receipt).first(conn).await.optional()?;
    Ok(match known {
        None => Claim::Unknown,
        Some(Some(receipt)) => Claim::Accepted(receipt),
        Some(None) => Claim::Taken,
    })
}

/// What a verification came to.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// It was accepted, with this receipt.
    Accepted(Value),
    /// It is still not proven.
    NotProven,
    /// It is proven, but cannot be read.
    Unreadable,
    /// It could not be told; as if it had not been tried.
    Unknown,
}

/// Notes what a verification came to.
pub async fn settle(conn: &mut AsyncPgConnection, id: Uuid, outcome: Outcome) -> QueryResult<()> {
    let (word, receipt) = match outcome {
        Outcome::Accepted(receipt) => (Some("accepted"), Some(receipt)),
        Outcome::NotProven => (Some("not proven"), None),
        Outcome::Unreadable => (Some("unreadable"), None),
        Outcome::Unknown => (None, None),
    };
    diesel::update(dsl::quarantined_requests.find(id))
        .set((dsl::outcome.eq(word), dsl::receipt.eq(receipt), dsl::reverified_at.eq(Utc::now())))
        .execute(conn)
        .await?;
    Ok(())
}

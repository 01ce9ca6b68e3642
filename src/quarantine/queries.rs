//! Looking at what is kept, and taking it back to the door.

use super::redact;
use crate::crypto::MasterKey;
use crate::db::schema::quarantined_requests::{self, dsl};
use crate::providers::{OwnedRequest, Step, summary};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

/// How long a verification may have a request for itself: a crash in it leaves the request to the next one.
const LEASE: TimeDelta = TimeDelta::minutes(1);

/// A request in a list.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Item {
    /// Row id; sorts by time.
    pub id: Uuid,
    /// The provider whose route it came to.
    pub provider: String,
    /// `missing`, `malformed`, `expired`, `mismatch` or `unreadable`.
    pub reason: String,
    /// What was wrong, in one line.
    pub why: String,
    /// Request method.
    pub method: String,
    /// Path, without the token that a route may hold.
    pub path: String,
    /// Length of the body.
    pub body_bytes: i32,
    /// How often exactly this request came.
    pub times: i32,
    /// When it came first.
    pub received_at: DateTime<Utc>,
    /// When it came last.
    pub last_seen_at: DateTime<Utc>,
    /// Whether it can be verified again: without a master key a secret proof is not kept.
    pub proof_kept: bool,
    /// When it was last verified again.
    pub reverified_at: Option<DateTime<Utc>>,
    /// What that came to: `accepted`, `not proven` or `unreadable`.
    pub outcome: Option<String>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = quarantined_requests)]
struct ItemRow {
    id: Uuid,
    provider: String,
    reason: String,
    steps: Value,
    method: String,
    path: String,
    body_bytes: i32,
    times: i32,
    received_at: DateTime<Utc>,
    last_seen_at: DateTime<Utc>,
    proof_kept: bool,
    reverified_at: Option<DateTime<Utc>>,
    outcome: Option<String>,
}

impl From<ItemRow> for Item {
    fn from(row: ItemRow) -> Self {
        Self {
            why: summary(&steps(row.steps)),
            id: row.id,
            provider: row.provider,
            reason: row.reason,
            method: row.method,
            path: row.path,
            body_bytes: row.body_bytes,
            times: row.times,
            received_at: row.received_at,
            last_seen_at: row.last_seen_at,
            proof_kept: row.proof_kept,
            reverified_at: row.reverified_at,
            outcome: row.outcome,
        }
    }
}

fn steps(value: Value) -> Vec<Step> {
    serde_json::from_value(value).unwrap_or_default()
}

/// A header line as an operator sees it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct HeaderLine {
    /// Name in lower case.
    pub name: String,
    /// Value, if it is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
    /// Value in base64, if it is no text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
    /// Its value is a secret, or an address.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub redacted: bool,
}

/// A body: `text`, or `base64` of what is no text.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Body {
    /// It is UTF-8.
    Text(String),
    /// It is not.
    Base64(String),
}

impl From<Vec<u8>> for Body {
    fn from(bytes: Vec<u8>) -> Self {
        String::from_utf8(bytes)
            .map_or_else(|error| Self::Base64(STANDARD.encode(error.as_bytes())), Self::Text)
    }
}

/// A request with everything that may be shown of it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Detail {
    /// What a list shows.
    #[serde(flatten)]
    pub item: Item,
    /// Query; values of secret parameters are redacted.
    pub query: String,
    /// Header lines in their order.
    pub headers: Vec<HeaderLine>,
    /// The exact body.
    pub body: Body,
    /// The steps of its verification when it came.
    pub steps: Vec<Step>,
    /// The receipt of a successful re-verification.
    #[schema(value_type = Option<Object>)]
    pub receipt: Option<Value>,
}

/// Which requests are meant; nothing set means all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Exact provider.
    pub provider: Option<String>,
    /// Exact reason.
    pub reason: Option<String>,
    /// Received at or after.
    pub since: Option<DateTime<Utc>>,
    /// Only older than this row: the end of the page before.
    pub before: Option<Uuid>,
}

/// A page of requests, newest first.
pub async fn list(conn: &mut AsyncPgConnection, filter: &Filter, limit: i64) -> QueryResult<Vec<Item>> {
    let mut query = quarantined_requests::table.into_boxed();
    if let Some(provider) = &filter.provider {
        query = query.filter(dsl::provider.eq(provider));
    }
    if let Some(reason) = &filter.reason {
        query = query.filter(dsl::reason.eq(reason));
    }
    if let Some(since) = filter.since {
        query = query.filter(dsl::received_at.ge(since));
    }
    if let Some(before) = filter.before {
        query = query.filter(dsl::id.lt(before));
    }
    let rows: Vec<ItemRow> =
        query.select(ItemRow::as_select()).order(dsl::id.desc()).limit(limit).load(conn).await?;
    Ok(rows.into_iter().map(Item::from).collect())
}

/// One request with everything that may be shown of it.
pub async fn find(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<Option<Detail>> {
    type Row = (ItemRow, String, Value, Vec<u8>, Value, Option<Value>);
    let row: Option<Row> = dsl::quarantined_requests
        .find(id)
        .select((ItemRow::as_select(), dsl::query, dsl::headers, dsl::body, dsl::steps, dsl::receipt))
        .first(conn)
        .await
        .optional()?;
    Ok(row.map(|(item, query, headers, body, told, receipt)| Detail {
        item: item.into(),
        query,
        headers: headers.as_array().into_iter().flatten().map(header_line).collect(),
        body: body.into(),
        steps: steps(told),
        receipt,
    }))
}

fn header_line(pair: &Value) -> HeaderLine {
    let text = |value: &Value| value.as_str().map(str::to_owned);
    HeaderLine {
        name: text(&pair[0]).unwrap_or_default(),
        value: text(&pair[1]),
        base64: text(&pair[1]["base64"]),
        redacted: pair[1].is_null(),
    }
}

/// Forgets a request; says whether it was there.
pub async fn remove(conn: &mut AsyncPgConnection, id: Uuid) -> QueryResult<bool> {
    Ok(diesel::delete(dsl::quarantined_requests.find(id)).execute(conn).await? > 0)
}

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

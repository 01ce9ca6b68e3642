//! Looking at what is kept.

use crate::db::schema::quarantined_requests::{self, dsl};
use crate::providers::{Step, summary};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;
use uuid::Uuid;

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

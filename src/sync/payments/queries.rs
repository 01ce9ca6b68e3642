//! Reading payments.

use super::merge::Status;
use crate::db::schema::payments;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use chrono::{DateTime, Utc};
use diesel::prelude::*;
use diesel_async::{AsyncPgConnection, RunQueryDsl};
use serde::Serialize;
use utoipa::ToSchema;

/// A payment as operators see it.
#[derive(Debug, Clone, PartialEq, Eq, Queryable, Selectable, Serialize, ToSchema)]
#[diesel(table_name = payments)]
pub struct Payment {
    /// Who took it.
    pub provider: String,
    /// The provider's id of it.
    pub payment_id: String,
    /// Where it stands.
    pub status: Status,
    /// Minor units of the currency; null while only refunds of it were seen.
    pub amount: Option<i64>,
    /// Minor units given back.
    pub amount_refunded: i64,
    /// ISO 4217 code as the provider gives it.
    pub currency: Option<String>,
    /// The provider's id of the customer.
    pub customer: Option<String>,
    /// The last event, by the provider's clock.
    pub last_event_id: String,
    /// When this row last changed.
    pub updated_at: DateTime<Utc>,
}

/// Which payments.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Of this provider.
    pub provider: Option<String>,
    /// With this id.
    pub id: Option<String>,
    /// With this status.
    pub status: Option<Status>,
    /// Only those that come after this place.
    pub after: Option<Cursor>,
    /// At most so many.
    pub limit: u8,
}

/// A place in the list; opaque to clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor {
    updated_at: DateTime<Utc>,
    provider: String,
    payment_id: String,
}

impl Cursor {
    fn after(payment: &Payment) -> Self {
        Self {
            updated_at: payment.updated_at,
            provider: payment.provider.clone(),
            payment_id: payment.payment_id.clone(),
        }
    }

    /// Reads what [`Self::encode`] made; `None` for anything else.
    pub fn decode(text: &str) -> Option<Self> {
        let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
        let mut fields = std::str::from_utf8(&bytes).ok()?.splitn(3, '\n');
        let updated_at = DateTime::from_timestamp_micros(fields.next()?.parse().ok()?)?;
        Some(Self { updated_at, provider: fields.next()?.to_owned(), payment_id: fields.next()?.to_owned() })
    }

    /// As a query parameter.
    pub fn encode(&self) -> String {
        let micros = self.updated_at.timestamp_micros();
        URL_SAFE_NO_PAD.encode(format!("{micros}\n{}\n{}", self.provider, self.payment_id))
    }
}

/// A page of payments, last changed first, and where the next page starts if there is one.
pub async fn list(
    conn: &mut AsyncPgConnection,
    filter: &Filter,
) -> QueryResult<(Vec<Payment>, Option<Cursor>)> {
    use payments as p;
    let mut query = p::table.select(Payment::as_select()).into_boxed();
    if let Some(provider) = &filter.provider {
        query = query.filter(p::provider.eq(provider));
    }
    if let Some(id) = &filter.id {
        query = query.filter(p::payment_id.eq(id));
    }
    if let Some(status) = filter.status {
        query = query.filter(p::status.eq(status));
    }
    if let Some(after) = &filter.after {
        let same_provider = p::provider.eq(&after.provider).and(p::payment_id.gt(&after.payment_id));
        let same_time = p::provider.gt(&after.provider).or(same_provider);
        query = query
            .filter(p::updated_at.le(after.updated_at))
            .filter(p::updated_at.lt(after.updated_at).or(same_time));
    }
    // One more than wanted tells whether there is a next page.
    let mut payments: Vec<Payment> = query
        .order((p::updated_at.desc(), p::provider, p::payment_id))
        .limit(i64::from(filter.limit) + 1)
        .load(conn)
        .await?;
    let more = payments.len() > usize::from(filter.limit);
    payments.truncate(filter.limit.into());
    let next = if more { payments.last().map(Cursor::after) } else { None };
    Ok((payments, next))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_what_it_wrote() {
        let cursor = Cursor {
            updated_at: DateTime::from_timestamp_micros(1_800_000_000_123_456).unwrap(),
            provider: "stripe".to_owned(),
            payment_id: "pi_1\n2".to_owned(),
        };
        assert_eq!(Cursor::decode(&cursor.encode()), Some(cursor));
    }

    #[test]
    fn a_cursor_of_another_form_is_refused() {
        for text in ["", "x", "%%%", &URL_SAFE_NO_PAD.encode("1"), &URL_SAFE_NO_PAD.encode("x\ny\nz")] {
            assert_eq!(Cursor::decode(text), None, "{text}");
        }
    }
}

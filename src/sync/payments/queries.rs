//! Reading payments.

use super::merge::Status;
use crate::db::schema::{payment_parts, payments};
use crate::sync::paging::{self, Cursor, Filter};
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

impl Payment {
    fn place(&self) -> Cursor {
        let (provider, id) = (self.provider.clone(), self.payment_id.clone());
        Cursor { updated_at: self.updated_at, provider, id }
    }
}

/// A page of payments, last changed first, and where the next page starts if there is one.
pub async fn list(
    conn: &mut AsyncPgConnection,
    filter: &Filter<Status>,
) -> QueryResult<(Vec<Payment>, Option<Cursor>)> {
    use payments as p;
    let mut query = p::table.select(Payment::as_select()).into_boxed();
    if let Some(provider) = &filter.provider {
        query = query.filter(p::provider.eq(provider));
    }
    if let Some(id) = &filter.id {
        query = query.filter(p::payment_id.eq_any(payments_with(conn, id).await?));
    }
    if let Some(status) = filter.status {
        query = query.filter(p::status.eq(status));
    }
    if let Some(after) = &filter.after {
        let same_provider = p::provider.eq(&after.provider).and(p::payment_id.gt(&after.id));
        let same_time = p::provider.gt(&after.provider).or(same_provider);
        query = query
            .filter(p::updated_at.le(after.updated_at))
            .filter(p::updated_at.lt(after.updated_at).or(same_time));
    }
    let rows: Vec<Payment> = query
        .order((p::updated_at.desc(), p::provider, p::payment_id))
        .limit(i64::from(filter.limit) + 1)
        .load(conn)
        .await?;
    Ok(paging::page(rows, filter.limit, Payment::place))
}

/// The ids of payments that `id` may mean: itself, and the payments of parts of this id. What merchants see in a
/// provider's pages is more often the id of a charge than that of the payment around it.
async fn payments_with(conn: &mut AsyncPgConnection, id: &str) -> QueryResult<Vec<String>> {
    use payment_parts as p;
    let mut ids: Vec<String> =
        p::table.filter(p::object_id.eq(id)).select(p::payment_id).limit(50).load(conn).await?;
    ids.push(id.to_owned());
    Ok(ids)
}

//! Events that are in the inbox already: what a handler does is tested apart from how an event is proven.

use super::gateway::Gateway;
use chrono::{DateTime, Utc};
use diesel::sql_types::{BigInt, Bytea, Nullable, Text, Timestamptz, Uuid as SqlUuid};
use diesel_async::RunQueryDsl as _;

/// An event as the receiver stores it.
#[derive(Clone, Default)]
pub struct Stored<'a> {
    pub provider: &'a str,
    pub event_id: &'a str,
    pub event_type: &'a str,
    pub subject: Option<&'a str>,
    pub occurred_at: Option<DateTime<Utc>>,
    pub body: &'a str,
    pub envelope: Option<&'a str>,
}

/// Puts an event into the inbox of a gateway, due at once. One that is there already stays as it is.
pub async fn inject(gateway: &Gateway, event: &Stored<'_>) {
    let mut conn = gateway.database.connect().await;
    diesel::sql_query(
        "INSERT INTO webhook_events
             (id, provider, event_id, event_type, subject, occurred_at, body, envelope, headers, status, lane)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, '{}', 'received', $9) ON CONFLICT DO NOTHING",
    )
    .bind::<SqlUuid, _>(uuid::Uuid::now_v7())
    .bind::<Text, _>(event.provider)
    .bind::<Text, _>(event.event_id)
    .bind::<Text, _>(event.event_type)
    .bind::<Nullable<Text>, _>(event.subject)
    .bind::<Nullable<Timestamptz>, _>(event.occurred_at)
    .bind::<Bytea, _>(event.body.as_bytes())
    .bind::<Nullable<Text>, _>(event.envelope)
    .bind::<Nullable<BigInt>, _>(event.subject.map(|subject| hookgate::inbox::lane(event.provider, subject)))
    .execute(&mut conn)
    .await
    .unwrap();
}
